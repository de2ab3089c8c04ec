"""A pipeline does each stage once, goes on after a kill, and says what is wrong with its file."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from programs import program_model

from verigrad.cli.main import main
from verigrad.cli.train import recipe_path
from verigrad.errors import ConfigError, RunError
from verigrad.training import pipeline
from verigrad.training.pipeline import overview, read_pipeline, run_pipeline

FILE = """
[values]
steps = 3

[[stage]]
name = "rl"
command = ["rl", "--run", "{{run}}/rl", "--model", "{model}", "--tasks", "{my}:load", "--reward", "{my}:ascii_share",
    "--dtype", "float32", "--device", "cpu", "--tasks-per-step", "3", "--group-size", "4", "--max-length", "128",
    "--sampling.max-tokens", "8", "--steps", "{{steps}}", "--checkpoint-every", "1", "--seed", "{{seed}}"]
makes = "{{run}}/rl/summary.json"

[[stage]]
name = "again"
command = ["rl", "--run", "{{run}}/again", "--model", "{{run}}/rl/model", "--tasks", "{my}:load",
    "--reward", "{my}:ascii_share", "--dtype", "float32", "--device", "cpu", "--tasks-per-step", "3",
    "--group-size", "4", "--max-length", "128", "--sampling.max-tokens", "8", "--steps", "2"]
makes = "{{run}}/again/summary.json"
"""


@pytest.fixture
def file(workshop):
    path = workshop / "two.toml"
    path.write_text(FILE.format(model=workshop / "model", my=workshop / "my.py"))
    return path


def test_stages_run_once_and_in_order(file, workshop):
    stages = read_pipeline(file, {"run": str(workshop / "p"), "steps": "1"})
    record = json.loads(run_pipeline(stages).read_text())["stages"]
    assert list(record) == ["rl", "again"]
    assert record["rl"]["summary"]["steps"] == 1 and record["again"]["summary"]["steps"] == 2
    written = {stage.makes: stage.makes.stat().st_mtime_ns for stage in stages.stages}
    run_pipeline(stages)
    assert written == {path: path.stat().st_mtime_ns for path in written}
    assert [line.split(":")[0] for line in overview(record)] == ["rl", "again"]


def test_other_values_in_an_old_folder_are_refused(workshop):
    """Whether its stage is done or only begun; a stage that left nothing may be mended."""
    path, run = workshop / "p.toml", workshop / "p"
    text = '[values]\nnoise = 0.1\n[[stage]]\nname = "x"\ncommand = ["doctor", "--noise", "{noise}"]\n'
    path.write_text(text + f'makes = "{run}/sft/summary.json"\n')
    with pytest.raises(RunError, match="stage 'x' failed"):
        run_pipeline(read_pipeline(path, {"run": str(run)}))
    with pytest.raises(RunError, match="stage 'x' failed"):
        run_pipeline(read_pipeline(path, {"run": str(run), "noise": "0.3"}))
    (run / "sft").mkdir()
    (run / "sft" / "config.toml").write_text("")
    with pytest.raises(RunError, match=r"with other values; stage 'x': --noise 0\.3 -> 0\.2\. Its stages"):
        run_pipeline(read_pipeline(path, {"run": str(run), "noise": "0.2"}))
    record = json.loads((run / "pipeline.json").read_text())
    assert record["values"]["noise"] == "0.3" and record["stages"]["x"]["makes"] == "sft/summary.json"


HALF = """
[values]
noise = 0.0

[[stage]]
name = "annotate"
command = ["label", "{run}/samples.jsonl", "--folder", "{run}/labels", "--judge", "simulated", "--noise", "{noise}"]
makes = "{run}/labels/MAKES"
"""


@pytest.mark.parametrize("makes", ["annotations.jsonl", "never.jsonl"])
@pytest.mark.parametrize("failed", [True, False])
def test_a_stage_that_is_half_done_goes_on_with_its_own_values(tmp_path, makes, failed):
    """`pipeline.json` and labels are as an end in the middle of the stage leaves them.

    What it makes may be there by then or not; only where it is not, and the stage failed by itself, another value fits.
    """
    run, path = tmp_path / "p", tmp_path / "p.toml"
    (run / "labels").mkdir(parents=True)
    answers = [
        {"task_id": "t", "prompt": "p", "completion": text, "score": score} for text, score in (("a", 1), ("b", 0))
    ]
    (run / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in answers))
    path.write_text(HALF.replace("MAKES", makes))
    first = read_pipeline(path, {"run": str(run)})
    row = {"command": list(first.stages[0].command), "makes": f"labels/{makes}", **({"failed": True} if failed else {})}
    (run / "pipeline.json").write_text(json.dumps({"values": dict(first.values), "stages": {"annotate": row}}))
    (run / "labels" / "annotations.jsonl").write_text("")
    mendable = failed and makes == "never.jsonl"
    says = "did not make" if mendable else r"--noise 0\.0 -> 1\.0"
    with pytest.raises(RunError, match=says):
        run_pipeline(read_pipeline(path, {"run": str(run), "noise": "1.0"}))
    assert (run / "labels" / "annotations.jsonl").read_text().count('"choice"') == mendable


@pytest.mark.parametrize(
    ("last", "says"),
    [
        ('["sft", "--tasks", "humaneval", "--epochz", "2"]', "stage 'last': unknown setting --epochz"),
        ('["mine", "a.jsonl", "--out", "b.jsonl", "--miner", "best_of_m"]', "stage 'last': unknown miner 'best_of_m'"),
        ('["label", "a.jsonl", "--nois", "1"]', "stage 'last': its words are wrong, as said above"),
        ('["lable", "a.jsonl"]', "stage 'last': unknown command 'lable' (did you mean 'label'?)"),
        ("[]", "stage 'last': unknown command ''"),
    ],
)
def test_wrong_words_of_the_last_stage_are_told_before_the_first_begins(tmp_path, capsys, last, says):
    stage = '[[stage]]\nname = "{}"\ncommand = {}\nmakes = "{{run}}/x.jsonl"\n'
    (tmp_path / "p.toml").write_text(stage.format("first", '["doctor"]') + stage.format("last", last))
    assert main(["pipeline", str(tmp_path / "p.toml"), "--run", str(tmp_path / "run")]) == 1
    told = capsys.readouterr()
    assert says in told.err and "stage 1" not in told.out and not (tmp_path / "run").exists()


RULES = {"double": "n * 2", "triple": "n * 3", "seven": "n + 7", "same": "n", "less": "n - 1", "square": "n * n"}
PIECES = tuple(f"    return {rule}\n" for rule in RULES.values())
RULE_TASKS = f"""
from verigrad import CallTest, Oracle, Task
from verigrad.tasks.base import TaskSet

RULES = {RULES}


def asked(*words):
    tasks, oracles = [], {{}}
    for name, rule in RULES.items():
        for word in words:
            id_, gold = f"rule@1/{{word}}-{{name}}", f"def f(n):\\n    return {{rule}}\\n"
            tests = tuple(CallTest(str(n), (n,), eval(rule, {{"n": n}})) for n in (3, 5, -4))
            tasks.append(Task(id=id_, prompt=f"{{word}} {{name}}", entry_point="f", stub="def f(n):\\n"))
            oracles[id_] = Oracle(task_id=id_, tests=tests, gold=gold)
    return TaskSet("rule@1", tuple(tasks), oracles, {{}})


def load():
    return asked("give", "return")


def unseen():
    return asked("find")
"""


def guessing_model(folder):
    """A model that has learned to answer with one of six programs, but not which one a prompt wants."""
    words = [*RULES, "give", "return", "find", "n", "*", "+", "-", "1", "2", "3", "7", "def", "f(n):"]
    model, tokenizer = program_model(PIECES, words, seed=0)
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": "find same"}], add_generation_prompt=True)[
        "input_ids"
    ]
    ends = [[tokenizer.convert_tokens_to_ids(piece), tokenizer.eos_token_id] for piece in PIECES]
    rows = torch.tensor([prompt + end for end in ends])
    labels = rows.masked_fill(torch.arange(rows.shape[1]) < len(prompt), -100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        model(input_ids=rows, labels=labels).loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_rlhf_recipe_runs_all_its_stages_from_a_tiny_model_and_goes_on(tmp_path):
    guessing_model(tmp_path / "model")
    (tmp_path / "rules.py").write_text(RULE_TASKS)
    tasks, run = f"{tmp_path}/rules.py:load", tmp_path / "run"
    words = ["--run", str(run), "--seed", "1", "--model", str(tmp_path / "model"), "--tasks", tasks]
    words += ["--demonstrations", tasks, "--unseen", f"{tmp_path}/rules.py:unseen", "--tokens", "2", "--noise", "0"]
    command = [sys.executable, "-m", "verigrad", "pipeline", "rlhf", *words]
    subprocess.run(command, check=True)
    record = json.loads((run / "pipeline.json").read_text())["stages"]
    assert list(record) == [
        *("sft", "samples", "annotate", "pairs", "reward_model", "policy", "passing", "rejection_sampling"),
    ]
    samples = rows_of(run / "samples.jsonl")
    passed = {(row["prompt"], row["completion"]) for row in samples if row["status"] == "passed"}
    assert len(samples) == 12 * 6 and passed
    # Without noise the annotator prefers what passes more tests; the control is shown what passes all of them.
    pairs = [row["meta"] for row in rows_of(run / "pairs.jsonl")]
    assert pairs and all(pair["chosen_fraction"] > pair["rejected_fraction"] for pair in pairs)
    assert {(row["prompt"], row["completion"]) for row in rows_of(run / "passing.jsonl")} == passed
    assert "pair_accuracy" in record["reward_model"]["summary"]["held_out"]
    assert record["policy"]["summary"]["steps"] == 30
    starts = [
        record[name]["summary"]["splits"]["unseen_instances"]["before"]["pass@1"]
        for name in ("policy", "rejection_sampling")
    ]
    after = record["sft"]["summary"]["splits"]["unseen_instances"]["after"]["pass@1"]
    assert starts == [after, after], "both start from the demonstrated policy"
    again = subprocess.run(command, check=True, capture_output=True, text=True)
    assert again.stdout.count("done before") == 8


def rows_of(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_the_policy_of_the_rlhf_recipe_is_any_algorithm():
    stages = {
        name: {stage.name: stage.command for stage in read_pipeline(recipe_path("rlhf"), {"run": "r", **own}).stages}
        for name, own in (("grpo", {}), ("ppo", {"algorithm": "ppo"}))
    }
    for name, own in stages.items():
        assert own["policy"][own["policy"].index("--algorithm") + 1] == name
    assert {**stages["grpo"], "policy": ()} == {**stages["ppo"], "policy": ()}


@pytest.mark.slow
def test_a_killed_pipeline_goes_on_inside_its_stage(file, workshop):
    words = [sys.executable, "-m", "verigrad", "pipeline", str(file), "--run", str(workshop / "p"), "--steps", "40"]
    checkpoints = workshop / "p" / "rl" / "checkpoints"
    with subprocess.Popen(words, start_new_session=True, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while not list(checkpoints.glob("step-000003")) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    assert not (workshop / "p" / "rl" / "summary.json").exists()
    done = subprocess.run(words, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "resumed after step" in done.stdout + done.stderr
    rows = [json.loads(line) for line in (workshop / "p" / "rl" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 41))


def test_one_pipeline_at_a_time_in_a_folder_for_as_long_as_a_stage_of_it_lives(tmp_path, monkeypatch):
    path = tmp_path / "p.toml"
    path.write_text('[[stage]]\nname = "x"\ncommand = ["doctor", "--nothing"]\nmakes = "{run}/x"\n')
    stages, left = read_pipeline(path, {"run": str(tmp_path / "p")}), []

    def cut_short(_, lock):
        left.append(subprocess.Popen(["sleep", "60"], pass_fds=(lock,)))
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "_exit_status", cut_short)
        with pytest.raises(KeyboardInterrupt):
            run_pipeline(stages)
    with monkeypatch.context() as patched:
        patched.setattr(time, "monotonic", itertools.count(0, 100).__next__)
        with pytest.raises(RunError, match=r"a pipeline is at work in .*p; wait for it, or choose another --run"):
            run_pipeline(stages)
    (stage,) = left
    stage.kill()
    stage.wait()
    with pytest.raises(RunError, match="stage 'x' failed"):
        run_pipeline(stages)


def test_a_stage_that_fails_stops_the_pipeline(workshop):
    path = workshop / "bad.toml"
    path.write_text('[[stage]]\nname = "x"\ncommand = ["eval", "--tasks", "nothing"]\nmakes = "{run}/x"\n')
    with pytest.raises(RunError, match=r"stage 'x' failed with exit status 1"):
        run_pipeline(read_pipeline(path, {"run": str(workshop / "p")}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"has no \[\[stage\]\]"),
        ('[[stage]]\nname = "x"\nmakes = "y"\n', "wanted name, command"),
        ('[[stage]]\nname = "x"\ncommand = ["sft", "{modle}"]\nmakes = "y"\n', "cannot fill in 'modle'"),
        ('[[stage]]\nname = "x"\ncommand = ["sft"]\nmakes = "y"\n' * 2, "two stages have the same name"),
        ("stage = [", "cannot read the pipeline"),
        ("values = 3", r"values is 3; wanted a table"),
        ('stage = ["sft"]', r"has no \[\[stage\]\]"),
        ('[[stage]]\nname = "x"\ncommand = ["sft", "{run.x}"]\nmakes = "y"\n', "cannot fill in"),
    ],
)
def test_a_malformed_file_is_explained(workshop, text, message):
    path = workshop / "bad.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_pipeline(path, {"run": "r"})


def test_an_unknown_value_is_refused(file):
    with pytest.raises(ConfigError, match="has no value 'stepps'"):
        read_pipeline(file, {"run": "r", "stepps": "2"})


def test_a_file_that_is_no_text_is_explained(tmp_path):
    (tmp_path / "bad.toml").write_bytes(b"# \xff\n")
    with pytest.raises(ConfigError, match="cannot read the pipeline"):
        read_pipeline(tmp_path / "bad.toml", {"run": "r"})


STAGE = """
import signal, sys, time
from pathlib import Path


def tidy(*_):
    time.sleep(0.7)  # longer than a process that is in a hurry waits
    Path(sys.argv[1], "tidied").touch()
    sys.exit(130)


signal.signal(signal.SIGINT, tidy)
Path(sys.argv[1], "begun").touch()
time.sleep(60)
"""
PIPELINE = """
import os, signal, sys
from verigrad.training import pipeline

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had its children ignore it
pipeline._HEARD_S, pipeline._END_S = map(float, sys.argv[3:])
try:
    pipeline._exit_status([sys.executable, sys.argv[1], sys.argv[2]], os.open(os.devnull, os.O_RDONLY))
except KeyboardInterrupt:
    sys.exit(7)
"""


@pytest.mark.parametrize("whom", ["all", "pipeline"])
def test_an_interrupted_stage_tidies_up(whom, tmp_path):
    """A terminal interrupts the whole group of processes, other programs the pipeline alone."""
    (tmp_path / "stage.py").write_text(STAGE)
    words = [str(tmp_path / "stage.py"), str(tmp_path), "10" if whom == "all" else "0.1", "10"]
    with subprocess.Popen([sys.executable, "-c", PIPELINE, *words], start_new_session=True) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        if whom == "all":
            os.killpg(process.pid, signal.SIGINT)
        else:
            os.kill(process.pid, signal.SIGINT)
        assert process.wait(30) == 7
    assert (tmp_path / "tidied").exists()


def test_a_stage_that_does_not_end_when_interrupted_is_killed(tmp_path):
    (tmp_path / "stage.py").write_text(STAGE.replace("tidy)\n", "signal.SIG_IGN)\n"))
    words = [str(tmp_path / "stage.py"), str(tmp_path), "0.1", "0.1"]
    with subprocess.Popen([sys.executable, "-c", PIPELINE, *words], start_new_session=True) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "begun").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(30) == 7
    assert not (tmp_path / "tidied").exists()


def test_an_interrupted_pipeline_says_how_to_go_on(file, workshop, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "_exit_status", interrupted)
    assert main(["pipeline", str(file), "--run", str(workshop / "p")]) == 130
    assert capsys.readouterr().err == "\nverigrad pipeline: interrupted; the same command goes on\n"


def test_words_of_a_pipeline(file, workshop, capsys):
    """`--resume`, as other commands want it, changes nothing; values may stand behind an equals sign."""
    assert main(["pipeline", str(file), f"--run={workshop}/p", "--steps", "5", "--dry-run", "--resume"]) == 0
    assert f"rl --run {workshop}/p/rl" in (told := capsys.readouterr().out) and "--steps 5" in told
    for words, says in (
        ([str(file), "--steps"], "cannot read '--steps'; wanted --key value"),
        ([str(file), "5", "--steps"], "cannot read '5'; wanted --key value"),
        ([str(file), "--seeds", "0,1,0"], "--seeds is '0,1,0'; wanted each seed once"),
    ):
        assert main(["pipeline", *words]) == 1
        assert says in capsys.readouterr().err
    assert main(["pipeline", "--dry-run"]) == 2
