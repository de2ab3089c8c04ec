"""The scripts in examples/ run, print what they promise, and go together with the command line."""

import ast
import re
import runpy
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path

import pytest
from loops import train_metrics
from test_docs import commands, settings_of
from tiny import tiny_model

from verigrad.algorithms.presets import PRESETS
from verigrad.models.checkpoint import save_model
from verigrad.registry import resolve
from verigrad.rewards import REWARDS
from verigrad.tasks import load_tasks
from verigrad.training.config import OptimConfig, ReportConfig, RLConfig, SamplingConfig
from verigrad.training.options import with_options
from verigrad.training.rl import train

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))


@pytest.fixture
def output_of(capsys):
    """Lines that a script prints, run as one, in this process: to load torch anew takes longer than most of them."""

    def run(name):
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out.splitlines()

    return run


def test_own_tasks_are_sound_in_both_splits(output_of):
    lines = output_of("own_tasks.py")
    assert len(lines) == 16 and all(": sound (" in line for line in lines)


def test_the_splits_of_own_tasks_share_nothing_and_what_is_shown_is_not_hidden():
    one, other = (load_tasks(f"{EXAMPLES}/own_tasks.py:load?split={split}") for split in ("train", "validation"))
    assert not one.oracles.keys() & other.oracles.keys()
    assert not {task.prompt for task in one.tasks[::2]} & {task.prompt for task in other.tasks[::2]}
    for task in one.tasks:
        assert not any(test in one.oracle(task).tests for test in task.public_tests)


def test_own_reward_keeps_its_checks(output_of):
    lines = output_of("own_reward.py")
    assert lines[0] == "gold: 1.2 ok" and len(lines) == 10 and all(line.endswith(" 0.0 ok") for line in lines[1:])


def test_own_algorithm_keeps_the_right_answers_apart(output_of):
    lines = output_of("own_algorithm.py")
    (rate, entropy), (own_rate, own_entropy) = (map(float, re.findall(r"(\d\.\d\d)(?:,| of)", line)) for line in lines)
    assert rate > 0.95 and own_rate > 0.95
    assert entropy < 0.5 and own_entropy > 1.0  # of log 4 = 1.39, which the uniform start has


def test_by_hand_judges_scores_and_learns(output_of):
    lines = output_of("by_hand.py")
    assert [re.sub(r"^'.*': ", "", line) for line in lines[:3]] == [
        "passed, 2 of 2 tests passed",
        "failed, 1 of 2 tests passed",
        "crashed, 0 of 2 tests passed",
    ]
    assert lines[3].endswith(": below 1e-4 nats")
    rewards = [float(line.rpartition(" ")[2]) for line in lines[4:]]
    assert rewards[0] < 0.2 and rewards[-1] > 0.9


@pytest.fixture
def trained(tmp_path):
    """The folder of a run of one step on a tiny model, with all three of one's own."""
    save_model(*tiny_model("llama"), tmp_path / "model")
    config = RLConfig(
        run=str(tmp_path / "run"),
        model=str(tmp_path / "model"),
        tasks=f"{EXAMPLES}/own_tasks.py:load?count=2",
        reward=f"{EXAMPLES}/own_reward.py:plain",
        algorithm=f"{EXAMPLES}/own_algorithm.py:WEIGHTED",
        dtype="float32",
        device="cpu",
        steps=1,
        tasks_per_step=2,
        group_size=2,
        optim=OptimConfig(warmup_steps=0),
        sampling=SamplingConfig(max_tokens=4),
        report=ReportConfig(splits={"held_out": f"{EXAMPLES}/own_tasks.py:load?split=validation&count=2"}),
        threads=1,
    )
    return train(config)


def test_all_three_go_together_in_the_loop(trained):
    """No answer of random weights passes, so that a group estimator has nothing to learn; this algorithm does."""
    (row,) = train_metrics(trained)
    assert row["reward"] == 0 and row["signal_groups"] == 0 and row["grad_norm"] > 0


def test_the_quickstart_page_says_what_is_in_a_run_folder(trained):
    page = (EXAMPLES.parent / "docs" / "quickstart.md").read_text()
    (table,) = re.findall(r"^\| in `runs/quickstart/` .*?\n\n", page, re.MULTILINE | re.DOTALL)
    told = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)
    found = {path.name + "/" * path.is_dir() for path in trained.iterdir()}
    assert {name for name in found if not any(fnmatch(name, pattern) for pattern in told)} == set()
    optional = set() if find_spec("tensorboard") else {"events.out.tfevents.*"}
    assert {pattern for pattern in told if not any(fnmatch(name, pattern) for name in found)} == optional


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_the_commands_on_a_script_are_ones_that_work(script, monkeypatch):
    monkeypatch.chdir(EXAMPLES.parent)
    text = ast.get_docstring(ast.parse(script.read_text()))
    found = commands(text)
    assert found or f"python examples/{script.name}" in text
    for words in found:
        if words[0] == "rl":
            settings = settings_of(words)
            with_options(resolve(settings.algorithm, PRESETS, what="algorithm"), settings.options)
            assert load_tasks(settings.tasks).tasks
            resolve(settings.reward or "tests", REWARDS, what="reward")
        else:
            assert words[0] == "check" and words[2].startswith(f"examples/{script.name}:")
