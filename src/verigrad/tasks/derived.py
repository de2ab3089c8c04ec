"""Other tasks made of tasks with a gold program: fill a gap in it, mend it, say what it returns.

What is run here is the source's own gold program, changed by us, and never what a policy wrote.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import chain, islice
from random import Random
from typing import Any

from verigrad.errors import TaskError
from verigrad.seeds import derive_seed
from verigrad.tasks.base import TaskSet
from verigrad.tasks.builtin.adequacy import agree, load_function
from verigrad.tasks.builtin.prompt import literal
from verigrad.tasks.mutate import changed_lines, changed_tokens
from verigrad.types import AnswerTest, CallTest, Oracle, Task

__all__ = ["Infill", "infills", "outputs", "repairs"]

_MUTANTS_TRIED = 40
_NEIGHBOURS = 8  # programs whose lines a line may be replaced by
_MOST_LINES = 2000  # that a mutant may run on one input


@dataclass(frozen=True)
class Infill:
    """A gold program with a gap of whole lines; `prefix + middle + suffix` is the program.

    Attributes:
        task: whose program it is; its oracle judges the filled program.
    """

    task: Task
    prefix: str
    middle: str
    suffix: str


def infills(tasks: TaskSet, *, several_lines: bool = False, seed: int = 0) -> list[Infill]:
    """One gap in each task's gold program, behind its first line: one line, or two and more in a row.

    Tasks without a gold program, or with too short a one, are left out. The gap keeps its last line feed, so that the
    suffix begins at a line's start.
    """
    found = []
    for task in tasks.tasks:
        lines = (tasks.oracle(task).gold or "").splitlines(keepends=True)
        spans = [
            (start, stop)
            for start in range(1, len(lines))
            for stop in range(start + 1, len(lines) + 1)
            if (stop - start > 1) == several_lines and "".join(lines[start:stop]).strip()
        ]
        if spans:
            start, stop = Random(derive_seed(seed, "infill", several_lines, task.id)).choice(spans)
            parts = ("".join(part) for part in (lines[:start], lines[start:stop], lines[stop:]))
            found.append(Infill(task, *parts))
    return found


def repairs(tasks: TaskSet, *, seed: int = 0) -> TaskSet:
    """The same tasks with a broken program in the prompt: every other one has a token changed, the rest a line.

    The broken program fails a hidden test. Tasks whose program no change of ours breaks are left out. The prompt ends
    with the broken program in a fence; the tag `broken:` holds what was changed.

    Raises:
        TaskError: no task is left.
    """
    golds = [tasks.oracle(task).gold or "" for task in tasks.tasks]
    changed, oracles = [], {}
    for number, task in enumerate(tasks.tasks):
        oracle, random = tasks.oracle(task), Random(derive_seed(seed, "repair", task.id))
        neighbours = [golds[(number + step) % len(golds)] for step in range(1, _NEIGHBOURS)]
        kind, broken = _broken(task, oracle, neighbours, number % 2 == 0, random)
        if broken:
            own_id = _form_id(task.id, "repair")
            prompt = f"Mend this program.\n{task.prompt}\n```python\n{_ended(broken)}```"
            changed.append(replace(task, id=own_id, prompt=prompt, tags=(*task.tags, "form:repair", f"broken:{kind}")))
            oracles[own_id] = replace(oracle, task_id=own_id)
    if not changed:
        raise TaskError(f"{tasks.name}: no gold program that a change of one token or line breaks")
    return TaskSet(f"{tasks.name}/repair", tuple(changed), oracles, {})


def _broken(
    task: Task, oracle: Oracle, neighbours: list[str], token_first: bool, random: Random
) -> tuple[str, str | None]:
    gold, name = oracle.gold, task.entry_point
    if gold is None or name is None:
        return "", None
    by_token: Iterator[tuple[str, str]] = (("token", text) for text in changed_tokens(gold, random))
    by_line: Iterator[tuple[str, str]] = (("line", text) for text in changed_lines(gold, neighbours, random))
    order = (by_token, by_line) if token_first else (by_line, by_token)
    tests = [test for test in oracle.tests if isinstance(test, CallTest)]
    for kind, text in islice(chain(*order), _MUTANTS_TRIED):
        if _fails(text, name, tests, oracle):
            return kind, text
    return "", None


def _fails(source: str, name: str, tests: list[CallTest], oracle: Oracle) -> bool:
    """Whether our own mutant gives another value than is expected, without stopping on any input.

    Mutants that raise are passed over: they are found by running them, and mended by reading the error.
    """
    try:
        function = load_function(source, name)
        values = [_bounded(function, test) for test in tests]
        literal(values)
    except Exception:  # a mutant may fail in any way
        return False
    pairs = zip(values, tests, strict=True)
    return not all(agree(value, test.expected, test.comparator or oracle.comparator) for value, test in pairs)


def _bounded(function: Callable[..., Any], test: CallTest) -> Any:
    """What the function returns; a mutated loop may never end, so it is stopped after some lines.

    It is given copies, since what it does to its arguments must not change the test.
    """
    arguments, options = deepcopy(test.args), deepcopy(dict(test.kwargs))
    left = _MOST_LINES

    def count(frame: Any, event: str, argument: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise TimeoutError(f"more than {_MOST_LINES} lines")
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        return function(*arguments, **options)
    finally:
        sys.settrace(before)


def _ended(program: str) -> str:
    """With the line feed that a fence behind it needs."""
    return program if program.endswith("\n") else program + "\n"


def outputs(tasks: TaskSet, *, seed: int = 0) -> TaskSet:
    """What does this program return for this call? One hidden test of each task, as CRUXEval asks (arXiv:2401.03065).

    Only of tests whose expected value is what is returned, and not a set or choice of what may be.

    Raises:
        TaskError: no task has a gold program and a test that calls it.
    """
    asked, oracles = [], {}
    for task in tasks.tasks:
        oracle = tasks.oracle(task)
        tests = [test for test in oracle.tests if isinstance(test, CallTest) and _tells_value(test, oracle)]
        if oracle.gold is None or task.entry_point is None or not tests:
            continue
        test = Random(derive_seed(seed, "output", task.id)).choice(tests)
        own_id = _form_id(task.id, "output")
        call = f"{task.entry_point}({', '.join(map(literal, test.args))})"
        asked.append(
            Task(
                id=own_id,
                prompt=f"What does {call} return?\n```python\n{_ended(oracle.gold)}```",
                language="text",
                tags=(*task.tags, "form:output"),
                difficulty=task.difficulty,
            )
        )
        answer = AnswerTest("output", test.expected, "literal")
        own = replace(test.comparator or oracle.comparator, strict=False)
        oracles[own_id] = Oracle(task_id=own_id, tests=(answer,), gold=literal(test.expected), comparator=own)
    if not asked:
        raise TaskError(f"{tasks.name}: no gold program with a test that calls it, so nothing to predict")
    return TaskSet(f"{tasks.name}/output", tuple(asked), oracles, {})


def _tells_value(test: CallTest, oracle: Oracle) -> bool:
    return not test.kwargs and (test.comparator or oracle.comparator).mode == "exact"


def _form_id(task_id: str, form: str) -> str:
    """`source@1/split/3` -> `source@1/split/repair/3`, so that forms of a task are told apart."""
    head, _, tail = task_id.rpartition("/")
    return f"{head}/{form}/{tail}"
