"""Expected gradients of whole estimators, by enumeration, against the exact policy gradient and derivations by hand.

`benchmarks/gradient_bias.py` enumerates every group that a small softmax policy can sample. What it finds is held
against formulas that were derived on paper: an estimator is unbiased, or its bias is known and this.
"""

import itertools
import math
import statistics
from dataclasses import replace
from functools import partial

import pytest
import torch
from scripts import benchmark

from verigrad.algorithms import advantages as adv
from verigrad.algorithms.objectives import cispo, dppo, ppo_clip, sapo
from verigrad.algorithms.reductions import sequence_mean
from verigrad.algorithms.sequence_objectives import gspo

close = partial(torch.testing.assert_close, rtol=1e-9, atol=1e-11)
# Reductions give float32 weights, in which 1/3 is off by 3e-8.
close_in_threes = partial(torch.testing.assert_close, rtol=2e-7, atol=1e-9)


@pytest.fixture(scope="module")
def bias():
    return benchmark("gradient_bias")


@pytest.fixture(scope="module")
def world(bias):
    return bias.World.default()


def sums_over_completions(bias, world, weight):
    """(9,) per task: sum over completions of p weight(task, completion) grad log p, by autograd on log p."""
    found = []
    for task in range(2):
        parameters = world.policy.clone().requires_grad_()
        logp = world.logprobs(parameters, task).sum(dim=1)
        factors = torch.tensor([weight(task, c) for c in range(7)], dtype=torch.float64)
        found.append(torch.autograd.grad((logp.exp().detach() * factors * logp).sum(), parameters)[0])
    return found


def pass_rates(world):
    return [(world.probabilities(world.policy, task) * world.rewards[task]).sum().item() for task in range(2)]


def task_gradients(bias, world):
    """grad of each task's pass rate."""
    return sums_over_completions(bias, world, lambda task, c: world.rewards[task, c].item())


def named(bias, name):
    (found,) = [estimator for estimator in bias.ESTIMATORS if estimator.name == name]
    return found


def test_the_exact_gradient_by_finite_differences(bias, world):
    """The yardstick itself: moving each parameter moves the mean pass rate as the gradient says."""
    exact = bias.exact_gradient(world)
    for place in range(9):
        rates = []
        for step in (1e-6, -1e-6):
            moved = world.policy.clone()
            moved[place] += step
            rates.append(
                sum((world.probabilities(moved, task) * world.rewards[task]).sum().item() for task in range(2)) / 2
            )
        assert exact[place].item() == pytest.approx((rates[0] - rates[1]) / 2e-6, abs=1e-8)
    assert exact.norm() > 0.05
    for task in range(2):
        assert world.probabilities(world.policy, task).sum().item() == pytest.approx(1.0)


UNBIASED = [
    "raw rewards (REINFORCE)",
    "leave one out (RLOO)",
    "greedy baseline (ReMax)",
    "any constant baseline",
    "turns, leave one out",
    "GAE, lambda 1, wrong critic",
    "GAE, lambda 0, exact critic",
    "GAE, VAPO's lambda at alpha 0.8, exact critic",
    "constant baseline, PF-PPO max_min",  # rewards of 0 and 1: every rollout is highest or lowest
    "RLOO, CISPO",
    "RLOO, SAPO",
    "RLOO, GSPO",
    "RLOO, DPPO",
    "off policy: RLOO, sequence ratio",
]


@pytest.mark.parametrize("name", UNBIASED)
def test_unbiased_estimators(bias, world, name):
    close(bias.expected_gradient(named(bias, name), world, 2), bias.exact_gradient(world))


def test_leave_one_out_is_unbiased_also_in_groups_of_three(bias, world):
    found = bias.expected_gradient(named(bias, "leave one out (RLOO)"), world, 3)
    close_in_threes(found, bias.exact_gradient(world))


@pytest.mark.parametrize("size", [2, 3])
def test_centring_keeps_n_minus_one_nths(bias, world, size):
    found = bias.expected_gradient(named(bias, "centred"), world, size)
    close_in_threes(found, bias.exact_gradient(world) * (size - 1) / size)


# ------------------------------------- outcome rewards of 0 and 1: only a task's factor can be wrong
#
# With grad log p of a pass averaging g / p and of a failure -g / (1 - p), where p is the task's pass rate and g its
# gradient, the expected gradient of sum_i A_i grad log p_i / n is g times
#     E[(c/n) A_pass / p - (f/n) A_fail / (1 - p)],   c passes and f = n - c failures, binomial in p.


def binomial(n, c, p):
    return math.comb(n, c) * p**c * (1 - p) ** (n - c)


def factor(n, p, advantages):
    """`advantages(c, n)` gives (A_pass, A_fail)."""
    total = 0.0
    for c in range(n + 1):
        of_pass, of_fail = advantages(c, n)
        total += binomial(n, c, p) * (c / n * of_pass / p - (n - c) / n * of_fail / (1 - p))
    return total


def by_std(c, n):
    """Sample standard deviation: squares c f / n, over n - 1."""
    std = math.sqrt(c * (n - c) / n / (n - 1))
    return ((n - c) / n / std, -c / n / std) if std else (0.0, 0.0)


def pass_at_2(c, n):
    """Chen et al.'s two cases."""
    rate = 1 - math.comb(n - c, 2) / math.comb(n, 2)
    std = math.sqrt(rate * (1 - rate))
    alone = math.comb(n - c - 1, 1) / math.comb(n - 1, 1) if c < n else 0.0
    return ((1 - rate) / std, (1 - rate - alone) / std) if std else (0.0, 0.0)


def power(c, n):
    """PF-PPO's squares: passes alone, n / c of each; a group of failures as it is."""
    return (n / c * 0.63, 0.0) if c else (0.0, -0.37)


def max_random(c, n):
    """Shares 0.4 and 0.1 of the group's size; alike where all rewards are."""
    total = (0.4 * c + 0.1 * (n - c)) / n
    return (0.63 * 0.4 / total, -0.37 * 0.1 / total) if 0 < c < n else (0.63, -0.37)


@pytest.mark.parametrize(
    "name, size, of_task",
    [
        ("constant baseline, PF-PPO power", 2, lambda n, p: factor(n, p, power)),
        pytest.param("constant baseline, PF-PPO power", 3, lambda n, p: factor(n, p, power), marks=pytest.mark.slow),
        ("constant baseline, PF-PPO max_random", 3, lambda n, p: factor(n, p, max_random)),
        # A pass and a failure of every mixed group, with advantages of 1 and -1: RLOO with groups of 2, more often.
        ("RLOO, two of the most spread (PODS)", 2, lambda n, p: 1.0),
        pytest.param(
            "RLOO, two of the most spread (PODS)",
            3,
            lambda n, p: (1 - p**3 - (1 - p) ** 3) / (2 * p * (1 - p)),
            marks=pytest.mark.slow,
        ),
        ("group std", 2, lambda n, p: factor(n, p, by_std)),
        ("group std", 3, lambda n, p: factor(n, p, by_std)),
        # The smallest size at which the deviation depends on the number of passes, and tasks weigh differently.
        pytest.param("group std", 4, lambda n, p: factor(n, p, by_std), marks=pytest.mark.slow),
        # MaxRL: (1 - (1 - p)^(n - 1)) / p, on its way from the pass rate (n = 2) to its logarithm (1 / p).
        ("over the mean (MaxRL)", 2, lambda n, p: 1.0),
        ("over the mean (MaxRL)", 3, lambda n, p: (1 - (1 - p) ** 2) / p),
        # The gradient of pass@k is k (1 - p)^(k - 1) g; (n - k) / (n k) of it is left.
        ("pass@2, not normalised", 3, lambda n, p: (n - 2) / (2 * n) * 2 * (1 - p)),
        ("pass@2", 3, lambda n, p: factor(n, p, pass_at_2)),
        # Only a single pass is credited: 1/n of the gradient of pass@n.
        ("best minus second", 2, lambda n, p: 1 - p),
        ("best minus second", 3, lambda n, p: (1 - p) ** 2),
    ],
)
def test_what_a_factor_per_task_does(bias, world, name, size, of_task):
    gradients, rates = task_gradients(bias, world), pass_rates(world)
    wanted = sum(g * of_task(size, p) for g, p in zip(gradients, rates, strict=True)) / 2
    close_in_threes(bias.expected_gradient(named(bias, name), world, size), wanted)


def test_maxrl_tends_to_the_gradient_of_the_log_pass_rate(bias, world):
    """By the binomial sum of the function's own definition, whose closed form the test above holds to enumeration."""
    for p in pass_rates(world):
        for n in (2, 5, 1000):
            over_mean = factor(n, p, lambda c, n: ((n - c) / c, -1.0) if c else (0.0, 0.0))
            assert over_mean == pytest.approx((1 - (1 - p) ** (n - 1)) / p)
        assert over_mean == pytest.approx(1 / p, rel=1e-6)


def test_grpos_factor_grows_at_both_ends():
    """The known difficulty bias: tasks passed seldom or nearly always count more than those in between."""
    at = [factor(8, p, by_std) for p in (0.02, 0.1, 0.5, 0.9, 0.98)]
    assert at[0] > at[1] > at[2] and at == pytest.approx(at[::-1])
    # Not without end, for a group without a pass teaches nothing; with many tries it would be 1 / sqrt(p (1 - p)).
    assert factor(8, 1e-7, by_std) == pytest.approx(7 / math.sqrt(8), rel=1e-5)
    assert factor(1000, 0.1, by_std) == pytest.approx(1 / math.sqrt(0.09), rel=1e-2)


# ------------------------------------------------------------------------ statistics over the batch


@pytest.mark.parametrize("name", ["batch std (REINFORCE++)", "centred, batch std (REINFORCE++-baseline)"])
def test_whitening_over_the_batch_by_all_outcomes(bias, world, name):
    """Sixteen patterns of pass and fail of two groups of two, with advantages written out."""
    gradients, rates = task_gradients(bias, world), pass_rates(world)
    wanted = torch.zeros(9, dtype=torch.float64)
    for bits in itertools.product([0, 1], repeat=4):
        middles = [sum(bits) / 4] * 4
        if name.startswith("centred"):
            middles = [sum(bits[:2]) / 2] * 2 + [sum(bits[2:]) / 2] * 2
        centered = [bit - middle for bit, middle in zip(bits, middles, strict=True)]
        std = math.sqrt(sum(value**2 for value in centered) / 3)
        chance = math.prod(p if bit else 1 - p for bit, p in zip(bits, [rates[0]] * 2 + [rates[1]] * 2, strict=True))
        for i, (bit, value) in enumerate(zip(bits, centered, strict=True)):
            p, g = rates[i // 2], gradients[i // 2]
            if std:
                wanted += chance / 4 * value / std * (g / p if bit else -g / (1 - p))
    close(bias.expected_gradient(named(bias, name), world, 2), wanted)


@pytest.mark.slow
def test_groups_without_signal_left_out(bias, world):
    """Left alone in the step's mean, a group counts twice: once more with the chance that the other has no signal."""
    gradients, rates = task_gradients(bias, world), pass_rates(world)
    alone = [(1 - p) ** 2 + p**2 for p in reversed(rates)]
    wanted = sum(g * (1 + chance) / 2 for g, chance in zip(gradients, alone, strict=True))
    close(bias.expected_gradient(named(bias, "RLOO, groups with signal (DAPO)"), world, 2), wanted)


def deviation(values):
    return statistics.stdev(values) if len(set(values)) > 1 else 0.0


@pytest.mark.slow
def test_gdpo_by_all_outcomes(bias, world):
    """Four kinds of rollout (passed or not, short or not): rewards over their group's deviation, whitened together."""
    kinds = list(itertools.product([0, 1], repeat=2))
    kind_of = [[(int(world.rewards[task, c]), int(bias.SHORT[c])) for c in range(7)] for task in range(2)]
    chance, gradient = {}, {}
    for kind in kinds:
        parts = sums_over_completions(bias, world, lambda task, c, kind=kind: float(kind_of[task][c] == kind))
        for task in range(2):
            own = [c for c in range(7) if kind_of[task][c] == kind]
            chance[task, kind] = world.probabilities(world.policy, task)[own].sum().item()
            gradient[task, kind] = parts[task]
    wanted = torch.zeros(9, dtype=torch.float64)
    for drawn in itertools.product(kinds, repeat=4):
        sums = [0.0] * 4
        for first in (0, 2):
            for k in range(2):
                pair = [drawn[first][k], drawn[first + 1][k]]
                if pair[0] != pair[1]:
                    for i in range(2):
                        sums[first + i] += (pair[i] - 0.5) / (math.sqrt(0.5) + 1e-4)
        std = math.sqrt(sum(value**2 for value in sums) / 3)
        for i, kind in enumerate(drawn):
            others = math.prod(chance[j // 2, drawn[j]] for j in range(4) if j != i)
            wanted += others / 4 * (sums[i] / (std + 1e-4) if std else 0.0) * gradient[i // 2, kind]
    close(bias.expected_gradient(named(bias, "two rewards (GDPO)"), world, 2), wanted)


@pytest.mark.slow
def test_whitening_of_gae_by_every_step(bias, world):
    """All 7^4 steps of two groups of two, tokens' advantages reward - value, over their mean and deviation."""
    chance = [world.probabilities(world.policy, task).tolist() for task in range(2)]
    values = [world.values(task).tolist() for task in range(2)]
    lengths = bias.LENGTHS.tolist()
    weights = torch.zeros(2, 7, 2, dtype=torch.float64)
    for drawn in itertools.product(range(7), repeat=4):
        tokens = [(i, t) for i, c in enumerate(drawn) for t in range(lengths[c])]
        raw = [world.rewards[i // 2, drawn[i]].item() - values[i // 2][drawn[i]][t] for i, t in tokens]
        mean, std = sum(raw) / len(raw), deviation(raw)
        p = math.prod(chance[i // 2][c] for i, c in enumerate(drawn))
        for (i, t), value in zip(tokens, raw, strict=True):
            weights[i // 2, drawn[i], t] += p / 4 * (value - mean) / (std + 1e-8) if std else 0.0
    wanted = token_sums(bias, world, lambda task, c, t: weights[task, c, t].item(), chances=None)
    close(bias.expected_gradient(named(bias, "GAE, lambda 1, exact critic, whitened (PPO)"), world, 2), wanted)


# ------------------------------------------------------------------------------- token by token


def token_sums(bias, world, weight, chances="policy"):
    """(9,) mean over tasks of sum over completions and tokens of chance weight(task, c, t) grad log p(token t).

    Chances are those of the policy so called; None for 1, and a sum over tasks in place of the mean.
    """
    total = torch.zeros(9, dtype=torch.float64)
    for task in range(2):
        parameters = world.policy.clone().requires_grad_()
        logp = world.logprobs(parameters, task)
        found = torch.tensor([[weight(task, c, t) for t in range(2)] for c in range(7)], dtype=torch.float64)
        if chances is not None:
            found = found * world.probabilities(getattr(world, chances), task)[:, None] / 2
        total += torch.autograd.grad((found * bias.MASK * logp).sum(), parameters)[0]
    return total


def test_vapos_lambda_lets_a_part_of_the_critics_error_through(bias, world):
    """The second value is a third too high: 1 - lambda of it is credited to the first token of two, lambda 3/8."""
    error = token_sums(bias, world, lambda task, c, t: (1 - 3 / 8) / 3 if t == 0 and bias.LENGTHS[c] == 2 else 0.0)
    found = bias.expected_gradient(named(bias, "GAE, VAPO's lambda at alpha 0.8, wrong critic"), world, 2)
    close(found, bias.exact_gradient(world) + error)


def test_primes_baseline_counts_the_tokens_to_come(bias, world):
    """The others' mean process reward is taken off every token ahead, and how many there are is the policy's choice."""

    def ahead(task, c, t):
        length = bias.LENGTHS[c].item()
        chance = world.probabilities(world.policy, task)
        mean = sum(chance[o].item() * bias.PROCESS[o, : bias.LENGTHS[o]].mean().item() for o in range(7))
        return world.rewards[task, c].item() + bias.PROCESS[c, t:length].sum().item() - mean * (length - t)

    found = bias.expected_gradient(named(bias, "a fixed process model (PRIME)"), world, 2)
    close(found, token_sums(bias, world, ahead))
    own = bias.exact_gradient(world, bias._with_process)
    assert 0.001 < ((found - own).norm() / own.norm()).item() < 0.5


# ------------------------------------------------------------------------------------------ another goal


@pytest.mark.parametrize(
    "name, size, scale",
    [
        pytest.param("over the mean (MaxRL)", 3, 1.0, marks=pytest.mark.slow),
        ("pass@2, not normalised", 3, 1 / 6),
        pytest.param("best minus second", 3, 1 / 3, marks=pytest.mark.slow),
        ("best minus second", 2, 1 / 2),
        ("a price of 0.5 on a cost (Safe RLHF)", 2, 1 / 2),
    ],
)
def test_the_gradient_of_its_own_goal(bias, world, name, size, scale):
    """MaxRL's of the cut series of the log pass rate; pass@k's times (n - k) / (n k); pass@n's over n; (n - 1) / n."""
    estimator = named(bias, name)
    own = bias.exact_gradient(world, estimator.goal, size)
    close_in_threes(bias.expected_gradient(estimator, world, size), scale * own)
    ((*_, cosine, aside),) = bias.table([estimator], group_size=size)
    assert cosine == pytest.approx(1.0) and aside < 1e-6


# ------------------------------------------------------------------------------- lengths and baselines


@pytest.mark.parametrize("size", [2, 3])
def test_the_mean_over_tokens_prefers_short_passes_and_long_failures(bias, world, size):
    """(n - 1) / n times the sum over completions of p (r - rate) grad log p / length."""
    rates = pass_rates(world)
    parts = sums_over_completions(
        bias, world, lambda task, c: (world.rewards[task, c].item() - rates[task]) / bias.LENGTHS[c].item()
    )
    found = bias.expected_gradient(named(bias, "centred, sequence mean"), world, size)
    close_in_threes(found, (size - 1) / size * sum(parts) / 2)
    exact = bias.exact_gradient(world)
    assert found @ exact / found.norm() / exact.norm() < 0.995


def test_fixed_length_only_scales(bias, world):
    found = bias.expected_gradient(named(bias, "centred, fixed length (Dr. GRPO)"), world, 2)
    close(found, bias.exact_gradient(world) / 2 / 2)


def test_the_length_weighted_baseline_by_all_pairs(bias, world):
    """Its own reward is in the baseline by its length: for a pair, A_1 = l_2 / (l_1 + l_2) (r_1 - r_2)."""

    def mean_advantage(task, c):
        chance, rewards = world.probabilities(world.policy, task), world.rewards[task]
        own = bias.LENGTHS[c].item()
        return sum(
            chance[other].item() * bias.LENGTHS[other].item() / (own + bias.LENGTHS[other].item())
            * (rewards[c] - rewards[other]).item()
            for other in range(7)
        )  # fmt: skip

    wanted = sum(sums_over_completions(bias, world, mean_advantage)) / 2
    close(bias.expected_gradient(named(bias, "length-weighted baseline (OPO)"), world, 2), wanted)


# ------------------------------------------------------------------------------------------ off policy


def test_token_ratios_are_right_to_first_order_and_no_ratio_is_not(bias, world):
    """The sampler at distance h: the error of the token ratio shrinks as h squared where groups are large; here the
    leave-one-out baseline makes it h. Without a ratio the error does not shrink faster than with it."""
    exact = bias.exact_gradient(world)
    errors = {}
    for h in (1.0, 0.01):
        near = replace(world, sampler=world.policy + h * (world.sampler - world.policy))
        for name in ("token ratio", "uncorrected", "sequence ratio"):
            found = bias.expected_gradient(named(bias, f"off policy: RLOO, {name}"), near, 2)
            errors[name, h] = ((found - exact).norm() / exact.norm()).item()
    assert errors["sequence ratio", 1.0] < 1e-9
    assert errors["token ratio", 1.0] > 0.05 and errors["uncorrected", 1.0] > 0.05
    assert errors["token ratio", 0.01] < 0.02 * errors["token ratio", 1.0]


def ratios(bias, world, above, below, task, level):
    """(7, 2) of every token, or of its completion."""
    logs = world.logprobs(getattr(world, above), task) - world.logprobs(getattr(world, below), task)
    if level != "token":
        logs = logs.sum(dim=1, keepdim=True).expand(-1, 2) / (bias.LENGTHS[:, None] if level == "geometric" else 1)
    return logs.exp()


def sampled_rate(world, task):
    return (world.probabilities(world.sampler, task) * world.rewards[task]).sum().item()


@pytest.mark.parametrize("words", ["truncated", "masked"])
@pytest.mark.parametrize("level", ["token", "sequence", "geometric"])
def test_bounded_weights_of_the_sampler(bias, world, words, level):
    """Of a pair: mu(c) w (r - the sampler's rate) grad log p, w at most 1.2, or 0 outside 0.8 to 1.2."""

    def weight(task, c, t):
        w = ratios(bias, world, "policy", "sampler", task, level)[c, t].item()
        w = min(w, 1.2) if words == "truncated" else w * (0.8 <= w <= 1.2)
        return w * (world.rewards[task, c].item() - sampled_rate(world, task))

    found = bias.expected_gradient(named(bias, f"off policy: RLOO, {words} weight, {level}"), world, 2)
    close(found, token_sums(bias, world, weight, chances="sampler"))


def test_opsm_drops_failures_that_the_policy_has_left(bias, world):
    def weight(task, c, t):
        rate = sampled_rate(world, task)
        drift = -ratios(bias, world, "policy", "sampler", task, "geometric")[c, t].log().item()
        return 1 - rate if world.rewards[task, c] else -rate * (drift <= 0.05)

    found = bias.expected_gradient(named(bias, "off policy: RLOO, OPSM 0.05"), world, 2)
    close(found, token_sums(bias, world, weight, chances="sampler"))


def test_decoupled_ppo_clips_about_the_proximal_policy(bias, world):
    """Of a pair: proximal / mu times policy / proximal, nothing where the latter is past its bound on that side."""

    def weight(task, c, t):
        behind = ratios(bias, world, "proximal", "sampler", task, "token")[c, t].item()
        moved = ratios(bias, world, "policy", "proximal", task, "token")[c, t].item()
        rate, passed = sampled_rate(world, task), bool(world.rewards[task, c])
        kept = moved <= 1.2 if passed else moved >= 0.8
        return behind * moved * kept * (1 - rate if passed else -rate)

    found = bias.expected_gradient(named(bias, "off policy: RLOO, decoupled PPO"), world, 2)
    close(found, token_sums(bias, world, weight, chances="sampler"))
    ppo = bias.expected_gradient(named(bias, "off policy: RLOO, PPO clip 0.2"), world, 2)
    assert (found - ppo).norm() > 1e-3


@pytest.mark.parametrize(
    "objective",
    [
        ppo_clip,
        sapo,
        dppo,
        partial(cispo, cap=1.2),
        partial(gspo, clip_low=0.2, clip_high=0.2),
    ],
)
def test_bounded_objectives_agree_with_reinforce_on_policy(bias, world, objective):
    """Whatever the bound, at ratio 1 nothing is cut: GRPO's gradient, exactly."""
    grpo = bias.Estimator("", partial(adv.group_normalized, eps=0.0), reduction=sequence_mean)
    bounded = bias.Estimator("", partial(adv.group_normalized, eps=0.0), objective, sequence_mean)
    close(bias.expected_gradient(bounded, world, 2), bias.expected_gradient(grpo, world, 2))


def test_the_table_says_what_it_should(bias):
    chosen = [named(bias, name) for name in ("leave one out (RLOO)", "centred", "centred, sequence mean")]
    (rloo, centred, grpo) = bias.table(chosen, group_size=2)
    assert rloo[4:] == (None, None)
    assert rloo[1:3] == pytest.approx((1.0, 1.0)) and rloo[3] < 1e-9
    assert centred[1:3] == pytest.approx((1.0, 0.5)) and centred[3] < 1e-9
    assert grpo[1] < 0.995 and grpo[3] > 0.1
