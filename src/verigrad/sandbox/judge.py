"""The judge: runs a program on an oracle's inputs and compares what comes back with what was wanted.

Only inputs go to the sandbox. Tests run in an order shuffled by the program's own hash, so a program that
counts calls cannot know which test it is answering; results are reported in the oracle's order.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from verigrad.errors import ConfigError, InfrastructureError, TaskError
from verigrad.registry import did_you_mean
from verigrad.sandbox.answers import answer_is_right, same_output
from verigrad.sandbox.base import Call, Execution, ExecutionStatus, Outcome, OutcomeStatus, Sandbox, Script, Stdin
from verigrad.sandbox.compare import equal
from verigrad.sandbox.records import assemble, verdict_row
from verigrad.types import AnswerTest, CallTest, Oracle, StdioTest, Task, Test, TestResult, TestStatus, Verdict

__all__ = ["JUDGE_VERSION", "MAX_PROGRAM", "Judge", "in_order", "judge_many", "judge_rows"]

JUDGE_VERSION = 1
"""Part of every cache key; raised when a change may alter a verdict."""
MAX_PROGRAM = 1_000_000
"""Characters of source beyond which a program is refused unseen."""

_IN_FLIGHT = 64
_T = TypeVar("_T")
_OF_OUTCOME: Mapping[OutcomeStatus, TestStatus] = {
    "returned": "failed",  # unless it compares equal
    "not_plain": "failed",
    "exception": "exception",
    "timeout": "timeout",
    "memory": "memory",
    "output_limit": "output_limit",
    "crashed": "crashed",
    "violation": "violation",
}
_OF_EXECUTION: Mapping[ExecutionStatus, TestStatus] = {
    "syntax_error": "exception",
    "no_entry_point": "exception",
    "exception": "exception",
    "timeout": "timeout",
    "memory": "memory",
    "output_limit": "output_limit",
    "crashed": "crashed",
    "violation": "violation",
}


class Judge:
    """Judges programs in a sandbox and remembers verdicts, except those that a time limit decided."""

    def __init__(self, sandbox: Sandbox, *, cache_size: int = 20_000) -> None:
        self.sandbox = sandbox
        self._cache: dict[str, Verdict] = {}
        self._cache_size = cache_size
        self._digests: dict[int, tuple[Oracle, str]] = {}

    async def judge(
        self, program: str, oracle: Oracle, entry_point: str | None, *, seed: int = 0, trace_lines: bool = False
    ) -> Verdict:
        """Return the verdict on `program`, which is the answer's text where the oracle's tests are answers.

        `seed` shuffles the tests, together with the program's hash. `trace_lines` records the lines that
        ran, which is slow.

        Raises:
            TaskError: the oracle has no tests, or tests that call a function and no entry point.
            SandboxError: the sandbox failed; nothing is known about the program.
            ConfigError: the sandbox does not run the oracle's language, or a compiler is missing.
        """
        key = self._key(program, oracle, entry_point, seed, trace_lines)
        if key in self._cache:
            return self._cache[key]
        verdict = await self._judge(program, oracle, entry_point, seed, trace_lines)
        if all(result.status != "timeout" for result in verdict.results):
            _make_room(self._cache, self._cache_size)
            self._cache[key] = verdict
        return verdict

    def _key(self, program: str, oracle: Oracle, entry_point: str | None, seed: int, trace_lines: bool) -> str:
        level = self.sandbox.level
        facts = (self._digest(oracle), entry_point, seed, trace_lines, level, sys.version, JUDGE_VERSION)
        return _sha256(repr(facts) + program)

    def _digest(self, oracle: Oracle) -> str:
        """Of all the oracle says; made once per object, which is kept so that its id stays its own."""
        if id(oracle) not in self._digests:
            _make_room(self._digests, self._cache_size)
            self._digests[id(oracle)] = (oracle, _sha256(repr(oracle)))
        return self._digests[id(oracle)][1]

    async def _judge(
        self, program: str, oracle: Oracle, entry_point: str | None, seed: int, trace_lines: bool
    ) -> Verdict:
        if not oracle.tests:
            raise TaskError(f"{oracle.task_id}: the oracle has no tests, so a pass would mean nothing; give it one")
        answers = {i: _answer(program, test, oracle) for i, test in enumerate(oracle.tests) if _is_answer(test)}
        if len(answers) == len(oracle.tests):
            return _verdict(list(answers.values()), Execution("ran", ()), [], "none")
        order = [i for i in _order(program, oracle, seed) if i not in answers]
        execution = await self._execute(program, oracle, order, entry_point, trace_lines)
        level = self.sandbox.for_language(oracle.language).level
        if execution.status != "ran":
            return _verdict(_not_run(oracle, execution), execution, [], level)
        outcomes = dict(zip(order, execution.outcomes, strict=True))
        results = [
            answers[i] if i in answers else _result(test, outcomes[i], oracle) for i, test in enumerate(oracle.tests)
        ]
        return _verdict(results, execution, [outcomes[i] for i in sorted(outcomes)], level)

    async def _execute(
        self, program: str, oracle: Oracle, order: list[int], entry_point: str | None, trace_lines: bool
    ) -> Execution:
        if flaw := _flaw(program):
            return Execution("syntax_error", (), error=flaw)
        inputs = [_input(oracle.tests[i], oracle, entry_point) for i in order]
        sandbox = self.sandbox.for_language(oracle.language)
        return await sandbox.run(program, inputs, oracle.limits, trace_lines=trace_lines)


def _make_room(cache: dict[Any, Any], size: int) -> None:
    """Forget the oldest entries until one more fits."""
    while len(cache) >= size:
        del cache[next(iter(cache))]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _flaw(program: str) -> str:
    """Why a source is refused before any process sees it, or nothing. (Ours never parses it.)"""
    if len(program) > MAX_PROGRAM:
        return f"the program has {len(program)} characters, over {MAX_PROGRAM}"
    return "the program holds a null character" if "\0" in program else ""


def _order(program: str, oracle: Oracle, seed: int) -> list[int]:
    order = list(range(len(oracle.tests)))
    random.Random(f"{seed}:{_sha256(program)}").shuffle(order)
    return order


def _input(test: Test, oracle: Oracle, entry_point: str | None) -> Call | Stdin | Script:
    """What the sandbox is told of a test: never what is expected."""
    if isinstance(test, StdioTest):
        return Stdin(test.stdin)
    if isinstance(test, CallTest):
        if entry_point is None:
            raise TaskError(f"{oracle.task_id}: test {test.name!r} calls a function, but the task names no entry point")
        comparator = test.comparator or oracle.comparator
        return Call(
            entry_point, test.args, test.kwargs, as_bool=comparator.mode == "truthy", prototype=oracle.prototype
        )
    assert not isinstance(test, AnswerTest)
    return Script(test.source)


# ---------------------------------------------------------------------------------------------- results


def _is_answer(test: Test) -> bool:
    return isinstance(test, AnswerTest)


def _answer(text: str, test: Test, oracle: Oracle) -> TestResult:
    assert isinstance(test, AnswerTest)
    right, why = answer_is_right(text, test, oracle.comparator)
    detail = "" if right else f"{why or 'got ' + _short(text.strip())}, wanted {_short(test.expected)}"
    return TestResult(test.name, "passed" if right else "failed", detail)


def _result(test: Test, outcome: Outcome, oracle: Oracle) -> TestResult:
    status = _OF_OUTCOME[outcome.status]
    detail = outcome.error if outcome.error_line is None else f"{outcome.error} (line {outcome.error_line})"
    if outcome.status == "returned":
        if _is_right(test, outcome.value, oracle):
            status = "passed"
        elif isinstance(test, CallTest):
            detail = f"got {_short(outcome.value)}, wanted {_short(test.expected)}"
        elif isinstance(test, StdioTest):
            detail = f"printed {_short(outcome.value)}, wanted {_short(test.stdout)}"
    return TestResult(test.name, status, detail, outcome.cpu_ms)


def _is_right(test: Test, value: Any, oracle: Oracle) -> bool:
    if isinstance(test, CallTest):
        return equal(value, test.expected, test.comparator or oracle.comparator)
    return not isinstance(test, StdioTest) or same_output(value, test.stdout)


def _not_run(oracle: Oracle, execution: Execution) -> list[TestResult]:
    """Every test of a program that did not load."""
    status = _OF_EXECUTION[execution.status]
    return [TestResult(test.name, status, execution.error) for test in oracle.tests]


def _verdict(results: list[TestResult], execution: Execution, outcomes: list[Outcome], level: str) -> Verdict:
    failed = [result.status for result in results if result.status != "passed"]
    raised = next((outcome for outcome in outcomes if outcome.error), Outcome("returned"))
    return Verdict(
        status=execution.status if execution.status != "ran" else failed[0] if failed else "passed",
        results=tuple(results),
        violations=execution.violations,
        executed_lines=execution.executed_lines,
        level=level,
        error=execution.error or raised.error,
        error_line=execution.error_line if execution.error else raised.error_line,
        cpu_ms=execution.cpu_ms,
    )


def _short(value: Any) -> str:
    try:
        text = value if isinstance(value, str) and len(value) > 80 else repr(value)
    except ValueError:  # an int too long for Python to write in decimal
        return f"<{type(value).__name__} too long to show>"
    return text if len(text) <= 80 else text[:77] + "..."


# ------------------------------------------------------------------------------------------------- many


async def judge_many(
    judge: Judge,
    jobs: Sequence[tuple[str, Oracle, str | None]],
    *,
    seed: int = 0,
    trace_lines: bool = False,
    on_result: Callable[[int, Verdict], None] | None = None,
) -> list[Verdict]:
    """Judge `(program, oracle, entry point)` jobs side by side; verdicts come in the order of the jobs.

    `on_result` is called with the index and verdict of each, in order, as soon as it is known.
    """
    verdicts: list[Verdict] = []
    runs = (judge.judge(*job, seed=seed, trace_lines=trace_lines) for job in jobs)
    async for verdict in in_order(runs):
        if on_result is not None:
            on_result(len(verdicts), verdict)
        verdicts.append(verdict)
    return verdicts


async def judge_rows(
    rows: Sequence[Mapping[str, Any]],
    tasks: Mapping[str, Task],
    oracles: Mapping[str, Oracle],
    judge: Judge,
    *,
    aliases: Mapping[str, str] | None = None,
    on_result: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """Judge rows side by side and return result rows in the same order.

    Args:
        rows: each names a task, by our id or one in `aliases`, and holds a `program` or a `completion`.
        tasks: by id.
        oracles: by our task id.
        on_result: called with each result row in order, as soon as it is known.

    Raises:
        ConfigError: a row is malformed or names no known task; nothing was run.
    """
    aliases = aliases or {}
    found = [_task(number, row, tasks, aliases) for number, row in enumerate(rows, 1)]
    programs = [_program(number, row, task) for number, (row, task) in enumerate(zip(rows, found, strict=True), 1)]
    work = (
        _judge_row(str(row["task_id"]), program, task, oracles[task.id], judge)
        for row, program, task in zip(rows, programs, found, strict=True)
    )
    results = []
    async for result in in_order(work):
        if on_result is not None:
            on_result(result)
        results.append(result)
    return results


def _task(number: int, row: Mapping[str, Any], tasks: Mapping[str, Task], aliases: Mapping[str, str]) -> Task:
    name = str(row.get("task_id"))
    task_id = aliases.get(name, name)
    if task_id not in tasks:
        raise ConfigError(f"row {number}: no task {name!r} in this set{did_you_mean(name, (*tasks, *aliases))}")
    return tasks[task_id]


def _program(number: int, row: Mapping[str, Any], task: Task) -> str:
    given = {key: row[key] for key in ("program", "completion") if key in row}
    if len(given) != 1 or not all(isinstance(text, str) for text in given.values()):
        raise ConfigError(
            f"row {number}: wanted one text field, 'program' or 'completion', got {sorted(row)}; "
            "a completion continues the task's stub, a program stands alone"
        )
    return assemble(task, **given)


async def _judge_row(name: str, program: str, task: Task, oracle: Oracle, judge: Judge) -> dict[str, Any]:
    try:
        return verdict_row(name, await judge.judge(program, oracle, task.entry_point))
    except InfrastructureError as error:  # about us, not the program: shown apart, scored as nothing
        return {**verdict_row(name, Verdict(status="crashed", results=())), "status": "error", "error": str(error)}


async def in_order(work: Iterable[Coroutine[Any, Any, _T]]) -> AsyncIterator[_T]:
    """Run coroutines, a bounded number at a time, and give their results in order."""
    running: deque[asyncio.Task[_T]] = deque()
    try:
        for item in work:
            running.append(asyncio.ensure_future(item))
            if len(running) >= _IN_FLIGHT:
                yield await running.popleft()
        while running:
            yield await running.popleft()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
