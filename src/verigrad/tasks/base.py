"""A problem together with what judges it, and the way a source is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from verigrad.types import Oracle, Task

__all__ = ["Loader", "TaskSet"]


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
