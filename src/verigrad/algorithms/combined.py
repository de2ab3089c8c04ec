"""Advantages out of more than the step's rewards: process rewards, costs, several rewards, past rewards."""

from __future__ import annotations

import torch
from torch import Tensor

from verigrad.algorithms.advantages import group_centered, leave_one_out, running_baseline, separately_normalized
from verigrad.algorithms.gae import expand_turns, gae, turn_leave_one_out
from verigrad.algorithms.reward_model import cost_lagrangian
from verigrad.algorithms.shapes import check_shapes, masked

__all__ = [
    "against_past_mean",
    "constrained",
    "outcome_and_process",
    "parts_normalized",
    "towards_teacher",
    "turn_returns",
    "whitened_returns",
]


def outcome_and_process(
    rewards: Tensor,
    group_ids: Tensor,
    process_rewards: Tensor,
    mask: Tensor,
    rollout_index: Tensor,
    *,
    process_weight: float = 1.0,
) -> Tensor:
    """A_t = RLOO(outcome) + c sum_{s >= t} (p_s - baseline), baseline the mean process reward of the group's others.

    Cui et al. 2025, PRIME, arXiv:2502.01456, eq. 5, with gamma = 1 and c = 1. A rollout's own process reward is the
    mean over its tokens, so that long rollouts do not set the baseline. The released code has c = 5, divides the
    process rewards by their largest return, and whitens the sum.

    Args:
        rewards: (N,) float outcomes, NaN where left out.
        group_ids: (N,) int.
        process_rewards: (B, T) of every token, see `reward_model.implicit_prm`; no gradient flows.
        mask: (B, T) bool.
        rollout_index: (B,) int in 0..N-1.
        process_weight: c.

    Returns:
        (B, T), zero outside the mask, for rollouts left out, and for one that nothing is compared with.

    >>> outcomes, groups, both = torch.tensor([1.0, 0.0]), torch.tensor([0, 0]), torch.ones(2, 2).bool()
    >>> process = torch.tensor([[0.5, 0.25], [0.0, 0.0]])
    >>> outcome_and_process(outcomes, groups, process, both, torch.tensor([0, 1]))
    tensor([[ 1.7500,  1.2500],
            [-1.7500, -1.3750]])
    """
    check_shapes("B T", mask=mask, process_rewards=process_rewards)
    process = masked(process_rewards.detach(), mask)
    sums, tokens = (
        process.new_zeros(len(rewards)).index_add(0, rollout_index, x.sum(1).to(process.dtype)) for x in (process, mask)
    )
    own = torch.where(rewards.isnan(), torch.nan, sums / tokens.clamp(min=1))
    baseline = own - leave_one_out(own, group_ids)
    relative = masked(process - baseline.nan_to_num()[rollout_index][:, None], mask)
    ahead, _ = gae(relative, torch.zeros_like(relative), mask, rollout_index=rollout_index)
    outcome = leave_one_out(rewards, group_ids).to(process.dtype)[rollout_index][:, None]
    index = torch.unique(group_ids, return_inverse=True)[1]
    compared = torch.zeros_like(rewards).index_add(0, index, (~rewards.isnan()).to(rewards.dtype))[index] > 1
    left_out = (rewards.isnan() | ~compared)[rollout_index][:, None]
    return masked(outcome + process_weight * ahead, mask).masked_fill(left_out, 0.0)


def constrained(rewards: Tensor, group_ids: Tensor, costs: Tensor, multiplier: Tensor) -> Tensor:
    """`reward_model.cost_lagrangian` of group-centred rewards and costs. Dai et al. 2023, Safe RLHF, arXiv:2310.12773.

    Args:
        rewards: (N,) float, NaN where left out.
        group_ids: (N,) int.
        costs: (N,) float; a rollout without one is left out.
        multiplier: () the price of a unit of cost.

    Returns:
        (N,).

    >>> one_group, price = torch.tensor([0, 0]), torch.tensor(1.0)
    >>> constrained(torch.tensor([1.0, 0.0]), one_group, torch.tensor([2.0, 0.0]), price)
    tensor([-0.2500,  0.2500])
    """
    check_shapes("N", rewards=rewards, group_ids=group_ids, costs=costs)
    missing = rewards.isnan() | costs.isnan()
    rewards, costs = (x.masked_fill(missing, torch.nan) for x in (rewards, costs))
    return cost_lagrangian(
        group_centered(rewards, group_ids), group_centered(costs, group_ids), multiplier=float(multiplier)
    )


def parts_normalized(part_rewards: Tensor, group_ids: Tensor) -> Tensor:
    """`advantages.separately_normalized` of a score's named parts (N, K), all of weight 1 (GDPO)."""
    return separately_normalized(part_rewards, group_ids)


def against_past_mean(rewards: Tensor, baseline: Tensor) -> Tensor:
    """`advantages.running_baseline` with one average (1,) for all tasks."""
    return running_baseline(rewards, torch.zeros_like(rewards, dtype=torch.long), baseline)[0]


def whitened_returns(token_rewards: Tensor, mask: Tensor, rollout_index: Tensor) -> Tensor:
    """Rewards from each token on, whitened over all tokens of the batch: the advantage of REINFORCE++.

    Hu et al. 2025, arXiv:2501.03262: the outcome lies on the last token and every token pays its own KL, so a token's
    return holds the KL from itself on. Without a KL every token has its rollout's outcome.

    Args:
        token_rewards: (B, T).
        mask: (B, T) bool.
        rollout_index: (B,) int.

    Returns:
        (B, T), zero outside the mask.

    >>> rewards = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    >>> whitened_returns(rewards, torch.ones(2, 2).bool(), torch.tensor([0, 1])).round(decimals=4)
    tensor([[ 0.8660,  0.8660],
            [-0.8660, -0.8660]])
    """
    return gae(token_rewards, torch.zeros_like(token_rewards), mask, rollout_index=rollout_index, whiten=True)[0]


def turn_returns(
    rewards: Tensor,
    group_ids: Tensor,
    turn_rewards: Tensor,
    turn_index: Tensor,
    mask: Tensor,
    rollout_index: Tensor,
    *,
    gamma: float = 1.0,
) -> Tensor:
    """`gae.turn_leave_one_out` of the turns' own rewards with the outcome at the last turn, for every token of a turn.

    Gehring et al. 2024, RLEF, arXiv:2410.02089: one advantage a turn, and a rollout that is over counts as one with
    return 0, so that the gradient stays unbiased. With one turn it is RLOO.

    Args:
        rewards: (N,) float outcomes, NaN where left out.
        group_ids: (N,) int.
        turn_rewards: (N, K) of each turn alone, NaN after a rollout's last.
        turn_index: (B, T) int, the turn of each token.
        mask: (B, T) bool.
        rollout_index: (B,) int in 0..N-1.
        gamma: discount per turn.

    Returns:
        (B, T), zero outside the mask and for rollouts left out.

    >>> outcomes, turns = torch.tensor([1.0, 0.0]), torch.tensor([[-0.2, 0.0], [0.0, float("nan")]])
    >>> index, both = torch.tensor([[0, 1], [0, 0]]), torch.ones(2, 2).bool()
    >>> turn_returns(outcomes, torch.tensor([0, 0]), turns, index, both, torch.tensor([0, 1]))
    tensor([[ 0.8000,  1.0000],
            [-0.8000, -0.8000]])
    """
    check_shapes("N", rewards=rewards, group_ids=group_ids)
    check_shapes("N K", turn_rewards=turn_rewards)
    last = (~turn_rewards.isnan()).sum(dim=1, keepdim=True) - 1
    at_last = torch.arange(turn_rewards.shape[1], device=rewards.device) == last
    total = (turn_rewards + torch.where(at_last, rewards[:, None].nan_to_num(), 0.0)).to(rewards.dtype)
    total = total.masked_fill(rewards.isnan()[:, None], torch.nan)
    return expand_turns(
        turn_leave_one_out(total, group_ids, gamma=gamma, ended="zero"), rollout_index, turn_index, mask
    )


def towards_teacher(teacher_logprobs: Tensor, sampler_logprobs: Tensor, mask: Tensor) -> Tensor:
    """A_t = log teacher(token t) - log sampler(token t): on-policy distillation.

    The policy gradient of minus the reverse KL to the teacher, one token ahead: Gu et al. 2024, MiniLLM,
    arXiv:2306.08543; Agarwal et al. 2024, GKD, arXiv:2306.13649, with the student's own samples and no discount.

    Args:
        teacher_logprobs: (B, T) of the sampled tokens under the teacher.
        sampler_logprobs: (B, T) under the policy that sampled them.
        mask: (B, T) bool.

    Returns:
        (B, T), zero outside the mask.

    >>> towards_teacher(torch.tensor([[-1.0, -3.0]]), torch.tensor([[-2.0, -2.0]]), torch.ones(1, 2).bool())
    tensor([[ 1., -1.]])
    """
    check_shapes("B T", teacher_logprobs=teacher_logprobs, sampler_logprobs=sampler_logprobs, mask=mask)
    return masked(teacher_logprobs - sampler_logprobs, mask).detach()
