"""Rewards by how a program ended, as the methods made for code have them; each a pure function of the verdict."""

from __future__ import annotations

from verigrad.rewards.base import Answer, Check
from verigrad.types import Score, Task, Verdict

__all__ = [
    "CHECKS",
    "COMPILE_ERROR",
    "FAILED_TEST",
    "LADDER",
    "PASSED",
    "RUNTIME_ERROR",
    "adaptive",
    "ladder",
    "outcome_class",
    "outcome_parts",
]

COMPILE_ERROR = 0
RUNTIME_ERROR = 1
FAILED_TEST = 2
PASSED = 3

CHECKS = [
    Check("gold", at_least=1.0),
    Check("empty", at_most=-1.0),
    Check("wrong", at_most=0.999),
    Check("constant", at_most=0.999),
    Check("syntax_error", at_most=-1.0),
    Check("early_exit", at_most=-0.3),
    Check("infinite_loop", at_most=-0.3),
    Check("memory_hog", at_most=-0.3),
    Check("always_equal", at_most=0.999),
]

LADDER = (-1.0, -0.6, -0.3, 1.0)
"""Compile error, run-time error, failed test, all passed: Le et al. 2022, CodeRL, arXiv:2207.01780, eq. 5."""


def outcome_class(verdict: Verdict | None) -> int:
    """0 where nothing could be run, 1 where the program was stopped or stopped itself, 2 wrong results, 3 passed."""
    if verdict is None or verdict.status in ("syntax_error", "no_entry_point"):
        return COMPILE_ERROR
    if verdict.passed:
        return PASSED
    return FAILED_TEST if verdict.status in ("failed", "nondeterministic") else RUNTIME_ERROR


def ladder(task: Task, answer: Answer, verdict: Verdict | None) -> Score:
    """CodeRL's four outcomes: -1, -0.6, -0.3 and 1.

    Main hack: a program that runs and returns anything earns 0.7 more than none at all, whatever the task.
    """
    return Score(LADDER[outcome_class(verdict)], outcome_parts(verdict), evidence=verdict)


def adaptive(task: Task, answer: Answer, verdict: Verdict | None) -> Score:
    """RLTF's adaptive feedback: the ladder, and -0.3 + 1.3 * (share of tests passed) where tests fail.

    Liu et al. 2023, arXiv:2307.04349, section 3.3. Programs that stop on some tests count as those that fail them,
    if they pass any. Main hack: a constant earns the share of tests it meets.
    """
    value = LADDER[outcome_class(verdict)]
    if verdict is not None and not verdict.passed and verdict.num_passed:
        value = -0.3 + 1.3 * min(verdict.fraction, 0.99)
    return Score(value, outcome_parts(verdict), evidence=verdict)


def outcome_parts(verdict: Verdict | None) -> dict[str, float]:
    """What these rewards log beside their value."""
    return {
        "tests": verdict.fraction if verdict is not None else 0.0,
        "solved": float(outcome_class(verdict) == PASSED),
    }
