"""Hidden tests drawn anew: another seed, other inputs, the same task.

Inputs that change are inputs that no policy learns by heart. What is drawn is a function of (oracle, seed), and is
computed once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from verigrad.sandbox.base import Sandbox
from verigrad.sandbox.generated import with_drawn_tests
from verigrad.tasks.builtin import fresh_oracle, is_builtin
from verigrad.types import Oracle, Task

__all__ = ["FreshTests", "can_draw"]


def can_draw(task: Task, oracle: Oracle) -> bool:
    """Whether there is something to draw tests from: a generator, or a family of the built-in suite."""
    return oracle.generator is not None or is_builtin(task.id)


class FreshTests:
    """Draws tests for oracles, in a sandbox where it takes one, and keeps them."""

    def __init__(self, sandbox: Sandbox, *, cache_size: int = 2000) -> None:
        self._sandbox = sandbox
        self._cache: dict[tuple[str, int], tuple[Oracle, Oracle]] = {}
        self._cache_size = cache_size

    async def draw(self, tasks: Sequence[Task], oracles: Sequence[Oracle], seed: int) -> list[Oracle]:
        """The oracles with tests that `seed` draws; those without anything to draw from as they are.

        Raises:
            TaskError: a generator or a gold program does not work.
            SandboxError: the sandbox failed.
        """
        return list(await asyncio.gather(*(self._one(task, o, seed) for task, o in zip(tasks, oracles, strict=True))))

    async def _one(self, task: Task, oracle: Oracle, seed: int) -> Oracle:
        key = (task.id, seed)
        known = self._cache.get(key)
        if known is not None and known[0] is oracle:
            return known[1]
        drawn = await self._drawn(task, oracle, seed)
        while len(self._cache) >= self._cache_size:
            del self._cache[next(iter(self._cache))]
        self._cache[key] = (oracle, drawn)
        return drawn

    async def _drawn(self, task: Task, oracle: Oracle, seed: int) -> Oracle:
        if oracle.generator is not None:
            return await with_drawn_tests(oracle, task.entry_point, seed, self._sandbox)
        return fresh_oracle(task, oracle, seed) if is_builtin(task.id) else oracle
