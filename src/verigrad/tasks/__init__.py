"""Problems and what judges them: `load_tasks("humaneval")`, `load_tasks("mbpp:mbpp.jsonl?ids=11-510")`, and so on."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

from verigrad.errors import ConfigError, TaskError
from verigrad.registry import did_you_mean, load_attribute, resolve
from verigrad.tasks.base import Loader, TaskSet

__all__ = ["SOURCES", "Loader", "TaskSet", "load_tasks", "source_file"]

SOURCES: dict[str, str] = {
    "builtin@1": "verigrad.tasks.builtin.suite:load",
    "builtin-easy@1": "verigrad.tasks.builtin.suite:load_easy",
    "cruxeval@1": "verigrad.tasks.cruxeval:load",
    "evalplus@1": "verigrad.tasks.evalplus:load",
    "evalplus-base@1": "verigrad.tasks.evalplus:load_base",
    "gsm8k@1": "verigrad.tasks.gsm8k:load",
    "hub@1": "verigrad.tasks.hub:load",
    "humaneval@1": "verigrad.tasks.humaneval:load",
    "invariants@1": "verigrad.tasks.invariants:load",
    "jsonl@1": "verigrad.tasks.jsonl:load",
    "mbpp@1": "verigrad.tasks.mbpp:load",
    "procedural@1": "verigrad.tasks.procedural.suite:load",
    "provable@1": "verigrad.tasks.provable:load",
}
"""Name and version to loader; a name without a version means its newest."""


def load_tasks(spec: str, **options: Any) -> TaskSet:
    """Load tasks by name.

    Args:
        spec: `SOURCE[:PATH][?OPTION=VALUE&...]`. SOURCE is a name of `SOURCES`, with or without its `@version`; PATH
            becomes the loader's argument `path`. Or `FILE.jsonl[.gz]` for verigrad's own form, or `file.py:load` or
            `module:load` for a loader of your own. Option values are typed by the loader's annotations; commas
            separate the items of a tuple.
        options: more arguments for the loader, as they are; they win over those of `spec`.

    Raises:
        ConfigError: an unknown source or option, a missing one, or a value of the wrong type.
        MissingExtra: the source needs a package that is not installed.
        TaskError: the source is malformed, or two of its tasks have one id.

    >>> load_tasks("builtin-easy@1?split=validation").name
    'builtin-easy@1/validation'
    """
    location, _, query = spec.partition("?")
    loader, path = _find_loader(location)
    texts = _parse_query(query, spec)
    if path is not None:
        texts["path"] = path
    arguments = {**_typed_options(loader, texts, spec), **options}
    _check_arguments(loader, arguments, spec)
    loaded = loader(**arguments)
    if not isinstance(loaded, TaskSet):
        raise ConfigError(f"{spec!r} must give a TaskSet (verigrad.tasks.TaskSet), got a {type(loaded).__name__}")
    _check_ids(loaded, spec)
    return loaded


def source_file(spec: str) -> Path | None:
    """The file that a task source reads, or the loader of your own is in; None where it names none that exists.

    >>> source_file("builtin-easy@1?split=validation") is None
    True
    """
    location = spec.partition("?")[0]
    named = (location, location.partition(":")[2], location.rpartition(":")[0])
    return next((file for name in named if name and (file := Path(name).expanduser()).is_file()), None)


def _check_ids(tasks: TaskSet, spec: str) -> None:
    """Everything goes by a task's id: its oracle, its group, its line in a report."""
    for task_id, count in Counter(task.id for task in tasks.tasks).items():
        if count > 1:
            raise TaskError(f"{spec!r}: {count} tasks have the id {task_id!r}; give every task its own")
        if task_id not in tasks.oracles:
            raise TaskError(f"{spec!r}: task {task_id!r} has no oracle under its id")


def _parse_query(query: str, spec: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError as error:
        raise ConfigError(f"{spec!r}: wanted OPTION=VALUE&... after the '?', got {query!r}") from error


def _find_loader(location: str) -> tuple[Callable[..., Any], str | None]:
    """The loader, and the path where the location holds one."""
    name, colon, path = location.partition(":")
    newest = {key.partition("@")[0]: key for key in sorted(SOURCES, key=_version)}
    name = newest.get(name, name)
    if name in SOURCES:
        return load_attribute(SOURCES[name]), path if colon else None
    if location.endswith((".jsonl", ".jsonl.gz")):
        return load_attribute(SOURCES[newest["jsonl"]]), location
    if not location.endswith(".py") and Path(location).exists():
        raise ConfigError(
            f"{location!r} is there, and what it holds is not known: a file of tasks ends in .jsonl (docs/tasks.md), "
            f"and other sources read theirs by name, such as mbpp:{location}"
        )
    return resolve(location, {short: SOURCES[key] for short, key in newest.items()}, what="task source"), None


def _version(name: str) -> int:
    return int(name.partition("@")[2])


def _typed_options(loader: Callable[..., Any], texts: Mapping[str, str], spec: str) -> dict[str, Any]:
    hints = get_type_hints(loader)
    return {name: _typed(text, hints.get(name, str), f"{spec!r}: {name}") for name, text in texts.items()}


def _check_arguments(loader: Callable[..., Any], arguments: Mapping[str, Any], spec: str) -> None:
    parameters = inspect.signature(loader).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    for name in arguments:
        if name not in parameters and not takes_any:
            known = ", ".join(parameters) or "none"
            raise ConfigError(f"{spec!r}: unknown option {name!r}{did_you_mean(name, parameters)}; known: {known}")
    missing = [name for name, parameter in parameters.items() if _required(parameter) and name not in arguments]
    if "path" in missing:
        raise ConfigError(f"{spec!r}: this source reads a file; write {spec.partition('?')[0]}:PATH")
    if missing:
        raise ConfigError(f"{spec!r}: missing {', '.join(missing)}; write {spec}?{missing[0]}=VALUE")


def _required(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty and parameter.kind not in (
        parameter.VAR_POSITIONAL,
        parameter.VAR_KEYWORD,
    )


def _typed(text: str, hint: Any, what: str) -> Any:
    """The text as the annotated type: text where it may be text, else the first type that reads it."""
    kinds = get_args(hint) if get_origin(hint) in (UnionType, Union) else (hint,)
    if str in kinds:
        return text
    for kind in kinds:
        if kind is NoneType and text.lower() == "none":
            return None
        if kind is bool and text.lower() in ("true", "false"):
            return text.lower() == "true"
        if get_origin(kind) is tuple:
            return tuple(_typed(part, get_args(kind)[0], what) for part in text.split(","))
        if kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                continue
    names = " or ".join(getattr(kind, "__name__", str(kind)) for kind in kinds)
    raise ConfigError(f"{what}: wanted {names}, got {text!r}")
