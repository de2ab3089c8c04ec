"""Keys and values of finished blocks, so that a block-diffusion model runs only the block it is filling.

A finished block never sees what comes after it, so what it leaves here is what a pass over the whole row would
compute: the cache is exact, unlike those that full-attention models use (Arriola et al. 2025, arXiv:2503.09573,
section 3.2).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

__all__ = ["BlockCache"]


class BlockCache:
    """What transformers' attention layers call a cache, with room for rows of one width.

    Keys and values are written behind the first `length` columns and stay only when `length` grows over them.

    Args:
        capacity: columns of a row.
    """

    def __init__(self, capacity: int) -> None:
        self.length = 0
        self._capacity = capacity
        self._layers: dict[int, tuple[Tensor, Tensor]] = {}

    def update(self, keys: Tensor, values: Tensor, layer_idx: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """(B, H, Q, D) twice -> (B, H, length + Q, D) twice: all that the queries may see."""
        if layer_idx not in self._layers:
            room = (*keys.shape[:2], self._capacity)
            self._layers[layer_idx] = keys.new_zeros(*room, keys.shape[3]), values.new_zeros(*room, values.shape[3])
        stop = self.length + keys.shape[2]
        stored_keys, stored_values = self._layers[layer_idx]
        stored_keys[:, :, self.length : stop] = keys
        stored_values[:, :, self.length : stop] = values
        return stored_keys[:, :, :stop], stored_values[:, :, :stop]

    def rows(self, rows: Tensor) -> BlockCache:
        """A copy with these rows (R,) alone, of what is kept; the cache itself is left as it is."""
        found = BlockCache(self._capacity)
        found.length = self.length
        for layer, (keys, values) in self._layers.items():
            found._layers[layer] = keys[rows], values[rows]
        return found

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self.length
