"""Constant Python expressions evaluated from their syntax tree; nothing of a task's source is ever executed.

Literals, arithmetic, containers, comprehensions, indexing and a closed list of pure built-in functions.
Sizes and steps are bounded, so that a malformed or hostile task file costs an error and not the machine.
"""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from verigrad.values import MAX_INT_BITS, MAX_TEXT

__all__ = ["MAX_STEPS", "Evaluator", "NotConstant", "parse_source"]

MAX_STEPS = 200_000


class NotConstant(ValueError):
    """An expression or statement means nothing without running code, or is too large to evaluate."""


def parse_source(source: str) -> ast.Module:
    """The syntax tree of someone else's source, whose doubtful escapes are not for our user to be warned of.

    Raises:
        NotConstant: it does not parse.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise NotConstant(f"the source does not parse: {error}") from error


_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
    ast.Invert: operator.invert,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        *(abs, bool, chr, complex, dict, float, frozenset, int, len, list, max, min, ord, range, round, set),
        *(sorted, str, sum, tuple),
    )
}
_MATH = {"pi": math.pi, "e": math.e, "tau": math.tau, "inf": math.inf, "nan": math.nan}


class Evaluator:
    """Evaluates expressions under `names`, which the caller may change between calls.

    >>> Evaluator({"x": [1, 2]}).evaluate_source("(x * 2, sum(i ** 2 for i in x), float('-inf'))")
    ([1, 2, 1, 2], 5, -inf)
    """

    def __init__(self, names: Mapping[str, Any] | None = None) -> None:
        self.names: dict[str, Any] = dict(names or {})
        self._steps = 0

    def evaluate_source(self, source: str) -> Any:
        """Value of one expression given as text.

        Raises:
            NotConstant: it is no expression, or not a constant one.
        """
        body = parse_source(source.strip()).body
        if len(body) != 1 or not isinstance(body[0], ast.Expr):
            raise NotConstant(f"not an expression: {source.strip()[:80]!r}")
        return self.evaluate(body[0].value)

    def evaluate(self, node: ast.expr) -> Any:
        """Value of an expression; `NotConstant` where it has none without running code."""
        self.step()
        visit = getattr(self, f"_{type(node).__name__.lower()}", None)
        if visit is None:
            raise NotConstant(f"{type(node).__name__} is not a constant expression")
        try:
            return visit(node)
        except NotConstant:
            raise
        except (ArithmeticError, TypeError, ValueError, LookupError, RecursionError) as error:
            raise NotConstant(f"{ast.unparse(node)[:80]}: {error}") from error

    def step(self) -> None:
        """Count one step of work; raises `NotConstant` past `MAX_STEPS`."""
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise NotConstant(f"over {MAX_STEPS} steps")

    def assign(self, target: ast.expr, value: Any) -> None:
        """Bind a name, or a tuple or list of names."""
        if isinstance(target, ast.Name):
            self.names[target.id] = value
        elif isinstance(target, ast.Tuple | ast.List):
            for part, item in zip(target.elts, list(value), strict=True):
                self.assign(part, item)
        else:
            raise NotConstant(f"assignment to {type(target).__name__}")

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _name(self, node: ast.Name) -> Any:
        if node.id not in self.names:
            raise NotConstant(f"name {node.id!r} has no constant value")
        return self.names[node.id]

    def _list(self, node: ast.List) -> list[Any]:
        return [self.evaluate(item) for item in node.elts]

    def _tuple(self, node: ast.Tuple) -> tuple[Any, ...]:
        return tuple(self.evaluate(item) for item in node.elts)

    def _set(self, node: ast.Set) -> set[Any]:
        return {self.evaluate(item) for item in node.elts}

    def _dict(self, node: ast.Dict) -> dict[Any, Any]:
        if None in node.keys:
            raise NotConstant("** in a dict")
        pairs = zip(node.keys, node.values, strict=True)
        return {self.evaluate(key): self.evaluate(value) for key, value in pairs if key is not None}

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        return _UNARY[type(node.op)](self.evaluate(node.operand))

    def _binop(self, node: ast.BinOp) -> Any:
        left, right = self.evaluate(node.left), self.evaluate(node.right)
        if type(node.op) not in _BINARY or _result_size(node.op, left, right) > 1:
            raise NotConstant(f"{ast.unparse(node)[:80]} is too large to evaluate")
        return _BINARY[type(node.op)](left, right)

    def _boolop(self, node: ast.BoolOp) -> Any:
        stop_at = isinstance(node.op, ast.Or)
        value: Any = None
        for part in node.values:
            value = self.evaluate(part)
            if bool(value) is stop_at:
                break
        return value

    def _compare(self, node: ast.Compare) -> bool:
        left = self.evaluate(node.left)
        for op, comparator in zip(node.ops, node.comparators, strict=True):
            right = self.evaluate(comparator)
            if not _COMPARE[type(op)](left, right):
                return False
            left = right
        return True

    def _ifexp(self, node: ast.IfExp) -> Any:
        return self.evaluate(node.body if self.evaluate(node.test) else node.orelse)

    def _subscript(self, node: ast.Subscript) -> Any:
        return self.evaluate(node.value)[self.evaluate(node.slice)]

    def _slice(self, node: ast.Slice) -> slice:
        bounds = (node.lower, node.upper, node.step)
        return slice(*(None if bound is None else self.evaluate(bound) for bound in bounds))

    def _attribute(self, node: ast.Attribute) -> float:
        if isinstance(node.value, ast.Name) and node.value.id == "math" and node.attr in _MATH:
            return _MATH[node.attr]
        raise NotConstant(f"attribute {node.attr!r}")

    def _call(self, node: ast.Call) -> Any:
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if name not in _FUNCTIONS or name in self.names:
            raise NotConstant(f"call of {ast.unparse(node.func)[:80]}")
        if any(keyword.arg is None for keyword in node.keywords):
            raise NotConstant("** in a call")
        args = [self.evaluate(arg) for arg in node.args]
        kwargs = {keyword.arg: self.evaluate(keyword.value) for keyword in node.keywords if keyword.arg is not None}
        if any(_length(arg) > MAX_TEXT for arg in args):
            raise NotConstant(f"{ast.unparse(node)[:80]} is too large to evaluate")
        # The text of a nested container may be exponentially longer than the container.
        if name == "str" and args and not isinstance(args[0], str | int | float | None):
            raise NotConstant(f"str of a {type(args[0]).__name__}")
        return _FUNCTIONS[name](*args, **kwargs)

    def _listcomp(self, node: ast.ListComp) -> list[Any]:
        return [self.evaluate(node.elt) for _ in self._loops(node.generators)]

    def _setcomp(self, node: ast.SetComp) -> set[Any]:
        return {self.evaluate(node.elt) for _ in self._loops(node.generators)}

    def _dictcomp(self, node: ast.DictComp) -> dict[Any, Any]:
        return {self.evaluate(node.key): self.evaluate(node.value) for _ in self._loops(node.generators)}

    # Eager: nothing constant can tell a generator from a list of the same items.
    def _generatorexp(self, node: ast.GeneratorExp) -> list[Any]:
        return [self.evaluate(node.elt) for _ in self._loops(node.generators)]

    def _loops(self, generators: list[ast.comprehension]) -> Iterator[None]:
        """Bind the targets of a comprehension, once for every element it yields; outer names come back after."""
        saved = dict(self.names)
        yield from self._nested_loops(generators)
        self.names = saved

    def _nested_loops(self, generators: list[ast.comprehension]) -> Iterator[None]:
        if not generators:
            yield
            return
        first, *rest = generators
        for item in self.evaluate(first.iter):
            self.step()
            self.assign(first.target, item)
            if all(self.evaluate(condition) for condition in first.ifs):
                yield from self._nested_loops(rest)


def _length(value: Any) -> int:
    try:
        return len(value) if hasattr(value, "__len__") else 0
    except OverflowError:  # a range longer than any container can be
        return MAX_TEXT + 1


def _result_size(op: ast.operator, left: Any, right: Any) -> float:
    """How large the result may be, as a share of what is allowed."""
    if isinstance(left, int) and isinstance(right, int):
        bits = {
            ast.Mult: left.bit_length() + right.bit_length(),
            ast.Pow: left.bit_length() * max(right, 0),
            ast.LShift: left.bit_length() + max(right, 0),
        }
        return bits.get(type(op), 0) / MAX_INT_BITS
    if isinstance(op, ast.Mod) and isinstance(left, str | bytes):
        return math.inf  # a format can ask for any width
    if isinstance(op, ast.Mult):
        count = right if isinstance(right, int) else left if isinstance(left, int) else 1
        return max(_length(left), _length(right)) * max(count, 0) / MAX_TEXT
    return (_length(left) + _length(right)) / MAX_TEXT if isinstance(op, ast.Add) else 0
