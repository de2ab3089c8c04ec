"""What happened in an update, as dicts of plain floats for the log.

Call these once per optimizer step on all its rows (detached): a mean over micro-batches of means is another number.
A mask without a single token gives 0.0 everywhere (ratios included), never NaN, so that a log stays valid JSON.
"""

from __future__ import annotations

import torch
from torch import Tensor

from verigrad.algorithms.shapes import check_shapes, masked, per_token

__all__ = ["entropy_summary", "policy_change", "sampler_drift"]


def policy_change(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    dual_clip: float | None = None,
) -> dict[str, float]:
    """How far the policy moved from the anchor of its ratio.

    `ratio_mean` and `ratio_max` of r_t = exp(new - old); `clip_fraction`, the share of tokens whose gradient `ppo_clip`
    cut off (A > 0 and r > 1 + clip_high, or A < 0 and r < 1 - clip_low or r > dual_clip); `approx_kl`, the mean of
    r - 1 - log r, which estimates KL(old, new) (Schulman 2020, "Approximating KL Divergence", k3).

    Args:
        logprobs: (B, T) after the update.
        old_logprobs: (B, T) before it.
        advantages: (B,), (B, 1) or (B, T).
        mask: (B, T) bool.
        clip_low: as given to the objective.
        clip_high: as given to the objective.
        dual_clip: likewise.

    >>> one = torch.ones(1, 2)
    >>> change = policy_change(torch.tensor([[1.0, 2.0]]).log(), 0 * one, one, one.bool())
    >>> change["ratio_mean"], change["ratio_max"], change["clip_fraction"], round(change["approx_kl"], 4)
    (1.5, 2.0, 0.5, 0.1534)
    """
    check_shapes("B T", logprobs=logprobs, old_logprobs=old_logprobs, mask=mask)
    # Held where the objectives hold it: an infinite ratio, as bounds with their weights can give, is no JSON.
    log_ratio = masked(logprobs - old_logprobs, mask).detach().clamp(max=60.0)
    ratio = log_ratio.exp()
    weight = per_token(advantages, logprobs)
    cut = ((weight > 0) & (ratio > 1 + clip_high)) | ((weight < 0) & (ratio < 1 - clip_low))
    if dual_clip is not None:
        cut |= (weight < 0) & (ratio > dual_clip)
    return {
        "ratio_mean": _mean(ratio, mask),
        "ratio_max": _max(ratio, mask),
        "clip_fraction": _mean(cut.to(ratio.dtype), mask),
        "approx_kl": _mean(torch.expm1(log_ratio) - log_ratio, mask),
    }


def sampler_drift(old_logprobs: Tensor, sampler_logprobs: Tensor, mask: Tensor) -> dict[str, float]:
    """Disagreement of trainer and sampler about the same tokens under the same weights, in nats.

    `sampler_drift` is the mean and `sampler_drift_max` the maximum of |old - sampler|; both are rounding noise
    unless masks, templates, temperature or weights differ.

    Args:
        old_logprobs: (B, T) as the trainer computes them.
        sampler_logprobs: (B, T) as the engine reported them.
        mask: (B, T) bool.

    >>> sampler_drift(torch.tensor([[-1.0, -2.0]]), torch.tensor([[-1.5, -2.0]]), torch.ones(1, 2).bool())
    {'sampler_drift': 0.25, 'sampler_drift_max': 0.5}
    """
    check_shapes("B T", old_logprobs=old_logprobs, sampler_logprobs=sampler_logprobs, mask=mask)
    gap = masked(old_logprobs - sampler_logprobs, mask).abs()
    return {"sampler_drift": _mean(gap, mask), "sampler_drift_max": _max(gap, mask)}


def entropy_summary(entropy: Tensor, mask: Tensor) -> dict[str, float]:
    """Mean entropy (nats) of the policy at the tokens that count.

    Args:
        entropy: (B, T), from `penalties.entropy`.
        mask: (B, T) bool.

    >>> entropy_summary(torch.tensor([[0.5, 9.0]]), torch.tensor([[True, False]]))
    {'entropy': 0.5}
    """
    check_shapes("B T", entropy=entropy, mask=mask)
    return {"entropy": _mean(entropy, mask)}


def _mean(values: Tensor, mask: Tensor) -> float:
    return float(masked(values, mask).sum() / mask.sum().clamp(min=1))


def _max(values: Tensor, mask: Tensor) -> float:
    """Largest of values that are never negative."""
    return float(masked(values, mask).max()) if values.numel() else 0.0
