"""What every loop refuses before it begins: tests a policy could forge, a sandbox weaker than it asks for, an engine
that does not say what it sampled."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from verigrad.cli.main import main
from verigrad.engines.scripted import ScriptedEngine
from verigrad.errors import ConfigError, RunError, SandboxError
from verigrad.preferences.records import read_records
from verigrad.sandbox.base import LEVELS, Call
from verigrad.sandbox.languages import PolyglotSandbox
from verigrad.tasks.base import TaskSet
from verigrad.training import stage
from verigrad.training.config import ReportConfig, RLConfig, SamplingConfig, SFTConfig
from verigrad.training.reporter import Silent
from verigrad.training.rl import train
from verigrad.training.stage import open_run, open_stage
from verigrad.types import Limits, Oracle, ScriptTest, Task

ONE, TWO = "Write `one()`.", "Write `two()`."
RIGHT, WRONG = "```python\ndef {}():\n    return {}\n```", "```python\ndef {}():\n    return 0\n```"


@pytest.fixture
def words(workshop, settings, monkeypatch):
    """A command on two tasks, of which the first is judged by a script; of its answers every other one is right."""
    two = {"kind": "call", "name": "two", "args": [], "expected": 2}
    script = {"kind": "script", "name": "asserts", "source": "assert one() == 1"}
    rows = [
        {"taskset": "mixed@1"},
        {"id": "mixed@1/1", "prompt": ONE, "entry_point": "one", "oracle": {"tests": [script], "trust": "script"}},
        {"id": "mixed@1/2", "prompt": TWO, "entry_point": "two", "oracle": {"tests": [two]}},
    ]
    (workshop / "mixed.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    answers = {
        prompt: [RIGHT.format(name, value), WRONG.format(name)]
        for prompt, name, value in ((ONE, "one", 1), (TWO, "two", 2))
    }
    monkeypatch.setattr(stage, "LocalEngine", lambda model, tokenizer, **_: ScriptedEngine(answers, tokenizer))
    own = {"run": settings["run"], "model": settings["model"], "tasks": workshop / "mixed.jsonl", "group-size": 4}
    own |= {"dtype": "float32", "device": "cpu", "max-length": 256, "sampling.max-tokens": 100}
    return [word for key, value in own.items() for word in (f"--{key}", str(value))]


@pytest.mark.parametrize("command", ["rl", "preference"])
def test_tests_that_share_the_programs_process_are_refused(command, words, settings, capsys):
    assert main([command, *words]) == 1
    assert "1 tasks (such as mixed@1/1) are judged by scripts that share" in capsys.readouterr().err
    assert not Path(settings["run"]).exists()


@pytest.mark.parametrize("trust", ["script", "values"])
def test_a_script_is_refused_whatever_its_source_says_of_trust(trust):
    oracle = Oracle(task_id="mixed@1/1", tests=(ScriptTest("asserts", "assert one() == 1"),), trust=trust)
    tasks = TaskSet("mixed@1", (Task(id="mixed@1/1", prompt=ONE, entry_point="one"),), {"mixed@1/1": oracle}, {})
    stage.check_trust(tasks, allow_scripts=True)
    with pytest.raises(ConfigError, match="are judged by scripts that share"):
        stage.check_trust(tasks, allow_scripts=False)


def test_with_allow_scripts_they_are_trained_on(words, settings):
    assert main(["rl", *words, "--allow-scripts", "true", "--steps", "1", "--tasks-per-step", "2"]) == 0
    rows = map(json.loads, (Path(settings["run"]) / "rollouts" / "step-000001.jsonl").read_text().splitlines())
    assert sorted((row["task_id"], row["reward"]) for row in rows) == [
        (task, reward) for task in ("mixed@1/1", "mixed@1/2") for reward in (0.0, 0.0, 1.0, 1.0)
    ]


def test_with_allow_scripts_pairs_are_mined_from_them(words, settings):
    assert main(["preference", *words, "--allow-scripts", "true", "--tasks-per-round", "2"]) == 0
    pairs = read_records(Path(settings["run"]) / "pairs" / "round-0001.jsonl")
    assert {(pair.prompt[0].content, pair.chosen, pair.rejected) for pair in pairs} == {
        (ONE, RIGHT.format("one", 1), WRONG.format("one")),
        (TWO, RIGHT.format("two", 2), WRONG.format("two")),
    }


async def can_start(level):
    async with PolyglotSandbox(1, level=level) as sandbox:
        await sandbox.run("def f():\n    return 1\n", [Call("f")], Limits())


@pytest.mark.parametrize("reached", LEVELS)
def test_a_sandbox_below_the_floor_is_refused(reached, settings, monkeypatch):
    """The floor is the weakest level that will do, so a stronger sandbox and one exactly there are taken."""
    try:
        asyncio.run(can_start(reached))
    except SandboxError as error:
        pytest.skip(str(error))
    made = []

    def sandbox(workers):
        made.append(PolyglotSandbox(workers, level=reached))
        return made[-1]

    monkeypatch.setattr(stage, "PolyglotSandbox", sandbox)
    for floor in LEVELS:
        config = RLConfig(**settings, steps=1, min_level=floor, sampling=SamplingConfig(max_tokens=1))
        if LEVELS.index(floor) <= LEVELS.index(reached):
            asyncio.run(stage._open_sandbox(config).close())
            continue
        with pytest.raises(ConfigError, match=rf"reaches level '{reached}' .*min_level asks for '{floor}'.*doctor"):
            train(config)
        with pytest.raises(SandboxError, match="closed"):
            asyncio.run(made[-1].run("", [Call("f")], Limits()))
        assert not Path(config.run).exists()


class Endpoint(ScriptedEngine):
    """Gives texts alone, as an endpoint does."""

    exact = False


def test_an_engine_without_ids_of_its_own_is_refused(settings):
    def make(model, tokenizer, **_):
        return Endpoint(lambda request: "1", tokenizer)

    with pytest.raises(ConfigError, match=r"Endpoint does not report the ids it sampled .* wanted an exact engine"):
        open_stage(RLConfig(**settings), Silent(), (), make_engine=make)


@pytest.mark.parametrize("command", ["sft", "preference", "diffusion"])
def test_a_file_that_answers_the_reported_tasks_is_refused(command, workshop, settings, capsys):
    """Its rows say in `meta` which task they are of, as `verigrad mine` and `verigrad label` write them."""
    rows = [
        {"prompt": f"Say {n}.", "completion": "7", "label": n == 7, "meta": {"task_id": f"say@1/{n}"}} for n in (1, 7)
    ]
    (workshop / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    own = {"run": settings["run"], "model": settings["model"], "data": workshop / "answers.jsonl"}
    own |= {"dtype": "float32", "device": "cpu", "max-length": 128, "epochs": 1, "report.max-tokens": 4}
    own["report.splits.held_out"] = f"{workshop}/my.py:held_out"
    own |= {"loss": "kto"} if command == "preference" else {}
    assert main([command, *(word for key, value in own.items() for word in (f"--{key}", str(value)))]) == 1
    assert "1 tasks are in both training and held_out, such as 'say@1/7'" in capsys.readouterr().err


OUT_OF_RANGE = {
    "rl": {
        "sampling.max-tokens": "0",
        "sampling.top-p": "0",
        "sampling.top-k": "-1",
        "optim.learning-rate": "nan",
        "optim.beta2": "1",
        "optim.max-grad-norm": "0",
        "optim.warmup-steps": "-1",
        "lora.rank": "-1",
        "lora.alpha": "0",
        "report.samples": "0",
        "report.temperature": "inf",
        "critic.gamma": "1.5",
        "audit.window": "0",
        "workers": "0",
        "slots": "0",
        "threads": "-1",
        "max-length": "1",
        "token-budget": "0",
        "keep-checkpoints": "0",
        "steps": "-1",
        "tasks-per-step": "0",
        "passes": "0",
        "kl-coef": "-0.1",
        "word-dropout": "2",
    },
    "sft": {"epochs": "0", "batch-size": "0", "fim": "1.5", "rename": "-1"},
    "diffusion": {"epochs": "0", "batch-size": "0", "noise.draws": "0", "canvas": "-1"},
    "preference": {"epochs": "0", "batch-size": "0", "records-per-task": "-1"},
    "reward-model": {"epochs": "0", "batch-size": "0"},
}


@pytest.mark.parametrize(
    ("command", "key", "value"),
    [(command, key, value) for command, own in OUT_OF_RANGE.items() for key, value in own.items()],
)
def test_what_is_out_of_range_is_said_before_anything_is_loaded(command, key, value, tmp_path, capsys):
    data = [] if command == "rl" else ["--data", "nowhere.jsonl"]
    assert main([command, *data, "--run", str(tmp_path / "run"), f"--{key}={value}"]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"verigrad {command}: ") and told.count("\n") == 1
    assert f"{key.replace('-', '_')} " in told and "wanted " in told


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["rl", "--sampling.max-tokens", "1024"], "sampling.max_tokens is 1024 and max_length 1024"),
        (
            ["sft", "--data", "x", "--report.validation", "humaneval", "--report.max-tokens", "2048"],
            "report.max_tokens is 2048 and max_length 1024",
        ),
        (
            ["sft", "--data", "x", "--report.splits.x", "humaneval", "--max-length", "64"],
            "sampling.max_tokens is 96 and max_length 64",
        ),
    ],
)
def test_completions_that_would_be_cut_short_in_silence_are_refused(words, says, capsys):
    assert main(words) == 1
    assert says in capsys.readouterr().err


def test_what_samples_nothing_needs_no_room_for_it():
    assert SFTConfig(data="x", max_length=64).max_length < SFTConfig.sampling.max_tokens


def test_a_home_folder_that_no_shell_filled_in_is_refused(capsys):
    assert main(["rl", "--run=~/runs/x"]) == 1
    assert "run is '~/runs/x', which no shell has replaced" in capsys.readouterr().err


@pytest.mark.parametrize("named", ["tasks", "report.validation", "report.splits.own"])
@pytest.mark.parametrize("form", ["jsonl:{}?limit=3", "{}", "{}:load"])
def test_a_run_is_not_resumed_on_other_tasks(tmp_path, named, form):
    file = tmp_path / "own.jsonl"
    file.write_text("1\n")
    source = form.format(file)
    report = ReportConfig(
        validation=source if named == "report.validation" else "builtin?split=validation",
        splits={"own": source} if named == "report.splits.own" else {},
    )
    config = RLConfig(run=str(tmp_path / "run"), dtype="float32", report=report)
    config = replace(config, tasks=source) if named == "tasks" else config
    open_run(config, resume=False)[0].close()
    open_run(config, resume=True)[0].close()
    file.write_text("2\n")
    with pytest.raises(RunError, match=f"the content of {named} has changed since"):
        open_run(config, resume=True)
