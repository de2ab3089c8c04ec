"""Rewards by how a program ended, on verdicts made by hand."""

import pytest

from verigrad.rewards.base import Answer
from verigrad.rewards.outcome import COMPILE_ERROR, FAILED_TEST, PASSED, RUNTIME_ERROR, adaptive, ladder, outcome_class
from verigrad.types import Task, TestResult, Verdict

TASK, ANSWER = Task(id="t", prompt=""), Answer("", None)


def verdict(status, *results):
    return Verdict(status=status, results=tuple(TestResult(str(n), r) for n, r in enumerate(results)))


@pytest.mark.parametrize(
    ("found", "outcome", "value", "smooth"),
    [
        (None, COMPILE_ERROR, -1.0, -1.0),
        (verdict("syntax_error", "syntax_error"), COMPILE_ERROR, -1.0, -1.0),
        (verdict("no_entry_point"), COMPILE_ERROR, -1.0, -1.0),
        (verdict("exception", "exception", "exception"), RUNTIME_ERROR, -0.6, -0.6),
        (verdict("timeout", "timeout"), RUNTIME_ERROR, -0.6, -0.6),
        (verdict("violation", "violation"), RUNTIME_ERROR, -0.6, -0.6),
        (verdict("failed", "failed", "failed"), FAILED_TEST, -0.3, -0.3),
        (verdict("failed", "passed", "failed", "passed", "failed"), FAILED_TEST, -0.3, -0.3 + 1.3 * 0.5),
        (verdict("exception", "passed", "exception"), RUNTIME_ERROR, -0.6, -0.3 + 1.3 * 0.5),
        # All tests passed and still not a pass: never the full reward.
        (verdict("nondeterministic", "passed", "passed"), FAILED_TEST, -0.3, -0.3 + 1.3 * 0.99),
        (verdict("passed", "passed", "passed"), PASSED, 1.0, 1.0),
    ],
)
def test_outcomes(found, outcome, value, smooth):
    assert outcome_class(found) == outcome
    assert ladder(TASK, ANSWER, found).value == value
    assert adaptive(TASK, ANSWER, found).value == pytest.approx(smooth)
    assert adaptive(TASK, ANSWER, found).evidence is found
