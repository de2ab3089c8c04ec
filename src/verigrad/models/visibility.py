"""Who sees whom: the one builder of attention masks for training, scoring and sampling masked-diffusion models.

Training and scoring of `prefix` attention alone have no mask: canvases are packed behind their prompt by the layout of
`attention`, which leaves out the pairs that this function hides.

A place is one input of a forward pass. It stands at a position of its row, and is `noisy` or not: where a row is run
twice, masked and as it is, and where what is written never changes how the prompt is read. Visibility goes by
positions, never by columns, so padding on either side and other rows of the batch change nothing.

    causal   a place sees what does not come after it
    full     a place sees every place of its row
    block    positions fall into blocks of one length. A clean place sees its own block and those before; a noisy one
             sees the noisy places of its own block and the clean ones of the blocks before (Arriola et al. 2025, "Block
             diffusion", arXiv:2503.09573, section 3.1 and figure 3)
    prefix   a clean place, of the prompt, sees the clean ones; a noisy one, of the canvas, every place of its row. The
             prompt is read once for all that is written behind it (prefix LM: Raffel et al. 2020, T5, arXiv:1910.10683,
             section 3.2.1)

Annealing from causal to full adds random `edges` to the causal ones (Gong et al. 2025, DiffuLLaMA, arXiv:2410.17891,
section 3.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

__all__ = ["AttentionKind", "Places", "annealing_edges", "visible"]

AttentionKind = Literal["causal", "full", "block", "prefix"]


@dataclass(frozen=True)
class Places:
    """Inputs of a batch of forward passes.

    Attributes:
        positions: (B, L) of each place in its row.
        real: (B, L) bool, False for padding.
        noisy: (B, L) bool, True for the masked copy of a row that is run twice (block), and for the canvas (prefix).
    """

    positions: Tensor
    real: Tensor
    noisy: Tensor

    @staticmethod
    def of(real: Tensor) -> Places:
        """Places of rows run once: (B, L) `real`, whose positions count the real ones from 0."""
        return Places((real.long().cumsum(1) - 1).clamp(min=0), real, torch.zeros_like(real))

    def columns(self, start: int, stop: int) -> Places:
        return Places(self.positions[:, start:stop], self.real[:, start:stop], self.noisy[:, start:stop])

    def rows(self, rows: Tensor) -> Places:
        """Those of the rows with these numbers (R,)."""
        return Places(self.positions[rows], self.real[rows], self.noisy[rows])


def visible(
    queries: Places, keys: Places, attention: AttentionKind, *, block_length: int = 0, edges: Tensor | None = None
) -> Tensor:
    """(B, Q, K) bool, True where a query sees a key.

    Padding sees everything, so that no softmax is empty, and is seen by nothing but padding.

    Args:
        block_length: positions of a block, for `block`.
        edges: (P, P) bool by position, pairs that are seen beside the causal ones; for `causal`.
    """
    query, key = queries.positions[:, :, None], keys.positions[:, None, :]
    if attention == "full":
        seen = torch.ones_like(query == key)
    elif attention == "causal":
        seen = key <= query
        if edges is not None:
            seen = seen | edges[query, key]
    elif attention == "prefix":
        seen = queries.noisy[:, :, None] | ~keys.noisy[:, None, :]
    else:
        query, key = query // block_length, key // block_length
        query_noisy, key_noisy = queries.noisy[:, :, None], keys.noisy[:, None, :]
        of_clean = torch.where(query_noisy, key < query, key <= query)
        seen = torch.where(key_noisy, query_noisy & (key == query), of_clean)
    return (seen & keys.real[:, None, :]) | ~queries.real[:, :, None]


def annealing_edges(length: int, ratio: float, generator: torch.Generator) -> Tensor:
    """(length, length) bool, True with probability `ratio`: what an annealed step sees beside the causal pairs.

    One draw serves all rows of a step. `length` is that of the longest row there can be, so that what is drawn does not
    depend on the rows.
    """
    return torch.rand(length, length, generator=generator) < ratio
