"""Attention over packed rows, and its gradients, against one dense masked softmax over the whole row."""

import pytest
import torch

from verigrad.models.attention import Layout, Stretch

STRETCHES = (Stretch(5, (3, 7, 1)), Stretch(4, (6,)), Stretch(9, ()), Stretch(2, (17, 20)))
HEADS, KV_HEADS, WIDTH = 6, 2, 8
LENGTH = sum(stretch.length for stretch in STRETCHES)


def may_see():
    """(L, L) True where the query (row) attends to the key (column)."""
    seen = torch.zeros(LENGTH, LENGTH, dtype=torch.bool)
    start = 0
    for stretch in STRETCHES:
        prompt = range(start, start + stretch.prompt_length)
        at = start + stretch.prompt_length
        for position in prompt:
            seen[position, start : position + 1] = True
        for length in stretch.lengths:
            for position in range(at, at + length):
                seen[position, prompt.start : prompt.stop] = True
                seen[position, at : position + 1] = True
            at += length
        start = at
    return seen


def dense(queries, keys, values, scale):
    keys, values = (x.repeat_interleave(HEADS // KV_HEADS, dim=0) for x in (keys, values))
    scores = (queries @ keys.transpose(1, 2) * scale).masked_fill(~may_see(), float("-inf"))
    return scores.softmax(-1) @ values


def run(attend, dtype):
    generator = torch.Generator().manual_seed(0)
    shapes = [(HEADS, LENGTH, WIDTH), (KV_HEADS, LENGTH, WIDTH), (KV_HEADS, LENGTH, WIDTH), (HEADS, LENGTH, WIDTH)]
    *leaves, upstream = (torch.randn(shape, generator=generator).to(dtype) for shape in shapes)
    leaves = [leaf.requires_grad_() for leaf in leaves]
    mixed = attend(*leaves, 0.3)
    (mixed * upstream).sum().backward()
    return [mixed.detach(), *(leaf.grad for leaf in leaves)]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_values_and_gradients(dtype):
    layout = Layout(STRETCHES, torch.device("cpu"))
    tolerance = {torch.float64: 1e-12, torch.float32: 2e-5}[dtype]
    for got, expected in zip(run(layout.attend, dtype), run(dense, dtype), strict=True):
        torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance)


def test_bfloat16_is_as_near_as_its_rounding():
    """bfloat16 keeps 8 bits: 1 part in 256 each for scores, weights and sums."""
    layout = Layout(STRETCHES, torch.device("cpu"))
    for got, expected in zip(run(layout.attend, torch.bfloat16), run(dense, torch.float64), strict=True):
        error = (got.double() - expected).norm() / expected.norm()
        assert error < 3 / 256


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_longer_than_the_scores_that_are_kept(monkeypatch, dtype):
    layout = Layout(STRETCHES, torch.device("cpu"))
    monkeypatch.setattr("verigrad.models.attention._SHORT", 0)
    monkeypatch.setattr("verigrad.models.attention._LONG", 0)
    for got, expected in zip(run(layout.attend, dtype), run(dense, torch.float64), strict=True):
        bound = {torch.float64: 1e-12, torch.bfloat16: 3 / 256}[dtype]
        assert (got.double() - expected).norm() / expected.norm() < bound
