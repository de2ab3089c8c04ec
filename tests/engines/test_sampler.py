"""Vectorised draws against the obvious ones: loops, full sorts, plain cumulative sums."""

import math

import pytest
import torch
from devices import DEVICES
from hypothesis import given, settings
from hypothesis import strategies as st

from verigrad.engines.base import SamplingParams
from verigrad.engines.sampler import draw, truncation_cut, uniform

MASK = 2**64 - 1


def slow_uniform(seed, index):
    """SplitMix64 with Python's own integers."""

    def mix(x):
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & MASK
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB & MASK
        return x ^ (x >> 31)

    golden = 0x9E3779B97F4A7C15
    return (mix(mix((seed + golden) & MASK) + (index + 1) * golden & MASK) >> 11) / 2**53


def slow_draw(probabilities, number):
    """First id at which the running sum passes the number."""
    running, last = 0.0, 0
    total = math.fsum(probabilities)
    for token, probability in enumerate(probabilities):
        running += probability
        if probability > 0:
            last = token
        if running > number * total:
            return token
    return last


def slow_kept(logits, params):
    """Top-k, then top-p of what is left, by sorting; ties with the last one kept stay."""
    scores = (logits.double() / params.temperature).tolist()
    order = sorted(range(len(scores)), key=lambda token: -scores[token])
    if params.top_k:
        order = [token for token in order if scores[token] >= scores[order[min(params.top_k, len(order)) - 1]]]
    ranked = order[: params.top_k] if params.top_k else order
    total = math.fsum(math.exp(scores[token]) for token in ranked)
    mass, cut = 0.0, scores[ranked[0]]
    for token in ranked:
        if mass >= params.top_p:
            break
        mass += math.exp(scores[token]) / total
        cut = scores[token]
    return {token for token in range(len(scores)) if scores[token] >= cut}


@given(st.lists(st.tuples(st.integers(-(2**70), 2**70), st.integers(0, 10**6)), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_uniform_is_splitmix(pairs):
    expected = [slow_uniform(seed % 2**64, index) for seed, index in pairs]
    assert uniform([seed for seed, _ in pairs], [index for _, index in pairs]).tolist() == expected


def test_uniform_fills_the_interval_evenly():
    """16 cells of 20 000 numbers from neighbouring seeds and indices: chi-squared, 15 degrees, 0.001 quantile 37.7."""
    numbers = uniform([i // 100 for i in range(20_000)], [i % 100 for i in range(20_000)])
    counts = torch.histc(numbers, bins=16, min=0, max=1)
    assert float(((counts - 1250) ** 2 / 1250).sum()) < 37.7
    pairs = torch.corrcoef(torch.stack([numbers[:-1], numbers[1:]]))
    assert abs(float(pairs[0, 1])) < 0.03


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("vocabulary", [3, 256, 259, 1000])
def test_draws_equal_a_running_sum(vocabulary, device):
    logits = torch.randn(40, vocabulary, generator=torch.Generator().manual_seed(vocabulary)) * 4
    params = [SamplingParams(temperature=0.5 + row / 20) for row in range(40)]
    numbers = uniform(range(40), [0] * 40)
    drawn = draw(logits.to(device), params, numbers)
    for row in range(40):
        probabilities = (logits[row].double() / params[row].temperature).softmax(-1)
        assert drawn.ids[row] == slow_draw(probabilities.tolist(), float(numbers[row]))
        assert drawn.logprobs[row] == pytest.approx(float(probabilities[drawn.ids[row]].log()), abs=1e-5)


def test_draws_follow_the_distribution():
    """Three ids over three blocks with 0.2, 0.3, 0.5: 30 000 draws, five standard errors."""
    logits = torch.full((30_000, 600), -torch.inf)
    logits[:, [5, 300, 599]] = torch.tensor([0.2, 0.3, 0.5]).log()
    drawn = draw(logits, [SamplingParams()] * 30_000, uniform(range(30_000), [3] * 30_000))
    for token, probability in ((5, 0.2), (300, 0.3), (599, 0.5)):
        share = drawn.ids.count(token) / 30_000
        assert abs(share - probability) < 5 * math.sqrt(probability * (1 - probability) / 30_000)


@pytest.mark.parametrize("number", [0.0, 0.25, 0.5, 0.75, 1 - 2**-53])
def test_never_an_id_of_probability_zero(number):
    logits = torch.full((3, 700), -torch.inf)
    logits[0, 511] = 0.0  # all of it at the end of a block
    logits[1, [0, 256]] = 0.0
    logits[2] = 0.0
    logits[2, :300] = -torch.inf
    logits[2, -5:] = -torch.inf
    drawn = draw(logits, [SamplingParams()] * 3, torch.full((3,), number, dtype=torch.float64))
    assert drawn.ids[0] == 511
    assert drawn.ids[1] == (0 if number < 0.5 else 256)
    assert 300 <= drawn.ids[2] < 695
    assert drawn.logprobs[2] == pytest.approx(-math.log(395), abs=1e-5)


def test_a_row_does_not_feel_the_others():
    logits = torch.randn(6, 500, generator=torch.Generator().manual_seed(0)) * 3
    params = [
        SamplingParams(),
        SamplingParams(temperature=0),
        SamplingParams(top_k=4, kept=True),
        SamplingParams(temperature=0.7, top_p=0.8),
        SamplingParams(temperature=1.3),
        SamplingParams(temperature=0, top_k=3, kept=True),
    ]
    numbers = uniform(range(6), range(6))
    together = draw(logits, params, numbers)
    for row in range(6):
        alone = draw(logits[row : row + 1], params[row : row + 1], numbers[row : row + 1])
        assert (alone.ids[0], alone.logprobs[0], alone.kept[0]) == (
            together.ids[row],
            together.logprobs[row],
            together.kept[row],
        )


def test_greedy_takes_the_likeliest_with_its_probability_at_temperature_one():
    logits = torch.tensor([[0.0, 1.0, 3.0, 2.0]])
    drawn = draw(logits, [SamplingParams(temperature=0, top_k=1, kept=True)], torch.zeros(1).double())
    total = 1 + math.e + math.e**2 + math.e**3
    assert drawn.ids == [2] and drawn.kept == [None]
    assert drawn.logprobs[0] == pytest.approx(3 - math.log(total), abs=1e-6)


def test_truncation_worked_by_hand():
    """Probabilities 0.4, 0.3, 0.2, 0.1. Top-p 0.7 keeps two (0.4 + 0.3 reaches it): 4/7 and 3/7."""
    logits = torch.tensor([[0.1, 0.4, 0.2, 0.3]]).log()
    params = SamplingParams(top_p=0.69, kept=True)
    low = draw(logits, [params], torch.tensor([0.5], dtype=torch.float64))
    high = draw(logits, [params], torch.tensor([0.6], dtype=torch.float64))
    assert low.kept == [(1, 3)] and high.kept == [(1, 3)]
    assert (low.ids, high.ids) == ([1], [3])
    assert low.logprobs[0] == pytest.approx(math.log(4 / 7), abs=1e-6)
    assert high.logprobs[0] == pytest.approx(math.log(3 / 7), abs=1e-6)


def test_ties_with_the_last_one_kept_stay():
    drawn = draw(torch.tensor([[1.0, 2.0, 1.0, 0.0]]), [SamplingParams(top_k=2, kept=True)], torch.zeros(1).double())
    assert drawn.kept == [(0, 1, 2)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("scale", [0.2, 4.0])  # flat rows need more candidates than the first look takes
def test_truncation_equals_sorting_everything(scale, device):
    logits = torch.randn(8, 3000, generator=torch.Generator().manual_seed(1)) * scale
    params = [
        SamplingParams(temperature=heat, top_k=top_k, top_p=top_p, kept=True)
        for heat, top_k, top_p in [
            (1.0, 1, 1.0),
            (1.0, 50, 1.0),
            (0.7, 50, 0.9),
            (1.0, 0, 0.9),
            (1.0, 0, 0.1),
            (0.5, 2000, 0.99),
            (1.0, 5000, 0.5),
            (2.0, 0, 0.999),
        ]
    ]
    numbers = uniform(range(8), [0] * 8)
    drawn = draw(logits.to(device), params, numbers)
    for row in range(8):
        kept = slow_kept(logits[row], params[row])
        assert set(drawn.kept[row]) == kept
        assert list(drawn.kept[row]) == sorted(kept)
        scores = logits[row].double() / params[row].temperature
        scores[[token for token in range(3000) if token not in kept]] = -torch.inf
        probabilities = scores.softmax(-1)
        assert drawn.ids[row] == slow_draw(probabilities.tolist(), float(numbers[row]))
        assert drawn.logprobs[row] == pytest.approx(float(probabilities[drawn.ids[row]].log()), abs=1e-5)


def test_the_cut_is_the_smallest_score_kept():
    scores = torch.tensor([[3.0, 1.0, 2.0], [0.0, -1.0, -2.0]])
    cut = truncation_cut(scores, [SamplingParams(top_k=2), SamplingParams(top_p=0.5)])
    assert cut.tolist() == [2.0, 0.0]


def test_bfloat16_logits_are_drawn_in_float32():
    logits = (torch.randn(20, 700, generator=torch.Generator().manual_seed(2)) * 3).bfloat16()
    params, numbers = [SamplingParams(temperature=0.9)] * 20, uniform(range(20), [1] * 20)
    low, high = draw(logits, params, numbers), draw(logits.float(), params, numbers)
    assert low == high
