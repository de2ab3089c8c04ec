"""One step's update of the policy: advantages in, optimizer steps done, metrics out.

Packs are run one after another and their gradients added; the weights of the reduction are computed over the whole
optimizer step before anything is cut up or dropped, so neither packs nor skipped rollouts change the gradient.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from verigrad.algorithms.diagnostics import entropy_summary, policy_change, sampler_drift
from verigrad.algorithms.objectives import decoupled_ppo, ppo_clip
from verigrad.algorithms.penalties import kl_k3
from verigrad.algorithms.presets import Algorithm, asks_for, call, leaves_open
from verigrad.algorithms.reductions import token_mean
from verigrad.algorithms.supervised import cross_entropy
from verigrad.models.base import Batch
from verigrad.models.lora import base_weights
from verigrad.models.masked import MaskedPack
from verigrad.models.packing import Pack
from verigrad.models.scoring import cuts, pack_batch, score_pack, scored_tokens, token_logprobs
from verigrad.training.batching import select_rollouts
from verigrad.training.config import RLConfig
from verigrad.training.corrections import correction, kl_loss, reads_rollouts
from verigrad.training.optim import clip_gradients, learning_rate, set_learning_rate
from verigrad.training.run import Learner

__all__ = ["reference_logprobs", "update_policy"]


def update_policy(
    learner: Learner,
    batch: Batch,
    advantages: Tensor,
    config: RLConfig,
    algorithm: Algorithm,
    *,
    step: int,
    reference: Any,
    dtype: torch.dtype,
    succeeded: Tensor | None = None,
    old_logprobs: Tensor | None = None,
    demonstrations: Batch | None = None,
) -> dict[str, float]:
    """Train on one step's batch.

    Args:
        advantages: (N,) one per rollout, or (B, T) one per token.
        step: number of the step, for the schedule.
        reference: the frozen model of the KL penalty; the policy itself where it has adapters or there is none.
        succeeded: (N,) bool, rollouts whose likelihood `nll_coef` raises.
        old_logprobs: (B, T) the anchor of the ratio, where it is not the policy as it is now.
        demonstrations: answers whose cross-entropy, times `gold_coef`, is added to the loss of every optimizer step.
    """
    parts = _parts(_whole(batch, advantages, succeeded, old_logprobs), config.minibatches)
    if len(parts) * config.passes > 1:
        # The anchor of the ratio is the policy before the first of several updates.
        parts = [part.anchored(learner.model, config.token_budget, dtype) for part in parts]
    metrics: list[dict[str, float]] = []
    updates = config.passes * config.minibatches  # of a step in which every minibatch has rows: the schedule's count
    for number, part in enumerate(parts * config.passes):
        found = _accumulate(learner.model, part, config, algorithm, reference, dtype) or {}
        if demonstrations is not None:
            found["gold_loss"] = _imitate(learner.model, demonstrations, config, dtype)
        if not found:
            continue
        rate = learning_rate(config.optim, step * updates + number, config.steps * updates)
        set_learning_rate(learner.optimizer, rate)
        trainable = (p for p in learner.model.parameters() if p.requires_grad)
        found["grad_norm"] = clip_gradients(trainable, config.optim.max_grad_norm)
        found["learning_rate"] = rate
        learner.optimizer.step()
        learner.optimizer.zero_grad()
        metrics.append(found)
    return _over_updates(metrics)


def _over_updates(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of every key over the rows that have it, and of a largest value the largest."""
    found = {key: [row[key] for row in rows if key in row] for row in rows for key in row}
    return {key: max(values) if key.endswith("_max") else sum(values) / len(values) for key, values in found.items()}


def _imitate(model: Any, demonstrations: Batch, config: RLConfig, dtype: torch.dtype) -> float:
    """Add the gradient of `gold_coef` times the mean cross-entropy of demonstrated tokens; returns that mean."""
    assert config.gold_coef is not None
    weights = token_mean(demonstrations.mask, demonstrations.rollout_index, demonstrations.group_ids)
    total = 0.0
    model.train()
    for pack in pack_batch(model, demonstrations, token_budget=config.token_budget):
        rows = sorted(set(pack.rows))
        values = score_pack(model, pack, demonstrations, dtype=dtype).values[rows].cpu()
        loss = (cross_entropy(values, demonstrations.mask[rows]) * weights[rows]).sum()
        (config.gold_coef * loss).backward()
        total += float(loss.detach())
    model.eval()
    return total


def reference_logprobs(reference: Any, batch: Batch, config: RLConfig, dtype: torch.dtype) -> Tensor:
    """Log-probabilities (B, T) of the frozen starting model."""
    with base_weights(reference):
        return token_logprobs(reference, batch, token_budget=config.token_budget, dtype=dtype).values


@dataclass(frozen=True)
class _Part:
    """The rollouts of one optimizer step; without `anchor` (B, T) the ratio is to the policy as it is."""

    batch: Batch
    advantages: Tensor
    succeeded: Tensor
    anchor: Tensor | None

    def anchored(self, model: Any, token_budget: int, dtype: torch.dtype) -> _Part:
        if self.anchor is not None:
            return self
        return replace(self, anchor=token_logprobs(model, self.batch, token_budget=token_budget, dtype=dtype).values)

    def per_row(self) -> Tensor:
        """Advantages (B, 1) or (B, T); those of rollouts left out are 0."""
        if self.advantages.ndim == 2:
            return self.advantages
        return self.advantages[self.batch.rollout_index][:, None]

    def select_rows(self, keep: Tensor) -> _Part:
        return replace(
            self,
            batch=self.batch.select_rows(keep),
            advantages=self.advantages[keep] if self.advantages.ndim == 2 else self.advantages,
            anchor=None if self.anchor is None else self.anchor[keep],
        )

    def select_rollouts(self, keep: Tensor) -> _Part:
        rows = keep[self.batch.rollout_index]
        return _Part(
            select_rollouts(self.batch, keep),
            self.advantages[rows] if self.advantages.ndim == 2 else self.advantages[keep],
            self.succeeded[keep],
            None if self.anchor is None else self.anchor[rows],
        )


def _whole(batch: Batch, advantages: Tensor, succeeded: Tensor | None, anchor: Tensor | None) -> _Part:
    nobody = torch.zeros(batch.num_rollouts, dtype=torch.bool)
    return _Part(batch, advantages, nobody if succeeded is None else succeeded, anchor)


def _parts(whole: _Part, count: int) -> list[_Part]:
    """Split a step by groups into `count` optimizer steps, fewer where there are not as many groups.

    Groups are dealt out by their place among those that are left: by their numbers, a step that has lost every second
    one would be one optimizer step in place of two.
    """
    if count == 1:
        return [whole]
    place = torch.unique(whole.batch.group_ids, return_inverse=True)[1]
    chosen = (place % count == number for number in range(count))
    return [whole.select_rollouts(keep) for keep in chosen if bool(keep.any())]


def _accumulate(
    model: Any, part: _Part, config: RLConfig, algorithm: Algorithm, reference: Any, dtype: torch.dtype
) -> dict[str, float] | None:
    """Add the gradient of one optimizer step, pack by pack; None where nothing has a gradient.

    Rows whose advantage is 0 are not run where nothing else would train on them.
    """
    batch = part.batch
    offered = {"mask": batch.mask, "rollout_index": batch.rollout_index, "group_ids": batch.group_ids}
    horizon = {"horizon": config.sampling.max_tokens} if leaves_open(algorithm.reduction, "horizon") else {}
    weights: Tensor = call(algorithm.reduction, **offered, **horizon)
    copied = part.succeeded[batch.rollout_index] & bool(config.nll_coef)
    nll_weights = token_mean(batch.mask & copied[:, None], batch.rollout_index, batch.group_ids)
    nll_weights = nll_weights * (config.nll_coef or 0.0)
    kl_coef = 0.0 if algorithm.kl_in_reward else config.kl_coef
    keep = (part.per_row() != 0).any(dim=1) | copied
    by_rollout = reads_rollouts(algorithm, batch, config)
    if by_rollout:
        keep = _whole_rollouts(keep, batch)
    if kl_coef:
        keep = torch.ones_like(keep)
    if not bool(keep.any()):
        return None
    part, weights, nll_weights = part.select_rows(keep), weights[keep], nll_weights[keep]
    settings = {key: value for key in ("clip_low", "clip_high") if (value := getattr(config, key)) is not None}
    seen = _Seen.empty(part.batch)
    packs = pack_batch(model, part.batch, token_budget=config.token_budget, share_prompts=config.share_prompts)
    slopes, total = None, 0.0
    if cuts(packs, part.batch, rollouts=by_rollout):
        slopes, total = _slopes(model, part, weights, algorithm, config, settings, dtype)
    model.train()
    for pack in packs:
        rows = sorted(set(pack.rows))
        scores = score_pack(model, pack, part.batch, dtype=dtype)
        logprobs, mask = scores.values[rows].cpu(), part.batch.mask[rows]
        if not by_rollout:
            mask = mask & scored_tokens(pack, part.batch)[rows]
        loss = -(logprobs * nll_weights[rows]).sum()
        if slopes is None:
            loss = loss + (_policy_loss(logprobs, part, rows, mask, algorithm, config, settings) * weights[rows]).sum()
        if kl_coef:
            ref = _reference_of(pack, part.batch, reference, dtype)[rows]
            penalty = kl_loss(logprobs, ref, _anchor(part, rows, logprobs), mask, config.kl)
            loss = loss + (kl_coef * penalty * weights[rows]).sum()
            seen.kl[rows] += kl_k3(logprobs.detach(), ref, mask)
        total += float(loss.detach())
        if slopes is not None:
            loss = loss + (logprobs * slopes[rows]).sum()
        loss.backward()
        assert scores.entropy is not None
        seen.logprobs[rows] += logprobs.detach()
        seen.entropy[rows] += scores.entropy[rows].cpu()
    model.eval()
    return {"loss": total, **seen.metrics(part, _bounds(algorithm.objective, settings), with_kl=bool(kl_coef))}


def _whole_rollouts(keep: Tensor, batch: Batch) -> Tensor:
    """The rows (B,) of all rollouts of which a row is kept."""
    rollouts = torch.zeros(batch.num_rollouts, dtype=torch.bool)
    rollouts[batch.rollout_index[keep]] = True
    return rollouts[batch.rollout_index]


def _slopes(
    model: Any,
    part: _Part,
    weights: Tensor,
    algorithm: Algorithm,
    config: RLConfig,
    settings: Mapping[str, float],
    dtype: torch.dtype,
) -> tuple[Tensor, float]:
    """The objective's gradient with respect to every log-prob (B, T), and its value, over all rows at once.

    An objective that reads whole rollouts, or tokens scored in several views, cannot be computed pack by pack where
    these are cut up. Its gradient with respect to the log-probs can, from a forward pass of its own, and the packs then
    carry it on, by the chain rule.
    """
    every = token_logprobs(model, part.batch, token_budget=config.token_budget, dtype=dtype).values.requires_grad_()
    rows = list(range(len(every)))
    loss = (_policy_loss(every, part, rows, part.batch.mask, algorithm, config, settings) * weights).sum()
    loss.backward()
    assert every.grad is not None
    return every.grad, float(loss.detach())


def _policy_loss(
    logprobs: Tensor,
    part: _Part,
    rows: list[int],
    mask: Tensor,
    algorithm: Algorithm,
    config: RLConfig,
    settings: Mapping[str, float],
) -> Tensor:
    batch, loss_weights = part.batch, _rows_of(part.batch.loss_weights, rows)
    anchor = _anchor(part, rows, logprobs)
    per_token: Tensor = call(
        algorithm.objective,
        logprobs=logprobs,
        old_logprobs=anchor,
        advantages=part.per_row()[rows],
        mask=mask,
        sampler_logprobs=batch.sampler_logprobs[rows],
        rollout_index=batch.rollout_index[rows],
        **({} if loss_weights is None else {"loss_weights": loss_weights}),
        **settings,
    )
    if loss_weights is not None and not asks_for(algorithm.objective, "loss_weights"):
        per_token = per_token * loss_weights
    factors = correction(algorithm, logprobs, anchor, part.per_row()[rows], mask, batch, rows, config)
    return per_token if factors is None else per_token * factors


def _anchor(part: _Part, rows: list[int], logprobs: Tensor) -> Tensor:
    """Log-probabilities the ratio is taken against: the policy's own before the update, unless another is given."""
    return logprobs.detach() if part.anchor is None else part.anchor[rows]


def _rows_of(values: Tensor | None, rows: list[int]) -> Tensor | None:
    return None if values is None else values[rows]


def _reference_of(pack: Pack | MaskedPack, batch: Batch, reference: Any, dtype: torch.dtype) -> Tensor:
    with torch.no_grad(), base_weights(reference):
        return score_pack(reference, pack, batch, dtype=dtype).values.cpu()


def _bounds(objective: Callable[..., Tensor], settings: Mapping[str, float]) -> dict[str, float] | None:
    """The bounds a PPO objective clips at; None for others, whose tokens are not cut off one by one at such bounds."""
    if getattr(objective, "func", objective) not in (ppo_clip, decoupled_ppo):
        return None
    own = inspect.signature(objective).parameters
    names = {"clip_low", "clip_high", "dual_clip"} & own.keys()
    bounds = {name: settings.get(name, own[name].default) for name in names}
    return {name: bound for name, bound in bounds.items() if bound is not None}


@dataclass(frozen=True)
class _Seen:
    """Per-token values gathered while packs went by, (B, T) each; they only feed metrics."""

    logprobs: Tensor
    entropy: Tensor
    kl: Tensor

    @classmethod
    def empty(cls, batch: Batch) -> _Seen:
        return cls(*(torch.zeros(batch.mask.shape) for _ in range(3)))

    def metrics(self, part: _Part, bounds: Mapping[str, float] | None, with_kl: bool) -> dict[str, float]:
        batch = part.batch
        anchor = self.logprobs if part.anchor is None else part.anchor
        change = policy_change(self.logprobs, anchor, part.per_row(), batch.mask, **(bounds or {}))
        if bounds is None:
            del change["clip_fraction"]
        found = {**change, **entropy_summary(self.entropy, batch.mask)}
        if batch.kind == "exact":
            found.update(sampler_drift(anchor, batch.sampler_logprobs, batch.mask))
        if with_kl:
            found["kl"] = float(self.kl[batch.mask].mean())
        return found
