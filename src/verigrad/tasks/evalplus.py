"""HumanEval+ and MBPP+: many more inputs for the same tasks (EvalPlus; Liu et al., arXiv:2305.01210).

The files hold inputs, not outputs: the expected values are what the canonical solution returns, and it must run in a
sandbox like any other program, which task sources cannot reach. So loading has three steps:

    rows = read("MbppPlus.jsonl.gz")
    expected = {row.task_id: <row.gold run on each of row.inputs, in order> for row in rows}
    tasks = with_expected(rows, expected)

`verigrad.evaluation.sources` does the middle step and keeps its outcome. The base tests alone, whose values the
files do hold, load without a sandbox: `load_base`.

Differences from EvalPlus's own evaluator: contracts are not checked (they say which inputs are valid, and all are);
types need not match where values are equal within tolerance; `find_zero` (HumanEval/32), where any root is right,
keeps HumanEval's own script; of the tasks whose wording has two readings EvalPlus accepts both, and so do we.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from verigrad.errors import ConfigError, TaskError
from verigrad.literals import read_literal
from verigrad.tasks.asserts import make_oracle, parse_asserts
from verigrad.tasks.base import TaskSet
from verigrad.tasks.constants import Evaluator, NotConstant, parse_source
from verigrad.tasks.humaneval import completion_prompt
from verigrad.tasks.mbpp import prompt_with_asserts
from verigrad.tasks.restore import restore_types
from verigrad.tasks.rows import read_rows, text_field
from verigrad.types import CallTest, Comparator, Limits, Oracle, Task
from verigrad.values import PlainValueError, encode

__all__ = ["NO_VALUE", "VERSION", "EvalPlusRow", "load", "load_base", "read", "with_expected"]

VERSION = 1
NO_VALUE = object()
"""Stands in `with_expected` for an input on which the canonical solution gave no plain value; it makes no test."""

_SOURCES = {"Mbpp": "mbppplus", "HumanEval": "humanevalplus"}
_FLOAT_ATOL = 1e-6
_RTOL = 1e-7

# Their asserts compare lists made from sets, whose order no statement promises.
_UNORDERED = ("Mbpp/249", "Mbpp/579", "Mbpp/769")
_SCRIPT_ONLY = ("HumanEval/32",)
# A hundred inputs take longer than one; the canonical solution of 599 alone counts to each of its.
_LIMITS = Limits(cpu_s=20.0, wall_s=60.0)
_SLOW = ("Mbpp/599",)


@dataclass(frozen=True)
class EvalPlusRow:
    """One row, its inputs with their types restored.

    Attributes:
        task_id: the source's own id, such as `Mbpp/2`.
        gold: the canonical program, whole.
        inputs: argument tuples, those of the original tests first; without the few too deep or large to be plain.
        num_base: how many of them are from the original tests.
        script: the original asserts.
        comparator: how results compare, tolerance for floats apart; with mode `truthy` the canonical solution may
            return something that is no plain value (a regular expression match), and `bool` of it is expected.
    """

    task_id: str
    prompt: str
    entry_point: str
    stub: str
    gold: str
    inputs: tuple[tuple[Any, ...], ...]
    num_base: int
    script: str
    comparator: Comparator

    @property
    def source(self) -> str:
        return _SOURCES[self.task_id.partition("/")[0]]


def read(path: str | Path) -> list[EvalPlusRow]:
    """Read a `.jsonl` or `.jsonl.gz` file of HumanEval+ or MBPP+.

    Raises:
        ConfigError: no such file.
        TaskError: a row is not of EvalPlus's form.
    """
    return [_read_row(row, where) for where, row in read_rows(path)]


def load(path: str | Path, *, expected: Mapping[str, Sequence[Any]] | None = None) -> TaskSet:
    """Load with expected values as in `with_expected`; see the module's docstring for where they come from.

    Raises:
        ConfigError: no expected values given, or no such file.
        TaskError: a row is not of EvalPlus's form, or the values do not fit it.
    """
    if expected is None:
        raise ConfigError(
            f"{path} holds inputs without expected values: the canonical solutions must run in a sandbox first, "
            "which verigrad.evaluation.sources does; for the original tests alone, use 'evalplus-base'"
        )
    return with_expected(read(path), expected)


def load_base(path: str | Path) -> TaskSet:
    """The same tasks with their original asserts only: what EvalPlus reports as HumanEval and MBPP `base`.

    Raises:
        ConfigError: no such file.
        TaskError: a row is not of EvalPlus's form or holds no asserts.
    """

    def make(row: EvalPlusRow, task_id: str) -> Oracle:
        if not row.script:
            raise TaskError(f"{row.task_id}: the row holds no asserts")
        oracle = make_oracle(task_id, row.script, entry_point=row.entry_point, gold=row.gold)
        if row.comparator.mode != "set" or oracle.trust == "script":
            return oracle
        # The asserts of Mbpp/2 and /140 fix an order that their prompts do not.
        calls = [test for test in oracle.tests if isinstance(test, CallTest)]
        return replace(oracle, tests=tuple(replace(test, comparator=row.comparator) for test in calls))

    return _task_set(read(path), "-base", make)


def with_expected(rows: Iterable[EvalPlusRow], expected: Mapping[str, Sequence[Any]]) -> TaskSet:
    """The task set whose tests expect these values.

    Args:
        expected: by `row.task_id`, one plain value per entry of `row.inputs`, or `NO_VALUE`. A row with nothing but
            `NO_VALUE` keeps its original asserts.

    Raises:
        TaskError: a row has no values, another number of values than inputs, or values that are not plain.
    """

    def make(row: EvalPlusRow, task_id: str) -> Oracle:
        values = expected.get(row.task_id, ())
        if len(values) != len(row.inputs):
            raise TaskError(f"{row.task_id}: wanted {len(row.inputs)} expected values, got {len(values)}")
        if row.task_id in _SCRIPT_ONLY or all(value is NO_VALUE for value in values):
            return make_oracle(task_id, row.script, entry_point=row.entry_point, gold=row.gold)
        tests = _make_tests(row, values)
        limits = Limits(cpu_s=60.0, wall_s=120.0) if row.task_id in _SLOW else _LIMITS
        return Oracle(task_id=task_id, tests=tests, gold=row.gold, comparator=row.comparator, limits=limits)

    return _task_set(rows, "", make)


def _task_set(rows: Iterable[EvalPlusRow], suffix: str, make: Callable[[EvalPlusRow, str], Oracle]) -> TaskSet:
    tasks, oracles, aliases = [], {}, {}
    name = ""
    for row in rows:
        name = f"{row.source}{suffix}@{VERSION}"
        task = _make_task(row, f"{name}/{row.task_id.rpartition('/')[2]}")
        tasks.append(task)
        oracles[task.id] = make(row, task.id)
        aliases[row.task_id] = task.id
    return TaskSet(name, tuple(tasks), oracles, aliases)


def _make_task(row: EvalPlusRow, task_id: str) -> Task:
    return Task(
        id=task_id,
        prompt=row.prompt,
        entry_point=row.entry_point,
        stub=row.stub,
        tags=(f"source:{row.source}",),
    )


def _read_row(row: dict[str, Any], where: str) -> EvalPlusRow:
    native_id, prompt, solution, entry_point = (
        text_field(row, key, where) for key in ("task_id", "prompt", "canonical_solution", "entry_point")
    )
    script = row.get("assertion") or row.get("test") or ""
    family = native_id.partition("/")[0]
    if family not in _SOURCES:
        raise TaskError(f"{where}: wanted an id such as 'Mbpp/2' or 'HumanEval/0', got {native_id!r}")
    base, plus = row.get("base_input"), row.get("plus_input") or []
    if not isinstance(base, list) or not isinstance(plus, list) or not all(isinstance(i, list) for i in base + plus):
        raise TaskError(f"{where}: wanted lists of argument lists under 'base_input' and 'plus_input'")
    whole = family == "Mbpp"
    try:
        description, shown = _split_docstring(prompt) if whole else (prompt, "")
    except ValueError as error:
        raise TaskError(f"{where}: wanted a docstring under 'prompt': {error}") from error
    return EvalPlusRow(
        task_id=native_id,
        prompt=prompt_with_asserts(description, shown.splitlines(), entry_point)
        if whole
        else completion_prompt(prompt),
        entry_point=entry_point,
        stub="" if whole else prompt,
        gold=solution if whole else prompt + solution,
        inputs=_restore_inputs([*base, *plus], base, script, entry_point),
        num_base=len(base),
        script=script,
        comparator=_row_comparator(native_id, (script, shown), entry_point, float(row.get("atol") or 0.0)),
    )


def _original_tests(script: str, entry_point: str) -> tuple[CallTest, ...]:
    try:
        return parse_asserts(script, entry_point)
    except NotConstant:
        return ()


def _split_docstring(prompt: str) -> tuple[str, str]:
    """Description and asserts of an MBPP+ prompt, which is a docstring."""
    lines = str(read_literal(prompt.strip())).strip().splitlines()
    is_assert = [line.startswith("assert") for line in lines]
    description = "\n".join(line for line, shown in zip(lines, is_assert, strict=True) if not shown)
    return description, "\n".join(line for line, shown in zip(lines, is_assert, strict=True) if shown)


def _restore_inputs(inputs: list[Any], base: list[Any], script: str, entry_point: str) -> tuple[tuple[Any, ...], ...]:
    """Inputs as argument tuples, typed like the literals of the asserts that `base` was made from."""
    calls = _call_arguments(script, entry_point)
    usable = len(calls) == len(base)
    columns: list[list[Any]] = []
    for k in range(max(map(len, inputs), default=0)):
        pairs = [(raw[k], true[k]) for raw, true in zip(base, calls, strict=usable) if k < min(len(raw), len(true))]
        columns.append(restore_types([args[k] for args in inputs if k < len(args)], pairs if usable else []))
    iterators = [iter(column) for column in columns]
    restored = [tuple(next(iterators[k]) for k in range(len(args))) for args in inputs]
    return tuple(args for args in restored if _is_plain(args))


def _is_plain(value: Any) -> bool:
    """Whether a value may go into a sandbox or come out; some inputs nest a hundred dictionaries."""
    try:
        encode(value)
    except PlainValueError:
        return False
    return True


def _call_arguments(script: str, entry_point: str) -> list[list[Any]]:
    """The arguments of the function under test in each assert; none at all if some are not constant."""
    callees = {entry_point, "candidate"}
    calls = []
    try:
        for node in ast.walk(parse_source(script)):
            if isinstance(node, ast.Assert):
                calls += [
                    call.args
                    for call in ast.walk(node.test)
                    if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in callees
                ]
        return [[Evaluator().evaluate(arg) for arg in args] for args in calls]
    except NotConstant:
        return []


def _row_comparator(task_id: str, scripts: Iterable[str], entry_point: str, atol: float) -> Comparator:
    """The mode the row's own asserts use, those of its prompt included; tolerance as the row says.

    What one assert lists as right answers (`any_of`) says nothing about other inputs.
    """
    tests = [test for script in scripts for test in _original_tests(script, entry_point)]
    modes = {test.comparator.mode for test in tests if test.comparator} - {"exact", "any_of"}
    mode = "set" if task_id in _UNORDERED else modes.pop() if len(modes) == 1 else "exact"
    return Comparator(mode, strict=False, atol=atol, rtol=_RTOL if atol else 0.0)


def _make_tests(row: EvalPlusRow, expected: Sequence[Any]) -> tuple[CallTest, ...]:
    tests = []
    for index, (args, value) in enumerate(zip(row.inputs, expected, strict=True)):
        if value is not NO_VALUE:
            name = f"base {index}" if index < row.num_base else f"plus {index - row.num_base}"
            tests.append(_make_test(row, name, args, value))
    return tuple(tests)


def _make_test(row: EvalPlusRow, name: str, args: tuple[Any, ...], value: Any) -> CallTest:
    if not _is_plain(value):
        raise TaskError(f"{row.task_id}, {name}: wanted a plain value or NO_VALUE, got a {type(value).__name__}")
    comparator = row.comparator
    if not comparator.atol and _is_floats(value):
        comparator = replace(comparator, atol=_FLOAT_ATOL, rtol=_RTOL)
    if row.task_id in _SECOND_READINGS:
        value = [value, _SECOND_READINGS[row.task_id](*args)]
        comparator = replace(comparator, mode="any_of")
    return CallTest(name, args, value, comparator=comparator)


def _is_floats(value: Any) -> bool:
    """A float, or a sequence of nothing else: where EvalPlus allows rounding unasked."""
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(item, float) for item in value)
    return isinstance(value, float)


def _padded_digit_distance(first: int, second: int) -> int:
    """Mbpp/558 read with the shorter number filled up with zeros on the left."""
    width = max(len(str(first)), len(str(second)))
    digits = zip(str(first).zfill(width), str(second).zfill(width), strict=True)
    return sum(abs(int(a) - int(b)) for a, b in digits)


def _pyramid_surface(base: float, height: float) -> int:
    """Mbpp/581 read with the height as the distance from base to apex; the gold takes it for the slant height."""
    return round(base * base + 2 * base * math.hypot(base / 2, height))


_SECOND_READINGS: dict[str, Callable[..., Any]] = {
    "Mbpp/558": _padded_digit_distance,
    "Mbpp/581": _pyramid_surface,
}
