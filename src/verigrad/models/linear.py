"""Matrix products at the machine's speed.

PyTorch gives float32 products on the CPU to MKL, which on AMD processors with AVX-512 uses half the vector width;
oneDNN, which is compiled into the same wheel, reaches twice its speed there and the same on Intel's. Without AVX-512
MKL is the faster one, by more than half where a weight's gradient is concerned, except for few rows through a layer as
wide as a vocabulary. For bfloat16 PyTorch takes oneDNN by itself. `benchmarks/products.py` measures them all.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["FastLinear", "product", "transposed_product", "use_fast_linear"]


def product(x: Tensor, w: Tensor) -> Tensor:
    """`x @ w.T` for (N, K) and (M, K), without gradient; any strides."""
    if not _onednn(x, w):
        return x @ w.T
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, w, None, "none", [], "")
    return found


def transposed_product(x: Tensor, y: Tensor) -> Tensor:
    """`x.T @ y` for (N, K) and (N, M), without gradient: the gradient of a weight."""
    if not _WIDE_VECTORS or not _onednn(x, y):
        return x.T @ y
    # oneDNN reads its second operand where it lies but has the first copied if transposed: let that be the smaller.
    if x.numel() <= y.numel():
        return product(x.T, y.T)
    return product(y.T, x.T).T.contiguous()


def _onednn(x: Tensor, w: Tensor) -> bool:
    if x.dtype != torch.float32 or x.device.type != "cpu" or not _AVAILABLE:
        return False
    return _WIDE_VECTORS or (w.shape[0] >= _VOCABULARY and w.is_contiguous())


_AVAILABLE = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
_WIDE_VECTORS = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
_VOCABULARY = 16384


class FastLinear(nn.Linear):
    """A linear layer whose three products go through `product`."""

    def forward(self, input: Tensor) -> Tensor:
        if not _onednn(input, self.weight) or torch.is_autocast_enabled("cpu"):
            return F.linear(input, self.weight, self.bias)
        function: Any = _Linear.apply
        out: Tensor = function(input.reshape(-1, self.in_features), self.weight)
        out = out.view(*input.shape[:-1], self.out_features)
        return out if self.bias is None else out + self.bias


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
        ctx.save_for_backward(x, w)
        return product(x, w)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, w = ctx.saved_tensors
        need_x, need_w = ctx.needs_input_grad
        return product(grad, w.T) if need_x else None, transposed_product(grad, x) if need_w else None


def use_fast_linear(model: nn.Module) -> None:
    """Let every plain linear layer of a model be a `FastLinear`; weights and names stay as they are."""
    if not _AVAILABLE:
        return
    for module in model.modules():
        if type(module) is nn.Linear:
            module.__class__ = FastLinear
