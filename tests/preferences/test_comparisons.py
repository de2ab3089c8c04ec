"""Which answers a model is asked about, and what becomes of what it says."""

import pytest

from verigrad.preferences.comparisons import (
    answers_from_row,
    answers_row,
    draw_comparisons,
    preferred_pair,
    tally,
)
from verigrad.preferences.mining import Scored, TaskAnswers
from verigrad.preferences.model_judge import Opinion
from verigrad.types import Message

PROMPT = (Message("user", "Write `double(x)`."),)


def answer(text, fraction=0.0, *, finished=True):
    return Scored(
        prompt=PROMPT,
        text=text,
        program=text,
        fraction=fraction,
        passed=fraction == 1.0,
        outcomes=(fraction == 1.0,),
        finished=finished,
    )


def task(*answers):
    return TaskAnswers("double@1/0", answers, ("empty answer",))


def texts(comparisons):
    return {frozenset((comparison.a.text, comparison.b.text)) for comparison in comparisons}


def test_pairs_are_of_different_programs_and_one_of_them_is_whole():
    """Of four programs, a comment makes none, and two were cut off: all pairs of four but that of those two."""
    answers = [answer("x"), answer("x  # again"), answer("2 * x"), answer("x +", finished=False)]
    answers.append(answer("x -", finished=False))
    found = draw_comparisons(task(*answers))
    wanted = [("x", "2 * x"), ("x", "x +"), ("x", "x -"), ("2 * x", "x +"), ("2 * x", "x -")]
    assert len(found) == 5 and texts(found) == {frozenset(pair) for pair in wanted}
    assert len({comparison.id for comparison in found}) == 5
    assert draw_comparisons(task(answer("x"), answer("x"))) == []


def test_lots_are_drawn_by_the_seed_and_letters_by_the_texts():
    answers = [answer(str(number)) for number in range(6)]
    some = draw_comparisons(task(*answers), most=4, seed=1)
    assert some == draw_comparisons(task(*answers), most=4, seed=1) and len(some) == 4
    assert texts(some) <= texts(draw_comparisons(task(*answers)))
    assert len({frozenset(texts(draw_comparisons(task(*answers), most=4, seed=seed))) for seed in range(5)}) > 1
    there = {comparison.id: comparison for comparison in draw_comparisons(task(*answers))}
    back = {comparison.id: comparison for comparison in draw_comparisons(task(*reversed(answers)))}
    assert there == back


def test_what_opinions_come_to():
    """Six pairs: one for the better by tests, one against, one for a cut-off answer, a tie, two orders, no reply."""
    good, bad, cut = answer("good", 1.0), answer("bad", 0.5), answer("cut", 0.25, finished=False)
    (first,), (third,) = draw_comparisons(task(good, bad)), draw_comparisons(task(good, cut))
    (second,) = draw_comparisons(task(answer("best", 1.0), answer("worst")))
    others = draw_comparisons(task(answer("1"), answer("2"), answer("3")))
    assert (first.a.text, second.a.text, third.a.text) == ("bad", "best", "cut")
    opinions = {
        first.id: Opinion("b"),
        second.id: Opinion("b"),
        third.id: Opinion("a"),
        others[0].id: Opinion("tie", {"orders_disagree": False}),
        others[1].id: Opinion("tie", {"orders_disagree": True}),
    }
    pair = preferred_pair(first, opinions[first.id])
    assert (pair.prompt, pair.chosen, pair.rejected, pair.margin) == (PROMPT, "good", "bad", None)
    assert pair.meta == {"task_id": "double@1/0", "chosen_fraction": 1.0, "rejected_fraction": 0.5}
    assert preferred_pair(second, opinions[second.id]).chosen == "worst"
    told = [preferred_pair(comparison, opinions.get(comparison.id)) for comparison in (third, *others)]
    assert told == [None] * 4 and preferred_pair(first, Opinion("skip")) is None
    assert tally([first, second, third, *others], opinions) == pytest.approx(
        {
            "judge_pairs": 6,
            "judge_agreed": 3 / 6,
            "judge_ties": 1 / 6,
            "judge_disagreed": 1 / 6,
            "judge_skipped": 0,
            "judge_failed": 1 / 6,
            "judge_cut_off": 1 / 6,
            "judge_as_tests": 1 / 2,
        }
    )
    assert tally([], {}) == {"judge_pairs": 0}


def test_answers_come_back_as_they_were():
    whole = task(answer("x", 1.0), answer("y\u2028", finished=False))
    assert answers_from_row(answers_row(whole)) == whole
