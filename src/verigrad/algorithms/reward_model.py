"""Losses that train reward models, process rewards without process labels, and rewards under a cost limit.

Losses are per pair or per row `(B,)`, to be minimised, and never reduce. A score is a reward model's raw output: a
logit, not a probability. How good the scores are: `score_metrics`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from verigrad.algorithms.shapes import check_shapes, masked

__all__ = [
    "bradley_terry",
    "centering",
    "cost_lagrangian",
    "implicit_prm",
    "implicit_prm_loss",
    "regression",
    "update_multiplier",
    "verdict_cross_entropy",
]


def bradley_terry(chosen: Tensor, rejected: Tensor, *, margin: Tensor | float | None = None) -> Tensor:
    """loss = -log s(chosen - rejected - margin), s the logistic function.

    Bradley and Terry 1952; Ouyang et al. 2022, InstructGPT, arXiv:2203.02155, eq. 1. A margin that grows with how much
    better the chosen one is (the gap in tests passed, say): Touvron et al. 2023, Llama 2, arXiv:2307.09288, eq. 2.

    Args:
        chosen: (B,) scores of the better completions.
        rejected: (B,) scores of the worse ones.
        margin: one number, or (B,); no gradient. None for 0.

    Returns:
        (B,).

    Raises:
        ValueError: shapes differ.

    >>> bradley_terry(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 1.0]), margin=torch.tensor([0.0, 1.0]))
    tensor([0.6931, 0.6931])
    """
    check_shapes("B", chosen=chosen, rejected=rejected)
    gap = chosen - rejected
    if isinstance(margin, Tensor):
        check_shapes("B", chosen=chosen, margin=margin)
        gap = gap - margin.detach()
    elif margin is not None:
        gap = gap - margin
    return -torch.nn.functional.logsigmoid(gap)


def centering(chosen: Tensor, rejected: Tensor) -> Tensor:
    """penalty = (chosen + rejected)^2, to be added with a small weight: `bradley_terry` leaves the scores' zero open.

    Eisenstein et al. 2023, "Helping or Herding? Reward Model Ensembles Mitigate but do not Eliminate Reward Hacking",
    arXiv:2312.09244, with weight 0.01.

    Args:
        chosen: (B,) scores.
        rejected: (B,) scores.

    Returns:
        (B,).

    >>> centering(torch.tensor([3.0]), torch.tensor([-1.0]))
    tensor([4.])
    """
    check_shapes("B", chosen=chosen, rejected=rejected)
    return (chosen + rejected).square()


def regression(scores: Tensor, targets: Tensor) -> Tensor:
    """loss = (score - target)^2: the score estimates the target itself, the share of tests passed, say.

    Cobbe et al. 2021, "Training Verifiers to Solve Math Word Problems", arXiv:2110.14168 (verifiers, targets 0 and 1);
    Wang et al. 2024, HelpSteer2, arXiv:2406.08673 (graded targets).

    Args:
        scores: (B,); carries the gradient.
        targets: (B,); no gradient.

    Returns:
        (B,).

    >>> regression(torch.tensor([0.5, 2.0]), torch.tensor([1.0, 0.0]))
    tensor([0.2500, 4.0000])
    """
    check_shapes("B", scores=scores, targets=targets)
    return (scores - targets.detach()).square()


def verdict_cross_entropy(scores: Tensor, passed: Tensor) -> Tensor:
    """loss = -p log s(score) - (1 - p) log s(-score): s(score) estimates the probability that the program passes.

    Uesato et al. 2022, "Solving math word problems with process- and outcome-based feedback", arXiv:2211.14275 (the
    outcome-supervised reward model).

    Args:
        scores: (B,) logits; carries the gradient.
        passed: (B,) p, bool or a share in [0, 1]; no gradient.

    Returns:
        (B,).

    Raises:
        ValueError: a share outside [0, 1], or shapes differ.

    >>> verdict_cross_entropy(torch.tensor([0.0, 2.0]), torch.tensor([True, False]))
    tensor([0.6931, 2.1269])
    """
    check_shapes("B", scores=scores, passed=passed)
    share = passed.detach().to(scores.dtype)
    if not bool(((share >= 0) & (share <= 1)).all()):
        raise ValueError(f"passed ranges from {share.min().item()} to {share.max().item()}, wanted 0 to 1")
    return -share * torch.nn.functional.logsigmoid(scores) - (1 - share) * torch.nn.functional.logsigmoid(-scores)


def implicit_prm(logprobs: Tensor, ref_logprobs: Tensor, mask: Tensor, *, beta: float = 0.05) -> Tensor:
    """r_t = beta (log pi_t - log ref_t), a reward for every token out of a model trained on outcomes alone.

    Yuan et al. 2024, "Free Process Rewards without Process Labels", arXiv:2412.01981; Cui et al. 2025, PRIME,
    arXiv:2502.01456, whence beta. The sum over a completion is the logit that it is correct, see `implicit_prm_loss`.

    Args:
        logprobs: (B, T) of the completion's tokens under the process reward model.
        ref_logprobs: (B, T) under the model it started from; no gradient.
        mask: (B, T) bool, True where the token counts.
        beta: as in the loss.

    Returns:
        (B, T), zero outside the mask. It carries a gradient; detach it before it becomes a reward.

    >>> implicit_prm(torch.tensor([[-1.0, -2.0]]), torch.tensor([[-3.0, -9.0]]), torch.tensor([[True, False]]))
    tensor([[0.1000, 0.0000]])
    """
    check_shapes("B T", logprobs=logprobs, ref_logprobs=ref_logprobs, mask=mask)
    return beta * masked(logprobs - ref_logprobs.detach(), mask)


def implicit_prm_loss(
    logprobs: Tensor, ref_logprobs: Tensor, mask: Tensor, passed: Tensor, *, beta: float = 0.05
) -> Tensor:
    """loss = `verdict_cross_entropy` of the sum over tokens of `implicit_prm`.

    Yuan et al. 2024, arXiv:2412.01981; Cui et al. 2025, PRIME, arXiv:2502.01456, which goes on training it on the
    policy's own completions.

    Args:
        logprobs: (B, T) of the completion's tokens; carries the gradient.
        ref_logprobs: (B, T); no gradient.
        mask: (B, T) bool.
        passed: (B,) bool or a share in [0, 1], the outcome of each completion.
        beta: how far the model must move from its start for a given certainty.

    Returns:
        (B,).

    >>> implicit_prm_loss(torch.zeros(1, 2), torch.zeros(1, 2), torch.ones(1, 2).bool(), torch.tensor([True]))
    tensor([0.6931])
    """
    return verdict_cross_entropy(implicit_prm(logprobs, ref_logprobs, mask, beta=beta).sum(dim=1), passed)


def cost_lagrangian(reward_advantages: Tensor, cost_advantages: Tensor, *, multiplier: float) -> Tensor:
    """A = (A_reward - lambda A_cost) / (1 + lambda): the more the limit is broken, the more the cost decides.

    Dai et al. 2023, "Safe RLHF", arXiv:2310.12773, eq. 30, where the same combination is taken of two surrogate losses
    that are linear in the advantage. Dividing by 1 + lambda keeps the step's size when lambda grows.

    Args:
        reward_advantages: (N,) from an advantage estimator, of the reward.
        cost_advantages: (N,) from the same estimator, of the cost.
        multiplier: lambda, at least 0; see `update_multiplier`.

    Returns:
        (N,).

    >>> cost_lagrangian(torch.tensor([1.0]), torch.tensor([-1.0]), multiplier=3.0)
    tensor([1.])
    >>> cost_lagrangian(torch.tensor([1.0]), torch.tensor([2.0]), multiplier=3.0)
    tensor([-1.2500])
    """
    check_shapes("N", reward_advantages=reward_advantages, cost_advantages=cost_advantages)
    if not multiplier >= 0:
        raise ValueError(f"multiplier is {multiplier}, wanted at least 0")
    return (reward_advantages - multiplier * cost_advantages) / (1 + multiplier)


def update_multiplier(
    multiplier: float, mean_cost: float, *, limit: float = 0.0, learning_rate: float = 0.1, maximum: float = 100.0
) -> float:
    """log lambda' = log lambda + learning_rate * lambda * (mean_cost - limit), at most log `maximum`.

    Dai et al. 2023, "Safe RLHF", arXiv:2310.12773, eq. 31: gradient ascent on the logarithm keeps lambda positive. It
    rises while the mean cost is above the limit and falls while it is below, by steps in proportion to itself: from a
    small lambda the way up is slow. The bound is ours, against a step so large that nothing is left of the reward.

    Args:
        multiplier: lambda, above 0; the authors begin with 1.
        mean_cost: of the episodes since the last update.
        limit: the cost that is still allowed.
        learning_rate: of log lambda.
        maximum: largest lambda.

    >>> update_multiplier(1.0, mean_cost=0.5, limit=0.5)
    1.0
    >>> round(update_multiplier(2.0, mean_cost=1.0, limit=0.5), 4)  # 2 exp(0.1)
    2.2103
    """
    if not 0 < multiplier <= maximum:
        raise ValueError(f"multiplier is {multiplier}, wanted above 0 and at most maximum={maximum}")
    step = learning_rate * multiplier * (mean_cost - limit)
    # The exponent is bounded so that exp cannot overflow, the result because exp(log(maximum)) may round up past it.
    # From 0 the multiplier could never rise again.
    moved = math.exp(min(math.log(multiplier) + step, math.log(maximum)))
    return max(min(moved, maximum), 1e-12)
