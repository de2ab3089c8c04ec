"""One token or one line of a Python program changed: how a program is broken on purpose.

What comes out parses; whether it is wrong is for tests to say.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from random import Random

__all__ = ["changed_lines", "changed_tokens"]

_OTHERS = {
    "+": "-",
    "-": "+",
    "*": "+",
    "//": "%",
    "%": "//",
    "**": "*",
    "+=": "-=",
    "<": ">",
    ">": "<",
    "<=": "<",
    ">=": ">",
    "==": "!=",
    "!=": "==",
    "max": "min",
    "min": "max",
    "sum": "len",
    "len": "sum",
    "abs": "int",
    "upper": "lower",
    "lower": "upper",
    "and": "or",
    "or": "and",
    "True": "False",
    "False": "True",
    "in": "not in",
    "append": "extend",
}


def changed_tokens(source: str, random: Random) -> Iterator[str]:
    """Programs with one token changed, in random order: an operator or name for its opposite, a number by one or two.

    >>> sorted(changed_tokens("def f(n):\\n    return n + 3\\n", Random(0)))[0]
    'def f(n):\\n    return n + 1\\n'
    """
    lines = source.splitlines(keepends=True)
    places = [token for token in tokenize.generate_tokens(io.StringIO(source).readline) if _choices(token)]
    random.shuffle(places)
    for token in places:
        (row, start), (_, stop) = token.start, token.end
        line = lines[row - 1]
        for text in random.sample(_choices(token), len(_choices(token))):
            fresh = "".join([*lines[: row - 1], line[:start] + text + line[stop:], *lines[row:]])
            if _parses(fresh):
                yield fresh


def _choices(token: tokenize.TokenInfo) -> list[str]:
    if token.type == tokenize.NUMBER and token.string.isdecimal():
        number = int(token.string)
        return [str(other) for other in (number - 2, number - 1, number + 1, number + 2) if other >= 0]
    return [_OTHERS[token.string]] if token.string in _OTHERS else []


def changed_lines(source: str, others: list[str], random: Random) -> Iterator[str]:
    """Programs with one line of the body replaced by a line of `others` (programs), or left out, in random order.

    The new line is indented as the old one was.
    """
    lines = source.splitlines(keepends=True)
    spare = sorted({line.strip() for other in others for line in other.splitlines()[1:]} | {""})
    places = list(range(1, len(lines)))
    random.shuffle(places)
    for place in places:
        old = lines[place]
        indent = old[: len(old) - len(old.lstrip())]
        for text in random.sample(spare, len(spare)):
            fresh = "".join([*lines[:place], *([f"{indent}{text}\n"] if text else []), *lines[place + 1 :]])
            if text != old.strip() and _parses(fresh):
                yield fresh


def _parses(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True
