"""Figures of a reward model's held-out scores, worked by hand and against brute force."""

import math
from dataclasses import astuple

import numpy as np
import pytest
from evaluation.made_up import PAIRS, pair_row

from verigrad.evaluation.held_out import mistake, read_held_out
from verigrad.evaluation.held_out_figures import (
    calibration,
    label_accuracy,
    length_bias,
    order_accuracy,
    point_figures,
    separation,
    side_accuracy,
)
from verigrad.evaluation.pass_at_k import wilson

ROWS = [pair_row(number, *pair) for number, pair in enumerate(PAIRS)]


def label(number, prompt, name, score, wanted, tokens=10, fraction=None):
    return {
        "record": number,
        "prompt_id": prompt,
        "answer_ids": [name],
        "scores": [score],
        "tokens": [tokens],
        "fractions": None if fraction is None else [fraction],
        "desirable": wanted,
    }


def logistic(x):
    return 1 / (1 + math.exp(-x))


def values(*estimates):
    return [None if found is None else (found.value, found.num_samples, found.num_tasks) for found in estimates]


def test_pairs_worked_by_hand():
    """Gaps 1, -0.5, 3, -2, 1: three of five right. Answer a is in two pairs and counts once among answers.

    Passing a 2, d 0, f -1, i 0.5; failing b 1, c 2.5, e -3, g 1, h 1.5. Passing answers win 4 + 1 + 1 + 1 of 20
    comparisons; within prompts a beats b and d beats e, of five. The label of h and i contradicts the tests.
    """
    held_out = read_held_out(ROWS)
    assert held_out.kind == "pairs" and held_out.judged and len(held_out.answers) == 9
    found = values(order_accuracy(held_out), separation(held_out), separation(held_out, within_prompts=True))
    assert found == [(0.6, 5, 4), (7 / 20, 9, 4), (2 / 5, 5, 4)]
    assert values(label_accuracy(held_out), side_accuracy(held_out)) == [(4 / 5, 5, 4), None]


def test_without_verdicts_labels_decide():
    """Chosen a d f h, rejected b c e g i: h 1.5 beats b e g i; a beats all but c; d beats e; f beats e: 10 of 20."""
    held_out = read_held_out([{**row, "fractions": None} for row in ROWS])
    assert not held_out.judged and label_accuracy(held_out) is None
    assert values(separation(held_out)) == [(10 / 20, 9, 4)]
    assert values(separation(held_out, within_prompts=True)) == values(order_accuracy(held_out))


def test_an_answer_that_is_chosen_here_and_rejected_there_is_on_neither_side():
    rows = [
        pair_row(0, "p", ("a", 3.0, 5, None), ("b", 2.0, 5, None)),
        pair_row(1, "p", ("b", 2.0, 5, None), ("c", 1.0, 5, None)),
    ]
    good, bad = read_held_out(rows).sides()
    assert [answer.score for answer in good] == [3.0] and [answer.score for answer in bad] == [1.0]


def test_an_answer_counts_once_however_often_it_is_compared():
    """Answer a (0) is preferred to b, c and d (1 each), e (2) to f (-1); of g (5) and h (3) either is once.

    Of wanted {a, e} and unwanted {b, c, d, f} five of eight comparisons are won; counted pair by pair, 7 of 16.
    Tokens are 1 to 8 for a to h; the ranks of their scores are 2, 4, 4, 4, 6, 1, 8, 7.
    """
    scores = dict(zip("abcdefgh", (0.0, 1.0, 1.0, 1.0, 2.0, -1.0, 5.0, 3.0), strict=True))
    passes = {"a": 1.0, "b": 0.5}

    def side(name):
        return name, scores[name], "abcdefgh".index(name) + 1, passes.get(name)

    told = [("p", "ab"), ("p", "ac"), ("p", "ad"), ("q", "ef"), ("r", "gh"), ("r", "hg")]
    rows = [pair_row(number, prompt, *map(side, names)) for number, (prompt, names) in enumerate(told)]
    del rows[0]["fractions"]  # what one record of an answer does not say another one may
    found = point_figures(read_held_out([*rows, pair_row(6, "p", side("a"), side("b"))]))
    assert found["auc"] == pytest.approx(5 / 8)
    assert found["auc_verdicts"] == found["auc_verdicts_within_prompt"] == 0.0
    assert found["length_bias"] == pytest.approx(np.corrcoef([2, 4, 4, 4, 6, 1, 8, 7], range(1, 9))[0, 1])
    assert found["pair_accuracy"] == pytest.approx(2 / 7)


def test_rated_answers_worked_by_hand():
    """Scores 2, -1 (wrong), 0.5 of wanted answers, -1, 1 (wrong) of unwanted: three of five on the right side."""
    rows = [
        label(0, "p", "a", 2.0, True, fraction=1.0),
        label(1, "p", "b", 1.0, False, fraction=0.5),
        label(2, "p", "c", -1.0, False, fraction=0.0),
        label(3, "q", "d", -1.0, True, fraction=1.0),
        label(4, "r", "e", 0.5, True),
    ]
    held_out = read_held_out(rows)
    assert held_out.kind == "labels"
    assert values(side_accuracy(held_out), order_accuracy(held_out)) == [(3 / 5, 5, 3), (1.0, 2, 1)]
    # Tests know of a, b, c, d: a beats both failing ones, d ties with c.
    assert values(separation(held_out)) == [((2 + 0.5) / 4, 4, 2)]


def test_rankings_worked_by_hand():
    """Rewards 1, 0, 0.5 with scores 3, 1, 0: the pairs are 1 over 0.5 and 0, both right, and 0.5 over 0, wrong."""
    row = {"record": 0, "prompt_id": "p", "answer_ids": ["a", "b", "c"], "scores": [3.0, 1.0, 0.0]}
    held_out = read_held_out([{**row, "candidate_rewards": [1.0, 0.0, 0.5]}])
    assert held_out.kind == "rankings"
    assert values(order_accuracy(held_out)) == [(2 / 3, 3, 1)]
    assert [answer.wanted for answer in held_out.answers] == [True, False, None]


@pytest.mark.parametrize(
    ("rewards", "wanted"),
    [((0.7, 0.4, 0.1), (True, None, False)), ((0.1, 0.1, 0.1), (None, None, None)), ((1, 0), (True, False))],
)
def test_the_middle_is_that_of_the_decimals(rewards, wanted):
    row = {"record": 0, "scores": [0.0] * len(rewards), "candidate_rewards": list(rewards)}
    assert tuple(answer.wanted for answer in read_held_out([row]).answers) == wanted


def test_rows_of_older_runs_lack_keys():
    held_out = read_held_out([{"record": 7, "scores": [1.0, 0.0], "margin": None}, {"record": 8, "scores": [0.0, 1.0]}])
    assert values(order_accuracy(held_out)) == [(0.5, 2, 2)]
    assert set(astuple(length_bias(held_out))) == {None}


# --------------------------------------------------------------------------------------- by brute force


def random_rows(seed, prompts=12):
    rng = np.random.default_rng(seed)
    return [
        label(number, f"p{prompt}", f"a{number}", float(np.round(rng.normal(), 1)), bool(rng.integers(2)))
        | {"fractions": [float(rng.integers(3)) / 2], "tokens": [int(rng.integers(5, 50))]}
        for number, prompt in enumerate(rng.integers(0, prompts, 60))
    ]


@pytest.mark.parametrize("seed", range(3))
def test_separation_is_the_share_of_comparisons_won(seed):
    rows = random_rows(seed)
    held_out = read_held_out(rows)
    for within in (False, True):
        wins = [
            (good["scores"] > bad["scores"]) + 0.5 * (good["scores"] == bad["scores"])
            for good in rows
            for bad in rows
            if good["fractions"][0] == 1.0 > bad["fractions"][0]
            if not within or good["prompt_id"] == bad["prompt_id"]
        ]
        found = separation(held_out, within_prompts=within)
        assert found.value == pytest.approx(sum(wins) / len(wins))
        assert found.low < found.value < found.high


def test_more_pairs_of_the_same_prompts_do_not_make_it_surer():
    many = [{**row, "answer_ids": [f"{name}{copy}" for name in row["answer_ids"]]} for row in ROWS for copy in range(9)]
    few, more = order_accuracy(read_held_out(ROWS)), order_accuracy(read_held_out(many))
    assert (more.low, more.high) == (few.low, few.high) and more.num_samples == 9 * few.num_samples


def test_the_interval_is_that_of_resampled_prompts():
    """Three prompts of one pair each, one of them wrong: all 27 resamples are equally likely."""
    rows = [pair_row(i, f"p{i}", ("a", float(i), 5, None), ("b", 0.5, 5, None)) for i in range(3)]
    found = order_accuracy(read_held_out(rows))
    assert found.value == pytest.approx(2 / 3)
    # None right has chance 1/27 = 3.7 %, above 2.5 %; all right has 8/27.
    assert (found.low, found.high) == (0.0, 1.0)


def test_certainty_is_not_claimed():
    rows = [pair_row(i, f"p{i}", ("a", 1.0, 5, None), ("b", 0.0, 5, None)) for i in range(10)]
    found = order_accuracy(read_held_out(rows))
    assert (found.value, found.low, found.high) == (1.0, *wilson(10, 10))
    alone = order_accuracy(read_held_out(rows[:1]))
    assert (alone.value, alone.low, alone.high) == (1.0, 0.0, 1.0)
    # Half of the pairs of every prompt are right: every resample is, and other prompts need not be like these.
    halves = [pair_row(i, f"p{i // 2}", (f"a{i}", i % 2, 5, None), (f"b{i}", 0.5, 5, None)) for i in range(8)]
    found = order_accuracy(read_held_out(halves))
    assert (found.value, found.low, found.high) == (0.5, *wilson(2, 4))


# ------------------------------------------------------------------------------- calibration and length


def test_calibration_of_pairs_worked_by_hand():
    """Stated s(1) = 0.731 twice, right both times; s(0.5) = 0.622 wrong; s(3) = 0.953 right; s(2) = 0.881 wrong."""
    found = calibration(read_held_out(ROWS))
    bins = [(round(bin_.low, 1), bin_.count, bin_.right) for bin_ in found.bins]
    assert bins == [(0.6, 1, 0.0), (0.7, 2, 1.0), (0.8, 1, 0.0), (0.9, 1, 1.0)]
    assert [bin_.stated for bin_ in found.bins] == pytest.approx([logistic(x) for x in (0.5, 1, 2, 3)])
    off = logistic(0.5) + 2 * (1 - logistic(1)) + logistic(2) + (1 - logistic(3))
    assert found.error == pytest.approx(off / 5)
    assert found.bins[1].interval == wilson(2, 2)


def test_a_tie_comes_true_half_of_the_time():
    """Equal scores state 50 % either way: who knows nothing and says so is calibrated."""
    ties = [{"record": i, "prompt_id": str(i), "scores": [2.0, 2.0]} for i in range(3)]
    found = calibration(read_held_out(ties))
    assert [(bin_.low, bin_.count, bin_.right) for bin_ in found.bins] == [(0.5, 3, 0.5)] and found.error == 0.0
    assert sum(found.bins[0].interval) / 2 == pytest.approx(0.5)


@pytest.mark.parametrize("seed", range(3))
def test_the_error_is_the_mean_distance_of_the_bins(seed):
    held_out = read_held_out(random_rows(seed))
    found = calibration(held_out)
    assert sum(bin_.count for bin_ in found.bins) == len(held_out.answers)
    off = sum(bin_.count * abs(bin_.stated - bin_.right) for bin_ in found.bins)
    assert found.error == pytest.approx(off / len(held_out.answers))
    assert all(bin_.low <= bin_.stated <= bin_.high for bin_ in found.bins)


def test_a_model_that_states_the_truth_is_calibrated():
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 2, 5000)
    wanted = rng.random(5000) < 1 / (1 + np.exp(-scores))
    rows = [label(i, i, i, float(s), bool(w)) for i, (s, w) in enumerate(zip(scores, wanted, strict=True))]
    found = calibration(read_held_out(rows))
    assert found.error < 0.02
    assert sum(bin_.interval[0] <= bin_.stated <= bin_.interval[1] for bin_ in found.bins) >= 8
    sure = calibration(read_held_out([{**row, "scores": [3 * row["scores"][0]]} for row in rows]))
    assert sure.error > 0.08


def test_length_worked_by_hand():
    """The longer answer is b, c, e, f, h of each pair; c and h score higher; f and h are the better ones.

    Where the better is longer (f, h), h is right; where it is shorter (a over b, a over c, d over e), two of three.
    """
    found = length_bias(read_held_out(ROWS))
    assert (found.prefers_longer, found.longer_is_better) == (2 / 5, 2 / 5)
    assert (found.right_if_longer, found.right_if_shorter) == (1 / 2, 2 / 3)
    # Passing: tokens 10 12 40 15 of scores 2 0 -1 0.5, ranks 1 2 4 3 against 4 2 1 3: d = 3 0 3 0, 1 - 6 * 18 / 60.
    assert found.good == pytest.approx(1 - 6 * 18 / 60)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_model_that_counts_tokens_is_found_out(sign):
    rows = [label(i, "p", i, sign * n, i % 2 == 0, n) for i, n in enumerate([5, 9, 12, 20, 33, 34])]
    found = length_bias(read_held_out(rows))
    assert (found.all_answers, found.good, found.bad) == (sign, sign, sign)
    assert found.prefers_longer == (sign > 0)
    assert abs(found.verdict) < 0.5


# --------------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("row", "size", "shown"),
    [
        ({"scores": [2.0, 2.5]}, 0.5, (0, 1)),
        ({"scores": [2.0, 1.0]}, -1.0, (0, 1)),
        ({"scores": [-0.75], "desirable": True}, 0.75, (0,)),
        ({"scores": [-0.75], "desirable": False}, -0.75, (0,)),
        ({"scores": [3.0, 1.0, 0.0], "candidate_rewards": [1.0, 0.0, 0.5]}, 1.0, (2, 1)),
    ],
)
def test_the_largest_mistake_of_a_row(row, size, shown):
    assert (mistake(row).size, mistake(row).shown) == (size, shown)


def test_equally_good_answers_allow_no_mistake():
    assert mistake({"scores": [1.0, 2.0], "candidate_rewards": [0.5, 0.5]}) is None
