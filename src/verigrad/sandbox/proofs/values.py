"""What an expression of Python may be, symbolically: alternatives by kind, each with a condition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from verigrad.sandbox.proofs.terms import FALSE, TRUE, Term, both, choose, either, equals, integer, negate

__all__ = ["NOTHING", "UNBOUND", "Kind", "Value", "flag", "join", "known", "number", "same"]

Kind = Literal["int", "bool", "none", "unbound"]


@dataclass(frozen=True)
class Value:
    """One value of several possible kinds.

    Attributes:
        parts: kind -> (the condition under which the value is of this kind, the value then). Of the conditions exactly
            one holds wherever the value exists. `none` is Python's None, `unbound` a name without a value.
    """

    parts: Mapping[Kind, tuple[Term, Term]]

    def is_a(self, kind: Kind) -> Term:
        """The condition under which it is of this kind."""
        return self.parts[kind][0] if kind in self.parts else FALSE

    @property
    def no_number(self) -> Term:
        """The condition under which arithmetic with it raises."""
        return either(self.is_a("none"), self.is_a("unbound"))

    @property
    def as_int(self) -> Term:
        """Its number, with True as 1 and False as 0; anything where it has none."""
        whole = self.parts["int"][1] if "int" in self.parts else None
        if "bool" not in self.parts:
            return whole if whole is not None else integer(0)
        guard, truth = self.parts["bool"]
        one_or_zero = choose(truth, integer(1), integer(0))
        return one_or_zero if whole is None else choose(guard, one_or_zero, whole)

    @property
    def truth(self) -> Term:
        """Whether `if` would take it for true; None is false."""
        found = []
        if "int" in self.parts:
            guard, term = self.parts["int"]
            found.append(both(guard, negate(equals(term, integer(0)))))
        if "bool" in self.parts:
            found.append(both(*self.parts["bool"]))
        return either(*found)


def number(term: Term) -> Value:
    return Value({"int": (TRUE, term)})


def flag(term: Term) -> Value:
    return Value({"bool": (TRUE, term)})


NOTHING = Value({"none": (TRUE, TRUE)})
UNBOUND = Value({"unbound": (TRUE, TRUE)})


def join(cases: Iterable[tuple[Term, Value]]) -> Value:
    """The value of the one case whose condition holds."""
    kept = [(condition, value) for condition, value in cases if condition is not FALSE]
    first = kept[0][1]
    if all(value is first for _, value in kept):
        return first
    kinds = {kind: None for _, value in kept for kind in value.parts}  # in the order of the cases
    return Value({kind: _part(kind, kept, only=len(kinds) == 1) for kind in kinds})


def _part(kind: Kind, cases: list[tuple[Term, Value]], *, only: bool) -> tuple[Term, Term]:
    having = [(condition, *value.parts[kind]) for condition, value in cases if kind in value.parts]
    guard = TRUE if only else either(*(both(condition, guard) for condition, guard, _ in having))
    term = having[-1][2]
    for condition, _, other in reversed(having[:-1]):
        term = choose(condition, other, term)
    return guard, term


def same(a: Value, b: Value, *, strict: bool) -> Term:
    """Whether two values are equal; under `strict` also of one kind, otherwise as Python's `==` has it."""
    nothing = both(a.is_a("none"), b.is_a("none"))
    if not strict:
        return either(nothing, both(negate(a.no_number), negate(b.no_number), equals(a.as_int, b.as_int)))
    agreeing = [nothing]
    for kind in ("int", "bool"):
        if kind in a.parts and kind in b.parts:
            (guard, term), (other_guard, other) = a.parts[kind], b.parts[kind]
            agreeing.append(both(guard, other_guard, equals(term, other)))
    return either(*agreeing)


def known(value: Value) -> int | bool | None:
    """The number it is, or None where that is not known."""
    if set(value.parts) not in ({"int"}, {"bool"}):
        return None
    return value.as_int.constant
