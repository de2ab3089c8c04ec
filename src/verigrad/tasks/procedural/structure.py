"""Structures of procedural programs: which pieces stand in which place. Constants and wording details come later.

    chain    operations one after the other, in one line or step by step
    branch   one operation where a condition holds, another where it does not
    loop     over a list or a text: what is gathered, of which items

A structure knows what it would be with a piece less, so that tests can be drawn that tell the two apart.
"""

from __future__ import annotations

import ast
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from random import Random
from string import Template

from verigrad.tasks.procedural.pieces import (
    ARGUMENTS,
    CHARACTER_CONDITIONS,
    CHARACTER_TERMS,
    CONDITIONS,
    NUMBER_TERMS,
    OPERATIONS,
    Kind,
    Operation,
    Piece,
)

__all__ = ["Draft", "Structure", "all_structures", "is_held_out"]

_HELD_OUT = 5  # one structure in so many


@dataclass(frozen=True)
class Draft:
    """A function of a structure, with its constants.

    Attributes:
        takes: kind of its argument.
        statement: what it does, in words.
        body: lines, indented by four spaces.
        simpler: bodies with a piece less, which must fail a test.
    """

    takes: Kind
    statement: str
    body: str
    simpler: tuple[str, ...]


class Structure(ABC):
    """Which pieces stand where."""

    @property
    @abstractmethod
    def key(self) -> str:
        """Names the structure; what is held out goes by it."""

    @property
    def kind(self) -> str:
        """What the key begins with, such as `branch`."""
        return self.key.partition("/")[0]

    @property
    @abstractmethod
    def held_out(self) -> bool:
        """Whether it is for `unseen_structures` alone."""

    @abstractmethod
    def draft(self, random: Random) -> Draft:
        """A function of this structure with constants drawn."""


def is_held_out(text: str) -> bool:
    """One text in five, the same ones on every machine."""
    return hashlib.sha256(text.encode()).digest()[0] % _HELD_OUT == 0


def all_structures(depth: int) -> list[Structure]:
    """Every structure, chains of at most `depth` operations."""
    chains = [chain for length in range(1, depth + 1) for chain in _chains(length)]
    found: list[Structure] = [_Chain(chain, style) for chain in chains for style in ("line", "steps")]
    numbers = [own for own in OPERATIONS if own.takes == own.gives == "number"]
    found += [_Branch(c, one, other) for c in CONDITIONS for one, other in product(numbers, numbers) if one != other]
    found += [
        _Loop("list", how, c, term) for how in ("sum", "collect") for c, term in product(CONDITIONS, NUMBER_TERMS)
    ]
    found += [_Loop("list", "count", c, NUMBER_TERMS[0]) for c in CONDITIONS]
    found += [
        _Loop("text", how, c, term)
        for how in ("join", "join_backwards")
        for c, term in product(CHARACTER_CONDITIONS, CHARACTER_TERMS)
    ]
    found += [_Loop("text", "count", c, CHARACTER_TERMS[0]) for c in CHARACTER_CONDITIONS]
    return found


def _chains(length: int) -> list[tuple[Operation, ...]]:
    """Sequences of operations that fit and of which none comes twice."""
    found: list[tuple[Operation, ...]] = [(own,) for own in OPERATIONS]
    for _ in range(length - 1):
        found = [(*c, own) for c in found for own in OPERATIONS if own.takes == c[-1].gives and own not in c]
    return [chain for chain in found if not any(pair in _IDLE for pair in _neighbours(chain))]


def _neighbours(chain: Sequence[Operation]) -> list[tuple[str, str]]:
    return [(one.key, other.key) for one, other in pairwise(chain)]


# Pairs of which one changes nothing after or before the other.
_IDLE = frozenset(
    (
        *(("negate", "absolute"), ("negate", "square"), ("absolute", "square"), ("square", "absolute")),
        *(("remainder", "absolute"), ("square", "at_least"), ("remainder", "at_most")),
        *(("reverse_text", "length"), ("upper", "length"), ("reverse_text", "count_letter"), ("upper", "count_letter")),
        *(("length", "absolute"), ("count_letter", "absolute"), ("upper", "remove_letter")),
        *(("count", "absolute"), ("length", "negate"), ("count_letter", "at_most"), ("count_letter", "divide")),
        *((sort, fold) for sort in ("sort", "reverse") for fold in ("sum", "largest", "smallest", "count")),
        *((each, "count") for each in ("add_each", "scale_each")),
        ("reverse", "sort"),
    )
)


def _filled(piece: Piece, random: Random) -> Piece:
    """The piece with its constant drawn."""
    constant = str(random.choice(piece.constants)) if piece.constants else ""
    words, code = (Template(text).safe_substitute(k=constant) for text in (piece.words, piece.code))
    return Piece(piece.key, words, code)


def _applied(piece: Piece, x: str) -> str:
    return Template(piece.code).substitute(x=x)


def _tidy(expression: str) -> str:
    """The expression with the brackets it needs and no others."""
    return ast.unparse(ast.parse(expression, mode="eval"))


def _called(words: str, x: str) -> str:
    return Template(words).substitute(x=x)


@dataclass(frozen=True)
class _Chain(Structure):
    operations: tuple[Operation, ...]
    style: str

    @property
    def key(self) -> str:
        return f"chain_{self.style}/{'+'.join(own.key for own in self.operations)}"

    @property
    def held_out(self) -> bool:
        return len(self.operations) > 1 and is_held_out("+".join(own.key for own in self.operations))

    def draft(self, random: Random) -> Draft:
        filled = [_filled(own, random) for own in self.operations]
        takes = self.operations[0].takes
        words = ", then ".join(own.words for own in filled)
        manner = "in one line" if self.style == "line" else "step by step"
        shorter = [filled[:gone] + filled[gone + 1 :] for gone in range(len(filled))]
        return Draft(
            takes=takes,
            statement=f"Take {ARGUMENTS[takes]}, {words}, {manner}.",
            body=_line(filled, takes) if self.style == "line" else _steps(filled, takes),
            simpler=tuple(_line(own, takes) for own in shorter),
        )


def _line(operations: Sequence[Piece], takes: Kind) -> str:
    expression = ARGUMENTS[takes]
    for own in operations:
        expression = _applied(own, f"({expression})")
    return f"    return {_tidy(expression)}\n"


def _steps(operations: Sequence[Piece], takes: Kind) -> str:
    name, lines = ARGUMENTS[takes], []
    for own in operations:
        lines.append(f"    out = {_tidy(_applied(own, name))}\n")
        name = "out"
    return "".join(lines) + "    return out\n"


@dataclass(frozen=True)
class _Branch(Structure):
    condition: Piece
    then: Operation
    otherwise: Operation

    @property
    def key(self) -> str:
        return f"branch/{self.condition.key}+{self.then.key}+{self.otherwise.key}"

    @property
    def held_out(self) -> bool:
        return is_held_out(self.key)

    def draft(self, random: Random) -> Draft:
        condition, then, otherwise = (_filled(own, random) for own in (self.condition, self.then, self.otherwise))
        one, other = (f"return {_tidy(_applied(own, 'n'))}\n" for own in (then, otherwise))
        return Draft(
            takes="number",
            statement=f"If {_called(condition.words, 'n')}, {then.words}; else {otherwise.words}.",
            body=f"    if {_applied(condition, 'n')}:\n        {one}    {other}",
            simpler=(f"    {one}", f"    {other}"),
        )


# How a loop gathers: what it starts from, what it does with a term, and how that is said.
_GATHER = {
    "sum": ("0", "out += {}", "sum up {}"),
    "count": ("0", "out += 1", "count it"),
    "collect": ("[]", "out.append({})", "collect {}"),
    "join": ("''", "out += {}", "append {}"),
    "join_backwards": ("''", "out = {} + out", "put {} in front"),
}


@dataclass(frozen=True)
class _Loop(Structure):
    takes: Kind
    how: str
    condition: Piece
    term: Piece

    @property
    def key(self) -> str:
        return f"loop_{self.takes}/{self.how}+{self.condition.key}+{self.term.key}"

    @property
    def held_out(self) -> bool:
        return is_held_out(self.key)

    def draft(self, random: Random) -> Draft:
        condition, term = _filled(self.condition, random), _filled(self.term, random)
        x, over = ("x", "xs") if self.takes == "list" else ("c", "s")
        start, action, words = _GATHER[self.how]
        act = action.format(_tidy(_applied(term, x)))
        head, test = f"    out = {start}\n    for {x} in {over}:\n", f"if {_applied(condition, x)}:"
        plain = action.format(x)
        simpler = [f"{head}        {act}\n    return out\n"]
        if plain != act:
            simpler.append(f"{head}        {test}\n            {plain}\n    return out\n")
        return Draft(
            takes=self.takes,
            statement=f"For each {x} of {over}: if {_called(condition.words, x)}, "
            f"{words.format(_called(term.words, x))}.",
            body=f"{head}        {test}\n            {act}\n    return out\n",
            simpler=tuple(simpler),
        )
