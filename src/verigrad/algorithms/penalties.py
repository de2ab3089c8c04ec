"""KL to a reference, entropy, importance weights between sampler and trainer, and the over-long penalty.

Per-token functions return `(B, T)`, zero outside the mask; add them to a loss with a coefficient, or multiply it.

Which KL where (Schulman 2020, "Approximating KL Divergence", names the three estimators): k1 belongs in the reward.
In a loss, on samples of the policy itself, the gradient of k1 is zero on average, that of k2 is the gradient of
KL(pi, pi_ref), and that of k3, GRPO's choice, is the gradient of KL(pi_ref, pi): the same near the reference, another
thing far from it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from verigrad.algorithms.shapes import check_shapes, masked

__all__ = ["entropy", "kl_k1", "kl_k2", "kl_k3", "masked_importance", "overlong", "truncated_importance"]


def kl_k1(logprobs: Tensor, ref_logprobs: Tensor, mask: Tensor) -> Tensor:
    """k1_t = log pi - log pi_ref. Its mean under pi is the KL; subtract it, times a coefficient, from the reward.

    Schulman 2020, "Approximating KL Divergence".

    Args:
        logprobs: (B, T).
        ref_logprobs: (B, T); no gradient.
        mask: (B, T) bool.

    Returns:
        (B, T).

    >>> kl_k1(torch.tensor([[-1.0]]), torch.tensor([[-1.5]]), torch.tensor([[True]]))
    tensor([[0.5000]])
    """
    check_shapes("B T", logprobs=logprobs, ref_logprobs=ref_logprobs, mask=mask)
    return masked(logprobs - ref_logprobs.detach(), mask)


def kl_k2(logprobs: Tensor, ref_logprobs: Tensor, mask: Tensor) -> Tensor:
    """k2_t = (log pi - log pi_ref)^2 / 2. As a loss on the policy's own samples its gradient is that of the KL.

    Schulman 2020, "Approximating KL Divergence". Arguments and result as in `kl_k1`.

    >>> kl_k2(torch.tensor([[-1.0]]), torch.tensor([[-1.5]]), torch.tensor([[True]]))
    tensor([[0.1250]])
    """
    return 0.5 * kl_k1(logprobs, ref_logprobs, mask).square()


def kl_k3(logprobs: Tensor, ref_logprobs: Tensor, mask: Tensor) -> Tensor:
    """k3_t = exp(-k1) - 1 + k1, never negative, and its mean under pi is the KL.

    Schulman 2020, "Approximating KL Divergence"; Shao et al. 2024, GRPO, arXiv:2402.03300, eq. 4. Arguments and result
    as in `kl_k1`.

    >>> kl_k3(torch.tensor([[-1.0]]), torch.tensor([[-1.5]]), torch.tensor([[True]]))
    tensor([[0.1065]])
    """
    k1 = kl_k1(logprobs, ref_logprobs, mask)
    return torch.expm1(-k1) + k1


def entropy(logits: Tensor) -> Tensor:
    """H = -sum_v p_v log p_v in nats, p = softmax(logits); a logit of -inf (a forbidden token) adds nothing.

    Args:
        logits: (..., V), already divided by the temperature.

    Returns:
        (...).

    >>> entropy(torch.tensor([0.0, 0.0, float("-inf")]))
    tensor(0.6931)
    """
    logprobs = torch.log_softmax(logits, dim=-1)
    return -(logprobs.exp() * logprobs.masked_fill(logits.isneginf(), 0.0)).sum(dim=-1)


def truncated_importance(old_logprobs: Tensor, sampler_logprobs: Tensor, mask: Tensor, *, cap: float = 2.0) -> Tensor:
    """w_t = min(exp(old - sampler), cap): corrects for a sampler that differs from the trainer, at bounded variance.

    Yao et al. 2025, "Your Efficient RL Framework Secretly Brings You Off-Policy RL Training" (token-level truncated
    importance sampling); truncation: Espeholt et al. 2018, IMPALA, arXiv:1802.01561. Multiply the per-token loss by it.

    Args:
        old_logprobs: (B, T) of the sampling weights, as the trainer computes them.
        sampler_logprobs: (B, T), as the engine reported them.
        mask: (B, T) bool.
        cap: largest weight.

    Returns:
        (B, T), no gradient.

    >>> truncated_importance(torch.tensor([[0.0, -1.0]]), torch.tensor([[-2.0, -1.0]]), torch.ones(1, 2).bool())
    tensor([[2., 1.]])
    """
    return masked(_sampler_ratio(old_logprobs, sampler_logprobs, mask).clamp(max=cap), mask)


def masked_importance(
    old_logprobs: Tensor, sampler_logprobs: Tensor, mask: Tensor, *, low: float = 0.5, high: float = 5.0
) -> Tensor:
    """w_t = exp(old - sampler) where it lies in [low, high], else 0: tokens the two sides disagree on are dropped.

    IcePop: Ling Team 2025, "Every Step Evolves" (Ring-1T), arXiv:2510.18855. A dropped token stays in the reduction's
    denominator.

    Args:
        old_logprobs: (B, T) of the sampling weights, as the trainer computes them.
        sampler_logprobs: (B, T), as the engine reported them.
        mask: (B, T) bool.
        low: smallest ratio kept.
        high: largest ratio kept.

    Returns:
        (B, T), no gradient.

    >>> masked_importance(torch.tensor([[0.0, -1.0]]), torch.tensor([[-2.0, -1.0]]), torch.ones(1, 2).bool())
    tensor([[0., 1.]])
    """
    ratio = _sampler_ratio(old_logprobs, sampler_logprobs, mask)
    return masked(ratio, mask & (ratio >= low) & (ratio <= high))


def overlong(lengths: Tensor, *, max_length: int, buffer: int) -> Tensor:
    """Soft over-long punishment, added to the reward: 0, then falling linearly to -1 over the last `buffer` tokens.

    Yu et al. 2025, DAPO, arXiv:2503.14476, eq. 13 (there max_length 20480 with a buffer of 4096).

    Args:
        lengths: (N,) completion tokens.
        max_length: tokens from which on the penalty is -1.
        buffer: tokens over which it grows, at least 1 and at most `max_length`.

    Returns:
        (N,) in [-1, 0].

    >>> overlong(torch.tensor([70, 80, 90, 100, 120]), max_length=100, buffer=20)
    tensor([ 0.0000,  0.0000, -0.5000, -1.0000, -1.0000])
    """
    check_shapes("N", lengths=lengths)
    if not 1 <= buffer <= max_length:
        raise ValueError(f"overlong got buffer={buffer}, wanted 1 to max_length={max_length}")
    return ((max_length - buffer - lengths) / buffer).clamp(-1.0, 0.0)


def _sampler_ratio(old_logprobs: Tensor, sampler_logprobs: Tensor, mask: Tensor) -> Tensor:
    check_shapes("B T", old_logprobs=old_logprobs, sampler_logprobs=sampler_logprobs, mask=mask)
    return torch.exp(masked(old_logprobs - sampler_logprobs, mask)).detach()
