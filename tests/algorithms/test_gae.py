"""Advantages per token and per turn: by hand, slow references, limits with a closed form, row cuts."""

import math
import random
from statistics import mean, stdev

import pytest
import torch

from verigrad.algorithms.advantages import leave_one_out
from verigrad.algorithms.gae import expand_turns, gae, length_adaptive_lambda, turn_leave_one_out, whiten_tokens

NAN, INF = float("nan"), float("inf")
close = torch.testing.assert_close


def random_step(seed, rows=6, tokens=7):
    """Rewards, values, a mask with gaps (tool output), rollouts in several rows, not in order; one row empty."""
    rng = torch.Generator().manual_seed(seed)
    rewards = torch.randn(rows, tokens, generator=rng, dtype=torch.float64)
    values = torch.randn(rows, tokens, generator=rng, dtype=torch.float64)
    mask = torch.rand(rows, tokens, generator=rng) < 0.6
    mask[4] = False
    return rewards, values, mask, torch.tensor([7, 2, 7, 5, 2, 2])[:rows]


def chains(mask, index):
    """(row, t) of each rollout's masked tokens, in order."""
    found = {}
    for row, rollout in enumerate(index.tolist()):
        for t in range(mask.shape[1]):
            if mask[row, t]:
                found.setdefault(rollout, []).append((row, t))
    return found


def slow_gae(rewards, values, mask, index, gamma, lam, last=None):
    """The sum over all later TD errors, from its definition, token by token."""
    advantages = torch.zeros_like(rewards)
    for rollout, places in chains(mask, index).items():
        v = [values[p].item() for p in places]
        end = 0.0 if last is None else last[max(r for r, i in enumerate(index.tolist()) if i == rollout)].item()
        v.append(end)
        delta = [rewards[p].item() + gamma * v[n + 1] - v[n] for n, p in enumerate(places)]
        own = lam[places[-1][0]].item() if isinstance(lam, torch.Tensor) else lam
        for n, place in enumerate(places):
            advantages[place] = sum((gamma * own) ** m * d for m, d in enumerate(delta[n:]))
    return advantages


def test_gae_by_hand():
    """Rewards 0 0 1, values 1/2 1/4 3/4, gamma 1/2, lambda 1/2. TD errors: 1/8 - 1/2 = -3/8, 3/8 - 1/4 = 1/8, 1/4.
    A_2 = 1/4, A_1 = 1/8 + 1/16 = 3/16, A_0 = -3/8 + 3/64 = -21/64."""
    rewards, values = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[0.5, 0.25, 0.75]])
    advantages, returns = gae(rewards, values, torch.ones(1, 3).bool(), gamma=0.5, gae_lambda=0.5)
    close(advantages, torch.tensor([[-21 / 64, 3 / 16, 1 / 4]]))
    close(returns, torch.tensor([[-21 / 64 + 1 / 2, 7 / 16, 1.0]]))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("gamma, lam", [(1.0, 1.0), (0.9, 0.95), (1.0, 0.0), (0.7, 0.3)])
def test_gae_against_the_slow_reference(seed, gamma, lam):
    rewards, values, mask, index = random_step(seed)
    last = torch.randn(6, generator=torch.Generator().manual_seed(seed + 99), dtype=torch.float64)
    for given in (None, last):
        advantages, returns = gae(
            rewards, values, mask, gamma=gamma, gae_lambda=lam, rollout_index=index, last_values=given
        )
        wanted = slow_gae(rewards, values, mask, index, gamma, lam, given)
        close(advantages, wanted)
        close(returns, (wanted + values) * mask)
    rowwise = torch.arange(6)
    close(
        gae(rewards, values, mask, gamma=gamma, gae_lambda=lam)[0],
        slow_gae(rewards, values, mask, rowwise, gamma, lam),
    )


def test_gamma_and_lambda_of_one_give_the_return_minus_the_value():
    rewards, values, mask, index = random_step(5)
    advantages, returns = gae(rewards, values, mask, rollout_index=index)
    for places in chains(mask, index).values():
        for n, place in enumerate(places):
            total = sum(rewards[p] for p in places[n:])
            close(advantages[place], total - values[place])
            close(returns[place], total)


def test_lambda_of_zero_gives_the_td_error_and_exact_values_give_zero_everywhere():
    rewards, values, mask, index = random_step(6)
    for places in chains(mask, index).values():
        for n, place in enumerate(places):
            values[place] = sum(rewards[p] for p in places[n:])
    for lam in (0.0, 0.5, 1.0):
        advantages, returns = gae(rewards, values, mask, gae_lambda=lam, rollout_index=index)
        close(advantages, torch.zeros_like(advantages), atol=1e-12, rtol=0)
        close(returns, values * mask)


def test_cutting_a_rollout_into_rows_and_stepping_over_tool_output_change_nothing():
    rewards, values, mask, index = random_step(7)
    whole = gae(rewards, values, mask, gamma=0.9, gae_lambda=0.8, rollout_index=index)
    one_token_rows = [x.reshape(-1, 1) for x in (rewards, values, mask)]
    cut = gae(*one_token_rows, gamma=0.9, gae_lambda=0.8, rollout_index=index.repeat_interleave(7))
    for got, wanted in zip(cut, whole, strict=True):
        close(got.reshape(6, 7), wanted)
    without = torch.zeros(1, 7).bool()
    without[0, [0, 3, 6]] = True
    sparse = gae(rewards[:1], values[:1], without, gamma=0.9, gae_lambda=0.8)
    dense = gae(rewards[:1, [0, 3, 6]], values[:1, [0, 3, 6]], torch.ones(1, 3).bool(), gamma=0.9, gae_lambda=0.8)
    for got, wanted in zip(sparse, dense, strict=True):
        close(got[:, [0, 3, 6]], wanted)


def test_rollouts_may_come_in_any_order_but_their_rows_keep_theirs():
    rewards, values, mask, index = random_step(8)
    order = torch.tensor([3, 1, 0, 4, 2, 5])  # 2 2 2 and 7 7 stay in order
    whole = gae(rewards, values, mask, gae_lambda=0.5, rollout_index=index)
    moved = gae(rewards[order], values[order], mask[order], gae_lambda=0.5, rollout_index=index[order])
    for got, wanted in zip(moved, whole, strict=True):
        close(got, wanted[order])


def test_garbage_under_the_mask_does_not_show():
    rewards, values, mask, index = random_step(9)
    clean = gae(rewards, values, mask, gae_lambda=0.5, rollout_index=index)
    dirty = gae(
        rewards.masked_fill(~mask, NAN), values.masked_fill(~mask, INF), mask, gae_lambda=0.5, rollout_index=index
    )
    for got, wanted in zip(dirty, clean, strict=True):
        assert torch.equal(got, wanted)
    nothing = gae(rewards, values, torch.zeros_like(mask), rollout_index=index)
    assert nothing[0].abs().max() == 0.0 and nothing[1].abs().max() == 0.0


def test_no_gradient_reaches_the_critic_through_its_targets():
    rewards, values, mask, index = random_step(10)
    for tensor in gae(rewards, values.requires_grad_(), mask, rollout_index=index):
        assert not tensor.requires_grad


def test_the_critics_lambda_only_changes_the_returns():
    rewards, values, mask, index = random_step(11)
    advantages, returns = gae(rewards, values, mask, gae_lambda=0.9, critic_lambda=1.0, rollout_index=index)
    close(advantages, slow_gae(rewards, values, mask, index, 1.0, 0.9))
    close(returns, (slow_gae(rewards, values, mask, index, 1.0, 1.0) + values) * mask)


def test_length_adaptive_lambda_by_hand():
    """100 tokens: 1 - 1 / (0.05 * 100) = 0.8; 20 tokens in two rows: 0; 10 tokens: below 0, so 0."""
    lengths = torch.tensor([100, 15, 10, 5])
    mask = torch.arange(100) < lengths[:, None]
    got = length_adaptive_lambda(mask, torch.tensor([0, 1, 2, 1]))
    close(got, torch.tensor([0.8, 0.0, 0.0, 0.0]))
    close(length_adaptive_lambda(mask, torch.tensor([0, 1, 2, 1]), alpha=0.1)[1], torch.tensor(0.5))
    close(length_adaptive_lambda(mask)[1], torch.tensor(0.0))
    with pytest.raises(ValueError, match="alpha=0"):
        length_adaptive_lambda(mask, alpha=0.0)


def test_lambda_may_differ_by_rollout():
    rewards, values, mask, index = random_step(12)
    lam = length_adaptive_lambda(mask, index, alpha=0.5)
    assert len(set(lam.tolist())) > 2
    wanted = slow_gae(rewards, values, mask, index, 0.9, lam.double())
    close(gae(rewards, values, mask, gamma=0.9, gae_lambda=lam, rollout_index=index)[0], wanted, rtol=1e-6, atol=1e-6)
    got = gae(rewards, values, mask, gamma=0.9, alpha=0.5, rollout_index=index)[0]
    close(got, wanted, rtol=1e-6, atol=1e-6)


def test_whiten_tokens_against_the_standard_library():
    rewards, _, mask, index = random_step(13)
    tokens = rewards[mask].tolist()
    wanted = torch.where(mask, (rewards - mean(tokens)) / (stdev(tokens) + 1e-8), 0.0)
    close(whiten_tokens(rewards.masked_fill(~mask, NAN), mask), wanted)
    close(whiten_tokens(rewards, mask, keep_mean=True), torch.where(mask, wanted + mean(tokens), 0.0))
    advantages, returns = gae(rewards, rewards.sin(), mask, whiten=True, rollout_index=index)
    plain = gae(rewards, rewards.sin(), mask, rollout_index=index)
    close(advantages, whiten_tokens(plain[0], mask))
    close(returns, plain[1])


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e6 + 0.1])
def test_equal_values_whiten_to_exactly_zero(value):
    mask = torch.ones(3, 7).bool()
    assert whiten_tokens(torch.full((3, 7), value), mask).abs().max() == 0.0
    assert whiten_tokens(torch.full((3, 7), value), ~mask).abs().max() == 0.0


# -------------------------------------------------------------------------------------------------- turns


def random_turns(seed):
    """Rewards of 1 to 4 turns, NaN after them; one rollout left out, one alone in its group."""
    rng = random.Random(seed)
    ids = [0, 1, 0, 1, 0, 1, 9, 0]
    table = [[rng.random() if k < turns else NAN for k in range(4)] for turns in (rng.randint(1, 4) for _ in ids)]
    table[4] = [NAN] * 4
    return table, ids


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("ended", ["left_out", "zero"])
def test_turn_leave_one_out_against_the_slow_reference(seed, ended):
    table, ids = random_turns(seed)

    def going(i, k):
        """Return from turn k on; None where it does not count."""
        if math.isnan(table[i][0]) or (ended == "left_out" and math.isnan(table[i][k])):
            return None
        return sum(0.5 ** (j - k) * table[i][j] for j in range(k, 4) if not math.isnan(table[i][j]))

    wanted = torch.zeros(len(ids), 4, dtype=torch.float64)
    for i in range(len(ids)):
        for k in range(4):
            others = [going(j, k) for j in range(len(ids)) if j != i and ids[j] == ids[i]]
            others = [value for value in others if value is not None]
            if not math.isnan(table[i][k]) and others:
                wanted[i, k] = going(i, k) - mean(others)
    got = turn_leave_one_out(torch.tensor(table, dtype=torch.float64), torch.tensor(ids), gamma=0.5, ended=ended)
    close(got, wanted)


def test_one_turn_is_leave_one_out():
    rewards, ids = torch.tensor([1.0, 0.0, 0.25, NAN, 0.5]), torch.tensor([0, 0, 0, 0, 1])
    close(turn_leave_one_out(rewards[:, None], ids)[:, 0], leave_one_out(rewards, ids))


def test_a_turn_that_one_rollout_alone_reached():
    """Rollout 0 ended after a turn worth 1. Turn 2 of the other, worth 0.5, has nothing to be compared with, or 0."""
    rewards, ids = torch.tensor([[1.0, NAN], [0.0, 0.5]]), torch.tensor([0, 0])
    close(turn_leave_one_out(rewards, ids), torch.tensor([[0.5, 0.0], [-0.5, 0.0]]))
    close(turn_leave_one_out(rewards, ids, ended="zero"), torch.tensor([[0.5, 0.0], [-0.5, 0.5]]))


def test_expand_turns_by_hand():
    per_turn = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    turns = torch.tensor([[0, 1, 99], [1, -7, 0]])
    mask = torch.tensor([[True, True, False], [True, False, True]])
    assert expand_turns(per_turn, torch.tensor([1, 0]), turns, mask).tolist() == [[3.0, 4.0, 0.0], [2.0, 0.0, 1.0]]
    with pytest.raises(ValueError, match="turns 0 to 99, wanted 0 to 1"):
        expand_turns(per_turn, torch.tensor([1, 0]), turns.abs(), torch.ones(2, 3).bool())
