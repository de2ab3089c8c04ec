"""From rollouts and demonstrations to a `Batch`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from random import Random

import torch
from torch import Tensor

from verigrad.models.base import Batch, View
from verigrad.seeds import derive_seed
from verigrad.types import Rollout, Row, rows

__all__ = [
    "completion_lengths",
    "epoch_order",
    "make_batch",
    "rewarded_tokens",
    "rows_batch",
    "score_parts",
    "select_rollouts",
    "step_numbers",
    "terminal_rewards",
    "trains",
]


def step_numbers(count: int, batch_size: int, seed: int, step: int) -> list[int]:
    """Which of `count` examples a step takes: each epoch in an order drawn from (seed, epoch), its rest last."""
    epoch, index = divmod(step, -(-count // batch_size))
    return list(epoch_order(count, seed, epoch)[index * batch_size : (index + 1) * batch_size])


@lru_cache(maxsize=2)
def epoch_order(count: int, seed: int, epoch: int) -> tuple[int, ...]:
    """The numbers below `count` in the order of an epoch, drawn from (seed, epoch); kept, as every step asks for it."""
    order = list(range(count))
    Random(derive_seed(seed, "order", epoch)).shuffle(order)
    return tuple(order)


def make_batch(groups: Iterable[Sequence[Rollout]], build: Callable[..., Batch] | None = None) -> Batch | None:
    """One optimizer step's batch out of groups of rollouts; None where nothing in them can be trained on.

    Infrastructure errors and rollouts of agents that do not train are left out whole. A score of None keeps its
    row, with a reward of NaN: estimators give it advantage 0 and leave it out of the statistics.

    Args:
        build: makes the batch of rows; arguments as `rows_batch`, the default.
    """
    parts: list[Row] = []
    rollout_index: list[int] = []
    group_ids: list[int] = []
    rewards: list[float] = []
    for group_id, group in enumerate(groups):
        for rollout in group:
            own_rows = _trainable_rows(rollout)
            if not own_rows:
                continue
            parts += own_rows
            rollout_index += [len(group_ids)] * len(own_rows)
            group_ids.append(group_id)
            rewards.append(float("nan") if rollout.score.value is None else rollout.score.value)
    return (build or rows_batch)(parts, rollout_index, group_ids, rewards) if parts else None


def trains(rollout: Rollout) -> bool:
    """Whether `make_batch` keeps a rollout."""
    return bool(_trainable_rows(rollout))


def _trainable_rows(rollout: Rollout) -> list[Row]:
    return rows(rollout) if rollout.status != "error" and rollout.trainable else []


def completion_lengths(groups: Iterable[Sequence[Rollout]]) -> Tensor:
    """(N,) tokens of the completions of the rollouts `make_batch` keeps.

    A batch's mask does not tell: it has what was revealed behind an end as well, and several rows of one completion.
    """
    kept = [rollout for group in groups for rollout in group if trains(rollout)]
    return torch.tensor([float(sum(len(turn.completion_ids) for turn in r.turns if turn.sampled)) for r in kept])


def score_parts(groups: Iterable[Sequence[Rollout]]) -> dict[str, Tensor]:
    """The named parts of scores, (N,) each, for the rollouts `make_batch` keeps; NaN where a score lacks a part.

    The part `cost` is called `costs`, as functions of several rollouts call it.
    """
    kept = [rollout for group in groups for rollout in group if trains(rollout)]
    names = sorted({name for rollout in kept for name in rollout.score.parts})
    return {
        "costs" if name == "cost" else name: torch.tensor(
            [float(rollout.score.parts.get(name, float("nan"))) for rollout in kept]
        )
        for name in names
    }


def rewarded_tokens(batch: Batch) -> Tensor:
    """The mask (B, T) without rollouts that have no reward: they enter no statistic and teach no critic."""
    return batch.mask & ~batch.rewards.isnan()[batch.rollout_index][:, None]


def terminal_rewards(batch: Batch) -> Tensor:
    """Rewards per token (B, T): a rollout's reward at its last token, 0 elsewhere and where it is left out."""
    token_rewards = torch.zeros(batch.mask.shape)
    last: dict[int, tuple[int, int]] = {}
    for row, tokens in enumerate(batch.mask):
        if bool(tokens.any()):
            last[int(batch.rollout_index[row])] = (row, int(tokens.nonzero()[-1]))
    for rollout, place in last.items():
        token_rewards[place] = batch.rewards[rollout].nan_to_num()
    return token_rewards


def rows_batch(
    parts: Sequence[Row], rollout_index: Sequence[int], group_ids: Sequence[int], rewards: Sequence[float]
) -> Batch:
    """Pad rows to one width and give each its causal view."""
    shape = (len(parts), max(len(row.ids) for row in parts))
    mask = torch.zeros(shape, dtype=torch.bool)
    sampler_logprobs = torch.zeros(shape)
    temperature = torch.ones(shape)
    views = []
    for index, row in enumerate(parts):
        length = len(row.ids)
        mask[index, :length] = torch.tensor(row.mask)
        sampler_logprobs[index, :length] = torch.tensor(row.sampler_logprobs)
        temperature[index, :length] = torch.tensor(row.temperature)
        views.append(View(index, torch.tensor(row.ids), mask[index, :length].clone()))
    return Batch(
        views=tuple(views),
        mask=mask,
        sampler_logprobs=sampler_logprobs,
        temperature=temperature,
        kept={(index, t): ids for index, row in enumerate(parts) for t, ids in row.kept.items()},
        prompt_lengths=torch.tensor([row.prompt_length for row in parts]),
        rollout_index=torch.tensor(rollout_index),
        group_ids=torch.tensor(group_ids),
        rewards=torch.tensor(rewards, dtype=torch.float32),
    )


def select_rollouts(batch: Batch, keep: Tensor) -> Batch:
    """The rollouts where `keep` (N,) is True as a batch of their own, numbered anew."""
    number = torch.cumsum(keep.long(), 0) - 1
    part = batch.select_rows(keep[batch.rollout_index])
    return replace(
        part,
        rollout_index=number[part.rollout_index],
        group_ids=batch.group_ids[keep],
        rewards=batch.rewards[keep],
    )
