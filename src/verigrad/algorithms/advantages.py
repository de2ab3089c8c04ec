"""Advantages: how much better a rollout did than what it is compared with.

Every function maps `(rewards (N,), group_ids (N,))` to `(N,)`. Rewards are floating point; NaN means "left out" (an
infrastructure error, say): such a rollout gets advantage 0 and does not enter any statistic. Under group
estimators a group with one scored rollout has advantage 0: there is nothing to compare it with.

Statistics are taken of rewards shifted by their group's smallest one, so that equal rewards give exactly 0 and not
rounding noise that a small standard deviation would blow up.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from verigrad.algorithms.shapes import check_shapes

__all__ = [
    "batch_whitened",
    "group_centered",
    "group_normalized",
    "leave_one_out",
    "mean_normalized",
    "raw_rewards",
]


def raw_rewards(rewards: Tensor, group_ids: Tensor) -> Tensor:
    """A_i = r_i: no baseline at all; unbiased and of high variance.

    Williams 1992, "Simple statistical gradient-following algorithms for connectionist reinforcement learning", with
    reinforcement baseline b = 0.

    Args:
        rewards: (N,) float, NaN where left out.
        group_ids: (N,) int; not used.

    Returns:
        (N,).

    >>> raw_rewards(torch.tensor([1.0, float("nan")]), torch.tensor([0, 0]))
    tensor([1., 0.])
    """
    _check(rewards, group_ids)
    return rewards.nan_to_num(nan=0.0)


def group_normalized(rewards: Tensor, group_ids: Tensor, *, eps: float = 1e-4, ddof: int = 1) -> Tensor:
    """A_i = (r_i - mean) / (std + eps), both over the rollout's group.

    Shao et al. 2024, "DeepSeekMath", arXiv:2402.03300, section 4.1.2 (outcome supervision). The paper has no eps and
    does not say which standard deviation; ddof = 1 (the sample's) and eps = 1e-4 are what TRL uses, and most
    frameworks use ddof = 1.

    Args:
        rewards: (N,) float, NaN where left out.
        group_ids: (N,) int, equal where rollouts are compared.
        eps: added to the standard deviation, in units of reward.
        ddof: 1 divides the sum of squares by n - 1, 0 by n.

    Returns:
        (N,).

    >>> group_normalized(torch.tensor([1.0, 0.0, 0.5, 0.5]), torch.tensor([0, 0, 1, 1]), eps=0.0, ddof=0)
    tensor([ 1., -1.,  0.,  0.])
    """
    groups = _Groups.of(rewards, group_ids)
    squares = groups.sum_per_group(groups.centered.square())
    std = (squares / (groups.count - ddof).clamp(min=1)).sqrt()
    return torch.where(std > 0, groups.centered / (std + eps), 0.0)


def group_centered(rewards: Tensor, group_ids: Tensor) -> Tensor:
    """A_i = r_i - mean over the rollout's group.

    Liu et al. 2025, "Understanding R1-Zero-Like Training" (Dr. GRPO), arXiv:2503.20783, section 3.2: dividing by the
    standard deviation weights questions by how easy or hard they are, so it is left away.

    Args:
        rewards: (N,) float, NaN where left out.
        group_ids: (N,) int.

    Returns:
        (N,).

    >>> group_centered(torch.tensor([1.0, 0.0, 0.0, 0.0, 7.0]), torch.tensor([3, 3, 3, 3, 9]))
    tensor([ 0.7500, -0.2500, -0.2500, -0.2500,  0.0000])
    """
    return _Groups.of(rewards, group_ids).centered


def leave_one_out(rewards: Tensor, group_ids: Tensor) -> Tensor:
    """A_i = r_i - mean of the other rewards in the group = (r_i - mean) n / (n - 1).

    Ahmadian et al. 2024, "Back to Basics" (RLOO), arXiv:2402.14740; Kool et al. 2019, "Buy 4 REINFORCE samples, get
    a baseline for free!". The baseline does not depend on the rollout's own reward, so the gradient is unbiased.

    Args:
        rewards: (N,) float, NaN where left out.
        group_ids: (N,) int.

    Returns:
        (N,).

    >>> leave_one_out(torch.tensor([1.0, 0.0, 0.5]), torch.tensor([0, 0, 0]))
    tensor([ 0.7500, -0.7500,  0.0000])
    """
    groups = _Groups.of(rewards, group_ids)
    return groups.centered * groups.count / (groups.count - 1).clamp(min=1)


def mean_normalized(rewards: Tensor, group_ids: Tensor) -> Tensor:
    """A_i = (r_i - mean) / mean over the rollout's group, 0 where the mean is 0.

    Tajwar et al. 2026, "Maximum Likelihood Reinforcement Learning" (MaxRL), arXiv:2602.02710. With rewards of 0 and 1
    it follows the gradient of the log pass rate in place of the pass rate, so hard tasks weigh more.

    Args:
        rewards: (N,) float, none negative, NaN where left out.
        group_ids: (N,) int.

    Returns:
        (N,).

    Raises:
        ValueError: a reward is negative; the mean then says nothing about a rate of success.

    >>> mean_normalized(torch.tensor([1.0, 0.0, 0.0, 0.0]), torch.tensor([0, 0, 0, 0]))
    tensor([ 3., -1., -1., -1.])
    """
    if bool((rewards < 0).any()):
        raise ValueError(f"mean_normalized got a reward of {rewards.nan_to_num().min().item()}, wanted none below 0")
    groups = _Groups.of(rewards, group_ids)
    mean = groups.sum_per_group(rewards.nan_to_num(nan=0.0)) / groups.count.clamp(min=1)
    return torch.where(mean > 0, groups.centered / torch.where(mean > 0, mean, 1.0), 0.0)


def batch_whitened(rewards: Tensor, group_ids: Tensor, *, eps: float = 1e-4, ddof: int = 1) -> Tensor:
    """A_i = (r_i - mean) / (std + eps), both over the whole batch.

    Hu et al. 2025, "REINFORCE++", arXiv:2501.03262 (global advantage normalisation). Not a group estimator: a task
    whose rollouts all fail still pushes down, which is also why hard tasks bias it.

    Args:
        rewards: (N,) float, NaN where left out.
        group_ids: (N,) int; not used.
        eps: added to the standard deviation, in units of reward.
        ddof: 1 divides the sum of squares by n - 1, 0 by n.

    Returns:
        (N,); all 0 where the batch has one scored rollout.

    >>> batch_whitened(torch.tensor([1.0, -1.0]), torch.tensor([0, 1]), eps=0.0, ddof=0)
    tensor([ 1., -1.])
    """
    _check(rewards, group_ids)
    return group_normalized(rewards, torch.zeros_like(group_ids), eps=eps, ddof=ddof)


@dataclass(frozen=True)
class _Groups:
    """Rewards by group, left-out rollouts set aside. Every field is (N,): a group's value at each of its rollouts."""

    index: Tensor
    scored: Tensor
    count: Tensor
    centered: Tensor

    @staticmethod
    def of(rewards: Tensor, group_ids: Tensor) -> _Groups:
        _check(rewards, group_ids)
        index = torch.unique(group_ids, return_inverse=True)[1]
        scored = ~rewards.isnan()
        count = _sum_per_group(scored.to(rewards.dtype), index)
        lowest = torch.full_like(rewards, torch.inf)
        lowest = lowest.scatter_reduce(0, index, rewards.nan_to_num(nan=torch.inf), "amin")[index]
        above = torch.where(scored, rewards - lowest, 0.0)
        mean = _sum_per_group(above, index) / count.clamp(min=1)
        return _Groups(index, scored, count, torch.where(scored, above - mean, 0.0))

    def sum_per_group(self, values: Tensor) -> Tensor:
        return _sum_per_group(values, self.index)


def _sum_per_group(values: Tensor, index: Tensor) -> Tensor:
    return torch.zeros_like(values).index_add(0, index, values)[index]


def _check(rewards: Tensor, group_ids: Tensor) -> None:
    check_shapes("N", rewards=rewards, group_ids=group_ids)
    if not rewards.is_floating_point():
        raise TypeError(f"rewards have dtype {rewards.dtype}, wanted floating point (use rewards.float())")
