"""Fused weights of one policy: filled from Hugging Face tensors, replaced as a whole.

On a CPU with oneDNN the matrices are kept in its blocked layout. On AVX-512 machines that is two to three times
faster in float32 than `F.linear` at the batch sizes of decoding, and a row's result then does not depend on how
many rows are computed beside it, which is what makes a completion independent of the rest of the batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from verigrad.engines.layout import Source, placements
from verigrad.errors import EngineError
from verigrad.models.causal import native_bfloat16
from verigrad.registry import did_you_mean

__all__ = ["Linear", "Weights"]

_BLOCK_ROWS = 32  # batch size the blocked layout is chosen for; other sizes run on it as well


def _can_pack(dtype: torch.dtype, device: torch.device) -> bool:
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if not hasattr(torch.ops.mkldnn, "_reorder_linear_weight"):
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and native_bfloat16(device))


@dataclass(frozen=True)
class Linear:
    """`x @ weight.T + bias`; the weight plain, or in oneDNN's blocked layout."""

    weight: Tensor
    bias: Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        """(T, in) -> (T, out)"""
        if not self.weight.is_mkldnn:
            return F.linear(x, self.weight, self.bias)
        # One row alone takes another kernel, whose sums round differently: compute it twice instead.
        rows = x if len(x) > 1 else x.expand(2, -1).contiguous()
        out: Tensor = torch.ops.mkldnn._linear_pointwise(rows, self.weight, self.bias, "none", [], "")
        return out[: len(x)]


class Weights:
    """The tensors of one policy under our names, and how to fill them.

    Args:
        found: our tensors and their sources, from `layout`.
        ignore: names that `load` passes over.
        dtype: everything is converted to it.

    Attributes:
        packs: matrices are kept in oneDNN's blocked layout.
    """

    def __init__(
        self,
        found: Mapping[str, tuple[Source, ...]],
        *,
        ignore: frozenset[str],
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self._found = found
        self._ignore = ignore
        self._where = placements(found)
        self._dtype = dtype
        self._device = device
        self.packs = _can_pack(dtype, device)
        self._tensors: dict[str, Tensor] = {}
        self._shapes: dict[tuple[str, int], torch.Size] = {}

    def copy(self) -> Weights:
        """The same tensors, to be replaced on their own."""
        twin = Weights(self._found, ignore=self._ignore, dtype=self._dtype, device=self._device)
        twin._tensors, twin._shapes = dict(self._tensors), self._shapes
        return twin

    def load(self, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
        """Replace tensors by full ones under their Hugging Face names; all of them, or none where it fails.

        Raises:
            EngineError: a name is unknown, or a shape differs.
        """
        pieces: dict[str, dict[int, Tensor]] = {}
        fresh: dict[str, Tensor] = {}
        for name, tensor in named_tensors:
            if name in self._ignore or "rotary_emb" in name:
                continue
            if name not in self._where:
                raise EngineError(f"no tensor {name!r} in this model{did_you_mean(name, self._where)}")
            for target, index in self._where[name]:
                pieces.setdefault(target, {})[index] = self._convert(target, index, tensor)
                if len(pieces[target]) == len(self._found[target]):
                    fresh[target] = self._fuse(target, pieces.pop(target))
        for target, parts in pieces.items():
            fresh[target] = self._fuse(target, self._current_parts(target) | parts)
        self._tensors = self._tensors | fresh

    def _convert(self, target: str, index: int, tensor: Tensor) -> Tensor:
        source = self._found[target][index]
        expected = self._shapes.setdefault((target, index), tensor.shape)
        if tensor.shape != expected:
            raise EngineError(f"{source.name!r} has shape {tuple(tensor.shape)}, wanted {tuple(expected)}")
        # A copy even where nothing changes: the caller goes on training the tensor it gave.
        return source.rows(tensor.detach()).to(self._device, self._dtype, copy=True)

    def _fuse(self, target: str, parts: Mapping[int, Tensor]) -> Tensor:
        fused = torch.cat([parts[index] for index in range(len(parts))])
        if fused.dim() == 2 and target != "embed" and self.packs:
            packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(fused, _BLOCK_ROWS)
            return packed
        return fused

    def _current_parts(self, target: str) -> dict[int, Tensor]:
        if target not in self._tensors:
            missing = ", ".join(source.name for source in self._found[target])
            raise EngineError(f"first weights must be complete; wanted all of: {missing}")
        now = self._tensors[target]
        dense = now.to_dense() if now.is_mkldnn else now
        sizes = [self._shapes[target, index][0] for index in range(len(self._found[target]))]
        return dict(enumerate(dense.split(sizes)))

    def tensor(self, name: str) -> Tensor:
        return self._tensors[name]

    def maybe(self, name: str) -> Tensor | None:
        return self._tensors.get(name)

    def linear(self, name: str) -> Linear:
        return Linear(self.tensor(f"{name}.weight"), self.maybe(f"{name}.bias"))
