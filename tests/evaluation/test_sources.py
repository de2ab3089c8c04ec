"""EvalPlus files get their expected values from the canonical solutions, once."""

import asyncio
import json

import pytest

from verigrad.errors import TaskError
from verigrad.evaluation import sources
from verigrad.evaluation.sources import load_source
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.process import ProcessSandbox
from verigrad.types import Limits

ROWS = [
    {
        "task_id": "Mbpp/900001",
        "prompt": '"""\nWrite a function to double a number.\nassert twice(2) == 4\n"""\n',
        "entry_point": "twice",
        "canonical_solution": "\ndef twice(x):\n    return 2 * x\n",
        "base_input": [[2]],
        "plus_input": [[5], ["ab"], [[1]]],
        "atol": 0,
        "assertion": "\nassert twice(2) == 4\n",
    },
    {
        "task_id": "Mbpp/900002",
        "prompt": '"""\nWrite a function to look for an a.\nassert has_a("xa")\n"""\n',
        "entry_point": "has_a",
        "canonical_solution": "\nimport re\ndef has_a(text):\n    return re.search('a', text)\n",
        "base_input": [["xa"]],
        "plus_input": [["b"]],
        "atol": 0,
        "assertion": '\nassert has_a("xa")\nassert not has_a("b")\n',
    },
]


def judged(tasks, programs):
    async def run():
        async with ProcessSandbox() as sandbox:
            judge = Judge(sandbox)
            return [
                (await judge.judge(program, tasks.oracle(task), task.entry_point)).status
                for task, program in zip(tasks.tasks, programs, strict=True)
            ]

    return asyncio.run(run())


def test_expected_values_come_from_the_canonical_solutions(tmp_path, monkeypatch):
    monkeypatch.setenv("VERIGRAD_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "plus.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    tasks = load_source(f"evalplus:{file}")
    twice, has_a = (tasks.oracle(task) for task in tasks.tasks)
    assert [test.expected for test in twice.tests] == [4, 10, "abab", [1, 1]]
    assert [test.expected for test in has_a.tests] == [True, False]
    golds = [row["canonical_solution"] for row in ROWS]
    assert judged(tasks, golds) == ["passed", "passed"]
    wrong = ["def twice(x):\n    return x + 2\n", "def has_a(text):\n    return True\n"]
    assert judged(tasks, wrong) == ["failed", "failed"]
    (cached,) = (tmp_path / "cache" / "evalplus").iterdir()
    before = cached.stat().st_mtime_ns
    assert load_source(f"evalplus:{file}") == tasks
    assert cached.stat().st_mtime_ns == before


def test_a_time_out_is_no_value_to_keep(tmp_path, monkeypatch):
    """A busy machine would drop tests for good."""
    monkeypatch.setenv("VERIGRAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sources, "_GOLD_LIMITS", Limits(cpu_s=0.3, wall_s=3.0))
    file = tmp_path / "plus.jsonl"
    slow = "\ndef twice(x):\n    while x == 5:\n        pass\n    return 2 * x\n"
    file.write_text(json.dumps({**ROWS[0], "canonical_solution": slow}))
    with pytest.raises(TaskError, match="Mbpp/900001: the canonical solution does not finish"):
        load_source(f"evalplus:{file}")
    assert not (tmp_path / "cache" / "evalplus").exists()
