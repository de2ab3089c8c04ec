"""Rewards from hidden tests, each a pure function of the verdict."""

from __future__ import annotations

from verigrad.rewards.base import Answer, Check
from verigrad.types import Score, Task, Verdict

__all__ = ["CHECKS", "all_pass", "fraction"]

CHECKS = [
    Check("gold", at_least=1.0),
    Check("empty", at_most=0.0),
    Check("wrong", at_most=0.999),
    Check("constant", at_most=0.999),
    Check("syntax_error", at_most=0.0),
    Check("early_exit", at_most=0.0),
    Check("infinite_loop", at_most=0.0),
    Check("memory_hog", at_most=0.0),
    Check("always_equal", at_most=0.0),
]


def all_pass(task: Task, answer: Answer, verdict: Verdict | None) -> Score:
    """1 where every hidden test passes, else 0: the default.

    Partial credit lets a policy collect reward for constants and special cases. Main hack: weak tests.
    """
    passed = verdict is not None and verdict.passed
    share = verdict.fraction if verdict is not None else 0.0
    return Score(float(passed), {"tests": share}, evidence=verdict)


def fraction(task: Task, answer: Answer, verdict: Verdict | None) -> Score:
    """Share of hidden tests passed; 1 only where the verdict as a whole is `passed`.

    Main hack: a constant program earns the share of tests it happens to meet; prefer `all_pass`.
    """
    if verdict is None:
        return Score(0.0, {"tests": 0.0})
    share = 1.0 if verdict.passed else min(verdict.fraction, 0.99)
    return Score(share, {"tests": verdict.fraction}, evidence=verdict)
