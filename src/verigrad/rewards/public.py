"""A weak judge, to show what one does: success is passing the tests that stand in the prompt."""

from __future__ import annotations

from verigrad.rewards.base import Answer, only_gold
from verigrad.types import Score, Task, Verdict

__all__ = ["CHECKS", "public"]

CHECKS = only_gold(1.0)


def public(task: Task, answer: Answer, verdict: Verdict | None) -> Score:
    """1 where every test shown in the prompt passes, else 0, whatever the hidden tests say. Not for training.

    For demonstrations and for measuring what hidden tests are worth. Main hack: a table of the tests shown.

    Raises:
        ValueError: the program was not judged by the tests shown, or there are none.
    """
    if verdict is None:
        return Score(0.0)
    if verdict.shown is None:
        raise ValueError(f"task {task.id!r} shows no tests that the program was judged by; the reward needs some")
    return Score(float(verdict.shown.passed), {"tests": verdict.fraction}, evidence=verdict)
