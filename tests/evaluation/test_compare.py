"""Paired differences, McNemar, and the split of a gain into parsing and solving."""

import math
import random

import numpy as np
import pytest

from verigrad.evaluation.compare import (
    gain_breakdown,
    mcnemar,
    paired_difference,
    results_by_task,
    sign_flip_p,
    summarize_split,
)
from verigrad.evaluation.pass_at_k import summarize


def rows(**statuses):
    """Rows from `task="passed failed ..."`."""
    return [{"task_id": task, "status": status} for task, words in statuses.items() for status in words.split()]


def test_infrastructure_errors_are_no_samples():
    results = results_by_task(rows(a="passed error failed", b="error", c="no_code"))
    assert results == {"a": [True, False], "c": [False]}


def test_the_difference_of_two_tasks_by_hand():
    """Changes 0 and 1: resampled means 0, 1/2, 1 with chances 1/4, 1/2, 1/4."""
    difference = paired_difference({"a": [True], "b": [False]}, {"b": [True], "a": [True]})
    assert (difference.value, difference.low, difference.high, difference.num_tasks) == (0.5, 0.0, 1.0, 2)
    assert difference.share_not_better == pytest.approx(0.25, abs=0.02)


def test_pairing_is_what_makes_it_sharp():
    """Tasks of very different difficulty, every one a quarter better: the difference has no spread.

    What 40 tasks do not rule out is that a share of z^2 / (40 + z^2) = 0.0876 of all tasks goes to -1, or to 1.
    """
    before = {str(i): [j < i % 4 for j in range(4)] for i in range(40)}
    after = {str(i): [j < i % 4 + 1 for j in range(4)] for i in range(40)}
    difference = paired_difference(before, after)
    assert (difference.value, difference.share_not_better) == (0.25, 0.0)
    assert (difference.low, difference.high) == pytest.approx((0.25 - 0.0876 * 1.25, 0.25 + 0.0876 * 0.75), abs=1e-4)


def test_swapping_the_sides_turns_the_sign():
    rng = random.Random(0)
    before, after = ({str(i): [rng.random() < p for _ in range(3)] for i in range(50)} for p in (0.3, 0.4))
    there, back = paired_difference(before, after), paired_difference(after, before)
    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low), abs=1e-12)


def test_other_tasks_are_refused():
    with pytest.raises(ValueError, match=r"same tasks.*unpaired: \['b'\]"):
        paired_difference({"a": [True]}, {"a": [True], "b": [True]})


def test_mcnemar_by_hand():
    """One lost, nine won, two unchanged: 2 (C(10,0) + C(10,1)) / 2^10 = 22/1024."""
    before = {str(i): [i in (0, 10)] for i in range(12)}
    after = {str(i): [i in range(1, 11)] for i in range(12)}
    test = mcnemar(before, after)
    assert (test.only_before, test.only_after, test.p_value) == (1, 9, 22 / 1024)
    assert mcnemar(before, before).p_value == 1.0
    with pytest.raises(ValueError, match="one sample of each"):
        mcnemar({"a": [True, True]}, {"a": [True, True]})


def test_gain_by_hand():
    """Parse 1/2 with 2 of 5 parsed passing, then all parse and half pass: 0.5 - 0.2 = 0.5 * 0.45 + 0.75 * 0.1."""
    before = rows(a="no_code syntax_error no_code no_code no_code passed passed failed timeout exception")
    after = rows(a="passed passed failed memory")
    gain = gain_breakdown(before, after)
    assert (gain.parse_before, gain.pass_given_parse_before) == (0.5, 0.4)
    assert (gain.parse_after, gain.pass_given_parse_after) == (1.0, 0.5)
    assert gain.gain == pytest.approx(0.3)
    assert (gain.from_parsing, gain.from_solving) == (pytest.approx(0.225), pytest.approx(0.075))


def test_the_parts_add_up_to_the_difference_of_pass_at_1_also_with_uneven_samples():
    rng = random.Random(1)
    words = ["passed", "failed", "no_code", "syntax_error", "timeout", "error"]

    def side():
        return rows(**{f"t{i}": " ".join([*rng.choices(words, k=rng.randint(1, 5)), "failed"]) for i in range(12)})

    for _ in range(20):
        before, after = side(), side()
        gain = gain_breakdown(before, after)
        difference = paired_difference(results_by_task(before), results_by_task(after), resamples=10)
        assert gain.from_parsing + gain.from_solving == pytest.approx(gain.gain, abs=1e-12)
        assert gain.gain == pytest.approx(difference.value, abs=1e-12)


def test_only_better_syntax_is_all_parsing_and_only_better_solving_is_all_solving():
    syntax = gain_breakdown(rows(a="no_code no_code passed failed"), rows(a="passed failed"))
    assert (syntax.from_parsing, syntax.from_solving) == (0.25, 0.0)
    solving = gain_breakdown(rows(a="no_code failed"), rows(a="no_code passed"))
    assert (solving.from_parsing, solving.from_solving) == (0.0, 0.5)


def test_the_gain_is_over_the_tasks_that_both_sides_have():
    """The hard task could not be judged after: of the other nothing changed, so nothing is gained."""
    before, after = rows(easy="passed passed", hard="failed no_code"), rows(easy="passed passed", hard="error error")
    gain = gain_breakdown(before, after)
    assert (gain.gain, gain.from_parsing, gain.from_solving) == (0.0, 0.0, 0.0)
    assert (gain.parse_before, gain.pass_given_parse_before) == (1.0, 1.0)
    assert summarize_split(before, after)["difference"]["value"] == gain.gain


def test_nothing_parsed_before_gives_the_gain_to_parsing():
    gain = gain_breakdown(rows(a="no_code no_code"), rows(a="passed failed"))
    assert (gain.gain, gain.from_parsing, gain.from_solving) == (0.5, 0.5, 0.0)
    nothing = gain_breakdown(rows(a="no_code"), rows(a="syntax_error"))
    assert (nothing.gain, nothing.from_parsing, nothing.from_solving) == (0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="scored samples on both sides"):
        gain_breakdown(rows(a="error"), rows(a="passed"))


def test_a_splits_summary_by_hand():
    """Ten tasks, one sample each: 2 pass before, 5 after; intervals are Wilson's for 2 and 5 of 10."""
    before = rows(**{f"t{i}": "passed" if i < 2 else "failed" for i in range(10)})
    after = rows(**{f"t{i}": "passed" if i < 5 else "no_code" for i in range(10)})
    split = summarize_split(before, after)
    assert split["before"]["pass@1"] == 0.2 and split["after"]["pass@1"] == 0.5
    assert split["before"]["low"] == pytest.approx(0.0567, abs=5e-5)
    assert split["after"]["high"] == pytest.approx(0.7634, abs=5e-5)
    assert split["difference"]["value"] == pytest.approx(0.3)
    # Three of ten changed: the resampled count is binomial(10, 0.3), 95 % of it in [0, 6]; none at all has 0.7^10.
    assert (split["difference"]["low"], split["difference"]["high"]) == (0.0, pytest.approx(0.6))
    assert split["difference"]["share_not_better"] == pytest.approx(math.pow(0.7, 10), abs=0.005)
    assert (split["num_tasks"], split["num_samples"], split["unpaired_tasks"]) == (10, 10, 0)


def test_a_summary_of_one_side_and_of_sides_that_differ():
    only = summarize_split(rows(a="passed failed", b="failed failed"), [])
    assert only["before"]["pass@1"] == 0.25 and "after" not in only and "difference" not in only
    assert (only["num_tasks"], only["num_samples"], only["unpaired_tasks"]) == (2, 4, 0)
    odd = summarize_split(rows(a="failed", b="passed"), rows(b="passed", c="passed"))
    assert odd["difference"]["value"] == 0.0
    assert (odd["num_tasks"], odd["unpaired_tasks"]) == (1, 2)
    assert odd["before"]["num_tasks"] == odd["after"]["num_tasks"] == 2
    assert summarize_split([], []) == {"num_tasks": 0, "num_samples": 0, "unpaired_tasks": 0}


@pytest.mark.parametrize("only_before, only_after, alike", [(1, 9, 5), (0, 5, 0), (3, 3, 9), (2, 7, 0), (0, 0, 4)])
def test_flipping_signs_of_single_samples_is_mcnemars_test(only_before, only_after, alike):
    changes = [-1.0] * only_before + [1.0] * only_after + [0.0] * alike
    pairs = {str(n): (change < 0, change > 0) for n, change in enumerate(changes)}
    before, after = ({task: [pair[side]] for task, pair in pairs.items()} for side in (0, 1))
    exact = mcnemar(before, after).p_value
    assert sign_flip_p(np.array(changes)) == pytest.approx(exact)
    assert sign_flip_p(np.array(changes), resamples=500) == pytest.approx(exact, abs=0.07)


def test_one_task_leaves_everything_open():
    """Wilson's bound for none of one is z^2 / (1 + z^2) = 0.7935."""
    found = summarize({"a": [True, False]})
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.5 - 0.7935 / 2, 0.5 + 0.7935 / 2), abs=1e-4)
    change = paired_difference({"a": [False]}, {"a": [True]})
    assert (change.low, change.high) == pytest.approx((1 - 2 * 0.7935, 1.0), abs=1e-4)
