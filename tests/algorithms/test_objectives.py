"""Objectives: worked by hand, against slow references, gradients checked numerically and by enumeration."""

import itertools

import pytest
import reference
import torch
from torch.autograd import gradcheck

from verigrad.algorithms.advantages import group_centered, leave_one_out, raw_rewards
from verigrad.algorithms.objectives import ppo_clip, reinforce
from verigrad.algorithms.reductions import fixed_length, sequence_sum
from verigrad.algorithms.sequence_objectives import gspo
from verigrad.algorithms.supervised import cross_entropy

NAN, INF = float("nan"), float("inf")


def random_batch(seed, rows=4, tokens=6):
    """logprobs, old_logprobs, advantages (B,), ragged mask; float64."""
    rng = torch.Generator().manual_seed(seed)
    old = -torch.rand(rows, tokens, generator=rng, dtype=torch.float64) * 3
    new = old + 0.6 * torch.randn(rows, tokens, generator=rng, dtype=torch.float64)
    advantages = torch.randn(rows, generator=rng, dtype=torch.float64)
    lengths = torch.randint(0, tokens + 1, (rows, 1), generator=rng)
    return new, old, advantages, torch.arange(tokens) < lengths


def test_ppo_clip_by_hand():
    """Ratios 2, 0.5, 1.1 with A = 1: min(2, 1.2), min(0.5, 0.8), 1.1. With A = -1: max(2, 1.2), max(0.5, 0.8), 1.1."""
    logprobs = torch.tensor([[2.0, 0.5, 1.1]]).log().repeat(2, 1)
    loss = ppo_clip(logprobs, torch.zeros(2, 3), torch.tensor([1.0, -1.0]), torch.ones(2, 3).bool())
    torch.testing.assert_close(loss, torch.tensor([[-1.2, -0.5, -1.1], [2.0, 0.8, 1.1]]))


def test_separate_bounds_by_hand():
    """With bounds 0.1 below and 0.5 above, ratio 2 counts as 1.5 and ratio 0.5 as 0.9."""
    logprobs = torch.tensor([[2.0], [0.5]]).log()
    loss = ppo_clip(
        logprobs, torch.zeros(2, 1), torch.tensor([1.0, -1.0]), torch.ones(2, 1).bool(), clip_low=0.1, clip_high=0.5
    )
    torch.testing.assert_close(loss, torch.tensor([[-1.5], [0.9]]))


def test_dual_clip_by_hand():
    """Ratio 10 with A = -2: the loss would be 20 and is held at 3 * 2; a positive advantage is not touched."""
    logprobs = torch.tensor([[10.0], [10.0]]).log()
    advantages = torch.tensor([-2.0, 2.0])
    loss = ppo_clip(logprobs, torch.zeros(2, 1), advantages, torch.ones(2, 1).bool(), dual_clip=3.0)
    torch.testing.assert_close(loss, torch.tensor([[6.0], [-2.4]]))
    with pytest.raises(ValueError, match="more than 1"):
        ppo_clip(logprobs, torch.zeros(2, 1), advantages, torch.ones(2, 1).bool(), dual_clip=1.0)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dual_clip", [None, 1.5])
def test_ppo_clip_against_the_slow_reference(seed, dual_clip):
    new, old, advantages, mask = random_batch(seed)
    got = ppo_clip(new, old, advantages, mask, clip_low=0.15, clip_high=0.3, dual_clip=dual_clip)
    wanted = reference.ppo_clip(
        new.tolist(), old.tolist(), advantages.tolist(), mask.tolist(), 0.15, 0.3, dual_clip=dual_clip
    )
    torch.testing.assert_close(got, torch.tensor(wanted, dtype=torch.float64))


def test_reinforce_and_cross_entropy_by_hand():
    logprobs, mask = torch.tensor([[-1.0, -2.0], [-3.0, -4.0]]), torch.tensor([[True, True], [True, False]])
    assert reinforce(logprobs, torch.tensor([2.0, -1.0]), mask).tolist() == [[2.0, 4.0], [-3.0, 0.0]]
    assert cross_entropy(logprobs, mask).tolist() == [[1.0, 2.0], [3.0, 0.0]]


def gradient(function, logprobs):
    leaf = logprobs.clone().requires_grad_()
    function(leaf).sum().backward()
    return leaf.grad


def test_at_ratio_one_the_gradient_is_reinforces():
    new, _, advantages, mask = random_batch(1)
    torch.testing.assert_close(
        gradient(lambda x: ppo_clip(x, new, advantages, mask), new),
        gradient(lambda x: reinforce(x, advantages, mask), new),
    )


def test_reinforce_with_advantage_one_is_cross_entropy():
    new, _, _, mask = random_batch(2)
    torch.testing.assert_close(reinforce(new, torch.ones(4).double(), mask), cross_entropy(new, mask))


@pytest.mark.parametrize("seed", range(3))
def test_gradcheck(seed):
    new, old, advantages, mask = random_batch(seed)
    new.requires_grad_()
    assert gradcheck(lambda x: ppo_clip(x, old, advantages, mask), new)
    assert gradcheck(lambda x: ppo_clip(x, old, advantages, mask, dual_clip=1.3), new)
    assert gradcheck(lambda x: reinforce(x, advantages, mask), new)
    assert gradcheck(lambda x: cross_entropy(x, mask), new)


OBJECTIVES = {
    "ppo_clip": ppo_clip,
    "dual_clip": lambda *args: ppo_clip(*args, dual_clip=2.0),
    "reinforce": lambda new, old, advantages, mask: reinforce(new, advantages, mask),
    "cross_entropy": lambda new, old, advantages, mask: cross_entropy(new, mask),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_garbage_under_the_mask_neither_shows_nor_leaks(name):
    new, old, advantages, _ = random_batch(0)
    mask = torch.zeros(4, 6, dtype=torch.bool)
    mask[:, 1:3] = True
    clean = OBJECTIVES[name](new, old, advantages, mask)
    dirty_new, dirty_old = new.clone(), old.clone()
    dirty_new[:, 0], dirty_new[:, 3], dirty_new[:, 4] = -INF, NAN, INF
    dirty_old[:, 0], dirty_old[:, 3], dirty_old[:, 5] = -INF, -INF, NAN
    leaf = dirty_new.requires_grad_()
    loss = OBJECTIVES[name](leaf, dirty_old, advantages, mask)
    loss.sum().backward()
    assert torch.equal(loss.detach(), clean)
    assert leaf.grad.isfinite().all()
    assert leaf.grad[~mask].abs().max() == 0.0
    assert leaf.grad[mask].abs().max() > 0.0


@pytest.mark.parametrize("name", ["ppo_clip", "reinforce"])
def test_nan_advantages_under_the_mask_do_not_leak(name):
    new, old, _, mask = random_batch(0)
    advantages = torch.where(mask, 1.0, NAN).double()
    leaf = new.requires_grad_()
    loss = OBJECTIVES[name](leaf, old, advantages, mask)
    loss.sum().backward()
    assert loss.isfinite().all() and leaf.grad.isfinite().all()


@pytest.mark.parametrize("name", ["ppo_clip", "reinforce"])
def test_no_gradient_reaches_old_logprobs_or_advantages(name):
    new, old, advantages, mask = random_batch(0)
    for tensor in (new, old, advantages):
        tensor.requires_grad_()
    OBJECTIVES[name](new, old, advantages, mask).sum().backward()
    assert new.grad is not None and old.grad is None and advantages.grad is None


@pytest.mark.parametrize("name", OBJECTIVES)
def test_padding_and_permutation_change_nothing(name):
    new, old, advantages, mask = random_batch(6)
    whole = OBJECTIVES[name](new, old, advantages, mask)

    def pad(x):
        return torch.nn.functional.pad(x, (0, 3), value=x.dtype == torch.float64)

    padded = OBJECTIVES[name](pad(new), pad(old), advantages, pad(mask))
    assert torch.equal(padded[:, :6], whole) and padded[:, 6:].abs().max() == 0.0
    order = torch.tensor([2, 0, 3, 1])
    assert torch.equal(OBJECTIVES[name](new[order], old[order], advantages[order], mask[order]), whole[order])


# ------------------------------------------------------------------------------- exact policy gradient

SEQUENCES = torch.tensor(list(itertools.product([0, 1], repeat=2)))
REWARDS = torch.tensor([1.0, 0.0, 0.3, -0.4], dtype=torch.float64)


def tiny_policy():
    """Logits of a first token (2,) and of a second given the first (2, 2): four sequences, seven ways to go wrong."""
    rng = torch.Generator().manual_seed(3)
    return torch.randn(2, generator=rng, dtype=torch.float64), torch.randn(2, 2, generator=rng, dtype=torch.float64)


def sequence_logprobs(first, second):
    """Token log-probs (4, 2) of every sequence."""
    start, end = SEQUENCES.T
    return torch.stack([first.log_softmax(-1)[start], second.log_softmax(-1)[start, end]], dim=1)


def exact_gradient():
    """Of the expected reward, straight from its definition as a sum over all sequences."""
    parameters = [p.requires_grad_() for p in tiny_policy()]
    expected_reward = (sequence_logprobs(*parameters).sum(dim=1).exp() * REWARDS).sum()
    return torch.autograd.grad(expected_reward, parameters)


def expected_loss_gradient(advantage, objective, reduction, horizon=None):
    """Mean over all 16 groups of two samples, each weighted by its probability, of the loss's gradient."""
    parameters = [p.requires_grad_() for p in tiny_policy()]
    total = [torch.zeros_like(p) for p in parameters]
    ids, mask = torch.zeros(2).long(), torch.ones(2, 2).bool()
    for pair in itertools.product(range(4), repeat=2):
        chosen = torch.tensor(pair)
        logprobs = sequence_logprobs(*parameters)[chosen]
        probability = logprobs.sum().exp().item()
        weights = reduction(mask, torch.arange(2), ids, horizon=horizon)
        loss = (objective(logprobs, advantage(REWARDS[chosen], ids), mask) * weights).sum()
        for sum_, part in zip(total, torch.autograd.grad(loss, parameters), strict=True):
            sum_ += probability * part
    return total


@pytest.mark.parametrize("advantage", [leave_one_out, raw_rewards])
def test_the_expected_gradient_is_the_exact_policy_gradient(advantage):
    for got, exact in zip(expected_loss_gradient(advantage, reinforce, sequence_sum), exact_gradient(), strict=True):
        torch.testing.assert_close(got, -exact, rtol=1e-10, atol=1e-12)
        assert exact.abs().max() > 1e-2


def test_dr_grpo_is_the_policy_gradient_up_to_a_constant():
    """Centring keeps (n - 1) / n = 1/2 of the gradient, the fixed length divides by 5; ratio 1 makes the clip idle."""

    def objective(logprobs, advantages, mask):
        return ppo_clip(logprobs, logprobs.detach(), advantages, mask)

    gradients = expected_loss_gradient(group_centered, objective, fixed_length, horizon=5)
    for got, exact in zip(gradients, exact_gradient(), strict=True):
        torch.testing.assert_close(got, -exact / 2 / 5, rtol=1e-6, atol=1e-9)


def test_gspo_by_the_sum_is_one_clip_on_the_whole_rollouts_ratio():
    """Ratios 1.1 and 1.2 make 1.32, past 1.2: cut, in its value and its gradient. The mean's is 1.149, within."""
    new = torch.tensor([[1.1, 1.2]]).log().requires_grad_()
    given = (torch.zeros(1, 2), torch.ones(1), torch.ones(1, 2).bool(), torch.tensor([0]))
    by_sum = gspo(new, *given, clip_low=0.2, clip_high=0.2, ratio="sum")
    by_mean = gspo(new, *given, clip_low=0.2, clip_high=0.2)
    assert by_sum.tolist() == [pytest.approx([-1.2, -1.2])]
    assert by_mean.tolist() == [pytest.approx([-(1.32**0.5)] * 2)]
    assert torch.autograd.grad(by_sum.sum(), new)[0].tolist() == [[0.0, 0.0]]
    assert torch.autograd.grad(by_mean.sum(), new)[0].tolist() == [pytest.approx([-(1.32**0.5)] * 2)]
