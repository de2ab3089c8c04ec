"""Are an instance's tests good enough? A constant must fail many of them, and known wrong programs at least one.

Everything run here is this package's own source, so it runs in this process; what a policy writes never does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

from verigrad.errors import TaskError
from verigrad.types import CallTest, Comparator

__all__ = ["agree", "constant_pass_rate", "load_function", "passes"]


def load_function(source: str, name: str) -> Callable[..., Any]:
    """The function `name` that our own `source` defines.

    Raises:
        TaskError: the source does not compile, fails, or defines no such function.
    """
    namespace: dict[str, Any] = {"__name__": "builtin"}
    try:
        exec(compile(source, f"<{name}>", "exec"), namespace)
        function: Callable[..., Any] = namespace[name]
    except Exception as error:
        raise TaskError(f"the program for {name!r} does not load: {error!r}; its source:\n{source}") from error
    return function


def passes(function: Callable[..., Any], tests: Sequence[CallTest], comparator: Comparator) -> bool:
    """True where `function` gives what every test expects; an exception is a failure."""
    for test in tests:
        try:
            value = function(*deepcopy(test.args))
        except Exception:  # a wrong program may fail in any way
            return False
        if not agree(value, test.expected, test.comparator or comparator):
            return False
    return True


def constant_pass_rate(expected: Sequence[Any], comparator: Comparator) -> float:
    """The largest share of tests that a program returning one constant passes.

    The candidates are the expected values themselves (for `any_of`, their elements): no other constant
    passes more, up to tolerances.

    >>> constant_pass_rate([True, False, True, True], Comparator())
    0.75
    """
    candidates = [item for value in expected for item in value] if comparator.mode == "any_of" else list(expected)
    most = max((sum(agree(item, value, comparator) for value in expected) for item in candidates), default=0)
    return most / len(expected) if expected else 1.0


def agree(value: Any, expected: Any, comparator: Comparator) -> bool:
    """True where `value` is a right answer under `comparator`, as its docstring defines the modes.

    >>> agree([2, 1], [1, 2], Comparator("multiset")), agree(1, True, Comparator())
    (True, False)
    """
    if comparator.mode == "truthy":
        return bool(value) == bool(expected)
    if comparator.mode == "any_of":
        return any(_same(value, item, comparator) for item in expected)
    if comparator.mode == "exact":
        return _same(value, expected, comparator)
    if not isinstance(value, list | tuple | set | frozenset):
        return False
    if comparator.mode == "set":
        return _covers(value, expected, comparator) and _covers(expected, value, comparator)
    return len(value) == len(expected) and _same_multiset(list(value), list(expected), comparator)


def _covers(some: Any, others: Any, comparator: Comparator) -> bool:
    return all(any(_same(item, other, comparator) for other in others) for item in some)


def _same_multiset(values: list[Any], expected: list[Any], comparator: Comparator) -> bool:
    for item in expected:
        index = next((i for i, value in enumerate(values) if _same(value, item, comparator)), None)
        if index is None:
            return False
        del values[index]
    return True


def _same(value: Any, expected: Any, comparator: Comparator) -> bool:
    kind = type(expected)
    if comparator.strict and type(value) is not kind:
        return False
    if _is_number(value) and _is_number(expected):
        tolerance = comparator.atol + comparator.rtol * abs(expected)
        return bool(value == expected or abs(value - expected) <= tolerance)
    if kind in (list, tuple):
        return type(value) is kind and len(value) == len(expected) and all(map(_pair(comparator), value, expected))
    if kind is dict:
        return (
            type(value) is dict
            and value.keys() == expected.keys()
            and all(_same(value[key], expected[key], comparator) for key in expected)
        )
    return bool(value == expected)


def _pair(comparator: Comparator) -> Callable[[Any, Any], bool]:
    return lambda value, expected: _same(value, expected, comparator)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)
