"""CPU time of a correct program beside the reference's, by the supervisor's clock: what opcode counts do not see.

    found = await compare_speed(program, oracle, entry_point, sandbox)

A call is too short to be timed, so a process makes many, no two on the same input: the tests' inputs, made larger until
the reference takes long enough. Whatever is remembered from one call to the next is of no use. The time is that of the
whole process, loading included, less what a process takes that is given the answers and gives them back. All answers
are compared here, with the reference's, and inputs on which the program differs count for neither. Nothing in the
process is believed but its answers: the clock is outside, and what is not there as a plain value is no answer.

Processes of program, reference and the one that only answers take turns, each in `ROUNDS` fresh ones; of each the least
time counts, since what disturbs a measurement makes it longer. It stays a measurement: see `docs/rewards.md`.
"""

from __future__ import annotations

import marshal
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from verigrad.sandbox.base import Call, Sandbox
from verigrad.sandbox.compare import equal
from verigrad.sandbox.costs import scaled, without_alternatives
from verigrad.types import CallTest, Comparator, Limits, Oracle

__all__ = ["ROUNDS", "Speed", "compare_speed", "gain_of"]

ROUNDS = 5

_ENOUGH_MS = 30.0
"""CPU time of the reference at which inputs grow no more."""
_SIZES = ((1, 12), (8, 12), (64, 12), (64, 200))
"""By how much inputs are larger than those of the tests, and how many are made of each test."""
_BASES = 8
_MAX_PARTS, _CHUNK = 200_000, 20_000
"""Parts (items, letters) of all inputs together, and of those that go in at one time."""
_LEAST_MS, _LEAST_SHARE = 1.0, 0.25
"""Below this, and below this share of what handing in and giving back takes, nothing is told apart."""
_CPU_S, _WALL_S = 2.0, 20.0
_MOST_MS = 1000 * _CPU_S / 4
"""CPU time of the reference above which larger inputs are not used: what is stopped is four times as slow at least."""

_DRIVER = """

def verigrad_answers(inputs):
    answers = []
    for args in inputs:
        try:
            answers.append((True, {name}(*args)))
        except Exception as error:
            answers.append((False, type(error).__name__))
    return answers
"""
_ECHO = "def verigrad_answers(inputs, answers):\n    return answers\n"

_Answers = list[tuple[bool, Any]]


@dataclass(frozen=True)
class Speed:
    """How fast a program is beside the reference.

    Attributes:
        gain: log2 of the reference's CPU time over the program's, in steps of a half; None where it was not measured.
        cpu_ms, reference_ms: what they took, handing in and giving back left out.
        reason: why it was not measured.
    """

    gain: float | None = None
    cpu_ms: float = 0.0
    reference_ms: float = 0.0
    reason: str = ""


@dataclass(frozen=True)
class _Input:
    args: tuple[Any, ...]
    comparator: Comparator


@dataclass(frozen=True)
class _Run:
    """One process: its answers, or None where it did not come to the end; `slow` if for want of time."""

    answers: _Answers | None
    cpu_ms: float
    slow: bool = False


async def compare_speed(
    program: str, oracle: Oracle, entry_point: str | None, sandbox: Sandbox, *, rounds: int = ROUNDS
) -> Speed:
    """Time a program that passes its tests, and the oracle's gold program, on the same inputs.

    It is not measured where there is no reference or no call to time, or where it differs from the reference on more
    than half of the inputs.

    Raises:
        ConfigError: a package of the oracle's is not installed.
        SandboxError: the sandbox failed.
    """
    tests = [test for test in oracle.tests if isinstance(test, CallTest) and not test.kwargs]
    if oracle.gold is None or entry_point is None or not tests or oracle.language != "python":
        return Speed(reason="the task has no reference program in Python, or no calls of a function")
    stage = _Stage(sandbox.for_language("python", oracle.packages), _limits(oracle.limits), entry_point)
    inputs, wanted, needed_ms = await stage.inputs(oracle.gold, tests, oracle.comparator)
    if not inputs:
        return Speed(reason="the reference answers none of the inputs in time")
    own = await stage.run(program, inputs)
    if own.slow:
        return Speed(math.log2(needed_ms / (1000 * _CPU_S)), 1000 * _CPU_S, needed_ms)
    if own.answers is None:
        return Speed(reason="the program did not come to the end")
    alike = [n for n, answer in enumerate(own.answers) if _same(answer, wanted[n], inputs[n].comparator)]
    if 2 * len(alike) < len(inputs):
        return Speed(reason="it differs from the reference on more than half of the inputs")
    return await stage.race(program, oracle.gold, [inputs[n] for n in alike], [wanted[n] for n in alike], rounds)


def gain_of(reference_ms: float, cpu_ms: float, echo_ms: float) -> float:
    """log2 of the ratio of what is left without `echo_ms`, in steps of a half; what is too short counts as the least.

    >>> gain_of(101.0, 26.0, 1.0), gain_of(101.0, 95.0, 1.0), gain_of(1.1, 1.3, 1.0)
    (2.0, 0.0, 0.0)
    """
    least = max(_LEAST_MS, _LEAST_SHARE * echo_ms)
    return round(2 * math.log2(max(reference_ms - echo_ms, least) / max(cpu_ms - echo_ms, least))) / 2


def _limits(limits: Limits) -> Limits:
    """No child whose time would be lost, and room for many answers."""
    return replace(limits, cpu_s=_CPU_S, wall_s=_WALL_S, processes=0, result_bytes=8_000_000)


@dataclass(frozen=True)
class _Stage:
    """Where programs are timed."""

    sandbox: Sandbox
    limits: Limits
    entry_point: str

    async def inputs(
        self, gold: str, tests: Sequence[CallTest], comparator: Comparator
    ) -> tuple[list[_Input], _Answers, float]:
        """Inputs on which the reference takes long enough, or the largest it copes with; its answers and CPU time."""
        found: tuple[list[_Input], _Answers, float] = ([], [], 0.0)
        for factor, count in _SIZES:
            inputs = list(_inputs(tests, comparator, factor, count))
            done = await self.run(gold, inputs)
            if done.answers is None or (found[0] and done.cpu_ms > _MOST_MS):
                break
            fine = [n for n, (returned, _) in enumerate(done.answers) if returned]
            if fine:
                found = [inputs[n] for n in fine], [done.answers[n] for n in fine], done.cpu_ms
            if done.cpu_ms >= _ENOUGH_MS:
                break
        return found

    async def run(self, program: str, inputs: Sequence[_Input], answers: _Answers | None = None) -> _Run:
        """One process that gives all answers, or gives back `answers`."""
        chunks = _chunks(inputs)
        if answers is None:
            source = program + _DRIVER.format(name=self.entry_point)
            calls = [Call("verigrad_answers", ([item.args for item in inputs[a:b]],)) for a, b in chunks]
        else:
            source = program
            calls = [Call("verigrad_answers", ([i.args for i in inputs[a:b]], answers[a:b])) for a, b in chunks]
        done = await self.sandbox.run(source, calls, self.limits)
        given: _Answers = []
        for outcome, (start, end) in zip(done.outcomes, chunks, strict=False):
            if outcome.status != "returned" or not _is_list_of_answers(outcome.value, end - start):
                return _Run(None, done.cpu_ms, slow=outcome.status == "timeout")
            given += outcome.value
        return _Run(given if len(given) == len(inputs) else None, done.cpu_ms, slow=done.status == "timeout")

    async def race(self, program: str, gold: str, inputs: Sequence[_Input], wanted: _Answers, rounds: int) -> Speed:
        """Time all three in turns; the program has to be right each time."""
        times: dict[str, list[float]] = {"reference": [], "program": [], "echo": []}
        for _ in range(rounds):
            reference = await self.run(gold, inputs)
            own = await self.run(program, inputs)
            echo = await self.run(_ECHO, inputs, wanted)
            if own.answers is None or not all(map(_same, own.answers, wanted, (i.comparator for i in inputs))):
                return Speed(reason="its answers are not the same each time")
            for name, run in (("reference", reference), ("program", own), ("echo", echo)):
                times[name].append(run.cpu_ms)
        reference_ms, own_ms, echo_ms = (min(each) for each in times.values())
        return Speed(gain_of(reference_ms, own_ms, echo_ms), own_ms - echo_ms, reference_ms - echo_ms)


# ------------------------------------------------------------------------------------------------- inputs


def _inputs(tests: Sequence[CallTest], comparator: Comparator, factor: int, count: int) -> Iterator[_Input]:
    """Different inputs, each a test's made larger: by `factor`, `factor` + 1, ..."""
    bases = sorted(tests, key=lambda test: _parts(test.args), reverse=True)[:_BASES]
    seen: set[bytes] = set()
    parts = 0
    for more in range(count):
        for test in bases:
            args = _larger(test.args, factor + more)
            key = marshal.dumps(args, 2)
            parts += _parts(args)
            if key not in seen and parts <= _MAX_PARTS:
                seen.add(key)
                yield _Input(args, without_alternatives(test.comparator or comparator))


def _larger(args: tuple[Any, ...], factor: int) -> tuple[Any, ...]:
    """Texts and collections grow, or integers where there are none."""
    grows = [isinstance(value, str | list | tuple | dict | set | frozenset) for value in args]
    if not any(grows):
        grows = [type(value) is int for value in args]
    return tuple(scaled(value, factor) if grow else value for value, grow in zip(args, grows, strict=True))


def _parts(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(_parts(key) + _parts(item) for key, item in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return 1 + sum(map(_parts, value))
    return 1 + (len(value) if isinstance(value, str) else 0)


def _chunks(inputs: Sequence[_Input]) -> list[tuple[int, int]]:
    """Where to cut, so that what goes in at one time, and what comes back, is not too much."""
    bounds, parts = [0], 0
    for number, item in enumerate(inputs):
        parts += _parts(item.args)
        if parts > _CHUNK and number > bounds[-1]:
            bounds.append(number)
            parts = _parts(item.args)
    return list(zip(bounds, [*bounds[1:], len(inputs)], strict=True))


# ------------------------------------------------------------------------------------------------ answers


def _is_list_of_answers(value: Any, number: int) -> bool:
    fits = isinstance(value, list) and len(value) == number
    return fits and all(isinstance(item, tuple) and len(item) == 2 and type(item[0]) is bool for item in value)


def _same(answer: tuple[bool, Any], wanted: tuple[bool, Any], comparator: Comparator) -> bool:
    return answer[0] and equal(answer[1], wanted[1], comparator)
