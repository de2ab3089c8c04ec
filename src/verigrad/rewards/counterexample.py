"""Counterexamples: inputs on which a program and the reference are said to differ, run before they count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from verigrad.sandbox.base import Call, Outcome, Sandbox
from verigrad.sandbox.compare import equal
from verigrad.types import CallTest, Comparator, Limits, Oracle, Task

__all__ = ["Reruns", "comparable_calls"]


@dataclass(frozen=True)
class Reruns:
    """Runs both programs, each in a process of its own, and compares as the oracle does.

    Attributes:
        program: the candidate's.
        reference: the trusted one.
        entry_point: the function both define.
        comparator: what makes two values equal.
    """

    program: str
    reference: str
    entry_point: str
    comparator: Comparator
    limits: Limits
    sandbox: Sandbox

    async def differ(self, arguments: Sequence[Any]) -> bool | None:
        """Whether the two differ on these arguments; None where the input is not meant to be tried.

        That is: the reference's asserts refuse it, or the reference takes more than the task's limits. An exception
        differs from every value, and so does whatever else ends the program; two exceptions are equal.

        Raises:
            SandboxError: the sandbox failed, or the arguments are not plain values.
        """
        wanted = await self._outcome(self.reference, arguments)
        if wanted.status not in ("returned", "exception") or wanted.error.startswith("AssertionError"):
            return None
        got = await self._outcome(self.program, arguments)
        if wanted.status == "exception":
            return got.status == "returned"
        return got.status != "returned" or not equal(got.value, wanted.value, self.comparator)

    async def returns(self, arguments: Sequence[Any]) -> bool:
        """Whether the reference returns a plain value for these arguments."""
        return (await self._outcome(self.reference, arguments)).status == "returned"

    async def _outcome(self, program: str, arguments: Sequence[Any]) -> Outcome:
        call = Call(self.entry_point, tuple(arguments), as_bool=self.comparator.mode == "truthy")
        execution = await self.sandbox.run(program, [call], self.limits)
        if execution.status != "ran":
            return Outcome("crashed", error=execution.error)
        return execution.outcomes[0]


def comparable_calls(task: Task, oracle: Oracle | None) -> list[CallTest]:
    """The task's tests, where all are calls by position compared in the oracle's own way, else none.

    None either where programs use packages, which nothing here reasons about.
    """
    if task.entry_point is None or oracle is None or oracle.packages:
        return []
    calls = [test for test in oracle.tests if isinstance(test, CallTest)]
    plain = all(not test.kwargs and test.comparator in (None, oracle.comparator) for test in calls)
    return calls if plain and len(calls) == len(oracle.tests) else []
