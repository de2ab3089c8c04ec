"""Log-probability and entropy of chosen tokens, from hidden states, without holding all logits in float32.

A vocabulary of 49k makes logits, not weights, the largest thing in memory. They are made a chunk at a time;
what the backward pass needs of a chunk is its probabilities, kept in the compute dtype.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["selected_logprobs"]

_CHUNK = 128


def selected_logprobs(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    ids: Tensor,
    temperature: Tensor,
    kept: Sequence[tuple[int, ...] | None] | None = None,
    *,
    compute_dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """Log-softmax of `(hidden @ weight.T + bias) / temperature` at `ids`, and its entropy.

    Args:
        hidden: (S, H).
        weight: (V, H).
        bias: (V,) or None.
        ids: (S,).
        temperature: (S,) positive.
        kept: per token the ids its distribution was restricted to, or None for all.
        compute_dtype: of the matrix products; sums and the softmax are float32.

    Returns:
        log-probabilities (S,) with gradient to hidden, weight and bias; entropies (S,) in nats without.
    """
    blocked = _blocked(kept, weight.shape[0], hidden.device) if kept is not None else None
    function: Any = _SelectedLogprobs.apply
    logprobs, entropy = function(hidden, weight, bias, ids, temperature.float(), blocked, compute_dtype)
    return logprobs, entropy


def _blocked(kept: Sequence[tuple[int, ...] | None], vocabulary: int, device: torch.device) -> Tensor:
    blocked = torch.zeros(len(kept), vocabulary, dtype=torch.bool, device=device)
    for index, allowed in enumerate(kept):
        if allowed is not None:
            blocked[index] = True
            blocked[index, list(allowed)] = False
    return blocked


class _SelectedLogprobs(torch.autograd.Function):
    """d logp(y) / d logits = onehot(y) - p, so the forward's probabilities are all the backward needs."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        ids: Tensor,
        temperature: Tensor,
        blocked: Tensor | None,
        compute_dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        h, w = hidden.to(compute_dtype), weight.to(compute_dtype)
        logprobs = torch.empty(len(ids), device=hidden.device)
        entropy = torch.empty(len(ids), device=hidden.device)
        rows = len(ids) if any(ctx.needs_input_grad[:3]) else 0
        probabilities = torch.empty(rows, len(w), dtype=compute_dtype, device=hidden.device)
        for start in range(0, len(ids), _CHUNK):
            part = slice(start, start + _CHUNK)
            logits = (h[part] @ w.T).float()
            if bias is not None:
                logits += bias.float()
            logits /= temperature[part, None]
            if blocked is not None:
                logits.masked_fill_(blocked[part], float("-inf"))
            table = logits.log_softmax(1)
            p = table.exp()
            logprobs[part] = table.gather(1, ids[part, None])[:, 0]
            if blocked is not None:  # 0 * -inf
                table = table.nan_to_num(neginf=0.0)
            entropy[part] = -table.mul_(p).sum(1)
            if rows:
                probabilities[part] = p
        ctx.save_for_backward(h, w, ids, temperature, probabilities)
        ctx.has_bias = bias is not None
        ctx.dtypes = hidden.dtype, weight.dtype
        ctx.mark_non_differentiable(entropy)
        return logprobs, entropy

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> Any:
        h, w, ids, temperature, probabilities = ctx.saved_tensors
        need_hidden, need_weight, need_bias = ctx.needs_input_grad[:3]
        scale = (grad.float() / temperature)[:, None].to(h.dtype)
        delta = probabilities * -scale
        delta.scatter_add_(1, ids[:, None], scale)
        grad_hidden = delta @ w if need_hidden else None
        grad_weight = delta.T @ h if need_weight else None
        grad_bias = delta.float().sum(0) if need_bias and ctx.has_bias else None
        hidden_dtype, weight_dtype = ctx.dtypes
        return (
            None if grad_hidden is None else grad_hidden.to(hidden_dtype),
            None if grad_weight is None else grad_weight.to(weight_dtype),
            grad_bias,
            None,
            None,
            None,
            None,
        )
