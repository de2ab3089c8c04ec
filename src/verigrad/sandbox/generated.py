"""Tests drawn from a seed: inputs by the task's generator, expected values by its gold program, each in the sandbox.

The generator is source that came with a task file, so it runs like any program; what it returns is plain data. The gold
program runs on the inputs in a process of its own, and what it returns is what tests expect.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from verigrad.errors import TaskError
from verigrad.sandbox.base import Call, Execution, Sandbox, Stdin
from verigrad.seeds import derive_seed
from verigrad.types import CallTest, Generator, Limits, Oracle, PropertyTest, StdioTest, Test

__all__ = ["DRAWN", "GENERATOR_LIMITS", "with_drawn_tests"]

DRAWN = "drawn_"
"""How names of drawn tests begin; a test of another name stays as it is."""
GENERATOR_LIMITS = Limits(cpu_s=20.0, wall_s=60.0, memory_mb=1024)

_Case = tuple[Any, ...] | str
_DRIVER = """

def verigrad_draw(seed):
    import random
    stream = random.Random(seed)
    for _ in range(1000):
        drawn = inputs(stream)
        if verigrad_accepts(drawn):
            return drawn
    raise ValueError("requires() refused 1000 inputs in a row")

def verigrad_accepts(drawn):
    cases = drawn if isinstance(drawn, list) else [drawn]
    precondition = globals().get("requires", lambda *anything: True)
    return all(precondition(*case) if isinstance(case, tuple) else precondition(case) for case in cases)
"""


async def with_drawn_tests(
    oracle: Oracle, entry_point: str | None, seed: int, sandbox: Sandbox, *, drawn: Sequence[Any] | None = None
) -> Oracle:
    """The oracle with the tests that its generator makes of `seed`, in place of those drawn before.

    Args:
        drawn: inputs to choose from, where something else drew them (strategies); None to ask the generator's source.

    Raises:
        TaskError: the generator does not work, its inputs do not fit the task, or the gold program fails on one.
        SandboxError: the sandbox failed.
    """
    if oracle.generator is None:
        raise TaskError(f"{oracle.task_id}: the oracle has no generator, so no tests can be drawn")
    if drawn is None:
        inputs = await _drawn(oracle, oracle.generator, seed, sandbox)
    else:
        inputs = await _accepted(oracle, oracle.generator, drawn, sandbox)
    cases = [_cases(oracle, item, entry_point) for item in _distinct(inputs)[: oracle.generator.count]]
    if not cases:
        raise TaskError(f"{oracle.task_id}: the generator gave no inputs that its precondition accepts")
    if oracle.generator.property is None:
        tests = await _differential(oracle, cases, entry_point, sandbox)
    else:
        tests = [PropertyTest(_name(n), tuple(case), oracle.generator.property) for n, case in enumerate(cases, 1)]
    kept = [test for test in oracle.tests if not test.name.startswith(DRAWN)]
    return replace(oracle, tests=(*kept, *tests), constant_pass_rate=None)


def _name(number: int) -> str:
    return f"{DRAWN}{number}"


# ----------------------------------------------------------------------------------------------- inputs


async def _drawn(oracle: Oracle, generator: Generator, seed: int, sandbox: Sandbox) -> list[Any]:
    """Three times as many as wanted, since some may be equal."""
    seeds = [derive_seed(seed, "input", oracle.task_id, number) for number in range(3 * generator.count)]
    calls = [Call("verigrad_draw", (own,)) for own in seeds]
    box = sandbox.for_language("python", oracle.packages)
    return _values(oracle, "generator", await box.run(generator.source + _DRIVER, calls, GENERATOR_LIMITS))


async def _accepted(oracle: Oracle, generator: Generator, drawn: Sequence[Any], sandbox: Sandbox) -> list[Any]:
    if not generator.source or not drawn:
        return list(drawn)
    calls = [Call("verigrad_accepts", (item,)) for item in drawn]
    box = sandbox.for_language("python", oracle.packages)
    found = await box.run(generator.source + _DRIVER, calls, GENERATOR_LIMITS)
    return [item for item, accepted in zip(drawn, _values(oracle, "precondition", found), strict=True) if accepted]


def _values(oracle: Oracle, what: str, execution: Execution) -> list[Any]:
    """What every input gave."""
    if execution.status != "ran":
        raise TaskError(f"{oracle.task_id}: the {what} does not load: {execution.status} {execution.error}")
    for outcome in execution.outcomes:
        if outcome.status != "returned":
            raise TaskError(f"{oracle.task_id}: the {what} fails: {outcome.status} {outcome.error}")
    return [outcome.value for outcome in execution.outcomes]


def _distinct(values: Iterable[Any]) -> list[Any]:
    return list({marshal.dumps(value, 2): value for value in values}.values())


def _cases(oracle: Oracle, item: Any, entry_point: str | None) -> list[_Case]:
    """The inputs of one test, checked to be of the task's kind."""
    cases = item if isinstance(item, list) else [item]
    wanted = str if entry_point is None else tuple
    if not cases or not all(isinstance(case, wanted) for case in cases):
        kind = "a text for standard input" if entry_point is None else "a tuple of arguments"
        raise TaskError(
            f"{oracle.task_id}: the generator gave a {type(item).__name__}, wanted {kind}, or a list of these"
        )
    return cases


# ---------------------------------------------------------------------------------------------- expected


async def _differential(
    oracle: Oracle, cases: Sequence[list[_Case]], entry_point: str | None, sandbox: Sandbox
) -> list[Test]:
    """Tests that expect what the gold program returns."""
    if oracle.gold is None:
        raise TaskError(
            f"{oracle.task_id}: without a property, drawn tests expect what the gold program returns: give one"
        )
    if any(len(case) != 1 for case in cases):
        raise TaskError(f"{oracle.task_id}: several inputs in one test need a property to decide about the answers")
    inputs = [case for (case,) in cases]
    mode = oracle.comparator.mode
    asked = [
        Stdin(case) if isinstance(case, str) else Call(str(entry_point), case, as_bool=mode == "truthy")
        for case in inputs
    ]
    box = sandbox.for_language(oracle.language, oracle.packages)
    found = _values(oracle, "gold program", await box.run(oracle.gold, asked, oracle.limits))
    return [
        StdioTest(_name(n), case, value)
        if isinstance(case, str)
        else CallTest(_name(n), case, [value] if mode == "any_of" else value)
        for n, (case, value) in enumerate(zip(inputs, found, strict=True), 1)
    ]
