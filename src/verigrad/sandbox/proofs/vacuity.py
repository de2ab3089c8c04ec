"""Statements whose premises contradict each other: whatever they conclude says nothing, and the fault is the task's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from verigrad.errors import TaskError
from verigrad.types import TheoremTest

__all__ = ["refuse_vacuous"]

_MOST = 1024
_sound: set[TheoremTest] = set()
"""Tests that were looked at, so that each is once."""


async def refuse_vacuous(test: TheoremTest, closes: Callable[[], Awaitable[bool]]) -> None:
    """Look at a test, once.

    Args:
        test: of a theorem.
        closes: asks the prover whether the statement follows from its premises alone.

    Raises:
        TaskError: it does.
    """
    if test in _sound:
        return
    if await closes():
        raise TaskError(f"test {test.name!r}: the statement's premises contradict each other, so anything follows")
    if len(_sound) >= _MOST:
        _sound.clear()
    _sound.add(test)
