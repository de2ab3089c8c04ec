"""The command line: quick help, readable errors, and the commands on real input."""

import json
import os
import re
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
        (["inspect", "/nowhere"], "no run folder"),
    ],
)
def test_errors_say_how_to_go_on(words, says, capsys):
    assert main(words) in (1, 2)
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
