"""Families whose programs are one `return`: their golds and wrong programs are written as expressions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from verigrad.tasks.builtin.family import Family
from verigrad.types import Comparator

__all__ = ["one_line"]

_EXACT = Comparator()


def one_line(
    *,
    key: str,
    topic: str,
    signature: str,
    names: tuple[str, ...],
    statements: tuple[str, ...],
    result: str,
    wrong: tuple[str, ...],
    inputs: Callable[[Random, Mapping[str, Any]], tuple[Any, ...]],
    edges: tuple[tuple[Any, ...], ...] = (),
    params: Callable[[Random], Mapping[str, Any]] = lambda random: {},
    comparator: Comparator = _EXACT,
) -> Family:
    """An easy family; `result` and `wrong` are expressions in the parameters, all else is as in `Family`.

    >>> family = one_line(key="twice", topic="arithmetic", signature="n", names=(), statements=(), result="2 * n",
    ...                   wrong=("n ** 2",), inputs=lambda random, params: (random.randint(-9, 9),))
    >>> print(family.gold, end="")
    def $name(n):
        return 2 * n
    """

    def program(expression: str) -> str:
        return f"def $name({signature}):\n    return {expression}\n"

    return Family(
        key=key,
        topic=topic,
        difficulty="easy",
        signature=signature,
        names=names,
        statements=statements,
        gold=program(result),
        inputs=inputs,
        edges=lambda params: edges,
        params=params,
        wrong=tuple(map(program, wrong)),
        comparator=comparator,
    )
