"""Keys and values of the running batch: one slot a sequence, slots in use kept at the front.

Per layer one tensor (2, slots, kv_heads, length, head_dim), keys then values. Attention of a decode step reads
`[:, :batch]`, which stays one contiguous stretch per kind, so it is two batched matrix products without a copy.
The length grows with the longest sequence, in steps, and shrinks again when the long ones are gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["KVCache", "StepPlan"]

_LENGTH_STEP = 32
_SLOT_STEP = 8


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step


@dataclass(frozen=True)
class StepPlan:
    """What all layers of one decode step share.

    Attributes:
        rows: (B * kv_heads,) rows of the flattened cache that this step's keys and values go to.
        mask: (B * kv_heads, 1, length), 0 where a slot may attend and -inf elsewhere.
    """

    rows: Tensor
    mask: Tensor


class KVCache:
    """Slot storage; `layers[i]` is (2, slots, kv_heads, length, head_dim)."""

    def __init__(
        self, num_layers: int, num_kv_heads: int, head_dim: int, *, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.num_slots = 0
        self.length = 0
        self.layers = [torch.zeros(2, 0, num_kv_heads, 0, head_dim, dtype=dtype, device=device)] * num_layers

    def reserve(self, num_slots: int, length: int, *, keep: int) -> None:
        """Make room for `num_slots` sequences of `length`; what the first `keep` slots hold stays."""
        num_slots = max(self.num_slots, _round_up(num_slots, _SLOT_STEP))
        length = _round_up(length, _LENGTH_STEP)
        if num_slots == self.num_slots and length <= self.length < 2 * length + _LENGTH_STEP:
            return
        common = min(self.length, length)
        for index, old in enumerate(self.layers):
            # Zeros, not empty: a masked position still enters a product, and 0 * nan is nan.
            new = old.new_zeros(2, num_slots, old.shape[2], length, old.shape[4])
            new[:, :keep, :, :common] = old[:, :keep, :, :common]
            self.layers[index] = new
        self.num_slots, self.length = num_slots, length

    def copy(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` positions of a slot to another."""
        for layer in self.layers:
            layer[:, target, :, :length] = layer[:, source, :, :length]

    def plan(self, positions: Sequence[int]) -> StepPlan:
        """Prepare a step in which slot b writes at `positions[b]` and attends to all up to it."""
        layer = self.layers[0]
        kv_heads = layer.shape[2]
        at = torch.tensor(positions, device=layer.device)  # (B,)
        hidden = torch.arange(self.length, device=layer.device) > at[:, None]  # (B, length)
        mask = torch.zeros(hidden.shape, dtype=layer.dtype, device=layer.device).masked_fill_(hidden, -torch.inf)
        heads = torch.arange(len(positions) * kv_heads, device=layer.device)
        return StepPlan(
            rows=heads * self.length + at.repeat_interleave(kv_heads),
            mask=mask.repeat_interleave(kv_heads, dim=0)[:, None],
        )

    def write(self, layer: int, plan: StepPlan, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store one position per slot; both (B, kv_heads, head_dim).

        Returns:
            The keys and values of those slots, each (B * kv_heads, length, head_dim).
        """
        batch, kv_heads, head_dim = keys.shape
        stored = self.layers[layer]
        for kind, new in enumerate((keys, values)):
            stored[kind].view(-1, head_dim).index_copy_(0, plan.rows, new.reshape(-1, head_dim))
        both = stored[:, :batch].view(2, batch * kv_heads, self.length, head_dim)
        return both[0], both[1]

    def write_prompt(self, layer: int, slot: int, keys: Tensor, values: Tensor) -> None:
        """Store a slot's first positions; both (length, kv_heads, head_dim)."""
        stored = self.layers[layer]
        stored[0, slot, :, : len(keys)] = keys.transpose(0, 1)
        stored[1, slot, :, : len(values)] = values.transpose(0, 1)
