"""Loop invariants: is what the answer says of a loop enough to prove it right?

A task is a function of Python's subset (`proofs/subset.py`) with one `while` loop at its top level:

    def count(n):
        assert n >= 0          # premises: asserts before the loop
        i = 0
        while i < n:
            i += 1
        assert i == n          # goals: asserts after it

The answer is one boolean expression over the names bound where the loop begins, such as `0 <= i <= n`. It is right if
it holds there, every round keeps it, and it gives the goals where the loop ends (Floyd 1967, Hoare 1969; as in
LoopInvGen and the SyGuS competition's invariant track). Parameters are integers. The answer is read as an expression
and never run; it cannot declare, assert or redefine anything.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from verigrad.errors import TaskError
from verigrad.sandbox.proofs.solver import solve
from verigrad.sandbox.proofs.subset import Machine, Outside, Program, local_names, parse_program
from verigrad.sandbox.proofs.terms import Sort, Term, TooLarge, both, declare, negate
from verigrad.sandbox.proofs.values import UNBOUND, Value, flag, number

__all__ = ["why_no_invariant"]

_MAX_ANSWER = 2_000
_EXPRESSION = (
    ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.Compare, ast.IfExp, ast.Call, ast.Constant, ast.Name, ast.Load, ast.boolop,
    ast.operator, ast.unaryop, ast.cmpop,
)  # fmt: skip
_State = Mapping[str, Value]


def why_no_invariant(program: str, answer: str) -> str:
    """Why the answer is no inductive invariant that proves the program, or nothing where it is one.

    Raises:
        TaskError: the program is not of the form above, or no input that its premises allow enters the loop.
        MissingExtra, SandboxError: see `solve`.
    """
    conditions = _conditions(program)
    try:
        return conditions.unmet(_expression(answer))
    except (Outside, TooLarge) as error:
        return f"the answer has {error}"
    except RecursionError:
        return "the answer is nested too deep to read"


def _expression(answer: str) -> ast.expr:
    if len(answer) > _MAX_ANSWER:
        raise Outside(f"{len(answer)} characters, over {_MAX_ANSWER}")
    try:
        expression = ast.parse(answer.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError):
        raise Outside("no single expression of Python") from None
    for node in ast.walk(expression):
        if not isinstance(node, _EXPRESSION):
            raise Outside(f"a {type(node).__name__}")
    return expression


@dataclass(frozen=True)
class _Conditions:
    """What an invariant must do for one program.

    Attributes:
        parameters: inputs of the function; `begins`, `start`: under what condition they come to the loop, and with
            what values of the names.
        state: variables that stand for any values of the names bound there, as `here`; `goes_on`: the loop's condition.
        round_ends, after_round: that the body raises nothing, and the values it leaves.
        goals: that what follows the loop raises nothing, and no condition on the way.
    """

    parameters: Sequence[Term]
    begins: Term
    start: _State
    state: Sequence[Term]
    here: _State
    goes_on: Term
    round_ends: Term
    after_round: _State
    goals: Term

    def unmet(self, invariant: ast.expr) -> str:
        """The first that this invariant does not do, with values that show it, or nothing."""
        here = _holds(invariant, self.here)
        kept = both(self.round_ends, _holds(invariant, self.after_round))
        return (
            _counterexample(
                "does not hold where the loop begins",
                [self.begins, negate(_holds(invariant, self.start))],
                self.parameters,
            )
            or _counterexample("is not kept by a round", [here, self.goes_on, negate(kept)], self.state)
            or _counterexample("does not give the goals", [here, negate(self.goes_on), negate(self.goals)], self.state)
        )


def _counterexample(what: str, assertions: Sequence[Term], variables: Sequence[Term]) -> str:
    found = solve(assertions, variables)
    if found.status == "unsat":
        return ""
    if found.status == "unknown":
        return f"not decided within the bound: whether it {what}"
    return f"{what}: {', '.join(f'{name} = {value}' for name, value in found.model.items())}"


def _holds(expression: ast.expr, state: _State) -> Term:
    """That the expression is true; where it raises it is not."""
    machine = _machine(state)
    truth = machine.value(expression).truth
    return both(machine.live, truth)


def _machine(state: _State) -> Machine:
    machine = Machine(Program({}))
    machine.environment = dict(state)
    return machine


# ------------------------------------------------------------------------------------------------ tasks


@lru_cache(maxsize=256)
def _conditions(program: str) -> _Conditions:
    try:
        return _read(program)
    except (Outside, TooLarge) as error:
        raise TaskError(f"the program of an invariant task has {error}") from error


def _read(program: str) -> _Conditions:
    function, before, loop, after = _cut(program)
    names = [parameter.arg for parameter in function.args.args]
    parameters = [declare(name, "Int") for name in names]
    unbound: _State = dict.fromkeys(local_names(function.body), UNBOUND)
    setup = _ran(before, {**unbound, **{n: number(p) for n, p in zip(names, parameters, strict=True)}})
    if solve([setup.live, _holds(loop.test, setup.environment)], parameters).status == "unsat":
        raise TaskError("no input that the program's asserts allow enters its loop, so any invariant would do")
    state = [declare(name, sort) for name, value in setup.environment.items() if (sort := _sort(value))]
    here = {**unbound, **{str(v.value): number(v) if v.sort == "Int" else flag(v) for v in state}}
    body, end = _ran(loop.body, here), _ran(after, here)
    for variable in state:
        if _sort(body.environment[str(variable.value)]) != variable.sort:
            raise Outside(f"a loop that makes {variable.value!r} something else than {variable.sort}")
    return _Conditions(
        parameters=parameters,
        begins=setup.live,
        start=setup.environment,
        state=state,
        here=here,
        goes_on=_holds(loop.test, here),
        round_ends=body.live,
        after_round=body.environment,
        goals=both(end.live, _raises_nothing(loop.test, here)),
    )


def _cut(program: str) -> tuple[ast.FunctionDef, list[ast.stmt], ast.While, list[ast.stmt]]:
    """The one function of a program, and its statements before, at and behind its loop."""
    functions = [item for item in parse_program(program).names.values() if isinstance(item, ast.FunctionDef)]
    if len(functions) != 1:
        raise Outside(f"{len(functions)} functions, wanted one")
    body = functions[0].body
    places = [place for place, node in enumerate(body) if isinstance(node, ast.While)]
    if len(places) != 1:
        raise Outside(f"{len(places)} while loops at the top of the function, wanted one")
    loop = body[places[0]]
    assert isinstance(loop, ast.While)
    left = [n for n in ast.walk(loop) if isinstance(n, ast.Break | ast.Continue | ast.Return)]
    if left or loop.orelse:
        raise Outside("a loop with break, continue, return or else")
    return functions[0], body[: places[0]], loop, body[places[0] + 1 :]


def _ran(statements: Sequence[ast.stmt], state: _State) -> Machine:
    machine = _machine(state)
    machine.block(statements)
    return machine


def _raises_nothing(expression: ast.expr, state: _State) -> Term:
    machine = _machine(state)
    machine.value(expression)
    return machine.live


def _sort(value: Value) -> Sort | None:
    """The sort of a name that always has one kind of number, else None."""
    kinds = set(value.parts)
    return "Int" if kinds == {"int"} else "Bool" if kinds == {"bool"} else None
