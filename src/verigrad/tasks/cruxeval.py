"""CRUXEval, output prediction: what does this call return? (Gu et al., arXiv:2401.03065).

The answer is a Python literal, compared by value; nothing runs.
"""

from __future__ import annotations

from pathlib import Path

from verigrad.errors import TaskError
from verigrad.tasks.asserts import EQUAL
from verigrad.tasks.base import TaskSet
from verigrad.tasks.constants import Evaluator, NotConstant
from verigrad.tasks.rows import read_rows, text_field
from verigrad.types import AnswerTest, Oracle, Task

__all__ = ["VERSION", "load"]

VERSION = 1

_PROMPT = """What does `{call}` return?

```python
{code}
```

Think it through, then give the value on the last line as a Python literal and nothing else."""


def load(path: str | Path) -> TaskSet:
    """Load CRUXEval's `.jsonl`, rows of `code`, `input`, `output` and `id`.

    Raises:
        ConfigError: no such file.
        TaskError: a row has another form, or an output that is no literal.
    """
    tasks, oracles, aliases = [], {}, {}
    for where, row in read_rows(path):
        code, argument, output, native_id = (text_field(row, key, where) for key in ("code", "input", "output", "id"))
        task = Task(
            id=f"cruxeval@{VERSION}/{native_id.rpartition('_')[2]}",
            prompt=_PROMPT.format(call=f"f({argument})", code=code),
            language="text",
            tags=("source:cruxeval",),
        )
        try:
            expected = Evaluator().evaluate_source(output)
        except NotConstant as error:
            raise TaskError(f"{where}: the output is no literal: {error}") from error
        tests = (AnswerTest("output", expected, "literal"),)
        tasks.append(task)
        oracles[task.id] = Oracle(task_id=task.id, tests=tests, gold=output, comparator=EQUAL)
        aliases[native_id] = task.id
    return TaskSet(f"cruxeval@{VERSION}", tuple(tasks), oracles, aliases)
