"""Mirrors: for a test that must pass, a counterpart that must fail, and only solving it tells which is which.

A test module that shares its process with the code it tests can be made to report anything. What such code cannot
know is what is right: of `assert double(4) == 8` and `assert double(4) == 9` one is the test, one its mirror, and
both stand in the file, in an order and under names that change from run to run. Code that patches outcomes, makes
everything equal, or reads from the test what is expected, passes both or the wrong one. A right program passes the test
and fails the mirror.

The mirror turns the last assertion of a test: a constant it compares with becomes another one, an exception it
waits for becomes one that nothing raises, any other condition is negated. Tests without an assertion of their own have
no mirror.
"""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from verigrad.literals import read_literal

__all__ = ["Names", "add_mirrors"]

_OTHER_EXCEPTION = "BufferError"  # of builtins the one with the fewest reasons to be raised, or derived from
_RAISES = ("raises", "assertRaises", "assertRaisesRegex")
_OPPOSITE = {
    "assertEqual": "assertNotEqual",
    "assertTrue": "assertFalse",
    "assertIs": "assertIsNot",
    "assertIsNone": "assertIsNotNone",
    "assertIn": "assertNotIn",
    "assertIsInstance": "assertNotIsInstance",
    "assertAlmostEqual": "assertNotAlmostEqual",
    "assertGreater": "assertLessEqual",
    "assertGreaterEqual": "assertLess",
    "assertRegex": "assertNotRegex",
}
_OPPOSITE |= {other: one for one, other in _OPPOSITE.items()}
_EQUAL = ("assertEqual", "assertListEqual", "assertTupleEqual", "assertDictEqual", "assertSetEqual")

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Names:
    """The functions that a test became, without the class: the test itself and its mirror."""

    test: str
    mirror: str


def add_mirrors(
    source: str, tests: Collection[str], draw: random.Random, *, swapped: bool
) -> tuple[str, dict[str, Names]]:
    """The module with mirrors of its `tests`, and what became of each.

    Args:
        source: of the test module.
        tests: functions, `test_a` or `TestB::test_c`.
        draw: decides about constants and, for every pair apart, about names, places and how what is no constant is
            turned: it is compared with something else, or negated.
        swapped: every coin of an equal `draw` falls on its other side, and other constants are drawn. So a rule that
            tells the test by its name or place is wrong in one of two runs, and knowing one pair tells nothing of
            the others.

    Returns:
        the module, unparsed from its tree, and names of the tests that have a mirror. A module that cannot be parsed,
        or a name that is defined twice, gets none.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return source, {}
    constants = random.Random(f"{draw.getrandbits(64)} {swapped}")  # apart, so that no rule of thumb holds twice
    found: dict[str, Names] = {}
    bodies = [("", tree.body)]
    bodies += [(f"{node.name}::", node.body) for node in tree.body if isinstance(node, ast.ClassDef)]
    for prefix, body in bodies:
        functions = [node for node in body if isinstance(node, _Function)]
        names = [node.name for node in functions]
        for node in functions:
            test = prefix + node.name
            if test in tests and names.count(node.name) == 1:
                mirror = copy.deepcopy(node)
                new_name, first, negate = ((draw.random() < 0.5) != swapped for _ in range(3))
                if _turn_last(mirror.body, constants, negate=negate):
                    suffix = f"_{draw.randrange(16**6):06x}"
                    found[test] = _place(body, node, mirror, suffix, new_name=new_name, first=first)
    return (ast.unparse(ast.fix_missing_locations(tree)), found) if found else (source, {})


def _place(
    body: list[ast.stmt], test: _Function, mirror: _Function, suffix: str, *, new_name: bool, first: bool
) -> Names:
    """Put the mirror beside its test; `new_name` and `first` say what becomes of the test."""
    changed = test if new_name else mirror
    changed.name += suffix
    body.insert(body.index(test) + first, mirror)
    return Names(test.name, mirror.name)


# ------------------------------------------------------------------------------------------- assertions


def _turn_last(body: list[ast.stmt], draw: random.Random, *, negate: bool) -> bool:
    """Turn the last assertion that is always reached; False where there is none."""
    for statement in reversed(body):
        if isinstance(statement, ast.Assert):
            statement.test = _turned(statement.test, draw, negate=negate)
            return True
        if isinstance(statement, ast.With | ast.AsyncWith):
            if _turn_raises(statement) or _turn_last(statement.body, draw, negate=negate):
                return True
        elif isinstance(statement, ast.For):
            if _turn_last(statement.body, draw, negate=negate):
                return True
        elif isinstance(statement, ast.Expr) and _turn_method(statement.value, draw):
            return True
    return False


def _turn_raises(statement: ast.With | ast.AsyncWith) -> bool:
    for item in statement.items:
        call = item.context_expr
        if isinstance(call, ast.Call) and call.args and _name(call.func) in _RAISES:
            call.args[0] = ast.Name(_OTHER_EXCEPTION, ast.Load())
            return True
    return False


def _turn_method(call: ast.expr, draw: random.Random) -> bool:
    """Of `unittest`: `self.assertEqual(f(4), 8)`."""
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return False
    if call.func.attr in _EQUAL and len(call.args) >= 2:
        for place in (1, 0):
            if (changed := _changed_constant(call.args[place], draw)) is not None:
                call.args[place] = changed
                return True
    if call.func.attr in _OPPOSITE:
        call.func.attr = _OPPOSITE[call.func.attr]
        return True
    return False


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _turned(test: ast.expr, draw: random.Random, *, negate: bool) -> ast.expr:
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq):
        if (changed := _changed_constant(test.comparators[0], draw)) is not None:
            return ast.Compare(test.left, test.ops, [changed])
        if (changed := _changed_constant(test.left, draw)) is not None:
            return ast.Compare(changed, test.ops, test.comparators)
        if not negate:  # so that what equals everything shows
            return ast.Compare(test.left, test.ops, [ast.Call(ast.Name("object", ast.Load()), [], [])])
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return test.operand
    return ast.UnaryOp(ast.Not(), test)


def _changed_constant(node: ast.expr, draw: random.Random) -> ast.expr | None:
    try:
        return ast.parse(repr(_changed(read_literal(node), draw)), mode="eval").body
    except (ValueError, OverflowError):  # no literal, a number too long to be written in decimal, or an infinite one
        return None


def _changed(value: Any, draw: random.Random) -> Any:
    """Another value of the same kind, as likely an answer; it differs under `==` and any usual tolerance."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float | complex):
        return value + draw.choice((1, 2, -1, -2)) * max(1, round(abs(value) / 8))
    if isinstance(value, str):
        return value + value[-1] if value and draw.random() < 0.5 else value[:-1] if len(value) > 1 else value + "a"
    if isinstance(value, bytes):
        return value[:-1] if value else b"\0"
    if isinstance(value, list | tuple):
        at = draw.randrange(len(value)) if value else 0
        changed = [*value[:at], _changed(value[at], draw) if value else 0, *value[at + 1 :]]
        return type(value)(changed)
    if isinstance(value, dict):
        key = draw.choice(list(value)) if value else 0
        return {**value, key: _changed(value[key], draw) if value else 0}
    if isinstance(value, set):
        return value | {next(number for number in range(len(value) + 1) if number not in value)}
    return False  # for None and the ellipsis
