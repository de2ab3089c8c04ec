"""Reads what a training run left in its folder, as much of it as there is.

    config.toml                               settings
    metrics.jsonl                             one object a line, kind `train` or `validation`
    evaluations/<split>-<before|after>.jsonl  one judged sample a line
    evaluations/validation/step-<step>.jsonl  the same of every validation
    held_out.jsonl                            of reward models: one scored record a line
    summary.json                              final figures, set-up, cost

A run that was killed may lack files and end in half a line; that is reported in `problems`, never raised.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verigrad.errors import RunError

__all__ = ["RunFolder", "read_run"]


@dataclass(frozen=True)
class RunFolder:
    """The parts of a run folder.

    Attributes:
        path: of the folder.
        config: text of `config.toml`, or empty.
        metrics: kind -> rows in order of step; of two rows for one step the later one counts (a resumed run may repeat
            steps).
        evaluations: split -> `before` and `after` -> rows; a missing side is an empty list.
        held_out: rows of `held_out.jsonl`; empty for runs that train no reward model.
        summary: `summary.json`, or empty.
        problems: what is missing or could not be read, in words.
    """

    path: Path
    config: str
    metrics: Mapping[str, Sequence[Mapping[str, Any]]]
    evaluations: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]
    held_out: Sequence[Mapping[str, Any]]
    summary: Mapping[str, Any]
    problems: Sequence[str]

    @property
    def of_reward_model(self) -> bool:
        """Whether the run trained a reward model (and not a policy): its settings or its results say so."""
        return bool(self.held_out) or "held_out" in self.summary or "held_out_share" in self.settings()

    def settings(self) -> dict[str, Any]:
        """The settings as a mapping; empty where `config.toml` is absent or damaged."""
        try:
            return tomllib.loads(self.config)
        except tomllib.TOMLDecodeError:
            return {}

    def curve(self, key: str, kind: str = "train") -> list[tuple[float, float]]:
        """(step, value) wherever the metric is a finite number."""
        return [(row["step"], row[key]) for row in self.metrics.get(kind, ()) if _is_number(row.get(key))]


def read_run(run_dir: Path | str) -> RunFolder:
    """Read a run folder.

    Raises:
        RunError: there is no such folder, or nothing of a run in it.
    """
    path = Path(run_dir)
    if not path.is_dir():
        raise RunError(f"no run folder at {path}; wanted the folder that a training command named at its end")
    problems: list[str] = []
    folder = RunFolder(
        path=path,
        config=_text(path / "config.toml", problems),
        metrics=_metrics(path / "metrics.jsonl", problems),
        evaluations=_evaluations(path / "evaluations", problems),
        held_out=_held_out(path / "held_out.jsonl", problems),
        summary=_summary(path / "summary.json", problems),
        problems=problems,
    )
    if folder.of_reward_model and not folder.held_out:
        problems.append("There is no held_out.jsonl: the run did not finish, or no prompt was held out.")
    if not folder.of_reward_model and not folder.evaluations:
        problems.append("There are no evaluations.")
    if not (folder.config or folder.metrics or folder.evaluations or folder.held_out or folder.summary):
        raise RunError(f"{path} holds no config.toml, metrics.jsonl, evaluations/ or summary.json; is it a run folder?")
    return folder


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _text(file: Path, problems: list[str]) -> str:
    if not file.is_file():
        problems.append(f"There is no {file.name}.")
        return ""
    return file.read_text(encoding="utf-8", errors="replace")


def _json_lines(file: Path, problems: list[str]) -> list[dict[str, Any]]:
    rows, broken = [], 0
    for line in _text(file, problems).splitlines():
        try:
            row = json.loads(line) if line.strip() else None
        except json.JSONDecodeError:
            broken += 1
            continue
        if isinstance(row, dict):
            rows.append(row)
    if broken:
        problems.append(f"{file.name}: {broken} unreadable line(s) left out; the run may have been cut off.")
    return rows


def _metrics(file: Path, problems: list[str]) -> dict[str, list[Mapping[str, Any]]]:
    latest: dict[str, dict[float, Mapping[str, Any]]] = {}
    for row in _json_lines(file, problems):
        if _is_number(row.get("step")):
            latest.setdefault(str(row.get("kind", "train")), {})[row["step"]] = row
    return {kind: [rows[step] for step in sorted(rows)] for kind, rows in latest.items()}


def _evaluations(folder: Path, problems: list[str]) -> dict[str, dict[str, Sequence[Mapping[str, Any]]]]:
    splits: dict[str, dict[str, Sequence[Mapping[str, Any]]]] = {}
    for file in sorted(folder.glob("*.jsonl")):
        split, _, side = file.stem.rpartition("-")
        if side in ("before", "after") and split:
            rows = [row for row in _json_lines(file, problems) if "task_id" in row and "status" in row]
            splits.setdefault(split, {"before": [], "after": []})[side] = rows
        else:
            problems.append(f"evaluations/{file.name} is named neither …-before nor …-after and was left out.")
    for split, sides in splits.items():
        problems += [f"Split {split} has no evaluation {side} training." for side in sides if not sides[side]]
    return splits


def _held_out(file: Path, problems: list[str]) -> list[dict[str, Any]]:
    if not file.is_file():
        return []
    rows = _json_lines(file, problems)
    sound = [row for row in rows if row.get("scores") and all(map(_is_number, row["scores"]))]
    if len(sound) < len(rows):
        problems.append(f"held_out.jsonl: {len(rows) - len(sound)} row(s) without finite scores left out.")
    return sound


def _summary(file: Path, problems: list[str]) -> dict[str, Any]:
    text = _text(file, problems)
    try:
        summary = json.loads(text) if text else {}
    except json.JSONDecodeError as error:
        problems.append(f"summary.json could not be read: {error}.")
        return {}
    return summary if isinstance(summary, dict) else {}
