"""Seeds and tasks both vary: gains worked by hand, intervals that cover what they should, and Holm's correction."""

import itertools
import math
import random

import numpy as np
import pytest

from verigrad.evaluation.compare import paired_difference
from verigrad.evaluation.reports.stages import verdict
from verigrad.evaluation.sweeps.statistics import compare_settings, holm, seed_noise, summarize_seeds


def one(**passed):
    """One sample a task: a=1, b=0."""
    return {task: [bool(value)] for task, value in passed.items()}


def test_two_seeds_by_hand():
    """Two tasks. Gains of the seeds: (1 + 0) / 2 and (0 + 0) / 2, so mean 1/4 and sd sqrt(2) / 4.

    Pooled over seeds the tasks gain 1/2 and 0: resampled means are 0, 1/4, 1/2 with chances 1/4, 1/2, 1/4.
    """
    before = [one(a=0, b=1), one(a=0, b=1)]
    after = [one(a=1, b=1), one(a=0, b=1)]
    found = summarize_seeds(before, after)
    assert (found.before.value, found.after.value, found.gain.value) == (0.5, 0.75, 0.25)
    assert (found.gain.low, found.gain.high, found.gain.num_tasks) == (0.0, 0.5, 2)
    assert found.gain.share_not_better == pytest.approx(0.25, abs=0.02)
    assert found.gains == (0.5, 0.0) and found.sd == pytest.approx(math.sqrt(2) / 4)
    assert found.low < -0.5 and found.high > 1.0  # two seeds tell next to nothing: t with one degree of freedom


def test_one_seed_is_the_paired_bootstrap_and_says_nothing_of_seeds():
    rng = random.Random(0)
    before, after = ({str(i): [rng.random() < p for _ in range(2)] for i in range(30)} for p in (0.3, 0.5))
    found = summarize_seeds([before], [after])
    assert found.gain == paired_difference(before, after)
    assert (found.sd, found.low, found.high, len(found.gains)) == (None, None, None, 1)


def test_seeds_alike_leave_the_interval_over_tasks():
    before, after = one(a=0, b=0, c=1, d=0), one(a=1, b=0, c=1, d=1)
    found = summarize_seeds([before] * 3, [after] * 3)
    assert found.sd == 0 and (found.low, found.high) == (found.gain.low, found.gain.high)


def test_tasks_alike_leave_student_t():
    """Every task gains the same in a seed, 0, 0.1 or 0.2 of ten samples: 0.1 plus or minus 4.303 x 0.1 / sqrt(3).

    Twenty tasks do not rule out that a share of z^2 / (20 + z^2) = 0.1611 of all goes to -1, or to 1.
    """
    before = [{str(t): [False] * 10 for t in range(20)} for _ in range(3)]
    after = [{str(t): [True] * n + [False] * (10 - n) for t in range(20)} for n in (0, 1, 2)]
    found = summarize_seeds(before, after)
    assert (found.gain.low, found.gain.high) == pytest.approx((0.1 - 0.1611 * 1.1, 0.1 + 0.1611 * 0.9), abs=1e-4)
    assert found.sd == pytest.approx(0.1)
    half = 4.303 * 0.1 / math.sqrt(3)
    assert (found.low, found.high) == pytest.approx((0.1 - half, 0.1 + half), rel=0.1)


@pytest.mark.parametrize("tasks", [1, 3, 8])
def test_tasks_and_seeds_alike_are_not_taken_for_all_tasks(tasks):
    """Every task fails before and passes after, in both seeds: n tasks do not rule out a share of z^2 / (n + z^2) of
    others that go the other way, and seeds that agree take nothing of that away."""
    before, after = ([one(**{f"t{i}": side for i in range(tasks)})] * 2 for side in (0, 1))
    found = summarize_seeds(before, after)
    unseen = 1.959964**2 / (tasks + 1.959964**2)
    assert (found.low, found.high) == pytest.approx((1 - 2 * unseen, 1.0), abs=1e-5)
    assert (found.low, found.high) == (found.gain.low, found.gain.high)
    assert verdict(found) == ("higher" if tasks == 8 else "tie")
    (compared,) = compare_settings({"x": after, "y": before})
    assert (compared.low, compared.high) == (found.low, found.high)


def test_what_other_seeds_add_has_the_spread_of_student_t():
    """97.5 % points of t: 12.706, 4.303, 2.776 for one, two and four degrees of freedom."""
    for values, quantile in (((0, 2), 12.706), ((0, 1, 2), 4.303), ((0, 1, 2, 3, 4), 2.776)):
        error = np.std(values, ddof=1) / math.sqrt(len(values))
        found = np.quantile(seed_noise(values, resamples=200_000), 0.975)
        assert found == pytest.approx(quantile * error, rel=0.05)
    assert seed_noise([0.3]) is None


def test_tasks_that_a_seed_lacks_are_left_out_and_counted():
    found = summarize_seeds([one(a=0, b=0), one(a=0)], [one(a=1, b=0, c=1), one(a=1, b=1)])
    assert (found.gain.num_tasks, found.left_out, found.gain.value) == (1, 2, 1.0)
    with pytest.raises(ValueError, match="every seed has"):
        summarize_seeds([one(a=0), one(b=0)], [one(a=0), one(b=0)])
    with pytest.raises(ValueError, match="at least one seed"):
        summarize_seeds([], [])


def test_a_seed_that_lost_samples_weighs_no_less():
    """Of two seeds one always passes and one never, before and after: nothing changed. After training the first lost
    three of four samples of every task to failures of ours. Pooled sample by sample it would fall from 4/8 to 1/5."""
    good, bad, few = ({f"t{i}": passed for i in range(10)} for passed in ([True] * 4, [False] * 4, [True]))
    found = summarize_seeds([good, bad], [few, bad])
    assert (found.before.value, found.after.value, found.gain.value) == (0.5, 0.5, 0.0)
    assert found.gains == (0.0, 0.0) and found.gain.low < 0 < found.gain.high
    assert (found.before.num_samples, found.after.num_samples) == (80, 50)
    (compared,) = compare_settings({"x": [good, bad], "y": [few, bad]})
    assert (compared.difference.value, compared.p_value) == (0.0, 1.0)


@pytest.mark.parametrize("seed_effect", [0.0, 0.6])
def test_the_interval_over_tasks_and_seeds_covers_the_truth(seed_effect):
    """Made-up settings whose true gain is known: tasks and seeds move the chance of a pass, three seeds.

    Where seeds matter the interval over tasks alone falls short, and must: it answers another question.
    """
    rng = np.random.default_rng(0)
    trials, inside, inside_tasks = 200, 0, 0
    task_effects, seed_effects = rng.normal(0, 1.5, 20_000), rng.normal(0, seed_effect, (20_000, 1))
    truth = float(np.mean(1 / (1 + np.exp(-(task_effects + seed_effects[:, 0])))))
    for trial in range(trials):
        logits = rng.normal(0, 1.5, 60) + rng.normal(0, seed_effect, (3, 1))
        passed = rng.random((3, 60)) < 1 / (1 + np.exp(-logits))
        before = [{str(task): [False] for task in range(60)}] * 3
        after = [{str(task): [bool(value)] for task, value in enumerate(own)} for own in passed]
        found = summarize_seeds(before, after, resamples=400, seed=trial)
        inside += found.low <= truth <= found.high
        inside_tasks += found.gain.low <= truth <= found.gain.high
    assert inside / trials >= 0.93
    assert (inside_tasks / trials >= 0.9) == (seed_effect == 0)


def test_settings_that_are_equally_good_are_ties_and_a_better_one_is_found():
    """Holm keeps the chance of any false find among all pairs below 5 %: of 40 tables of equals few have one."""
    rng = np.random.default_rng(0)

    def table(skills):
        difficulty = rng.random(80)
        return {
            str(i): [{str(t): [bool(rng.random() < s * (1 - d))] for t, d in enumerate(difficulty)} for _ in range(2)]
            for i, s in enumerate(skills)
        }

    false = 0
    for _ in range(40):
        false += any(c.verdict != "tie" for c in compare_settings(table([0.8] * 4), resamples=1000))
    assert false <= 5
    found = compare_settings(table([0.3, 0.3, 1.0]), resamples=2000)
    assert [(c.first, c.second, c.verdict) for c in found] == [
        ("0", "1", "tie"),
        ("0", "2", "second"),
        ("1", "2", "second"),
    ]
    assert all(c.adjusted >= c.p_value for c in found)


def test_a_comparison_by_hand():
    """Nine tasks that only the first solves: two of 512 ways to give signs are as far from 0."""
    first = [one(**{f"t{i}": 1 for i in range(9)})]
    second = [one(**{f"t{i}": 0 for i in range(9)})]
    (found,) = compare_settings({"x": first, "y": second}, resamples=999)
    assert (found.first, found.second, found.verdict, found.difference.value) == ("x", "y", "first", 1.0)
    assert found.p_value == found.adjusted == pytest.approx(2 / 512)
    assert (found.low, found.high) == (None, None)  # one seed each
    (same,) = compare_settings({"x": first, "y": first}, resamples=999)
    assert (same.p_value, same.verdict, same.difference.value) == (1.0, "tie", 0.0)


def test_correction_turns_a_find_into_a_tie():
    """First against second: 10 of 100 tasks differ, 9 of them one way. p is 22 / 1024 (McNemar's); among six, 0.13."""
    base = {f"t{i}": i < 50 for i in range(100)}
    flipped = {**base, **{f"t{i}": True for i in range(50, 59)}, "t0": False}
    results = {"a": [one(**base)], "b": [one(**flipped)]}
    (alone,) = compare_settings(results)
    assert alone.verdict == "second" and alone.p_value == 22 / 1024
    among = compare_settings({**results, "c": [one(**base)], "d": [one(**base)]})
    first = among[0]
    assert (first.first, first.second, first.p_value) == ("a", "b", alone.p_value)
    assert first.adjusted > 0.05 and first.verdict == "tie" and first.difference.high < 0


def test_tasks_are_compared_where_both_have_them():
    (found,) = compare_settings({"x": [one(a=1, b=1)], "y": [one(a=0, c=1)]})
    assert found.difference.num_tasks == 1 and found.difference.value == 1.0
    (alone,) = compare_settings({"x": [one(a=1)], "y": [one(b=1)], "z": [one(a=0)]})
    assert (alone.first, alone.second, alone.adjusted) == ("x", "z", alone.p_value)
    assert compare_settings({"x": [one(a=1)]}) == []


def test_holm_by_hand():
    """Smallest times 4, then times 3, 2, 1; never below the one before, never above 1."""
    assert holm([0.04, 0.01, 0.02, 0.9]) == pytest.approx([0.08, 0.04, 0.06, 0.9])
    assert holm([0.6, 0.5]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("tasks", [1, 2, 3, 4, 5, 6])
def test_few_tasks_settle_nothing(tasks):
    """All solved by the first alone, in three seeds each: of 2^n ways to give signs two are as far from 0."""
    first, second = ([one(**{f"t{i}": side for i in range(tasks)})] * 3 for side in (1, 0))
    (found,) = compare_settings({"x": first, "y": second})
    assert found.p_value == 2 / 2**tasks and (found.verdict == "tie") == (tasks < 6)


def test_thirds_that_add_up_to_nothing_are_nothing():
    """Three seeds; tasks solved by 3, 3, 2, 1, 0 of them against 2, 3, 1, 1, 1: changes of 1, 0, 1, 0, -1 thirds."""

    def seeds(*solved):
        return [one(**{f"t{task}": number < count for task, count in enumerate(solved)}) for number in range(3)]

    (found,) = compare_settings({"x": seeds(3, 3, 2, 1, 0), "y": seeds(2, 3, 1, 1, 1)})
    signs = [abs(a + b + c) >= 1 for a in (1, -1) for b in (1, -1) for c in (1, -1)]
    assert found.p_value == sum(signs) / 8 == 1.0
    draws = itertools.product((1, 0, 1, 0, -1), repeat=5)
    exact = sum(sum(draw) <= 0 for draw in draws) / 5**5
    assert found.difference.share_not_better == pytest.approx(exact, abs=0.015)


def test_equal_settings_are_seldom_said_to_differ_with_other_seeds():
    """Eight settings that differ by the luck of their seeds alone: of 28 pairs one without reserve is a false find."""
    rng = np.random.default_rng(0)
    false = 0
    for _ in range(20):
        difficulty = rng.normal(0, 1.5, 40)
        table = {
            str(setting): [
                {str(t): [bool(rng.random() < 1 / (1 + math.exp(-(d + luck))))] for t, d in enumerate(difficulty)}
                for luck in rng.normal(0, 0.6, 5)
            ]
            for setting in range(8)
        }
        found = compare_settings(table, resamples=2000)
        false += any(c.verdict != "tie" and c.holds_for_other_seeds for c in found)
    assert false <= 2


def test_very_many_settings_can_still_differ():
    """24 settings are 276 pairs: the least p of 10,000 draws would not stand their correction."""
    bad, good = one(**{f"t{i}": 0 for i in range(30)}), one(**{f"t{i}": 1 for i in range(30)})
    found = compare_settings({str(i): [good if i == 0 else bad] for i in range(24)}, resamples=1000)
    assert all(c.verdict == "first" for c in found if c.first == "0")
    assert all(c.verdict == "tie" for c in found if c.first != "0")
