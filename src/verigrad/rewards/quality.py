"""How maintainable a program is, counted on its text and syntax tree; nothing is run, no tool is needed.

Components, to be gated by tests (`rewards/combine.py`): an empty function is as maintainable as can be.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence

from verigrad.rewards.base import Answer, Check
from verigrad.rewards.source import Function, code_lines, functions, makes_code, real_program, top_level
from verigrad.types import Score, Task, Verdict

__all__ = ["CHECKS", "complexity", "dead_share", "documented_share", "duplicated_share", "quality"]

CHECKS = [
    Check("gold", at_least=0.75),  # it has no docstring
    Check("empty", at_most=0.0),
    Check("syntax_error", at_most=0.0),
    Check("early_exit", at_most=0.0),
]

_SIMPLE = 10
"""Cyclomatic complexity up to which a function counts as simple: McCabe 1976, section IV."""

_WINDOW = 4
"""Consecutive lines that make up a repetition."""


def quality(task: Task, answer: Answer, verdict: Verdict | None) -> Score:
    """Mean of four parts, each in [0, 1] and 1 at best; 0 without a program that does something, or for one that
    makes code of text (`exec`, `eval`), which nobody can read here.

    `complexity`: 1 up to a cyclomatic complexity of 10, 10 / complexity beyond. `duplication`: share of lines that
    repeat none before. `dead_code`: share of statements that can be reached. `docstring`: share of functions with
    a docstring of three words or more. Main hack: the least code that defines what was asked for, with a docstring.
    """
    tree = real_program(task, answer, verdict)
    if tree is None or makes_code(tree):
        return Score(0.0, evidence=verdict)
    parts = {
        "complexity": min(1.0, _SIMPLE / complexity(tree)),
        "duplication": 1.0 - duplicated_share(answer.program or ""),
        "dead_code": 1.0 - dead_share(tree, task.entry_point),
        "docstring": documented_share(tree),
    }
    return Score(sum(parts.values()) / len(parts), parts, evidence=verdict)


def complexity(tree: ast.Module) -> int:
    """Cyclomatic complexity of the most complex function, the code outside of functions being one too; at least 1.

    1 for a function plus 1 for every `if`, `elif`, loop, `except`, `case`, conditional expression, `and`, `or`,
    comprehension and condition of one (McCabe 1976, with Python's own branches).

    >>> complexity(ast.parse("def f(a):\\n    return [x for x in a if x and x > 1]"))
    4
    """
    return max(1 + sum(map(_branches, _own_nodes(scope))) for scope in (tree, *functions(tree)))


def _branches(node: ast.AST) -> int:
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, ast.comprehension):
        return 1 + len(node.ifs)
    kinds = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case)
    return int(isinstance(node, kinds))


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """Nodes of a function or module, those of functions inside it left out."""
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Function):
            waiting += ast.iter_child_nodes(node)


def duplicated_share(source: str) -> float:
    """Share of lines that belong to a run of four or more seen before.

    Blank lines, comments, docstrings and indents aside.

    >>> duplicated_share("a\\nb\\nc\\nd\\na\\nb\\nc\\nd\\n")
    0.5
    """
    lines = [line.strip() for line in code_lines(source) if line.strip()]
    seen: set[tuple[str, ...]] = set()
    repeated: set[int] = set()
    for start in range(len(lines) - _WINDOW + 1):
        run = tuple(lines[start : start + _WINDOW])
        if run in seen:
            repeated.update(range(start, start + _WINDOW))
        seen.add(run)
    return len(repeated) / len(lines) if lines else 0.0


def dead_share(tree: ast.Module, entry_point: str | None = None) -> float:
    """Share of statements that never run, as far as the text shows.

    Those behind a `return`, `raise`, `break` or `continue`, under a condition that is a false constant, and top-level
    functions that nothing names (where there is an entry point to start from).
    """
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]
    dead: set[ast.AST] = set()
    for block in _blocks(tree):
        for node in _unreachable(block):
            dead.update(_statements(node))
    if entry_point is not None:
        for function in _unnamed_functions(tree, entry_point):
            dead.update(_statements(function))
    return len(dead) / len(statements) if statements else 0.0


def _blocks(tree: ast.AST) -> Iterator[Sequence[ast.stmt]]:
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list):
                yield block


def _unreachable(block: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    left = False
    for node in block:
        if left:
            yield node
        elif isinstance(node, ast.If | ast.While) and isinstance(node.test, ast.Constant):
            never = node.body if not node.test.value else node.orelse if isinstance(node, ast.If) else []
            yield from never
        left = left or isinstance(node, ast.Return | ast.Raise | ast.Break | ast.Continue)


def _unnamed_functions(tree: ast.Module, entry_point: str) -> list[Function]:
    own: Counter[str] = Counter()  # of names inside the function that bears them: recursion calls nobody to life
    named = Counter(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    found = [node for node in top_level(tree) if isinstance(node, Function) and node.name != entry_point]
    for function in found:
        own[function.name] += sum(isinstance(n, ast.Name) and n.id == function.name for n in ast.walk(function))
    return [function for function in found if named[function.name] <= own[function.name]]


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    return (inner for inner in ast.walk(node) if isinstance(inner, ast.stmt))


def documented_share(tree: ast.Module) -> float:
    """Share of functions whose docstring has three words or more; 0 where there are no functions."""
    found = functions(tree)
    return sum(len((ast.get_docstring(node) or "").split()) >= 3 for node in found) / len(found) if found else 0.0
