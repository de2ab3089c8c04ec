"""Task sources, with the expected values that only running something can give.

EvalPlus files hold inputs and canonical solutions; what the solutions return is what the tests expect. They run
in the sandbox once, and the values are kept in the cache under the file's digest. Tests of tasks with a generator are
drawn by seed 0, and kept likewise.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from verigrad.errors import ConfigError, TaskError
from verigrad.evaluation.fresh import FreshTests
from verigrad.evaluation.inputs import tasks_digest
from verigrad.files import new_file
from verigrad.paths import cache_dir
from verigrad.sandbox.base import Call
from verigrad.sandbox.generated import DRAWN
from verigrad.sandbox.process import ProcessSandbox
from verigrad.tasks import jsonl, load_tasks
from verigrad.tasks.base import TaskSet
from verigrad.tasks.evalplus import NO_VALUE, EvalPlusRow, read
from verigrad.types import Limits, Oracle
from verigrad.values import PlainValueError, decode, encode

__all__ = ["load_source"]

_EVALPLUS = ("evalplus", "evalplus@1")
_T = TypeVar("_T")
_GOLD_LIMITS = Limits(cpu_s=60.0, wall_s=120.0, memory_mb=2048, result_bytes=8_000_000)
_FORMAT = 1  # of the cache; a change of what is stored makes another file


def load_source(spec: str) -> TaskSet:
    """`verigrad.tasks.load_tasks`, EvalPlus files complete with expected values, and generators with drawn tests.

    Raises:
        ConfigError: the source is unknown, cannot be read, or has no tasks.
        TaskError: a row is malformed, a generator does not work, or a canonical solution does not finish.
        SandboxError: a generator cannot be run.
    """
    name, _, rest = spec.partition(":")
    if name not in _EVALPLUS or not rest:
        tasks = _with_drawn_tests(load_tasks(spec))
    else:
        tasks = load_tasks(spec, expected=_expected_values(Path(rest.partition("?")[0]).expanduser()))
    if not tasks.tasks:
        raise ConfigError(f"task source {spec!r} has no tasks")
    return tasks


def _expected_values(file: Path) -> dict[str, list[Any]]:
    rows = read(file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    cached = cache_dir() / "evalplus" / f"{digest}-{_FORMAT}.json"
    if not cached.exists():
        forms = _wait(_run_gold(rows))
        _keep(cached, lambda building: building.write_text(json.dumps(forms)))
    forms = json.loads(cached.read_text())
    return {task: [NO_VALUE if form is None else decode(form[0]) for form in values] for task, values in forms.items()}


def _wait(work: Coroutine[Any, Any, _T]) -> _T:
    """The result of a coroutine, in a thread of its own: the caller's may have an event loop that is running."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def _keep(file: Path, write: Callable[[Path], object]) -> None:
    """Write a file of the cache whole or not at all.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        with new_file(file) as building:
            write(building)
    except OSError as error:
        raise ConfigError(
            f"cannot write {file}: {error}; free space there, or set VERIGRAD_CACHE to a folder with more"
        ) from error


def _with_drawn_tests(tasks: TaskSet) -> TaskSet:
    bare = tuple(task for task in tasks.tasks if _lacks_tests(tasks.oracle(task)))
    if not bare:
        return tasks
    undrawn = replace(tasks, tasks=bare, aliases={})
    python = hashlib.sha256(sys.version.encode()).hexdigest()[:8]  # that programs run in
    cached = cache_dir() / "drawn" / f"{tasks_digest(undrawn)}-{python}-{_FORMAT}.jsonl"
    if not cached.exists():
        drawn = _wait(_draw(undrawn))
        _keep(cached, lambda building: jsonl.dump(replace(undrawn, oracles=drawn), building))
    return replace(tasks, oracles={**tasks.oracles, **jsonl.load(cached).oracles})


def _lacks_tests(oracle: Oracle) -> bool:
    return oracle.generator is not None and not any(test.name.startswith(DRAWN) for test in oracle.tests)


async def _draw(tasks: TaskSet) -> dict[str, Oracle]:
    async with ProcessSandbox() as sandbox:
        drawn = await FreshTests(sandbox).draw(tasks.tasks, [tasks.oracle(task) for task in tasks.tasks], seed=0)
    return {oracle.task_id: oracle for oracle in drawn}


async def _run_gold(rows: Sequence[EvalPlusRow]) -> dict[str, list[list[Any] | None]]:
    """Per row and input the JSON form of what the canonical solution returned, in a list; None where nothing came.

    Raises:
        TaskError: a canonical solution ran out of time, which on a busy machine says nothing about its inputs.
    """

    async def one(row: EvalPlusRow) -> list[list[Any] | None]:
        as_bool = row.comparator.mode == "truthy"
        calls = [Call(row.entry_point, args, as_bool=as_bool) for args in row.inputs]
        found = await sandbox.run(row.gold, calls, _GOLD_LIMITS)
        if {"timeout", "crashed"} & {found.status, *(outcome.status for outcome in found.outcomes)}:
            raise TaskError(
                f"{row.task_id}: the canonical solution does not finish within {_GOLD_LIMITS.cpu_s:g} s of CPU time "
                f"and {_GOLD_LIMITS.wall_s:g} s in all; try again where less else runs"
            )
        outcomes = [_form(outcome.value) if outcome.status == "returned" else None for outcome in found.outcomes]
        return outcomes + [None] * (len(calls) - len(outcomes))

    async with ProcessSandbox() as sandbox:
        values = await asyncio.gather(*(one(row) for row in rows))
    return {row.task_id: value for row, value in zip(rows, values, strict=True)}


def _form(value: Any) -> list[Any] | None:
    try:
        return [encode(value)]
    except PlainValueError:
        return None
