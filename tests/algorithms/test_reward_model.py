"""Reward-model losses, implicit process rewards, the cost multiplier, and the metrics of scores against verdicts."""

import itertools
import math

import pytest
import torch
from torch.autograd import gradcheck

from verigrad.algorithms.preference import dpo
from verigrad.algorithms.reward_model import (
    bradley_terry,
    centering,
    cost_lagrangian,
    implicit_prm,
    implicit_prm_loss,
    regression,
    update_multiplier,
    verdict_cross_entropy,
)
from verigrad.algorithms.score_metrics import (
    auc,
    expected_calibration_error,
    length_bias,
    pair_accuracy,
    rank_correlation,
    ranks,
)

NAN, INF = float("nan"), float("inf")


def t(*values):
    return torch.tensor(values, dtype=torch.float64)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def random_scores(seed, size=6):
    """Two vectors of scores, margins, and shares passed in [0, 1]."""
    rng = torch.Generator().manual_seed(seed)
    chosen, rejected = torch.randn(2, size, generator=rng, dtype=torch.float64) * 2
    margins, shares = torch.rand(2, size, generator=rng, dtype=torch.float64)
    return chosen, rejected, margins, shares


def random_tokens(seed, rows=4, tokens=6):
    rng = torch.Generator().manual_seed(seed)
    ref = -3 * torch.rand(rows, tokens, generator=rng, dtype=torch.float64)
    policy = ref + torch.randn(rows, tokens, generator=rng, dtype=torch.float64)
    mask = torch.arange(tokens) < torch.randint(0, tokens + 1, (rows, 1), generator=rng)
    return policy, ref, mask, torch.rand(rows, generator=rng, dtype=torch.float64)


# -------------------------------------------------------------------------------------------------------- losses


@pytest.mark.parametrize("seed", range(3))
def test_losses_against_slow_references(seed):
    chosen, rejected, margins, shares = random_scores(seed)
    pairs = list(zip(chosen.tolist(), rejected.tolist(), margins.tolist(), shares.tolist(), strict=True))
    wanted = {
        "plain": [-math.log(sigmoid(c - r)) for c, r, _, _ in pairs],
        "margin": [-math.log(sigmoid(c - r - m)) for c, r, m, _ in pairs],
        "number": [-math.log(sigmoid(c - r - 0.5)) for c, r, _, _ in pairs],
        "center": [(c + r) ** 2 for c, r, _, _ in pairs],
        "regression": [(c - s) ** 2 for c, _, _, s in pairs],
        "verdict": [-s * math.log(sigmoid(c)) - (1 - s) * math.log(1 - sigmoid(c)) for c, _, _, s in pairs],
    }
    got = {
        "plain": bradley_terry(chosen, rejected),
        "margin": bradley_terry(chosen, rejected, margin=margins),
        "number": bradley_terry(chosen, rejected, margin=0.5),
        "center": centering(chosen, rejected),
        "regression": regression(chosen, shares),
        "verdict": verdict_cross_entropy(chosen, shares),
    }
    for name, loss in got.items():
        torch.testing.assert_close(loss, t(*wanted[name]), msg=name)


def test_losses_by_hand():
    """s(log 3) = 3/4: losses log(4/3) for what came true, log 4 for what did not, their mean for an even verdict."""
    log3 = math.log(3)
    right, wrong = math.log(4 / 3), math.log(4)
    assert bradley_terry(t(1 + log3, 1.0), t(1.0, 1 + log3)).tolist() == pytest.approx([right, wrong])
    assert bradley_terry(t(2.0), t(1.0), margin=1 - log3).item() == pytest.approx(right)
    assert verdict_cross_entropy(t(log3, log3), torch.tensor([True, False])).tolist() == pytest.approx([right, wrong])
    assert verdict_cross_entropy(t(log3), t(0.5)).item() == pytest.approx((right + wrong) / 2)
    assert regression(t(0.25, 2.0), t(1.0, 1.0)).tolist() == [0.5625, 1.0]
    assert centering(t(2.0), t(-0.5)).item() == 2.25


@pytest.mark.parametrize("seed", range(2))
def test_gradcheck(seed):
    chosen, rejected, margins, shares = random_scores(seed)
    chosen.requires_grad_(), rejected.requires_grad_()
    assert gradcheck(lambda c, r: bradley_terry(c, r, margin=margins), [chosen, rejected])
    assert gradcheck(centering, [chosen, rejected])
    assert gradcheck(lambda c: regression(c, shares), [chosen])
    assert gradcheck(lambda c: verdict_cross_entropy(c, shares), [chosen])
    policy, ref, mask, passed = random_tokens(seed)
    policy.requires_grad_()
    assert gradcheck(lambda p: implicit_prm(p, ref, mask, beta=0.4), [policy])
    assert gradcheck(lambda p: implicit_prm_loss(p, ref, mask, passed, beta=0.4), [policy])


def test_no_gradient_reaches_margins_targets_or_verdicts():
    chosen, rejected, margins, shares = (x.requires_grad_() for x in random_scores(0))
    bradley_terry(chosen, rejected, margin=margins).sum().backward()
    (regression(chosen, shares) + verdict_cross_entropy(rejected, shares)).sum().backward()
    assert chosen.grad is not None and rejected.grad is not None and margins.grad is None and shares.grad is None


def test_the_log_loss_is_best_at_the_share_that_passes():
    """Its gradient s(score) - share is zero exactly at the logit of the share, and a pair's at its own odds."""
    shares = t(0.2, 0.5, 0.9)
    scores = (shares / (1 - shares)).log().requires_grad_()
    verdict_cross_entropy(scores, shares).sum().backward()
    torch.testing.assert_close(scores.grad, torch.zeros(3).double(), atol=1e-12, rtol=0)
    gap = math.log(0.7 / 0.3)
    chosen, rejected = t(gap).requires_grad_(), t(0.0).requires_grad_()
    (0.7 * bradley_terry(chosen, rejected) + 0.3 * bradley_terry(rejected, chosen)).sum().backward()
    assert chosen.grad.item() == pytest.approx(0.0, abs=1e-12)


def test_only_differences_matter_to_bradley_terry():
    chosen, rejected, margins, _ = random_scores(0)
    shifted = bradley_terry(chosen + 100, rejected + 100, margin=margins)
    torch.testing.assert_close(shifted, bradley_terry(chosen, rejected, margin=margins))
    torch.testing.assert_close(bradley_terry(chosen, rejected, margin=0.0), bradley_terry(chosen, rejected))


def test_bradley_terry_of_implicit_rewards_is_dpo():
    w, loser, _, _ = random_scores(1)
    ref_w, ref_l, _, _ = random_scores(2)
    got = bradley_terry(0.3 * (w - ref_w), 0.3 * (loser - ref_l))
    torch.testing.assert_close(got, dpo(w, loser, ref_w, ref_l, beta=0.3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_scores_stay_finite(dtype):
    scores = torch.tensor([1e4, -1e4, 0.0], dtype=dtype).requires_grad_()
    for passed in (torch.tensor([True, False, True]), torch.tensor([False, True, False])):
        loss = bradley_terry(scores, -scores) + verdict_cross_entropy(scores, passed)
        (gradient,) = torch.autograd.grad(loss.sum(), scores)
        assert loss.isfinite().all() and gradient.isfinite().all()


# ------------------------------------------------------------------------------------------ implicit process rewards


@pytest.mark.parametrize("seed", range(3))
def test_implicit_prm_against_loops(seed):
    policy, ref, mask, passed = random_tokens(seed)
    rewards, losses = [], []
    for row, ref_row, mask_row, share in zip(
        policy.tolist(), ref.tolist(), mask.tolist(), passed.tolist(), strict=True
    ):
        rewards.append([0.3 * (a - b) if counts else 0.0 for a, b, counts in zip(row, ref_row, mask_row, strict=True)])
        correct = sigmoid(sum(rewards[-1]))
        losses.append(-share * math.log(correct) - (1 - share) * math.log(1 - correct))
    torch.testing.assert_close(implicit_prm(policy, ref, mask, beta=0.3), torch.tensor(rewards, dtype=torch.float64))
    torch.testing.assert_close(implicit_prm_loss(policy, ref, mask, passed, beta=0.3), t(*losses))


def test_garbage_under_the_mask_neither_shows_nor_leaks():
    policy, ref, _, passed = random_tokens(0)
    mask = torch.zeros(4, 6, dtype=torch.bool)
    mask[:, 1:3] = True
    clean = implicit_prm_loss(policy, ref, mask, passed)
    policy[:, 0], policy[:, 4], ref[:, 5] = -INF, NAN, NAN
    leaf, frozen = policy.requires_grad_(), ref.requires_grad_()
    loss = implicit_prm_loss(leaf, frozen, mask, passed)
    loss.sum().backward()
    torch.testing.assert_close(loss.detach(), clean, rtol=0, atol=0)
    assert leaf.grad.isfinite().all() and leaf.grad[~mask].abs().max() == 0.0 and frozen.grad is None


def test_outcomes_alone_teach_which_token_is_to_blame():
    """Sequences of two independent bits pass if the first is 1; the reward then sits on the first token.

    With one log-ratio parameter per position and token the loss is a logistic regression whose second position carries
    no information, so at its optimum the second position's rewards are equal and the first position's differ by sign.
    """
    sequences = torch.tensor(list(itertools.product([0, 1], repeat=2)))
    passed = t(0.1, 0.1, 0.9, 0.9)
    logits = torch.zeros(2, 2, dtype=torch.float64, requires_grad=True)
    ref = torch.full((4, 2), math.log(0.5), dtype=torch.float64)
    mask, positions = torch.ones(4, 2).bool(), torch.arange(2)
    optimizer = torch.optim.LBFGS([logits], max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-10)

    def rewards():
        return logits.log_softmax(dim=1)[positions, sequences]

    def closure():
        optimizer.zero_grad()
        loss = implicit_prm_loss(rewards(), ref, mask, passed, beta=5.0).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    per_token = implicit_prm(rewards(), ref, mask, beta=5.0).detach()
    assert (per_token[2:, 0] > 1.0).all() and (per_token[:2, 0] < -1.0).all()
    torch.testing.assert_close(per_token[0], per_token[1], atol=1e-4, rtol=0)
    torch.testing.assert_close(per_token[2], per_token[3], atol=1e-4, rtol=0)


# -------------------------------------------------------------------------------------------------------- cost limit


def test_cost_lagrangian_by_hand_and_at_its_ends():
    reward, cost = t(1.0, -2.0), t(3.0, 0.5)
    assert cost_lagrangian(reward, cost, multiplier=1.0).tolist() == [(1 - 3) / 2, (-2 - 0.5) / 2]
    assert cost_lagrangian(reward, cost, multiplier=0.0).tolist() == reward.tolist()
    torch.testing.assert_close(cost_lagrangian(reward, cost, multiplier=1e9), -cost)


def test_update_multiplier_by_hand():
    """From 2 with rate 0.1 and an excess of 3: 2 exp(0.6); under the limit it falls; at the bound it stops."""
    assert update_multiplier(2.0, 4.0, limit=1.0) == pytest.approx(2 * math.exp(0.6))
    assert update_multiplier(2.0, -2.0, limit=1.0) == pytest.approx(2 * math.exp(-0.6))
    assert update_multiplier(2.0, 1.0, limit=1.0) == pytest.approx(2.0)
    assert update_multiplier(2.0, 1e9) == pytest.approx(100.0)
    assert update_multiplier(2.0, 1e9, maximum=5.0) == pytest.approx(5.0)


def test_update_multiplier_is_gradient_ascent_on_the_logarithm():
    """d/d(log lambda) of lambda * (cost - limit), by a finite difference."""
    multiplier, excess, step = 1.7, 0.4, 1e-6
    slope = (math.exp(math.log(multiplier) + step) - multiplier) * excess / step
    moved = math.log(update_multiplier(multiplier, 1.0 + excess, limit=1.0, learning_rate=0.05))
    assert moved - math.log(multiplier) == pytest.approx(0.05 * slope, rel=1e-5)


def test_the_multiplier_stays_within_its_bounds_step_after_step():
    """A bound that rounding lets through would make the next update refuse its own result; so would an underflow."""
    for start, cost, bound in ((2.0, 1e9, 100.0), (2.0, 5.0, 3.3), (2.0, -1e9, 100.0)):
        multiplier = start
        for _ in range(50):
            multiplier = update_multiplier(multiplier, cost, maximum=bound)
            assert 0 < multiplier <= bound
        assert multiplier == (bound if cost > 0 else pytest.approx(0.0, abs=1e-9))


def test_the_multiplier_settles_where_the_limit_is_just_kept():
    """Arms with (reward, cost) (1, 1) and (0, 0), limit 1/2: at the saddle both arms are worth the same, lambda = 1."""
    logits = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    rewards, costs, multiplier = t(1.0, 0.0), t(1.0, 0.0), 0.2
    optimizer = torch.optim.SGD([logits], lr=0.5)
    for _ in range(800):
        policy = logits.softmax(0)
        advantages = cost_lagrangian(rewards, costs, multiplier=multiplier)
        entropy = -(policy * policy.log()).sum()  # damps the oscillation about the saddle
        optimizer.zero_grad()
        (-(policy * advantages).sum() - 0.5 * entropy).backward()
        optimizer.step()
        cost = float((policy.detach() * costs).sum())
        multiplier = update_multiplier(multiplier, cost, limit=0.5, learning_rate=0.1)
    assert cost == pytest.approx(0.5, abs=1e-3) and multiplier == pytest.approx(1.0, abs=1e-3)


# ----------------------------------------------------------------------------------------------------------- metrics


def random_verdicts(seed, size=40):
    """Scores on a coarse grid, so that there are ties, and verdicts that go with them loosely."""
    rng = torch.Generator().manual_seed(seed)
    scores = torch.randint(0, 8, (size,), generator=rng).double() / 8
    return scores, torch.rand(size, generator=rng, dtype=torch.float64) < 0.2 + 0.6 * scores


@pytest.mark.parametrize("seed", range(4))
def test_auc_is_the_share_of_ordered_pairs(seed):
    scores, passed = random_verdicts(seed)
    good = [s for s, p in zip(scores.tolist(), passed.tolist(), strict=True) if p]
    bad = [s for s, p in zip(scores.tolist(), passed.tolist(), strict=True) if not p]
    wins = [1.0 if g > b else 0.5 if g == b else 0.0 for g in good for b in bad]
    assert auc(scores, passed) == pytest.approx(sum(wins) / len(wins))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("bins", [1, 4, 10])
def test_calibration_error_bin_by_bin(seed, bins):
    scores, passed = random_verdicts(seed)
    total = 0.0
    for k in range(bins):
        inside = [
            (s, p)
            for s, p in zip(scores.tolist(), passed.tolist(), strict=True)
            if k / bins <= s < (k + 1) / bins or (s == 1.0 and k == bins - 1)
        ]
        if inside:
            confidence = sum(s for s, _ in inside) / len(inside)
            accuracy = sum(p for _, p in inside) / len(inside)
            total += len(inside) / len(scores) * abs(accuracy - confidence)
    assert expected_calibration_error(scores, passed, bins=bins) == pytest.approx(total)


@pytest.mark.parametrize("seed", range(4))
def test_rank_correlation_against_loops(seed):
    x, _ = random_verdicts(seed)
    y, _ = random_verdicts(seed + 100)

    def slow_ranks(values):
        return [sum(v < own for v in values) + (sum(v == own for v in values) + 1) / 2 for own in values]

    a, b = slow_ranks(x.tolist()), slow_ranks(y.tolist())
    assert ranks(x).tolist() == a
    center = sum(a) / len(a)
    covariance = sum((p - center) * (q - center) for p, q in zip(a, b, strict=True))
    spread = math.sqrt(sum((p - center) ** 2 for p in a) * sum((q - center) ** 2 for q in b))
    assert rank_correlation(x, y) == pytest.approx(covariance / spread)


def test_metrics_by_hand():
    assert pair_accuracy(t(1.0, 2.0, 3.0, 4.0), t(0.0, 2.0, 5.0, 0.0)) == 0.625
    passed = torch.tensor([True, False, True, False])
    assert auc(t(0.9, 0.1, 0.8, 0.2), passed) == 1.0
    assert auc(t(0.1, 0.9, 0.2, 0.8), passed) == 0.0
    assert auc(t(0.5, 0.5, 0.5, 0.5), passed) == 0.5
    # Bins [0.2, 0.3) with 0.25: none passed; [0.7, 0.8) with 0.75 twice: both passed. (0.25 + 2 * 0.25) / 3.
    assert expected_calibration_error(t(0.25, 0.75, 0.75), torch.tensor([False, True, True])) == pytest.approx(0.25)
    assert expected_calibration_error(t(0.0, 1.0), torch.tensor([False, True])) == 0.0
    # Rank differences 0, 1, 1: rho = 1 - 6 * 2 / (3 * 8).
    assert length_bias(t(0.1, 0.2, 0.9), torch.tensor([10, 20, 15])) == pytest.approx(0.5)
    assert length_bias(t(0.9, 0.2, 0.1), torch.tensor([1, 10, 100])) == pytest.approx(-1.0)


def test_ranks_only_see_the_order():
    scores, passed = random_verdicts(9)
    assert auc(scores.exp() * 100 - 7, passed) == auc(scores, passed)
    assert auc(-scores, passed) == pytest.approx(1 - auc(scores, passed))
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    assert auc(scores[order], passed[order]) == auc(scores, passed)
    lengths, _ = random_verdicts(10)
    assert rank_correlation(scores, lengths) == pytest.approx(rank_correlation(lengths.exp(), scores.pow(3)))


def test_what_the_data_do_not_determine_is_none():
    nothing, yes = t(), torch.ones(3).bool()
    assert pair_accuracy(nothing, nothing) is None
    assert auc(t(1.0, 2.0, 3.0), yes) is None and auc(t(1.0, 2.0, 3.0), ~yes) is None
    assert expected_calibration_error(nothing, nothing.bool()) is None
    assert rank_correlation(nothing, nothing) is None and rank_correlation(t(1.0), t(1.0)) is None
    assert length_bias(t(1.0, 2.0), t(5.0, 5.0)) is None


# -------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: bradley_terry(t(1.0), t(1.0, 2.0)), "rejected has shape"),
        (lambda: bradley_terry(t(1.0, 2.0), t(1.0, 2.0), margin=t(1.0)), "margin has shape"),
        (lambda: regression(t(1.0), torch.ones(1, 1)), "targets has shape"),
        (lambda: verdict_cross_entropy(t(1.0), t(1.5)), "wanted 0 to 1"),
        (lambda: verdict_cross_entropy(t(1.0), t(NAN)), "wanted 0 to 1"),
        (lambda: implicit_prm(torch.ones(2, 2), torch.ones(2), torch.ones(2, 2).bool()), "ref_logprobs has shape"),
        (lambda: cost_lagrangian(t(1.0), t(1.0), multiplier=-0.1), "at least 0"),
        (lambda: update_multiplier(0.0, 1.0), "above 0"),
        (lambda: update_multiplier(9.0, 1.0, maximum=5.0), "at most maximum=5.0"),
        (lambda: ranks(t(1.0, NAN)), "NaN"),
        (lambda: expected_calibration_error(t(1.5), torch.tensor([True])), "sigmoid"),
        (lambda: expected_calibration_error(t(0.5), torch.tensor([True]), bins=0), "at least 1"),
    ],
)
def test_refusals(attempt, message):
    with pytest.raises(ValueError, match=message):
        attempt()


def test_auc_wants_a_verdict_not_a_share():
    with pytest.raises(TypeError, match="choose what counts as passed"):
        auc(t(0.5), t(0.5))
