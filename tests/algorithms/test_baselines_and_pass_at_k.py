"""Baselines, pass@k, several rewards: worked by hand, against slow references, identities and invariances."""

import itertools
import math
import random
from statistics import mean

import pytest
import torch

from verigrad.algorithms.advantages import (
    best_minus_second,
    greedy_baseline,
    group_centered,
    group_centered_batch_whitened,
    group_normalized,
    leave_one_out,
    optimal_baseline,
    pass_at_k_advantage,
    raw_rewards,
    running_baseline,
    separately_normalized,
)

NAN = float("nan")
close = torch.testing.assert_close


def ragged(seed, binary=False):
    """Rewards in float64 with left-out rollouts, lengths, in groups of 1 to 6 of mixed order and odd ids."""
    rng = random.Random(seed)
    ids = [group * 7 - 3 for group in range(7) for _ in range(rng.randint(1, 6))]
    rng.shuffle(ids)
    values = [0.0, 1.0] if binary else [0.0, 1.0, rng.random(), -rng.random()]
    rewards = [NAN if rng.random() < 0.15 else rng.choice(values) for _ in ids]
    lengths = [rng.randint(1, 40) for _ in ids]
    return doubles(rewards), torch.tensor(ids), torch.tensor(lengths)


def doubles(values):
    return torch.tensor(values, dtype=torch.float64)


def peers(rewards, ids, i):
    """Indices of the scored rollouts in the group of i."""
    return [j for j in range(len(ids)) if ids[j] == ids[i] and not math.isnan(rewards[j])]


ESTIMATORS = {
    "optimal": optimal_baseline,
    "centered_whitened": lambda r, g, n: group_centered_batch_whitened(r, g),
    "centered_whitened_tokens": lambda r, g, n: group_centered_batch_whitened(r, g, n, over="tokens"),
    "separately": lambda r, g, n: separately_normalized(torch.stack([r, (3 * r).sin()], dim=1), g),
    "best_minus_second": lambda r, g, n: best_minus_second(r, g),
    "pass_at_2": lambda r, g, n: pass_at_k_advantage(torch.where(r.isnan(), r, (r > 0.5).double()), g, k=2),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_nan_reward_gets_zero_and_moves_nobody(name):
    r, g, n = ragged(2)
    kept = ~r.isnan()
    got = ESTIMATORS[name](r, g, n)
    assert got[~kept].tolist() == [0.0] * int((~kept).sum())
    close(got[kept], ESTIMATORS[name](r[kept], g[kept], n[kept]))
    assert got.abs().max() > 0.1


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_group_of_one_has_advantage_zero_and_enters_no_statistic(name):
    r, g, n = ragged(3)
    alone = doubles([0.7, NAN, 0.2]), torch.tensor([900, 901, 901]), torch.tensor([5, 6, 7])
    got = ESTIMATORS[name](*(torch.cat(pair) for pair in zip((r, g, n), alone, strict=True)))
    assert got[-3:].tolist() == [0.0, 0.0, 0.0]
    close(got[:-3], ESTIMATORS[name](r, g, n))


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e6 + 0.1])
def test_equal_rewards_give_exactly_zero(name, value):
    got = ESTIMATORS[name](torch.full((7,), value), torch.tensor([0, 0, 0, 0, 1, 1, 1]), torch.arange(1, 8))
    assert got.abs().max() == 0.0


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_order_of_rollouts_does_not_matter(name):
    r, g, n = ragged(4)
    order = torch.randperm(len(r), generator=torch.Generator().manual_seed(0))
    close(ESTIMATORS[name](r[order], g[order], n[order]), ESTIMATORS[name](r, g, n)[order])


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_empty_batch_stays_empty(name):
    empty = torch.zeros(0)
    assert ESTIMATORS[name](empty, empty.long(), empty.long()).tolist() == []


# --------------------------------------------------------------------------------------------- baselines


def test_greedy_baseline_by_hand():
    """Also with one rollout per prompt; without a greedy reward there is nothing to compare with."""
    got = greedy_baseline(doubles([1.0, 0.5, NAN, 1.0]), torch.tensor([0, 1, 2, 3]), doubles([0.5, 1.0, 1.0, NAN]))
    assert got.tolist() == [0.5, -0.5, 0.0, 0.0]
    r, g, _ = ragged(1)
    close(greedy_baseline(r, g, torch.zeros_like(r)), raw_rewards(r, g))


@pytest.mark.parametrize("seed", range(4))
def test_optimal_baseline_against_the_slow_reference(seed):
    r, g, n = ragged(seed)
    rewards, ids, lengths = r.tolist(), g.tolist(), n.tolist()
    wanted = []
    for i, reward in enumerate(rewards):
        own = peers(rewards, ids, i)
        if math.isnan(reward) or len(own) < 2:
            wanted.append(0.0)
            continue
        wanted.append(reward - sum(lengths[j] * rewards[j] for j in own) / sum(lengths[j] for j in own))
    close(optimal_baseline(r, g, n), doubles(wanted))


def test_with_equal_lengths_the_optimal_baseline_is_the_mean():
    r, g, n = ragged(5)
    close(optimal_baseline(r, g, torch.full_like(n, 9)), group_centered(r, g))
    assert optimal_baseline(r, g, torch.zeros_like(n)).abs().max() == 0.0


def test_running_baseline_by_hand_over_two_steps():
    """Key 0 sees 1 and 0 (mean 1/2), key 1 nothing, key 2 one; then 0.9 * 0 + 0.1 * mean."""
    state = torch.zeros(3, dtype=torch.float64)
    rewards, keys = doubles([1.0, 0.0, NAN, 1.0]), torch.tensor([0, 0, 1, 2])
    first, state = running_baseline(rewards, keys, state, decay=0.9)
    assert first.tolist() == [1.0, 0.0, 0.0, 1.0]
    close(state, doubles([0.05, 0.0, 0.1]))
    second, state = running_baseline(rewards, keys, state, decay=0.9)
    close(second, doubles([0.95, -0.05, 0.0, 0.9]))
    close(state, doubles([0.9 * 0.05 + 0.05, 0.0, 0.9 * 0.1 + 0.1]))
    with pytest.raises(ValueError, match="averages 0 to 2, wanted 0 to 1"):
        running_baseline(rewards, keys, state[:2])


def test_a_running_baseline_settles_at_the_mean_reward():
    state, keys = torch.zeros(2, dtype=torch.float64), torch.tensor([0, 0, 1])
    for _ in range(400):
        advantages, state = running_baseline(doubles([1.0, 0.0, 0.25]), keys, state)
    close(state, doubles([0.5, 0.25]))
    close(advantages, doubles([0.5, -0.5, 0.0]))


# ------------------------------------------------------------------------------------ over the whole batch


def slow_whitened(rewards, ids, weights, eps, ddof):
    """Centre in the group; mean and deviation over copies of each value, `weights` of them."""
    centered = {}
    for i, reward in enumerate(rewards):
        own = peers(rewards, ids, i)
        if not math.isnan(reward) and len(own) > 1:
            centered[i] = reward - mean(rewards[j] for j in own)
    copies = [value for i, value in centered.items() for _ in range(weights[i])]
    middle = mean(copies)
    std = math.sqrt(sum((value - middle) ** 2 for value in copies) / (len(copies) - ddof))
    return [(centered[i] - middle) / (std + eps) if i in centered else 0.0 for i in range(len(rewards))]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("ddof", [0, 1])
def test_group_centered_batch_whitened_against_the_slow_reference(seed, ddof):
    r, g, n = ragged(seed)
    rewards, ids = r.tolist(), g.tolist()
    got = group_centered_batch_whitened(r, g, n, eps=1e-3, ddof=ddof)
    close(got, doubles(slow_whitened(rewards, ids, [1] * len(ids), 1e-3, ddof)))
    got = group_centered_batch_whitened(r, g, n, over="tokens", eps=1e-3, ddof=ddof)
    close(got, doubles(slow_whitened(rewards, ids, n.tolist(), 1e-3, ddof)))


def test_group_centered_batch_whitened_has_variance_one_and_keeps_the_groups_order():
    r, g, _ = ragged(6)
    got = group_centered_batch_whitened(r, g, eps=0.0)
    counted = torch.tensor([len(peers(r.tolist(), g.tolist(), i)) > 1 for i in range(len(r))]) & ~r.isnan()
    close(got[counted].var(), torch.tensor(1.0, dtype=torch.float64))
    centered = group_centered(r, g)
    close(got / got.abs().max(), centered / centered.abs().max())
    with pytest.raises(ValueError, match="got no lengths"):
        group_centered_batch_whitened(r, g, over="tokens")


def test_gdpo_tells_combinations_apart_that_the_sum_does_not():
    """Rewards (1, 0) and (0, 1) of very different spread: the sum is 1 for both."""
    columns = doubles([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    ids = torch.zeros(6).long()
    of_sum = group_normalized(columns.sum(1), ids)
    assert of_sum[0] == of_sum[1]
    got = separately_normalized(columns, ids)
    assert got[0] > got[1] + 0.1


@pytest.mark.parametrize("seed", range(3))
def test_separately_normalized_against_its_definition(seed):
    r, g, _ = ragged(seed)
    other = torch.where(r.isnan(), 0.5, (5 * r).cos())
    columns, weights = torch.stack([r, other], dim=1), doubles([2.0, -0.5])
    left_out = r.isnan()
    masked_other = other.masked_fill(left_out, NAN)
    total = (2 * group_normalized(r, g) - 0.5 * group_normalized(masked_other, g)).tolist()
    counted = [i for i in range(len(r)) if not left_out[i] and len(peers(r.tolist(), g.tolist(), i)) > 1]
    std = torch.tensor([total[i] for i in counted], dtype=torch.float64).std().item()
    wanted = [total[i] / (std + 1e-4) if i in counted else 0.0 for i in range(len(r))]
    close(separately_normalized(columns, g, weights=weights), doubles(wanted))


def test_one_reward_alone_separately_normalized_is_group_normalized_then_whitened():
    r, g, _ = ragged(7)
    alone = group_normalized(r, g)
    got = separately_normalized(r.unsqueeze(1), g)
    close(got / got.abs().max(), alone / alone.abs().max())
    with pytest.raises(ValueError, match=r"wanted \(K,\) = \(1,\)"):
        separately_normalized(r.unsqueeze(1), g, weights=torch.ones(2))


# ------------------------------------------------------------------------------------------------- pass@k


def slow_pass_at_k(group, k, normalize):
    """Chen et al.'s construction: every k-subset is a sample whose reward is its best member's; a rollout's advantage
    is the mean over the subsets it is in of (reward - mean) / std, mean and std over all subsets."""
    subsets = list(itertools.combinations(range(len(group)), k))
    best = [max(group[i] for i in subset) for subset in subsets]
    middle = mean(best)
    std = math.sqrt(mean((value - middle) ** 2 for value in best)) if normalize else 1.0
    if std == 0:
        return [0.0] * len(group)
    return [
        mean((value - middle) / std for value, subset in zip(best, subsets, strict=True) if i in subset)
        for i in range(len(group))
    ]


@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("normalize", [True, False])
def test_pass_at_k_is_the_mean_over_all_subsets(k, normalize):
    for size in range(max(k, 2), 7):
        for passes in range(size + 1):
            group = [1.0] * passes + [0.0] * (size - passes)
            got = pass_at_k_advantage(doubles(group), torch.zeros(size).long(), k=k, normalize=normalize)
            close(got, doubles(slow_pass_at_k(group, k, normalize)), rtol=1e-9, atol=1e-12)


def test_pass_at_k_papers_two_cases_by_hand():
    """n = 4, one pass, k = 2: R = 1 - C(3,2)/C(4,2) = 1/2, std 1/2; pass (1 - 1/2) / (1/2) = 1; failure
    (1 - 1/2 - C(2,1)/C(3,1)) / (1/2) = (1/2 - 2/3) * 2 = -1/3."""
    got = pass_at_k_advantage(doubles([1.0, 0.0, 0.0, 0.0]), torch.zeros(4).long(), k=2)
    close(got, doubles([1.0, -1 / 3, -1 / 3, -1 / 3]))


def test_pass_at_1_is_group_normalized():
    r, g, _ = ragged(8, binary=True)
    close(pass_at_k_advantage(r, g, k=1), group_normalized(r, g, eps=0.0, ddof=0))
    close(pass_at_k_advantage(r, g, k=1, normalize=False), group_centered(r, g))


def test_pass_at_k_needs_k_scored_rollouts_and_binary_rewards():
    r, g = doubles([1.0, 0.0, NAN, 0.0]), torch.zeros(4).long()
    assert pass_at_k_advantage(r, g, k=4).abs().max() == 0.0
    assert pass_at_k_advantage(r, g, k=2).abs().max() > 0.5
    with pytest.raises(ValueError, match=r"a reward of 0\.5, wanted 0 or 1"):
        pass_at_k_advantage(doubles([0.5, 1.0]), g[:2], k=1)
    with pytest.raises(ValueError, match="k=0"):
        pass_at_k_advantage(r, g, k=0)


@pytest.mark.parametrize("seed", range(4))
def test_best_minus_second_is_the_leave_one_out_advantage_of_the_maximum(seed):
    """A_i = best of all - best of the others, which is 0 for all but a single best."""
    r, g, _ = ragged(seed)
    rewards, ids = r.tolist(), g.tolist()
    wanted, stds = [], []
    for i, reward in enumerate(rewards):
        own = peers(rewards, ids, i)
        others = [rewards[j] for j in own if j != i]
        wanted.append(0.0 if math.isnan(reward) or not others else max(*others, reward) - max(others))
        center = mean(rewards[j] for j in own) if own else 0.0
        stds.append(math.sqrt(sum((rewards[j] - center) ** 2 for j in own) / max(len(own) - 1, 1)))
    close(best_minus_second(r, g, normalize=False), doubles(wanted))
    close(best_minus_second(r, g), doubles([a / (s + 1e-6) for a, s in zip(wanted, stds, strict=True)]))


def test_of_two_rollouts_best_minus_second_is_the_better_half_of_leave_one_out():
    r, g = doubles([0.25, 1.0]), torch.zeros(2).long()
    close(best_minus_second(r, g, normalize=False), leave_one_out(r, g).clamp(min=0))
