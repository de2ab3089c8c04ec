"""What the sandbox is told of an oracle's tests: inputs, in an order hard to foresee; never what is expected."""

from __future__ import annotations

import hashlib
import random
from typing import Any, NamedTuple

from verigrad.errors import TaskError
from verigrad.sandbox.base import Call, Script, Stdin
from verigrad.types import Oracle, PropertyTest, RepositoryTest, ScriptTest, StdioTest, Test, TextTest

__all__ = ["Question", "questions"]


class Question(NamedTuple):
    """One input for the sandbox; `place` is the number of its test and its own among that test's inputs."""

    place: tuple[int, int]
    input: Call | Stdin | Script


def questions(program: str, oracle: Oracle, entry_point: str | None, seed: int) -> list[Question]:
    """What the sandbox is asked, in an order of the program's own; inputs of one property are not kept together."""
    asked = [
        Question((number, place), item)
        for number, test in enumerate(oracle.tests)
        for place, item in enumerate(_inputs(test, oracle, entry_point))
    ]
    digest = hashlib.sha256(program.encode("utf-8", "surrogatepass")).hexdigest()
    random.Random(f"{seed}:{digest}").shuffle(asked)
    return asked


def _inputs(test: Test, oracle: Oracle, entry_point: str | None) -> list[Call | Stdin | Script]:
    """What the sandbox is told of a test: never what is expected."""
    if isinstance(test, StdioTest):
        return [Stdin(test.stdin)]
    if isinstance(test, ScriptTest):
        return [Script(test.source)]
    if isinstance(test, TextTest | RepositoryTest):
        return []
    if isinstance(test, PropertyTest):
        if not test.inputs:
            raise TaskError(f"{oracle.task_id}: property test {test.name!r} has no inputs; give it one at least")
        return [_property_input(item, test, oracle, entry_point) for item in test.inputs]
    comparator = test.comparator or oracle.comparator
    function = _function(test, oracle, entry_point)
    truth = comparator.mode == "truthy"
    return [Call(function, test.args, test.kwargs, as_bool=truth, prototype=oracle.prototype)]


def _property_input(
    item: tuple[Any, ...] | str, test: PropertyTest, oracle: Oracle, entry_point: str | None
) -> Call | Stdin:
    if isinstance(item, str):
        return Stdin(item)
    return Call(_function(test, oracle, entry_point), item, prototype=oracle.prototype)


def _function(test: Test, oracle: Oracle, entry_point: str | None) -> str:
    if entry_point is None:
        raise TaskError(f"{oracle.task_id}: test {test.name!r} calls a function, but the task names no entry point")
    return entry_point
