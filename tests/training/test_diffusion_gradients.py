"""Gradients of the diffusion estimators against exact enumeration of a small world.

`benchmarks/diffusion_gradients.py` enumerates every trace; here its enumeration is held against the sampler, and what
theory says of the estimators against its figures.
"""

import itertools
import math
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from scripts import benchmark

from verigrad.algorithms.diffusion_objectives import softmax_difference, spg
from verigrad.engines.base import SamplingParams
from verigrad.engines.denoise import denoise
from verigrad.engines.denoise_params import DenoiseParams
from verigrad.models.scoring import token_logprobs
from verigrad.training.config import ScoringConfig
from verigrad.training.estimators import order_warnings

DOCS = Path(__file__).parents[2] / "docs"
ORDERS = ("left_to_right", "random", "entropy", "margin", "threshold", "confidence")


@pytest.fixture(scope="module")
def script():
    return benchmark("diffusion_gradients")


@pytest.fixture(scope="module")
def world(script):
    return script.World.make(0)


@pytest.mark.parametrize("order", ORDERS)
def test_enumerated_traces_are_those_of_the_sampler(script, world, order):
    """Frequencies of 1,500 sampled traces, by a chi-square whose chance of failing is about 1 in 10,000."""
    world = script.World.make(5) if order == "threshold" else world
    found = script.traces(world, order)
    assert sum(trace.chance for trace in found) == pytest.approx(1.0)
    assert {len(set(trace.steps)) for trace in found} == ({2, 3} if order == "threshold" else {3})
    count = 1500
    canvas = torch.tensor([[0] + [world.tokens] * world.length] * count)
    params = DenoiseParams(order=order) if order != "threshold" else DenoiseParams(
        schedule="threshold", threshold=script.THRESHOLD
    )  # fmt: skip
    sampled = denoise(
        world.model, canvas, world.spec, params,
        sampling=[SamplingParams(max_tokens=3)] * count, seeds=list(range(count)),
    )  # fmt: skip
    seen = {}
    for ids, steps in zip(sampled.ids[:, 1:].tolist(), sampled.step_map[:, 1:].tolist(), strict=True):
        seen[tuple(ids), tuple(steps)] = seen.get((tuple(ids), tuple(steps)), 0) + 1
    chances = {(trace.canvas, trace.steps): trace.chance for trace in found}
    assert set(seen) <= set(chances)
    common = {key: chance for key, chance in chances.items() if chance * count >= 5}
    cells = [(seen.get(key, 0), chance * count) for key, chance in common.items()]
    rest = 1 - sum(common.values())
    if rest * count >= 5:
        cells.append((count - sum(seen.get(key, 0) for key in common), rest * count))
    square = sum((got - wanted) ** 2 / wanted for got, wanted in cells)
    freedom = len(cells) - 1
    assert square < freedom + 3.9 * math.sqrt(2 * freedom) + 5  # normal approximation of the quantile


def test_the_table_says_what_the_scoring_code_says(script, world):
    slopes = script._Slopes.of(world)
    world.model.config.verigrad_diffusion = asdict(world.spec)
    rows = script._rows(world, script.traces(world, "random")[:20])
    for scoring in script.SCORINGS:
        batch = script._drawn(world, rows, scoring, seed=3)
        found = token_logprobs(world.model, batch, dtype=torch.float64).values
        assert torch.allclose(script._score(world, slopes, batch).logprobs.float(), found, atol=1e-5), scoring.name


def test_scores_of_visited_states_give_the_exact_gradient_where_orders_ignore_proposals(script, world):
    exact = [scoring for scoring in script.SCORINGS if scoring.name in ("trace", "random order", "left to right")]
    found = script.measure(world, exact, ORDERS, draws=1)
    for order in ORDERS[:-1]:
        assert found[order, "trace"].cosine == pytest.approx(1.0, abs=1e-6)
        assert found[order, "trace"].scale == pytest.approx(1.0, abs=1e-6)
    assert found["random", "random order"] == found["random", "trace"]
    assert found["confidence", "trace"].cosine < 0.99
    assert found["left_to_right", "left to right"].cosine == pytest.approx(1.0, abs=1e-6)
    assert all(found[order, "left to right"].cosine < 0.99 for order in ORDERS[1:])


def cosines_of(section, orders):
    """(name of the estimator, order) -> cosine for trained networks, as docs/diffusion_estimators.md has it."""
    page = (DOCS / "diffusion_estimators.md").read_text()
    (text,) = re.findall(rf"^## {section}$(.*?)^## ", page, re.MULTILINE | re.DOTALL)
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    found = {}
    for name, *cells in lines[2:]:
        cosines = zip(orders, cells, strict=False)
        found |= {(name, order): float(cell.split()[0]) for order, cell in cosines if cell != "-"}
    return found


def test_a_warning_wherever_the_tables_show_a_bias(script):
    """A cosine below 0.97 for trained networks is warned of, and nothing else is."""
    cosines = cosines_of("Trained networks", [order for order in ORDERS if order != "threshold"])
    cosines |= cosines_of("Several tokens at a time, by a threshold", ["threshold"])
    for scoring in script.SCORINGS:
        for order in scoring.orders:
            denoise = DenoiseParams(schedule="threshold") if order == "threshold" else DenoiseParams(order=order)
            warned = bool(order_warnings(scoring.settings, denoise))
            assert warned == (cosines[scoring.name, order] < 0.97), (scoring.name, order)


def consistent(world):
    """The same world with the conditionals of one random joint distribution in place of the network's."""
    joint = torch.randn(world.tokens**world.length, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    joint = (2 * joint).softmax(0)
    table = torch.zeros_like(world.logprobs)
    completions = list(itertools.product(range(world.tokens), repeat=world.length))
    for number, canvas in enumerate(itertools.product(range(world.tokens + 1), repeat=world.length)):
        fits = [all(a in (b, world.tokens) for a, b in zip(canvas, full, strict=True)) for full in completions]
        for place in range(world.length):
            chances = torch.tensor(
                [
                    sum(float(joint[i]) for i, full in enumerate(completions) if fits[i] and full[place] == token)
                    for token in range(world.tokens)
                ]
            )
            table[number, place] = (chances / chances.sum()).log()
    return replace(world, logprobs=table), joint


def bounds(script, world, scoring, objective):
    """The bound on every completion's log-probability, by many draws."""
    slopes = script._Slopes.of(world) if world.logprobs.requires_grad else None
    ways = [
        script._Trace(full, (0,) * world.length, 0.0)
        for full in itertools.product(range(world.tokens), repeat=world.length)
    ]
    batch = script._drawn(world, script._rows(world, ways), scoring, seed=0)
    fake = slopes or script._Slopes(torch.zeros(1, 1), torch.zeros(1, 1), torch.zeros(world.logprobs.shape).long())
    scored = script._score(world, fake, batch)
    return objective(scored.logprobs, batch)


def upper(logprobs, batch):
    """SPG's loss at an advantage of -1 is its upper bound."""
    minus = -torch.ones(len(logprobs))
    loss = spg(logprobs, minus, batch.mask, batch.rollout_index, batch.loss_weights.double(), mix=1.0)
    return torch.zeros(batch.num_rollouts, dtype=torch.float64).index_add(0, batch.rollout_index, loss.sum(1))


def lower(logprobs, batch):
    return logprobs.sum(1)


ELBO = ScoringConfig(estimator="elbo", samples=200)
SANDWICH = ScoringConfig(estimator="sandwich", samples=200)


@pytest.mark.slow
def test_bounds_hold_an_enumerated_likelihood_between_them(script, world):
    """Of a consistent model the ELBO is the log-likelihood; of others it is at most that of random order."""
    one, joint = consistent(world)
    elbo = bounds(script, one, script.Scoring("", ELBO), lower)
    eubo = bounds(script, one, script.Scoring("", SANDWICH), upper)
    assert torch.allclose(elbo, joint.log(), atol=0.5)  # 200 draws of a standard deviation of about 2
    assert abs(float((elbo - joint.log()).mean())) < 0.1
    assert bool((eubo > joint.log() - 0.2).all()) and float((eubo - joint.log()).mean()) > 0.1
    table = world.logprobs.detach()
    likelihood = torch.zeros(world.tokens**world.length, dtype=torch.float64)
    for trace in script.traces(world, "random"):
        likelihood[world.completion(trace.canvas)] += trace.chance
    elbo = bounds(script, replace(world, logprobs=table), script.Scoring("", ELBO), lower)
    assert likelihood.sum() == pytest.approx(1.0)
    assert bool((elbo < likelihood.log() + 0.5).all()) and float((likelihood.log() - elbo).mean()) > 0.1


def test_spg_by_hand():
    """Two masks of two tokens; the first hides both, the second the last. Weights are L / k."""
    logprobs = torch.tensor([[0.5, 0.25], [9.0, 0.8]], dtype=torch.float64).log()
    mask = torch.tensor([[True, True], [False, True]])
    weights = torch.tensor([[1.0, 1.0], [0.0, 2.0]], dtype=torch.float64)
    elbo = (math.log(0.5) + math.log(0.25) + 2 * math.log(0.8)) / 2
    eubo = (math.log(0.5**1.5 / 2) + math.log((0.25**1.5 + 2 * 0.8**1.5) / 2)) / 1.5
    both = torch.tensor([7, 7])
    good = spg(logprobs, torch.full((2,), 2.0), mask, both, weights)
    bad = spg(logprobs, torch.full((2,), -3.0), mask, both, weights, mix=0.25)
    assert float(good.sum()) == pytest.approx(-2 * elbo) and not good[~mask].any()
    assert float(bad.sum()) == pytest.approx(3 * (0.25 * eubo + 0.75 * elbo))
    leaf = logprobs.clone().requires_grad_()
    spg(leaf, torch.full((2,), -1.0), mask, both, weights, mix=1.0).sum().backward()
    shares = torch.tensor([0.25**1.5, 2 * 0.8**1.5], dtype=torch.float64)
    assert torch.allclose(leaf.grad[:, 1], shares / shares.sum())
    with pytest.raises(ValueError, match="wanted beta of at least 1"):
        spg(logprobs, torch.ones(2), mask, both, weights, beta=0.5)


def test_softmax_weights_of_a_group():
    rewards = torch.tensor([2.0, 0.0, 1.0, float("nan"), 5.0, 5.0])
    groups = torch.tensor([0, 0, 0, 0, 1, 1])
    found = softmax_difference(rewards, groups, scale=0.5)
    e = [math.exp(value) for value in (1.0, 0.0, 0.5)]
    n = [math.exp(-value) for value in (1.0, 0.0, 0.5)]
    wanted = [3 * (a / sum(e) - b / sum(n)) for a, b in zip(e, n, strict=True)]
    assert found[:3].tolist() == pytest.approx(wanted) and found[3:].tolist() == [0.0, 0.0, 0.0]
