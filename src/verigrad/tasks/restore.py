"""Types that JSON lost (tuples, sets, complex numbers), given back after the example of values that still have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["restore_types"]


def restore_types(values: Sequence[Any], examples: Sequence[tuple[Any, Any]]) -> list[Any]:
    """Give the values of one argument, which went through JSON, the types that JSON lost.

    Args:
        values: decoded JSON, one for each input.
        examples: pairs of decoded JSON and the true value of the same argument. A list becomes a tuple or set where
            all true values in its place are (items of a container share their places); deeper than the examples
            reach it stays a list, unless they nest tuples three deep: then the structure is recursive. Text becomes
            numbers where all examples are numbers and all text reads as one.

    >>> restore_types([[[7, 8], [9]]], [([[1, 2]], [(1, 2)])])
    [[(7, 8), (9,)]]
    >>> restore_types([[1, [2, [3, [4]]]]], [([1, [2, [3]]], (1, (2, (3,))))])
    [(1, (2, (3, (4,))))]
    >>> restore_types(["0", "2j"], [("1j", 1j)])
    [0j, 2j]
    """
    texts = [value for value in values if isinstance(value, str)]
    kinds = {type(true) for _, true in examples}
    if texts and kinds and kinds <= {int, float, complex} and all(map(_reads_as_number, texts)):
        kind = complex if complex in kinds or any("j" in text for text in texts) else float
        return [kind(value) if isinstance(value, str) else value for value in values]
    recursive = any(_tuple_depth(true) >= 3 for _, true in examples)
    return [_restore(value, examples, tuple if recursive else list) for value in values]


def _reads_as_number(text: str) -> bool:
    try:
        complex(text)
    except ValueError:
        return False
    return True


def _tuple_depth(value: Any) -> int:
    return 1 + max(map(_tuple_depth, value), default=0) if isinstance(value, tuple) else 0


def _restore(value: Any, examples: Sequence[tuple[Any, Any]], deeper: type) -> Any:
    if isinstance(value, dict):
        pairs = [p for raw, true in examples if isinstance(raw, dict) for p in zip(raw.values(), true.values())]  # noqa: B905
        return {key: _restore(item, pairs, deeper) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    kinds = {type(true) for raw, true in examples if isinstance(raw, list)}
    kind = kinds.pop() if len(kinds) == 1 else list if kinds else deeper
    pairs = [p for raw, true in examples if isinstance(raw, list) for p in zip(raw, true)]  # noqa: B905
    items = [_restore(item, pairs, deeper) for item in value]
    return kind(items) if kind in (tuple, set) else items
