"""verigrad's own task files: one JSON object a line, described with an example in docs/tasks.md.

`dump` and `load` are inverses: every field of every task, test and oracle comes back equal, types of values included.
Fields that have their default are left out. Values inside tests take the JSON form of `verigrad.values`.
"""

from __future__ import annotations

import dataclasses
import gzip
import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from verigrad.changes import check_paths
from verigrad.errors import TaskError
from verigrad.registry import did_you_mean
from verigrad.tasks.base import TaskSet
from verigrad.tasks.languages import adapt
from verigrad.tasks.rows import read_rows
from verigrad.types import (
    AnswerTest,
    CallTest,
    CommandTest,
    Comparator,
    Generator,
    InputTest,
    InvariantTest,
    Limits,
    Oracle,
    OutputRule,
    PropertyTest,
    Repository,
    ScriptTest,
    SmtTest,
    StdioTest,
    Suite,
    SuiteTest,
    Task,
    Test,
    TheoremTest,
)
from verigrad.values import decode, encode

__all__ = ["dump", "load"]

_T = TypeVar("_T")

_KINDS: dict[str, type[Test]] = {
    "call": CallTest,
    "stdio": StdioTest,
    "property": PropertyTest,
    "script": ScriptTest,
    "answer": AnswerTest,
    "input": InputTest,
    "invariant": InvariantTest,
    "smt": SmtTest,
    "theorem": TheoremTest,
    "suite": SuiteTest,
    "command": CommandTest,
}
_KIND_OF = {kind: name for name, kind in _KINDS.items()}
_HEADER = "taskset"
_OF_TASK = ("task_id", "language", "prototype", "repository")
"""Fields of an oracle that follow from its task."""
_ORACLE_KEYS = [field.name for field in dataclasses.fields(Oracle) if field.name not in _OF_TASK]


# -------------------------------------------------------------------------------------------- reading


def load(path: str | Path) -> TaskSet:
    """Load a task file, plain or gzipped.

    Raises:
        ConfigError: no such file.
        TaskError: `file:line` with an unknown or missing key, a value of the wrong type, or an id used twice.
    """
    name = Path(path).name.split(".")[0]
    tasks: list[Task] = []
    oracles: dict[str, Oracle] = {}
    aliases: dict[str, str] = {}
    places: dict[str, str] = {}
    for where, row in read_rows(path):
        try:
            if _HEADER in row:
                name = _parse_header(row)
                continue
            task, oracle, natives = _parse_row(row)
            if task.id in oracles:
                raise ValueError(f"id {task.id!r} is used twice, first at {places[task.id]}; give every task its own")
            for native in natives:
                if aliases.setdefault(native, task.id) != task.id:
                    raise ValueError(f"alias {native!r} is that of {aliases[native]!r}, too; give it to one of them")
        except (ValueError, TypeError) as error:
            raise TaskError(f"{where}: {error}") from error
        tasks.append(task)
        oracles[task.id], places[task.id] = oracle, where
    return TaskSet(name, tuple(tasks), oracles, aliases)


def _parse_test(row: Any) -> Test:
    fields = dict(_object(row, "test"))
    kind = fields.pop("kind", None)
    if kind not in _KINDS:
        known = ", ".join(_KINDS)
        raise ValueError(f"test: wanted a 'kind' out of {known}, got {kind!r}{did_you_mean(str(kind), _KINDS)}")
    return _build(_KINDS[kind], fields, f"test {row.get('name', '')!r}")


def _parse_header(row: Mapping[str, Any]) -> str:
    _refuse_unknown(row, [_HEADER], "first row")
    if not isinstance(row[_HEADER], str):
        raise ValueError(f"{_HEADER}: wanted a name, got {row[_HEADER]!r}")
    return str(row[_HEADER])


def _parse_row(row: dict[str, Any]) -> tuple[Task, Oracle, list[str]]:
    fields = dict(row)
    oracle_row, natives = fields.pop("oracle", None), fields.pop("aliases", [])
    if not isinstance(oracle_row, dict):
        raise ValueError(f"wanted an object under 'oracle', got {oracle_row!r}")
    if not isinstance(natives, list) or not all(isinstance(native, str) for native in natives):
        raise ValueError(f"aliases: wanted a list of names, got {natives!r}")
    task = _build(Task, fields, "task", also=("oracle", "aliases"))
    _refuse_unknown(oracle_row, _ORACLE_KEYS, "oracle")
    oracle = _build(Oracle, {"task_id": task.id, **oracle_row}, "oracle")
    shown = adapt(task, dataclasses.replace(oracle, tests=task.public_tests)).tests
    task = dataclasses.replace(task, public_tests=shown)
    return task, dataclasses.replace(adapt(task, oracle), repository=task.repository), natives


def _build(kind: type[_T], row: Mapping[str, Any], what: str, *, also: Collection[str] = ()) -> _T:
    """An instance of a dataclass from a JSON object whose keys are its fields."""
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    _refuse_unknown(row, [*fields, *also], what)
    hints = get_type_hints(kind)
    missing = [name for name, field in fields.items() if name not in row and _required(field)]
    if missing:
        raise ValueError(f"{what}: {', '.join(map(repr, missing))} missing")
    parsed = {}
    for key, value in row.items():
        parse = _PARSERS.get(key)
        parsed[key] = parse(value) if parse else _typed(value, hints[key], f"{what}: {key}")
    return kind(**parsed)


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _refuse_unknown(row: Mapping[str, Any], known: Collection[str], what: str) -> None:
    for key in row:
        if key not in known:
            raise ValueError(f"{what}: unknown key {key!r}{did_you_mean(key, known)}; known: {', '.join(known)}")


def _typed(value: Any, hint: Any, what: str) -> Any:
    """`value` if it is of the annotated type: a plain type, a union, a tuple of them, or a closed list of words."""
    if get_origin(hint) is Literal:
        if value in get_args(hint):
            return value
        words = ", ".join(map(repr, get_args(hint)))
        raise ValueError(f"{what}: wanted one of {words}, got {value!r}{did_you_mean(str(value), get_args(hint))}")
    if get_origin(hint) is tuple and isinstance(value, list):
        return tuple(_typed(item, get_args(hint)[0], what) for item in value)
    allowed = get_args(hint) if get_origin(hint) is UnionType else (hint,)
    if float in allowed and type(value) is int:
        return float(value)
    if type(value) not in allowed:
        names = " or ".join("null" if kind is NoneType else getattr(kind, "__name__", str(kind)) for kind in allowed)
        raise ValueError(f"{what}: wanted {names}, got {value!r}")
    return value


def _parse_comparator(row: Any) -> Comparator | None:
    return None if row is None else _build(Comparator, _object(row, "comparator"), "comparator")


def _parse_input(row: Any) -> tuple[Any, ...] | str:
    """Of a property: the arguments of a call, or a standard input."""
    if not isinstance(row, list | str):
        raise ValueError(f"inputs: wanted lists of arguments, or texts for standard input, got {row!r}")
    return row if isinstance(row, str) else tuple(map(decode, row))


def _parse_files(row: Any) -> dict[str, bytes]:
    """Path -> content: a text, or `{"bytes": base64}` where it is none."""
    files = {path: decode(body) for path, body in _object(row, "files").items()}
    for path, body in files.items():
        if not isinstance(body, str | bytes):
            raise ValueError(f"files: {path!r}: wanted a text, or bytes in base64, got {body!r}")
    contents = {path: body.encode() if isinstance(body, str) else body for path, body in files.items()}
    check_paths(contents)
    return contents


def _format_files(files: Mapping[str, bytes]) -> dict[str, Any]:
    return {path: _format_content(body) for path, body in files.items()}


def _format_content(body: bytes) -> Any:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return encode(body)


def _parse_environment(row: Any) -> dict[str, str]:
    names = _object(row, "environment")
    if not all(isinstance(value, str) for value in names.values()):
        raise ValueError(f"environment: wanted texts, got {names!r}")
    return names


def _parse_argv(row: Any) -> tuple[str, ...]:
    if not (isinstance(row, list) and row and row[0] and all(isinstance(word, str) for word in row)):
        raise ValueError(f"argv: wanted a program and its arguments, got {row!r}")
    return tuple(row)


def _object(row: Any, what: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise ValueError(f"{what}: wanted an object, got {row!r}")
    return row


def _parse_each(parse: Callable[[Any], Any], what: str) -> Callable[[Any], tuple[Any, ...]]:
    def parse_list(row: Any) -> tuple[Any, ...]:
        if not isinstance(row, list):
            raise ValueError(f"{what}: wanted a list, got {row!r}")
        return tuple(map(parse, row))

    return parse_list


# What fields of these names are made of; annotations say it of all others.
_PARSERS: dict[str, Callable[[Any], Any]] = {
    "tests": _parse_each(_parse_test, "tests"),
    "public_tests": _parse_each(_parse_test, "public_tests"),
    "comparator": _parse_comparator,
    "output": lambda row: _build(OutputRule, _object(row, "output"), "output"),
    "limits": lambda row: _build(Limits, _object(row, "limits"), "limits"),
    "generator": lambda row: None if row is None else _build(Generator, _object(row, "generator"), "generator"),
    "repository": lambda row: None if row is None else _build(Repository, _object(row, "repository"), "repository"),
    "suite": lambda row: _build(Suite, _object(row, "suite"), "suite"),
    "files": _parse_files,
    "environment": _parse_environment,
    "argv": _parse_argv,
    "inputs": _parse_each(_parse_input, "inputs"),
    "args": _parse_each(decode, "args"),
    "kwargs": lambda row: {name: decode(value) for name, value in _object(row, "kwargs").items()},
    "expected": decode,
}


# -------------------------------------------------------------------------------------------- writing


def dump(tasks: TaskSet, path: str | Path) -> None:
    """Write a task file; a first row holds the set's name.

    Raises:
        TaskError: a value inside a test is not plain, or a tolerance or limit is not finite.
    """
    natives: dict[str, list[str]] = {}
    for native, task_id in tasks.aliases.items():
        natives.setdefault(task_id, []).append(native)
    opener = gzip.open if Path(path).suffix == ".gz" else open
    with opener(path, "wt", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps({_HEADER: tasks.name}) + "\n")
        for task in tasks.tasks:
            file.write(_format_row(task, tasks.oracle(task), natives.get(task.id, [])) + "\n")


def _format_row(task: Task, oracle: Oracle, natives: list[str]) -> str:
    try:
        row = _format(task)
        row["oracle"] = {key: value for key, value in _format(oracle).items() if key not in _OF_TASK}
        if natives:
            row["aliases"] = natives
        return json.dumps(row, allow_nan=False)
    except ValueError as error:
        raise TaskError(f"{task.id}: {error}") from error


def _format(item: Any) -> dict[str, Any]:
    """The JSON object of a dataclass; fields that have their default are left out."""
    row = {"kind": _KIND_OF[type(item)]} if type(item) in _KIND_OF else {}
    for field in dataclasses.fields(item):
        value = getattr(item, field.name)
        if _required(field) or value != _default(field):
            row[field.name] = _FORMATTERS.get(field.name, _format_plain)(value)
    return row


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default


def _format_plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _format_args(args: tuple[Any, ...]) -> list[Any]:
    return [encode(value) for value in args]


def _format_tests(tests: tuple[Test, ...]) -> list[dict[str, Any]]:
    return [_format(test) for test in tests]


_FORMATTERS: dict[str, Callable[[Any], Any]] = {
    "tests": _format_tests,
    "public_tests": _format_tests,
    "comparator": _format,
    "output": _format,
    "limits": _format,
    "generator": _format,
    "repository": _format,
    "suite": _format,
    "files": _format_files,
    "inputs": lambda inputs: [item if isinstance(item, str) else _format_args(item) for item in inputs],
    "args": _format_args,
    "kwargs": lambda kwargs: {name: encode(value) for name, value in kwargs.items()},
    "expected": encode,
}
