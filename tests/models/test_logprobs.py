"""The fused log-probability against log_softmax over all logits."""

import pytest
import torch
from devices import DEVICES

from verigrad.models import logprobs as module
from verigrad.models.logprobs import selected_logprobs


def obvious(hidden, weight, bias, ids, temperature, kept):
    logits = (hidden @ weight.T + (0 if bias is None else bias)) / temperature[:, None]
    for row, allowed in enumerate(kept or ()):
        if allowed is not None:
            blocked = torch.ones(logits.shape[1], dtype=torch.bool)
            blocked[list(allowed)] = False
            logits = logits.masked_fill(blocked & (torch.arange(len(logits)) == row)[:, None], float("-inf"))
    table = logits.log_softmax(-1)
    entropy = -(table.exp() * table.nan_to_num(neginf=0.0)).sum(-1)
    return table.gather(1, ids[:, None])[:, 0], entropy


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("with_kept", [False, True])
@pytest.mark.parametrize("tile", [(3, 2), (128, 16), (512, 512)])
def test_values_and_gradients(monkeypatch, with_bias, with_kept, tile, device):
    monkeypatch.setitem(module._TILES, device, tile)
    generator = torch.Generator().manual_seed(0)
    count, width, vocabulary = 7, 5, 11
    hidden = torch.randn(count, width, generator=generator)
    weight = torch.randn(vocabulary, width, generator=generator)
    bias = torch.randn(vocabulary, generator=generator) if with_bias else None
    ids = torch.randint(0, vocabulary, (count,), generator=generator)
    temperature = torch.rand(count, generator=generator) + 0.5
    kept = (
        [None if i % 2 else (int(ids[i]), (int(ids[i]) + 3) % vocabulary) for i in range(count)] if with_kept else None
    )
    upstream = torch.randn(count, generator=generator)

    def run(function, where):
        leaves = [x.to(where, copy=True).requires_grad_() for x in (hidden, weight, *([bias] if with_bias else []))]
        own_bias = leaves[2] if with_bias else None
        values, entropy = function(leaves[0], leaves[1], own_bias, ids.to(where), temperature.to(where), kept)
        (values * upstream.to(where)).sum().backward()
        return [x.detach().cpu() for x in (values, entropy, *(leaf.grad for leaf in leaves))]

    for got, expected in zip(run(selected_logprobs, device), run(obvious, "cpu"), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_extreme_logits_stay_finite():
    hidden = torch.tensor([[1e4], [-1e4]], requires_grad=True)
    weight = torch.tensor([[1.0], [0.0], [-1.0]])
    values, entropy = selected_logprobs(hidden, weight, None, torch.tensor([2, 2]), torch.ones(2))
    values.sum().backward()
    assert values.tolist() == [-2e4, 0.0]
    assert entropy.tolist() == [0.0, 0.0]
    assert torch.isfinite(hidden.grad).all()


@pytest.mark.parametrize("device", DEVICES)
def test_bfloat16_is_close(device):
    generator = torch.Generator().manual_seed(0)
    hidden, weight = torch.randn(20, 64, generator=generator), torch.randn(300, 64, generator=generator) / 8
    ids = torch.arange(20)
    exact, _ = selected_logprobs(hidden, weight, None, ids, torch.ones(20))
    there = [x.to(device) for x in (hidden, weight, ids, torch.ones(20))]
    rough, _ = selected_logprobs(there[0], there[1], None, *there[2:], compute_dtype=torch.bfloat16)
    torch.testing.assert_close(rough.cpu(), exact, rtol=0, atol=0.05)
