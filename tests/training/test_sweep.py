"""A sweep runs each run once, goes on after a kill, records what fails, and tunes a grid on validation alone."""

import fcntl
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from verigrad.cli.main import main
from verigrad.engines.denoise_params import DenoiseParams
from verigrad.errors import RunError
from verigrad.settings import to_toml
from verigrad.training.config import OptimConfig, ReportConfig, RLConfig, SamplingConfig, start_alike
from verigrad.training.rl import train
from verigrad.training.sweep import loop
from verigrad.training.sweep.loop import run_sweep
from verigrad.training.sweep.plan import Design, Plan, slug

CLOCK = {"seconds", "seconds_sampling", "tokens_per_second"}


def flags(settings, *extra):
    words = [word for key, value in settings.items() if key != "run" for word in (f"--{key}", str(value))]
    return [*words, "--sampling.max-tokens", "8", *extra]


def results(folder):
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


def rows(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def plan(tmp_path, overrides=(), **design):
    return Plan(Design(**design), tmp_path / "sweep", None, overrides)


# ------------------------------------------------------------------------------------------------- the plan


def test_every_combination_with_every_seed(tmp_path):
    made = plan(tmp_path, vary={"algorithm": ("grpo", "rloo"), "optim.learning_rate": ("1e-5", "1e-4")}, seeds=(0, 7))
    trials = list(made.reported_trials({slug(setting): {} for setting in made.settings()}))
    assert [trial.name for trial in trials] == [
        f"algorithm-{algorithm}--learning_rate-{rate}/seed-{seed}"
        for seed in (0, 7)
        for algorithm in ("grpo", "rloo")
        for rate in ("1e-5", "1e-4")
    ]
    config = made.config(trials[-1])
    assert (config.algorithm, config.optim.learning_rate, config.seed) == ("rloo", 1e-4, 7)
    assert config.run == str(tmp_path / "sweep" / trials[-1].name)


def test_a_grid_sees_no_reported_split_and_takes_its_share_of_the_steps(tmp_path):
    words = ["--report.validation", "humaneval", "--steps", "25", "--report.splits.mine", "mbpp"]
    made = plan(
        tmp_path, words, grid={"optim.learning_rate": ("1e-5", "3e-5")}, grid_steps=0.5, seeds=(4,), grid_seed=4
    )
    first, second = made.grid_trials({})
    config = made.config(second)
    assert first.name == "recipe/grid/learning_rate-1e-5"
    assert config.report.splits == {} and config.report.validation == "humaneval"
    assert (config.steps, config.optim.learning_rate, config.seed) == (13, 3e-5, 4)
    assert config.report.validate_every > config.steps  # the last step is always validated
    (reported,) = made.reported_trials({"recipe": {"optim.learning_rate": "3e-5"}})
    config = made.config(reported)
    assert config.report.splits == {"mine": "mbpp"}
    assert (config.steps, config.optim.learning_rate) == (25, 3e-5)


def test_a_grid_takes_its_share_of_whatever_makes_a_run_long(tmp_path):
    words = ["--report.validation", "humaneval", "--tasks", "humaneval", "--rounds", "6", "--epochs", "2"]
    made = plan(tmp_path, words, command="preference", grid={"optim.learning_rate": ("1e-5", "3e-5")}, grid_steps=0.5)
    config = made.config(made.grid_trials({})[0])
    assert (config.rounds, config.epochs) == (3, 2)


def test_names_of_folders_never_meet():
    assert slug({"a": "x/y"}) != slug({"a": "x-y"}) != slug({"a": "x?y"})
    assert slug({"a.rank": "1", "b.rank": "2"}) == "a.rank-1--b.rank-2"
    assert "/" not in slug({"tasks": "../../etc"})


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--vary", "algorithm=grpo,grpo"], "each once"),
        (["--vary", "algorithm"], "such as algorithm=grpo"),
        (["--vary", "algoritm=grpo,rloo"], "did you mean '--algorithm'"),
        (["--vary", "steps=1,one"], "wanted int"),
        (["--vary", "kl_coef=0.1,1e-1"], "are the same settings"),
        (["--vary", "seed=0,1"], "--seeds"),
        (["--vary", "report.splits.held_out=humaneval,mbpp"], "measured alike"),
        (["--grid", "report.validation-samples=1,4"], "measured alike"),
        (["--seeds", "0,x"], "whole numbers"),
        (["--run", "elsewhere"], "--out"),
        (["--grid", "kl_coef=0,1"], "set report.validation"),
        (["--vary", "kl_coef=0,1", "--grid", "kl_coef=0,1"], "one of the two"),
        (["--grid", "kl_coef=0,1", "--grid-steps", "2"], "at most 1"),
        (["--command", "reward-model", "--data", "x", "--grid", "epochs=1,2"], "held-out"),
        (["--vary", "algorithm=grpo,rlo"], "unknown algorithm 'rlo'"),
        (["--vary", "algorithm=grpo,rlo", "--dry-run"], "unknown algorithm 'rlo'"),
        (["--grid", "reward=tests,test", "--report.validation", "humaneval"], "unknown reward 'test'"),
        (["--command", "preference", "--data", "x", "--vary", "loss=dpo,ippo"], "unknown preference loss 'ippo'"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(words, says, tmp_path, capsys):
    assert main(["sweep", "--out", str(tmp_path / "sweep"), *words]) == 1
    assert says in capsys.readouterr().err
    assert not (tmp_path / "sweep").exists()


def test_a_dry_run_lists_the_runs(tmp_path, capsys):
    words = ["--vary", "algorithm=grpo,rloo", "--seeds", "0,1", "--grid", "kl_coef=0,0.1", "--dry-run"]
    words += ["--report.validation", "humaneval"]
    assert main(["sweep", "quickstart", "--out", str(tmp_path / "s"), *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 8
    assert lines[1].split()[:4] == ["2", "of", "8", "waiting"] and lines[1].endswith("algorithm-grpo/grid/kl_coef-0.1")
    assert "algorithm-rloo/seed-1 (with what the grid chooses)" in lines[-1]
    assert not (tmp_path / "s").exists()


def test_the_examples_of_the_docs_are_sweeps(tmp_path, monkeypatch):
    text = (Path(__file__).parents[2] / "docs" / "sweeps.md").read_text()
    examples = re.findall(r"^verigrad sweep (.*)$", text, re.MULTILINE)
    assert len(examples) == 4
    monkeypatch.chdir(tmp_path)
    for example in examples:
        assert main(["sweep", *shlex.split(example), "--dry-run"]) == 0


def test_a_folder_keeps_the_order_of_its_axes(tmp_path):
    """Named the other way round they are the same sweep: its runs keep their names and are not made again."""
    axes = {"algorithm": ("grpo", "rloo"), "kl_coef": ("0", "0.01")}
    begun = plan(tmp_path, vary=axes, grid={"clip_low": ("0.1",), "clip_high": ("0.2",)})
    turned = plan(tmp_path, vary=dict(reversed(axes.items())), grid={"clip_high": ("0.2",), "clip_low": ("0.1",)})
    names = [trial.name for trial, _ in loop.trials(begun)]
    assert [trial.name for trial, _ in loop.trials(turned)] != names
    begun.folder.mkdir()
    (begun.folder / "sweep.toml").write_text(to_toml(begun.design))
    assert [trial.name for trial, _ in loop.trials(turned)] == names


def test_values_with_commas_are_quoted(tmp_path, capsys):
    words = ["--vary", 'tasks="mbpp:x?ids=1,2",humaneval', "--seeds", "0", "--dry-run"]
    assert main(["sweep", "--out", str(tmp_path / "s"), *words]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_two_sweeps_do_not_share_a_folder(tmp_path, monkeypatch):
    made = plan(tmp_path)
    made.folder.mkdir()
    monkeypatch.setattr("time.monotonic", iter(range(0, 1000, 100)).__next__)
    with (made.folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RunError, match="at work in"):
            run_sweep(made)


# ---------------------------------------------------------------------------------------------- real runs


def test_a_failing_run_is_recorded_and_the_others_go_on(settings, workshop, capfd):
    """Of two rewards one raises. A second start tries that one again and leaves the other as it is."""
    out = workshop / "sweep"
    own = {key: value for key, value in settings.items() if key != "reward"}
    rewards = ",".join(f"{workshop}/my.py:{name}" for name in ("broken", "ascii_share"))
    split = f"{workshop}/my.py:held_out"
    words = ["sweep", *flags(own), "--steps", "2", "--report.splits.held_out", split, "--seeds", "3"]
    words += ["--vary", f"reward={rewards}", "--out", str(out)]
    assert main(words) == 1
    failed, finished = results(out)
    assert (failed["status"], finished["status"]) == ("failed", "finished")
    assert "judge unreachable" in failed["error"] and failed["attempts"] == 1
    assert finished["seed"] == 3 and finished["splits"]["held_out"]["num_tasks"] == 3
    assert finished["seconds"] > 0 and finished["peak_memory_mb"] > 0
    said = capfd.readouterr()
    assert f"failed: {out / failed['run']}: " in said.err and "judge unreachable" in said.err
    assert "step    2/2" in said.out  # the run's own progress
    assert len(rows(out / finished["run"] / "metrics.jsonl")) == 2  # raw metrics are kept
    assert not (out / finished["run"] / "checkpoints").exists()
    assert (out / finished["run"] / "model").exists()
    assert "judge unreachable" in (out / "table.md").read_text()
    assert "judge unreachable" in (out / "sweep.html").read_text()

    assert main(words) == 1
    again = results(out)
    assert [row["attempts"] for row in again] == [2, 1]
    assert "done before" in capfd.readouterr().out

    assert main([*words[:-4], "--vary", f"reward={split}", "--out", str(out)]) == 1
    assert "holds a sweep with other settings: vary:" in capfd.readouterr().err
    assert main([*words, "--steps", "3"]) == 1
    assert "settings: steps: 2 -> 3." in capfd.readouterr().err


@pytest.mark.parametrize(("temperature", "shared"), [(0.0, True), (1.0, False)])
def test_the_model_before_training_is_measured_once(temperature, shared, settings, workshop, monkeypatch):
    """Of two algorithms and two seeds the first run measures it, or the first of each seed where answers are drawn."""
    out = workshop / "sweep"
    begun = {}
    process = loop.run_process

    def watched(command, settings, *rest, **more):
        folder = settings.with_suffix("")
        given = folder / "evaluations" / "held_out-before.jsonl"
        begun[folder.relative_to(out).as_posix()] = rows(given) if given.exists() else []
        return process(command, settings, *rest, **more)

    monkeypatch.setattr(loop, "run_process", watched)
    words = ["sweep", *flags(settings), "--steps", "1", "--seeds", "0,1", "--out", str(out)]
    words += ["--report.splits.held_out", f"{workshop}/my.py:held_out", "--report.temperature", str(temperature)]
    assert main([*words, "--vary", "algorithm=grpo,rloo", "--vary", "optim.learning_rate=1e-2"]) == 0
    before = {name: rows(out / name / "evaluations" / "held_out-before.jsonl") for name in begun}
    first, second, third, fourth = begun
    assert begun[first] == [] and begun[second] == before[first] != [] and begun[fourth] == before[third]
    assert begun[third] == (before[first] if shared else [])
    assert (before[third] == before[first]) is shared


def test_what_may_differ_between_runs_that_start_alike():
    run = RLConfig(report=ReportConfig(splits={"x": "humaneval"}))
    for same in ({"seed": 3}, {"algorithm": "rloo"}, {"optim": OptimConfig(learning_rate=1.0)}, {"run": "elsewhere"}):
        assert start_alike(run, replace(run, **same))
    for other in (
        {"model": "x"},
        {"system": "Be brief."},
        {"dtype": "float32"},
        {"sampling": SamplingConfig(stop=("x",))},
    ):
        assert not start_alike(run, replace(run, **other))
    random = replace(run, denoise=DenoiseParams(order="random"))
    drawn = replace(run, report=replace(run.report, temperature=0.5))
    assert not start_alike(random, replace(random, seed=3)) and not start_alike(drawn, replace(drawn, seed=3))
    assert start_alike(drawn, replace(drawn, steps=3))


@pytest.mark.slow
def test_a_grid_is_chosen_by_validation_and_used_by_every_seed(settings, workshop):
    """A learning rate of nearly nothing learns none of the demonstrations, the second learns them all."""
    demonstrations = [{"prompt": f"Say {n}.", "completion": str(n)} for n in range(9)]
    (workshop / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in demonstrations))
    out = workshop / "sweep"
    own = {key: value for key, value in settings.items() if key in RLConfig.__dataclass_fields__ and key not in (
        "tasks", "reward", "tasks_per_step", "group_size")}  # fmt: skip
    words = ["sweep", "--command", "sft", *flags(own), "--data", f"{workshop}/data.jsonl", "--epochs", "40"]
    words += ["--batch-size", "3", "--report.validation", f"{workshop}/my.py:load", "--seeds", "0,1"]
    words += ["--report.splits.held_out", f"{workshop}/my.py:held_out", "--out", str(out)]
    words += ["--grid", "optim.learning_rate=1e-9,1e-2", "--grid-steps", "0.5"]
    assert main(words) == 0
    tiny, large, *seeds = results(out)
    assert (tiny["kind"], large["kind"], *(row["kind"] for row in seeds)) == ("grid", "grid", "run", "run")
    assert tiny["validation"] == 0 and large["validation"] > 0.5
    assert (tiny["steps"], large["steps"]) == (60, 60)
    for candidate in (tiny, large):
        folder = out / candidate["run"]
        assert candidate["splits"] == {} and not list((folder / "evaluations").glob("*.jsonl"))
        assert "[report.splits]\n\n" in (folder / "config.toml").read_text() + "\n\n"
        assert not (folder / "model").exists() and not (folder / "checkpoints").exists()
    for seed, row in enumerate(seeds):
        config = tomllib.loads((out / row["run"] / "config.toml").read_text())
        assert (config["optim"]["learning_rate"], config["seed"], row["steps"]) == (1e-2, seed, 120)
        assert row["chosen"] == {"optim.learning_rate": "1e-2"} and "held_out" in row["splits"]
    assert json.loads((out / "recipe" / "choice.json").read_text())["validation"] == large["validation"]
    assert "| the recipe | learning_rate 1e-2 |" in (out / "table.md").read_text()


@pytest.mark.slow
def test_a_killed_sweep_goes_on_inside_its_run(settings, workshop):
    """SIGKILL of the sweep alone also ends its run; the same command again gives what an undisturbed run gives."""
    out = workshop / "sweep"
    run = out / "recipe" / "seed-0"
    words = [sys.executable, "-m", "verigrad.cli.main", "sweep", *flags(settings), "--steps", "12", "--seeds", "0"]
    words += ["--optim.learning-rate", "1e-3", "--out", str(out)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (run / "metrics.jsonl").exists() or len((run / "metrics.jsonl").read_text().splitlines()) < 5:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with (out / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # the run has let go of it
    assert not (run / "summary.json").exists()
    resumed = subprocess.run(words, capture_output=True, text=True)
    assert resumed.returncode == 0, resumed.stderr
    assert "resumed after step" in resumed.stdout
    (row,) = results(out)
    assert (row["status"], row["attempts"], row["steps"]) == ("finished", 2, 12)
    assert "1 run(s) were started more than once" in (out / "table.md").read_text()
    more = {"optim": OptimConfig(learning_rate=1e-3), "sampling": SamplingConfig(max_tokens=8)}
    whole = train(RLConfig(**{**settings, "run": str(workshop / "whole")}, steps=12, **more))
    untimed = [
        [{key: value for key, value in row.items() if key not in CLOCK} for row in rows(folder / "metrics.jsonl")]
        for folder in (run, whole)
    ]
    assert untimed[0] == untimed[1]


@pytest.mark.slow
def test_without_a_choice_a_setting_is_given_up_and_named(settings, workshop):
    """Every run of the grid fails, so the reported run is not started; one setting's trouble is recorded as its own."""
    own = {**settings, "reward": f"{workshop}/my.py:broken"}
    words = ["sweep", *flags(own), "--steps", "1", "--report.validation", f"{workshop}/my.py:held_out"]
    assert main([*words, "--seeds", "0", "--grid", "kl_coef=0", "--out", str(workshop / "sweep")]) == 1
    candidate, reported = results(workshop / "sweep")
    assert (candidate["status"], reported["status"], reported["attempts"]) == ("failed", "failed", 0)
    assert "no run of its grid finished" in reported["error"]
    assert not (workshop / "sweep" / "recipe" / "seed-0").exists()
