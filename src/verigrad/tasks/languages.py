"""Tasks in languages other than Python: what their tests say, in the values and types that the language has.

JavaScript has one kind of number, so every number becomes a float (integers beyond 2**53 stay, as BigInt), and one kind
of sequence, the list. C and C++ have types, which the prototype in the task's stub names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from verigrad.prototypes import Prototype, parse
from verigrad.registry import did_you_mean
from verigrad.types import CallTest, Comparator, Oracle, ScriptTest, Task, Test

__all__ = ["LANGUAGES", "adapt"]

LANGUAGES = ("python", "c", "cpp", "javascript", "text")
"""What `Task.language` may be; `text` is no program."""

_SAFE_INTEGER = 2**53


def adapt(task: Task, oracle: Oracle) -> Oracle:
    """The oracle for programs in the task's language: its tests' values as the language has them, and the prototype.

    Raises:
        ValueError: there is no such language, or it cannot express a test; the message says what it can.
    """
    if task.language not in LANGUAGES:
        known = ", ".join(LANGUAGES)
        raise ValueError(f"language: no {task.language!r}{did_you_mean(task.language, LANGUAGES)}; known: {known}")
    if task.language in ("python", "text"):
        return oracle
    oracle = replace(oracle, language=task.language)
    if all(not isinstance(test, CallTest | ScriptTest) for test in oracle.tests):
        return oracle
    if task.entry_point is None:
        raise ValueError("tests call a function, but the task names no entry_point")
    if task.language == "javascript":
        return replace(
            oracle, tests=tuple(_fitted(test, oracle, _javascript_args, _javascript) for test in oracle.tests)
        )
    prototype = _prototype(task)
    tests = tuple(_fitted(test, oracle, prototype.fit, prototype.returns.fit) for test in oracle.tests)
    return replace(oracle, tests=tests, prototype=str(prototype))


def _prototype(task: Task) -> Prototype:
    try:
        return parse(task.stub, task.entry_point or "", task.language)
    except ValueError as error:
        raise ValueError(f"stub: {error}") from error


def _fitted(
    test: Test, oracle: Oracle, fit_args: Callable[[tuple[Any, ...]], tuple[Any, ...]], fit: Callable[[Any], Any]
) -> Test:
    if isinstance(test, ScriptTest):
        raise ValueError(f"test {test.name!r} is a Python script; wanted 'call' or 'stdio' tests")
    if not isinstance(test, CallTest):
        return test
    if test.kwargs:
        raise ValueError(f"test {test.name!r}: arguments by name are for Python only; give them in 'args'")
    try:
        expected = _fitted_expected(test.expected, test.comparator or oracle.comparator, fit)
        return replace(test, args=fit_args(test.args), expected=expected)
    except ValueError as error:
        raise ValueError(f"test {test.name!r}: {error}") from error


def _fitted_expected(expected: Any, comparator: Comparator, fit: Callable[[Any], Any]) -> Any:
    if comparator.mode == "truthy":
        return expected
    if comparator.mode == "any_of":
        return [fit(item) for item in expected]
    if comparator.mode == "set" and isinstance(expected, set | frozenset):
        return fit(list(expected))
    return fit(expected)


def _javascript_args(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(_javascript(value) for value in args)


def _javascript(value: Any) -> Any:
    """The value as JavaScript has it.

    Raises:
        ValueError: it has no such value.
    """
    kind = type(value)
    if value is None or kind in (bool, str, float):
        return value
    if kind is int:
        return float(value) if -_SAFE_INTEGER <= value <= _SAFE_INTEGER else value
    if kind in (list, tuple):
        return [_javascript(item) for item in value]
    if kind in (set, frozenset):
        return {_javascript(item) for item in value}
    if kind is dict:
        return {_javascript(key): _javascript(item) for key, item in value.items()}
    raise ValueError(f"JavaScript has no value for a {kind.__name__}")
