"""Attention over packed rows: completions attend to their prompt and to themselves, never to a sibling.

A dense mask over a packed row computes mostly what it then masks: eight completions of 96 tokens behind a prompt of
80 have five times the pairs they need. Here the prompt is one block; the completions, padded to one length,
are a batch, each attending to the prompt's keys and to its own. Gradients are written out, which spares the copies
that autograd makes of slices, and the scores in float32 that it would keep.

It plugs into transformers' attention interface, so every family that uses the interface has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from verigrad.errors import ConfigError

__all__ = ["Layout", "Stretch", "not_packed", "slides", "use_packed_attention"]

_NAME = "verigrad_packed"
_SHORT = 512  # positions; the scores of a longer sequence are not kept
_SHORT_MASKED = 256  # the same of a batch of sequences, which keeps them for every row
_LONG = 768  # of prompt and completion; beyond it completions are taken one by one, which keeps no scores either
_WIDTH_MULTIPLE = 16  # fewer shapes, for the reason given in `packing`


@dataclass(frozen=True)
class Stretch:
    """One prompt and the completions behind it, in a packed row.

    Attributes:
        prompt_length: positions of the prompt.
        lengths: positions of each completion.
    """

    prompt_length: int
    lengths: tuple[int, ...]

    @property
    def length(self) -> int:
        return self.prompt_length + sum(self.lengths)


@dataclass(frozen=True)
class _Group:
    """Where the completions of one stretch lie, counted from its first completion position.

    `G` completions are padded to `C` places.

    Attributes:
        lengths: of the completions, padding apart.
        gather: (G * C,) position of each padded place; padding repeats the first position.
        scatter: (sum of lengths,) padded place of each position.
        padding: (G * C,) True where a place holds nothing.
        causal: see `Layout`.
        blocked: (G, 1, C) True where no query may see a key of its own completion, since that is padding; None where
            there is none, or what comes later is not seen anyway.
    """

    size: int
    width: int
    lengths: tuple[int, ...]
    gather: Tensor
    scatter: Tensor
    padding: Tensor
    causal: bool
    blocked: Tensor | None


class Layout:
    """How a packed row of stretches is to be attended to; made once per pack, used by every layer.

    Attributes:
        calls: how often it was attended by.

    Args:
        stretches: in the order of the row, without gaps.
        device: of the row.
        causal: a position sees those of its prompt and completion up to itself; else all of them, of a prompt's the
            prompt's alone.
    """

    def __init__(self, stretches: Sequence[Stretch], device: torch.device, *, causal: bool = True) -> None:
        self.calls = 0
        self._causal = causal
        self._stretches = tuple(stretches)
        self._groups = [
            _group(stretch.lengths, device, causal) if self._parted(stretch) else None for stretch in stretches
        ]

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
        """(H, L, D) queries, (K, L, D) keys and values of K <= H heads -> (H, L, D)."""
        self.calls += 1
        lengths = [length for stretch in self._stretches for length in self._pieces(stretch)]
        pieces = zip(*(x.split(lengths, dim=1) for x in (queries, keys, values)), strict=True)
        mixed = []
        for group in self._groups:
            q, k, v = next(pieces)
            mixed.append(_alone(q, k, v, scale, self._causal))
            if group is not None:
                mixed.append(_together(next(pieces), k, v, group, scale))
        return torch.cat(mixed, dim=1)

    def _pieces(self, stretch: Stretch) -> tuple[int, ...]:
        if self._parted(stretch):
            return stretch.prompt_length, sum(stretch.lengths)
        return (stretch.length,)

    def _parted(self, stretch: Stretch) -> bool:
        """Several completions lie behind their prompt; a single causal one goes on from it as one sequence."""
        return len(stretch.lengths) > int(self._causal)


def _group(lengths: tuple[int, ...], device: torch.device, causal: bool) -> _Group:
    width = -(-max(lengths) // _WIDTH_MULTIPLE) * _WIDTH_MULTIPLE if causal else max(lengths)
    gather = torch.zeros(len(lengths), width, dtype=torch.long)
    padding = torch.ones(len(lengths), width, dtype=torch.bool)
    scatter, start = [], 0
    for index, length in enumerate(lengths):
        gather[index, :length] = torch.arange(start, start + length)
        padding[index, :length] = False
        scatter.append(torch.arange(length) + index * width)
        start += length
    return _Group(
        size=len(lengths),
        width=width,
        lengths=lengths,
        gather=gather.flatten().to(device),
        scatter=torch.cat(scatter).to(device),
        padding=padding.flatten().to(device),
        causal=causal,
        blocked=None if causal else _padding_keys(padding, device),
    )


def _padding_keys(padding: Tensor, device: torch.device) -> Tensor | None:
    return padding[:, None].to(device) if bool(padding.any()) else None


def _alone(q: Tensor, k: Tensor, v: Tensor, scale: float, causal: bool) -> Tensor:
    """Attention of one sequence to itself: (H, L, D), (K, L, D) twice -> (H, L, D)."""
    heads, length, width = q.shape
    if not length:  # no prompt
        return q
    if causal and q.device.type == "cpu" and q.dtype == torch.bfloat16 and length <= _SHORT:
        function: Any = _ShortCausal.apply
        found: Tensor = function(q, k, v, scale)
        return found
    # Key/value heads are read in place by their group of query heads.
    grouped = q.view(len(k), -1, length, width)
    k, v = (x[:, None].expand(-1, grouped.shape[1], -1, -1) for x in (k, v))
    return F.scaled_dot_product_attention(grouped, k, v, is_causal=causal, scale=scale).reshape(heads, length, width)


def _together(own: tuple[Tensor, ...], prompt_k: Tensor, prompt_v: Tensor, group: _Group, scale: float) -> Tensor:
    """Completions (their queries (H, N, D), keys and values (K, N, D)) behind their prompt -> (H, N, D)."""
    if prompt_k.shape[1] + group.width <= _LONG:
        function: Any = _BehindPrompt.apply
        found: Tensor = function(own[0], prompt_k, prompt_v, *own[1:], group, scale)
        return found
    mixed = []
    for q, k, v in zip(*(x.split(group.lengths, dim=1) for x in own), strict=True):
        keys, values = torch.cat([prompt_k, k], dim=1), torch.cat([prompt_v, v], dim=1)
        seen = _seen(q.shape[1], keys.shape[1], q.device) if group.causal else None
        grouped = q.view(len(k), -1, *q.shape[1:])
        keys, values = (x[:, None].expand(-1, grouped.shape[1], -1, -1) for x in (keys, values))
        out = F.scaled_dot_product_attention(grouped, keys, values, attn_mask=seen, scale=scale)
        mixed.append(out.reshape(q.shape))
    return torch.cat(mixed, dim=1)


class _ShortCausal(torch.autograd.Function):
    """`_alone` by plain products, whose backward pass on the CPU is three times faster than PyTorch's in bfloat16."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        kv_heads, length, width = k.shape
        rows = q.reshape(kv_heads, -1, width)
        scores = _scaled_bmm(rows, k.transpose(1, 2), scale)
        _hide(scores, _not_yet(length, q.device)[None])
        out, weights = _mix(scores, v)
        ctx.save_for_backward(rows, k, v, weights, out)
        ctx.scale, ctx.shape = scale, q.shape
        return out.view(q.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        rows, k, v, weights, out = ctx.saved_tensors
        grad_rows, grad_k, grad_v = _mix_backward(grad.reshape(rows.shape), rows, k, v, weights, out, ctx.scale)
        return grad_rows.view(ctx.shape), grad_k, grad_v, None


class _ShortMasked(torch.autograd.Function):
    """A batch of (B, H, Q, D) queries and (B, K, M, D) keys and values under a mask (B, 1, Q, M), True where a query
    sees a key -> (B, H, Q, D); by plain products, which take less than half of PyTorch's time forward too."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, seen: Tensor, scale: float) -> Tensor:
        kv_heads, length, width = k.shape[1:]
        rows = q.reshape(len(k) * kv_heads, -1, width)
        keys, values = (x.reshape(-1, length, width) for x in (k, v))
        scores = _scaled_bmm(rows, keys.transpose(1, 2), scale)
        if not bool(seen.all()):
            by_query = scores.view(len(k), kv_heads, -1, q.shape[2], length)
            by_query.masked_fill_(~seen[:, :, None], torch.finfo(scores.dtype).min)  # a query may see nothing at all
        out, weights = _mix(scores, values)
        ctx.save_for_backward(rows, keys, values, weights, out)
        ctx.scale, ctx.shapes = scale, (q.shape, k.shape)
        return out.view(q.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        rows, keys, values, weights, out = ctx.saved_tensors
        of_queries, of_keys = ctx.shapes
        found = _mix_backward(grad.reshape(rows.shape), rows, keys, values, weights, out, ctx.scale)
        return *(x.view(shape) for x, shape in zip(found, (of_queries, of_keys, of_keys), strict=True)), None, None


class _BehindPrompt(torch.autograd.Function):
    """The completions of one stretch: their queries (H, N, D), the prompt's keys and values (K, P, D), their own
    (K, N, D) -> (H, N, D)."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, prompt_k: Tensor, prompt_v: Tensor, k: Tensor, v: Tensor, group: _Group, scale: float
    ) -> Tensor:
        kv_heads = len(k)
        rows = _to_rows(q, group, kv_heads)
        keys, values = (_behind(prompt, x, group) for prompt, x in ((prompt_k, k), (prompt_v, v)))
        scores = _scaled_bmm(rows, keys.transpose(1, 2), scale)
        blocked = _not_yet(group.width, q.device)[None] if group.causal else group.blocked
        if blocked is not None:
            _hide(scores, blocked)
        out, weights = _mix(scores, values)
        ctx.save_for_backward(rows, keys, values, weights, out)
        ctx.group, ctx.scale, ctx.kv_heads, ctx.prompt = group, scale, kv_heads, prompt_k.shape[1]
        return _from_rows(out, group, kv_heads)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        rows, keys, values, weights, out = ctx.saved_tensors
        group, kv_heads, prompt = ctx.group, ctx.kv_heads, ctx.prompt
        grad_out = _to_rows(grad, group, kv_heads, padding=0.0)
        grad_rows, *grads = _mix_backward(grad_out, rows, keys, values, weights, out, ctx.scale)
        of_prompt, of_own = [], []
        for grad_keys in grads:
            split = grad_keys.view(kv_heads, group.size, -1, grad_keys.shape[-1])
            of_prompt.append(split[:, :, :prompt].sum(1))
            own = split[:, :, prompt:].reshape(kv_heads, group.size * group.width, -1)
            of_own.append(own.index_select(1, group.scatter))
        return _from_rows(grad_rows, group, kv_heads), *of_prompt, *of_own, None, None


def _to_rows(x: Tensor, group: _Group, kv_heads: int, padding: float | None = None) -> Tensor:
    """(H, N, D) -> (K * G, H / K * C, D): the queries that read the same keys together."""
    padded = x.index_select(1, group.gather)
    if padding is not None:
        padded.masked_fill_(group.padding[:, None], padding)
    width = x.shape[-1]
    return (
        padded.view(kv_heads, -1, group.size, group.width, width)
        .transpose(1, 2)
        .reshape(kv_heads * group.size, -1, width)
    )


def _from_rows(rows: Tensor, group: _Group, kv_heads: int) -> Tensor:
    """The inverse of `_to_rows`."""
    width = rows.shape[-1]
    split = rows.view(kv_heads, group.size, -1, group.width, width).transpose(1, 2)
    return split.reshape(-1, group.size * group.width, width).index_select(1, group.scatter)


def _behind(prompt: Tensor, own: Tensor, group: _Group) -> Tensor:
    """(K, P, D), (K, N, D) -> (K * G, P + C, D): the prompt's and its own, for every completion."""
    kv_heads, length, width = prompt.shape
    found = own.new_empty(kv_heads, group.size, length + group.width, width)
    found[:, :, :length] = prompt[:, None]
    found[:, :, length:] = own.index_select(1, group.gather).view(kv_heads, group.size, group.width, width)
    return found.view(kv_heads * group.size, -1, width)


def _hide(scores: Tensor, blocked: Tensor) -> None:
    """Of (B, R * C, P + C) scores take those out, in place, that `blocked` hides among the last C keys.

    Args:
        blocked: (1, C, C), or (G, 1, C) for each of the G completions that B goes through.
    """
    groups, _, width = blocked.shape
    total = scores.shape[2]
    own = scores.view(-1, groups, scores.shape[1] // width, width, total)[..., total - width :]
    own.masked_fill_(blocked[:, None], float("-inf"))


def _mix(scores: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """What (B, N, M) scores make of (B, M, D) values: (B, N, D), and the weights (B, N, M)."""
    weights = torch.softmax(scores, -1, dtype=torch.promote_types(scores.dtype, torch.float32)).to(values.dtype)
    return torch.bmm(weights, values), weights


def _mix_backward(
    grad: Tensor, rows: Tensor, keys: Tensor, values: Tensor, weights: Tensor, out: Tensor, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of rows, keys and values; FlashAttention, Dao et al. 2022, appendix B.4."""
    grad_values = torch.bmm(weights.transpose(1, 2), grad)
    grad_scores = torch.bmm(grad, values.transpose(1, 2))
    grad_scores.sub_((grad * out).sum(-1, keepdim=True)).mul_(weights)
    grad_rows = _scaled_bmm(grad_scores, keys, scale)
    return grad_rows, _scaled_bmm(grad_scores.transpose(1, 2), rows, scale), grad_values


def _scaled_bmm(x: Tensor, y: Tensor, scale: float) -> Tensor:
    nothing = x.new_zeros(()).expand(len(x), x.shape[1], y.shape[2])
    return torch.baddbmm(nothing, x, y, beta=0, alpha=scale)


@lru_cache(64)
def _not_yet(length: int, device: torch.device) -> Tensor:
    """(L, L) True where a key comes after its query; kept, so for `_LONG` positions at most."""
    return ~_seen(length, length, device)


def _seen(queries: int, keys: int, device: torch.device) -> Tensor:
    """(Q, L) True where a key comes no later than its query; the queries are the last positions."""
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril_(keys - queries)


def slides(config: Any) -> bool:
    """Whether a Hugging Face model's tokens see no further back than a window, in all layers or in some."""
    if getattr(config, "layer_types", None) is not None:
        return "sliding_attention" in config.layer_types
    return getattr(config, "sliding_window", None) is not None and bool(getattr(config, "use_sliding_window", True))


def use_packed_attention(model: Any) -> None:
    """Let a Hugging Face model attend by the `pack_layout` it is called with; without one it attends as before.

    Raises:
        ConfigError: the model's family does not use transformers' attention interface, or it attends in a sliding
            window, which layouts know nothing of.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

    if model.config._attn_implementation == _NAME:
        return
    if slides(model.config):
        raise ConfigError(
            f"{model.config.model_type} with a sliding window of {model.config.sliding_window} cannot be trained on "
            "packed rows; only full attention is supported"
        )
    AttentionInterface.register(_NAME, _attention)
    AttentionMaskInterface.register(_NAME, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
    try:
        model.set_attn_implementation(_NAME)
    except (ValueError, AttributeError, KeyError) as error:
        raise not_packed(model, str(error)) from error
    if model.config._attn_implementation != _NAME:  # transformers says so in a warning alone
        raise not_packed(model, f"its attention stays {model.config._attn_implementation!r}")


def not_packed(model: Any, reason: str) -> ConfigError:
    """The error for a model that attends without regard to layouts."""
    return ConfigError(
        f"models of type {model.config.model_type!r} cannot be trained on packed rows: {reason}; "
        "supported are those that use transformers' attention interface, such as llama, qwen2, qwen3, gpt_neox"
    )


def _attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    pack_layout: Layout | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """transformers' attention interface: (B, H, L, D), (B, K, L, D) twice -> (B, L, H, D); B is 1 with a layout."""
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    if pack_layout is None and not _are_short(query, value, attention_mask, dropout):
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        plain: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return plain
    # Some families leave queries and keys in float32 under mixed precision.
    query, key = query.to(value.dtype), key.to(value.dtype)
    if pack_layout is None:
        function: Any = _ShortMasked.apply
        return function(query, key, value, attention_mask, scale).transpose(1, 2), None
    return pack_layout.attend(query[0], key[0], value[0], scale).transpose(0, 1)[None], None


def _are_short(query: Tensor, value: Tensor, mask: Tensor | None, dropout: float) -> bool:
    """Whether these rows are for `_ShortMasked`: in bfloat16 on the CPU, where it is the faster one, under a whole
    mask, and their scores worth keeping, where they are kept."""
    if query.device.type != "cpu" or value.dtype != torch.bfloat16 or dropout or mask is None or mask.dim() != 4:
        return False
    longest = _SHORT_MASKED if torch.is_grad_enabled() else _LONG
    return mask.dtype == torch.bool and mask.shape[1] == 1 and mask.shape[3] == value.shape[2] <= longest
