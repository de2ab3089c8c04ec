"""The judge: runs a program on an oracle's inputs and compares what comes back with what was wanted.

Only inputs go to the sandbox. Tests run in an order shuffled by the program's own hash, so a program that
counts calls cannot know which test it is answering; results are reported in the oracle's order.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

from verigrad.errors import TaskError
from verigrad.sandbox.answers import answer_is_right, same_output
from verigrad.sandbox.base import Call, Execution, Outcome, Sandbox, Script, Stdin
from verigrad.sandbox.compare import equal
from verigrad.types import AnswerTest, CallTest, Oracle, ScriptTest, StdioTest, Test, TestResult, TestStatus, Verdict

__all__ = ["JUDGE_VERSION", "Judge", "judge_many"]

JUDGE_VERSION = 1
"""Part of every cache key; raised when a change may alter a verdict."""
MAX_PROGRAM = 1_000_000
_IN_FLIGHT = 64


class Judge:
    """Judges programs in a sandbox and remembers verdicts, except those that a time limit decided."""

    def __init__(self, sandbox: Sandbox, *, cache_size: int = 20_000) -> None:
        self._sandbox = sandbox
        self._cache: dict[str, Verdict] = {}
        self._cache_size = cache_size
        self._digests: dict[int, tuple[Oracle, str]] = {}

    async def judge(
        self, program: str, oracle: Oracle, entry_point: str | None, *, seed: int = 0, trace_lines: bool = False
    ) -> Verdict:
        """Return the verdict on `program`, which is the answer's text where the oracle's tests are answers.

        `seed` shuffles the tests, together with the program's hash. `trace_lines` records the lines that
        ran and is slow.

        Raises:
            TaskError: the oracle has no tests, or call tests and no entry point.
            SandboxError: the sandbox failed; nothing is known about the program.
        """
        key = self._key(program, oracle, entry_point, seed, trace_lines)
        if key not in self._cache:
            verdict = await self._judge(program, oracle, entry_point, seed, trace_lines)
            if verdict.status == "timeout" or any(result.status == "timeout" for result in verdict.results):
                return verdict
            while len(self._cache) >= self._cache_size:
                del self._cache[next(iter(self._cache))]
            self._cache[key] = verdict
        return self._cache[key]

    def _key(self, program: str, oracle: Oracle, entry_point: str | None, seed: int, trace_lines: bool) -> str:
        facts = (self._digest(oracle), entry_point, seed, trace_lines, self._sandbox.level, sys.version, JUDGE_VERSION)
        return _sha256(repr(facts) + program)

    def _digest(self, oracle: Oracle) -> str:
        """Of all the oracle says; computed once per object, which is kept so that its id stays its own."""
        if id(oracle) not in self._digests:
            self._digests[id(oracle)] = (oracle, _sha256(repr(oracle)))
        return self._digests[id(oracle)][1]

    async def _judge(
        self, program: str, oracle: Oracle, entry_point: str | None, seed: int, trace_lines: bool
    ) -> Verdict:
        if not oracle.tests:
            raise TaskError(f"{oracle.task_id}: the oracle has no tests, so nothing could pass; give it one")
        if all(isinstance(test, AnswerTest) for test in oracle.tests):
            return _verdict([_answer(program, test, oracle) for test in oracle.tests], Execution("ran", ()), "none")
        if flaw := _flaw(program):
            return _verdict(_unloaded(oracle, "exception", flaw), Execution("syntax_error", (), error=flaw), "none")
        order = _order(program, oracle, seed)
        inputs = [_input(oracle.tests[index], oracle, entry_point) for index in order]
        execution = await self._sandbox.run(program, inputs, oracle.limits, trace_lines=trace_lines)
        if execution.status != "ran":
            status = execution.status if execution.status in get_args(TestStatus) else "exception"
            results = _unloaded(oracle, status, execution.error)
        else:
            ...
        return _verdict(results, execution, self._sandbox.level)
