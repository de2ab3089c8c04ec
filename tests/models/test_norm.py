"""The norm with its gradient written out against transformers' own, whose gradient autograd makes."""

import pytest
import torch
from torch import nn
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm

from verigrad.models.norm import FastRMSNorm, use_fast_norm


def draw(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def both(kind=LlamaRMSNorm, width=32):
    slow, fast = kind(width, eps=1e-3), kind(width, eps=1e-3)
    with torch.no_grad():
        slow.weight.copy_(draw(width, seed=0))
        fast.weight.copy_(slow.weight)
    use_fast_norm(nn.ModuleList([fast]))
    assert type(fast) is FastRMSNorm
    return slow, fast


def run(norm, x, upstream):
    x = x.clone().requires_grad_()
    norm.zero_grad()
    out = norm(x)
    (out.float() * upstream).sum().backward()
    return out.detach(), x.grad, norm.weight.grad


@pytest.mark.parametrize("kind", [LlamaRMSNorm, Qwen3RMSNorm])
@pytest.mark.parametrize("shape", [(2, 5, 32), (1, 4, 3, 32)])
def test_values_and_gradients(kind, shape):
    slow, fast = both(kind)
    x, upstream = draw(*shape, seed=1), draw(*shape, seed=2)
    for got, expected in zip(run(fast, x, upstream), run(slow, x, upstream), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_gradient_by_finite_differences():
    _, fast = both(width=6)
    fast = fast.double()
    x = draw(3, 6, seed=1).double().requires_grad_()
    # Two derivatives at once: of x, and of the weight, which `functional_call` makes an argument.
    assert torch.autograd.gradcheck(
        lambda x, w: torch.func.functional_call(fast, {"weight": w}, (x,)), (x, fast.weight.detach().requires_grad_())
    )


def test_low_precision_input_is_as_in_transformers():
    slow, fast = both()
    x, upstream = draw(2, 5, 32, seed=1).bfloat16(), draw(2, 5, 32, seed=2)
    got, expected = fast(x), slow(x)
    assert got.dtype == expected.dtype == torch.float32
    assert torch.equal(got, expected)
    for ours, theirs in zip(run(fast, x, upstream), run(slow, x, upstream), strict=True):
        torch.testing.assert_close(ours.float(), theirs.float(), rtol=2e-2, atol=2e-2)


def test_mixed_precision_hands_on_what_a_linear_layer_would_convert():
    slow, fast = both()
    x = draw(2, 5, 32, seed=1)
    with torch.autocast("cpu", torch.bfloat16):
        got, expected = fast(x), slow(x)
    assert got.dtype == torch.bfloat16 and expected.dtype == torch.float32
    assert torch.equal(got, expected.bfloat16())
