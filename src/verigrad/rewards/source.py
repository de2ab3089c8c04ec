"""Programs as text and as syntax trees, read so that no program can hurt whoever reads it.

Everything here takes any text: empty, broken, huge, deeply nested, with null bytes or lone surrogates. What cannot be
read within the bounds is None, and costs no more than the bounds allow.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from collections.abc import Iterator

from verigrad.rewards.base import Answer
from verigrad.types import Task

__all__ = [
    "MAX_CHARACTERS",
    "MAX_DEPTH",
    "Function",
    "find_function",
    "functions",
    "parse",
    "real_program",
    "strip_suppressions",
    "top_level",
    "with_newlines",
]

MAX_CHARACTERS = 100_000
MAX_DEPTH = 200
"""Of a syntax tree. Programs that people write stay below 50; tools that recurse give up between 300 and 3000."""

Function = ast.FunctionDef | ast.AsyncFunctionDef

_SUPPRESSION = re.compile(
    r"\bno-?(qa|sec)\b|\btype:\s*ignore|\b(pylint|ruff|flake8|mypy|pyright|isort|fmt|yapf|pragma)\s*:", re.IGNORECASE
)


def parse(source: str, *, max_depth: int | None = MAX_DEPTH) -> ast.Module | None:
    """The syntax tree, or None where there is none to be had.

    Args:
        source: of at most `MAX_CHARACTERS`; longer ones are not read.
        max_depth: deeper trees are None; None leaves the limit to Python's own parser (about a thousand).
    """
    if len(source) > MAX_CHARACTERS:
        return None
    try:
        with warnings.catch_warnings(action="ignore"):  # of the program's, such as an invalid escape
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tree if max_depth is None or _within(tree, max_depth) else None


def _within(tree: ast.AST, max_depth: int) -> bool:
    level: list[ast.AST] = [tree]
    for _ in range(max_depth):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return True
    return False


def with_newlines(source: str) -> str:
    """A lone carriage return made a newline: Python ends a line there, tools need not, so code could hide behind it."""
    return re.sub(r"\r(?!\n)", "\n", source)


def strip_suppressions(source: str) -> str | None:
    """The source without the comments that silence checkers (`# noqa`, `# type: ignore`, `# nosec`, `# pylint: ..`).

    Lines keep their numbers. None where the source cannot be split into tokens.

    >>> strip_suppressions("import os  # noqa: F401\\nx = '# noqa'  # kept\\n")
    "import os\\nx = '# noqa'  # kept\\n"
    """
    source = with_newlines(source)
    lines = io.StringIO(source).readlines()  # as `tokenize` counts them
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT and _SUPPRESSION.search(token.string):
                row, column = token.start
                lines[row - 1] = lines[row - 1][:column].rstrip() + "\n"
    except (tokenize.TokenError, SyntaxError):
        return None
    return "".join(lines)


def top_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """Statements that run at import, those inside top-level `if`, `try` and `with` included, in order."""
    waiting: list[ast.AST] = list(reversed(tree.body))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.stmt):
            yield node
        if isinstance(node, ast.If | ast.Try | ast.With | ast.ExceptHandler):
            waiting += reversed(list(ast.iter_child_nodes(node)))


def find_function(tree: ast.Module, name: str) -> Function | ast.Lambda | None:
    """The function that `name` stands for once the module has run, as far as its text says: the last binding wins."""
    found: Function | ast.Lambda | None = None
    for node in top_level(tree):
        if isinstance(node, Function) and node.name == name:
            found = node
        elif isinstance(node, ast.ClassDef) and node.name == name:
            found = None
        elif isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            found = node.value if isinstance(node.value, ast.Lambda) else None
    return found


def functions(tree: ast.AST) -> list[Function]:
    """Every function in the tree, methods and inner ones included."""
    return [node for node in ast.walk(tree) if isinstance(node, Function)]


def real_program(task: Task, answer: Answer) -> ast.Module | None:
    """The tree of a program that does something, or None: what rewards of form ask first.

    It parses, and the entry point, where the task names one, is a function with more to it than a docstring, `pass`,
    `...` or `raise NotImplementedError`. Otherwise an empty program, in which nothing can be wrong, would be the
    best there is.
    """
    tree = parse(answer.program) if answer.program is not None else None
    if tree is None:
        return None
    if task.entry_point is None:
        return tree if any(_acts(node) for node in tree.body) else None
    function = find_function(tree, task.entry_point)
    if function is None:
        return None
    return tree if isinstance(function, ast.Lambda) or any(_acts(node) for node in function.body) else None


def _acts(node: ast.stmt) -> bool:
    if isinstance(node, ast.Pass | ast.Import | ast.ImportFrom):
        return False
    if isinstance(node, ast.Raise):
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return not (isinstance(raised, ast.Name) and raised.id == "NotImplementedError")
    return not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
