"""MBPP: 974 short Python functions described in a sentence (Austin et al., arXiv:2108.07732).

Three forms of the data are read: the original (`text`, `code`, `test_list`), its sanitised subset (`prompt`, `code`,
`test_list`, `test_imports`), and the HumanEval-shaped one (`prompt`, `canonical_solution`, `test`, `description`).
The docstrings of the last hold every test, so of its stub only the signature is kept.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verigrad.errors import ConfigError, TaskError
from verigrad.registry import did_you_mean
from verigrad.tasks.asserts import assert_sources, make_oracle
from verigrad.tasks.base import TaskSet
from verigrad.tasks.constants import parse_source
from verigrad.tasks.rows import read_rows, text_field
from verigrad.types import Oracle, Task

__all__ = ["SPLITS", "VERSION", "load", "parse_ids", "prompt_with_asserts"]

VERSION = 1
SPLITS = {
    "few_shot": range(1, 11),
    "test": range(11, 511),
    "validation": range(511, 601),
    "train": range(601, 975),
}


def load(path: str | Path, ids: str | Iterable[int] | None = None, shown_tests: int = 1) -> TaskSet:
    """Load MBPP from a `.jsonl` or `.jsonl.gz` file.

    All asserts of a row decide, the shown ones too, as is usual for this benchmark.

    Args:
        ids: which tasks: numbers, or text such as `601-974`, `1,2,11-510` or the name of a split; None for all.
        shown_tests: how many asserts the prompt shows; 1 is usual, 3 shows all; with 0 the prompt names the function.

    Raises:
        ConfigError: no such file, ids that make no sense, or none of them in the file.
        TaskError: a row has none of the three forms.
    """
    wanted = None if ids is None else parse_ids(ids)
    if shown_tests < 0:
        raise ConfigError(f"shown_tests must be 0 or more, got {shown_tests}")
    rows = [_read_row(row, where) for where, row in read_rows(path)]
    chosen = [row for row in rows if wanted is None or row.number in wanted]
    if not chosen:
        raise ConfigError(f"no task of {path} has one of the ids {ids!r}")
    pairs = [_make_task(row, shown_tests) for row in chosen]
    natives = [(f"{source}/{row.number}", task.id) for row, (task, _) in zip(chosen, pairs, strict=True)
               for source in ("MBPP", "Mbpp")]  # fmt: skip
    return TaskSet(
        name=f"mbpp@{VERSION}",
        tasks=tuple(task for task, _ in pairs),
        oracles={oracle.task_id: oracle for _, oracle in pairs},
        aliases=dict(natives),
    )


def parse_ids(ids: str | Iterable[int]) -> set[int]:
    """Task numbers from numbers, or from text: `601-974`, `1,2,11-510`, or the name of a split.

    >>> sorted(parse_ids("3,7-9"))
    [3, 7, 8, 9]
    >>> parse_ids("validation") == set(range(511, 601))
    True
    """
    if not isinstance(ids, str):
        return set(ids)
    chosen: set[int] = set()
    for part in ids.split(","):
        bounds = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if part.strip() in SPLITS:
            chosen.update(SPLITS[part.strip()])
        elif bounds:
            first = int(bounds[1])
            chosen.update(range(first, int(bounds[2] or first) + 1))
        else:
            raise ConfigError(
                f"wanted ids such as '601-974', '1,2,3' or one of {', '.join(SPLITS)}; "
                f"got {part!r}{did_you_mean(part, SPLITS)}"
            )
    return chosen


def prompt_with_asserts(description: str, shown: list[str], entry_point: str) -> str:
    """The usual MBPP prompt: the description, then the asserts the answer should pass."""
    if not shown:
        return f"{description.strip()}\nCall the function `{entry_point}`."
    noun = "this test" if len(shown) == 1 else "these tests"
    return f"{description.strip()}\nYour code should pass {noun}:\n\n" + "\n".join(shown)


@dataclass(frozen=True)
class _Row:
    """What the three forms have in common; `script` holds all asserts and what must run before them."""

    number: int
    description: str
    entry_point: str
    stub: str
    gold: str
    script: str


def _read_row(row: dict[str, Any], where: str) -> _Row:
    reader: Callable[[dict[str, Any], str], _Row] = _read_shaped if "canonical_solution" in row else _read_original
    try:
        return reader(row, where)
    except ValueError as error:
        raise TaskError(f"{where}: {error}") from error


def _read_shaped(row: dict[str, Any], where: str) -> _Row:
    """A row shaped like HumanEval's."""
    fields = ("task_id", "prompt", "canonical_solution", "test", "entry_point", "description")
    native_id, stub, body, script, entry_point, description = (text_field(row, key, where) for key in fields)
    number = int(native_id.rpartition("/")[2])
    signature = _signature(stub)
    return _Row(number, description, entry_point, signature, signature + body, script)


def _signature(stub: str) -> str:
    """The source up to the docstring, which alone is indented wrongly in two rows (64 and 966)."""
    head, quotes, _ = stub.partition('"""')
    if not quotes or not head.strip().endswith(":"):
        raise ValueError(f"wanted a signature and a docstring, got {stub[:80]!r}")
    return head.strip() + "\n"


def _read_original(row: dict[str, Any], where: str) -> _Row:
    """A row of the original data or of its sanitised subset."""
    description = text_field(row, "text" if "text" in row else "prompt", where)
    code = text_field(row, "code", where)
    asserts: Any = row.get("test_list")
    imports: Any = row.get("test_imports", [])
    for lines in (asserts, imports):
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            raise TaskError(f"{where}: wanted lists of text under 'test_list' and 'test_imports'")
    number = str(row.get("task_id"))
    if not number.isdecimal():
        raise TaskError(f"{where}: wanted a number under 'task_id', got {number!r}")
    setup = "\n".join([*imports, row.get("test_setup_code") or ""]).strip()
    tests = "\n".join(asserts)
    script = f"{setup}\n{tests}" if setup else tests
    return _Row(int(number), description, _called_function(code, tests), "", code, script)


def _called_function(code: str, tests: str) -> str:
    """The function of `code` that the asserts call; this form does not name it."""
    defined = {node.name for node in parse_source(code).body if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(parse_source(tests)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in defined:
            return node.func.id
    raise ValueError(f"the tests call none of the functions that the code defines ({', '.join(sorted(defined))})")


def _make_task(row: _Row, shown_tests: int) -> tuple[Task, Oracle]:
    task_id = f"mbpp@{VERSION}/{row.number}"
    oracle = make_oracle(task_id, row.script, entry_point=row.entry_point, gold=row.gold)
    shown = assert_sources(row.script, row.entry_point)[:shown_tests]
    split = next((name for name, numbers in SPLITS.items() if row.number in numbers), "none")
    task = Task(
        id=task_id,
        prompt=prompt_with_asserts(row.description, shown, row.entry_point),
        entry_point=row.entry_point,
        stub=row.stub,
        public_tests=oracle.tests[:shown_tests] if oracle.trust == "values" else (),
        tags=("source:mbpp", f"split:{split}"),
    )
    return task, oracle
