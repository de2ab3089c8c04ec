"""Types, as mypy sees them: how much of a program is annotated, and whether the annotations hold.

A component, to be gated by tests (`rewards/combine.py`). mypy executes nothing of what it reads.
"""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import re
import sys
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import NamedTuple

from verigrad.errors import MissingExtra
from verigrad.rewards.base import Answer, Check
from verigrad.rewards.source import Function, bound_names, reached, real_program, strip_suppressions
from verigrad.rewards.tools import PROGRAM, run_tool
from verigrad.types import Score, Task, Verdict

__all__ = ["CHECKS", "Checked", "annotated_share", "checked", "typed"]

CHECKS = [
    Check("annotated", at_least=1.0, at_most=1.0),
    Check("gold", at_least=0.0, at_most=0.0),  # it has no annotations
    Check("empty", at_most=0.0),
    Check("syntax_error", at_most=0.0),
    Check("early_exit", at_most=0.0),
]

_OPTIONS = (
    "--config-file=",  # none
    "--cache-dir=/dev/null",
    "--no-site-packages",
    "--ignore-missing-imports",
    "--check-untyped-defs",
    "--disallow-any-explicit",
    "--disallow-any-generics",
    "--disallow-any-unimported",
    "--no-error-summary",
    "--hide-error-context",
)
_ERROR = re.compile(r"^[^:\n]+:(\d+): error: (.*)$", re.MULTILINE)
_ANY = re.compile(r'Explicit "Any" is not allowed|\[(?:no-any-unimported|type-arg)\]$')


async def typed(task: Task, answer: Answer, verdict: Verdict | None) -> Score:
    """Share of parameters and results that are annotated, times 1 - 0.25 * type errors, in [0, 1].

    Those of the functions that the entry point reaches; see `annotated_share`. 0 without a program that does something.
    Parts: `annotated`, `type_errors`. Main hack: wide types (`object`, unions of everything), and code that mypy takes
    for unreachable and leaves unchecked.

    Raises:
        MissingExtra: mypy is not installed.
        RewardError: mypy failed.
    """
    tree = real_program(task, answer, verdict)
    source = strip_suppressions(answer.program or "") if tree is not None else None
    if tree is None or source is None:
        return Score(0.0, evidence=verdict)
    found = await asyncio.to_thread(checked, source)
    if found is None:
        return Score(0.0, {"unreadable": 1.0}, evidence=verdict)
    share = annotated_share(tree, task.entry_point, found.any_lines)
    parts = {"annotated": share, "type_errors": float(found.errors)}
    return Score(share * max(0.0, 1.0 - 0.25 * found.errors), parts, evidence=verdict)


def annotated_share(tree: ast.Module, entry_point: str | None, any_lines: Collection[int] = ()) -> float:
    """Share of parameters and results with an annotation, of functions that the entry point reaches; 0 without any.

    The first parameter of a method that is not static needs none. A function with an `Any` in it, on one of these lines
    or by a name that is given a value there, has no annotations: `Any` is none. Nor has anything in a program that
    names `no_type_check`.

    >>> annotated_share(ast.parse("def f(a: int, b) -> int: ..."), "f")
    0.6666666666666666
    """
    if "no_type_check" in _words(tree):
        return 0.0
    nodes = [node for node in ast.walk(tree) if getattr(node, "lineno", 0) in any_lines]
    any_names = {name for node in nodes for name in bound_names(node)}
    methods = {child for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for child in node.body}
    places: list[bool] = []
    for function in reached(tree, entry_point):
        own = list(_annotations(function, function in methods))
        lines = range(function.lineno, (function.end_lineno or function.lineno) + 1)
        named = set[str]().union(*(_words(each) for each in own if each is not None))
        untyped = any_names & named or any(line in any_lines for line in lines)
        places += [not untyped and each is not None for each in own]
    return sum(places) / len(places) if places else 0.0


def _annotations(function: Function, is_method: bool) -> Iterator[ast.expr | None]:
    """Of each parameter and the result the annotation."""
    parameters = function.args
    positional = [*parameters.posonlyargs, *parameters.args]
    is_static = any(isinstance(each, ast.Name) and each.id == "staticmethod" for each in function.decorator_list)
    found = [*(positional[1:] if is_method and not is_static else positional), *parameters.kwonlyargs]
    found += [extra for extra in (parameters.vararg, parameters.kwarg) if extra is not None]
    yield from (parameter.annotation for parameter in found)
    yield function.returns


def _words(node: ast.AST) -> set[str]:
    """Identifiers in the text of a node, those in strings included."""
    return set(re.findall(r"\w+", ast.unparse(node)))


class Checked(NamedTuple):
    """What mypy says: the number of errors, and the lines with an `Any`, which are none of them."""

    errors: int
    any_lines: frozenset[int]


@lru_cache(maxsize=1024)  # a group often has the same program several times
def checked(source: str) -> Checked | None:
    """mypy's findings, which come from the program alone; None where it gave up on it.

    `Any` is one that is written, one by another name, one of a module that is not there, or the rest of a bare `list`.

    Raises:
        MissingExtra: mypy is not installed.
        RewardError: mypy failed.
    """
    if importlib.util.find_spec("mypy") is None:
        raise MissingExtra("mypy", "quality")
    printed = run_tool([sys.executable, "-I", "-m", "mypy", *_OPTIONS, PROGRAM], source, expected=(0, 1))
    if printed is None or "[syntax]" in printed or "INTERNAL ERROR" in printed:
        return None
    found = [(int(line), _ANY.search(message) is not None) for line, message in _ERROR.findall(printed)]
    return Checked(sum(not is_any for _, is_any in found), frozenset(line for line, is_any in found if is_any))
