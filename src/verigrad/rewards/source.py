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
from itertools import chain

from verigrad.rewards.base import Answer
from verigrad.types import Task, Verdict

__all__ = [
    "MAX_CHARACTERS",
    "MAX_DEPTH",
    "Function",
    "bound_names",
    "code_lines",
    "find_function",
    "functions",
    "makes_code",
    "parse",
    "reached",
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
    r"\bno-?(qa|sec)\b|\btype:\s*ignore|\b(pylint|ruff|flake8|mypy|pyright|isort|fmt|yapf|pragma)\s*:|coding[:=]",
    re.IGNORECASE,
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

    A declared encoding goes too: a program runs as text, and a checker might read other code out of its bytes. Lines
    keep their numbers. None where the source cannot be split into tokens.

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


def code_lines(source: str) -> list[str]:
    """The lines without comments, and without those that hold nothing but comments and docstrings.

    >>> code_lines("x = 1  # one\\n\\n# two\\n")
    ['x = 1', '', '']
    """
    source = with_newlines(source)
    lines = source.split("\n")
    left_out: set[int] = set()
    before, text = tokenize.NEWLINE, None
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            row, column = token.start
            if token.type == tokenize.COMMENT:
                lines[row - 1] = lines[row - 1][:column].rstrip()
                left_out |= set() if lines[row - 1] else {row}
            elif token.type != tokenize.NL:
                if token.type == tokenize.NEWLINE and text is not None:
                    left_out.update(range(text.start[0], text.end[0] + 1))
                begins = token.type == tokenize.STRING and before in _BEFORE_STATEMENTS
                before, text = token.type, token if begins else None
    except (tokenize.TokenError, SyntaxError):
        pass  # what is left is told as it is
    return [line for row, line in enumerate(lines, 1) if row not in left_out]


_BEFORE_STATEMENTS = (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
_BLOCKS = (ast.If, ast.For, ast.While, ast.Try, ast.TryStar, ast.With, ast.Match, ast.ExceptHandler, ast.match_case)


def top_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """Statements that may run at import, those inside top-level `if`, `for`, `try`, `with`.. included, in order."""
    waiting: list[ast.AST] = list(reversed(tree.body))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.stmt):
            yield node
        if isinstance(node, _BLOCKS):
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


def reached(tree: ast.Module, entry_point: str | None) -> list[Function]:
    """The functions that a call of the entry point may run, as far as names say; all where there is no entry point.

    Those that its definition names, those that theirs name, and so on; a class brings its special methods along.
    """
    if entry_point is None:
        return functions(tree)
    by_name: dict[str, list[ast.AST]] = {}
    for node in ast.walk(tree):
        for name in bound_names(node):
            by_name.setdefault(name, []).append(node)
    found: dict[ast.AST, None] = {}
    waiting = list(by_name.pop(entry_point, ()))
    while waiting:
        node = waiting.pop()
        if node in found:
            continue
        found[node] = None
        parts = [node]
        if isinstance(node, ast.ClassDef):
            parts = [child for child in ast.iter_child_nodes(node) if not isinstance(child, Function)]
            waiting += [child for child in node.body if isinstance(child, Function) and child.name.startswith("__")]
        for inner in chain.from_iterable(map(ast.walk, parts)):
            name = inner.id if isinstance(inner, ast.Name) else inner.attr if isinstance(inner, ast.Attribute) else ""
            waiting += by_name.pop(name, ())
    return [node for node in found if isinstance(node, Function)]


def bound_names(node: ast.AST) -> Iterator[str]:
    """Names that a statement gives a value."""
    if isinstance(node, Function | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name for alias in node.names)
    elif isinstance(node, ast.Assign | ast.AnnAssign | ast.Expr) and node.value is not None:
        yield from (n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))


_MAKERS = {"__builtins__", "__import__", "builtins", "compile", "eval", "exec", "globals", "importlib"}
_COMMON = {"compile", "eval", "exec", "globals"}
"""Those that honest programs give a meaning of their own: `from re import compile`."""


def makes_code(tree: ast.Module) -> bool:
    """Whether it reads something that makes code of text, where rewards that read the text see a string.

    A name is the program's own where it is a parameter, or is surely bound at top level before anything reads it.
    Other bindings prove nothing: behind one that never happened, the name is the built-in function.
    """
    own = _own_names(tree)
    waiting: list[tuple[ast.AST, set[str]]] = [(tree, own)]
    while waiting:
        node, known = waiting.pop()
        if _is_maker(node, known):
            return True
        if isinstance(node, ast.ClassDef):
            known = own  # what a class binds itself, it does not look up in the functions around it
        inside = known | _parameters(node)
        for field, value in ast.iter_fields(node):
            children = [
                child for child in (value if isinstance(value, list) else [value]) if isinstance(child, ast.AST)
            ]
            waiting += [(child, inside if field == "body" else known) for child in children]
    return False


def _is_maker(node: ast.AST, known: set[str]) -> bool:
    match node:
        case ast.Name(id=name):
            return name in _MAKERS - known
        case ast.Import(names=aliases):
            return any(alias.name.partition(".")[0] in _MAKERS for alias in aliases)
        case ast.ImportFrom(module=str(module)):
            return module.partition(".")[0] in _MAKERS
        case ast.Global(names=names):  # passes over a parameter
            return not _MAKERS.isdisjoint(names)
    return False


def _parameters(node: ast.AST) -> set[str]:
    if not isinstance(node, Function | ast.Lambda):
        return set()
    args = node.args
    every = (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg)
    return {part.arg for part in every if part is not None} & _COMMON


def _own_names(tree: ast.Module) -> set[str]:
    own, read = set[str](), set[str]()
    for statement in tree.body:
        new, before = set[str](), list[ast.AST]([statement])  # the parts that run before it binds
        if isinstance(statement, Function):
            new, before = {statement.name}, [n for n in ast.iter_child_nodes(statement) if n not in statement.body]
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            new = set(bound_names(statement))
        elif isinstance(statement, ast.Assign):
            new = {target.id for target in statement.targets if isinstance(target, ast.Name)}
        own |= (new & _COMMON) - read - _loaded(*before)
        read |= _loaded(statement)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Del):
            own.discard(node.id)
        elif isinstance(node, ast.ExceptHandler):  # which deletes its name in the end
            own.discard(node.name or "")
    return own


def _loaded(*nodes: ast.AST) -> set[str]:
    names = (inner for node in nodes for inner in ast.walk(node) if isinstance(inner, ast.Name))
    return {name.id for name in names if isinstance(name.ctx, ast.Load)}


def real_program(task: Task, answer: Answer, verdict: Verdict | None = None) -> ast.Module | None:
    """The tree of a program that does something, or None: what rewards of form ask first.

    It parses, and the entry point, where the task names one, is a function or a class with more to it than a docstring,
    `pass`, `...` or `raise NotImplementedError`, or given a value that is no constant. Otherwise an empty program, in
    which nothing can be wrong, would be the best there is. Of what passes its tests the entry point need not be found.
    """
    tree = parse(answer.program) if answer.program is not None else None
    if tree is None:
        return None
    passed = verdict is not None and verdict.passed
    if task.entry_point is None:
        return tree if passed or any(map(_acts, tree.body)) else None
    bindings = [node for node in top_level(tree) if task.entry_point in bound_names(node)]
    if not bindings:
        return tree if passed else None
    last = bindings[-1]
    if isinstance(last, Function | ast.ClassDef):
        return tree if any(map(_acts, last.body)) else None
    return None if isinstance(getattr(last, "value", None), ast.Constant) else tree


def _acts(node: ast.stmt) -> bool:
    if isinstance(node, ast.Pass | ast.Import | ast.ImportFrom):
        return False
    if isinstance(node, ast.Raise):
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return not (isinstance(raised, ast.Name) and raised.id == "NotImplementedError")
    return not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
