"""Assert scripts, as HumanEval and MBPP have them, turned into call tests by reading their syntax tree.

A script that shares a process with the program it judges can be fooled by that program. An assert that compares
one call with a constant needs no such script: the call's arguments go into the sandbox, the value comes out, and
the comparison happens outside. These forms are understood (`f` is the function under test, `e` a constant):

    assert f(..) == e        f(..) is True       f(..) in (e1, e2)      f(..)      not f(..)
    assert abs(f(..) - e) < t      math.isclose(f(..), e, rel_tol=..)   round(f(..), n) == e
    assert set(f(..)) == e         sorted(f(..)) == e                   tuple(f(..)) == e, list(f(..)) == e

with constants as `tasks.constants` evaluates them, assignments of constants before, and `for` loops over constants.
It is all or nothing: a script with one assert outside these forms stays a script, so a program is never accepted
on a part of its tests. A script that only defines tests, for pytest or unittest to find, would accept every program
and is refused.
"""

from __future__ import annotations

import ast
import math
import re
from typing import Any

from verigrad.errors import TaskError
from verigrad.tasks.constants import Evaluator, NotConstant, parse_source
from verigrad.types import CallTest, Comparator, Oracle, ScriptTest
from verigrad.values import PlainValueError, encode

__all__ = ["EQUAL", "assert_sources", "make_oracle", "parse_asserts"]

EQUAL = Comparator(strict=False)
"""Python's `==`, which is what an assert means by it."""

_CHECK = "check"


def make_oracle(task_id: str, script: str, *, entry_point: str, gold: str | None = None) -> Oracle:
    """The oracle of one assert script: call tests where every assert is understood, else the script itself.

    Raises:
        TaskError: run as it is, the script would check nothing.

    >>> make_oracle("x@1/0", "assert f(2) == 4", entry_point="f").trust
    'values'
    >>> make_oracle("x@1/1", "assert f(open('x')) == 4", entry_point="f").trust
    'script'
    """
    try:
        tests = parse_asserts(script, entry_point)
    except NotConstant:
        check = _check_function(script)
        if check is None and _checks_nothing(script):
            raise TaskError(
                f"{task_id}: its test script checks nothing when it is run: no assert or call stands outside of "
                "functions and classes; end it with calls of its tests"
            ) from None
        calls_check = f"\n{_CHECK}({entry_point})\n" if check else ""
        source = script.rstrip() + "\n" + calls_check
        return Oracle(
            task_id=task_id, tests=(ScriptTest("script", source),), gold=gold, comparator=EQUAL, trust="script"
        )
    return Oracle(task_id=task_id, tests=tests, gold=gold, comparator=EQUAL)


def parse_asserts(script: str, entry_point: str) -> tuple[CallTest, ...]:
    """Every assert of the script as a call test, in the order they run.

    Asserts stand at the top level, calling `entry_point`, or in a function `check(candidate)`.

    Raises:
        NotConstant: a statement or an assert has none of the forms above, or there is no assert.

    >>> [(test.args, test.expected) for test in parse_asserts("assert f([1] * 2, -1) == 'ab' * 2", "f")]
    [(([1, 1], -1), 'abab')]
    """
    parser = _Parser(entry_point)
    parser.run(parse_source(script).body)
    if not parser.tests:
        raise NotConstant("no assert calls the function under test")
    return tuple(parser.tests)


def assert_sources(script: str, entry_point: str) -> list[str]:
    """The asserts as text, one each, calling the function by its name: what a prompt shows."""
    check = _check_function(script)
    body = check.body if check else parse_source(script).body
    sources = [ast.get_source_segment(script, node) or "" for node in body if isinstance(node, ast.Assert)]
    if check:
        call = re.compile(rf"\b{re.escape(check.args.args[0].arg)}(?=\s*\()")
        sources = [call.sub(entry_point, source) for source in sources]
    return sources


def _check_function(script: str) -> ast.FunctionDef | None:
    try:
        body = parse_source(script).body
    except NotConstant:
        return None
    return next((node for node in body if isinstance(node, ast.FunctionDef) and _is_check(node)), None)


def _checks_nothing(script: str) -> bool:
    """Whether all that it runs is definitions, imports and constants; false of what does not parse, or may not end.

    It is run under another name than `__main__`.
    """
    try:
        body = parse_source(script).body
    except NotConstant:
        return False
    run = [
        node
        for node in body
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not (isinstance(node, ast.If) and "__name__" in _names(node.test))
    ]
    checks = ast.Assert | ast.Call | ast.Raise | ast.While
    return not any(isinstance(part, checks) for node in run for part in ast.walk(node))


def _is_check(node: ast.FunctionDef) -> bool:
    return node.name == _CHECK and len(node.args.args) == 1


class _Parser:
    """Walks the statements of one script, keeping the constants assigned so far."""

    def __init__(self, entry_point: str) -> None:
        self.callees = {entry_point}
        self.evaluator = Evaluator()
        self.foreign: set[str] = set()  # names that the script binds to what only running it would tell
        self.tests: list[CallTest] = []

    def run(self, body: list[ast.stmt]) -> None:
        for node in body:
            self.evaluator.step()
            self._statement(node)

    def _statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Assert):
            self._refuse_foreign(node.test)
            self._assert(node.test)
        elif isinstance(node, ast.Assign) and len(node.targets) == 1:
            self._assign(node.targets[0], node.value)
        elif isinstance(node, ast.For) and not node.orelse:
            self._refuse_foreign(node.iter)
            for item in self.evaluator.evaluate(node.iter):
                self._bind(node.target, item)
                self.run(node.body)
        elif isinstance(node, ast.FunctionDef) and _is_check(node):
            self.callees.add(node.args.args[0].arg)
            self.run(node.body)
        elif not self._does_nothing(node):
            raise NotConstant(f"statement: {ast.unparse(node)[:80]}")

    def _does_nothing(self, node: ast.stmt) -> bool:
        """Imports and other functions matter only to asserts that use them, and those are refused there."""
        if isinstance(node, ast.FunctionDef):
            self.foreign.add(node.name)
            return node.name not in self.callees
        if isinstance(node, ast.Import | ast.ImportFrom):
            self.foreign |= _imported(node)
            return True
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            return isinstance(node.value.func, ast.Name) and node.value.func.id == _CHECK
        return isinstance(node, ast.Pass) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant | ast.Name)
        )

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        bound = _names(target)
        if bound & self.callees:
            raise NotConstant(f"assignment to {', '.join(sorted(bound & self.callees))}")
        try:
            self._refuse_foreign(value)
            self._bind(target, self.evaluator.evaluate(value))
        except NotConstant:
            # Unknown from here on; an assert that uses it is refused.
            for name in bound:
                self.evaluator.names.pop(name, None)
            self.foreign |= bound
            if self._calls(value):
                raise

    def _bind(self, target: ast.expr, value: Any) -> None:
        self.evaluator.assign(target, value)
        self.foreign -= _names(target)

    def _refuse_foreign(self, node: ast.expr) -> None:
        if foreign := _names(node) & self.foreign - self.callees:
            raise NotConstant(f"{', '.join(sorted(foreign))} of the script's own")

    def _calls(self, node: ast.expr) -> bool:
        """Whether the function under test is mentioned anywhere inside."""
        return not self.callees.isdisjoint(_names(node))

    def _is_call(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in self.callees

    def _assert(self, test: ast.expr) -> None:
        if not self._calls(test):
            if not self.evaluator.evaluate(test):
                raise NotConstant("an assert that never holds")
        elif self._is_call(test):
            self._add(test, True, Comparator("truthy", strict=False))
        elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) and self._is_call(test.operand):
            self._add(test.operand, False, Comparator("truthy", strict=False))
        elif isinstance(test, ast.Compare) and len(test.ops) == 1:
            self._compare(test.left, test.ops[0], test.comparators[0])
        elif isinstance(test, ast.Call) and ast.unparse(test.func) in ("math.isclose", "isclose"):
            self._isclose(test)
        else:
            raise NotConstant(f"assert {ast.unparse(test)[:80]}")

    def _compare(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> None:
        if isinstance(op, ast.Eq) and not self._calls(left):
            left, right = right, left
        expected = self.evaluator.evaluate(right)
        if isinstance(op, ast.Eq) and self._is_call(left):
            self._add(left, expected, EQUAL)
        elif isinstance(op, ast.Eq) and isinstance(left, ast.Call):
            self._equal_wrapped(left, expected)
        elif isinstance(op, ast.Is) and any(expected is one for one in (None, True, False)):
            self._add(left, expected, Comparator())
        elif isinstance(op, ast.In) and isinstance(expected, list | tuple | set | frozenset):
            self._add(left, _listed(expected), Comparator("any_of", strict=False))
        elif isinstance(op, ast.Lt | ast.LtE):
            self._near(left, expected, inclusive=isinstance(op, ast.LtE))
        else:
            raise NotConstant(f"{ast.unparse(left)[:80]} compared by {type(op).__name__}")

    def _equal_wrapped(self, left: ast.Call, expected: Any) -> None:
        """`set(f(..)) == e` and its like; `left` is the call around the call."""
        wrapper = left.func.id if isinstance(left.func, ast.Name) else ""
        inner = left.args[0] if left.args and not left.keywords else left
        if wrapper == "round" and _is_number(expected):
            digits = self.evaluator.evaluate(left.args[1]) if len(left.args) > 1 else 0
            if type(digits) is not int or round(expected, digits) != expected:
                raise NotConstant("round that never equals its constant")
            self._add(inner, expected, Comparator(strict=False, atol=_just_below(0.5 * 10.0**-digits)))
        elif len(left.args) == 1 and wrapper in ("set", "frozenset") and isinstance(expected, set | frozenset):
            self._add(inner, _listed(expected), Comparator("set", strict=False))
        elif len(left.args) == 1 and wrapper == "sorted" and expected == _sorted(expected):
            self._add(inner, expected, Comparator("multiset", strict=False))
        elif len(left.args) == 1 and (wrapper, type(expected)) in (("tuple", tuple), ("list", list)):
            self._add(inner, [list(expected), tuple(expected)], Comparator("any_of", strict=False))
        else:
            raise NotConstant(f"{wrapper or ast.unparse(left.func)[:80]}(..) == a {type(expected).__name__}")

    def _near(self, left: ast.expr, tolerance: Any, *, inclusive: bool) -> None:
        """`abs(f(..) - e) < t`, the two terms in either order."""
        is_distance = (
            isinstance(left, ast.Call)
            and ast.unparse(left.func) in ("abs", "math.fabs")
            and len(left.args) == 1
            and isinstance(left.args[0], ast.BinOp)
            and isinstance(left.args[0].op, ast.Sub)
        )
        if not is_distance or not _is_number(tolerance) or tolerance <= 0:
            raise NotConstant(f"{ast.unparse(left)[:80]} compared with a bound")
        difference: Any = left.args[0]  # type: ignore[attr-defined]
        call, constant = difference.left, difference.right
        if not self._calls(call):
            call, constant = constant, call
        expected = self.evaluator.evaluate(constant)
        if not _is_number(expected):
            raise NotConstant(f"distance to a {type(expected).__name__}")
        atol = float(tolerance) if inclusive else _just_below(tolerance)
        self._add(call, expected, Comparator(strict=False, atol=atol))

    def _isclose(self, test: ast.Call) -> None:
        options = {keyword.arg: self.evaluator.evaluate(keyword.value) for keyword in test.keywords}
        tolerances = (options.pop("rel_tol", 1e-9), options.pop("abs_tol", 0.0))
        if options or len(test.args) != 2 or not all(_is_number(tolerance) for tolerance in tolerances):
            raise NotConstant(f"assert {ast.unparse(test)[:80]}")
        call, constant = test.args if self._calls(test.args[0]) else reversed(test.args)
        expected = self.evaluator.evaluate(constant)
        self._add(call, expected, Comparator(strict=False, rtol=float(tolerances[0]), atol=float(tolerances[1])))

    def _add(self, call: ast.expr, expected: Any, comparator: Comparator) -> None:
        if not isinstance(call, ast.Call) or not self._is_call(call):
            raise NotConstant(f"wanted a plain call of the function under test, got {ast.unparse(call)[:80]}")
        if any(keyword.arg is None for keyword in call.keywords):
            raise NotConstant("** in a call")
        args = tuple(self.evaluator.evaluate(arg) for arg in call.args)
        kwargs = {keyword.arg: self.evaluator.evaluate(keyword.value) for keyword in call.keywords if keyword.arg}
        try:
            encode((args, kwargs, expected))
        except PlainValueError as error:
            raise NotConstant(str(error)) from error
        self.tests.append(CallTest(str(len(self.tests)), args, expected, kwargs, comparator))


def _names(node: ast.expr) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _imported(node: ast.Import | ast.ImportFrom) -> set[str]:
    """Names that an import binds, without `math` and what is in it, which are understood under their own names."""
    from_math = isinstance(node, ast.ImportFrom) and node.module == "math"
    return {
        alias.asname or alias.name.partition(".")[0]
        for alias in node.names
        if not (from_math or alias.name == "math") or alias.asname not in (None, alias.name)
    }


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _just_below(tolerance: float) -> float:
    """The largest tolerance that `<` still admits; a comparator's tolerance admits equality."""
    return math.nextafter(float(tolerance), 0.0)


def _listed(values: Any) -> list[Any]:
    """In an order of its own, so that a set of strings gives the same oracle in every process."""
    return sorted(values, key=repr) if isinstance(values, set | frozenset) else list(values)


def _sorted(value: Any) -> Any:
    try:
        return sorted(value)
    except TypeError:
        return None
