"""When a run is warned about: trends by hand, and how often noise passes for one."""

import math
import re

import numpy as np
import pytest
from scripts import benchmark

from verigrad.evaluation.overoptimisation import MIN_STEPS, find_divergence, mann_kendall


def slow_mann_kendall(values):
    """Pairs and ties counted one by one."""
    size = len(values)
    score = sum((values[j] > values[i]) - (values[j] < values[i]) for i in range(size) for j in range(i + 1, size))
    variance = size * (size - 1) * (2 * size + 5)
    for value in set(values):
        ties = sum(other == value for other in values)
        variance -= ties * (ties - 1) * (2 * ties + 5)
    if score == 0 or variance == 0:
        return 0.0
    return (score - (1 if score > 0 else -1)) / math.sqrt(variance / 18)


def test_a_trend_worked_by_hand():
    """1 3 2 4: five pairs rise and one falls, S = 4; Var S = 4 * 3 * 13 / 18 = 26/3; z = 3 / sqrt(26/3) = 1.0190."""
    assert mann_kendall([1, 3, 2, 4]) == pytest.approx(3 / math.sqrt(26 / 3))
    # 1 2 2 3: five pairs rise, S = 5; one tie of two takes 2 * 1 * 9 off 4 * 3 * 13, so Var S = 138 / 18.
    assert mann_kendall([1, 2, 2, 3]) == pytest.approx(4 / math.sqrt(138 / 18))
    assert mann_kendall([2.0] * 12) == 0 and mann_kendall([1, 2, 2, 1]) == 0


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_slow_one_and_only_order_counts(seed):
    values = np.random.default_rng(seed).integers(0, 9, 30).tolist()
    found = mann_kendall(values)
    assert found == pytest.approx(slow_mann_kendall(values))
    assert mann_kendall([math.exp(value) for value in values]) == pytest.approx(found)
    assert mann_kendall(values[::-1]) == pytest.approx(-found)


def test_without_a_trend_it_is_about_standard_normal():
    rng = np.random.default_rng(0)
    found = np.array([mann_kendall(rng.binomial(64, 0.3, 20)) for _ in range(2000)])
    assert abs(found.mean()) < 0.08 and found.std() == pytest.approx(1.0, abs=0.06)
    assert (found > 2.326).mean() < 0.015


def curves(proxy, gold):
    return list(enumerate(proxy, 1)), list(enumerate(gold, 1))


def test_what_it_says_of_clean_curves():
    """Up for 40 steps and down for 40: the last half falls throughout, and is the clearest stretch."""
    gold = [0.3 + 0.005 * min(s, 80 - s) for s in range(1, 81)]
    found = find_divergence(*curves([0.1 * s for s in range(1, 81)], gold))
    assert (found.start, found.end) == (41, 80)
    # Means of steps 41 to 50 and 71 to 80: s = 45.5 and 75.5.
    assert found.proxy == pytest.approx((4.55, 7.55))
    assert found.gold == pytest.approx((0.3 + 0.005 * 34.5, 0.3 + 0.005 * 4.5))


@pytest.mark.parametrize(
    ("proxy", "gold"),
    [
        (lambda s: s, lambda s: s),  # both rise
        (lambda s: -s, lambda s: -s),  # both fall: the training fails, but not by the proxy
        (lambda s: -s, lambda s: s),
        (lambda s: 1.0, lambda s: -s),
        (lambda s: s, lambda s: 0.5),
        (lambda s: s, lambda s: abs(s - 20)),  # fell, and rose again
    ],
)
def test_other_clean_curves_are_not_warned_about(proxy, gold):
    steps = range(1, 61)
    assert find_divergence(*curves(map(proxy, steps), map(gold, steps))) is None


def test_few_steps_say_nothing_and_only_common_steps_count():
    rise, fall = list(range(MIN_STEPS)), list(range(MIN_STEPS, 0, -1))
    assert find_divergence(*curves(rise, fall)) is not None
    assert find_divergence(*curves(rise[1:], fall[1:])) is None
    assert find_divergence(*curves(rise, fall[:-1])) is None
    assert find_divergence([], []) is None


@pytest.fixture(scope="module")
def share_warned():
    """Of made-up noisy runs, how many are warned about; as in the benchmark, whose figures the docs give."""
    return benchmark("overoptimisation").share_warned


@pytest.mark.parametrize("steps", [12, 40, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("gold", "most"),
    [
        (lambda t: 0.4 + 0 * t, 0.04),  # the proxy rises, the pass rate does not move
        (lambda t: 0 * t, 0.04),  # next to nothing ever passes
        (lambda t: 0.3 + 0.2 * np.minimum(1, 2 * t), 0.04),  # rises, then a plateau
        (lambda t: 0.3 + 0.2 * t, 0.005),  # rises
    ],
)
def test_noise_is_seldom_taken_for_a_fall(share_warned, gold, most, steps):
    assert share_warned(gold, steps) <= most


@pytest.mark.parametrize(
    "gold",
    [
        lambda t: 0.3 + 0.6 * t - 0.8 * t * t,  # Gao et al.'s shape: up to 41 %, down to 10 %
        lambda t: 0.3 + 0.3 * t - 1.0 * np.maximum(0, t - 0.6),  # late: up to 48 %, down to 20 %
        lambda t: 0.4 - 0.3 * t,  # from the start
    ],
)
def test_a_fall_beyond_the_noise_is_found(share_warned, gold):
    assert share_warned(gold) > 0.9


def test_a_fall_together_with_the_proxy_is_another_trouble(share_warned):
    assert share_warned(lambda t: 0.4 - 0.3 * t, proxy=lambda t: -t) == 0


def test_the_made_up_runs_are_what_the_benchmark_says():
    """Flat at 40 % for 60 % of the run, then 20 points down; a row for each curve, its shares out of the runs."""
    script = benchmark("overoptimisation")
    t = np.array([0.0, 0.5, 0.6, 0.8, 1.0])
    assert script.falling(20)(t) == pytest.approx([0.4, 0.4, 0.4, 0.3, 0.2])
    rows = script.table(runs=4, steps=(12,))
    assert [row.split(" | ")[0] for row in rows[2:6]] == [f"| {name}" for name in script.NOT_FALLING]
    shares = [float(re.findall(r"([\d.]+)%", row)[0]) for row in (*rows[2:6], *rows[-3:])]
    assert all(share in (0, 25, 50, 75, 100) for share in shares) and rows[-3].startswith("| 20 points | 100%")
