"""pass@k against counting all subsets; intervals against values worked out by hand or from the literature."""

import itertools
import math

import numpy as np
import pytest
import reference

from verigrad.evaluation.pass_at_k import bootstrap_means, pass_at_k, summarize, task_rates, wilson


@pytest.mark.parametrize("n", [1, 2, 5, 7])
def test_it_counts_all_subsets(n):
    for k, correct in itertools.product(range(1, n + 1), range(n + 1)):
        wanted = reference.pass_at_k(n, correct, k, itertools.combinations)
        assert pass_at_k(n, correct, k)[0] == pytest.approx(wanted, abs=1e-12)


def test_by_hand():
    """Two of five right, k = 2: 1 - C(3, 2) / C(5, 2) = 1 - 3/10. Tasks may have different numbers of samples."""
    assert pass_at_k([5, 4], [2, 4], 2).tolist() == [pytest.approx(0.7), 1.0]


def test_it_is_unbiased_and_plain_averaging_of_one_minus_failure_to_the_k_is_not():
    """Mean over the binomial distribution of c is 1 - (1 - p)^k, exactly."""
    n, k, p = 6, 3, 0.3
    chance = [math.comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]
    estimate = sum(w * pass_at_k(n, c, k)[0] for c, w in enumerate(chance))
    naive = sum(w * (1 - (1 - c / n) ** k) for c, w in enumerate(chance))
    assert estimate == pytest.approx(1 - (1 - p) ** k, abs=1e-12)
    assert abs(naive - (1 - (1 - p) ** k)) > 0.01


def test_it_is_monotone_in_k_and_large_counts_do_not_overflow():
    rates = [pass_at_k(2000, 3, k)[0] for k in (1, 10, 100, 1000, 2000)]
    assert rates == sorted(rates) and rates[0] == pytest.approx(3 / 2000) and rates[-1] == 1.0


def test_impossible_counts_are_refused():
    with pytest.raises(ValueError, match=r"pass@3 needs .* at least k samples of every task, got as few as 2"):
        pass_at_k([5, 2], [1, 1], 3)
    with pytest.raises(ValueError, match="between 0 and num_samples"):
        pass_at_k(2, 3, 1)
    with pytest.raises(ValueError, match="no task"):
        summarize({})


def test_task_rates_keep_the_order_of_tasks():
    assert task_rates({"b": [True, True], "a": [False, True, False, False]}).tolist() == [1.0, 0.25]


def test_bootstrap_of_two_tasks_by_hand():
    """Rates 0 and 1/2: resampled means are 0, 1/4, 1/2 with chances 1/4, 1/2, 1/4, so the 95 % interval is [0, 1/2]."""
    means = bootstrap_means(np.array([0.0, 0.5]), resamples=20_000)
    for value, chance in ((0.0, 0.25), (0.25, 0.5), (0.5, 0.25)):
        assert (means == value).mean() == pytest.approx(chance, abs=0.015)
    estimate = summarize({"a": [False, False], "b": [True, False]})
    assert (estimate.value, estimate.low, estimate.high, estimate.method) == (0.25, 0.0, 0.5, "bootstrap")
    assert (estimate.num_tasks, estimate.num_samples) == (2, 4)
    middle = summarize({"a": [False, False], "b": [True, False]}, confidence=0.4)
    assert (middle.low, middle.high) == (0.25, 0.25)


def test_bootstrap_of_many_tasks_agrees_with_the_normal_approximation():
    rng = np.random.default_rng(5)
    results = {str(i): (rng.random(4) < rng.beta(1, 2)).tolist() for i in range(400)}
    estimate, rates = summarize(results), np.array([np.mean(own) for own in results.values()])
    half_width = 1.96 * rates.std() / math.sqrt(len(rates))
    assert estimate.value == pytest.approx(rates.mean())
    assert estimate.low == pytest.approx(rates.mean() - half_width, abs=0.003)
    assert estimate.high == pytest.approx(rates.mean() + half_width, abs=0.003)
    assert summarize(results) == estimate and summarize(results, seed=1).low != estimate.low


def test_tasks_not_samples_are_the_unit_of_chance():
    """The same ten tasks sampled a hundred times instead of twice: the interval stays as wide as the tasks differ."""

    def width(copies):
        estimate = summarize({str(i): [i < 5] * copies for i in range(10)})
        return estimate.high - estimate.low

    assert width(100) == width(2) > 0.5


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_against_published_values(successes, trials, low, high):
    """81 of 263 is the worked example of Newcombe 1998 (method 3); the rest are textbook cases."""
    assert wilson(successes, trials) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_wilson_ends_solve_its_equation():
    """At both ends p, |p_hat - p| equals 1.96 sqrt(p (1 - p) / n)."""
    for end in wilson(3, 20):
        assert abs(0.15 - end) == pytest.approx(1.959964 * math.sqrt(end * (1 - end) / 20), abs=1e-6)


def test_single_samples_and_unanimous_tasks_take_wilson():
    single = summarize({str(i): [i < 5] for i in range(10)})
    assert single.method == "wilson" and single.low == pytest.approx(0.2366, abs=5e-5)
    never = summarize({str(i): [False] * 4 for i in range(10)})
    assert never.value == never.low == 0.0 and never.high == pytest.approx(0.2775, abs=5e-5)
    assert summarize({str(i): [i == 0] * 2 for i in range(10)}).method == "bootstrap"
