"""Root mean square norm of the residual stream, with its gradient written out.

Autograd keeps three tensors of the residual's size for each norm and makes a dozen passes over them; this keeps none
but its input, which is there anyway. Under mixed precision it hands on what the linear layers behind it would each
convert for themselves.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

__all__ = ["FastRMSNorm", "use_fast_norm"]

# All of them compute `weight * x / rms(x)`; others, such as Gemma's, add 1 to the weight.
_SAME = {"LlamaRMSNorm", "MistralRMSNorm", "Qwen2RMSNorm", "Qwen3RMSNorm"}


class FastRMSNorm(nn.Module):
    """Takes the place of transformers' class of the norms above: `weight` (H,) and `variance_epsilon`."""

    weight: Tensor
    variance_epsilon: float

    def forward(self, hidden_states: Tensor) -> Tensor:
        x, device = hidden_states, hidden_states.device.type
        # Norms of single heads, whose input is of low precision already, go on in float32.
        mixed = x.dtype == torch.float32 and torch.is_autocast_enabled(device)
        out_dtype = torch.get_autocast_dtype(device) if mixed else torch.promote_types(x.dtype, self.weight.dtype)
        function: Any = _RMSNorm.apply
        out: Tensor = function(x, self.weight, self.variance_epsilon, out_dtype)
        return out


class _RMSNorm(torch.autograd.Function):
    """y = w * n with n = x / rms(x); dL/dx = (w g - n mean(w g n)) / rms(x), Zhang and Sennrich 2019, section 4."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, eps: float, out_dtype: torch.dtype) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        inverse = wide.square().mean(-1, keepdim=True).add_(eps).rsqrt_()
        ctx.save_for_backward(x, w, inverse)
        normed = wide * inverse
        if x.dtype != wide.dtype:  # transformers rounds before it multiplies
            return (normed.to(x.dtype) * w).to(out_dtype)
        return normed.mul_(w).to(out_dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, w, inverse = ctx.saved_tensors
        need_x, need_w, *_ = ctx.needs_input_grad
        normed = x * inverse
        wide = grad.to(normed.dtype)
        product = wide * normed
        grad_w = product.flatten(0, -2).sum(0).to(w.dtype) if need_w else None
        if not need_x:
            return None, grad_w, None, None
        mean = (product @ w.to(product.dtype))[..., None] / x.shape[-1]
        grad_x = (wide * w).sub_(normed.mul_(mean)).mul_(inverse)
        return grad_x.to(x.dtype), grad_w, None, None


def use_fast_norm(model: nn.Module) -> None:
    """Let the root mean square norms of families known to be alike be a `FastRMSNorm`; weights and names stay."""
    for module in model.modules():
        if type(module).__name__ in _SAME:
            module.__class__ = FastRMSNorm
