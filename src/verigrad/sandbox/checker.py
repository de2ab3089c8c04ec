"""Properties: what a program returned, put before the task author's checker in a process of its own.

The checker is code too, and judges values that a program has chosen, so it runs in the sandbox like any program. It
gets plain data that was decoded here: inputs, and what came back for them; never an object of the program's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from verigrad.errors import TaskError
from verigrad.sandbox.base import Call, Outcome, Sandbox
from verigrad.types import Limits, Oracle, PropertyTest

__all__ = ["CHECKER_LIMITS", "Ruling", "rule"]

CHECKER_LIMITS = Limits(cpu_s=10.0, wall_s=30.0, memory_mb=1024)
"""For all properties of one program together."""


@dataclass(frozen=True)
class Ruling:
    """Whether a property holds and why not; None where the checker did not say.

    `timed_out` tells the one reason for silence that another try may not meet again.
    """

    holds: bool | None
    detail: str = ""
    timed_out: bool = False


async def rule(sandbox: Sandbox, oracle: Oracle, cases: Sequence[tuple[PropertyTest, Sequence[Any]]]) -> list[Ruling]:
    """Ask the oracle's checker about tests and what came back for their inputs, all in one process.

    Raises:
        TaskError: there is no checker, or it does not load.
        SandboxError: the sandbox failed.
        ConfigError: a package of the oracle's is not installed.
    """
    if oracle.checker is None:
        test, _ = cases[0]
        raise TaskError(f"{oracle.task_id}: test {test.name!r} asks for a property, but the oracle has no checker")
    calls = [_question(test, outputs) for test, outputs in cases]
    box = sandbox.for_language("python", oracle.packages)
    execution = await box.run(oracle.checker, calls, CHECKER_LIMITS)
    if execution.status != "ran":
        raise TaskError(f"{oracle.task_id}: the checker does not load: {execution.status} {execution.error}")
    return [_ruling(outcome) for outcome in execution.outcomes]


def _question(test: PropertyTest, outputs: Sequence[Any]) -> Call:
    return Call(test.property, tuple(part for pair in zip(test.inputs, outputs, strict=True) for part in pair))


def _ruling(outcome: Outcome) -> Ruling:
    if outcome.status == "returned" and type(outcome.value) in (bool, str):
        return Ruling(outcome.value is True, outcome.value if type(outcome.value) is str else "")
    if outcome.status == "returned":
        return Ruling(None, f"it returned a {type(outcome.value).__name__}, wanted True, False or a text")
    return Ruling(None, f"{outcome.status} {outcome.error}".strip(), timed_out=outcome.status == "timeout")
