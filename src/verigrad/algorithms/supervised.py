"""Losses on given completions (demonstrations)."""

from __future__ import annotations

from torch import Tensor

from verigrad.algorithms.shapes import check_shapes, masked

__all__ = ["cross_entropy"]


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
