"""Log-probability and entropy of chosen tokens, from hidden states, without holding all logits in float32.

A vocabulary of 49k makes logits, not weights, the largest thing in memory. They are made a chunk at a time;
what the backward pass needs of a chunk is its probabilities, kept in the compute dtype.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from verigrad.models.linear import product, transposed_product

__all__ = ["selected_logprobs"]

# Rows of a matrix product, and how many of them at a time become probabilities. On a CPU these are few enough to stay
# in the cache; on a GPU they are many, for every pass over them is a kernel of its own, and the two tables in float32
# take 0.2 GB for a vocabulary of 49k.
_TILES = {"cpu": (128, 16), "cuda": (512, 512)}


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
    # Inside the function gradients look wanted even where none are recorded.
    recorded = torch.is_grad_enabled()
    logprobs, entropy = function(hidden, weight, bias, ids, temperature.float(), blocked, compute_dtype, recorded)
    return logprobs, entropy


def _blocked(kept: Sequence[tuple[int, ...] | None], vocabulary: int, device: torch.device) -> Tensor:
    blocked = torch.zeros(len(kept), vocabulary, dtype=torch.bool, device=device)
    for index, allowed in enumerate(kept):
        if allowed is not None:
            blocked[index] = True
            blocked[index, list(allowed)] = False
    return blocked


class _SelectedLogprobs(torch.autograd.Function):
    """d logp(y) / d logits = (onehot(y) - p) / temperature, so the forward's probabilities are all the backward needs.

    The one-hot part is added to the products afterwards, which spares a pass over (S, V).
    """

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
        recorded: bool,
    ) -> tuple[Tensor, Tensor]:
        h, w = hidden.to(compute_dtype), weight.to(compute_dtype)
        logprobs = torch.empty(len(ids), device=hidden.device)
        entropy = torch.empty(len(ids), device=hidden.device)
        keep = recorded and any(ctx.needs_input_grad[:3])
        probabilities = torch.empty(len(ids) if keep else 0, len(w), dtype=compute_dtype, device=hidden.device)
        # Written over chunk after chunk: memory fresh from the system costs more than the arithmetic.
        chunk_rows, rows = _TILES.get(hidden.device.type, _TILES["cuda"])
        tables = torch.empty(2, min(rows, len(ids)), len(w), device=hidden.device)
        for start in range(0, len(ids), chunk_rows):
            chunk = product(h[start : start + chunk_rows], w)
            for offset in range(0, len(chunk), rows):
                part = slice(start + offset, min(start + offset + rows, start + len(chunk)))
                logits, p = tables[:, : part.stop - part.start]
                logits.copy_(chunk[offset : offset + rows])
                if bias is not None:
                    logits += bias.float()
                logits /= temperature[part, None]
                if blocked is not None:
                    logits.masked_fill_(blocked[part], float("-inf"))
                logits -= logits.amax(1, keepdim=True)
                torch.exp(logits, out=p)
                total = p.sum(1)
                logprobs[part] = logits.gather(1, ids[part, None])[:, 0] - total.log()
                p /= total[:, None]
                if blocked is not None:  # 0 * -inf
                    logits.masked_fill_(blocked[part], 0.0)
                entropy[part] = total.log() - logits.mul_(p).sum(1)
                if keep:
                    probabilities[part] = p
        ctx.save_for_backward(h, w, ids, temperature, probabilities)
        ctx.has_bias = bias is not None
        ctx.dtypes = hidden.dtype, weight.dtype
        ctx.mark_non_differentiable(entropy)
        return logprobs, entropy

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> Any:
        h, w, ids, temperature, p = ctx.saved_tensors
        need_hidden, need_weight, need_bias = ctx.needs_input_grad[:3]
        scale = (grad.float() / temperature)[:, None]
        hidden_dtype, weight_dtype = ctx.dtypes
        grad_hidden = grad_weight = grad_bias = None
        if need_hidden:
            grad_hidden = ((w[ids].float() - product(p, w.T).float()) * scale).to(hidden_dtype)
        if need_weight:
            scaled = h.float() * scale
            grad_weight = transposed_product(p, -scaled.to(p.dtype)).to(weight_dtype)
            grad_weight.index_add_(0, ids, scaled.to(weight_dtype))
        if need_bias and ctx.has_bias:
            grad_bias = -(p.float() * scale).sum(0)
            grad_bias.index_add_(0, ids, scale[:, 0])
        return grad_hidden, grad_weight, grad_bias, *[None] * 5
