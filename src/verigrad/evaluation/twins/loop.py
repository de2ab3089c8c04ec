"""The comparison: every part on every model that has not been measured yet, then summary and page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from verigrad.allocator import give_back_freed_memory, keep_freed_memory
from verigrad.evaluation.sources import load_source
from verigrad.evaluation.twins import (
    infilling,
    likelihoods,
    order,
    outputs,
    playback,
    repair,
    steps,
    temperature,
)
from verigrad.evaluation.twins.bench import Bench, Progress, Row
from verigrad.evaluation.twins.config import CompareConfig
from verigrad.evaluation.twins.folder import CompareFolder, Work, works
from verigrad.evaluation.twins.models import Twin, open_twin
from verigrad.evaluation.twins.page import compare_page
from verigrad.evaluation.twins.summary import summarize_rows
from verigrad.locks import hold
from verigrad.models.causal import pick_device
from verigrad.tasks.base import TaskSet

__all__ = ["compare", "planned"]

_MEASURE: dict[str, Callable[[Bench, Twin], list[Row]]] = {
    "temperature": temperature.measure,
    "steps": steps.measure,
    "infilling": infilling.measure,
    "repair": repair.measure,
    "output": outputs.measure,
    "order": order.measure,
    "likelihood": likelihoods.measure,
    "playback": playback.measure,
}


def compare(config: CompareConfig, progress: Progress) -> Path:
    """Measure what is missing; returns the page.

    Raises:
        ConfigError: a model is missing, of the wrong kind, or lacks what a part needs; or the folder was begun with
            other settings.
        InfrastructureError: the sandbox failed; nothing is known about the answers it was to judge.
        RunError: a file of the folder cannot be written, or a comparison is at work in it.
    """
    with hold(Path(config.run) / ".lock", "a comparison", "--run"):
        return _compare(config, progress)


def _compare(config: CompareConfig, progress: Progress) -> Path:
    folder = CompareFolder(config)
    tasks = load_source(config.tasks)
    if config.threads:
        torch.set_num_threads(config.threads)
    if pick_device(config.device).type == "cpu":
        keep_freed_memory()
    folder.begin(tasks)
    name, twin = "", None
    with Bench(config, tasks, progress) as bench:
        for work in works(config):
            if folder.finished(work):
                progress.message(f"{work.name}: done before")
                continue
            if work.model != name or twin is None:
                name, twin = work.model, open_twin(work.model, work.kind, config)
            progress.begin(work.name.replace("-", ", "), _size(work, config, tasks))
            folder.write(work, _MEASURE[work.part](bench, twin))
            give_back_freed_memory()
            progress.end()
    rows = folder.rows(config)
    summary = summarize_rows(rows, config, tasks)
    folder.put("summary.json", json.dumps(summary, indent=2) + "\n")
    return folder.put("compare.html", compare_page(summary, [row for row in rows if row["record"] == "playback"]))


def planned(config: CompareConfig) -> Iterator[tuple[Work, int, bool]]:
    """What there is to do: the part and model, how many answers, and whether it is done."""
    folder, tasks = CompareFolder(config), load_source(config.tasks)
    for work in works(config):
        yield work, _size(work, config, tasks), folder.finished(work)


def _size(work: Work, config: CompareConfig, tasks: TaskSet) -> int:
    """Answers a part writes, or scores."""
    causal, count = work.kind == "causal", len(tasks)
    sizes = {
        "temperature": len(config.temperatures) * config.samples * count,
        "steps": count if causal else len(steps.settings(config)) * count,
        "infilling": 2 * count * (2 * len(infilling.LENGTHS) if causal else len(infilling.LENGTHS) - 1),
        "order": len(config.order_temperatures) * count,
        "playback": 2 * min(config.played, count),
    }
    return sizes.get(work.part, count)
