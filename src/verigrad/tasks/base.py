"""A problem together with what judges it, and the way a source is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from verigrad.types import Oracle, ScriptTest, Task

__all__ = ["Loader", "TaskSet", "shown_oracle"]


@dataclass(frozen=True)
class TaskSet:
    """Tasks in order, and their oracles by task id.

    The two are kept apart so that whatever writes prompts never holds an expected value.
    `aliases` maps a source's native ids (`HumanEval/0`) to ours (`humaneval@1/0`).
    """

    name: str
    tasks: tuple[Task, ...]
    oracles: dict[str, Oracle]
    aliases: dict[str, str]

    def __len__(self) -> int:
        return len(self.tasks)

    def oracle(self, task: Task) -> Oracle:
        return self.oracles[task.id]


Loader = Callable[[], TaskSet]
"""What `my.py:load` must be; a loader may also take keyword arguments with defaults."""


def shown_oracle(task: Task, oracle: Oracle) -> Oracle | None:
    """What judges by the tests in the prompt alone; None where the task shows none, or one that is a script.

    A weak judge: its tests and what they expect are known to the policy. To measure with, beside the hidden tests.
    """
    tests = task.public_tests
    if not tests or any(isinstance(test, ScriptTest) for test in tests):
        return None
    return replace(oracle, task_id=f"{oracle.task_id}!shown", tests=tests, gold=None, constant_pass_rate=None)
