"""Is what came back what was wanted? Comparison of plain values, in the parent.

Everything compared here was decoded by us into exact built-in types, so no code of a program runs. The
value that came back may still be chosen to hurt, so depth is bounded and unordered things are compared
through text keys, whose hashes no program can make collide.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from verigrad.types import Comparator
from verigrad.values import MAX_DEPTH

__all__ = ["equal"]

_NUMBERS = (bool, int, float, complex)
_SEQUENCES = (list, tuple)
_SETS = (set, frozenset)
_DEEPEST = 2 * MAX_DEPTH
_MOST_MATCHED = 32


def equal(got: Any, expected: Any, comparator: Comparator) -> bool:
    """Whether `got` (untrusted) equals `expected` as `comparator` says; both are plain values.

    Beyond the docstring of `Comparator`: NaN equals NaN and nothing else; infinities are equal exactly,
    whatever the tolerance; otherwise numbers agree if |got - expected| <= atol + rtol * |expected|.
    `multiset` wants both outermost types to be list or both tuple, `set` takes any two collections. With
    a tolerance, unordered elements are paired in sorted order, up to 32 of them that hold no sets in any
    order that fits. Dict keys know no tolerance.

    >>> equal([2, 1, 1], [1, 1, 2], Comparator(mode="multiset"))
    True
    >>> equal(1, True, Comparator()), equal(1, True, Comparator(strict=False))
    (False, True)
    """
    mode, kind = comparator.mode, type(got)
    if mode == "truthy":
        return bool(got) == bool(expected)
    if mode == "any_of":
        return any(_same(got, item, comparator, 0) for item in expected)
    if mode == "set" and kind in _SEQUENCES + _SETS and type(expected) in _SEQUENCES + _SETS:
        return _same_bags(_distinct(got, comparator), _distinct(expected, comparator), comparator, 0)
    if mode == "multiset" and kind in _SEQUENCES and kind is type(expected):
        return _same_bags(list(got), list(expected), comparator, 0)
    return _same(got, expected, comparator, 0)


def _distinct(values: Iterable[Any], c: Comparator) -> list[Any]:
    return list({_key(value, c.strict): value for value in values}.values())


def _same(got: Any, expected: Any, c: Comparator, depth: int) -> bool:
    """Equality of any two plain values, order included where there is one."""
    kind, wanted = type(got), type(expected)
    if depth > _DEEPEST or (kind is not wanted and (c.strict or not _may_equal(kind, wanted))):
        return False
    if kind in _NUMBERS:
        return _same_numbers(got, expected) or (bool not in (kind, wanted) and _close(got, expected, c))
    if kind not in (*_SEQUENCES, *_SETS, dict):
        return bool(got == expected)
    if len(got) != len(expected):
        return False
    if kind in _SEQUENCES:
        return all(_same(a, b, c, depth + 1) for a, b in zip(got, expected, strict=True))
    if kind in _SETS:
        return _same_bags(list(got), list(expected), c, depth)
    values = {_key(key, c.strict): value for key, value in got.items()}
    keys = {_key(key, c.strict): value for key, value in expected.items()}
    return values.keys() == keys.keys() and all(_same(values[key], keys[key], c, depth + 1) for key in keys)


def _may_equal(kind: type, other: type) -> bool:
    """Whether values of two different types may be equal under Python's `==`."""
    return (kind in _NUMBERS and other in _NUMBERS) or (kind in _SETS and other in _SETS)


def _same_numbers(got: complex, expected: complex) -> bool:
    pairs = ((got.real, expected.real), (got.imag, expected.imag))
    return all(a == b or (a != a and b != b) for a, b in pairs)


def _close(got: complex, expected: complex, c: Comparator) -> bool:
    if not (c.atol or c.rtol):
        return False
    try:
        if not all(math.isfinite(part) for part in (got.real, got.imag, expected.real, expected.imag)):
            return False
        return abs(got - expected) <= c.atol + c.rtol * abs(expected)
    except OverflowError:  # an int beyond every float: only exact equality was left
        return False


def _same_bags(got: list[Any], expected: list[Any], c: Comparator, depth: int) -> bool:
    """Whether two collections hold the same elements, as often, in any order."""
    if len(got) != len(expected):
        return False
    if not (c.atol or c.rtol):
        return sorted(_key(value, c.strict) for value in got) == sorted(_key(value, c.strict) for value in expected)
    got, expected = sorted(got, key=_rank), sorted(expected, key=_rank)
    if all(_same(a, b, c, depth + 1) for a, b in zip(got, expected, strict=True)):
        return True
    if len(got) > _MOST_MATCHED or any(map(_holds_a_set, expected)):  # every pair of every pair of ... would be tried
        return False
    return _can_be_paired(
        [[place for place, wanted in enumerate(expected) if _same(value, wanted, c, depth + 1)] for value in got]
    )


def _holds_a_set(value: Any, depth: int = 0) -> bool:
    """Or is too deep to tell."""
    if type(value) in _SETS or depth > _DEEPEST:
        return True
    parts = value.values() if type(value) is dict else value if type(value) in _SEQUENCES else ()
    return any(_holds_a_set(part, depth + 1) for part in parts)


def _can_be_paired(fits: list[list[int]]) -> bool:
    """Whether each element can have a place of its own out of those that fit it: augmenting paths, Berge 1957.

    Of close elements any may come first: sorted order alone would pair (1.0, 5) of [(1.0, 5), (1.1, 2)] with
    (1.0, 2) of [(1.0, 2), (1.0, 5)].
    """
    taken: dict[int, int] = {}

    def settle(element: int, tried: set[int]) -> bool:
        for place in fits[element]:
            if place not in tried:
                tried.add(place)
                if place not in taken or settle(taken[place], tried):
                    taken[place] = element
                    return True
        return False

    return all(settle(element, set()) for element in range(len(fits)))


def _key(value: Any, strict: bool, depth: int = 0) -> str:
    """A text that two plain values share exactly when they are equal without tolerance."""
    kind = type(value)
    if depth > _DEEPEST:  # deeper than anything decoded: equal to nothing
        return f"deep{id(value)}"
    if kind in _NUMBERS:
        return (kind.__name__ if strict else "") + _number_key(value)
    if kind in (*_SEQUENCES, *_SETS):
        parts = [_key(item, strict, depth + 1) for item in value]
        name = "set" if kind in _SETS and not strict else kind.__name__
        return f"{name}[{','.join(sorted(parts) if kind in _SETS else parts)}]"
    if kind is dict:
        pairs = (_key(k, strict, depth + 1) + ":" + _key(v, strict, depth + 1) for k, v in value.items())
        return f"dict[{','.join(sorted(pairs))}]"
    return repr(value)


def _number_key(value: complex) -> str:
    parts = []
    for part in (value.real, value.imag):
        whole = isinstance(part, int) or part.is_integer()  # is_integer is False of inf and nan
        parts.append(hex(int(part)) if whole else repr(part))
    return "+".join(parts)


def _rank(value: Any, depth: int = 0) -> tuple[int, float, str, tuple[Any, ...]]:
    """A sort key under which close values come close: numbers by size, sequences by their elements."""
    if type(value) in (bool, int, float) and value == value:
        try:
            return (0, float(value), "", ())
        except OverflowError:
            return (0, math.inf if value > 0 else -math.inf, "", ())
    if type(value) in _SEQUENCES and depth <= _DEEPEST:
        return (1, 0.0, "", tuple(_rank(item, depth + 1) for item in value))
    return (2, 0.0, _key(value, True), ())
