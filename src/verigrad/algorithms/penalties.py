"""KL to a reference, entropy, importance weights and masks between sampler and trainer, and the over-long penalty.

Per-token functions return `(B, T)`, zero outside the mask; add them to a loss with a coefficient, or multiply it.

Which KL where (Schulman 2020, "Approximating KL Divergence", names the three estimators): k1 belongs in the reward.
In a loss, on samples of the policy itself, the gradient of k1 is zero on average, that of k2 is the gradient of
KL(pi, pi_ref), and that of k3, GRPO's choice, is the gradient of KL(pi_ref, pi): the same near the reference, another
thing far from it. Given `old_logprobs`, k1 and k3 are weighted by pi / pi_old, which has a gradient of its own, and
their gradient becomes that of KL(pi, pi_ref) exactly, on policy and off: DeepSeek-AI 2025, DeepSeek-V3.2,
arXiv:2512.02556. All of this holds per token, given what came before it.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from verigrad.algorithms.sequence_objectives import rollout_log_ratio
from verigrad.algorithms.shapes import check_shapes, masked, per_token

__all__ = ["entropy", "kl_k1", "kl_k2", "kl_k3", "masked_importance", "opsm", "overlong", "truncated_importance"]

_Level = Literal["token", "sequence", "geometric"]


def kl_k1(
    logprobs: Tensor,
    ref_logprobs: Tensor,
    mask: Tensor,
    *,
    clamp: float | None = None,
    old_logprobs: Tensor | None = None,
) -> Tensor:
    """k1_t = log pi - log pi_ref. Its mean under pi is the KL; subtract it, times a coefficient, from the reward.

    Schulman 2020, "Approximating KL Divergence".

    Args:
        logprobs: (B, T).
        ref_logprobs: (B, T); no gradient.
        mask: (B, T) bool.
        clamp: bound on |log pi - log pi_ref|, beyond which the token has no gradient; None for none.
        old_logprobs: (B, T) under the policy that sampled, to weight the estimate by pi / pi_old; no gradient.

    Returns:
        (B, T).

    >>> kl_k1(torch.tensor([[-1.0]]), torch.tensor([[-1.5]]), torch.tensor([[True]]))
    tensor([[0.5000]])
    """
    k1 = _log_ratio(logprobs, ref_logprobs, mask, clamp)
    return k1 if old_logprobs is None else k1 * _policy_ratio(logprobs, old_logprobs, mask)


def kl_k2(logprobs: Tensor, ref_logprobs: Tensor, mask: Tensor, *, clamp: float | None = None) -> Tensor:
    """k2_t = (log pi - log pi_ref)^2 / 2. As a loss on the policy's own samples its gradient is that of the KL.

    Schulman 2020, "Approximating KL Divergence". Arguments and result as in `kl_k1`.

    >>> kl_k2(torch.tensor([[-1.0]]), torch.tensor([[-1.5]]), torch.tensor([[True]]))
    tensor([[0.1250]])
    """
    return 0.5 * _log_ratio(logprobs, ref_logprobs, mask, clamp).square()


def kl_k3(
    logprobs: Tensor,
    ref_logprobs: Tensor,
    mask: Tensor,
    *,
    clamp: float | None = None,
    max_value: float | None = None,
    gradient: Literal["k3", "k2"] = "k3",
    old_logprobs: Tensor | None = None,
) -> Tensor:
    """k3_t = exp(-k1) - 1 + k1, never negative, and its mean under pi is the KL.

    Schulman 2020, "Approximating KL Divergence"; Shao et al. 2024, GRPO, arXiv:2402.03300, eq. 4. With
    `gradient="k2"` it has k3's value and k2's gradient (verl's `k3+`); with `old_logprobs` it is DeepSeek-V3.2's.

    Args:
        logprobs: (B, T).
        ref_logprobs: (B, T); no gradient.
        mask: (B, T) bool.
        clamp: bound on |log pi - log pi_ref|, beyond which the token has no gradient; None for none (verl: 20).
        max_value: largest k3, beyond which it has no gradient; None for none (verl and NeMo-RL: 10).
        gradient: of which estimator.
        old_logprobs: (B, T) under the policy that sampled, to weight the estimate by pi / pi_old; no gradient.

    Returns:
        (B, T).

    Raises:
        ValueError: both `gradient="k2"` and `old_logprobs`: each is a way to the gradient of KL(pi, pi_ref).

    >>> kl_k3(torch.tensor([[-1.0]]), torch.tensor([[-1.5]]), torch.tensor([[True]]))
    tensor([[0.1065]])
    """
    if gradient == "k2" and old_logprobs is not None:
        raise ValueError("kl_k3 got gradient='k2' and old_logprobs, wanted one of them: both correct the gradient")
    k1 = _log_ratio(logprobs, ref_logprobs, mask, clamp)
    k3 = torch.expm1(-k1) + k1
    if max_value is not None:
        k3 = k3.clamp(max=max_value)
    if gradient == "k2":
        k2 = 0.5 * k1.square()
        return k3.detach() + (k2 - k2.detach())
    return k3 if old_logprobs is None else k3 * _policy_ratio(logprobs, old_logprobs, mask)


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


def truncated_importance(
    old_logprobs: Tensor,
    sampler_logprobs: Tensor,
    mask: Tensor,
    rollout_index: Tensor | None = None,
    *,
    cap: float = 2.0,
    level: _Level = "token",
) -> Tensor:
    """w_t = min(exp(old - sampler), cap): corrects for a sampler that differs from the trainer, at bounded variance.

    Yao et al. 2025, "Your Efficient RL Framework Secretly Brings You Off-Policy RL Training" (token-level truncated
    importance sampling); truncation: Espeholt et al. 2018, IMPALA, arXiv:1802.01561. Multiply the per-token loss by it.

    Args:
        old_logprobs: (B, T) of the sampling weights, as the trainer computes them.
        sampler_logprobs: (B, T), as the engine reported them.
        mask: (B, T) bool.
        rollout_index: (B,) int; wanted unless the level is `token`, all rows of a rollout then being there.
        cap: largest weight.
        level: `token`; `sequence`, the ratio of the whole rollout, the product over its tokens; `geometric`, the
            geometric mean over them. The last two give all tokens of a rollout one weight.

    Returns:
        (B, T), no gradient.

    >>> truncated_importance(torch.tensor([[0.0, -1.0]]), torch.tensor([[-2.0, -1.0]]), torch.ones(1, 2).bool())
    tensor([[2., 1.]])
    """
    ratio = _sampler_ratio(old_logprobs, sampler_logprobs, mask, rollout_index, level)
    return masked(ratio.clamp(max=cap), mask)


def masked_importance(
    old_logprobs: Tensor,
    sampler_logprobs: Tensor,
    mask: Tensor,
    rollout_index: Tensor | None = None,
    *,
    low: float = 0.5,
    high: float = 5.0,
    level: _Level = "token",
    weighted: bool = True,
) -> Tensor:
    """w_t = exp(old - sampler) where it lies in [low, high], else 0: tokens the two sides disagree on are dropped.

    IcePop: Ling Team 2025, "Every Step Evolves" (Ring-1T), arXiv:2510.18855. A dropped token stays in the reduction's
    denominator. `level="sequence"` or `"geometric"` drop whole rollouts (masked importance sampling, TRL's
    `sequence_mask`: low 0, high 3); multiply several forms to combine them, all but one with `weighted=False`.

    Args:
        old_logprobs: (B, T) of the sampling weights, as the trainer computes them.
        sampler_logprobs: (B, T), as the engine reported them.
        mask: (B, T) bool.
        rollout_index: (B,) int; wanted unless the level is `token`, all rows of a rollout then being there.
        low: smallest ratio kept.
        high: largest ratio kept.
        level: over what the ratio is taken, see `truncated_importance`.
        weighted: False to weigh what is kept by 1 in place of the ratio (rejection alone).

    Returns:
        (B, T), no gradient.

    >>> masked_importance(torch.tensor([[0.0, -1.0]]), torch.tensor([[-2.0, -1.0]]), torch.ones(1, 2).bool())
    tensor([[0., 1.]])
    """
    ratio = _sampler_ratio(old_logprobs, sampler_logprobs, mask, rollout_index, level)
    kept = mask & (ratio >= low) & (ratio <= high)
    return masked(ratio, kept) if weighted else kept.to(ratio.dtype)


def opsm(
    logprobs: Tensor,
    sampler_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    rollout_index: Tensor,
    *,
    delta: float,
) -> Tensor:
    """w_t = 0 where A_t < 0 and the rollout's mean of log mu - log pi exceeds delta, else 1.

    Off-policy sequence masking, DeepSeek-AI 2025, DeepSeek-V3.2, arXiv:2512.02556: the policy learns from its own
    mistakes, not from those of a policy it has left. mu is what the engine reported, so that staleness and disagreement
    of engine and trainer both count. Multiply the per-token loss by it. With one advantage per rollout it drops
    rollouts whole.

    Args:
        logprobs: (B, T) under the policy being trained.
        sampler_logprobs: (B, T), as the engine reported them.
        advantages: (B,), (B, 1) or (B, T).
        mask: (B, T) bool.
        rollout_index: (B,) int; all rows of a rollout must be there.
        delta: nats per token. The paper names no number; TRL's manual has 0.5, slime's default is 1e-4.

    Returns:
        (B, T) of 0 and 1, no gradient, zero outside the mask.

    >>> new, sampler = torch.full((2, 2), -2.0), torch.full((2, 2), -1.0)
    >>> opsm(new, sampler, torch.tensor([1.0, -1.0]), torch.ones(2, 2).bool(), torch.tensor([0, 1]), delta=0.5)
    tensor([[1., 1.],
            [0., 0.]])
    """
    check_shapes("B T", logprobs=logprobs, sampler_logprobs=sampler_logprobs, mask=mask)
    drift = rollout_log_ratio(sampler_logprobs.detach(), logprobs.detach(), mask, rollout_index)
    dropped = (per_token(advantages.detach(), logprobs) < 0) & (drift > delta)
    return (mask & ~dropped).to(logprobs.dtype)


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


def _log_ratio(logprobs: Tensor, ref_logprobs: Tensor, mask: Tensor, clamp: float | None) -> Tensor:
    check_shapes("B T", logprobs=logprobs, ref_logprobs=ref_logprobs, mask=mask)
    k1 = masked(logprobs - ref_logprobs.detach(), mask)
    return k1 if clamp is None else k1.clamp(-clamp, clamp)


def _policy_ratio(logprobs: Tensor, old_logprobs: Tensor, mask: Tensor) -> Tensor:
    check_shapes("B T", logprobs=logprobs, old_logprobs=old_logprobs)
    return torch.exp(masked(logprobs - old_logprobs.detach(), mask))


def _sampler_ratio(
    old_logprobs: Tensor, sampler_logprobs: Tensor, mask: Tensor, rollout_index: Tensor | None, level: _Level
) -> Tensor:
    check_shapes("B T", old_logprobs=old_logprobs, sampler_logprobs=sampler_logprobs, mask=mask)
    old, sampler = old_logprobs.detach(), sampler_logprobs.detach()
    if level == "token":
        return torch.exp(masked(old - sampler, mask))
    if rollout_index is None:
        raise ValueError(
            f"an importance weight of level {level!r} got no rollout_index, wanted (B,) rollouts of the rows"
        )
    how: Literal["mean", "sum"] = "sum" if level == "sequence" else "mean"
    return rollout_log_ratio(old, sampler, mask, rollout_index, how=how).exp().expand_as(old)
