"""What methods for masked-diffusion models bring that has no place among the others: wd1's weights, SPG's bounds.

Most such methods are an estimator of log-probabilities (docs/diffusion.md) under an objective of `objectives` or
`sequence_objectives`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from verigrad.algorithms.shapes import check_shapes, masked, per_token

__all__ = ["softmax_difference", "spg"]


def softmax_difference(rewards: Tensor, group_ids: Tensor, *, scale: float = 1.0) -> Tensor:
    """A_i = G (softmax(a)_i - softmax(-a)_i) within each group, a = scale (r - mean r), G scored rollouts of the group.

    Tang et al. 2025, wd1, arXiv:2507.08838: the loss is a weighted log-likelihood without a ratio, minus that of the
    bad completions; with `reinforce` and a mean over rollouts it is the paper's up to the factor of the group count.
    The factor G keeps the gradient's size from depending on the group's. Softmax is shift invariant, so centring
    changes nothing; the authors' code takes it over the local batch, this one over the group, as in the paper.

    Args:
        rewards: (N,) float, NaN where left out.
        group_ids: (N,) int.
        scale: inverse temperature of the weights.

    Returns:
        (N,), 0 where left out and in groups whose rewards are all alike; each group adds up to 0.

    >>> softmax_difference(torch.tensor([1.0, 0.0]), torch.tensor([0, 0])).round(decimals=4)
    tensor([ 0.9242, -0.9242])
    """
    check_shapes("N", rewards=rewards, group_ids=group_ids)
    found = torch.zeros_like(rewards)
    for group in group_ids.unique():
        mine = (group_ids == group) & ~rewards.isnan()
        own = scale * rewards[mine]
        found[mine] = len(own) * (own.softmax(0) - (-own).softmax(0))
    return found


def spg(
    logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    rollout_index: Tensor,
    loss_weights: Tensor,
    *,
    beta: float = 1.5,
    mix: float = 0.5,
) -> Tensor:
    """-A ELBO where A > 0, -A (mix EUBO + (1 - mix) ELBO) where A < 0: what is pushed down is bounded from above.

    Over the n masks drawn of a completion, a row each, with w the noise weight of a masked token (the share it is
    divided by):

        ELBO = 1/n sum_masks sum_t w log p_t          EUBO = 1/beta sum_t log(1/n sum_masks w p_t^beta)

    Wang et al. 2025, SPG, arXiv:2510.09541. A lower bound pushed down need not take the likelihood
    along. A token that no mask hides adds nothing to either.

    Args:
        logprobs: (B, T) of the hidden tokens; carries the gradient.
        advantages: (B,), (B, 1) or (B, T), one per rollout; no gradient.
        mask: (B, T) bool, True where this row's mask hides the token.
        rollout_index: (B,) int; the rows of a rollout are masks of one completion, tokens in the same columns.
        loss_weights: (B, T) w.
        beta: 1 or more; larger is a looser bound.
        mix: share of the upper bound; with 1 and few masks the gradient is noisy.

    Returns:
        (B, T), zero outside the mask; its sum over a rollout's rows is the rollout's loss.

    >>> logprobs, w = torch.tensor([[0.5, 0.0], [0.0, 0.25]]).log(), torch.tensor([[2.0, 0.0], [0.0, 2.0]])
    >>> spg(logprobs, torch.ones(2), w > 0, torch.tensor([0, 0]), w).round(decimals=4)
    tensor([[0.6931, 0.0000],
            [0.0000, 1.3863]])
    """
    check_shapes("B T", logprobs=logprobs, mask=mask, loss_weights=loss_weights)
    if beta < 1 or not 0 <= mix <= 1:
        raise ValueError(f"spg got beta={beta} and mix={mix}, wanted beta of at least 1 and mix between 0 and 1")
    weight = masked(per_token(advantages.detach(), logprobs).expand_as(logprobs), mask)
    owners, index = torch.unique(rollout_index, return_inverse=True)
    rows = torch.bincount(index, minlength=len(owners)).to(logprobs.dtype)
    safe = masked(logprobs, mask)
    lower = loss_weights * safe / rows[index][:, None]
    upper = masked(_upper(safe, mask, index, loss_weights, rows, beta), mask)
    negative = mix * upper + (1 - mix) * lower
    return masked(-weight * torch.where(weight < 0, negative, lower), mask)


def _upper(logprobs: Tensor, mask: Tensor, index: Tensor, weights: Tensor, rows: Tensor, beta: float) -> Tensor:
    """(B, T) the upper bound's term of each token, shared out evenly over the rows that hide it."""
    powers = masked(beta * logprobs + weights.clamp(min=1e-30).log(), mask).masked_fill(~mask, -torch.inf)
    # The largest of a rollout is taken out of the exponential; without a gradient, as it cancels.
    top = torch.full((len(rows), mask.shape[1]), -torch.inf, dtype=logprobs.dtype)
    top = top.scatter_reduce(0, index[:, None].expand_as(mask), powers.detach(), "amax")
    top = top.masked_fill(top.isinf(), 0.0)
    hidden = torch.zeros_like(top).index_add(0, index, mask.to(top.dtype))
    sums = torch.zeros_like(top).index_add(0, index, (powers - top[index]).exp())
    bound = ((sums / rows[:, None]).clamp(min=1e-30).log() + top) / beta
    return (bound / hidden.clamp(min=1))[index]
