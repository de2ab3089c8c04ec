"""Which rollouts train: against brute force over subsets, by hand, invariances."""

import itertools
import random
from fractions import Fraction
from statistics import pvariance

import pytest
import torch

from verigrad.algorithms.selection import (
    accuracy_between,
    best_and_random,
    best_and_worst,
    dedup,
    filtration_weights,
    max_variance,
    resample,
)

NAN = float("nan")
close = torch.testing.assert_close


def ragged(seed, binary=False):
    """Rewards with left-out rollouts, in groups of 1 to 7 of mixed order."""
    rng = random.Random(seed)
    ids = [group * 5 - 2 for group in range(6) for _ in range(rng.randint(1, 7))]
    rng.shuffle(ids)
    rewards = [NAN if rng.random() < 0.15 else rng.choice([0.0, 1.0]) if binary else rng.random() for _ in ids]
    return torch.tensor(rewards, dtype=torch.float64), torch.tensor(ids)


def members(rewards, ids, kept=None):
    """Of each group, the rewards of its scored (and kept) rollouts."""
    found = {}
    for i, (reward, group) in enumerate(zip(rewards.tolist(), ids.tolist(), strict=True)):
        if reward == reward and (kept is None or kept[i]):
            found.setdefault(group, []).append(reward)
    return found


RULES = {
    "max_variance": lambda r, g, n: max_variance(r, g, count=n),
    "best_and_worst": lambda r, g, n: best_and_worst(r, g, count=n),
    "best_and_random": lambda r, g, n: best_and_random(r, g, count=n),
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_each_group_keeps_as_many_as_it_can_and_none_left_out(name, count):
    r, g = ragged(1)
    kept = RULES[name](r, g, count)
    assert not kept[r.isnan()].any()
    found = members(r, g, kept.tolist())
    assert {group: len(own) for group, own in found.items()} == {
        group: min(count, len(own)) for group, own in members(r, g).items()
    }


@pytest.mark.parametrize("name", RULES)
def test_other_groups_do_not_matter(name):
    r, g = ragged(2)
    own = g == g[0]
    if name == "best_and_random":
        # The draw goes by position, so only what is not drawn can be compared.
        best = max(members(r, g)[int(g[0])])
        assert best in r[own][RULES[name](r[own], g[own], 2)].tolist()
        return
    assert torch.equal(RULES[name](r[own], g[own], 2), RULES[name](r, g, 2)[own])


@pytest.mark.parametrize("name", ["max_variance", "best_and_worst"])
def test_the_order_of_rollouts_does_not_matter_where_rewards_differ(name):
    r, g = ragged(3)
    order = torch.randperm(len(r), generator=torch.Generator().manual_seed(0))
    assert torch.equal(RULES[name](r[order], g[order], 3), RULES[name](r, g, 3)[order])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_max_variance_reaches_the_best_of_all_subsets(seed, binary, count):
    r, g = ragged(seed, binary)
    found = members(r, g, max_variance(r, g, count=count).tolist())
    for group, own in members(r, g).items():
        best = max(pvariance(chosen) for chosen in itertools.combinations(own, min(count, len(own))))
        assert pvariance(found[group]) == pytest.approx(best, abs=1e-12)


def test_max_variance_by_hand():
    """Of 1 1 1 0 0 0 it takes half and half; of 1 0 0 0 the success and one failure; of a large common reward too."""
    ids = torch.zeros(6).long()
    kept = max_variance(torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0]), ids, count=4)
    assert kept.tolist() == [True, True, False, False, True, True]
    kept = max_variance(torch.tensor([1e7, 1e7, 1e7 + 1, 1e7, 1e7, 1e7]), ids, count=2)
    assert int(kept.sum()) == 2 and bool(kept[2])
    assert max_variance(torch.tensor([0.5, 0.5, 0.5]), ids[:3], count=2).tolist() == [True, False, True]
    with pytest.raises(ValueError, match="count=0"):
        max_variance(torch.zeros(2), ids[:2], count=0)


def test_best_and_worst_by_hand():
    rewards, ids = torch.tensor([0.3, NAN, 0.9, 0.1, 0.5, 0.2]), torch.zeros(6).long()
    assert best_and_worst(rewards, ids).tolist() == [False, False, True, True, False, False]
    assert best_and_worst(rewards, ids, count=3).tolist() == [False, False, True, True, True, False]
    assert best_and_worst(rewards, ids, count=1).tolist() == [False, False, True, False, False, False]


def test_best_and_random_keeps_the_best_and_draws_the_rest_evenly():
    rewards, ids = torch.tensor([0.3, 0.9, 0.1, 0.5, NAN]), torch.zeros(5).long()
    counts = torch.zeros(5)
    for seed in range(600):
        counts += best_and_random(rewards, ids, count=2, seed=seed)
    assert counts[1] == 600 and counts[4] == 0
    assert (counts[[0, 2, 3]] - 200).abs().max() < 50
    again = [best_and_random(rewards, ids, seed=3) for _ in range(2)]
    assert torch.equal(*again)


@pytest.mark.parametrize("seed", range(3))
def test_dedup_against_a_set(seed):
    r, g = ragged(seed)
    keys = torch.tensor([random.Random(seed + i).randint(0, 2) for i in range(len(r))])
    kept = dedup(r, g, keys).tolist()
    pairs = [
        (group, key) for x, group, key in zip(r.tolist(), g.tolist(), keys.tolist(), strict=True) if x == x
    ]  # fmt: skip
    chosen = [pair for pair, keep in zip(zip(g.tolist(), keys.tolist(), strict=True), kept, strict=True) if keep]
    assert sorted(chosen) == sorted(set(pairs))
    first_left_out = torch.tensor([NAN, 1.0, 1.0]), torch.zeros(3).long(), torch.zeros(3).long()
    assert dedup(*first_left_out).tolist() == [False, True, False]


def test_filtration_weights_by_hand():
    """Scores 2 1 -1 0 and one left out, four scored. Squares 4 1 1 0 of 6; extremes 1 0 1 0 of 2; of 0.7."""
    r, g = torch.tensor([2.0, 1.0, -1.0, 0.0, NAN]), torch.zeros(5).long()
    close(filtration_weights(r, g), torch.tensor([4.0, 1.0, 1.0, 0.0, 0.0]) * 4 / 6)
    close(filtration_weights(r, g, power=1.0), torch.tensor([2.0, 1.0, 1.0, 0.0, 0.0]))
    close(filtration_weights(r, g, rule="max_min"), torch.tensor([2.0, 0.0, 2.0, 0.0, 0.0]))
    close(filtration_weights(r, g, rule="max_random"), torch.tensor([0.4, 0.1, 0.1, 0.1, 0.0]) * 4 / 0.7)


@pytest.mark.parametrize("rule", ["power", "max_min", "max_random"])
def test_filtration_weights_keep_each_groups_size_and_its_zeros(rule):
    r, g = ragged(4)
    weights = filtration_weights(r, g, rule=rule)
    for group, own in members(r, g).items():
        assert weights[g == group].sum().item() == pytest.approx(len(own))
    assert filtration_weights(torch.tensor([0.0, 0.0, NAN]), torch.zeros(3).long(), rule=rule).tolist() == [1, 1, 0]


def test_resample_draws_in_proportion_within_groups():
    """Weights 3, 1 and 0 of a group of 4, and 2 alone in another."""
    weights, ids = torch.tensor([3.0, 1.0, 0.0, 2.0]), torch.tensor([0, 0, 0, 7])
    counts = torch.zeros(4)
    for seed in range(500):
        drawn = resample(weights, ids, seed=seed)
        assert len(drawn) == 6 and (drawn == 3).sum() == 2
        counts += torch.bincount(drawn, minlength=4)
    assert counts[2] == 0 and abs(counts[0] / counts[1] - 3) < 0.4
    assert torch.equal(resample(weights, ids, seed=1), resample(weights, ids, seed=1))
    assert resample(torch.zeros(4), ids, seed=0).tolist() == []
    with pytest.raises(ValueError, match=r"a weight of -1\.0"):
        resample(-weights.clamp(max=1), ids, seed=0)


@pytest.mark.parametrize("rule", ["power", "max_min", "max_random"])
@pytest.mark.parametrize("seed", range(4))
def test_filtration_weights_against_loops(seed, rule):
    rewards, ids = ragged(seed, binary=seed % 2 == 1)
    rewards = rewards - 0.4  # of either sign
    found = filtration_weights(rewards, ids, rule=rule, power=1.5)
    for group, scored in members(rewards, ids).items():
        if rule == "power":
            shares = [abs(reward) ** 1.5 for reward in scored]
        elif rule == "max_min":
            shares = [float(reward in (max(scored), min(scored))) for reward in scored]
        else:
            shares = [0.4 if reward == max(scored) else 0.1 for reward in scored]
        wanted = [len(scored) * share / sum(shares) for share in shares]
        own = [weight for weight, r, i in zip(found, rewards, ids, strict=True) if i == group and r == r]
        assert [float(weight) for weight in own] == pytest.approx(wanted)
    assert not found[rewards.isnan()].any()


@pytest.mark.parametrize("seed", range(4))
def test_accuracy_between_against_loops(seed):
    rewards, ids = ragged(seed, binary=True)
    succeeded = rewards == 1
    for low, high in ((0.0, 1.0), (0.2, 0.8), (1 / 3, 2 / 3), (0.5, 1.0)):
        found = accuracy_between(rewards, ids, succeeded, accuracy_low=low, accuracy_high=high)
        shares = {group: Fraction(int(sum(own)), len(own)) for group, own in members(rewards, ids).items()}
        bounds = Fraction(low).limit_denominator(9), Fraction(high).limit_denominator(9)
        wanted = [r == r and bounds[0] <= shares[int(i)] <= bounds[1] for r, i in zip(rewards, ids, strict=True)]
        assert found.tolist() == [bool(kept) for kept in wanted]
