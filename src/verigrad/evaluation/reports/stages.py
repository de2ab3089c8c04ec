"""Reads finished pipelines of several seeds, and compares one stage's model with the others', seed by seed.

Each seed's stages answer the same tasks and rest on the same earlier stages, so differences are paired twice: by task
and by seed. Tasks and seeds get the intervals of `verigrad.evaluation.sweeps.statistics`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from verigrad.errors import RunError
from verigrad.evaluation.compare import results_by_task
from verigrad.evaluation.reports.run_folder import RunFolder, read_run
from verigrad.evaluation.sweeps.statistics import SeedSummary, shared_tasks, summarize_seeds
from verigrad.registry import did_you_mean

__all__ = ["PROXY", "START", "Pipelines", "read_pipelines", "verdict"]

START = "its start"  # what a stage's gain is over: the same stage before training
PROXY = "proxy_reward"

_Results = Mapping[str, Sequence[bool]]


@dataclass(frozen=True)
class Pipelines:
    """Finished runs of one pipeline with different seeds.

    Attributes:
        paths: of their folders.
        seeds: of each.
        stages: training stage -> its run folder in each pipeline, in the pipeline's order.
    """

    paths: Sequence[Path]
    seeds: Sequence[str]
    stages: Mapping[str, Sequence[RunFolder]]

    @cached_property
    def policies(self) -> list[str]:
        """Stages that were evaluated on tasks, in order."""
        return [name for name, runs in self.stages.items() if all(run.evaluations for run in runs)]

    @cached_property
    def optimised(self) -> list[str]:
        """Stages that were trained against a reward model."""
        return [name for name, runs in self.stages.items() if all(run.curve(PROXY) for run in runs)]

    @cached_property
    def splits(self) -> list[str]:
        """Reported splits that every evaluated stage of every seed has, in order of appearance."""
        every = [run.evaluations for name in self.policies for run in self.stages[name]]
        return [split for split in (every[0] if every else ()) if all(split in own for own in every)]

    def chosen(self, stage: str = "") -> str:
        """The stage that is compared: the one named, else the last trained against a reward model, else the last.

        Raises:
            RunError: no stage of that name was evaluated.
        """
        if not self.policies:
            raise RunError(f"no stage of {self.paths[0]} was evaluated on tasks, so there is nothing to compare")
        if stage and stage not in self.policies:
            raise RunError(f"no evaluated stage {stage!r}{did_you_mean(stage, self.policies)}")
        return stage or ([name for name in self.policies if name in self.optimised] or self.policies)[-1]

    def results(self, stage: str, split: str, side: str) -> list[_Results]:
        """For each seed: task id -> whether each sample passed."""
        return [results_by_task(run.evaluations[split][side]) for run in self.stages[stage]]

    def compared(self, stage: str, split: str) -> dict[str, SeedSummary]:
        """The stage against its own start and against every other stage: name -> pass@1 of both and the difference.

        `before` is the other's, `after` the stage's.
        """
        own = self.results(stage, split, "after")
        others = {name: self.results(name, split, "after") for name in self.policies if name != stage}
        sides = {START: self.results(stage, split, "before"), **others}
        return {name: summarize_seeds(side, own) for name, side in sides.items() if shared_tasks([*side, *own])}


def verdict(found: SeedSummary) -> str:
    """`higher` or `lower` where the interval over tasks and seeds leaves out 0, else what is known.

    >>> from verigrad.evaluation.sweeps.statistics import summarize_seeds
    >>> verdict(summarize_seeds([{"a": [False]}, {"a": [True]}], [{"a": [True]}, {"a": [False]}]))
    'tie'
    """
    word = "higher" if found.gain.value > 0 else "lower"
    if found.low is not None and found.high is not None and not found.low <= 0 <= found.high:
        return word
    return "tie" if found.gain.low <= 0 <= found.gain.high else f"{word}, in these runs"


def read_pipelines(folders: Sequence[Path]) -> Pipelines:
    """Read the folders of finished pipelines.

    Raises:
        RunError: a folder holds no pipeline or an unfinished one, they are of different kinds, or two are of one seed.
    """
    if not folders:
        raise RunError("wanted the folders of one or more finished pipelines")
    records = [_record(folder) for folder in folders]
    for folder, record in zip(folders, records, strict=True):
        words, settings = ((told(folders[0], records[0]), told(folder, record)) for told in (_words, _settings))
        for name in dict.fromkeys([*words[1], *words[0]]):
            # A recipe may come to name a setting that it had left to its default: other words for the same.
            if not (_alike(words, name) or _alike(settings, name)):
                raise RunError(
                    f"{folders[0]} and {folder} are pipelines of two kinds: stage {name!r} differs in more than run "
                    "folder and seed. Pool runs of one kind"
                )
    seeds = [str(record["values"]["seed"]) for record in records]
    if len(set(seeds)) < len(seeds):
        raise RunError(f"wanted pipelines of different seeds, got seeds {', '.join(seeds)}")
    trained = [name for name, row in records[0]["stages"].items() if row["makes"].endswith("summary.json")]
    stages = {
        name: [
            read_run((folder / record["stages"][name]["makes"]).parent)
            for folder, record in zip(folders, records, strict=True)
        ]
        for name in trained
    }
    return Pipelines(folders, seeds, stages)


def _record(folder: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads((folder / "pipeline.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise RunError(
            f"no pipeline at {folder}: {error}; wanted the folder that `verigrad pipeline` was given"
        ) from error
    unfinished = [name for name, row in record["stages"].items() if "seconds" not in row or "makes" not in row]
    if unfinished or "values" not in record:
        where = f"stage {unfinished[0]!r} is not done" if unfinished else "it lacks its values"
        raise RunError(f"the pipeline at {folder} is not finished: {where}; run the same command again")
    return record


def _alike(told: tuple[Mapping[str, Any], Mapping[str, Any]], name: str) -> bool:
    return name in told[0] and name in told[1] and bool(told[0][name] == told[1][name])


def _words(folder: Path, record: Mapping[str, Any]) -> dict[str, list[str]]:
    """Stage -> its command, but for run folder and seed."""
    run = _run_folder(record)
    return {
        name: _without_seed([run.sub("{run}", word) for word in row["command"]])
        for name, row in record["stages"].items()
    }


def _settings(folder: Path, record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Stage that trains -> all its settings, but for run folder and seed."""
    run = _run_folder(record)

    def pathless(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: pathless(own) for key, own in value.items()}
        if isinstance(value, list):
            return [pathless(own) for own in value]
        return run.sub("{run}", value) if isinstance(value, str) else value

    found = {
        name: read_run((folder / row["makes"]).parent).settings()
        for name, row in record["stages"].items()
        if row["makes"].endswith("summary.json")
    }
    return {name: pathless({**settings, "seed": None}) for name, settings in found.items() if settings}


def _run_folder(record: Mapping[str, Any]) -> re.Pattern[str]:
    """As a path of its own or the start of one: a folder may be named a, which is in many words."""
    return re.compile(rf"(?:^|(?<=[=:,])){re.escape(record['values']['run'])}(?=/|$)")


def _without_seed(words: Sequence[str]) -> list[str]:
    return [word for before, word in zip(["", *words], words, strict=False) if before != "--seed"]
