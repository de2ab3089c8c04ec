"""Reads a sweep's folder: `results.jsonl`, and the run folders it names, as the figures that table and page show."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from verigrad.errors import RunError
from verigrad.evaluation.compare import results_by_task
from verigrad.evaluation.reports.run_folder import RunFolder, read_run
from verigrad.evaluation.sweeps.statistics import (
    Comparison,
    SeedSummary,
    compare_settings,
    shared_tasks,
    summarize_seeds,
)

__all__ = ["SettingRuns", "SweepFolder", "read_sweep", "setting_label", "short_keys"]

_Row = Mapping[str, Any]
_Results = Mapping[str, Sequence[bool]]


@dataclass(frozen=True)
class SettingRuns:
    """A combination of varied settings with its reported runs.

    Attributes:
        label: for people.
        settings: the varied settings.
        chosen: what its grid chose.
        rows: of its reported runs in `results.jsonl`.
        runs: folders of those that finished, in the order of the seeds.
    """

    label: str
    settings: Mapping[str, str]
    chosen: Mapping[str, str]
    rows: Sequence[_Row]
    runs: Sequence[RunFolder]

    def results(self, split: str, side: str) -> list[_Results]:
        """For each finished seed with both sides: task id -> whether each sample passed."""
        sides = [run.evaluations.get(split, {}) for run in self.runs]
        return [results_by_task(found[side]) for found in sides if found.get("before") and found.get("after")]

    def finished(self) -> list[_Row]:
        return [row for row in self.rows if row["status"] == "finished"]


@dataclass(frozen=True)
class SweepFolder:
    """A sweep as it stands.

    Attributes:
        path: of its folder.
        design: `sweep.toml`.
        rows: `results.jsonl`.
        settings: the combinations in order.
    """

    path: Path
    design: Mapping[str, Any]
    rows: Sequence[_Row]
    settings: Sequence[SettingRuns]

    @cached_property
    def splits(self) -> list[str]:
        """Reported splits in order of appearance."""
        return list(dict.fromkeys(split for row in self.rows for split in row.get("splits", {})))

    @cached_property
    def figures(self) -> dict[str, dict[str, SeedSummary]]:
        """Split -> label of a setting -> its figures; settings whose finished runs share no task are left out."""
        return {split: self._figures(split) for split in self.splits}

    @cached_property
    def comparisons(self) -> dict[str, list[Comparison]]:
        """Split -> every pair of settings with figures that share a task."""
        after = {split: {s.label: s.results(split, "after") for s in self.settings} for split in self.splits}
        return {
            split: compare_settings({label: results for label, results in own.items() if label in self.figures[split]})
            for split, own in after.items()
        }

    def _figures(self, split: str) -> dict[str, SeedSummary]:
        sides = {s.label: (s.results(split, "before"), s.results(split, "after")) for s in self.settings}
        return {
            label: summarize_seeds(before, after)
            for label, (before, after) in sides.items()
            if shared_tasks([*before, *after])
        }


def read_sweep(folder: Path | str) -> SweepFolder:
    """Read a sweep's folder.

    Raises:
        RunError: there is no sweep.
    """
    path = Path(folder)
    try:
        design = tomllib.loads((path / "sweep.toml").read_text(encoding="utf-8"))
        lines = (path / "results.jsonl").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise RunError(f"no sweep at {path}: {error}; wanted the folder that `verigrad sweep` named") from error
    rows = [json.loads(line) for line in lines]
    labels = dict.fromkeys(row["label"] for row in rows if row["kind"] == "run")
    return SweepFolder(path, design, rows, [_setting(path, label, rows) for label in labels])


def _setting(path: Path, label: str, rows: Sequence[_Row]) -> SettingRuns:
    own = [row for row in rows if row["kind"] == "run" and row["label"] == label]
    runs = [read_run(path / row["run"]) for row in own if row["status"] == "finished"]
    return SettingRuns(label, own[0]["settings"], own[0]["chosen"], own, runs)


def setting_label(settings: Mapping[str, str]) -> str:
    """Settings in words.

    >>> setting_label({"algorithm": "grpo", "optim.learning_rate": "1e-5"}), setting_label({})
    ('algorithm grpo, learning_rate 1e-5', 'the recipe')
    """
    pairs = zip(short_keys(settings), settings.values(), strict=True)
    return ", ".join(f"{key} {value}" for key, value in pairs) or "the recipe"


def short_keys(settings: Mapping[str, Any]) -> list[str]:
    """Keys without their sections, where that leaves them apart.

    >>> short_keys({"a.x": 1, "b": 2}), short_keys({"a.x": 1, "b.x": 2})
    (['x', 'b'], ['a.x', 'b.x'])
    """
    short = [key.rpartition(".")[2] for key in settings]
    return short if len(set(short)) == len(short) else list(settings)
