"""Advantages out of several signals against loops that do what the papers say."""

import math

import pytest
import torch

from verigrad.algorithms.combined import (
    against_past_mean,
    constrained,
    outcome_and_process,
    parts_normalized,
    towards_teacher,
    whitened_returns,
)

NAN = math.nan


def ragged(seed):
    """Two groups of three rollouts; one rollout has two rows, one no reward; garbage lies outside the mask."""
    generator = torch.Generator().manual_seed(seed)
    rollout_index = torch.tensor([0, 1, 1, 2, 3, 4, 5])
    mask = torch.rand(7, 5, generator=generator) < 0.6
    mask[:, 0] = True
    values = torch.randn(7, 5, generator=generator, dtype=torch.float64)
    values[~mask] = NAN
    rewards = torch.randn(6, generator=generator, dtype=torch.float64)
    rewards[4] = NAN
    return rewards, torch.tensor([0, 0, 0, 1, 1, 1]), values, mask, rollout_index


def tokens_of(rollout, mask, rollout_index):
    """Places of a rollout's tokens in order."""
    return [(b, t) for b in range(len(mask)) if rollout_index[b] == rollout for t in range(mask.shape[1]) if mask[b, t]]


@pytest.mark.parametrize("seed", range(5))
def test_outcome_and_process(seed):
    rewards, groups, process, mask, index = ragged(seed)
    weight = 1.0 + seed
    found = outcome_and_process(rewards, groups, process, mask, index, process_weight=weight)
    expected = torch.zeros(mask.shape, dtype=torch.float64)
    mean = {
        i: sum(float(process[place]) for place in tokens_of(i, mask, index)) / len(tokens_of(i, mask, index))
        for i in range(6)
    }
    for i in range(6):
        if math.isnan(rewards[i]):
            continue
        others = [j for j in range(6) if groups[j] == groups[i] and j != i and not math.isnan(rewards[j])]
        outcome = float(rewards[i]) - sum(float(rewards[j]) for j in others) / len(others)
        baseline = sum(mean[j] for j in others) / len(others)
        places = tokens_of(i, mask, index)
        for k, place in enumerate(places):
            expected[place] = outcome + weight * sum(float(process[later]) - baseline for later in places[k:])
    torch.testing.assert_close(found, expected)


def test_process_rewards_of_one_rollout_are_compared_with_nothing():
    """A group of one, or of which one is scored, has advantage 0 (process rewards are of the whole token mask)."""
    process, mask = torch.ones(3, 2), torch.ones(3, 2).bool()
    rewards, groups = torch.tensor([1.0, 0.0, NAN]), torch.tensor([0, 1, 1])
    found = outcome_and_process(rewards, groups, process, mask, torch.tensor([0, 1, 2]))
    assert torch.equal(found, torch.zeros(3, 2))


@pytest.mark.parametrize("seed", range(3))
def test_whitened_returns(seed):
    _, _, rewards, mask, index = ragged(seed)
    found = whitened_returns(rewards, mask, index)
    returns = {}
    for i in range(6):
        places = tokens_of(i, mask, index)
        for k, place in enumerate(places):
            returns[place] = sum(float(rewards[later]) for later in places[k:])
    mean = sum(returns.values()) / len(returns)
    std = math.sqrt(sum((value - mean) ** 2 for value in returns.values()) / (len(returns) - 1))
    for place, value in returns.items():
        assert float(found[place]) == pytest.approx((value - mean) / std, rel=1e-6)
    assert bool((found[~mask] == 0).all())


@pytest.mark.parametrize("seed", range(4))
def test_constrained_against_loops(seed):
    rewards, groups, _, _, _ = ragged(seed)
    costs = torch.randn(6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    costs[seed % 4] = NAN
    found = constrained(rewards, groups, costs, torch.tensor(0.5 + seed))
    for i in range(6):
        own = [j for j in range(6) if groups[j] == groups[i] and not math.isnan(rewards[j] + costs[j])]
        if i not in own:
            assert float(found[i]) == 0.0
            continue
        reward, cost = (float(x[i]) - sum(float(x[j]) for j in own) / len(own) for x in (rewards, costs))
        wanted = (reward - (0.5 + seed) * cost) / (1.5 + seed)
        assert float(found[i]) == pytest.approx(0.0 if len(own) == 1 else wanted, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_towards_teacher_against_loops(seed):
    _, _, teacher, mask, _ = ragged(seed)
    _, _, sampler, _, _ = ragged(seed + 10)
    sampler = torch.where(mask, sampler.nan_to_num(), NAN)
    found = towards_teacher(teacher, sampler, mask)
    for row in range(len(mask)):
        for t in range(mask.shape[1]):
            gap = float(teacher[row, t]) - float(sampler[row, t]) if mask[row, t] else 0.0
            assert float(found[row, t]) == pytest.approx(gap)


def test_constrained_by_hand():
    """Centred rewards (1, -1), costs (2, -2): at price 3 the cost decides, (1 - 6) / 4; at price 0 the reward."""
    rewards, groups, costs = torch.tensor([2.0, 0.0]), torch.tensor([0, 0]), torch.tensor([4.0, 0.0])
    assert constrained(rewards, groups, costs, torch.tensor(3.0)).tolist() == [-1.25, 1.25]
    assert constrained(rewards, groups, costs, torch.tensor(0.0)).tolist() == [1.0, -1.0]


def test_a_rollout_without_a_cost_is_left_out_whole():
    rewards, costs = torch.tensor([3.0, 1.0, 9.0]), torch.tensor([0.0, 0.0, NAN])
    assert constrained(rewards, torch.zeros(3).long(), costs, torch.tensor(1.0)).tolist() == [0.5, -0.5, 0.0]


def test_against_past_mean():
    assert against_past_mean(torch.tensor([1.0, 0.0, NAN]), torch.tensor([0.25])).tolist() == [0.75, -0.25, 0.0]


def test_parts_do_not_drown_each_other():
    """A part a hundred times larger weighs the same: whoever wins one of the two parts gets the same advantage."""
    parts = torch.tensor([[1.0, 0.0], [0.0, 100.0], [0.0, 0.0], [1.0, 100.0]], dtype=torch.float64)
    found = parts_normalized(parts, torch.zeros(4).long())
    assert float(found[0]) == pytest.approx(float(found[1]), abs=1e-3)
    assert float(found[3]) == pytest.approx(-float(found[2]), abs=1e-9)
    assert float(found[3]) > 1
