"""Which rollouts are worth training on: `(rewards (N,), group_ids (N,))` -> bool `(N,)`, True to keep."""

from __future__ import annotations

import torch
from torch import Tensor

from verigrad.algorithms.shapes import check_shapes

__all__ = ["has_signal"]


def has_signal(rewards: Tensor, group_ids: Tensor, *, eps: float = 1e-8) -> Tensor:
    """True for rollouts of a group whose rewards differ; in any other group every advantage is 0.

    Yu et al. 2025, DAPO, arXiv:2503.14476, eq. 11 (dynamic sampling keeps prompts with accuracy strictly between 0 and
    1). Give it the raw task reward: a length penalty added first would make groups look as if they had something to
    learn from.

    Args:
        rewards: (N,) float, NaN where left out.
        group_ids: (N,) int.
        eps: smallest range of rewards, in units of reward, that counts as a difference (exclusive).

    Returns:
        (N,) bool; False for rollouts left out.

    >>> has_signal(torch.tensor([1.0, 0.0, 1.0, 1.0]), torch.tensor([0, 0, 1, 1]))
    tensor([ True,  True, False, False])
    """
    check_shapes("N", rewards=rewards, group_ids=group_ids)
    index = torch.unique(group_ids, return_inverse=True)[1]
    highest = _reduce(rewards.nan_to_num(nan=-torch.inf), index, "amax")
    lowest = _reduce(rewards.nan_to_num(nan=torch.inf), index, "amin")
    return (highest - lowest > eps) & ~rewards.isnan()


def _reduce(values: Tensor, index: Tensor, how: str) -> Tensor:
    return torch.zeros_like(values).scatter_reduce(0, index, values, how, include_self=False)[index]
