"""Advantages: how much better a rollout did than what it is compared with.

Every function maps `(rewards (N,), group_ids (N,), ...)` to `(N,)`; those per token and per turn are in `gae`. Rewards
are floating point; NaN means "left out" (an infrastructure error, say): such a rollout gets advantage 0 and does not
enter any statistic. Under group estimators a group with one scored rollout has advantage 0: there is nothing to
compare it with.

Statistics are taken of rewards shifted by their group's smallest one, so that equal rewards give exactly 0 and not
rounding noise that a small standard deviation would blow up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from verigrad.algorithms.shapes import check_shapes

__all__ = [
    "against_baseline",
    "batch_whitened",
    "best_minus_second",
    "greedy_baseline",
    "group_centered",
    "group_centered_batch_whitened",
    "group_normalized",
    "leave_one_out",
    "mean_normalized",
    "optimal_baseline",
    "pass_at_k_advantage",
    "raw_rewards",
    "running_baseline",
    "separately_normalized",
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
    std = groups.std(ddof)
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


def group_centered_batch_whitened(
    rewards: Tensor,
    group_ids: Tensor,
    lengths: Tensor | None = None,
    *,
    over: Literal["rollouts", "tokens"] = "rollouts",
    std_of: Literal["centered", "rewards"] = "centered",
    eps: float = 1e-4,
    ddof: int = 1,
) -> Tensor:
    """A_i = (c_i - mean(c)) / (std(c) + eps), c_i = r_i - group mean; mean and std over the whole batch.

    Hu et al. 2025, "REINFORCE++", arXiv:2501.03262 (REINFORCE++-baseline). Over rollouts the mean of c is 0 and is not
    subtracted. OpenRLHF takes both statistics over tokens, so that long rollouts count more: `over="tokens"`. Rollouts
    alone in their group enter neither. TRL's `scale_rewards="batch"` divides by the deviation of the rewards
    themselves, all of them, which also holds how tasks differ: `std_of="rewards"` (Liu et al. 2025, arXiv:2508.08221).

    Args:
        rewards: (N,) float, NaN where left out.
        group_ids: (N,) int.
        lengths: (N,) tokens of each rollout, read where the statistics are over tokens.
        over: what the statistics are over.
        std_of: the deviation divided by, over rollouts: of the centred rewards, or of the rewards of the whole batch.
        eps: added to the standard deviation, in units of reward.
        ddof: subtracted from the number of rollouts (or tokens) the variance is divided by.

    Returns:
        (N,).

    >>> group_centered_batch_whitened(torch.tensor([1.0, 0.0, 3.0, 0.0, 7.0]), torch.tensor([0, 0, 1, 1, 2]), eps=0.0)
    tensor([ 0.3873, -0.3873,  1.1619, -1.1619,  0.0000])
    """
    groups = _Groups.of(rewards, group_ids)
    compared = groups.scored & (groups.count > 1)
    if std_of == "rewards":
        if over == "tokens":
            raise ValueError("the deviation of the rewards is taken over rollouts; got over='tokens'")
        std = _Groups.of(rewards, torch.zeros_like(group_ids)).std(ddof)
        return torch.where(std > 0, groups.centered / (std + eps), 0.0)
    if over == "rollouts":
        return _over_batch_std(groups.centered, compared, eps=eps, ddof=ddof)
    if lengths is None:
        raise ValueError("statistics over tokens got no lengths, wanted (N,) tokens of each rollout")
    check_shapes("N", rewards=rewards, lengths=lengths)
    weight = torch.where(compared, lengths.to(rewards.dtype), 0.0)
    centered = groups.centered
    if bool((centered != 0).any()):
        centered = torch.where(compared, centered - (weight * centered).sum() / weight.sum().clamp(min=1), 0.0)
    return _over_batch_std(centered, compared, eps=eps, ddof=ddof, weight=weight)


def separately_normalized(
    rewards: Tensor, group_ids: Tensor, *, weights: Tensor | None = None, eps: float = 1e-4, ddof: int = 1
) -> Tensor:
    """A = whiten(sum_k w_k a_k), a_k the group-normalised advantage of reward k alone, whitened over the batch.

    Liu et al. 2026, GDPO, arXiv:2601.05242: normalising the sum of several rewards maps different combinations of them
    to the same advantage. Each group's a_k add up to 0, so the whitening only divides by the batch's deviation.

    Args:
        rewards: (N, K) float, one column per reward. A rollout with a NaN in any column is left out of all: a
            failed judge must not leave the format reward to train on its own.
        group_ids: (N,) int.
        weights: (K,) of the rewards; None for 1 each.
        eps: added to every standard deviation.
        ddof: 1 divides sums of squares by n - 1, 0 by n.

    Returns:
        (N,).

    Raises:
        ValueError: `weights` does not fit the columns.

    >>> rewards = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 10.0]])
    >>> separately_normalized(rewards, torch.tensor([0, 0, 0]), eps=0.0)
    tensor([ 0.5774, -1.1547,  0.5774])
    """
    check_shapes("N K", rewards=rewards)
    if weights is not None and weights.shape != rewards.shape[1:]:
        raise ValueError(f"weights have shape {tuple(weights.shape)}, wanted (K,) = ({rewards.shape[1]},)")
    left_out = rewards.isnan().any(dim=1)
    columns = [
        group_normalized(column.masked_fill(left_out, torch.nan), group_ids, eps=eps, ddof=ddof)
        for column in rewards.unbind(dim=1)
    ]
    stacked = torch.stack(columns, dim=1)
    total = (stacked if weights is None else stacked * weights.to(rewards.dtype)).sum(dim=1)
    groups = _Groups.of(rewards.sum(dim=1), group_ids)
    return _over_batch_std(total, groups.scored & (groups.count > 1), eps=eps, ddof=ddof)


def greedy_baseline(rewards: Tensor, group_ids: Tensor, greedy_rewards: Tensor) -> Tensor:
    """A_i = r_i - reward of the policy's greedy completion of the same prompt.

    Li et al. 2024, "ReMax", arXiv:2310.10505; "relative return" in CodeRL, arXiv:2207.01780. The baseline does
    not depend on the rollout, so the gradient is unbiased, also with one rollout per prompt.

    Args:
        rewards: (N,) float, NaN where left out.
        group_ids: (N,) int; not used.
        greedy_rewards: (N,) the baseline at each rollout; NaN where there is none, which leaves the rollout out.

    Returns:
        (N,).

    >>> greedy_baseline(torch.tensor([1.0, 0.0]), torch.tensor([0, 1]), torch.tensor([0.5, 0.5]))
    tensor([ 0.5000, -0.5000])
    """
    check_shapes("N", rewards=rewards, greedy_rewards=greedy_rewards)
    return against_baseline(rewards, group_ids, greedy_rewards)


def optimal_baseline(rewards: Tensor, group_ids: Tensor, lengths: Tensor) -> Tensor:
    """A_i = r_i - sum_j l_j r_j / sum_j l_j over the rollout's group, l the lengths in tokens.

    Hao et al. 2025, "On-Policy RL with Optimal Reward Baseline" (OPO), arXiv:2505.23585: the baseline of least variance
    where the squared norm of a rollout's score grows with its length. It includes the rollout's own reward.

    Args:
        rewards: (N,) float, NaN where left out.
        group_ids: (N,) int.
        lengths: (N,) tokens of each rollout.

    Returns:
        (N,); 0 for groups without a token.

    >>> optimal_baseline(torch.tensor([1.0, 0.0]), torch.tensor([0, 0]), torch.tensor([30, 10]))
    tensor([ 0.2500, -0.7500])
    """
    groups = _Groups.of(rewards, group_ids)
    check_shapes("N", rewards=rewards, lengths=lengths)
    weight = torch.where(groups.scored, lengths.to(rewards.dtype), 0.0)
    total = groups.sum_per_group(weight)
    # The baseline as a distance from the group's plain mean: 0 where the rewards are equal, without rounding.
    shift = groups.sum_per_group(weight * groups.centered) / torch.where(total > 0, total, 1.0)
    return torch.where(groups.scored & (total > 0) & (groups.count > 1), groups.centered - shift, 0.0)


def against_baseline(rewards: Tensor, group_ids: Tensor, baselines: Tensor) -> Tensor:
    """A_i = r_i - b_i, any baseline that the caller took without looking at rollout i (see `running_baseline`).

    Args:
        rewards: (N,) float, NaN where left out.
        group_ids: (N,) int; not used.
        baselines: (N,) the baseline at each rollout; NaN where there is none, which leaves the rollout out.

    Returns:
        (N,).

    >>> against_baseline(torch.tensor([1.0, 0.0]), torch.tensor([0, 1]), torch.tensor([0.5, 0.25]))
    tensor([ 0.5000, -0.2500])
    """
    _check(rewards, group_ids)
    check_shapes("N", rewards=rewards, baselines=baselines)
    return (rewards - baselines).nan_to_num(nan=0.0)


def running_baseline(
    rewards: Tensor, group_ids: Tensor, baseline: Tensor, *, decay: float = 0.95
) -> tuple[Tensor, Tensor]:
    """A_i = r_i - b[group_ids_i]; afterwards b <- decay b + (1 - decay) (mean of the key's rewards).

    Reinforcement comparison (Williams 1992); per agent in Liu et al. 2025, SPIRAL, arXiv:2506.24119 (role-conditioned
    advantage estimation). Subtracting the average of earlier batches keeps the gradient unbiased. SPIRAL moves the
    average first and subtracts the new one: `rewards - new_baseline[group_ids]`.

    The state goes in and comes out, so that a checkpoint holds it like any other tensor.

    Args:
        rewards: (N,) float, NaN where left out.
        group_ids: (N,) int in 0..K-1, which average each rollout belongs to: its task, its agent, or 0 throughout.
            Unlike elsewhere the numbers must mean the same from step to step.
        baseline: (K,) the averages so far; zeros at first, or a guess.
        decay: share of the old average that is kept.

    Returns:
        advantages (N,) and the new baseline (K,).

    >>> running_baseline(torch.tensor([1.0, 0.0]), torch.tensor([0, 0]), torch.tensor([0.2, 0.7]), decay=0.9)
    (tensor([ 0.8000, -0.2000]), tensor([0.2300, 0.7000]))
    """
    _check(rewards, group_ids)
    check_shapes("K", baseline=baseline)
    if group_ids.numel() and not 0 <= int(group_ids.min()) <= int(group_ids.max()) < len(baseline):
        found = f"{int(group_ids.min())} to {int(group_ids.max())}"
        raise ValueError(f"group_ids name averages {found}, wanted 0 to {len(baseline) - 1}, the length of baseline")
    scored = (~rewards.isnan()).to(rewards.dtype)
    count = torch.zeros_like(baseline).index_add(0, group_ids, scored.to(baseline.dtype))
    total = torch.zeros_like(baseline).index_add(0, group_ids, rewards.nan_to_num(nan=0.0).to(baseline.dtype))
    moved = decay * baseline + (1 - decay) * total / count.clamp(min=1)
    return (rewards - baseline[group_ids]).nan_to_num(nan=0.0), torch.where(count > 0, moved, baseline)


def pass_at_k_advantage(rewards: Tensor, group_ids: Tensor, *, k: int, normalize: bool = True) -> Tensor:
    """A_i = q (r_i - mean) / sqrt(R (1 - R)) for rewards of 0 and 1: a rollout's part in sets of k that hold a pass.

    With n rollouts of which f failed, q = C(f - 1, k - 1) / C(n - 1, k - 1) is the chance that a failed rollout's k - 1
    companions failed too, and R = 1 - C(f, k) / C(n, k) the group's pass@k. Chen et al. 2025, "Pass@k Training",
    arXiv:2508.10751, analytical derivation: the paper's two cases, (1 - R) / std for a pass and
    (1 - R - q) / std for a failure, are this one formula, for 1 - R = q f / n. At k = 1 it is `group_normalized` with
    ddof = 0 and eps = 0.

    Args:
        rewards: (N,) float, each 0 or 1, NaN where left out.
        group_ids: (N,) int.
        k: size of the sets.
        normalize: divide by sqrt(R (1 - R)). Without it the expected gradient is that of pass@k times (n - k) / (n k).

    Returns:
        (N,); 0 in groups of fewer than k scored rollouts, and where every set of k holds a pass or none does.

    Raises:
        ValueError: k is below 1, or a reward is neither 0 nor 1 (see `best_minus_second` for others).

    >>> pass_at_k_advantage(torch.tensor([1.0, 0.0, 0.0, 0.0]), torch.tensor([0, 0, 0, 0]), k=2)
    tensor([ 1.0000, -0.3333, -0.3333, -0.3333])
    """
    if k < 1:
        raise ValueError(f"pass_at_k_advantage got k={k}, wanted at least 1")
    odd = rewards[~rewards.isnan() & (rewards != 0) & (rewards != 1)]
    if odd.numel():
        raise ValueError(f"pass_at_k_advantage got a reward of {odd[0].item()}, wanted 0 or 1")
    groups = _Groups.of(rewards, group_ids)
    n = groups.count
    failed = groups.sum_per_group((rewards == 0).to(rewards.dtype))
    q = torch.ones_like(rewards)
    for chosen in range(1, k):
        q = q * (failed - chosen).clamp(min=0) / (n - chosen).clamp(min=1)
    q = torch.where(n >= k, q, 0.0)
    advantages = q * groups.centered
    if not normalize:
        return advantages
    miss = q * failed / n.clamp(min=1)
    variance = miss * (1 - miss)
    return torch.where(variance > 0, advantages / torch.where(variance > 0, variance, 1.0).sqrt(), 0.0)


def best_minus_second(
    rewards: Tensor, group_ids: Tensor, *, normalize: bool = True, eps: float = 1e-6, ddof: int = 1
) -> Tensor:
    """A = best - second best reward of the group for its best rollout, 0 for all others (and for a tie).

    Tang et al. 2025, "Optimizing Language Models for Inference Time Objectives", arXiv:2503.19595: the leave-one-out
    advantage of pass@k, or of the maximum, with k the group size. verl's `grpo_passk`, which divides by the group's
    standard deviation as well.

    Args:
        rewards: (N,) float, NaN where left out.
        group_ids: (N,) int.
        normalize: divide by the group's standard deviation + eps.
        eps: added to the standard deviation, in units of reward.
        ddof: 1 divides the sum of squares by n - 1, 0 by n.

    Returns:
        (N,).

    >>> best_minus_second(torch.tensor([1.0, 0.25, 0.0]), torch.tensor([0, 0, 0]), normalize=False)
    tensor([0.7500, 0.0000, 0.0000])
    """
    groups = _Groups.of(rewards, group_ids)
    comparable = torch.where(groups.scored, rewards, -torch.inf)
    best = groups.highest(comparable)
    at_best = groups.scored & (comparable == best)
    second = groups.highest(torch.where(at_best, -torch.inf, comparable))
    alone = groups.sum_per_group(at_best.to(rewards.dtype)) == 1
    wins = at_best & alone & (groups.count > 1)
    margin = torch.where(wins, torch.where(wins, rewards, 0.0) - torch.where(wins, second, 0.0), 0.0)
    return margin / (groups.std(ddof) + eps) if normalize else margin


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

    def highest(self, values: Tensor) -> Tensor:
        return torch.full_like(values, -torch.inf).scatter_reduce(0, self.index, values, "amax")[self.index]

    def std(self, ddof: int) -> Tensor:
        return (self.sum_per_group(self.centered.square()) / (self.count - ddof).clamp(min=1)).sqrt()


def _over_batch_std(
    centered: Tensor, counted: Tensor, *, eps: float, ddof: int, weight: Tensor | None = None
) -> Tensor:
    """Values of mean 0 over their standard deviation in the batch; `counted` says which enter it."""
    weight = counted.to(centered.dtype) if weight is None else weight
    std = ((weight * centered.square()).sum() / (weight.sum() - ddof).clamp(min=1)).sqrt()
    return torch.where(counted & (std > 0), centered / (std + eps), 0.0)


def _sum_per_group(values: Tensor, index: Tensor) -> Tensor:
    return torch.zeros_like(values).index_add(0, index, values)[index]


def _check(rewards: Tensor, group_ids: Tensor) -> None:
    check_shapes("N", rewards=rewards, group_ids=group_ids)
    if not rewards.is_floating_point():
        raise TypeError(f"rewards have dtype {rewards.dtype}, wanted floating point (use rewards.float())")
