"""Reinforcement learning from verified rewards: sample, judge, compare, update.

The loop is synchronous and reads in order; what waits (engine, sandbox) is inside one `collect`. Nothing
measured by the clock enters the trajectory: tasks are scheduled by step, draws are keyed by (seed, step, task,
rollout), so a killed run resumes to the same weights.

Left out on purpose, each another file or a setting: critics, asynchronous sampling, several policies.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor

from verigrad.algorithms.diagnostics import entropy_summary, policy_change, sampler_drift
from verigrad.algorithms.penalties import kl_k3, truncated_importance
from verigrad.algorithms.presets import PRESETS, Algorithm, call
from verigrad.algorithms.selection import has_signal
from verigrad.errors import ConfigError, RunError
from verigrad.evaluation.benchmark import sample_rows
from verigrad.evaluation.sources import load_source
from verigrad.models.base import Batch
from verigrad.models.causal import score_pack, token_logprobs
from verigrad.models.lora import base_weights, is_lora
from verigrad.models.packing import pack_views
from verigrad.registry import resolve
from verigrad.rewards import REWARDS
from verigrad.rewards.base import Reward
from verigrad.rollout import Group, collect
from verigrad.seeds import derive_seed
from verigrad.tasks.base import TaskSet
from verigrad.training.batching import make_batch, select_rollouts
from verigrad.training.config import RLConfig
from verigrad.training.memory import give_back_freed_memory
from verigrad.training.optim import clip_gradients, learning_rate, make_optimizer, set_learning_rate
from verigrad.training.reporter import Reporter, Silent
from verigrad.training.run import Run, TrainState, load_state, save_state
from verigrad.training.stage import Stage, open_run, open_stage, sampling_params
from verigrad.types import Task

__all__ = ["scheduled_tasks", "train", "update"]


def train(config: RLConfig, *, resume: bool = False, reporter: Reporter | None = None) -> Path:
    """Run the whole job; returns the run folder.

    Raises:
        ConfigError: settings contradict each other or name something unknown.
        RunError: the run folder cannot be used, or every rollout of a step failed.
    """
    reporter = reporter or Silent()
    algorithm: Algorithm = resolve(config.algorithm, PRESETS, what="algorithm")
    reward: Reward = resolve(config.reward, REWARDS, what="reward")
    tasks = load_source(config.tasks)
    _check(config, algorithm, tasks)
    with ExitStack() as opened:
        # The stage first: it finds what is wrong with the settings before a run folder exists.
        stage = open_stage(config, reporter, (task.id for task in tasks.tasks))
        opened.callback(stage.close)
        run, checkpoint = open_run(config, resume=resume)
        opened.callback(run.close)
        optimizer = make_optimizer(stage.model, config.optim)
        reference = _reference(stage.model, config)
        notes: dict[str, Any] = {"tokens": 0}
        if checkpoint is None:
            stage.evaluate_splits(run, "before")
        else:
            notes = dict(load_state(checkpoint, stage.model, optimizer).notes)
            stage.refresh_engine(run.start_step)
            reporter.message(f"resumed after step {run.start_step}")
        reporter.begin("training", config.steps)
        reporter.advance(run.start_step)
        for step in range(run.start_step, config.steps):
            row = _step(step, config, stage, run, tasks, reward, algorithm, optimizer, reference)
            notes["tokens"] += row["completion_tokens_total"]
            run.log(row)
            reporter.step(row)
            _after_step(step + 1, config, stage, run, optimizer, notes)
            reporter.advance()
        reporter.end()
        if config.report.keep_best and "best_step" in notes:
            load_state(run.checkpoint_folder(notes["best_step"]), stage.model, optimizer)
            stage.refresh_engine(config.steps + 1)
        stage.finish(run, {"steps": config.steps, **notes})
    return run.folder


def _check(config: RLConfig, algorithm: Algorithm, tasks: TaskSet) -> None:
    if algorithm.needs and tuple(algorithm.needs) != ("reference",):
        raise ConfigError(f"algorithm {algorithm.name!r} needs {', '.join(algorithm.needs)}, which rl does not train")
    scripts = [task.id for task in tasks.tasks if tasks.oracle(task).trust == "script"]
    if scripts and not config.allow_scripts:
        raise ConfigError(
            f"{len(scripts)} tasks (such as {scripts[0]}) are judged by scripts that share the program's process, "
            "where a policy can forge a pass; leave them out, or set allow_scripts"
        )
    if not tasks.tasks:
        raise ConfigError(f"task source {config.tasks!r} has no tasks")


def _reference(model: Any, config: RLConfig) -> Any:
    """The frozen starting model, where a KL penalty needs it; with LoRA it is the model itself, adapters off."""
    if config.kl_coef == 0 or is_lora(model):
        return model
    return copy.deepcopy(model).requires_grad_(False)


def scheduled_tasks(tasks: Sequence[Task], step: int, count: int, seed: int) -> list[Task]:
    """Tasks of a step: each epoch visits every task once, in an order drawn from (seed, epoch)."""
    chosen = []
    for position in range(step * count, (step + 1) * count):
        epoch, index = divmod(position, len(tasks))
        order = list(range(len(tasks)))
        Random(derive_seed(seed, "order", epoch)).shuffle(order)
        chosen.append(tasks[order[index]])
    return chosen


def _step(
    step: int,
    config: RLConfig,
    stage: Stage,
    run: Run,
    tasks: TaskSet,
    reward: Reward,
    algorithm: Algorithm,
    optimizer: torch.optim.Optimizer,
    reference: Any,
) -> dict[str, Any]:
    """One round of sampling and updating; returns its row for `metrics.jsonl`."""
    started = time.perf_counter()
    chosen = scheduled_tasks(tasks.tasks, step, config.tasks_per_step, config.seed)
    groups = stage.wait(
        collect(
            chosen,
            [tasks.oracle(task) for task in chosen],
            agent=stage.agent(sampling_params(config.sampling)),
            engine=stage.engine,
            judge=stage.judge,
            reward=reward,
            group_size=config.group_size,
            seed=derive_seed(config.seed, "step", step),
        )
    )
    sampled = time.perf_counter()
    if config.rollouts_kept and step % config.rollouts_kept == 0:
        run.write_rows(f"rollouts/step-{step + 1:06d}.jsonl", sample_rows(groups))
    row = {"step": step + 1, "kind": "train", **_rollout_metrics(groups)}
    batch = make_batch(group.rollouts for group in groups)
    if batch is None:
        raise RunError(f"step {step + 1}: every rollout failed; the first says: {_first_error(groups)}")
    row.update(
        update(stage.model, optimizer, batch, config, algorithm, step=step, reference=reference, dtype=stage.dtype)
    )
    stage.refresh_engine(step + 1)
    give_back_freed_memory()
    ended = time.perf_counter()
    row["seconds"] = ended - started
    row["seconds_sampling"] = sampled - started
    row["tokens_per_second"] = row["completion_tokens_total"] / (ended - started)
    return row


def update(
    model: Any,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    config: RLConfig,
    algorithm: Algorithm,
    *,
    step: int,
    reference: Any,
    dtype: torch.dtype,
) -> dict[str, float]:
    """Train on one step's batch; returns metrics.

    Rollouts with advantage 0 are not run where nothing else would train on them; the weights are computed
    before they are dropped, so leaving them out changes no gradient.
    """
    advantages = algorithm.advantage(batch.rewards, batch.group_ids)
    parts = _minibatches(batch, advantages, config.minibatches)
    old = None
    if len(parts) > 1:
        # The anchor of the ratio is the policy before the first of several updates.
        old = [token_logprobs(model, part, token_budget=config.token_budget, dtype=dtype).values for part, _ in parts]
    rows: list[dict[str, float]] = []
    for number, (part, own) in enumerate(parts):
        anchor = old[number] if old is not None else None
        loss = _accumulate(model, part, own, anchor, config, algorithm, reference, dtype)
        if loss is None:
            continue
        index = step * len(parts) + number
        set_learning_rate(optimizer, learning_rate(config.optim, index, config.steps * len(parts)))
        loss["grad_norm"] = clip_gradients(
            (p for p in model.parameters() if p.requires_grad), config.optim.max_grad_norm
        )
        loss["learning_rate"] = optimizer.param_groups[0]["lr"]
        optimizer.step()
        optimizer.zero_grad()
        rows.append(loss)
    signal = has_signal(batch.rewards, batch.group_ids)
    metrics = {key: sum(row[key] for row in rows) / len(rows) for key in (rows[0] if rows else ())}
    num_groups = len(set(batch.group_ids.tolist()))
    return {**metrics, "signal_groups": len(set(batch.group_ids[signal].tolist())) / num_groups}


def _minibatches(batch: Batch, advantages: Tensor, count: int) -> list[tuple[Batch, Tensor]]:
    """Split a step by groups into `count` optimizer steps."""
    if count == 1:
        return [(batch, advantages)]
    chosen = [batch.group_ids % count == number for number in range(count)]
    return [(select_rollouts(batch, keep), advantages[keep]) for keep in chosen if bool(keep.any())]


def _accumulate(
    model: Any,
    batch: Batch,
    advantages: Tensor,
    old: Tensor | None,
    config: RLConfig,
    algorithm: Algorithm,
    reference: Any,
    dtype: torch.dtype,
) -> dict[str, float] | None:
    """Add the gradient of one optimizer step, pack by pack; None where nothing has a gradient."""
    weights = algorithm.reduction(batch.mask, batch.rollout_index, batch.group_ids, horizon=config.sampling.max_tokens)
    trains = advantages != 0
    if algorithm.keep is not None:
        trains &= algorithm.keep(batch.rewards, batch.group_ids)
    keep_rows = (
        torch.ones_like(batch.rollout_index, dtype=torch.bool) if config.kl_coef else trains[batch.rollout_index]
    )
    if not bool(keep_rows.any()):
        return None
    part, weights = batch.select_rows(keep_rows), weights[keep_rows]
    old = old[keep_rows] if old is not None else None
    row_advantages = (advantages * trains)[part.rollout_index][:, None]
    settings = {key: value for key in ("clip_low", "clip_high") if (value := getattr(config, key)) is not None}
    seen = _Seen.empty(part)
    total = 0.0
    model.train()
    for pack in pack_views(part.views, token_budget=config.token_budget, share_prompts=config.share_prompts):
        rows = sorted(set(pack.rows))
        scores = score_pack(model, pack, part, dtype=dtype)
        logprobs, mask = scores.values[rows].cpu(), part.mask[rows]
        anchor = logprobs.detach() if old is None else old[rows]
        per_token = call(
            algorithm.objective,
            logprobs=logprobs,
            old_logprobs=anchor,
            advantages=row_advantages[rows],
            mask=mask,
            sampler_logprobs=part.sampler_logprobs[rows],
            rollout_index=part.rollout_index[rows],
            **settings,
        )
        if config.importance_cap:
            per_token = per_token * truncated_importance(
                anchor, part.sampler_logprobs[rows], mask, cap=config.importance_cap
            )
        if config.kl_coef:
            with torch.no_grad(), base_weights(reference):
                ref = score_pack(reference, pack, part, dtype=dtype).values[rows].cpu()
            per_token = per_token + config.kl_coef * kl_k3(logprobs, ref, mask)
            seen.kl[rows] = kl_k3(logprobs.detach(), ref, mask)
        loss = (per_token * weights[rows]).sum()
        loss.backward()
        total += float(loss.detach())
        assert scores.entropy is not None
        seen.logprobs[rows], seen.anchor[rows] = logprobs.detach(), anchor
        seen.entropy[rows] = scores.entropy[rows].cpu()
    model.eval()
    return {"loss": total, **seen.metrics(part, row_advantages, settings, with_kl=bool(config.kl_coef))}


@dataclass(frozen=True)
class _Seen:
    """Per-token values gathered while packs went by, (B, T) each; they only feed metrics."""

    logprobs: Tensor
    anchor: Tensor
    entropy: Tensor
    kl: Tensor

    @classmethod
    def empty(cls, batch: Batch) -> _Seen:
        return cls(*(torch.zeros(batch.mask.shape) for _ in range(4)))

    def metrics(self, batch: Batch, advantages: Tensor, settings: dict[str, float], with_kl: bool) -> dict[str, float]:
        found = {
            **policy_change(self.logprobs, self.anchor, advantages, batch.mask, **settings),
            **sampler_drift(self.anchor, batch.sampler_logprobs, batch.mask),
            **entropy_summary(self.entropy, batch.mask),
        }
        if with_kl:
            found["kl"] = float(self.kl[batch.mask].mean())
        return found


def _rollout_metrics(groups: Sequence[Group]) -> dict[str, Any]:
    """Figures of a step's rollouts; shares are of those that did not fail for reasons of ours."""
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    sound = [rollout for rollout in rollouts if rollout.status != "error"]
    rows = [row for row in sample_rows(groups) if row["status"] != "error"]
    values = [rollout.score.value for rollout in sound if rollout.score.value is not None]
    count = max(1, len(sound))
    tokens = sum(rollout.usage["completion_tokens"] for rollout in sound)
    return {
        "reward": sum(values) / max(1, len(values)),
        "pass_rate": sum(row["status"] == "passed" for row in rows) / count,
        "tests_passed": sum(row["passed"] / max(1, row["total"]) for row in rows) / count,
        "completion_tokens": tokens / count,
        "completion_tokens_total": tokens,
        "truncated": sum(rollout.status == "truncated" for rollout in sound) / count,
        "no_code": sum(row["status"] == "no_code" for row in rows) / count,
        "syntax_error": sum(row["status"] in ("syntax_error", "no_entry_point") for row in rows) / count,
        "timeout": sum(row["status"] == "timeout" for row in rows) / count,
        "violations": sum(bool(row["violations"]) for row in rows) / count,
        "infra_errors": len(rollouts) - len(sound),
    }


def _first_error(groups: Sequence[Group]) -> str:
    errors = (rollout.error for group in groups for rollout in group.rollouts if rollout.error)
    return next(errors, "nothing (no completion had a sampled token)")


def _after_step(
    step: int, config: RLConfig, stage: Stage, run: Run, optimizer: torch.optim.Optimizer, notes: dict[str, Any]
) -> None:
    """Validation and checkpoint, where they are due."""
    every = config.report.validate_every
    best = False
    if every and (step % every == 0 or step == config.steps):
        value = stage.validate(run, step)
        if value is not None and value > notes.get("best_value", -1.0):
            notes.update(best_value=value, best_step=step)
            best = config.report.keep_best
    due = step == config.steps or (config.checkpoint_every and step % config.checkpoint_every == 0)
    if due or best:
        save_state(run.checkpoint_folder(step), stage.model, optimizer, TrainState(step, notes))
        protect = [notes["best_step"]] if config.report.keep_best and "best_step" in notes else []
        run.forget_old_checkpoints(config.keep_checkpoints, protect)
