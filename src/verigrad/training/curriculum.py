"""StepCoder's curriculum: the answer is begun for the policy, less and less of it as it succeeds.

Dou et al. 2024, arXiv:2402.01391, section 3.1 (curriculum of code completion subtasks). The beginning is that of the
task's gold program, up to a place where a conditional, a loop, a `try`, a `with` or a return starts. Tokens given
are part of the prompt and never trained on.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from verigrad.rollout import Group, verdict_of
from verigrad.tasks.base import TaskSet
from verigrad.types import Task

__all__ = ["Curriculum", "cut_points"]

_ADVANCE, _RETREAT = 0.8, 0.1  # shares of a group that pass; the paper gives no thresholds
_STARTS = (ast.If, ast.For, ast.While, ast.Try, ast.With, ast.Match, ast.Return)


class Curriculum:
    """How much of each task's gold program is given, moved by how its group fared.

    A task begins at its last cut point and moves towards none: back by one where most of its group passes, forward by
    one where almost nobody does. Tasks without a gold program that parses are given nothing.
    """

    def __init__(self, tasks: TaskSet) -> None:
        self._tasks = tasks
        self._at: dict[str, int] = {}

    def prefill(self, task: Task) -> str:
        """The beginning of the answer to a task; empty where it is to be solved whole."""
        gold = self._tasks.oracle(task).gold or ""
        cuts = cut_points(gold)
        lines = cuts[self._at.get(task.id, len(cuts) - 1)]
        if not lines:
            return ""
        return f"```{task.language}\n" + "".join(gold.splitlines(keepends=True)[:lines])

    def record(self, groups: Sequence[Group]) -> dict[str, float]:
        """Move the tasks of a step's groups; returns metrics."""
        given = [self._share_given(group.task) for group in groups]
        for group in groups:
            verdicts = [verdict_of(rollout) for rollout in group.rollouts if rollout.status != "error"]
            if verdicts:
                passed = sum(verdict is not None and verdict.passed for verdict in verdicts) / len(verdicts)
                self._move(group.task, passed)
        return {"curriculum_given": sum(given) / max(1, len(given))}

    def _move(self, task: Task, passed: float) -> None:
        last = len(cut_points(self._tasks.oracle(task).gold or "")) - 1
        at = self._at.get(task.id, last)
        self._at[task.id] = max(0, at - 1) if passed >= _ADVANCE else min(last, at + 1) if passed <= _RETREAT else at

    def _share_given(self, task: Task) -> float:
        gold = self._tasks.oracle(task).gold or ""
        cuts = cut_points(gold)
        return cuts[self._at.get(task.id, len(cuts) - 1)] / max(1, len(gold.splitlines()))

    def notes(self) -> dict[str, int]:
        return dict(self._at)

    def restore(self, notes: dict[str, int]) -> None:
        self._at = dict(notes)


def cut_points(gold: str) -> list[int]:
    """Numbers of lines that may be given, from 0 up: all that stand before one of those statements.

    >>> cut_points("def f(n):\\n    total = 0\\n    for i in range(n):\\n        total += i\\n    return total\\n")
    [0, 2, 4]
    """
    try:
        tree = ast.parse(gold)
    except (SyntaxError, ValueError):
        return [0]
    starts = {node.lineno - 1 for node in ast.walk(tree) if isinstance(node, _STARTS)}
    return sorted(starts | {0})
