"""Policy objectives: per-token losses `(B, T)`, to be minimised. They never reduce; see `reductions`.

Entry `t` of every `(B, T)` tensor is about token `t`. Advantages are `(B,)` (one per row, see `shapes.expand_to_rows`),
`(B, 1)` or `(B, T)`. The mask goes on before any `exp`, so what lies under it may be -inf or NaN.

Arguments bear the loop's names, and each objective takes those it needs (see `presets.call`): `logprobs` of the policy
being trained, `old_logprobs` of the policy before this step's updates, `sampler_logprobs` as the engine reported them.
Objectives that read `sampler_logprobs` correct for the sampler themselves, and are not to be multiplied by
`penalties.truncated_importance` as well. Those that tie tokens of a rollout together are in `sequence_objectives`.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from verigrad.algorithms.shapes import check_shapes, masked, per_token

__all__ = ["cispo", "decoupled_ppo", "dppo", "ppo_clip", "reinforce", "sapo", "value_clip"]


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
    ratio = _ratio(masked(logprobs - old_logprobs.detach(), mask))
    clipped = ratio.clamp(1 - clip_low, 1 + clip_high)
    loss = -torch.minimum(ratio * weight, clipped * weight)
    if dual_clip is not None:
        loss = torch.where(weight < 0, torch.minimum(loss, -dual_clip * weight), loss)
    return masked(loss, mask)


def cispo(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip_low: float | None = None,
    clip_high: float = 4.0,
    cap: float | None = None,
    gradient: Literal["logprob", "ratio"] = "logprob",
) -> Tensor:
    """loss_t = -sg(clip(r_t, 1 - clip_low, 1 + clip_high)) A_t log pi(token t): every token keeps a gradient.

    MiniMax 2025, "MiniMax-M1", arXiv:2506.13585, eq. 4 and 5. The paper has no lower bound (`clip_low` None) and tunes
    the upper one without naming it; ratios up to 5 are what Khatri et al. 2025, ScaleRL, arXiv:2510.13786, settle on.

    The bound is written in two ways: TRL's and ScaleRL's `epsilon_high` is the largest ratio itself (`cap`), while
    verl, SkyRL, slime and open-instruct add it to 1 (`clip_high`). torchrl differentiates the clipped ratio instead,
    so that clipped tokens learn nothing: `gradient="ratio"`, loss_t = -clip(r_t) A_t.

    Args:
        logprobs: (B, T) under the policy being trained; carries the gradient.
        old_logprobs: (B, T) under the policy that anchors the ratio; no gradient.
        advantages: (B,), (B, 1) or (B, T); no gradient.
        mask: (B, T) bool, True where the token counts.
        clip_low: the ratio counts as at least 1 - clip_low; None for no lower bound.
        clip_high: the ratio counts as at most 1 + clip_high.
        cap: the largest ratio itself, in place of 1 + clip_high.
        gradient: whether log pi or the clipped ratio is differentiated.

    Returns:
        (B, T), zero outside the mask.

    >>> cispo(torch.tensor([[0.5, 8.0]]).log(), torch.zeros(1, 2), torch.ones(1), torch.ones(1, 2).bool(), cap=2.0)
    tensor([[ 0.3466, -4.1589]])
    """
    check_shapes("B T", logprobs=logprobs, old_logprobs=old_logprobs, mask=mask)
    highest = 1 + clip_high if cap is None else cap
    weight = per_token(advantages.detach(), logprobs)
    ratio = _ratio(masked(logprobs - old_logprobs.detach(), mask))
    clipped = ratio.clamp(None if clip_low is None else 1 - clip_low, highest)
    if gradient == "ratio":
        return masked(-clipped * weight, mask)
    return masked(-clipped.detach() * weight * masked(logprobs, mask), mask)


def sapo(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    tau_pos: float = 1.0,
    tau_neg: float = 1.05,
) -> Tensor:
    """loss_t = -(4 / tau) sigmoid(tau (r_t - 1)) A_t, with tau_pos where A_t > 0 and tau_neg elsewhere.

    Gao et al. 2025, "Soft Adaptive Policy Optimization", arXiv:2511.20347: the gradient fades smoothly as the ratio
    leaves 1, in place of a clip; the factor 4 / tau makes it 1 at ratio 1 for any tau.

    Args:
        logprobs: (B, T) under the policy being trained; carries the gradient.
        old_logprobs: (B, T) under the policy that anchors the ratio; no gradient.
        advantages: (B,), (B, 1) or (B, T); no gradient.
        mask: (B, T) bool, True where the token counts.
        tau_pos: how fast the gradient fades where the advantage is positive.
        tau_neg: the same where it is negative; larger in the paper, since pushing a token down raises all others.

    Returns:
        (B, T), zero outside the mask.

    >>> sapo(torch.zeros(1, 1), torch.zeros(1, 1), torch.ones(1), torch.ones(1, 1).bool())
    tensor([[-2.]])
    """
    check_shapes("B T", logprobs=logprobs, old_logprobs=old_logprobs, mask=mask)
    if tau_pos <= 0 or tau_neg <= 0:
        raise ValueError(f"sapo got tau_pos={tau_pos} and tau_neg={tau_neg}, wanted both above 0")
    weight = per_token(advantages.detach(), logprobs)
    ratio = _ratio(masked(logprobs - old_logprobs.detach(), mask))
    positive = 4 / tau_pos * torch.sigmoid(tau_pos * (ratio - 1))
    negative = 4 / tau_neg * torch.sigmoid(tau_neg * (ratio - 1))
    return masked(-torch.where(weight > 0, positive, negative) * weight, mask)


def dppo(
    logprobs: Tensor,
    old_logprobs: Tensor,
    sampler_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    threshold: float = 0.2,
    divergence: Literal["tv", "kl"] = "tv",
    anchor: Literal["sampler", "old"] = "sampler",
) -> Tensor:
    """loss_t = -M_t r_t A_t, r_t = pi / mu; M_t = 0 where the policy moved too far in the advantage's direction.

    That is: A_t > 0 and r_t > 1, or A_t < 0 and r_t < 1, while the divergence of pi from mu at the token exceeds the
    threshold. The divergence is that of two outcomes, this token or another: `tv` |mu - pi|, or `kl`
    mu log(mu / pi) + (1 - mu) log((1 - mu) / (1 - pi)). Qi et al. 2026, "Rethinking the Trust Region in LLM
    Reinforcement Learning" (DPPO), arXiv:2602.04879: a ratio of 2 is much for a common token, nothing for a rare one.

    The paper anchors mu at the sampler; `anchor="old"` takes the policy before the update, as PPO does. A threshold of
    0.2 is what prime-rl and open-instruct use for `tv`; by Pinsker's inequality that corresponds to about
    2 * 0.2**2 = 0.08 for `kl`.

    Args:
        logprobs: (B, T) under the policy being trained; carries the gradient.
        old_logprobs: (B, T) under the policy before the update; used with `anchor="old"`.
        sampler_logprobs: (B, T) as the engine reported them; used with `anchor="sampler"`.
        advantages: (B,), (B, 1) or (B, T); no gradient.
        mask: (B, T) bool, True where the token counts.
        threshold: largest divergence at which a token may still move on.
        divergence: which of the two.
        anchor: the policy mu.

    Returns:
        (B, T), zero outside the mask. A masked token stays in the reduction's denominator.

    >>> mu, pi = torch.tensor([[0.5, 0.01]]).log(), torch.tensor([[0.8, 0.04]]).log()
    >>> dppo(pi, mu, mu, torch.ones(1), torch.ones(1, 2).bool())
    tensor([[-0., -4.]])
    """
    check_shapes("B T", logprobs=logprobs, old_logprobs=old_logprobs, sampler_logprobs=sampler_logprobs, mask=mask)
    weight = per_token(advantages.detach(), logprobs)
    anchored = masked(sampler_logprobs if anchor == "sampler" else old_logprobs, mask).detach()
    new = masked(logprobs, mask)
    ratio = _ratio(new - anchored)
    with torch.no_grad():
        if divergence == "tv":
            moved = (new.exp() - anchored.exp()).abs()
        else:
            moved = _binary_kl(anchored, new)
        onward = ((weight > 0) & (ratio > 1)) | ((weight < 0) & (ratio < 1))
    return masked(-ratio * weight * ~(onward & (moved > threshold)), mask)


def decoupled_ppo(
    logprobs: Tensor,
    old_logprobs: Tensor,
    sampler_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    cap: float | None = None,
    above_cap: Literal["truncate", "drop"] = "truncate",
) -> Tensor:
    """loss_t = -sg(pi_old / mu) min(r_t A_t, clip(r_t) A_t), r_t = pi / pi_old, mu the sampler: three policies.

    Hilton et al. 2022, "Batch size-invariance for policy optimization", arXiv:2110.00641: correcting for the data
    (mu) and bounding the step (pi_old, the proximal policy) are two things. Fu et al. 2025, AReaL, arXiv:2505.24298,
    eq. 5, use it for data that is several versions old.

    The papers do not bound the weight (`cap` None). With a cap it is `ppo_clip` times `truncated_importance`; AReaL's
    code leaves tokens above its cap out instead (`above_cap="drop"`).

    Args:
        logprobs: (B, T) under the policy being trained; carries the gradient.
        old_logprobs: (B, T) under the proximal policy; no gradient.
        sampler_logprobs: (B, T) under the policy that sampled; no gradient.
        advantages: (B,), (B, 1) or (B, T); no gradient.
        mask: (B, T) bool, True where the token counts.
        clip_low: how far the ratio may fall below 1 and still be rewarded.
        clip_high: how far it may rise above 1.
        cap: largest weight pi_old / mu; None for no bound.
        above_cap: what becomes of a token whose weight exceeds it.

    Returns:
        (B, T), zero outside the mask.

    >>> old, sampler = torch.tensor([[0.5]]).log(), torch.tensor([[0.25]]).log()
    >>> decoupled_ppo(old, old, sampler, torch.ones(1), torch.ones(1, 1).bool())
    tensor([[-2.]])
    """
    loss = ppo_clip(logprobs, old_logprobs, advantages, mask, clip_low=clip_low, clip_high=clip_high)
    check_shapes("B T", logprobs=logprobs, sampler_logprobs=sampler_logprobs)
    behind = _ratio(masked(old_logprobs - sampler_logprobs, mask)).detach()
    if cap is not None:
        behind = behind.clamp(max=cap) if above_cap == "truncate" else torch.where(behind <= cap, behind, 0.0)
    return masked(loss * behind, mask)


def value_clip(
    values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor, *, clip: float | None = 0.2
) -> Tensor:
    """loss_t = max((v_t - R_t)^2, (v'_t - R_t)^2) / 2, v'_t = v_t held within `clip` of old_values_t.

    The critic's loss of PPO's first code (the paper, arXiv:1707.06347, has the plain square, `clip` None), described by
    Engstrom et al. 2020, "Implementation Matters in Deep Policy Gradients", arXiv:2005.12729, section 3. The bound is
    in units of return and so depends on the scale of the rewards.

    Args:
        values: (B, T) of the critic being trained; carries the gradient.
        old_values: (B, T) of the critic before the update; no gradient.
        returns: (B, T), see `gae`; no gradient.
        mask: (B, T) bool, True where the token counts.
        clip: how far a value may move and still be rewarded; None for no bound.

    Returns:
        (B, T), zero outside the mask.

    >>> value_clip(torch.tensor([[0.5, 2.0]]), torch.zeros(1, 2), torch.ones(1, 2), torch.ones(1, 2).bool())
    tensor([[0.3200, 0.5000]])
    """
    check_shapes("B T", values=values, old_values=old_values, returns=returns, mask=mask)
    if clip is not None and clip <= 0:
        raise ValueError(f"value_clip got clip={clip}, wanted more than 0 or None")
    values, old, target = masked(values, mask), masked(old_values, mask).detach(), masked(returns, mask).detach()
    loss = 0.5 * (values - target).square()
    if clip is not None:
        held = old + (values - old).clamp(-clip, clip)
        loss = torch.maximum(loss, 0.5 * (held - target).square())
    return masked(loss, mask)


def _ratio(log_ratio: Tensor) -> Tensor:
    """exp, held at e^60: an infinite ratio times the zero gradient of a clip would be NaN."""
    return torch.exp(log_ratio.clamp(max=60.0))


def _binary_kl(first: Tensor, second: Tensor) -> Tensor:
    """KL of (p, 1 - p) from (q, 1 - q), given log p and log q; exact at p = q and finite at p = 1."""
    this = first.exp() * (first - second)
    rest = -torch.expm1(first)
    other = rest * (torch.log1p(-first.exp()) - torch.log1p(-second.exp()))
    return this + torch.where(rest > 0, other, 0.0)
