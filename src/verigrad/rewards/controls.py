"""Rewards that are controls, not goals: a claimed gain must beat them."""

from __future__ import annotations

import random as _random

from verigrad.rewards.base import Answer, Check
from verigrad.types import Score, Task, Verdict

__all__ = ["CHECKS", "random", "syntax"]

CHECKS = {
    "random": [Check("gold", at_least=0.0, at_most=1.0), Check("empty", at_least=0.0, at_most=1.0)],
    "syntax": [
        Check("gold", at_least=1.0, at_most=1.0),
        Check("stub", at_least=1.0),
        Check("empty", at_most=0.0),
        Check("syntax_error", at_most=0.0),
    ],
}


def syntax(task: Task, answer: Answer, verdict: Verdict | None) -> Score:
    """1 where there is a program that compiles and defines what was asked for: a control, not a goal."""
    fine = verdict is not None and verdict.status not in ("syntax_error", "no_entry_point")
    return Score(float(fine), evidence=verdict)


def random(task: Task, answer: Answer, verdict: Verdict | None) -> Score:
    """A fair coin that never looks at the answer: the control that any claimed gain must beat."""
    return Score(float(_random.Random(answer.seed).random() < 0.5), evidence=verdict)
