"""Is a program the same function as a reference? Proved or refuted for all integers, without running either."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from verigrad.sandbox.proofs.solver import EFFORT, solve
from verigrad.sandbox.proofs.subset import Meaning, Outside, meaning
from verigrad.sandbox.proofs.terms import Term, both, declare, either, negate
from verigrad.sandbox.proofs.values import Value, flag, number, same

__all__ = ["Comparison", "compare_programs", "parameter_sorts"]

_Sorts = Sequence[Literal["int", "bool"]]


@dataclass(frozen=True)
class Comparison:
    """What is known of two programs.

    Attributes:
        status: `proved` equal for all inputs; `refuted` by `inputs`; `unknown` within the effort; `outside`: the
            program is not in the subset that can be read; `unprovable`: the reference is not, or has no inputs.
        inputs: where `refuted`, arguments on which they differ. Run both on them before it counts.
        reason: for people, what is outside.
    """

    status: Literal["proved", "refuted", "unknown", "outside", "unprovable"]
    inputs: tuple[int | bool, ...] = ()
    reason: str = ""


def parameter_sorts(calls: Sequence[Sequence[Any]]) -> _Sorts | None:
    """Of each parameter whether it is an int or a bool, from the arguments of calls; None where it is neither.

    >>> parameter_sorts([(1, True), (2, False)])
    ['int', 'bool']
    >>> parameter_sorts([(1, 2), (3, "x")]) is None
    True
    """
    if len({len(arguments) for arguments in calls}) != 1:
        return None
    found = [{type(value) for value in column} for column in zip(*calls, strict=True)]
    if any(kinds not in ({int}, {bool}) for kinds in found):
        return None
    return ["int" if kinds == {int} else "bool" for kinds in found]


def compare_programs(
    program: str,
    reference: str,
    entry_point: str,
    sorts: _Sorts,
    *,
    strict: bool = True,
    effort: int = EFFORT,
) -> Comparison:
    """Compare `entry_point` of both on all inputs of these sorts.

    The reference's asserts say which inputs it is meant for; on others anything goes. An exception differs from every
    value and equals every other exception. Under `strict` True and 1 differ.

    Raises:
        MissingExtra: z3 is not installed.
        SandboxError: z3 failed.
    """
    variables, arguments = _arguments(sorts)
    try:
        wanted = meaning(reference, entry_point, arguments)
    except Outside as error:
        return Comparison("unprovable", reason=f"the reference has {error}")
    meant_for = negate(wanted.rejects)
    if solve([meant_for], variables, effort=effort).status != "sat":
        return Comparison("unprovable", reason="no input is known that the reference's asserts let pass")
    try:
        got = meaning(program, entry_point, arguments)
    except Outside as error:
        return Comparison("outside", reason=str(error))
    found = solve([meant_for, negate(_agree(got, wanted, strict))], variables, effort=effort)
    if found.status == "sat":
        return Comparison("refuted", tuple(found.model[str(variable.value)] for variable in variables))
    return Comparison("proved" if found.status == "unsat" else "unknown")


def _arguments(sorts: _Sorts) -> tuple[list[Term], list[Value]]:
    variables = [declare(f"x{n}", "Int" if sort == "int" else "Bool") for n, sort in enumerate(sorts)]
    makers = {"int": number, "bool": flag}
    return variables, [makers[sort](variable) for sort, variable in zip(sorts, variables, strict=True)]


def _agree(got: Meaning, wanted: Meaning, strict: bool) -> Term:
    """Both return the same, or both raise, where the reference's asserts hold."""
    raises = either(got.raises, got.rejects)
    return either(
        both(got.returns, wanted.returns, same(got.value, wanted.value, strict=strict)), both(raises, wanted.raises)
    )
