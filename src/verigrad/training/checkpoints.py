"""After a step: validation, checkpoint, and the choice of the best, where they are due."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from verigrad.training.run import Run, require_intact
from verigrad.training.stage import Stage

__all__ = ["after_step", "load_best"]


def after_step(
    stage: Stage, run: Run, step: int, *, last: bool, notes: dict[str, Any], save: Callable[[Path, int], None]
) -> None:
    """Validate and save where that is due after `step` steps; `notes` remembers the best validation and its step."""
    report, every = stage.config.report, stage.config.checkpoint_every
    improved = False
    if report.validate_every and (last or step % report.validate_every == 0):
        stage.refresh_engine(step)
        value = stage.validate(run, step)
        if value is not None and value > notes.get("best_value", -1.0):
            notes.update(best_value=value, best_step=step)
            improved = report.keep_best
    if last or improved or (every and step % every == 0):
        save(run.checkpoint_folder(step), step)
        protect = [notes["best_step"]] if report.keep_best and "best_step" in notes else []
        run.forget_old_checkpoints(stage.config.keep_checkpoints, protect)


def load_best(stage: Stage, run: Run, notes: dict[str, Any], load: Callable[[Path], object]) -> None:
    """Put back the best validated weights, where the run is to end with them.

    Raises:
        CheckpointError: their checkpoint is damaged.
    """
    if stage.config.report.keep_best and "best_step" in notes:
        best = run.checkpoint_folder(notes["best_step"])
        require_intact(best)
        load(best)
