"""A pipeline: verigrad commands one after another, each in its own process, resumable at every one.

    [[stage]]
    name = "sft"
    command = ["sft", "--tasks", "builtin-easy@1?split=train", "--run", "{run}/sft", "--seed", "{seed}"]
    makes = "{run}/sft/summary.json"

A stage is done when its command ended well and what it `makes` is there. One that was cut short is started again, with
`--resume` where its run folder was begun. `{run}` and `{seed}` are the pipeline's; so are further names of its
`[values]` table, which the command line may change. A process of its own gives every stage its memory back to the next.

`pipeline.json` keeps the command that each stage was begun with. Other values in the same folder are refused: its
stages would no longer belong together. Only a stage that left nothing may be mended: a training run that did not come
to its folder, another command that failed (`failed` in its row) and did not begin the file that it makes.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from verigrad.errors import ConfigError, RunError
from verigrad.locks import hold
from verigrad.registry import did_you_mean
from verigrad.training.reporter import Reporter, Silent
from verigrad.writing import write_or_tell

__all__ = ["Pipeline", "PipelineStage", "overview", "read_pipeline", "run_pipeline"]

_RESUMABLE = {"sft", "diffusion", "rl", "preference", "reward-model"}
_HEARD_S, _END_S = 10.0, 60.0  # in which a stage has heard of an interrupt, and has ended by itself


@dataclass(frozen=True)
class PipelineStage:
    """One command of a pipeline.

    Attributes:
        name: for people and the log.
        command: words after `verigrad`.
        makes: the file it leaves; without it the stage is not done.
    """

    name: str
    command: tuple[str, ...]
    makes: Path


@dataclass(frozen=True)
class Pipeline:
    """Stages in order, all names filled in, the folder they share, and the values that were filled in."""

    folder: Path
    stages: tuple[PipelineStage, ...]
    values: Mapping[str, str]


def read_pipeline(file: Path, values: Mapping[str, str]) -> Pipeline:
    """Read a pipeline's TOML file and fill in names; `values` (which must hold `run`) win over the file's own.

    Raises:
        ConfigError: the file is malformed, a name is unknown, or two stages are called the same.
    """
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the pipeline {file}: {error}") from error
    own = table.get("values", {})
    if not isinstance(own, dict):
        raise ConfigError(f"{file}: values is {own!r}; wanted a table [values] of names and values")
    own = {key: str(value) for key, value in own.items()}
    if unknown := [key for key in values if key not in own and key not in ("run", "seed")]:
        raise ConfigError(f"{file} has no value {unknown[0]!r}{did_you_mean(unknown[0], [*own, 'run', 'seed'])}")
    filled = {"seed": "0", **own, **values}
    rows = table.get("stage", [])
    if not rows or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ConfigError(f"{file} has no [[stage]]; wanted the stages of a pipeline (docs/pipelines.md)")
    stages = tuple(_stage(row, f"{file}, stage {number}", filled) for number, row in enumerate(rows, 1))
    if len({stage.name for stage in stages}) < len(stages):
        raise ConfigError(f"{file}: two stages have the same name")
    return Pipeline(Path(filled["run"]), stages, filled)


def _stage(row: Mapping[str, Any], place: str, values: Mapping[str, str]) -> PipelineStage:
    if set(row) != {"name", "command", "makes"} or not isinstance(row["command"], list):
        raise ConfigError(f"{place}: wanted name, command (a list of words) and makes; got {', '.join(sorted(row))}")
    try:
        command = tuple(str(word).format(**values) for word in row["command"])
        return PipelineStage(row["name"], command, Path(str(row["makes"]).format(**values)))
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ConfigError(f"{place}: cannot fill in {error}; known: {', '.join(values)}") from error


def run_pipeline(pipeline: Pipeline, reporter: Reporter | None = None) -> Path:
    """Run what is not done yet; returns `pipeline.json`, with every stage's time and summary.

    Raises:
        RunError: a pipeline is at work in the folder, or it holds stages with other values; or a stage failed, or ended
            without making its file. What is done stays done.
    """
    with hold(pipeline.folder / ".pipeline.lock", "a pipeline", "--run") as lock:
        return _run_stages(pipeline, reporter or Silent(), lock.fileno())


def _run_stages(pipeline: Pipeline, reporter: Reporter, lock: int) -> Path:
    record = pipeline.folder / "pipeline.json"
    known: dict[str, Any] = json.loads(record.read_text())["stages"] if record.exists() else {}
    for stage in pipeline.stages:
        _check_unchanged(pipeline.folder, stage, known.get(stage.name, {}))
    for number, stage in enumerate(pipeline.stages, 1):
        started = {"command": list(stage.command), "makes": os.path.relpath(stage.makes, pipeline.folder)}
        title = f"stage {number} of {len(pipeline.stages)}, {stage.name}"
        if "seconds" in known.get(stage.name, {}) and stage.makes.exists():
            reporter.message(f"{title}: done before")
            known[stage.name] = {**started, **known[stage.name]}
            continue
        reporter.message(f"{title}: verigrad {' '.join(stage.command)}")
        known[stage.name] = started
        _write(record, pipeline, known)
        try:
            seconds = _run_stage(stage, lock)
        except RunError:
            known[stage.name] |= {"failed": True}
            _write(record, pipeline, known)
            raise
        known[stage.name] |= {"seconds": seconds, "summary": _summary(stage)}
    _write(record, pipeline, known)
    return record


def _check_unchanged(folder: Path, stage: PipelineStage, row: Mapping[str, Any]) -> None:
    """A stage that was begun, and may have left something to go on from or to build on, goes on with the same words."""
    before, now = row.get("command", list(stage.command)), list(stage.command)
    cut_short = "failed" not in row and before[0] not in _RESUMABLE
    begun = "seconds" in row or cut_short or stage.makes.exists() or _run_begun(stage)
    if before == now or not begun:
        return
    words = zip_longest(before, now, ["", *now], fillvalue="")
    changes = [f"{flag} {old or '(nothing)'} -> {new or '(nothing)'}" for old, new, flag in words if old != new]
    raise RunError(
        f"{folder} holds a pipeline with other values; stage {stage.name!r}: {', '.join(changes[:4])}. Its stages "
        "belong together; undo the change, or choose another folder with --run"
    )


def _run_stage(stage: PipelineStage, lock: int) -> float:
    """Seconds that it took. Its process holds the lock, too: it may outlive a pipeline that is killed."""
    started = time.perf_counter()
    words = list(stage.command)
    if words[0] in _RESUMABLE and _run_begun(stage):
        words.append("--resume")
    status = _exit_status([sys.executable, "-m", "verigrad", *words], lock)
    if status != 0:
        raise RunError(
            f"stage {stage.name!r} failed with exit status {status}; its own message is above. Mend it and "
            "run the same command again: what is done is not done twice"
        )
    if not stage.makes.exists():
        raise RunError(f"stage {stage.name!r} ended well but did not make {stage.makes}")
    return time.perf_counter() - started


def _exit_status(command: Sequence[str], lock: int) -> int:
    """Of a stage's process. An interrupt ends the process as it would end it alone, and only one that does not end is
    killed."""
    with subprocess.Popen(command, pass_fds=(lock,)) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            # A terminal interrupts every process that it shows; who signals this one alone has it passed on.
            for seconds, then in ((_HEARD_S, signal.SIGINT), (_END_S, signal.SIGKILL)):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(seconds)
                    break
                process.send_signal(then)
            raise
        finally:
            process.kill()  # an ended one is left alone


def _run_begun(stage: PipelineStage) -> bool:
    return (stage.makes.parent / "config.toml").exists()


def _summary(stage: PipelineStage) -> Any:
    """A training stage's figures; for others the size of what they made."""
    if stage.makes.name == "summary.json":
        return json.loads(stage.makes.read_text())
    if stage.makes.suffix == ".jsonl":
        return {"rows": sum(1 for line in stage.makes.open(encoding="utf-8") if line.strip())}
    return None


def _write(record: Path, pipeline: Pipeline, stages: Mapping[str, Any]) -> None:
    content = {"values": dict(pipeline.values), "stages": stages}
    write_or_tell(record, json.dumps(content, indent=2) + "\n")


def overview(stages: Mapping[str, Any]) -> Sequence[str]:
    """A line a stage: its time and its own metric."""
    lines = []
    for name, row in stages.items():
        if "seconds" not in row:
            continue
        summary = row.get("summary") or {}
        parts = [f"{row['seconds'] / 60:.1f} min"]
        parts += [f"{key} {value:.3g}" for key, value in summary.get("held_out", {}).items()]
        for split, figures in summary.get("splits", {}).items():
            before, after = (figures[when]["pass@1"] for when in ("before", "after"))
            parts.append(f"{split} {before:.1%} -> {after:.1%}")
        parts += [f"{summary['rows']} rows"] if "rows" in summary else []
        lines.append(f"{name}: {', '.join(parts)}")
    return lines
