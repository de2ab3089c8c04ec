"""Datasets of the Hugging Face hub, or any rows: which column holds what is told by arguments.

The tests column may hold an assert script, a list of asserts, or inputs and outputs as APPS has them (an object, or
its JSON text, with `inputs`, `outputs` and, for calls, `fn_name`).
"""

from __future__ import annotations

import ast
import builtins
import importlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast, get_args

from verigrad.errors import ConfigError, MissingExtra, TaskError
from verigrad.tasks.asserts import EQUAL, make_oracle
from verigrad.tasks.base import TaskSet
from verigrad.tasks.constants import NotConstant, parse_source
from verigrad.tasks.rows import text_field
from verigrad.types import CallTest, Comparator, Oracle, OutputRule, Spaces, StdioTest, Task
from verigrad.values import PlainValueError, encode

__all__ = ["from_rows", "load"]

_ANY = Comparator("any_of", strict=False)


def load(
    path: str,
    split: str = "train",
    *,
    subset: str | None = None,
    revision: str | None = None,
    prompt: str = "prompt",
    tests: str = "tests",
    entry_point: str | None = "entry_point",
    gold: str | None = None,
    stub: str | None = None,
    setup: str | None = None,
    id: str | None = None,
    spaces: str = "trailing",
) -> TaskSet:
    """Load one split of a hub dataset.

    Args:
        path: the dataset's id on the hub, or a folder; `subset` and `revision` as the package `datasets` has them.
        prompt, tests, entry_point, gold, stub, setup, id, spaces: as in `from_rows`.

    Raises:
        MissingExtra: the package `datasets` is not installed.
        TaskError: there is no such dataset or split, or a row lacks a column or holds something else in it.
    """
    try:
        datasets = importlib.import_module("datasets")
    except ModuleNotFoundError as error:
        raise MissingExtra("datasets", "datasets") from error
    try:
        rows = datasets.load_dataset(path, subset, split=split, revision=revision)
    except Exception as error:  # boundary: the package raises anything
        raise TaskError(f"the dataset {path!r} does not load: {error}") from error
    return from_rows(
        rows,
        name=f"{path.rstrip('/').rpartition('/')[2]}/{split}",
        prompt=prompt,
        tests=tests,
        entry_point=entry_point,
        gold=gold,
        stub=stub,
        setup=setup,
        id=id,
        spaces=spaces,
    )


def from_rows(
    rows: Iterable[Mapping[str, Any]],
    *,
    name: str,
    prompt: str = "prompt",
    tests: str = "tests",
    entry_point: str | None = "entry_point",
    gold: str | None = None,
    stub: str | None = None,
    setup: str | None = None,
    id: str | None = None,
    spaces: str = "trailing",
) -> TaskSet:
    """Tasks from rows; each argument but `name` and `spaces` is the name of a column. A null is no text.

    Args:
        name: of the task set; the ids are `name/<id>`.
        tests: asserts, or inputs and outputs; see the module's docstring.
        entry_point: the function's name. None where a row has no such column: then it is the first function that an
            assert calls and neither Python nor, if there is such a one, the script has; inputs and outputs are those
            of a program.
        gold: a correct program; `stub`: source that a bare completion continues; `setup`: source before the asserts.
        id: what tells rows apart; the row's position without it.
        spaces: which white space of printed output counts, as `OutputRule` has it.

    Raises:
        ConfigError: `spaces` is none of these words.
        TaskError: a row lacks a column or holds something else in it, or an id comes twice.

    >>> rows = [{"prompt": "Double x.", "tests": ["assert f(2) == 4"], "entry_point": "f"}]
    >>> [(task.id, task.entry_point) for task in from_rows(rows, name="toy@1").tasks]
    [('toy@1/0', 'f')]
    """
    output = _output_rule(spaces)
    tasks: list[Task] = []
    oracles: dict[str, Oracle] = {}
    for index, row in enumerate(rows):
        where = f"{name}, row {index}"

        def text(column: str | None, row: Mapping[str, Any] = row, where: str = where) -> str:
            return text_field(row, column, where) if column and row.get(column, "") is not None else ""

        task_id = f"{name}/{row.get(id) if id else index}"
        if task_id in oracles:
            raise TaskError(f"{where}: id {task_id!r} comes twice; name another column with id=")
        cases = _cases(row.get(tests))
        function = _entry_point(cases, text(entry_point), where)
        oracle = _make_oracle(task_id, cases, function, text(setup), where)
        oracles[task_id] = replace(oracle, gold=text(gold) or None, output=output)
        tasks.append(
            Task(
                id=task_id,
                prompt=text_field(row, prompt, where),
                entry_point=function or None,
                stub=text(stub),
                tags=(f"source:{name}",),
            )
        )
    return TaskSet(name, tuple(tasks), oracles, {})


def _output_rule(spaces: str) -> OutputRule:
    if spaces not in get_args(Spaces):
        raise ConfigError(f"spaces: wanted one of {', '.join(get_args(Spaces))}, got {spaces!r}")
    return OutputRule(cast(Spaces, spaces))


def _cases(column: Any) -> Any:
    """The tests column with JSON text read and a list of asserts joined; a script stays text."""
    if isinstance(column, Sequence) and not isinstance(column, str) and all(isinstance(item, str) for item in column):
        return "\n".join(column)
    if isinstance(column, str) and column.lstrip().startswith("{"):
        try:
            return json.loads(column)
        except ValueError:
            return column
    return column


def _entry_point(cases: Any, named: str, where: str) -> str:
    if isinstance(cases, Mapping):
        return named or str(cases.get("fn_name") or "")
    if named or not isinstance(cases, str):
        return named
    called = _called_function(cases)
    if called is None:
        raise TaskError(f"{where}: no assert calls a function; name the column of function names with entry_point=")
    return called


def _called_function(script: str) -> str | None:
    """The first function that an assert calls and Python does not have; one that the script has is the last resort."""
    try:
        nodes = list(ast.walk(parse_source(script)))
    except NotConstant:
        return None
    own = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    own |= {alias.asname or alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
    asserts = [node for node in nodes if isinstance(node, ast.Assert)]
    calls = [node.func for check in asserts for node in ast.walk(check) if isinstance(node, ast.Call)]
    names = [function.id for function in calls if isinstance(function, ast.Name)]
    return min((name for name in names if not hasattr(builtins, name)), key=own.__contains__, default=None)


def _make_oracle(task_id: str, cases: Any, function: str, setup: str, where: str) -> Oracle:
    if isinstance(cases, str) and cases.strip():
        return make_oracle(task_id, f"{setup}\n{cases}" if setup else cases, entry_point=function)
    if isinstance(cases, Mapping):
        inputs, outputs = cases.get("inputs"), cases.get("outputs")
        if isinstance(inputs, Sequence) and isinstance(outputs, Sequence) and 0 < len(inputs) == len(outputs):
            pairs = list(zip(inputs, outputs, strict=True))
            return _call_oracle(task_id, pairs, where) if function else _stdio_oracle(task_id, pairs, where)
    raise TaskError(
        f"{where}: wanted asserts, or inputs and as many outputs, in the tests column; got {str(cases)[:80]!r}"
    )


def _call_oracle(task_id: str, pairs: list[tuple[Any, Any]], where: str) -> Oracle:
    """Calls as APPS's own judge understands them.

    It writes a result as it is or, in all tests of a task, as the only item of a list, without saying which: both are
    right. JSON has no tuples, so one is right where a list is wanted.
    """
    wrapped = all(isinstance(expected, list) and len(expected) == 1 for _, expected in pairs)
    tests = []
    for index, (args, expected) in enumerate(pairs):
        try:
            encode((args, expected))
        except PlainValueError as error:
            raise TaskError(f"{where}, test {index}: {error}") from error
        if not isinstance(args, Sequence) or isinstance(args, str):
            raise TaskError(f"{where}, test {index}: wanted a list of arguments, got {args!r}")
        right = [expected, *(expected if wrapped else ())]
        right += [tuple(value) for value in right if isinstance(value, list)]
        tests.append(
            CallTest(str(index), tuple(args), right, comparator=_ANY)
            if len(right) > 1
            else CallTest(str(index), tuple(args), expected, comparator=EQUAL)
        )
    return Oracle(task_id=task_id, tests=tuple(tests), comparator=EQUAL)


def _stdio_oracle(task_id: str, pairs: list[tuple[Any, Any]], where: str) -> Oracle:
    if not all(isinstance(part, str) for pair in pairs for part in pair):
        raise TaskError(f"{where}: wanted text for stdin and stdout")
    tests = tuple(StdioTest(str(index), stdin, stdout) for index, (stdin, stdout) in enumerate(pairs))
    return Oracle(task_id=task_id, tests=tests)
