"""Policy objectives whose ratio belongs to a whole rollout: per-token losses `(B, T)`, to be minimised, never reduced.

A rollout's ratio needs all its rows at once. Where they may lie in different micro-batches, score the whole step
without gradient, differentiate the loss with respect to those log-probs as leaves, and hand each micro-batch its
cotangents. Rollouts of one row need none of this. For the rest see `objectives`.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from verigrad.algorithms.shapes import check_shapes, masked, per_token

__all__ = ["gspo", "importance_reinforce", "rollout_log_ratio"]


def rollout_log_ratio(
    logprobs: Tensor,
    other_logprobs: Tensor,
    mask: Tensor,
    rollout_index: Tensor,
    *,
    how: Literal["mean", "sum"] = "mean",
) -> Tensor:
    """Mean or sum of logprobs - other_logprobs over all tokens of the row's rollout, given to each of its rows.

    exp of the sum is the rollout's importance ratio, exp of the mean its geometric mean per token.

    Args:
        logprobs: (B, T); carries the gradient, if any.
        other_logprobs: (B, T); so does this.
        mask: (B, T) bool, True where the token counts.
        rollout_index: (B,) int, which rollout each row belongs to; any numbers.
        how: `mean` over the rollout's tokens, or `sum`.

    Returns:
        (B, 1); 0 for a rollout without a token.

    >>> new, mask = torch.tensor([[1.0, 2.0], [3.0, 9.0], [5.0, 5.0]]), torch.tensor([[1, 1], [1, 0], [1, 1]]).bool()
    >>> rollout_log_ratio(new, torch.zeros(3, 2), mask, torch.tensor([0, 0, 1])).tolist()
    [[2.0], [2.0], [5.0]]
    """
    check_shapes("B T", logprobs=logprobs, other_logprobs=other_logprobs, mask=mask)
    check_shapes("B", mask=mask.any(dim=1), rollout_index=rollout_index)
    owners, index = torch.unique(rollout_index, return_inverse=True)
    per_row = masked(logprobs - other_logprobs, mask).sum(dim=1)
    total = per_row.new_zeros(len(owners)).index_add(0, index, per_row)
    if how == "mean":
        tokens = per_row.new_zeros(len(owners)).index_add(0, index, mask.sum(dim=1).to(per_row.dtype))
        total = total / tokens.clamp(min=1)
    return total[index].unsqueeze(1)


def gspo(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    rollout_index: Tensor,
    *,
    clip_low: float = 3e-4,
    clip_high: float = 4e-4,
    level: Literal["sequence", "token"] = "sequence",
    ratio: Literal["mean", "sum"] = "mean",
) -> Tensor:
    """loss_t = -min(s A_t, clip(s, 1 - clip_low, 1 + clip_high) A_t), s = exp(mean over the rollout of log ratio).

    Zheng et al. 2025, "Group Sequence Policy Optimization", arXiv:2507.18071, eq. 5 to 7; `level="token"` is
    GSPO-token, eq. 13 and 14: s_t = sg(s) pi_t / sg(pi_t). Both have the same value, and under one advantage per
    rollout and weights equal within it (`sequence_mean`, as in the paper) the same gradient; with advantages per token
    only the token form sends each to its own token. The bounds are the paper's (section 5.1): the mean over a rollout
    moves far less than a token does. With `ratio="sum"` s is the importance ratio of the whole rollout, and one clip
    decides about all of it: TRL's RLOO, with bounds of 0.2.

    Args:
        logprobs: (B, T) under the policy being trained; carries the gradient.
        old_logprobs: (B, T) under the policy that anchors the ratio; no gradient.
        advantages: (B,), (B, 1) or (B, T); no gradient.
        mask: (B, T) bool, True where the token counts.
        rollout_index: (B,) int, which rollout each row belongs to; all rows of a rollout must be there.
        clip_low: how far the rollout's ratio may fall below 1 and still be rewarded.
        clip_high: how far it may rise above 1.
        level: which form.
        ratio: whether log s is the mean over the rollout's tokens or their sum.

    Returns:
        (B, T), zero outside the mask.

    >>> new = torch.tensor([[0.0, 0.2]])
    >>> gspo(new, 0 * new, -torch.ones(1), torch.ones(1, 2).bool(), torch.tensor([0]))
    tensor([[1.1052, 1.1052]])
    """
    # The ratio is shared by the row, so what lies under the mask must not reach it through the weight either.
    weight = masked(per_token(advantages.detach(), logprobs).expand_as(logprobs), mask)
    log_ratio = rollout_log_ratio(logprobs, old_logprobs.detach(), mask, rollout_index, how=ratio)
    moved = log_ratio.clamp(max=60.0).exp()
    if level == "token":
        moved = moved.detach() * _one_with_gradient(logprobs, mask)
    clipped = moved.clamp(1 - clip_low, 1 + clip_high)
    return masked(-torch.minimum(moved * weight, clipped * weight), mask)


def importance_reinforce(
    logprobs: Tensor,
    sampler_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    rollout_index: Tensor,
    *,
    level: Literal["token", "sequence"] = "token",
    cap: float | None = None,
) -> Tensor:
    """loss_t = -w_t A_t with the gradient -w_t A_t grad log pi: REINFORCE on samples of another policy, without a clip.

    `level="token"`: w_t = pi / mu of the token, as Tinker's `importance_sampling` loss; its gradient is right to first
    order in the distance of the two policies. `level="sequence"`: w = pi / mu of the whole rollout, whose gradient is
    right on average (with `sequence_sum`), at a variance that grows exponentially with the length. Importance
    sampling in policy gradients: Precup et al. 2000, "Eligibility Traces for Off-Policy Policy Evaluation".

    Args:
        logprobs: (B, T) under the policy being trained; carries the gradient.
        sampler_logprobs: (B, T) under the policy that sampled; no gradient.
        advantages: (B,), (B, 1) or (B, T); no gradient.
        mask: (B, T) bool, True where the token counts.
        rollout_index: (B,) int; with `level="sequence"` all rows of a rollout must be there.
        level: over what the ratio is taken.
        cap: largest weight; None for no bound. A capped token keeps its gradient, as in `cispo`.

    Returns:
        (B, T), zero outside the mask.

    >>> new, sampler = torch.tensor([[0.5, 0.2]]).log(), torch.tensor([[0.25, 0.2]]).log()
    >>> importance_reinforce(new, sampler, torch.ones(1), torch.ones(1, 2).bool(), torch.tensor([0]))
    tensor([[-2., -1.]])
    """
    check_shapes("B T", logprobs=logprobs, sampler_logprobs=sampler_logprobs, mask=mask)
    weight = per_token(advantages.detach(), logprobs)
    if level == "sequence":
        log_ratio = rollout_log_ratio(logprobs.detach(), sampler_logprobs.detach(), mask, rollout_index, how="sum")
    else:
        log_ratio = masked(logprobs.detach() - sampler_logprobs.detach(), mask)
    # The sum over a long rollout overflows easily, and infinity times an advantage of 0 would be NaN.
    ratio = log_ratio.clamp(max=60.0).exp()
    if cap is not None:
        ratio = ratio.clamp(max=cap)
    return masked(-ratio * weight * _one_with_gradient(logprobs, mask), mask)


def _one_with_gradient(logprobs: Tensor, mask: Tensor) -> Tensor:
    """pi / sg(pi): 1, with the gradient of log pi."""
    logprobs = masked(logprobs, mask)
    return torch.exp(logprobs - logprobs.detach())
