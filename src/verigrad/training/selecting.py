"""Which rollouts of a step train: those that have what the algorithm compares, and of them those that it keeps.

What is left out goes before anything is averaged, so that it is in no mean, no length and no KL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from verigrad.algorithms.presets import Algorithm, asks_for, call
from verigrad.errors import ConfigError
from verigrad.models.base import Batch
from verigrad.training.batching import select_rollouts

__all__ = ["keep_rollouts", "score_tensors", "scored", "select"]

_Known = Mapping[str, Tensor]


def score_tensors(parts: _Known, seen: Iterable[str], count: int) -> dict[str, Tensor]:
    """Parts of scores (N,) by the names that functions may ask for: `part_NAME`, `costs`, and all as `part_rewards`.

    The prefix keeps a part named like an option of a function (`power`, `count`) from becoming that option.

    Args:
        parts: (N,) each, see `batching.score_parts`.
        seen: names of the parts of earlier steps. Of one that no score of this step has every rollout has NaN, as a
            rollout has whose score lacks it: a judge that fails throughout must not leave the other parts to train on
            their own. Without any earlier ones the algorithm says that it misses them.
        count: N.
    """
    every = {name: torch.full((count,), torch.nan) for name in seen} | dict(parts)
    found = {name if name == "costs" else f"part_{name}": values for name, values in every.items()}
    columns = [values for name, values in sorted(every.items()) if name != "costs"]
    return found | ({"part_rewards": torch.stack(columns, dim=1)} if columns else {})


def scored(algorithm: Algorithm, batch: Batch, known: _Known) -> Tensor:
    """Which rollouts (N,) have a reward, and the baseline, cost or parts that the algorithm's advantage reads."""
    there = ~batch.rewards.isnan()
    for name, values in known.items():
        read = name in ("greedy_rewards", "costs") or name.startswith("part_")
        if read and asks_for(algorithm.advantage, name):
            there = there & ~values.isnan().view(len(there), -1).any(dim=1)
    return there


def keep_rollouts(algorithm: Algorithm, batch: Batch, known: _Known, seed: int) -> tuple[Batch, dict[str, Tensor]]:
    """The rollouts that the algorithm trains on; all, with their `counts` (N,), where it weighs them instead.

    Raises:
        ConfigError: the choice asks for something that is not there, or refuses these rewards.
    """
    if algorithm.keep is None:
        return batch, dict(known)
    try:
        keep = call(algorithm.keep, **{**known, "rewards": batch.rewards, "group_ids": batch.group_ids, "seed": seed})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"algorithm {algorithm.name!r}, of which rollouts it keeps: {error}") from error
    if keep.dtype != torch.bool:
        return batch, {**known, "counts": keep}
    return select(batch, known, keep)


def select(batch: Batch, known: _Known, keep: Tensor) -> tuple[Batch, dict[str, Tensor]]:
    """The rollouts where `keep` (N,) is True, with what is known of them: tensors (N, ...) and (B, T)."""
    if bool(keep.all()):
        return batch, dict(known)
    rows = keep[batch.rollout_index]
    by_row = {name for name, values in known.items() if values.shape[:2] == batch.mask.shape}
    return select_rollouts(batch, keep), {
        name: values[rows if name in by_row else keep] for name, values in known.items()
    }
