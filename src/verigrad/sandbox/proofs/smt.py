"""Terms to find: do the goals of a task follow once the answer's terms stand where the task has left holes?

A task is a text of SMT-LIB 2.6, with functions that are named and typed but not defined:

    preamble   (declare-const n Int) (declare-const i Int) (assert (>= n 0))
    holes      (inv ((i Int) (n Int)) Bool)
    goals      (inv 0 n)    (=> (and (inv i n) (< i n)) (inv (+ i 1) n))    (=> (and (inv i n) (>= i n)) (= i n))

The answer gives the body of each hole: one term where there is one hole, or a `define-fun` for each. It is right where
z3 proves every goal from the preamble's asserts. Loop invariants, ranking functions, interpolants, witnesses and small
functions to be synthesised (as in the SyGuS competition) all have this form.

The answer is read here, symbol by symbol, and only what was read is written down for z3: the hole's own parameters,
operators on integers, reals and booleans, `let`, and functions that the preamble defines. It can neither declare nor
assert anything, nor see the constants that the goals are about. A task is an error where its asserts contradict each
other, or where its goals follow whatever the answer is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from verigrad.errors import TaskError
from verigrad.sandbox.proofs.solver import EFFORT, ScriptError, solve_text
from verigrad.types import SmtTest

__all__ = ["why_goals_do_not_follow"]

_MAX_ANSWER = 5_000
_MAX_DEPTH = 100
_OPERATORS = frozenset(
    {
        *("true", "false", "and", "or", "not", "xor", "=>", "=", "distinct", "ite", "let", "<", "<=", ">", ">="),
        *("+", "-", "*", "/", "div", "mod", "abs", "to_real", "to_int", "is_int"),
    }
)
_TOKEN = re.compile(r"\s*([()]|(?:[A-Za-z_][\w!.']*(?:-fun)?|\d+\.\d+|\d+|=>|<=|>=|[-+*/<>=])(?=[\s()]|\Z))", re.ASCII)
_COMMENT = re.compile(r";[^\n]*")
_DEFINED = re.compile(r"\(\s*define-fun(?:-rec)?\s+([A-Za-z_][\w!.']*)")

_Tree = str | list["_Tree"]


class _Refused(Exception):
    """What an answer has and may not have."""


def why_goals_do_not_follow(test: SmtTest, answer: str) -> str:
    """Why the answer's terms do not give the goals, or nothing where they do.

    Raises:
        TaskError: the test is no SMT-LIB, its asserts contradict each other, or its goals say nothing of the answer.
        MissingExtra, SandboxError: see `solve_text`.
    """
    _check_task(test)
    try:
        definitions = _definitions(test, answer)
    except _Refused as error:
        return f"the answer has {error}"
    for number, goal in enumerate(test.goals, 1):
        try:
            found = solve_text(f"{test.preamble}\n{definitions}\n(assert (not {goal}))\n(check-sat)\n", effort=EFFORT)
        except ScriptError as error:  # without the answer there was none
            return f"z3 refuses the answer: {error}"
        if found == "sat":
            return f"goal {number} does not follow: {goal}"
        if found == "unknown":
            return f"not decided within the bound: goal {number}, {goal}"
    return ""


@lru_cache(maxsize=1024)
def _check_task(test: SmtTest) -> None:
    """What makes any answer right, or none, is a mistake of the task's."""
    if not test.holes or not test.goals:
        raise TaskError(f"test {test.name!r}: wanted holes and goals, got {len(test.holes)} and {len(test.goals)}")
    declared = "\n".join(_declaration(_signature(test, hole)) for hole in test.holes)
    goals = " ".join(test.goals)
    try:
        premises = solve_text(f"{test.preamble}\n{declared}\n(check-sat)\n", effort=EFFORT)
        empty = solve_text(f"{test.preamble}\n{declared}\n(assert (not (and {goals})))\n(check-sat)\n", effort=EFFORT)
    except ScriptError as error:
        raise TaskError(f"test {test.name!r}: z3 refuses the preamble, a hole or a goal: {error}") from error
    if premises == "unsat":
        raise TaskError(f"test {test.name!r}: the preamble's asserts contradict each other, so any answer would do")
    if empty == "unsat":
        raise TaskError(f"test {test.name!r}: the goals follow whatever the answer is")


# ------------------------------------------------------------------------------------------------- holes


def _signature(test: SmtTest, hole: str) -> list[_Tree]:
    """Name, parameters with their sorts, sort."""
    try:
        found = _read(hole)
    except _Refused as error:
        raise TaskError(f"test {test.name!r}: the hole {hole!r} has {error}") from None
    match found:
        case [[str(), list() as parameters, str() | list()] as signature] if all(
            isinstance(part, list) and len(part) == 2 and isinstance(part[0], str) for part in parameters
        ):
            return signature
    raise TaskError(f"test {test.name!r}: wanted a hole such as '(f ((x Int)) Bool)', got {hole!r}")


def _declaration(signature: Sequence[_Tree]) -> str:
    name, parameters, sort = signature
    assert isinstance(parameters, list)
    return f"(declare-fun {name} ({' '.join(_text(part[1]) for part in parameters)}) {_text(sort)})"


def _definitions(test: SmtTest, answer: str) -> str:
    """A `define-fun` for each hole, in our own words."""
    signatures = {str(signature[0]): signature for signature in (_signature(test, hole) for hole in test.holes)}
    bodies = _bodies(_read(answer), signatures)
    known = _OPERATORS | set(_DEFINED.findall(test.preamble))
    lines = []
    for name, signature in signatures.items():
        if name not in bodies:
            raise _Refused(f"no definition of {name}")
        parameters = signature[1]
        assert isinstance(parameters, list)
        _check_symbols(bodies[name], known | {str(part[0]) for part in parameters})
        lines.append(f"(define-fun {name} {_text(parameters)} {_text(signature[2])} {_text(bodies[name])})")
    return "\n".join(lines)


def _bodies(trees: Sequence[_Tree], signatures: dict[str, list[_Tree]]) -> dict[str, _Tree]:
    if len(signatures) == len(trees) == 1 and not (isinstance(trees[0], list) and trees[0][:1] == ["define-fun"]):
        return {next(iter(signatures)): trees[0]}
    bodies: dict[str, _Tree] = {}
    for tree in trees:
        match tree:
            case ["define-fun", str() as name, parameters, sort, body] if name in signatures and name not in bodies:
                if [name, parameters, sort] != signatures[name]:
                    raise _Refused(f"another signature of {name} than {_text(signatures[name])}")
                bodies[name] = body
            case _:
                raise _Refused(f"something else than one define-fun for each of {', '.join(signatures)}")
    return bodies


def _check_symbols(tree: _Tree, known: frozenset[str]) -> None:
    """Every symbol is an operator, a parameter, or bound by a `let` around it."""
    match tree:
        case str():
            if tree not in known and not tree[0].isdigit():
                raise _Refused(f"the symbol {tree!r}, which is neither a parameter nor an operator")
        case ["let", list() as bindings, body]:
            names = set()
            for binding in bindings:
                if not isinstance(binding, list) or len(binding) != 2 or not isinstance(binding[0], str):
                    raise _Refused("a let that binds nothing")
                if binding[0] in known:
                    raise _Refused(f"a let that gives {binding[0]!r} another meaning")
                _check_symbols(binding[1], known)
                names.add(binding[0])
            _check_symbols(body, known | names)
        case [str() as head, *rest] if rest and head != "let":
            _check_symbols(head, known)
            for part in rest:
                _check_symbols(part, known)
        case _:
            raise _Refused("parentheses that are no application")


# ------------------------------------------------------------------------------------------------ reading


def _read(text: str) -> list[_Tree]:
    """The terms of a text, as symbols and lists.

    Raises:
        _Refused: it is long, deep, not balanced, or has a letter that no term here needs.
    """
    if len(text) > _MAX_ANSWER:
        raise _Refused(f"{len(text)} characters, over {_MAX_ANSWER}")
    stack: list[list[_Tree]] = [[]]
    for token in _tokens(_COMMENT.sub("", text)):
        if token == "(":
            if len(stack) > _MAX_DEPTH:
                raise _Refused(f"parentheses more than {_MAX_DEPTH} deep")
            stack.append([])
        elif token == ")":
            if len(stack) == 1:
                raise _Refused("a parenthesis too many")
            closed = stack.pop()
            stack[-1].append(closed)
        else:
            stack[-1].append(token)
    if len(stack) > 1:
        raise _Refused("a parenthesis that is not closed")
    if not stack[0]:
        raise _Refused("nothing in it")
    return stack[0]


def _tokens(text: str) -> Iterator[str]:
    place = 0
    text = text.strip()
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise _Refused(f"{text[place : place + 20].strip()!r}, which is no part of a term")
        place = found.end()
        yield found[1]


def _text(tree: _Tree) -> str:
    return tree if isinstance(tree, str) else f"({' '.join(map(_text, tree))})"
