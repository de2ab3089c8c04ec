"""Policy objectives: per-token losses `(B, T)`, to be minimised. They never reduce; see `reductions`.

Entry `t` of every `(B, T)` tensor is about token `t`. Advantages are `(B,)` (one per row, see `shapes.expand_to_rows`),
`(B, 1)` or `(B, T)`. The mask goes on before any `exp`, so what lies under it may be -inf or NaN.
"""

from __future__ import annotations

import torch
from torch import Tensor

from verigrad.algorithms.shapes import check_shapes, masked, per_token

__all__ = ["ppo_clip", "reinforce"]


def reinforce(logprobs: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
    """loss_t = -A_t log pi(token t), whose gradient is the policy gradient when the samples are the policy's own.

    Williams 1992, "Simple statistical gradient-following algorithms for connectionist reinforcement learning".

    Args:
        logprobs: (B, T) under the policy being trained; carries the gradient.
        advantages: (B,), (B, 1) or (B, T); no gradient flows through them.
        mask: (B, T) bool, True where the token counts.

    Returns:
        (B, T), zero outside the mask.

    >>> reinforce(torch.tensor([[-1.0, -2.0]]), torch.tensor([0.5]), torch.tensor([[True, False]]))
    tensor([[0.5000, 0.0000]])
    """
    check_shapes("B T", logprobs=logprobs, mask=mask)
    weight = per_token(advantages.detach(), logprobs)
    return masked(-weight * masked(logprobs, mask), mask)


def ppo_clip(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    dual_clip: float | None = None,
) -> Tensor:
    """loss_t = -min(r_t A_t, clip(r_t, 1 - clip_low, 1 + clip_high) A_t),  r_t = exp(logprobs_t - old_logprobs_t).

    Schulman et al. 2017, "Proximal Policy Optimization Algorithms", arXiv:1707.06347, eq. 7. Separate bounds
    ("clip-higher"): Yu et al. 2025, DAPO, arXiv:2503.14476, eq. 8. With `dual_clip` = c > 1 the loss of a token with
    A_t < 0 is at most -c A_t: Ye et al. 2020, arXiv:1912.09729 (dual-clip PPO).

    Args:
        logprobs: (B, T) under the policy being trained; carries the gradient.
        old_logprobs: (B, T) under the policy that anchors the ratio; no gradient.
        advantages: (B,), (B, 1) or (B, T); no gradient.
        mask: (B, T) bool, True where the token counts.
        clip_low: how far the ratio may fall below 1 and still be rewarded.
        clip_high: how far it may rise above 1.
        dual_clip: bound on the ratio where the advantage is negative; None for no bound.

    Returns:
        (B, T), zero outside the mask.

    >>> ppo_clip(torch.tensor([[0.0, 2.0]]).log(), torch.zeros(1, 2), torch.ones(1), torch.ones(1, 2).bool())
    tensor([[-0.0000, -1.2000]])
    """
    check_shapes("B T", logprobs=logprobs, old_logprobs=old_logprobs, mask=mask)
    if dual_clip is not None and dual_clip <= 1:
        raise ValueError(f"dual_clip is {dual_clip}, wanted more than 1 (3.0 in the paper) or None")
    weight = per_token(advantages.detach(), logprobs)
    ratio = torch.exp(masked(logprobs - old_logprobs.detach(), mask))
    clipped = ratio.clamp(1 - clip_low, 1 + clip_high)
    loss = -torch.minimum(ratio * weight, clipped * weight)
    if dual_clip is not None:
        loss = torch.where(weight < 0, torch.minimum(loss, -dual_clip * weight), loss)
    return masked(loss, mask)
