"""The command line: quick help, readable errors, and the commands on real input."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from evaluation.made_up import make_reward_model_run

from verigrad.cli import doctor
from verigrad.cli.main import COMMANDS, main
from verigrad.sandbox.base import LEVELS


def run(*words):
    return subprocess.run([sys.executable, "-m", "verigrad.cli.main", *words], capture_output=True, text=True)


@pytest.mark.parametrize("command", ["--help", *(f"{name} --help" for name in COMMANDS)])
def test_help_needs_no_torch(command):
    script = (
        "import sys\nfrom verigrad.cli.main import main\n"
        f"try:\n    status = main({command.split()!r})\nexcept SystemExit as end:\n    status = end.code\n"
        "assert not status and not {'torch', 'transformers'} & set(sys.modules), status"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert "usage: verigrad" in found.stdout


@pytest.mark.parametrize("words", [["quickstart", "--help"], ["rl", "quickstart", "-h"]])
def test_help_on_a_recipe_tells_its_values(words, capsys):
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "quickstart.toml" in told
    rate = next(line for line in told.splitlines() if line.split()[:1] == ["--optim.learning-rate"])
    assert "3e-05" in rate  # of the recipe; the default is 1e-5


def test_help_without_a_recipe_tells_the_defaults(capsys):
    assert main(["rl", "--help"]) == 0
    told = capsys.readouterr().out
    assert "usage: verigrad rl [RECIPE]" in told and "1e-05" in told


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["evall"], "did you mean 'eval'"),
        (["rl", "--learning-rat", "1"], "unknown setting --learning-rat"),
        (["rl", "quikstart"], "did you mean 'quickstart'"),
        (["rl", "--group-size", "1"], "at least 2 completions"),
        (["rl", "--sampling.temperature", "0"], "greedy"),
        (["rl", "--engine", "vllm"], "engine is 'vllm', and rl samples with 'local' alone"),
        (["sft"], "exactly one of tasks"),
        (["judge", "--tasks", "humanevil", "--input", "x", "--output", "y"], "did you mean 'humaneval"),
        (["eval", "--tasks", "humaneval", "--k", "5"], "greedy samples"),
        (["eval", "--tasks", "humaneval", "--limit", "-1"], "--limit is -1; wanted 1 or more tasks"),
        (["rl", "--report.splits.a/x", "humaneval"], "report.splits has 'a/x'"),
        (["inspect", "/nowhere"], "no run folder"),
        (["rl", "rlhf"], "is a pipeline of several commands; run it with `verigrad pipeline rlhf`"),
        (["rl", "mastery"], "sets batch_size, epochs, which rl does not have; it is for `verigrad sft`"),
        (["sweep", "mbpp-sft", "--dry-run"], "epochs, which rl does not have; it is for `verigrad sft`"),
        (["sample", "hello", "--model", "runs/no/model"], "no model at 'runs/no/model': wanted a folder"),
        (
            ["sample", "hello", "--model", "smollm2-135-instruct"],
            "on this machine (did you mean 'smollm2-135m-instruct'?)",
        ),
        (["check", "reward", "my.py"], "name the reward in it too, as 'my.py:NAME'"),
        (
            ["check", "tasks", "examples/own_tasks.py"],
            "name the task source in it too, as 'examples/own_tasks.py:NAME'",
        ),
        (["check", "tasks", "examples/own_tasks.py:load?split=test"], "unknown split 'test'; known: train, validation"),
        (["check", "tasks", "examples"], "a file of tasks ends in .jsonl"),
        (["check", "tasks", "{}/none.jsonl"], "none.jsonl' has no tasks"),
        (["eval", "--tasks", "{}/none.jsonl", "--model", "gold"], "none.jsonl' has no tasks"),
    ],
)
def test_errors_say_how_to_go_on(words, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(Path(__file__).parents[2])
    (tmp_path / "none.jsonl").write_text("")
    assert main([word.replace("{}", str(tmp_path)) for word in words]) in (1, 2)
    assert says in capsys.readouterr().err


def test_a_dry_run_prints_every_setting(capsys):
    assert main(["rl", "quickstart", "--dry-run", "--optim.learning-rate", "3e-6"]) == 0
    printed = capsys.readouterr().out
    assert "learning_rate = 3e-06" in printed
    assert "memory: about" in printed and "M parameters" in printed


def test_judge_reads_programs_and_completions(tmp_path, capsys):
    rows = [
        {"task_id": "HumanEval/0", "program": "def has_close_elements(numbers, threshold):\n    return False\n"},
        {"task_id": "HumanEval/2", "completion": "    return number % 1.0\n"},
        {"task_id": "humaneval@1/2", "completion": "    return number +"},
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["judge", "--tasks", "humaneval", "--input", f"{tmp_path}/in.jsonl", "--output", f"{tmp_path}/out.jsonl"]
    assert main(words) == 0
    verdicts = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [verdict["status"] for verdict in verdicts] == ["failed", "passed", "syntax_error"]
    for verdict in verdicts:
        assert verdict.keys() >= {"task_id", "status", "passed", "total", "level", "violations", "results"}
    assert "1 of 3 passed" in capsys.readouterr().out


def test_eval_passes_humanevals_own_solutions(tmp_path, capsys):
    assert main(["eval", "--tasks", "humaneval", "--model", "gold"]) == 0
    assert "passed 164" in capsys.readouterr().out


def test_check_tasks_finds_what_is_unsound(tmp_path, capsys):
    assert main(["check", "tasks", "builtin?split=unseen_families&difficulty=easy&instances=1"]) == 0
    assert "17 of 17 tasks sound" in capsys.readouterr().out
    (tmp_path / "my.py").write_text(
        "from verigrad import CallTest, Oracle, Task\nfrom verigrad.tasks.base import TaskSet\n"
        "def load():\n"
        "    task = Task(id='weak@1/0', prompt='p', entry_point='f')\n"
        "    oracle = Oracle(task_id=task.id, tests=(CallTest('a', (1,), 0),), gold='def f(x): return 0')\n"
        "    return TaskSet('weak', (task,), {task.id: oracle}, {})\n"
    )
    assert main(["check", "tasks", f"{tmp_path}/my.py:load"]) == 1
    printed = capsys.readouterr().out
    assert "weak@1/0: the constant program 0 passes" in printed
    assert "0 of 1 tasks sound" in printed
    # `return not 0` is True, which is not the int 0, and `return 1` is wrong too.
    assert "0 of 2 gold programs with one change pass all the same" in printed


@pytest.mark.parametrize("reward", ["tests", "fraction"])
def test_check_reward(reward, capsys):
    assert main(["check", "reward", reward]) == 0
    assert "10 of 10 checks hold" in capsys.readouterr().out


def test_check_reward_catches_a_reward_that_pays_for_form(tmp_path, capsys):
    (tmp_path / "my.py").write_text(
        "from verigrad.rewards.controls import syntax\nfrom verigrad.rewards.tests import CHECKS\n"
    )
    assert main(["check", "reward", f"{tmp_path}/my.py:syntax"]) == 1
    assert "FAIL constant" in capsys.readouterr().out


def test_what_is_wrong_with_ones_own_file_is_one_line(tmp_path, capsys):
    (tmp_path / "mine.py").write_text("def fn(task):\n    return = 1\n")
    assert main(["check", "reward", f"{tmp_path}/mine.py:fn"]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"verigrad check: cannot load {tmp_path}/mine.py, line 2: SyntaxError: invalid syntax")
    assert told.count("\n") == 1


def test_doctor_names_the_sandbox_level(capsys):
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    (level,) = re.findall(r"^sandbox +level (\w+):", printed, re.MULTILINE)
    stronger = re.findall(r"^ +level (\w+) is out of reach: .", printed, re.MULTILINE)
    assert sorted([level, *stronger]) == sorted(LEVELS[LEVELS.index(level) :])
    assert "torch" in printed


def test_doctor_tells_what_every_extra_is_for_and_what_it_lacks(monkeypatch):
    """Every extra of pyproject.toml, but `dev`, which is for those who work on verigrad itself."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    extras = {name: asked for name, asked in project["optional-dependencies"].items() if name != "dev"}
    there = {}

    def versions(name):
        if name in there:
            return there[name]
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "version", versions)
    told = dict(doctor._extras())
    assert told.keys() == extras.keys()
    for name, asked in extras.items():
        _, lacking, command = re.fullmatch(r"(.*): not installed: (.*) \((.*)\)", told[name]).groups()
        assert set(lacking.split(", ")) == {re.match(r"[\w-]+", text)[0] for text in asked}
        assert command == f"pip install 'verigrad[{name}]'"
    there.update(starlette="0.1", pygments="99", datasets="99")
    told = dict(doctor._extras())
    assert ": not installed: starlette>=0.40 (0.1 is there), uvicorn (pip" in told["label"]
    assert told["datasets"].endswith(": installed")


def test_inspect_knows_reward_models(tmp_path, capsys):
    folder = make_reward_model_run(tmp_path / "run")
    assert main(["inspect", str(folder)]) == 0
    printed = " ".join(capsys.readouterr().out.split())  # lines are as wide as the folder's name lets them
    assert "25 steps" in printed and "held out: pair_accuracy 0.6" in printed
    assert "validation after step 10: pair_accuracy 0.5, auc 0.5" in printed
    assert main(["inspect", str(folder), "--report"]) == 0
    assert "Does it put answers in the right order?" in (folder / "report.html").read_text()


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_nobody_reads_on_ends_the_command_quietly(unbuffered):
    """As in `verigrad --help | head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with os.fdopen(writer) as output:
        command = [sys.executable, "-m", "verigrad", "--help"]
        done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, env=environment, check=False)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize(
    ("begins", "says"), [(False, "nothing was begun"), (True, "to go on: verigrad rl --resume --run '{}'")]
)
def test_an_interrupted_run_says_how_to_go_on(begins, says, tmp_path, monkeypatch, capsys):
    def interrupted(config, **_):
        if begins:
            Path(config.run).mkdir()
            (Path(config.run) / "config.toml").write_text("")
        raise KeyboardInterrupt

    monkeypatch.setattr("verigrad.cli.train.load_attribute", lambda _: interrupted)
    run = tmp_path / "my run"
    assert main(["quickstart", "--run", str(run)]) == 130
    assert capsys.readouterr().err == f"\nverigrad quickstart: interrupted; {says.format(run)}\n"


def test_an_interrupted_command_that_cannot_be_resumed_promises_nothing(tmp_path, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("verigrad.cli.evaluate.load_source", interrupted)
    assert main(["eval", "--tasks", "humaneval"]) == 130
    assert capsys.readouterr().err == "\nverigrad eval: interrupted\n"


def test_with_a_file_of_samples_the_same_evaluation_goes_on(tmp_path, monkeypatch, capsys):
    async def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("verigrad.cli.evaluate._evaluate", interrupted)
    monkeypatch.setattr("verigrad.cli.evaluate.model_stamp", lambda _: "")
    assert main(["eval", "--tasks", "humaneval", "--samples", str(tmp_path / "out.jsonl")]) == 130
    assert capsys.readouterr().err == "\nverigrad eval: interrupted; the same command goes on\n"


def test_a_folder_with_a_run_is_refused_before_torch_is_loaded(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.toml").write_text("")
    script = (
        "import sys\nfrom verigrad.cli.main import main\n"
        f"assert main(['rl', '--run', {str(tmp_path / 'run')!r}]) == 1\n"
        f"assert main(['rl', '--run', {str(tmp_path / 'nowhere')!r}, '--resume']) == 1\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert "already holds a run; continue it with --resume" in found.stderr and "nothing to resume at" in found.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["rl", "--reward", "test"], "unknown reward 'test' (did you mean 'tests'?)"),
        (["rl", "--algorithm", "sapo", "--options.tau", "1"], "has no option 'tau'"),
        (["preference", "--data", "x", "--loss", "dppo"], "unknown preference loss 'dppo'"),
        (["preference", "--tasks", "x", "--miner", "best_of_m"], "unknown miner 'best_of_m'"),
    ],
)
def test_a_dry_run_looks_up_what_settings_name(words, says, capsys):
    assert main([*words, "--dry-run"]) == 1
    assert says in capsys.readouterr().err


def test_a_recipe_behind_settings_is_told_its_place(capsys):
    assert main(["rl", "--steps", "3", "quickstart"]) == 1
    assert "a recipe comes first" in capsys.readouterr().err


ROLLOUT = {
    "task_id": "own@1[/b]",
    "sample": 0,
    "status": "failed",
    "reward": 0.0,
    "tokens": 9,
    "prompt": "Größer → [i]:end:[/i] " + "word " * 40,
    "program": None,
    "completion": ":on: [/x]",
    "results": [{"name": "[/y]", "status": "failed", "detail": "got :sos:"}],
}


def run_folder(folder, metrics=""):
    (folder / "rollouts").mkdir(parents=True)
    (folder / "config.toml").write_text('algorithm = "grpo"\n')
    (folder / "metrics.jsonl").write_text(metrics)
    (folder / "rollouts" / "step-000001.jsonl").write_text(json.dumps(ROLLOUT) + "\n")
    return folder


def test_inspect_shows_texts_as_they_are(tmp_path, capsys):
    assert main(["inspect", str(run_folder(tmp_path / "[run]")), "--step", "1"]) == 0
    printed = capsys.readouterr().out
    assert ROLLOUT["prompt"] in printed and ROLLOUT["completion"] in printed
    assert "own@1[/b] #0" in printed and "failed [/y] got :sos:" in printed


@pytest.mark.parametrize(
    ("metrics", "steps"), [("", 0), ('{"step": 1, "kind": "train", "loss": 0.5}\n{"step": 2, "ki', 1)]
)
def test_inspect_takes_a_run_that_has_just_begun_or_was_killed(metrics, steps, tmp_path, capsys):
    assert main(["inspect", str(run_folder(tmp_path / "run", metrics))]) == 0
    printed = capsys.readouterr().out
    assert f"run: {steps} steps" in " ".join(printed.split()) and ("1 unreadable line" in printed) == bool(metrics)


def test_inspect_names_the_steps_whose_rollouts_are_kept(tmp_path, capsys):
    folder = run_folder(tmp_path / "run")
    assert main(["inspect", str(folder), "--step", "7"]) == 1
    assert capsys.readouterr().err.endswith("no rollouts of step 7 were kept; kept are those of: 1\n")


def test_inspect_tells_which_statuses_there_are(tmp_path, capsys):
    folder = run_folder(tmp_path / "run")
    assert main(["inspect", str(folder), "--step", "1", "--status", "fail"]) == 1
    assert "no rollout of step 1 has the status 'fail'; there are: failed 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "tells"),
    [
        (
            "eval",
            ["completion tokens at most (default: 512)", "0 is greedy (default: 0.0)", "(default: the largest k)"],
        ),
        ("retest", ["tokens at most (default: 256)", "0 is greedy (default: 0.8)", "folder or hub id (default: smol"]),
        ("mine", ["(default: pass_fail)", "(default 8; 0: all)"]),
    ],
)
def test_help_of_options_tells_their_defaults(command, tells, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert all(part in text for part in tells) and "None)" not in text and "[])" not in text


def test_a_locale_without_a_letter_ends_no_command(tmp_path):
    words = [sys.executable, "-m", "verigrad", "inspect", str(run_folder(tmp_path / "run")), "--step", "1"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    found = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert found.returncode == 0, found.stderr
    assert "Gr??er ? [i]:end:[/i]" in found.stdout


@pytest.mark.parametrize(("begun", "words"), [(False, ""), (True, " --resume")])
def test_make_quickstart_goes_on_with_what_it_began(begun, words, tmp_path):
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    tools, run = tmp_path / "tools", tmp_path / "run"
    (tools / "bin").mkdir(parents=True)
    run.mkdir()
    (tools / "bin" / "verigrad").write_text('#!/bin/sh\necho "verigrad $*"\n')
    (tools / "bin" / "verigrad").chmod(0o755)
    (tools / "ready").touch()
    if begun:
        (run / "config.toml").touch()
    command = [make, "-s", "-C", str(Path(__file__).parents[2]), "quickstart", f"VENV={tools}", f"RUN={run}"]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.stdout == f"verigrad quickstart --run {run}{words}\n", found.stderr


@pytest.mark.parametrize("command", ["judge", "check", "eval"])
def test_no_worker_is_none_too_few(command, tmp_path, capsys):
    words = {
        "judge": ["--tasks", "humaneval", "--input", "-", "--output", str(tmp_path / "out.jsonl")],
        "check": ["tasks", "humaneval"],
        "eval": ["--tasks", "humaneval", "--model", "gold"],
    }
    assert main([command, *words[command], "--workers", "0"]) == 1
    assert capsys.readouterr().err == f"verigrad {command}: workers is 0; wanted 1 or more programs at once\n"


def test_a_run_is_no_model_but_has_one(tmp_path, capsys):
    (tmp_path / "run" / "model").mkdir(parents=True)
    (tmp_path / "run" / "model" / "config.json").write_text("{}")
    assert main(["sample", "hello", "--model", str(tmp_path / "run")]) == 1
    assert f"no model at '{tmp_path}/run' (did you mean '{tmp_path}/run/model'?)" in capsys.readouterr().err
