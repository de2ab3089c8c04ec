"""Hidden tests drawn anew: another seed, other inputs, the same task.

Inputs that change are inputs that no policy learns by heart. What is drawn is a function of (oracle, seed), and is
computed once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from verigrad.sandbox.base import Sandbox
from verigrad.sandbox.generated import with_drawn_tests
from verigrad.seeds import derive_seed
from verigrad.tasks.builtin import fresh_oracle, is_builtin
from verigrad.tasks.strategies import Draw, draw
from verigrad.types import Oracle, Task

__all__ = ["FreshTests", "can_draw"]


def can_draw(task: Task, oracle: Oracle) -> bool:
    """Whether there is something to draw tests from: a generator, or a family of the built-in suite."""
    return oracle.generator is not None or is_builtin(task.id)


class FreshTests:
    """Draws tests for oracles, in a sandbox where it takes one, and keeps them."""

    def __init__(self, sandbox: Sandbox, *, cache_size: int = 2000) -> None:
        self._sandbox = sandbox
        self._known: dict[tuple[str, int], tuple[Oracle, Oracle]] = {}
        self._cache_size = cache_size

    async def draw(self, tasks: Sequence[Task], oracles: Sequence[Oracle], seed: int) -> list[Oracle]:
        """The oracles with tests that `seed` draws; those without anything to draw from as they are.

        Raises:
            TaskError: a generator or a gold program does not work.
            MissingExtra: a generator names hypothesis strategies, and that is not installed.
            SandboxError: the sandbox failed.
        """
        wanted = [(task, o) for task, o in zip(tasks, oracles, strict=True) if not self._knows(task, o, seed)]
        inputs = await asyncio.to_thread(_by_strategies, wanted, seed)
        drawn = await asyncio.gather(*(self._drawn(task, oracle, seed, inputs.get(task.id)) for task, oracle in wanted))
        for (task, oracle), fresh in zip(wanted, drawn, strict=True):
            self._known[task.id, seed] = (oracle, fresh)
        found = [self._known[task.id, seed][1] for task in tasks]
        while len(self._known) > self._cache_size:
            del self._known[next(iter(self._known))]
        return found

    def _knows(self, task: Task, oracle: Oracle, seed: int) -> bool:
        known = self._known.get((task.id, seed))
        return known is not None and known[0] is oracle

    async def _drawn(self, task: Task, oracle: Oracle, seed: int, inputs: list[Any] | None) -> Oracle:
        if oracle.generator is not None:
            return await with_drawn_tests(oracle, task.entry_point, seed, self._sandbox, drawn=inputs)
        return fresh_oracle(task, oracle, seed) if is_builtin(task.id) else oracle


def _by_strategies(wanted: Sequence[tuple[Task, Oracle]], seed: int) -> dict[str, list[Any]]:
    """By task id, inputs for the tasks whose generator names strategies: all drawn by one process, for speed.

    Five times as many as there will be tests, since some may be equal or refused by a precondition.
    """
    asked = {
        task.id: (task, Draw(o.generator.strategies, derive_seed(seed, "strategies", task.id), 5 * o.generator.count))
        for task, o in wanted
        if o.generator is not None and o.generator.strategies
    }
    found = draw([one for _, one in asked.values()]) if asked else []
    return {
        name: [arguments[0] for arguments in drawn] if task.entry_point is None else list(drawn)
        for (name, (task, _)), drawn in zip(asked.items(), found, strict=True)
    }
