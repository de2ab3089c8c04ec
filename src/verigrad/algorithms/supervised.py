"""Losses on given completions (demonstrations), and what their sum is divided by."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from verigrad.algorithms.shapes import check_shapes, masked

__all__ = [
    "NORMALISATIONS",
    "bucketed_cross_entropy",
    "cross_entropy",
    "masked_diffusion_loss",
    "per_answer",
    "per_batch_token",
    "per_masked_token",
]


def cross_entropy(logprobs: Tensor, mask: Tensor) -> Tensor:
    """loss_t = -log pi(token t), the negative log-likelihood in nats.

    Args:
        logprobs: (B, T) of the given tokens; carries the gradient.
        mask: (B, T) bool, True where the token is to be learned (the completion and its end, not the prompt).

    Returns:
        (B, T), zero outside the mask; `reductions.token_mean` of it is the usual supervised loss.

    >>> import torch
    >>> cross_entropy(torch.tensor([[-0.5, -9.0]]), torch.tensor([[True, False]]))
    tensor([[0.5000, 0.0000]])
    """
    check_shapes("B T", logprobs=logprobs, mask=mask)
    return masked(-logprobs, mask)


def masked_diffusion_loss(logprobs: Tensor, weights: Tensor, divisors: Tensor) -> Tensor:
    """loss_s = -(weight_s / divisor_s) log p(token s | what is not masked), for each masked token.

    The sum over the S masked tokens of a step is the loss. With the weights of `masking` and the divisors of
    `per_batch_token` it is an unbiased estimate of the negative ELBO per token (Sahoo et al. 2024, MDLM,
    arXiv:2406.07524, eq. 10).

    Args:
        logprobs: (S,) of the masked tokens; carries the gradient.
        weights: (S,) from `masking.draw_noise`, times the token's own.
        divisors: (S,) from one of `NORMALISATIONS`.

    Returns:
        (S,)

    >>> masked_diffusion_loss(torch.tensor([-1.0, -3.0]), torch.tensor([2.0, 2.0]), torch.tensor([8.0, 8.0]))
    tensor([0.2500, 0.7500])
    """
    check_shapes("S", logprobs=logprobs, weights=weights, divisors=divisors)
    return -logprobs * weights / divisors


def per_batch_token(rows: Tensor, tokens: Tensor, views: int) -> Tensor:
    """`batch_tokens`: divide by the tokens of the step that could have been masked. The ELBO per token (LLaDA's
    pre-training).

    Args:
        rows: (S,) the row of each masked token.
        tokens: (N,) of each row that could have been masked.
        views: noised views of each row.

    >>> per_batch_token(torch.tensor([0, 1]), torch.tensor([6, 2]), 1)
    tensor([8., 8.])
    """
    return tokens.sum().float().expand(rows.shape)


def per_answer(rows: Tensor, tokens: Tensor, views: int) -> Tensor:
    """`answer`: divide by the answer's tokens, then take the mean over rows; short answers count as much as long ones
    (LLaDA's fine-tuning). Arguments as in `per_batch_token`.

    >>> per_answer(torch.tensor([0, 1]), torch.tensor([6, 2]), 1)
    tensor([12.,  4.])
    """
    return tokens[rows].float() * len(tokens)


def per_masked_token(rows: Tensor, tokens: Tensor, views: int) -> Tensor:
    """`masked`: divide by the tokens that were masked, in the mean over views. Not an ELBO: with weights of 1 / t it
    reads about CE / t, 30 to 50 at the start (DiffuLLaMA). Arguments as in `per_batch_token`.

    >>> per_masked_token(torch.tensor([0, 0, 1]), torch.tensor([6, 2]), 1)
    tensor([3., 3., 3.])
    """
    return torch.full(rows.shape, len(rows) / views)


_Normalisation = Callable[[Tensor, Tensor, int], Tensor]
NORMALISATIONS: dict[str, _Normalisation] = {
    "batch_tokens": per_batch_token,
    "answer": per_answer,
    "masked": per_masked_token,
}


def bucketed_cross_entropy(logprobs: Tensor, levels: Tensor, buckets: int = 4) -> tuple[Tensor, Tensor]:
    """Sums (buckets,) of the plain cross-entropy of masked tokens by noise level, and their counts (buckets,).

    Their ratio is comparable across recipes whatever the loss is weighted with and divided by.

    Args:
        logprobs: (S,) of masked tokens.
        levels: (S,) share of tokens masked where each was, in [0, 1].

    >>> bucketed_cross_entropy(torch.tensor([-1.0, -3.0, -5.0]), torch.tensor([0.2, 0.25, 1.0]))
    (tensor([1., 3., 0., 5.]), tensor([1., 1., 0., 1.]))
    """
    check_shapes("S", logprobs=logprobs, levels=levels)
    which = (levels * buckets).long().clamp(max=buckets - 1)
    empty = torch.zeros(buckets)
    return empty.index_add(0, which, -logprobs.detach().float()), empty.index_add(0, which, torch.ones(which.shape))
