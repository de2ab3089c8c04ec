"""The loop that stages with a fixed set of examples share: so many epochs, each in an order of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from verigrad.allocator import give_back_freed_memory
from verigrad.training.batching import step_numbers
from verigrad.training.checkpoints import after_step, load_best
from verigrad.training.config import DiffusionConfig, SFTConfig
from verigrad.training.optim import clip_gradients, learning_rate, make_optimizer, set_learning_rate
from verigrad.training.run import Learner, TrainState, load_state, save_state
from verigrad.training.stage import Stage, open_run

__all__ = ["Gradient", "num_steps", "train_epochs"]

Gradient = Callable[[Sequence[int], int], Mapping[str, float]]
"""(numbers of the step's examples, step from 0) -> metrics; leaves the step's gradient in the model."""


def num_steps(config: SFTConfig | DiffusionConfig, count: int) -> int:
    """Optimizer steps of a run on `count` examples."""
    return config.epochs * -(-count // config.batch_size)


def train_epochs(
    stage: Stage,
    config: SFTConfig | DiffusionConfig,
    count: int,
    gradient: Gradient,
    *,
    resume: bool,
    facts: Mapping[str, Any],
) -> Path:
    """Train on `count` examples from the start or the last checkpoint, evaluate, save; returns the run folder.

    Args:
        facts: for the summary.

    Raises:
        RunError: the run folder cannot be used.
    """
    reporter = stage.reporter
    run, checkpoint = open_run(config, resume=resume)
    try:
        policy = Learner(stage.model, make_optimizer(stage.model, config.optim))
        notes: dict[str, Any] = {}
        steps = num_steps(config, count)
        if checkpoint is None:
            stage.evaluate_splits(run, "before")
        else:
            notes.update(load_state(checkpoint, {"policy": policy}).notes)
            reporter.message(f"resumed after step {run.start_step}")

        def save(folder: Path, step: int) -> None:
            save_state(folder, {"policy": policy}, TrainState(step, notes))

        reporter.begin("training", steps)
        reporter.advance(run.start_step)
        for step in range(run.start_step, steps):
            started = time.perf_counter()
            stage.model.train()
            metrics = gradient(step_numbers(count, config.batch_size, config.seed, step), step)
            stage.model.eval()
            row: dict[str, Any] = {"step": step + 1, "kind": "train", **metrics}
            row.update(_apply(policy.optimizer, stage, config, step, steps))
            give_back_freed_memory()
            row["seconds"] = time.perf_counter() - started
            row["tokens_per_second"] = row["completion_tokens_total"] / row["seconds"]
            run.log(row)
            reporter.step(row)
            after_step(stage, run, step + 1, last=step + 1 == steps, notes=notes, save=save)
            reporter.advance()
        reporter.end()
        load_best(stage, run, notes, lambda folder: load_state(folder, {"policy": policy}))
        stage.refresh_engine(steps + 1)
        stage.finish(run, {"steps": steps, **facts, **notes})
    finally:
        run.close()
    return run.folder


def _apply(
    optimizer: torch.optim.Optimizer, stage: Stage, config: SFTConfig | DiffusionConfig, step: int, steps: int
) -> dict[str, float]:
    """One optimizer step with the gradient that is there."""
    set_learning_rate(optimizer, learning_rate(config.optim, step, steps))
    norm = clip_gradients((p for p in stage.model.parameters() if p.requires_grad), config.optim.max_grad_norm)
    optimizer.step()
    optimizer.zero_grad()
    return {"grad_norm": norm, "learning_rate": optimizer.param_groups[0]["lr"]}
