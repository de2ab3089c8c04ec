"""Wrong programs for tasks that bring none: the gold program with one thing changed.

A change may happen to do no harm, so a mutant that passes proves nothing against a task; one that fails shows that its
tests look. Loops with a condition are left alone, as a changed one may never end, which costs a time limit to see.
"""

from __future__ import annotations

import ast
import re

__all__ = ["mutants"]

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add}


_OPERATORS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "+": "-", "-": "+", "*": "+"}
_WORD = re.compile(
    r"""
    (?P<left> //[^\n]* | /\*.*?\*/                       # comments
        | "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `(?:\\.|[^`\\])*`
        | ^[ \t]*\#[^\n]*                                # what the preprocessor reads
        | \b(?:for|while|do)\b[^\n]*                     # a line that decides when a loop ends
    )
    | (?<=\s)(?P<operator> [<>=!]= | [-+*<>] )(?=\s)    # with space around it, so that it is no template or pointer
    | (?<![\w.])(?P<number> \d{1,9} )(?![\w.])
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)


def mutants(program: str, most: int = 3, language: str = "python") -> list[str]:
    """Up to `most` variants of a program, each with one change, the changes spread over it; none where there is nothing
    to change, or it is no Python.

    Args:
        program: the source.
        most: how many.
        language: `python`, whose syntax is known; any other is taken for one like C.

    >>> mutants("def f(a, b):\\n    return a + b", most=9)
    ['def f(a, b):\\n    return not a + b', 'def f(a, b):\\n    return a - b']
    """
    if language != "python":
        return _mutants_of_words(program, most)
    try:
        places = len(_places(ast.parse(program)))
    except (SyntaxError, ValueError, RecursionError):
        return []
    count = min(most, places)
    found = []
    for number in range(count):
        tree = ast.parse(program)
        _change(_places(tree)[number * places // count])
        found.append(ast.unparse(ast.fix_missing_locations(tree)))
    return found


def _places(tree: ast.Module) -> list[ast.AST]:
    """What can be changed, in the order of `ast.walk`."""
    looping = {id(node) for loop in ast.walk(tree) if isinstance(loop, ast.While) for node in ast.walk(loop)}
    return [node for node in ast.walk(tree) if id(node) not in looping and _changeable(node)]


def _changeable(node: ast.AST) -> bool:
    if isinstance(node, ast.Compare):
        return type(node.ops[0]) in _COMPARISONS
    if isinstance(node, ast.BinOp):
        return type(node.op) in _ARITHMETIC
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int)
    return isinstance(node, ast.BoolOp) or (isinstance(node, ast.Return) and node.value is not None)


def _change(node: ast.AST) -> None:
    if isinstance(node, ast.Compare):
        node.ops[0] = _COMPARISONS[type(node.ops[0])]()
    elif isinstance(node, ast.BinOp):
        node.op = _ARITHMETIC[type(node.op)]()
    elif isinstance(node, ast.BoolOp):
        node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    elif isinstance(node, ast.Constant):
        assert isinstance(node.value, int)
        node.value = not node.value if isinstance(node.value, bool) else node.value + 1
    elif isinstance(node, ast.Return):
        assert node.value is not None
        node.value = ast.UnaryOp(ast.Not(), node.value)


def _mutants_of_words(program: str, most: int) -> list[str]:
    words = [found for found in _WORD.finditer(program) if found.lastgroup != "left"]
    count = min(most, len(words))
    return [_with_another(program, words[number * len(words) // count]) for number in range(count)]


def _with_another(program: str, word: re.Match[str]) -> str:
    text = word.group()
    other = _OPERATORS[text] if word.lastgroup == "operator" else str(int(text) + 1)
    return program[: word.start()] + other + program[word.end() :]
