"""Every setting with every seed, one run after another: resumable, and a run that fails does not stop the others.

    OUT/sweep.toml                   what is varied
    OUT/settings.toml                all settings of the first run
    OUT/<setting>/seed-0/            a run folder; beside it seed-0.toml (its settings), .log, .state.json
    OUT/<setting>/grid/<value>/      a run folder of the grid, without reported splits; beside it the same
    OUT/<setting>/choice.json        what the grid chose
    OUT/results.jsonl                a row a run
    OUT/table.md, OUT/sweep.html     figures and comparisons

A choice once made stays: the runs that rest on it have begun.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from verigrad.errors import RunError
from verigrad.evaluation.reports.run_folder import read_run
from verigrad.evaluation.sweeps.folder import setting_label
from verigrad.evaluation.sweeps.report import write_sweep_report
from verigrad.locks import hold
from verigrad.settings import load_config, to_toml
from verigrad.training.config import StageConfig, changed_settings, start_alike
from verigrad.training.reporter import Reporter, Silent
from verigrad.training.sweep.plan import Design, Plan, Trial, slug
from verigrad.training.sweep.process import run_process
from verigrad.writing import write_or_tell

__all__ = ["run_sweep", "trials"]

_NO_CHOICE = "no run of its grid finished with a validation, so that there is no value to run it with"


def run_sweep(plan: Plan, reporter: Reporter | None = None, *, keep_all: bool = False) -> dict[str, str]:
    """Run what is not done yet; returns the failed runs, by name, with what went wrong.

    Args:
        plan: of the sweep.
        reporter: hears of the sweep and of every run in it.
        keep_all: keep also the checkpoints of finished runs and the models of the grid's.

    Raises:
        ConfigError: the settings of a run are wrong; then none was started.
        RunError: the folder holds another sweep, or a sweep is at work in it.
    """
    plan = _as_begun(plan)
    plan.check()
    plan.check_names()
    with hold(plan.folder / ".lock", "a sweep", "--out") as lock:
        _store_settings(plan)
        return _Sweep(plan, reporter or Silent(), keep_all, lock.fileno()).run()


def trials(plan: Plan) -> Iterator[tuple[Trial, str]]:
    """Every run in order, with its status: finished, failed, begun or waiting; runs nothing."""
    plan = _as_begun(plan)
    choices = _choices(plan)
    for trial in _all_trials(plan, choices):
        yield trial, _status(plan.folder / trial.name)


def _as_begun(plan: Plan) -> Plan:
    """The plan with its axes in the order that its folder was begun with, from which the runs have their names."""
    file = plan.folder / "sweep.toml"
    begun = load_config(Design, file) if file.exists() else plan.design
    return replace(plan, design=begun) if begun == plan.design else plan


def _store_settings(plan: Plan) -> None:
    first = replace(plan.config(next(plan.reported_trials({}))), run="")
    for name, config in (("sweep.toml", plan.design), ("settings.toml", first)):
        file = plan.folder / name
        if not file.exists():
            write_or_tell(file, to_toml(config))
        elif changed := changed_settings(load_config(type(config), file), config):
            differences = "; ".join(f"{key}: {old!r} -> {new!r}" for key, (old, new) in changed.items())
            raise RunError(
                f"{plan.folder} holds a sweep with other settings: {differences}. Runs of two kinds must not be "
                "compared; undo the change, or choose another folder with --out"
            )


@dataclass
class _Sweep:
    plan: Plan
    reporter: Reporter
    keep_all: bool
    lock: int
    done: int = 0
    failures: dict[str, str] = field(default_factory=dict)

    def run(self) -> dict[str, str]:
        plan = self.plan
        self.total = len(list(_all_trials(plan, {})))
        self.reporter.begin("sweep", self.total)
        for setting in plan.settings():
            chosen = _stored_choice(plan, setting) is not None
            for trial in plan.grid_trials(setting):
                self._next(trial, skip=chosen)
            _choose(plan, setting)
        choices = _choices(plan)
        for trial in plan.reported_trials(choices):
            if slug(trial.setting) in choices:
                self._next(trial)
            else:
                self._give_up(trial)
        self.reporter.end()
        self._record()
        return self.failures

    def _next(self, trial: Trial, *, skip: bool = False) -> None:
        folder = self.plan.folder / trial.name
        title = f"run {self.done + 1} of {self.total}, {trial.name}"
        if skip or _status(folder) == "finished":
            self.reporter.message(f"{title}: {'its grid has chosen' if skip else 'done before'}")
        else:
            self.reporter.message(title)
            self._train(trial, folder)
            self._record()
        self.done += 1
        self.reporter.advance()

    def _train(self, trial: Trial, folder: Path) -> None:
        settings, state = _beside(folder, ".toml"), _beside(folder, ".state.json")
        folder.parent.mkdir(parents=True, exist_ok=True)
        config = self.plan.config(trial)
        write_or_tell(settings, to_toml(config))
        if not (folder / "config.toml").exists():
            self._take_before(folder, config)
        attempts = _state(folder)["attempts"] + 1
        write_or_tell(state, json.dumps({"attempts": attempts, "error": None}) + "\n")
        error = run_process(
            self.plan.design.command,
            settings,
            _beside(folder, ".log"),
            resume=(folder / "config.toml").exists(),
            reporter=self.reporter,
            keep_open=[self.lock],
        )
        if error is not None:
            write_or_tell(state, json.dumps({"attempts": attempts, "error": error}) + "\n")
            self._fail(trial, error)
        elif not self.keep_all:
            unneeded = ("checkpoints", "model") if trial.kind == "grid" else ("checkpoints",)
            for part in unneeded:
                shutil.rmtree(folder / part, ignore_errors=True)

    def _take_before(self, folder: Path, config: StageConfig) -> None:
        """Give a run that is to begin what another has measured of the same model before training."""
        for trial in self.plan.reported_trials(_choices(self.plan)):
            other = self.plan.folder / trial.name
            measured = sorted((other / "evaluations").glob("*-before.jsonl")) if config.report.splits else []
            if measured and start_alike(self.plan.config(trial), config):
                (folder / "evaluations").mkdir(parents=True, exist_ok=True)
                for file in measured:
                    write_or_tell(folder / "evaluations" / file.name, file.read_text())
                self.reporter.message(f"the model before training: as measured by {trial.name}")
                return

    def _give_up(self, trial: Trial) -> None:
        folder = self.plan.folder / trial.name
        write_or_tell(_beside(folder, ".state.json"), json.dumps({"attempts": 0, "error": _NO_CHOICE}) + "\n")
        self._fail(trial, _NO_CHOICE)
        self.done += 1
        self.reporter.advance()

    def _fail(self, trial: Trial, error: str) -> None:
        self.failures[trial.name] = error
        self.reporter.message(f"{trial.name} failed: {error}")

    def _record(self) -> None:
        """Write the results and the pages as they are now."""
        rows = [_result(self.plan, trial) for trial in _all_trials(self.plan, _choices(self.plan))]
        write_or_tell(self.plan.folder / "results.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        write_sweep_report(self.plan.folder)


# ------------------------------------------------------------------------------------------ the grid's choice


def _all_trials(plan: Plan, choices: Mapping[str, Mapping[str, str]]) -> Iterator[Trial]:
    for setting in plan.settings():
        yield from plan.grid_trials(setting)
    yield from plan.reported_trials(choices)


def _choices(plan: Plan) -> dict[str, Mapping[str, str]]:
    """What is chosen so far, by the combination's slug; without a grid there is nothing to choose."""
    if not plan.design.grid:
        return {slug(setting): {} for setting in plan.settings()}
    found = {slug(setting): _stored_choice(plan, setting) for setting in plan.settings()}
    return {name: chosen for name, chosen in found.items() if chosen is not None}


def _stored_choice(plan: Plan, setting: Mapping[str, str]) -> Mapping[str, str] | None:
    file = plan.folder / slug(setting) / "choice.json"
    chosen: Mapping[str, str] | None = json.loads(file.read_text())["chosen"] if file.exists() else None
    return chosen


def _choose(plan: Plan, setting: Mapping[str, str]) -> None:
    """Store the grid's value with the highest validation, of equals the first; nothing where none finished."""
    if _stored_choice(plan, setting) is not None:
        return
    scores = [(trial.chosen, _validation(plan.folder / trial.name)) for trial in plan.grid_trials(setting)]
    known = [(chosen, score) for chosen, score in scores if score is not None]
    if known:
        best, score = max(known, key=lambda pair: pair[1])
        choice = {"chosen": dict(best), "validation": score}
        write_or_tell(plan.folder / slug(setting) / "choice.json", json.dumps(choice, indent=2) + "\n")


def _validation(folder: Path) -> float | None:
    """Validation pass@1 of the weights that a finished run ended with; None where there is none."""
    if _status(folder) != "finished":
        return None
    run = read_run(folder)
    if run.settings()["report"]["keep_best"] and "best_value" in run.summary:
        return float(run.summary["best_value"])
    curve = run.curve("pass@1", "validation")
    return curve[-1][1] if curve else None


# ------------------------------------------------------------------------------------------ what is on disk


def _beside(folder: Path, suffix: str) -> Path:
    return folder.with_name(folder.name + suffix)


def _state(folder: Path) -> dict[str, Any]:
    """How often the run was started, and the error that its last process ended with."""
    file = _beside(folder, ".state.json")
    state: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {"attempts": 0, "error": None}
    return state


def _status(folder: Path) -> str:
    if (folder / "summary.json").exists():
        return "finished"
    if _state(folder)["error"] is not None:
        return "failed"
    return "begun" if (folder / "config.toml").exists() else "waiting"


def _result(plan: Plan, trial: Trial) -> dict[str, Any]:
    """A run's row of `results.jsonl`."""
    folder = plan.folder / trial.name
    status = _status(folder)
    row = {
        "run": trial.name,
        "kind": trial.kind,
        "label": setting_label(trial.setting),
        "settings": dict(trial.setting),
        "chosen": dict(trial.chosen),
        "seed": trial.seed,
        "status": status,
        "error": _state(folder)["error"] if status == "failed" else None,
        "attempts": _state(folder)["attempts"],
    }
    if status == "finished":
        summary = json.loads((folder / "summary.json").read_text())
        shown = ("steps", "seconds", "peak_memory_mb", "peak_gpu_memory_mb", "tokens", "splits", "held_out")
        row |= {key: summary[key] for key in shown if key in summary}
        row["validation"] = _validation(folder)
    return row
