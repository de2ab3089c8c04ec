"""Plain values across a trust boundary: a JSON form, and comparison of decoded values.

The only things that leave a sandbox are values of these exact types, nested: None, bool, int, float,
complex, str, bytes, list, tuple, set, frozenset, dict. Subclasses are refused, so a program's own
`__eq__`, `__hash__` or `__repr__` never runs outside its process. The same form stores arguments and
expected values in task files.

JSON form: null, true/false, strings, numbers and arrays stand for themselves (2 is an int, 2.0 a float);
all else is an object with one key:

    {"tuple": [..]} {"set": [..]} {"frozenset": [..]} {"dict": [[k, v], ..]} {"bytes": "<base64>"}
    {"int": "0x.."} beyond 2**53   {"float": "nan" | "inf" | "-inf"}   {"complex": [re, im]}

This file uses nothing but the standard library and nothing of ours, because the worker inside the
sandbox loads it too.
"""

from __future__ import annotations

import math
from typing import Any

__all__ = ["MAX_DEPTH", "MAX_INT_BITS", "MAX_NODES", "MAX_TEXT", "PlainValueError", "decode", "encode"]

MAX_DEPTH = 50
MAX_NODES = 100_000
MAX_TEXT = 1_000_000
MAX_INT_BITS = 100_000
_SAFE_INT = 2**53
_MOST_OF_ONE_HASH = 100


class PlainValueError(ValueError):
    """A value is not plain, or is too deep, too large or malformed."""


def encode(value: Any) -> Any:
    """Return the JSON form of a plain value.

    Raises:
        PlainValueError: the value has a type outside the list, is deeper than `MAX_DEPTH` (cycles
            included), has more than `MAX_NODES` parts or more than `MAX_TEXT` characters of text.

    >>> encode((1, {"a": 2.0}))
    {'tuple': [1, {'dict': [['a', 2.0]]}]}
    """
    return _Encoder().encode(value, 0)


class _Encoder:
    def __init__(self) -> None:
        self.nodes = 0
        self.text = 0

    def encode(self, value: Any, depth: int) -> Any:
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            what = f"deeper than {MAX_DEPTH} levels" if depth > MAX_DEPTH else f"over {MAX_NODES} parts"
            raise PlainValueError(f"value is {what}")
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is int:
            if -_SAFE_INT <= value <= _SAFE_INT:
                return value
            if value.bit_length() > MAX_INT_BITS:
                raise PlainValueError(f"int of {value.bit_length()} bits, over {MAX_INT_BITS}")
            return {"int": hex(value)}
        if kind is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if kind is str:
            self._count_text(len(value))
            return value
        if kind is list:
            return self._many(value, depth)
        if kind is tuple or kind is set or kind is frozenset:
            return {kind.__name__: self._many(value, depth)}
        if kind is dict:
            return {"dict": [self._many(pair, depth + 1) for pair in value.items()]}
        if kind is bytes:
            self._count_text(len(value))
            import base64  # seldom needed, and what a sandbox has loaded makes every program dearer

            return {"bytes": base64.b64encode(value).decode("ascii")}
        if kind is complex:
            return {"complex": [self.encode(value.real, depth), self.encode(value.imag, depth)]}
        raise PlainValueError(f"value of type {kind.__name__!r} is not plain data")

    def _many(self, items: Any, depth: int) -> list[Any]:
        return [self.encode(item, depth + 1) for item in items]

    def _count_text(self, length: int) -> None:
        self.text += length
        if self.text > MAX_TEXT:
            raise PlainValueError(f"over {MAX_TEXT} characters of text")


def decode(form: Any, *, _depth: int = 0) -> Any:
    """Return the plain value of a JSON form; the inverse of `encode`.

    Raises:
        PlainValueError: the form is not one that `encode` produces.

    >>> decode({"set": [1, 2]}) == {1, 2}
    True
    """
    if _depth > 2 * MAX_DEPTH:
        raise PlainValueError(f"form is deeper than {2 * MAX_DEPTH} levels")
    if form is None or type(form) in (bool, int, float, str):
        return form
    if type(form) is list:
        return [decode(item, _depth=_depth + 1) for item in form]
    if type(form) is not dict or len(form) != 1:
        raise PlainValueError(f"wanted a JSON form of a plain value, got {str(form)[:80]!r}")
    ((tag, body),) = form.items()
    try:
        return _decode_tagged(tag, body, _depth + 1)
    except (TypeError, ValueError, OverflowError) as error:
        raise PlainValueError(f"malformed {tag!r} form: {error}") from error


def _decode_tagged(tag: str, body: Any, depth: int) -> Any:
    if tag == "int":
        if len(body) > MAX_INT_BITS // 4 + 4:
            raise ValueError("int too long")
        return int(body, 16)
    if tag == "float":
        if body not in ("nan", "inf", "-inf"):
            raise ValueError(f"wanted nan, inf or -inf, got {body!r}")
        return float(body)
    if tag == "bytes":
        import base64

        return base64.b64decode(body, validate=True)
    if tag == "complex":
        real, imag = (decode(part, _depth=depth) for part in body)
        return complex(real, imag)
    items = [decode(item, _depth=depth) for item in body]
    if tag == "dict":
        _refuse_collisions([key for key, _ in items])
        return {key: value for key, value in items}  # noqa: C416 - pairs must be pairs
    makers: dict[str, Any] = {"tuple": tuple, "set": set, "frozenset": frozenset}
    if tag in ("set", "frozenset"):
        _refuse_collisions(items)
    if tag not in makers:
        raise ValueError(f"unknown tag; known: {', '.join(sorted(makers))}, int, float, bytes, complex, dict")
    return makers[tag](items)


def _refuse_collisions(keys: list[Any]) -> None:
    """Numbers can be chosen to share one hash, and a set of them would take quadratic time to build."""
    counts: dict[int, int] = {}
    for key in keys:
        counts[hash(key)] = counts.get(hash(key), 0) + 1
    if counts and max(counts.values()) > _MOST_OF_ONE_HASH:
        raise ValueError("too many keys with one hash")
