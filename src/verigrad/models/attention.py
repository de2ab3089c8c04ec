"""Attention over packed rows: completions attend to their prompt and to themselves, never to a sibling.

A dense mask over a packed row computes mostly what it then masks: eight completions of 96 tokens behind a prompt of
80 have five times the pairs they need. Here the prompt is one causal block; the completions, padded to one length,
are a batch that attends to the prompt's keys (one large product for the whole group) and to its own.

It plugs into transformers' attention interface, so every family that uses the interface has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from verigrad.errors import ConfigError

__all__ = ["Layout", "Stretch", "use_packed_attention"]

_NAME = "verigrad_packed"
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

    Attributes:
        gather: (G * C,) position of each padded place; padding repeats the first position.
        scatter: (sum of lengths,) padded place of each position.
        blocked: (C, C) True where a query may not see a key of its own completion.
    """

    size: int
    width: int
    gather: Tensor
    scatter: Tensor
    blocked: Tensor


class Layout:
    """How a packed row of stretches is to be attended to; made once per pack, used by every layer.

    Args:
        stretches: in the order of the row, without gaps.
        device: of the row.
    """

    def __init__(self, stretches: Sequence[Stretch], device: torch.device) -> None:
        self._stretches = tuple(stretches)
        self._groups = [_group(stretch.lengths, device) if len(stretch.lengths) > 1 else None for stretch in stretches]

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
        """(H, L, D) queries, (K, L, D) keys and values of K <= H heads -> (H, L, D)."""
        lengths = [stretch.length for stretch in self._stretches]
        parts = zip(
            self._stretches, self._groups, *(x.split(lengths, dim=1) for x in (queries, keys, values)), strict=True
        )
        mixed = []
        for stretch, group, q, k, v in parts:
            if group is None:
                mixed.append(_causal(q, k, v, scale))
            else:
                mixed.append(_with_prompt(stretch.prompt_length, group, q, k, v, scale))
        return torch.cat(mixed, dim=1)


def _group(lengths: tuple[int, ...], device: torch.device) -> _Group:
    width = -(-max(lengths) // _WIDTH_MULTIPLE) * _WIDTH_MULTIPLE
    gather = torch.zeros(len(lengths), width, dtype=torch.long)
    scatter, start = [], 0
    for index, length in enumerate(lengths):
        gather[index, :length] = torch.arange(start, start + length)
        scatter.append(torch.arange(length) + index * width)
        start += length
    blocked = torch.ones(width, width, dtype=torch.bool).triu(1)
    return _Group(len(lengths), width, gather.flatten().to(device), torch.cat(scatter).to(device), blocked.to(device))


def _causal(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    """One sequence by itself; key/value heads are read in place by their group of query heads."""
    heads, length, width = q.shape
    grouped = q.view(len(k), -1, length, width)
    k, v = (x[:, None].expand(-1, grouped.shape[1], -1, -1) for x in (k, v))
    return F.scaled_dot_product_attention(grouped, k, v, is_causal=True, scale=scale).reshape(heads, length, width)


def _with_prompt(prompt: int, group: _Group, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    """A prompt and its completions: (H, L, D), (K, L, D) twice -> (H, L, D)."""
    heads, _, width = q.shape
    kv_heads = len(k)
    own_q = q[:, prompt:].index_select(1, group.gather).view(kv_heads, -1, group.size, group.width, width)
    # (K, G, H / K * C, D): one matrix per key/value head against the prompt, one per completion against itself.
    own_q = own_q.transpose(1, 2).reshape(kv_heads, group.size, -1, width)
    own_k, own_v = (
        x[:, prompt:].index_select(1, group.gather).view(kv_heads * group.size, group.width, width) for x in (k, v)
    )
    rows = own_q.shape[2]
    to_prompt = torch.bmm(own_q.view(kv_heads, -1, width), k[:, :prompt].transpose(1, 2))
    to_own = torch.bmm(own_q.view(-1, rows, width), own_k.transpose(1, 2))
    to_own = to_own.view(kv_heads, group.size, -1, group.width, group.width).masked_fill(group.blocked, float("-inf"))
    scores = torch.cat(
        [to_prompt.view(kv_heads, group.size, rows, prompt), to_own.view(kv_heads, group.size, rows, group.width)], -1
    )
    weights = (scores * scale).softmax(-1).to(v.dtype)
    from_prompt = torch.bmm(weights[..., :prompt].reshape(kv_heads, -1, prompt), v[:, :prompt])
    from_own = torch.bmm(weights[..., prompt:].reshape(-1, rows, group.width), own_v)
    mixed = from_prompt.view(kv_heads, group.size, -1, group.width, width) + from_own.view(
        kv_heads, group.size, -1, group.width, width
    )
    mixed = mixed.transpose(1, 2).reshape(heads, group.size * group.width, width).index_select(1, group.scatter)
    return torch.cat([_causal(q[:, :prompt], k[:, :prompt], v[:, :prompt], scale), mixed], dim=1)


def use_packed_attention(model: Any) -> None:
    """Let a Hugging Face model attend by the `pack_layout` it is called with; without one it attends as before.

    Raises:
        ConfigError: the model's family does not use transformers' attention interface.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS

    if model.config._attn_implementation == _NAME:
        return
    AttentionInterface.register(_NAME, _attention)
    AttentionMaskInterface.register(_NAME, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
    try:
        model.set_attn_implementation(_NAME)
    except (ValueError, AttributeError, KeyError) as error:
        raise ConfigError(
            f"models of type {model.config.model_type!r} cannot be trained on packed rows: {error}; "
            "supported are those that use transformers' attention interface, such as llama, qwen2, qwen3, gpt_neox"
        ) from error


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
    """transformers' attention interface: (1, H, L, D), (1, K, L, D) twice -> (1, L, H, D)."""
    if pack_layout is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        plain: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return plain
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    mixed = pack_layout.attend(query[0], key[0], value[0], scale)
    return mixed.transpose(0, 1)[None], None
