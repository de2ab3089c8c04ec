"""GSM8K: school mathematics in words, answered by one number (Cobbe et al., arXiv:2110.14168)."""

from __future__ import annotations

import re
from pathlib import Path

from verigrad.errors import TaskError
from verigrad.tasks.base import TaskSet
from verigrad.tasks.rows import read_rows, text_field
from verigrad.types import AnswerTest, Comparator, Oracle, Task

__all__ = ["VERSION", "load"]

VERSION = 1

_FINAL = re.compile(r"####\s*(-?[\d,]+(?:\.\d+)?)\s*$")


def load(path: str | Path, split: str = "test") -> TaskSet:
    """Load GSM8K's `.jsonl`, rows of `question` and an `answer` that ends in `#### n`.

    Args:
        split: name of the split in the file, which becomes part of the task ids; rows have no ids of their own.

    Raises:
        ConfigError: no such file.
        TaskError: a row has another form.
    """
    tasks, oracles = [], {}
    for index, (where, row) in enumerate(read_rows(path)):
        question, answer = text_field(row, "question", where), text_field(row, "answer", where)
        final = _FINAL.search(answer)
        if final is None:
            raise TaskError(f"{where}: the answer does not end in '#### n': {answer[-80:]!r}")
        task = Task(
            id=f"gsm8k@{VERSION}/{split}/{index}",
            prompt=f"{question.strip()}\n\nThink it through, then give the final number on the last line.",
            language="text",
            tags=("source:gsm8k", f"split:{split}"),
        )
        tests = (AnswerTest("answer", _number(final[1]), "number"),)
        tasks.append(task)
        oracles[task.id] = Oracle(task_id=task.id, tests=tests, gold=answer, comparator=Comparator(strict=False))
    return TaskSet(f"gsm8k@{VERSION}/{split}", tuple(tasks), oracles, {})


def _number(text: str) -> int | float:
    digits = text.replace(",", "")
    return float(digits) if "." in digits else int(digits)
