"""Advantages: worked by hand, against slow references, identities and invariances."""

import math
import random

import pytest
import reference
import torch

from verigrad.algorithms.advantages import (
    batch_whitened,
    group_centered,
    group_centered_batch_whitened,
    group_normalized,
    leave_one_out,
    mean_normalized,
    raw_rewards,
)
from verigrad.algorithms.selection import has_signal

NAN = float("nan")
GROUP_ESTIMATORS = [group_normalized, group_centered, leave_one_out, mean_normalized]


def ragged(seed):
    """Rewards in float64 with left-out rollouts, in groups of 1 to 6 of mixed order and odd ids."""
    rng = random.Random(seed)
    ids = [group * 7 - 3 for group in range(6) for _ in range(rng.randint(1, 6))]
    rng.shuffle(ids)
    rewards = [NAN if rng.random() < 0.15 else rng.choice([0.0, 1.0, rng.random()]) for _ in ids]
    return rewards, ids


def tensors(rewards, ids):
    return torch.tensor(rewards, dtype=torch.float64), torch.tensor(ids)


def test_group_normalized_by_hand():
    """Rewards 1 0 0: mean 1/3, squares 4/9 + 1/9 + 1/9 = 6/9, sample std sqrt(1/3), so 2/3 / sqrt(1/3) = 2/sqrt(3)."""
    got = group_normalized(torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0, 0, 0]), eps=0.0)
    torch.testing.assert_close(got, torch.tensor([2.0, -1.0, -1.0]) / math.sqrt(3))


def test_a_nan_reward_gets_zero_and_moves_nobody():
    """Without the middle one the group is 1 and 0: mean 0.5."""
    rewards, ids = torch.tensor([1.0, NAN, 0.0]), torch.tensor([4, 4, 4])
    assert group_centered(rewards, ids).tolist() == [0.5, 0.0, -0.5]
    assert leave_one_out(rewards, ids).tolist() == [1.0, 0.0, -1.0]
    assert mean_normalized(rewards, ids).tolist() == [1.0, 0.0, -1.0]
    assert raw_rewards(rewards, ids).tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("estimator", GROUP_ESTIMATORS)
def test_a_group_of_one_has_advantage_zero_also_when_the_others_are_left_out(estimator):
    advantages = estimator(torch.tensor([0.7, 0.3, NAN, NAN]), torch.tensor([0, 1, 1, 2]))
    assert advantages.tolist() == [0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("estimator", [group_normalized, group_centered, leave_one_out, batch_whitened])
@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e6 + 0.1])
def test_equal_rewards_give_exactly_zero(estimator, value):
    """Rounding in the mean must not be blown up by a tiny standard deviation."""
    assert estimator(torch.full((7,), value), torch.zeros(7).long()).abs().max() == 0.0


@pytest.mark.parametrize("seed", range(5))
def test_slow_references(seed):
    rewards, ids = ragged(seed)
    r, g = tensors(rewards, ids)
    for got, wanted in [
        (group_centered(r, g), reference.group_centered(rewards, ids)),
        (leave_one_out(r, g), reference.leave_one_out(rewards, ids)),
        (mean_normalized(r, g), reference.mean_normalized(rewards, ids)),
        (group_normalized(r, g, eps=1e-4, ddof=1), reference.group_normalized(rewards, ids, 1e-4, 1)),
        (group_normalized(r, g, eps=1e-6, ddof=0), reference.group_normalized(rewards, ids, 1e-6, 0)),
        (batch_whitened(r, g, eps=1e-4, ddof=1), reference.batch_whitened(rewards, 1e-4, 1)),
    ]:
        torch.testing.assert_close(got, torch.tensor(wanted, dtype=torch.float64))
    assert has_signal(r, g).tolist() == reference.has_signal(rewards, ids)


def test_leave_one_out_is_centered_times_n_over_n_minus_one():
    r, g = tensors([1.0, 0.0, 0.25, 0.5, 1.0], [0, 0, 0, 0, 0])
    torch.testing.assert_close(leave_one_out(r, g), group_centered(r, g) * 5 / 4)


def test_binary_mean_normalized_is_centered_over_pass_rate():
    r, g = tensors([1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0], [0, 0, 0, 0, 1, 1, 1, 1])
    pass_rate = torch.tensor([0.25] * 4 + [0.75] * 4, dtype=torch.float64)
    torch.testing.assert_close(mean_normalized(r, g), group_centered(r, g) / pass_rate)


@pytest.mark.parametrize("estimator", [group_normalized, group_centered, leave_one_out])
def test_adding_a_constant_to_a_groups_rewards_changes_nothing(estimator):
    rewards, ids = ragged(11)
    r, g = tensors(rewards, ids)
    shifted = r + torch.where(g == ids[0], 3.5, -1.25).double()
    torch.testing.assert_close(estimator(shifted, g), estimator(r, g))


@pytest.mark.parametrize("estimator", [*GROUP_ESTIMATORS, batch_whitened])
def test_the_order_of_rollouts_does_not_matter(estimator):
    r, g = tensors(*ragged(3))
    order = torch.randperm(len(r), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(estimator(r[order], g[order]), estimator(r, g)[order])


@pytest.mark.parametrize("estimator", GROUP_ESTIMATORS)
def test_other_groups_do_not_matter(estimator):
    r, g = tensors(*ragged(5))
    own = g == g[0]
    torch.testing.assert_close(estimator(r[own], g[own]), estimator(r, g)[own])


def test_whitened_advantages_have_mean_zero_and_variance_one():
    r, g = tensors(*ragged(8))
    kept = batch_whitened(r, g, eps=0.0)[~r.isnan()]
    torch.testing.assert_close(kept.mean(), torch.tensor(0.0, dtype=torch.float64))
    torch.testing.assert_close(kept.var(), torch.tensor(1.0, dtype=torch.float64))


def test_an_empty_batch_stays_empty():
    assert group_normalized(torch.zeros(0), torch.zeros(0).long()).tolist() == []


def test_integer_rewards_and_negative_rewards_are_refused_where_they_make_no_sense():
    with pytest.raises(TypeError, match=r"rewards\.float\(\)"):
        group_centered(torch.tensor([1, 0]), torch.tensor([0, 0]))
    with pytest.raises(ValueError, match=r"got a reward of -0\.5"):
        mean_normalized(torch.tensor([1.0, -0.5]), torch.tensor([0, 0]))


@pytest.mark.parametrize(
    ("chance", "alike"), [(0.05, {4: 0.815, 8: 0.663, 16: 0.440}), (0.02, {4: 0.922, 8: 0.851, 16: 0.724})]
)
def test_how_many_groups_have_no_signal(chance, alike):
    """All successes or all failures: p ** G + (1 - p) ** G of the groups, worked by hand for G = 4, 8, 16.

    0.95 ** 4 = 0.8145, 0.95 ** 8 = 0.6634, 0.95 ** 16 = 0.4401; 0.98 ** 4 = 0.9224, 0.98 ** 8 = 0.8508 and
    0.98 ** 16 = 0.7238; p ** 4 adds 0.000006 at most. Here every outcome of a group, with its probability.
    """
    for size, wanted in alike.items():
        outcomes = torch.arange(2**size)[:, None] >> torch.arange(size) & 1
        chances = torch.where(outcomes == 1, chance, 1 - chance).double().prod(1)
        groups = torch.arange(2**size).repeat_interleave(size)
        signal = has_signal(outcomes.double().flatten(), groups).view(-1, size).any(1)
        assert float(chances[~signal].sum()) == pytest.approx(wanted, abs=6e-4)
        assert float(chances.sum()) == pytest.approx(1.0)


def test_has_signal_looks_at_the_range_and_needs_two():
    rewards = torch.tensor([0.5, 0.5, 0.5 + 1e-9, 1.0, NAN, 1.0, 0.0, NAN])
    ids = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2])
    assert has_signal(rewards.double(), ids).tolist() == [False, False, False, False, False, True, True, False]


def test_centring_over_the_deviation_of_all_rewards_is_that_of_how_tasks_differ_too():
    """Rewards 0, 1 and 4, 5: centred -0.5 and 0.5 each; their deviation about 2.5 is sqrt(17 / 3)."""
    found = group_centered_batch_whitened(
        torch.tensor([0.0, 1.0, 4.0, 5.0]), torch.tensor([0, 0, 1, 1]), std_of="rewards", eps=0.0
    )
    assert found.tolist() == pytest.approx([-0.5 / (17 / 3) ** 0.5, 0.5 / (17 / 3) ** 0.5] * 2)
    with pytest.raises(ValueError, match="over rollouts"):
        group_centered_batch_whitened(found, torch.tensor([0, 0, 1, 1]), over="tokens", std_of="rewards")
