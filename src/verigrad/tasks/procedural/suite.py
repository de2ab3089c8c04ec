"""The procedural suite: as many small functions as wanted, for models too small for anything else.

    train               known structures
    validation          the same structures, programs that are in no other split
    unseen_structures   structures that are in no other split: their pieces are known, their combination is not

The forms `repair` and `output` are made of the same functions (`verigrad.tasks.derived`).
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Any, Literal, get_args

from verigrad.errors import ConfigError, TaskError
from verigrad.registry import did_you_mean
from verigrad.seeds import derive_seed
from verigrad.tasks.base import TaskSet
from verigrad.tasks.builtin.adequacy import constant_pass_rate, load_function, passes
from verigrad.tasks.builtin.prompt import literal
from verigrad.tasks.derived import outputs, repairs
from verigrad.tasks.procedural.pieces import ARGUMENTS, draw_input
from verigrad.tasks.procedural.structure import Draft, Structure, all_structures
from verigrad.types import CallTest, Comparator, Oracle, Task

__all__ = ["SPLITS", "VERSION", "Form", "Split", "load", "structures"]

VERSION = 1
Split = Literal["train", "validation", "unseen_structures"]
Form = Literal["write", "repair", "output"]
SPLITS = get_args(Split)

_MOST_OF_ONE_VALUE = 0.6
_LARGEST = 9999
_ATTEMPTS = 60
_VALIDATION = 6  # one program in so many
_NAMES = ("f", "g", "h")
_STRICT = Comparator()


@cache
def structures(split: str, depth: int) -> tuple[Structure, ...]:
    """The structures of a split, chains of at most `depth` operations."""
    return tuple(own for own in all_structures(depth) if own.held_out == (split == "unseen_structures"))


def load(
    split: str = "train",
    *,
    form: str = "write",
    count: int = 200,
    depth: int = 2,
    seed: int = 0,
    num_tests: int = 8,
    num_public: int = 2,
) -> TaskSet:
    """Make tasks: a statement, examples, hidden tests and a gold program each.

    Args:
        split: one of `SPLITS`.
        form: `write` the function, `repair` one with a mutated token or line, or say the `output` of a call.
        count: of tasks, no program twice; as many of each kind of structure, whose structures come round after round.
        depth: operations of the longest chains.
        seed: other seeds give other tasks, whose ids end in `-<seed>`.
        num_tests: hidden tests.
        num_public: examples in the prompt.

    Raises:
        ConfigError: an unknown split or form, or a number below 1.
        TaskError: too few different functions can be told from simpler ones.
    """
    _check(split, form, count=count, depth=depth, num_tests=num_tests, num_public=num_public)
    tasks: list[Task] = []
    oracles: dict[str, Oracle] = {}
    taken: set[str] = set()  # a program twice would count twice, and make intervals too narrow
    kinds = tuple(sorted({own.kind for own in structures(split, depth)}))
    for number in range(_ATTEMPTS * count):
        if len(tasks) == count:
            break
        turn, which = divmod(number, len(kinds))
        structure = _structure(split, depth, kinds[which], seed, turn)
        random = Random(derive_seed("procedural", VERSION, split, seed, number))
        own = _make(structure, split, random, num_tests, num_public)
        if own is not None and (program := _whatever_its_name(own.draft)) not in taken:
            taken.add(program)
            task_id = f"procedural@{VERSION}/{split}/{len(tasks)}" + (f"-{seed}" if seed else "")
            tasks.append(_task(task_id, structure, own))
            oracles[task_id] = Oracle(
                task_id=task_id, tests=own.hidden, gold=own.gold, constant_pass_rate=own.constant_pass_rate
            )
    if len(tasks) < count:
        raise TaskError(
            f"procedural: only {len(tasks)} of {count} different tasks of split {split!r}; wanted fewer or more depth"
        )
    taskset = TaskSet(f"procedural@{VERSION}/{split}", tuple(tasks), oracles, {})
    return taskset if form == "write" else {"repair": repairs, "output": outputs}[form](taskset, seed=seed)


def _check(split: str, form: str, **numbers: int) -> None:
    if split not in SPLITS:
        raise ConfigError(f"unknown split {split!r}{did_you_mean(split, SPLITS)}; known: {', '.join(SPLITS)}")
    if form not in get_args(Form):
        raise ConfigError(f"unknown form {form!r}; known: {', '.join(get_args(Form))}")
    for name, value in numbers.items():
        if value < 1:
            raise ConfigError(f"{name} is {value}; wanted 1 or more")


def _structure(split: str, depth: int, kind: str, seed: int, number: int) -> Structure:
    """The structure whose turn it is; those of a kind come round after round."""
    own = _of_kind(split, depth, kind)
    turn, place = divmod(number, len(own))
    return own[_order(len(own), split, kind, seed, turn)[place]]


@cache
def _of_kind(split: str, depth: int, kind: str) -> tuple[Structure, ...]:
    return tuple(own for own in structures(split, depth) if own.kind == kind)


@cache
def _order(count: int, split: str, kind: str, seed: int, turn: int) -> list[int]:
    return Random(derive_seed("procedural", VERSION, split, kind, seed, turn)).sample(range(count), count)


@dataclass(frozen=True)
class _Function:
    name: str
    draft: Draft
    gold: str
    examples: tuple[CallTest, ...]
    hidden: tuple[CallTest, ...]
    constant_pass_rate: float


def _make(structure: Structure, split: str, random: Random, num_tests: int, num_public: int) -> _Function | None:
    """A function of the structure with adequate tests, which belongs to the split; None where none is found."""
    for _ in range(_ATTEMPTS // 10):
        draft = structure.draft(random)
        if split != "unseen_structures" and _for_validation(draft) != (split == "validation"):
            continue
        name = random.choice(_NAMES)
        gold = _program(name, draft, draft.body)
        drawn = _draw_tests(load_function(gold, name), draft, random, num_tests + num_public)
        if drawn is None:
            continue
        examples, hidden = drawn[:num_public], drawn[num_public:]
        rate = constant_pass_rate([test.expected for test in hidden], _STRICT)
        simpler = [load_function(_program(name, draft, body), name) for body in draft.simpler]
        told = len(examples) == 1 or constant_pass_rate([test.expected for test in examples], _STRICT) < 1
        if told and rate < _MOST_OF_ONE_VALUE and not any(passes(own, hidden, _STRICT) for own in simpler):
            renamed = tuple(replace(test, name=f"example_{n}") for n, test in enumerate(examples, 1))
            return _Function(name, draft, gold, renamed, hidden, rate)
    return None


def _program(name: str, draft: Draft, body: str) -> str:
    return f"def {name}({ARGUMENTS[draft.takes]}):\n{body}"


def _for_validation(draft: Draft) -> bool:
    """One program in six, whatever the name of its function."""
    return hashlib.sha256(_whatever_its_name(draft).encode()).digest()[0] % _VALIDATION == 0


def _whatever_its_name(draft: Draft) -> str:
    """The program's syntax tree, the same under every name of the function."""
    return ast.dump(ast.parse(_program("f", draft, draft.body)))


def _draw_tests(solve: Callable[..., Any], draft: Draft, random: Random, wanted: int) -> tuple[CallTest, ...] | None:
    """Tests with different arguments, on which the function gives small values; None where they are hard to find."""
    tests: dict[str, CallTest] = {}
    for _ in range(10 * wanted):
        argument = draw_input(draft.takes, random)
        try:
            value = solve(argument)
        except (ValueError, IndexError):  # the largest of nothing, the first of nothing
            continue
        if _size(value) <= _LARGEST:
            tests.setdefault(literal(argument), CallTest(f"test_{len(tests) + 1}", (argument,), value))
        if len(tests) == wanted:
            return tuple(tests.values())
    return None


def _size(value: Any) -> int:
    return max(map(abs, value), default=0) if isinstance(value, list) else abs(value) if isinstance(value, int) else 0


def _task(task_id: str, structure: Structure, own: _Function) -> Task:
    examples = "\n".join(f"{own.name}({literal(test.args[0])}) == {literal(test.expected)}" for test in own.examples)
    return Task(
        id=task_id,
        prompt=f"{own.name}({ARGUMENTS[own.draft.takes]}): {own.draft.statement}\n{examples}",
        entry_point=own.name,
        public_tests=own.examples,
        tags=("source:procedural", f"family:{structure.key}", f"topic:{structure.kind}"),
        difficulty="easy",
    )
