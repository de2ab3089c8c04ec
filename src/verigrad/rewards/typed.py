"""Types, as mypy sees them: how much of a program is annotated, and whether the annotations hold.

A component, to be gated by tests (`rewards/combine.py`). mypy executes nothing of what it reads.
"""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from verigrad.errors import MissingExtra
from verigrad.rewards.base import Answer, Check
from verigrad.rewards.source import Function, functions, real_program, strip_suppressions
from verigrad.rewards.tools import run_tool
from verigrad.types import Score, Task, Verdict

__all__ = ["CHECKS", "annotated_share", "type_errors", "typed"]

CHECKS = [
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
    "--no-error-summary",
    "--hide-error-context",
)


async def typed(task: Task, answer: Answer, verdict: Verdict | None) -> Score:
    """Share of parameters and results that are annotated, times 1 - 0.25 * type errors, in [0, 1].

    0 without a program that does something. Parts: `annotated`, `type_errors`. Main hack: wide types (`object`, unions
    of everything), and code that mypy takes for unreachable and leaves unchecked.

    Raises:
        MissingExtra: mypy is not installed.
        RewardError: mypy failed.
    """
    tree = real_program(task, answer)
    source = strip_suppressions(answer.program or "") if tree is not None else None
    if tree is None or source is None:
        return Score(0.0, evidence=verdict)
    errors = await asyncio.to_thread(type_errors, source)
    if errors is None:
        return Score(0.0, {"unreadable": 1.0}, evidence=verdict)
    share = annotated_share(tree)
    parts = {"annotated": share, "type_errors": float(errors)}
    return Score(share * max(0.0, 1.0 - 0.25 * errors), parts, evidence=verdict)


def annotated_share(tree: ast.Module) -> float:
    """Share of parameters and results of functions with an annotation free of `Any`, in [0, 1]; 0 without functions.

    The first parameter of a method needs none. Under a `@no_type_check` nothing counts as annotated.

    >>> annotated_share(ast.parse("def f(a: int, b, *c: Any) -> int: ..."))
    0.5
    """
    methods = {child for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for child in node.body}
    places = [place for function in functions(tree) for place in _places(function, function in methods)]
    return sum(places) / len(places) if places else 0.0


def _places(function: Function, is_method: bool) -> Iterator[bool]:
    """Of each parameter and the result whether it is annotated."""
    parameters = function.args
    found = [*parameters.posonlyargs, *parameters.args, *parameters.kwonlyargs]
    found = found[1:] if is_method else found
    found += [extra for extra in (parameters.vararg, parameters.kwarg) if extra is not None]
    checked = not any("no_type_check" in _names(decorator) for decorator in function.decorator_list)
    for annotation in (*(parameter.annotation for parameter in found), function.returns):
        yield checked and annotation is not None and "Any" not in _names(annotation)


def _names(node: ast.AST) -> set[str]:
    names = {found.id for found in ast.walk(node) if isinstance(found, ast.Name)}
    return names | {found.attr for found in ast.walk(node) if isinstance(found, ast.Attribute)}


@lru_cache(maxsize=1024)  # a group often has the same program several times
def type_errors(source: str) -> int | None:
    """Number of mypy's errors; None where it gave up on the program.

    Raises:
        MissingExtra: mypy is not installed.
        RewardError: mypy failed.
    """
    if importlib.util.find_spec("mypy") is None:
        raise MissingExtra("mypy", "quality")
    with TemporaryDirectory(prefix="verigrad-") as folder:
        file = Path(folder) / "program.py"
        file.write_text(source, encoding="utf-8", newline="")
        printed = run_tool([sys.executable, "-I", "-m", "mypy", *_OPTIONS, str(file)], "", expected=(0, 1, 2))
    if "[syntax]" in printed or "INTERNAL ERROR" in printed:
        return None
    return sum(": error: " in line for line in printed.splitlines())
