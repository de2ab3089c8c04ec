"""Attention over packed rows, and its gradients, against one dense masked softmax over the whole row."""

from functools import partial

import pytest
import torch

from verigrad.models.attention import Layout, Stretch, _not_yet

STRETCHES = (Stretch(5, (3, 7, 1)), Stretch(4, (6,)), Stretch(9, ()), Stretch(0, (4, 2)), Stretch(2, (17, 20)))
HEADS, KV_HEADS, WIDTH = 6, 2, 8
LENGTH = sum(stretch.length for stretch in STRETCHES)


def may_see(causal):
    """(L, L) True where the query (row) attends to the key (column)."""
    seen = torch.zeros(LENGTH, LENGTH, dtype=torch.bool)
    start = 0
    for stretch in STRETCHES:
        prompt = range(start, start + stretch.prompt_length)
        at = start + stretch.prompt_length
        for position in prompt:
            seen[position, start : (position + 1 if causal else prompt.stop)] = True
        for length in stretch.lengths:
            for position in range(at, at + length):
                seen[position, prompt.start : prompt.stop] = True
                seen[position, at : (position + 1 if causal else at + length)] = True
            at += length
        start = at
    return seen


def dense(queries, keys, values, scale, *, causal):
    keys, values = (x.repeat_interleave(HEADS // KV_HEADS, dim=0) for x in (keys, values))
    scores = (queries @ keys.transpose(1, 2) * scale).masked_fill(~may_see(causal), float("-inf"))
    return scores.softmax(-1) @ values


def run(attend, dtype):
    generator = torch.Generator().manual_seed(0)
    shapes = [(HEADS, LENGTH, WIDTH), (KV_HEADS, LENGTH, WIDTH), (KV_HEADS, LENGTH, WIDTH), (HEADS, LENGTH, WIDTH)]
    *leaves, upstream = (torch.randn(shape, generator=generator).to(dtype) for shape in shapes)
    leaves = [leaf.requires_grad_() for leaf in leaves]
    mixed = attend(*leaves, 0.3)
    (mixed * upstream).sum().backward()
    return [mixed.detach(), *(leaf.grad for leaf in leaves)]


def both(causal, dtype, dense_dtype=None):
    """(got, expected) of the values and each gradient."""
    layout = Layout(STRETCHES, torch.device("cpu"), causal=causal)
    expected = run(partial(dense, causal=causal), dense_dtype or dtype)
    return zip(run(layout.attend, dtype), expected, strict=True)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_values_and_gradients(causal, dtype):
    tolerance = {torch.float64: 1e-12, torch.float32: 2e-5}[dtype]
    for got, expected in both(causal, dtype):
        torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("causal", [True, False])
def test_bfloat16_is_as_near_as_its_rounding(causal):
    """bfloat16 keeps 8 bits: 1 part in 256 each for scores, weights and sums."""
    for got, expected in both(causal, torch.bfloat16, torch.float64):
        error = (got.double() - expected).norm() / expected.norm()
        assert error < 3 / 256


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_longer_than_the_scores_that_are_kept(monkeypatch, causal, dtype):
    monkeypatch.setattr("verigrad.models.attention._SHORT", 0)
    monkeypatch.setattr("verigrad.models.attention._LONG", 0)
    for got, expected in both(causal, dtype, torch.float64):
        bound = {torch.float64: 1e-12, torch.bfloat16: 3 / 256}[dtype]
        assert (got.double() - expected).norm() / expected.norm() < bound


def test_masks_of_long_rows_are_not_kept():
    """Each would hold the square of its length, and a run meets hundreds of lengths."""
    _not_yet.cache_clear()
    for longest in (900, 901):
        layout = Layout((Stretch(20, (longest, 3)),), torch.device("cpu"))
        queries = torch.randn(1, layout._stretches[0].length, 4)
        layout.attend(queries, queries, queries, 0.5)
    assert _not_yet.cache_info().currsize == 0
