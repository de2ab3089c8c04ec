"""What procedural programs are put together from: operations on numbers, texts and lists, and conditions.

Texts are `string.Template`s: `$x` is what an operation is applied to, `$k` its constant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

__all__ = [
    "ARGUMENTS",
    "CHARACTER_CONDITIONS",
    "CHARACTER_TERMS",
    "CONDITIONS",
    "NUMBER_TERMS",
    "OPERATIONS",
    "Kind",
    "Operation",
    "Piece",
    "draw_input",
]

Kind = Literal["number", "text", "list"]
ARGUMENTS: dict[Kind, str] = {"number": "n", "text": "s", "list": "xs"}


@dataclass(frozen=True)
class Piece:
    """An expression in `$x`, and how it is said.

    Attributes:
        key: unique among its kin.
        words: for the statement.
        code: a Python expression.
        constants: that `$k` is drawn from; empty where there is none.
    """

    key: str
    words: str
    code: str
    constants: Sequence[int | str] = ()


@dataclass(frozen=True)
class Operation(Piece):
    """A piece that makes a value of one kind of a value of another; its words are an order, `add 3`."""

    takes: Kind = "number"
    gives: Kind = "number"


_SMALL, _TINY = range(2, 10), range(1, 4)

OPERATIONS = (
    Operation("add", "add $k", "$x + $k", _SMALL),
    Operation("subtract", "subtract $k", "$x - $k", _SMALL),
    Operation("multiply", "multiply by $k", "$x * $k", range(2, 6)),
    Operation("remainder", "take the remainder by $k", "$x % $k", range(3, 8)),
    Operation("divide", "divide by $k and round down", "$x // $k", range(2, 5)),
    Operation("square", "square", "$x ** 2"),
    Operation("negate", "negate", "-$x"),
    Operation("absolute", "take the absolute value", "abs($x)"),
    Operation("at_least", "raise to at least $k", "max($x, $k)", range(2, 7)),
    Operation("at_most", "lower to at most $k", "min($x, $k)", range(2, 9)),
    Operation("reverse_text", "reverse", "$x[::-1]", takes="text", gives="text"),
    Operation("upper", "make upper case", "$x.upper()", takes="text", gives="text"),
    Operation("double_text", "repeat twice", "$x * 2", takes="text", gives="text"),
    Operation("drop_start", "drop the first $k characters", "$x[$k:]", _TINY, takes="text", gives="text"),
    Operation("drop_end", "drop the last $k characters", "$x[:-$k]", _TINY, takes="text", gives="text"),
    Operation("every_other", "take every other character", "$x[::2]", takes="text", gives="text"),
    Operation("append_text", "append '$k'", "$x + '$k'", "abcxyz", takes="text", gives="text"),
    Operation("remove_letter", "remove every '$k'", "$x.replace('$k', '')", "abcde", takes="text", gives="text"),
    Operation("length", "take the length", "len($x)", takes="text", gives="number"),
    Operation("count_letter", "count the '$k'", "$x.count('$k')", "abcde", takes="text", gives="number"),
    Operation("sort", "sort", "sorted($x)", takes="list", gives="list"),
    Operation("reverse", "reverse", "$x[::-1]", takes="list", gives="list"),
    Operation("drop_first", "drop the first $k items", "$x[$k:]", _TINY, takes="list", gives="list"),
    Operation("drop_last", "drop the last $k items", "$x[:-$k]", _TINY, takes="list", gives="list"),
    Operation("append", "append $k", "$x + [$k]", _SMALL, takes="list", gives="list"),
    Operation("add_each", "add $k to each item", "[x + $k for x in $x]", _SMALL, takes="list", gives="list"),
    Operation(
        "scale_each", "multiply each item by $k", "[x * $k for x in $x]", range(2, 6), takes="list", gives="list"
    ),
    Operation("keep_even", "keep the even items", "[x for x in $x if x % 2 == 0]", takes="list", gives="list"),
    Operation(
        "keep_above", "keep items above $k", "[x for x in $x if x > $k]", range(1, 6), takes="list", gives="list"
    ),
    Operation("sum", "add up", "sum($x)", takes="list", gives="number"),
    Operation("largest", "take the largest", "max($x)", takes="list", gives="number"),
    Operation("smallest", "take the smallest", "min($x)", takes="list", gives="number"),
    Operation("count", "count the items", "len($x)", takes="list", gives="number"),
    Operation("first", "take the first item", "$x[0]", takes="list", gives="number"),
)

CONDITIONS = (
    Piece("even", "$x is even", "$x % 2 == 0"),
    Piece("odd", "$x is odd", "$x % 2 == 1"),
    Piece("above", "$x is above $k", "$x > $k", range(1, 8)),
    Piece("below", "$x is below $k", "$x < $k", range(2, 9)),
    Piece("divisible", "$x is divisible by $k", "$x % $k == 0", range(3, 6)),
    Piece("differs", "$x is not $k", "$x != $k", range(1, 6)),
)
"""On a number."""

NUMBER_TERMS = (
    Piece("itself", "$x", "$x"),
    Piece("plus", "$x plus $k", "$x + $k", _SMALL),
    Piece("minus", "$x minus $k", "$x - $k", _SMALL),
    Piece("times", "$x times $k", "$x * $k", range(2, 6)),
    Piece("squared", "$x squared", "$x ** 2"),
    Piece("remainder", "the remainder of $x by $k", "$x % $k", range(3, 8)),
)

CHARACTER_CONDITIONS = (
    Piece("vowel", "$x is a vowel", "$x in 'aeiou'"),
    Piece("no_vowel", "$x is no vowel", "$x not in 'aeiou'"),
    Piece("letter", "$x is '$k'", "$x == '$k'", "abcde"),
    Piece("other", "$x is not '$k'", "$x != '$k'", "abcde"),
    Piece("after", "$x comes after '$k'", "$x > '$k'", "abcd"),
)

CHARACTER_TERMS = (
    Piece("itself", "$x", "$x"),
    Piece("upper", "$x in upper case", "$x.upper()"),
    Piece("twice", "$x twice", "$x * 2"),
    Piece("marked", "$x and '$k'", "$x + '$k'", "xyz"),
)


def draw_input(kind: Kind, random: Random) -> int | str | list[int]:
    """An argument of a program: a number from -9 to 20, 4 to 7 letters, or 4 to 6 numbers from -3 to 9."""
    if kind == "number":
        return random.randint(-9, 20)
    if kind == "text":
        return "".join(random.choice("aabbccddeeiou") for _ in range(random.randint(4, 7)))
    return [random.randint(-3, 9) for _ in range(random.randint(4, 6))]
