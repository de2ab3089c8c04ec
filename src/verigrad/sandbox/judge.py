"""The judge: runs a program on an oracle's inputs and compares what comes back with what was wanted.

Only inputs go to the sandbox. Tests run in an order shuffled by the program's own hash, so a program that
counts calls cannot know which test it is answering; results are reported in the oracle's order. Of programs
that passed, a few tests may run once more (`rerun`); properties are put before a checker (`checker`).
"""

from __future__ import annotations

import asyncio
import hashlib
import pickle
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from verigrad.errors import CanaryError, ConfigError, InfrastructureError, TaskError
from verigrad.registry import did_you_mean
from verigrad.sandbox.base import Call, Execution, Outcome, Sandbox, Script, Stdin
from verigrad.sandbox.canaries import canaries_for, check_canaries
from verigrad.sandbox.checker import rule
from verigrad.sandbox.questions import questions
from verigrad.sandbox.records import assemble, verdict_row
from verigrad.sandbox.repository_judge import judge_repository
from verigrad.sandbox.rerun import confirmed, numbers_to_repeat
from verigrad.sandbox.results import not_run, result_of, ruled, verdict_of
from verigrad.sandbox.text import text_result
from verigrad.types import (
    Oracle,
    PropertyTest,
    RepositoryTest,
    Task,
    TestResult,
    TextTest,
    Verdict,
)

__all__ = ["JUDGE_VERSION", "MAX_PROGRAM", "Judge", "in_order", "judge_many", "judge_rows"]

JUDGE_VERSION = 4
"""Part of every cache key; raised when a change may alter a verdict."""
MAX_PROGRAM = 1_000_000
"""Characters of source beyond which a program is refused unseen."""

_IN_FLIGHT = 64
_PLAIN_PYTHON: tuple[str, tuple[str, ...]] = ("python", ())
"""Canaries are judged here first in every round, since answers that are no programs have none, but are compared too."""
_T = TypeVar("_T")


class Judge:
    """Judges programs in a sandbox and remembers verdicts, except those that a time limit decided.

    Args:
        cache_size: verdicts remembered.
        reruns: tests of a passing program that run once more in a fresh process, see `rerun`; 0 for none.
        canaries_every: verdicts are counted in rounds of so many. In each, known programs in plain Python are judged
            before the first verdict, see `canaries`, and those in another language or with packages before the
            first verdict there; 0 for never.
    """

    def __init__(
        self, sandbox: Sandbox, *, cache_size: int = 20_000, reruns: int = 3, canaries_every: int = 1000
    ) -> None:
        self.sandbox = sandbox
        self._cache: dict[str, Verdict] = {}
        self._cache_size = cache_size
        self._digests: dict[int, tuple[Oracle, str]] = {}
        self._reruns = reruns
        self._canaries_every = canaries_every
        self._until_canaries = 0
        self._grounds: set[tuple[str, tuple[str, ...]]] = set()

    async def judge(
        self, program: str, oracle: Oracle, entry_point: str | None, *, seed: int = 0, trace_lines: bool = False
    ) -> Verdict:
        """Return the verdict on `program`, which is the answer's text where the oracle's tests are answers.

        `seed` shuffles the tests, together with the program's hash. `trace_lines` records the lines that
        ran, which is slow.

        Raises:
            TaskError: the oracle has no tests, tests that call a function and no entry point, or a checker that does
                not work.
            SandboxError: the sandbox failed; nothing is known about the program.
            ConfigError: the sandbox does not run the oracle's language, or a compiler or a package is missing.
            CanaryError: known programs get wrong verdicts, so this one would mean nothing.
        """
        await self._mind_canaries(oracle)
        key = self._key(program, oracle, entry_point, seed, trace_lines)
        if key in self._cache:
            return self._cache[key]
        verdict = await self._judge(program, oracle, entry_point, seed, trace_lines)
        if all(result.status != "timeout" for result in verdict.results):
            _make_room(self._cache, self._cache_size)
            self._cache[key] = verdict
        return verdict

    async def _mind_canaries(self, oracle: Oracle) -> None:
        """Judge the canaries of the oracle's language and packages, and of plain Python, not yet judged in this round.

        What is in use no more is forgotten with its round. Those that failed are judged before the next verdict there,
        and no others are. (The suites of repositories have canaries of their own among their tests.)
        """
        if not self._canaries_every:
            return
        if self._until_canaries == 0:
            self._until_canaries = self._canaries_every
            self._grounds.clear()
        self._until_canaries -= 1  # before anything is waited for: others count meanwhile
        for ground in (_PLAIN_PYTHON, (oracle.language, tuple(sorted(set(oracle.packages))))):
            if ground not in self._grounds:
                self._grounds.add(ground)
                await self._check_canaries(*ground)

    async def _check_canaries(self, language: str, packages: tuple[str, ...]) -> None:
        canaries = canaries_for(language, packages)
        try:
            await check_canaries(lambda program, oracle, name: self._judge(program, oracle, name, 0, False), canaries)
        except BaseException:
            self._grounds.discard((language, packages))
            raise

    def _key(self, program: str, oracle: Oracle, entry_point: str | None, seed: int, trace_lines: bool) -> str:
        level = self.sandbox.level
        facts = (self._digest(oracle), entry_point, seed, trace_lines, level, self._reruns, sys.version, JUDGE_VERSION)
        return _sha256(repr(facts) + program)

    def _digest(self, oracle: Oracle) -> str:
        """Of all the oracle says; made once per object, which is kept so that its id stays its own.

        (Not of its `repr`: Python refuses to write down an int of more than 4300 digits.)
        """
        if id(oracle) not in self._digests:
            _make_room(self._digests, self._cache_size)
            self._digests[id(oracle)] = (oracle, hashlib.sha256(pickle.dumps(oracle)).hexdigest())
        return self._digests[id(oracle)][1]

    async def _judge(
        self, program: str, oracle: Oracle, entry_point: str | None, seed: int, trace_lines: bool
    ) -> Verdict:
        if oracle.repository is not None or any(isinstance(test, RepositoryTest) for test in oracle.tests):
            return await self._repository(program, oracle)
        verdict = await self._once(program, oracle, entry_point, seed, trace_lines)
        few = numbers_to_repeat(program, oracle, seed, self._reruns) if verdict.passed else []
        if not few:
            return verdict
        some = replace(oracle, tests=tuple(oracle.tests[number] for number in few))
        return confirmed(verdict, few, await self._once(program, some, entry_point, seed + 1, False))

    async def _repository(self, answer: str, oracle: Oracle) -> Verdict:
        if not oracle.tests:
            raise TaskError(f"{oracle.task_id}: the oracle has no tests, so a pass would mean nothing; give it one")
        if flaw := _flaw(answer):
            return verdict_of(
                not_run(oracle, refused := Execution("syntax_error", (), error=flaw)), refused, [], "none"
            )
        return await judge_repository(answer, oracle, self.sandbox.commands)

    async def _once(
        self, program: str, oracle: Oracle, entry_point: str | None, seed: int, trace_lines: bool
    ) -> Verdict:
        """The verdict by one run of every test."""
        if not oracle.tests:
            raise TaskError(f"{oracle.task_id}: the oracle has no tests, so a pass would mean nothing; give it one")
        tests = dict(enumerate(oracle.tests))
        texts = {n: test for n, test in tests.items() if isinstance(test, TextTest)}
        results = {n: await text_result(program, test, oracle, self.sandbox) for n, test in texts.items()}
        if len(results) == len(tests):
            return verdict_of(list(results.values()), Execution("ran", ()), [], "none")
        asked = questions(program, oracle, entry_point, seed)
        execution = await self._execute(program, oracle, [question.input for question in asked], trace_lines)
        level = self.sandbox.for_language(oracle.language, oracle.packages).level
        if execution.status != "ran":
            return verdict_of(not_run(oracle, execution), execution, [], level)
        outcomes: dict[int, list[Outcome]] = {n: [] for n in tests if n not in results}
        answered = sorted(zip(asked, execution.outcomes, strict=True), key=lambda pair: pair[0].place)
        for question, outcome in answered:
            outcomes[question.place[0]].append(outcome)
        results |= {n: result_of(tests[n], found, oracle) for n, found in outcomes.items()}
        results |= await self._check_properties(program, oracle, entry_point, results, outcomes)
        return verdict_of([results[n] for n in tests], execution, [outcome for _, outcome in answered], level)

    async def _execute(
        self, program: str, oracle: Oracle, inputs: list[Call | Stdin | Script], trace_lines: bool
    ) -> Execution:
        if flaw := _flaw(program):
            return Execution("syntax_error", (), error=flaw)
        sandbox = self.sandbox.for_language(oracle.language, oracle.packages)
        return await sandbox.run(program, inputs, oracle.limits, trace_lines=trace_lines)

    async def _check_properties(
        self,
        program: str,
        oracle: Oracle,
        entry_point: str | None,
        results: Mapping[int, TestResult],
        outcomes: Mapping[int, list[Outcome]],
    ) -> dict[int, TestResult]:
        """Results of the property tests, of those whose inputs all gave a value."""
        cases = {
            number: (test, [outcome.value for outcome in outcomes[number]])
            for number, test in enumerate(oracle.tests)
            if isinstance(test, PropertyTest) and results[number].status == "passed"
        }
        if not cases:
            return {}
        rulings = await rule(self.sandbox, oracle, list(cases.values()))
        silent = next((ruling for ruling in rulings if ruling.holds is None), None)
        if silent is not None:
            await self._vouch_for_checker(program, oracle, entry_point, silent.detail)
        return {
            number: ruled(results[number], values, ruling)
            for (number, (_, values)), ruling in zip(cases.items(), rulings, strict=True)
        }

    async def _vouch_for_checker(self, program: str, oracle: Oracle, entry_point: str | None, why: str) -> None:
        """Raise a TaskError where the checker itself may be what is wrong.

        It is not where the gold program passes: then it is the other program's value that it cannot cope with. An
        error would leave such a program out of training, which a policy could bring about to save itself a failure.
        """
        if oracle.gold is None or program == oracle.gold:
            raise TaskError(f"{oracle.task_id}: the checker fails on what the program returned: {why}")
        gold = await self.judge(oracle.gold, oracle, entry_point)
        if not gold.passed:
            raise TaskError(f"{oracle.task_id}: the checker fails ({why}), and the gold program does not pass either")


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
        CanaryError: the judge is broken.
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
    if "task_id" not in row:
        raise ConfigError(f"row {number}: has no task_id, only {sorted(row)}; it says which task the program is for")
    name = str(row["task_id"])
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
    except CanaryError:
        raise
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
