"""Attention over packed rows, and its gradients, against one dense masked softmax over the whole row."""

from functools import partial

import pytest
import torch

from verigrad.models.attention import Layout, Stretch, _attention, _mix, _not_yet, _ShortMasked

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


def masked(attend, dtype):
    """Values and gradients of three rows of 5 queries and 11 keys; the first query of the last row sees nothing."""
    generator = torch.Generator().manual_seed(1)
    seen = torch.rand(3, 1, 5, 11, generator=generator) < 0.6
    seen[2, 0, 0] = False
    shapes = [(3, HEADS, 5, WIDTH), *[(3, KV_HEADS, 11, WIDTH)] * 2]
    leaves = [torch.randn(shape, generator=generator).to(dtype).requires_grad_() for shape in shapes]
    upstream = torch.randn(shapes[0], generator=generator).to(dtype)
    upstream[2, :, 0] = 0
    mixed = attend(*leaves, seen, 0.3)
    (mixed * upstream).sum().backward()
    assert bool(mixed.isfinite().all())
    return [mixed.detach() * (upstream != 0), *(leaf.grad for leaf in leaves)]


def dense_rows(queries, keys, values, seen, scale):
    keys, values = (x.repeat_interleave(HEADS // KV_HEADS, dim=1) for x in (keys, values))
    scores = (queries @ keys.transpose(2, 3) * scale).masked_fill(~seen, -1e30)
    return scores.softmax(-1) @ values


def test_masked_rows_and_their_gradients():
    expected = masked(dense_rows, torch.float64)
    for got, wanted in zip(masked(_ShortMasked.apply, torch.float64), expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kept", [11, 10])
def test_masked_rows_in_bfloat16_short_or_not(monkeypatch, kept):
    """With scores of 11 keys kept, and with PyTorch's own attention, which keeps none."""
    monkeypatch.setattr("verigrad.models.attention._SHORT_MASKED", kept)
    kinds = []
    monkeypatch.setattr("verigrad.models.attention._mix", lambda *own, mix=_mix: (kinds.append("ours"), mix(*own))[1])

    def attend(queries, keys, values, seen, scale):
        module = torch.nn.Module()
        module.num_key_value_groups = HEADS // KV_HEADS
        return _attention(module, queries, keys, values, seen, scaling=scale)[0].transpose(1, 2)

    for got, wanted in zip(masked(attend, torch.bfloat16), masked(dense_rows, torch.float64), strict=True):
        assert (got.double() - wanted).norm() / wanted.norm() < 3 / 256
    assert kinds == (["ours"] if kept == 11 else [])
