"""Terms over integers and booleans: built in Python, printed as SMT-LIB 2.6 for a solver.

Constructors fold constants, so what is known stays small. `div` and `mod` are Python's `//` and `%` (rounded towards
minus infinity), made from SMT-LIB's, which agree with them for a positive divisor only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "FALSE",
    "TRUE",
    "Sort",
    "Term",
    "TooLarge",
    "add",
    "boolean",
    "both",
    "choose",
    "declare",
    "div",
    "either",
    "equals",
    "evaluate",
    "integer",
    "less",
    "mod",
    "multiply",
    "negate",
    "opposite",
    "postorder",
    "script",
    "subtract",
]

Sort = Literal["Int", "Bool"]
_MAX_BITS = 4096
"""Of a constant: squaring in a loop would otherwise fill the memory."""


class TooLarge(Exception):
    """A constant has more than `_MAX_BITS` bits."""


@dataclass(frozen=True, eq=False, slots=True)
class Term:
    """An operator of SMT-LIB on other terms, `const` with a value, or `var` with a name. Compared by identity."""

    op: str
    args: tuple[Term, ...]
    sort: Sort
    value: int | bool | str | None = None

    @property
    def constant(self) -> int | bool | None:
        """Its value where it is a constant, else None."""
        return self.value if self.op == "const" and not isinstance(self.value, str) else None


TRUE = Term("const", (), "Bool", True)
FALSE = Term("const", (), "Bool", False)


def boolean(value: bool) -> Term:
    return TRUE if value else FALSE


def integer(value: int) -> Term:
    """A constant.

    Raises:
        TooLarge: it has more than `_MAX_BITS` bits.
    """
    if value.bit_length() > _MAX_BITS:
        raise TooLarge(f"a constant of {value.bit_length()} bits, over {_MAX_BITS}")
    return Term("const", (), "Int", int(value))


def declare(name: str, sort: Sort) -> Term:
    """A variable; `name` is an identifier."""
    return Term("var", (), sort, name)


# -------------------------------------------------------------------------------------------- booleans


def negate(a: Term) -> Term:
    if a.op == "const":
        return boolean(not a.value)
    return a.args[0] if a.op == "not" else Term("not", (a,), "Bool")


def both(*terms: Term) -> Term:
    kept = list({id(term): term for term in terms if term is not TRUE}.values())
    if FALSE in kept:
        return FALSE
    return TRUE if not kept else kept[0] if len(kept) == 1 else Term("and", tuple(kept), "Bool")


def either(*terms: Term) -> Term:
    kept = list({id(term): term for term in terms if term is not FALSE}.values())
    if TRUE in kept:
        return TRUE
    return FALSE if not kept else kept[0] if len(kept) == 1 else Term("or", tuple(kept), "Bool")


def choose(condition: Term, a: Term, b: Term) -> Term:
    """`a` where the condition holds, else `b`; both of one sort."""
    if condition.op == "const":
        return a if condition.value else b
    return a if a is b else Term("ite", (condition, a, b), a.sort)


def equals(a: Term, b: Term) -> Term:
    """Equality of two terms of one sort."""
    if a is b:
        return TRUE
    if a.op == b.op == "const":
        return boolean(a.value == b.value)
    return Term("=", (a, b), "Bool")


def less(a: Term, b: Term, *, or_equal: bool = False) -> Term:
    x, y = a.constant, b.constant
    if x is not None and y is not None:
        return boolean(x <= y if or_equal else x < y)
    return Term("<=" if or_equal else "<", (a, b), "Bool")


# -------------------------------------------------------------------------------------------- integers


def add(a: Term, b: Term) -> Term:
    return _folded("+", a, b)


def subtract(a: Term, b: Term) -> Term:
    return _folded("-", a, b)


def multiply(a: Term, b: Term) -> Term:
    return _folded("*", a, b)


def opposite(a: Term) -> Term:
    return subtract(integer(0), a)


def div(a: Term, b: Term) -> Term:
    """Python's `a // b`; anything where `b` is 0."""
    return choose(less(integer(0), b), _folded("div", a, b), _folded("div", opposite(a), opposite(b)))


def mod(a: Term, b: Term) -> Term:
    """Python's `a % b`; anything where `b` is 0."""
    return choose(less(integer(0), b), _folded("mod", a, b), opposite(_folded("mod", opposite(a), opposite(b))))


def _folded(op: str, a: Term, b: Term) -> Term:
    x, y = a.constant, b.constant
    if x is not None and y is not None:
        return integer(_apply(op, (x, y)))
    return Term(op, (a, b), "Int")


# --------------------------------------------------------------------------------------------- reading


def postorder(roots: Iterable[Term]) -> list[Term]:
    """Every term below the roots once, each after its arguments."""
    done: dict[int, Term] = {}
    waiting = [(root, False) for root in reversed(list(roots))]
    while waiting:
        term, ready = waiting.pop()
        if id(term) in done:
            continue
        if ready or not term.args:
            done[id(term)] = term
        else:
            waiting.append((term, True))
            waiting += [(arg, False) for arg in reversed(term.args)]
    return list(done.values())


def evaluate(root: Term, model: Mapping[str, int | bool]) -> int | bool:
    """The value of a term where the variables have these values.

    >>> evaluate(mod(declare("x", "Int"), integer(-3)), {"x": 7})
    -2
    """
    values: dict[int, int | bool] = {}
    for term in postorder([root]):
        if term.op == "const":
            assert isinstance(term.value, int)
            values[id(term)] = term.value
        elif term.op == "var":
            values[id(term)] = model[str(term.value)]
        else:
            values[id(term)] = _apply(term.op, tuple(values[id(arg)] for arg in term.args))
    return values[id(root)]


def _apply(op: str, a: tuple[int | bool, ...]) -> int | bool:
    match op:
        case "not":
            return not a[0]
        case "and":
            return all(a)
        case "or":
            return any(a)
        case "ite":
            return a[1] if a[0] else a[2]
        case "=":
            return a[0] == a[1]
        case "<":
            return a[0] < a[1]
        case "<=":
            return a[0] <= a[1]
        case "+":
            return a[0] + a[1]
        case "-":
            return a[0] - a[1]
        case "*":
            return a[0] * a[1]
        case "div":
            return a[0] // a[1] if a[1] > 0 else 0  # other divisors are never chosen, see `div`
        case "mod":
            return a[0] % a[1] if a[1] > 0 else 0
    raise ValueError(f"no operator {op!r}")


def script(assertions: Iterable[Term], variables: Iterable[Term]) -> str:
    """The SMT-LIB script that asks whether the assertions hold together, and for which values of the variables.

    Every term is printed once, under a name of its own, so that shared terms stay shared.
    """
    asserted = list(assertions)
    lines = [f"(declare-const {_leaf(variable)} {variable.sort})" for variable in variables]
    names: dict[int, str] = {}
    for term in postorder(asserted):
        if term.op in ("const", "var"):
            names[id(term)] = _leaf(term)
            continue
        names[id(term)] = f"t!{len(names)}"
        args = " ".join(names[id(arg)] for arg in term.args)
        lines.append(f"(define-fun {names[id(term)]} () {term.sort} ({term.op} {args}))")
    lines += [f"(assert {names[id(term)]})" for term in asserted]
    return "\n".join([*lines, "(check-sat)", ""])


def _leaf(term: Term) -> str:
    if term.op == "var":
        return f"v!{term.value}"  # a name in Python may be a word of SMT-LIB
    if term.sort == "Bool":
        return "true" if term.value else "false"
    return str(term.value) if int(term.value or 0) >= 0 else f"(- {-int(term.value or 0)})"
