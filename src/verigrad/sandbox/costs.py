"""What correct programs cost: counted in the sandbox by `sandbox/meter.py`, on inputs of growing size.

    meter = CostMeter(sandbox)
    costs = await meter.costs(program, oracle, entry_point)

Every input is measured in a process of its own, loading included, so nothing precomputed for one input, at import or
in a cache, is there for another. The reference, which must answer an input for it to count, is measured alike.

The count comes out of the program's process. What stands outside it is the supervisor's CPU clock: a program that
takes much more CPU time than the reference while it counts little is charged by the clock (`Costs.suspect`).
"""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from verigrad.literals import stable_text
from verigrad.sandbox import meter, meter_charges, meter_library, meter_rewrite
from verigrad.sandbox.base import Call, Sandbox
from verigrad.sandbox.compare import equal
from verigrad.types import CallTest, Comparator, CostPoint, Costs, Limits, Oracle

__all__ = ["BUDGET", "FACTORS", "CostMeter", "meter_program", "scaled", "sweep", "without_alternatives"]

BUDGET = 1_000_000
"""Units that are counted at most for one input; a quarter of a second."""
FACTORS = (1, 4, 16)
"""By how much the inputs of the sweep are larger than the test they are made from."""

_LEAST_PER_MS = 100
"""Units in a millisecond at the very least; instructions come to 4,000 (measured), work in built-ins to more."""
_SLACK_MS = 20.0
_CPU_S, _WALL_S = 10.0, 30.0
_MAX_ITEMS = 5_000


def meter_program() -> str:
    """The files of the meter as one program; what they import from each other is there already."""
    files = (meter_charges, meter_rewrite, meter_library, meter)
    parts = [Path(str(part.__file__)).read_text(encoding="utf-8") for part in files]
    return "\n".join(["from __future__ import annotations", *(line for part in parts for line in _own_lines(part)), ""])


def _own_lines(source: str) -> list[str]:
    """Without imports of ours and of the future, which stand at the top of a file or nowhere."""
    imports = [node for node in ast.parse(source).body if isinstance(node, ast.ImportFrom)]
    ours = [node for node in imports if str(node.module).partition(".")[0] in ("verigrad", "__future__")]
    left_out = {number for node in ours for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    return [line for number, line in enumerate(source.splitlines(), 1) if number not in left_out]


_METER = meter_program()


@dataclass(frozen=True)
class _Measured:
    """One program on one input: `rated`, `over` the budget, `not_rated` (error says why) or `failed`."""

    status: str
    cost: int = 0
    value: Any = None
    error: str = ""
    cpu_ms: float = 0.0


class CostMeter:
    """Measures programs in a sandbox, and remembers the `cache_size` measurements that were last asked for."""

    def __init__(self, sandbox: Sandbox, *, cache_size: int = 4000) -> None:
        self._sandbox = sandbox
        self._cache_size = cache_size
        self._known: dict[tuple[str, str, str, Limits], asyncio.Task[_Measured]] = {}

    async def costs(self, program: str, oracle: Oracle, entry_point: str | None) -> Costs:
        """Compare a program that passes its tests with the oracle's gold program.

        A program is not rated where there is no reference or no call to scale, where the meter refuses it, or where
        it gives other answers than the reference to all but one of the inputs: what is wrong earns nothing.

        Raises:
            SandboxError: the sandbox failed.
        """
        calls = [test for test in oracle.tests if isinstance(test, CallTest) and not test.kwargs]
        if oracle.gold is None or entry_point is None or not calls:
            return Costs(reason="the task has no reference program, or no calls of a function")
        largest = max(calls, key=lambda test: _amount(test.args))
        comparator = without_alternatives(largest.comparator or oracle.comparator)
        inputs = sweep(largest.args)
        runs = (
            self._measured(source, entry_point, args, oracle) for args in inputs for source in (oracle.gold, program)
        )
        measured = await asyncio.gather(*runs)
        pairs = list(zip(measured[::2], measured[1::2], strict=True))
        for _, own in pairs:
            if own.status == "not_rated":
                return Costs(reason=own.error)
        points = [
            _point(args, reference, own, comparator) for args, (reference, own) in zip(inputs, pairs, strict=True)
        ]
        found = [point for point in points if point is not None]
        if len(found) < 2:
            return Costs(reason="fewer than two inputs that the reference answers, and the program like it")
        charged = [_by_clock(point) for point in found]
        return Costs(tuple(charged), suspect=charged != found)

    async def _measured(self, program: str, entry_point: str, args: tuple[Any, ...], oracle: Oracle) -> _Measured:
        key = (program, entry_point, stable_text(args), oracle.limits)
        known = self._known.pop(key, None)
        if known is None or (known.done() and (known.cancelled() or known.exception() is not None)):
            known = asyncio.ensure_future(self._measure(program, entry_point, args, oracle.limits))
        while len(self._known) >= self._cache_size:
            del self._known[next(iter(self._known))]
        self._known[key] = known
        return await asyncio.shield(known)  # others may wait for it, too

    async def _measure(self, program: str, entry_point: str, args: tuple[Any, ...], limits: Limits) -> _Measured:
        call = Call("measure", (program, entry_point, list(args), {}, BUDGET))
        execution = await self._sandbox.run(_METER, [call], replace(limits, cpu_s=_CPU_S, wall_s=_WALL_S))
        if execution.status != "ran":
            return _Measured("failed", error=execution.error)
        (outcome,) = execution.outcomes
        if outcome.status == "timeout":
            return _Measured("over", BUDGET, cpu_ms=outcome.cpu_ms)
        form = outcome.value
        if outcome.status != "returned" or not isinstance(form, tuple) or len(form) != 3 or type(form[1]) is not int:
            return _Measured("failed", error=outcome.error)
        status, cost, value = form
        if not isinstance(status, str) or (status == "not_rated" and not isinstance(value, str)):
            return _Measured("failed", error="a forged measurement")
        error = value if status == "not_rated" else ""
        return _Measured(status, max(1, cost), value, error, outcome.cpu_ms)


def without_alternatives(comparator: Comparator) -> Comparator:
    """How an answer is compared with the reference's: as the task compares, but that accepted values (`any_of`) are
    those of the tests' own inputs and say nothing of larger ones."""
    return replace(comparator, mode="exact") if comparator.mode == "any_of" else comparator


def _point(args: tuple[Any, ...], reference: _Measured, own: _Measured, comparator: Comparator) -> CostPoint | None:
    """The point of one input, or None where it says nothing."""
    if reference.status != "rated" or own.status not in ("rated", "over"):
        return None
    if own.status == "rated" and not equal(own.value, reference.value, comparator):
        return None
    capped = own.status == "over"
    return CostPoint(_amount(args), own.cost, reference.cost, capped, own.cpu_ms, reference.cpu_ms)


def _by_clock(point: CostPoint) -> CostPoint:
    """The point with at least what the CPU time says, where the program took much more of it than the reference."""
    excess = point.cpu_ms - point.reference_cpu_ms - _SLACK_MS
    return replace(point, cost=max(point.cost, int(excess * _LEAST_PER_MS)))


# ------------------------------------------------------------------------------------------------- inputs


def sweep(args: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """The arguments of a call, as they are and made larger by each of `FACTORS`.

    Texts, lists, tuples, sets and dicts grow; where there are none, integers do. Only what the reference answers
    counts, so inputs that are out of the question do no harm.
    """
    grows = [isinstance(value, str | list | tuple | dict | set | frozenset) for value in args]
    if not any(grows):
        grows = [type(value) is int for value in args]
    return [
        tuple(scaled(value, factor) if grow else value for value, grow in zip(args, grows, strict=True))
        for factor in FACTORS
    ]


def scaled(value: Any, factor: int) -> Any:
    """A plain value `factor` times as large: sequences repeated, with numbers moved on so that they stay distinct.

    >>> scaled([3, 1], 2), scaled("ab", 2), scaled(7, 3), scaled({"a": 1}, 2)
    ([3, 1, 7, 5], 'abab', 21, {'a': 1, 'a1': 1})
    """
    factor = max(1, min(factor, _MAX_ITEMS // max(1, _length(value))))
    if isinstance(value, str):
        return value * factor
    if not isinstance(value, list | tuple | set | frozenset | dict):
        return value * factor if type(value) is int else value
    step = max((abs(item) for item in value if type(item) is int), default=0) + 1
    distinct = isinstance(value, dict | set | frozenset)
    if isinstance(value, dict):
        return {_moved(key, turn, step, distinct): item for turn in range(factor) for key, item in value.items()}
    return type(value)(_moved(item, turn, step, distinct) for turn in range(factor) for item in value)


def _moved(item: Any, turn: int, step: int, distinct: bool) -> Any:
    """An item in the `turn`-th repetition: numbers moved on by `step`, texts renamed where all are distinct."""
    if type(item) is int:
        return item + turn * step
    return f"{item}{turn}" if distinct and turn and isinstance(item, str) else item


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str | list | tuple | dict | set | frozenset) else 1


def _amount(args: Sequence[Any]) -> int:
    """Size of an input: lengths of what can grow, else the integers themselves."""
    lengths = [_length(value) for value in args if isinstance(value, str | list | tuple | dict | set | frozenset)]
    return sum(lengths) if lengths else sum(abs(value) for value in args if type(value) is int)
