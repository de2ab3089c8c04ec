"""Products by way of oneDNN against plain ones in float64, and the layer that uses them against `nn.Linear`."""

import pytest
import torch
from torch import nn

from verigrad.models import linear
from verigrad.models.linear import FastLinear, product, transposed_product, use_fast_linear


@pytest.fixture(autouse=True, params=["narrow", "wide", "narrow and a vocabulary"])
def vectors(request, monkeypatch):
    """Every way that some processor takes, whatever this one is."""
    monkeypatch.setattr(linear, "_WIDE_VECTORS", request.param == "wide")
    if request.param == "narrow and a vocabulary":
        monkeypatch.setattr(linear, "_VOCABULARY", 32)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("rows", [1, 7, 64])
@pytest.mark.parametrize("transposed", [False, True])
def test_product(rows, transposed):
    x, w = draw(rows, 48), draw(32, 48, seed=1)
    if transposed:  # the same values, the other way round in memory
        x, w = x.T.contiguous().T, w.T.contiguous().T
    expected = (x.double() @ w.double().T).float()
    torch.testing.assert_close(product(x, w), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("widths", [(48, 32), (32, 48)])
def test_transposed_product(widths):
    x, y = draw(64, widths[0]), draw(64, widths[1], seed=1)
    found = transposed_product(x, y)
    torch.testing.assert_close(found, (x.double().T @ y.double()).float(), rtol=1e-5, atol=1e-5)
    assert found.is_contiguous()  # a gradient of another layout than its weight's is copied once more


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types_are_left_to_torch(dtype):
    x, w = draw(5, 8).to(dtype), draw(3, 8, seed=1).to(dtype)
    assert torch.equal(product(x, w), x @ w.T)
    assert torch.equal(transposed_product(x, x), x.T @ x)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("mixed", [False, True])
def test_layer_is_a_linear_layer(bias, frozen, mixed):
    plain = nn.Linear(24, 40, bias=bias)
    plain.weight.requires_grad_(not frozen)
    holder = nn.ModuleDict({"layer": nn.Linear(24, 40, bias=bias)})
    holder["layer"].load_state_dict(plain.state_dict())
    holder["layer"].weight.requires_grad_(not frozen)
    use_fast_linear(holder)
    fast = holder["layer"]
    assert type(fast) is FastLinear and isinstance(fast, nn.Linear)
    upstream = draw(2, 9, 40, seed=2)

    def run(layer):
        x = draw(2, 9, 24, seed=1).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            out = layer(x)
        (out * upstream).sum().backward()
        return [out, x.grad, layer.weight.grad, layer.bias.grad if bias else None]

    for got, expected in zip(run(fast), run(plain), strict=True):
        assert (got is None) == (expected is None)
        if got is not None:
            assert got.dtype == expected.dtype
            torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_other_layers_keep_their_class():
    class Special(nn.Linear):
        pass

    holder = nn.Sequential(Special(2, 2), nn.LayerNorm(2))
    use_fast_linear(holder)
    assert [type(module) for module in holder] == [Special, nn.LayerNorm]
