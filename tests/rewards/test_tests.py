"""Rewards from tests, on verdicts made by hand."""

from dataclasses import replace
from functools import partial

import pytest

from verigrad.rewards.base import Answer
from verigrad.rewards.public import public
from verigrad.rewards.tests import (
    all_pass,
    best_constant,
    by_difficulty,
    corrected,
    fraction,
    power,
    subtasks,
    weighted,
)
from verigrad.types import (
    AnswerTest,
    CallTest,
    Comparator,
    Oracle,
    OutputRule,
    ScriptTest,
    StdioTest,
    Task,
    TestResult,
    Verdict,
)

TASK, ANSWER = Task(id="t", prompt=""), Answer("", "def f(x): ...")
# 8 tests: False six times, True twice. The constant False passes 6 of 8.
BOOLEAN = Oracle(task_id="t", tests=tuple(CallTest(str(n), (n,), n in (3, 5)) for n in range(8)))


def verdict(passed, status=None):
    """`passed` is a string such as "1101": which tests passed."""
    results = tuple(TestResult(str(n), "passed" if mark == "1" else "failed") for n, mark in enumerate(passed))
    return Verdict(status=status or ("passed" if "0" not in passed else "failed"), results=results)


FALSE, TRUE = verdict("11101011"), verdict("00010100")
ALL, NONE, SEVEN = verdict("1" * 8), verdict("0" * 8), verdict("11111110")


def value(reward, found):
    return reward(TASK, ANSWER, found).value


@pytest.mark.parametrize(
    ("found", "whole", "share", "squared", "beyond", "distinct"),
    [
        (None, 0, 0, 0, 0, 0),
        (NONE, 0, 0, 0, 0, 0),
        (FALSE, 0, 6 / 8, 36 / 64, 0, 1 / 2),
        (TRUE, 0, 2 / 8, 4 / 64, 0, 1 / 2),
        (SEVEN, 0, 7 / 8, 49 / 64, (7 / 8 - 6 / 8) / (2 / 8), (5 / 6 + 1) / 2),
        (ALL, 1, 1, 1, 1, 1),
        # All tests passed and still not a pass: never the full reward.
        (verdict("1" * 8, "nondeterministic"), 0, 0.99, 0.99**2, (0.99 - 0.75) / 0.25, 0.99),
    ],
)
def test_worked_by_hand(found, whole, share, squared, beyond, distinct):
    assert value(all_pass, found) == whole
    assert value(fraction, found) == pytest.approx(share)
    assert value(power, found) == pytest.approx(squared)
    assert value(partial(power, exponent=3), found) == pytest.approx(squared**1.5)
    assert value(partial(corrected, oracle=BOOLEAN), found) == pytest.approx(beyond)
    assert value(partial(weighted, oracle=BOOLEAN), found) == pytest.approx(distinct)


def test_a_pass_is_paid_in_full_even_where_a_constant_passes():
    same = Oracle(task_id="t", tests=BOOLEAN.tests, constant_pass_rate=1.0)
    assert value(partial(corrected, oracle=same), ALL) == 1.0
    assert value(partial(corrected, oracle=same), SEVEN) == 0.0


def test_parts_say_what_the_value_hides():
    assert corrected(TASK, ANSWER, FALSE, oracle=BOOLEAN).parts == {"tests": 0.75, "best_constant": 0.75}


@pytest.mark.parametrize("reward", [corrected, weighted])
def test_without_the_tests_there_is_nothing_to_correct_by(reward):
    with pytest.raises(ValueError, match="pass it their oracle"):
        reward(TASK, ANSWER, FALSE, oracle=None)


@pytest.mark.parametrize(
    ("tests", "comparator", "best"),
    [
        ([CallTest("a", (), 1), CallTest("b", (), True), CallTest("c", (), 1.0)], Comparator(), 1 / 3),
        ([CallTest("a", (), 1), CallTest("b", (), True), CallTest("c", (), 1.0)], Comparator(strict=False), 1.0),
        ([CallTest("a", (), 1.0), CallTest("b", (), 1.05), CallTest("c", (), 2.0)], Comparator(atol=0.1), 2 / 3),
        ([CallTest("a", (), [1, 2]), CallTest("b", (), [2, 3]), CallTest("c", (), [4])], Comparator("any_of"), 2 / 3),
        ([StdioTest("a", "1", "yes\n"), StdioTest("b", "2", "yes"), StdioTest("c", "3", "no")], Comparator(), 2 / 3),
        ([AnswerTest("a", 7)], Comparator(), 1.0),
        ([ScriptTest("a", "assert f(1) == 2")], Comparator(), 0.0),
        ([], Comparator(), 0.0),
    ],
)
def test_the_best_constant(tests, comparator, best):
    assert best_constant(Oracle(task_id="t", tests=tuple(tests), comparator=comparator)) == pytest.approx(best)


def test_the_best_constant_output_goes_by_the_rule():
    """By value 1.0 meets a, b and c (an alternative); letter for letter each output meets one test, or two."""
    tests = (StdioTest("a", "", "1.0"), StdioTest("b", "", "1.04 "), StdioTest("c", "", "5", ("1.0",)))
    oracle = Oracle(task_id="t", tests=(*tests, StdioTest("d", "", "9")))
    assert best_constant(oracle) == 2 / 4
    assert best_constant(replace(oracle, output=OutputRule(atol=0.1))) == 3 / 4


def test_the_best_constant_output_has_the_white_space_that_the_rule_wants():
    """Letter for letter "1\\n" meets two of four; by the other rules it meets three."""
    tests = tuple(StdioTest(name, "", text) for name, text in [("a", "1"), ("b", "1\n"), ("c", "1\n"), ("d", "2\n")])
    oracle = Oracle(task_id="t", tests=tests)
    shares = [best_constant(replace(oracle, output=OutputRule(spaces))) for spaces in ("exact", "trailing", "tokens")]
    assert shares == [2 / 4, 3 / 4, 3 / 4]


def test_what_few_programs_pass_is_worth_more():
    # Weights 1 / 1, 1 / 0.5, 1 / 0.1; a test no one passed weighs 1 / 0.05, an unknown one 1.
    reward = by_difficulty({"t": {"0": 1.0, "1": 0.5, "2": 0.1}})
    assert value(reward, verdict("110")) == pytest.approx(3 / 13)
    assert value(reward, verdict("001")) == pytest.approx(10 / 13)
    assert value(by_difficulty({"t": {"0": 0.0}}), verdict("10")) == pytest.approx(20 / 21)
    assert value(by_difficulty({}), verdict("10")) == 0.5
    assert value(reward, None) == 0.0


def named(*results):
    status = "passed" if all(fine for _, fine in results) else "failed"
    found = tuple(TestResult(name, "passed" if fine else "failed") for name, fine in results)
    return Verdict(status=status, results=found)


def test_a_subtask_is_worth_its_weakest_test():
    found = named(("a/1", True), ("a/2", True), ("b/1", True), ("b/2", False), ("c/1", True))
    assert value(subtasks, found) == pytest.approx(2 / 3)
    assert value(partial(subtasks, points={"a": 10, "b": 60, "c": 30}), found) == pytest.approx(0.4)
    assert value(subtasks, named(("x", True), ("y", False))) == 0.0  # no subtasks: all or nothing
    assert value(subtasks, named(("a/1", True), ("b/1", True))) == 1.0
    assert value(subtasks, None) == 0.0


def test_the_weak_judge_goes_by_the_shown_tests_alone():
    task = Task(id="t", prompt="", entry_point="f")
    passed, failed = (Verdict(status=status, results=()) for status in ("passed", "failed"))
    answer = Answer("", "")
    assert public(task, answer, replace(failed, shown=passed)).value == 1.0
    assert public(task, answer, replace(passed, shown=failed)).value == 0.0
    assert public(task, answer, None).value == 0.0
    with pytest.raises(ValueError, match="shows no tests"):
        public(task, answer, passed)


def test_expected_values_too_long_to_be_written_in_decimal():
    tests = tuple(CallTest(str(n), (n,), 10**5000 + n // 3) for n in range(4))  # three alike, and one more
    oracle = Oracle(task_id="t", tests=tests)
    assert best_constant(oracle) == 0.75
    assert value(partial(corrected, oracle=oracle), verdict("1110")) == 0.0
    assert value(partial(weighted, oracle=oracle), verdict("1110")) == pytest.approx(0.5)
