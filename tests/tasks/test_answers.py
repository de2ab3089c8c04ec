"""CRUXEval and GSM8K: tasks whose answer is no program."""

import ast
import json

import pytest

from verigrad.errors import TaskError
from verigrad.tasks import cruxeval, gsm8k
from verigrad.types import AnswerTest


def test_cruxeval_outputs_are_what_the_code_returns(data_file):
    """The outputs in the file are checked by running the code, which is the benchmark's own."""
    path = data_file("cruxeval.jsonl")
    tasks = cruxeval.load(path)
    assert len(tasks) == 800
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row, task in zip(rows[:200], tasks.tasks, strict=False):
        names = {}
        exec(row["code"], names)
        (test,) = tasks.oracle(task).tests
        assert eval(f"f({row['input']})", names) == test.expected
        assert tasks.aliases[row["id"]] == task.id
        assert row["code"] in task.prompt and row["output"] not in task.prompt.replace(row["code"], "")[-60:]


def test_cruxeval_expects_values_not_text(data_file):
    tasks = cruxeval.load(data_file("cruxeval.jsonl"))
    assert all(repr(t.expected) == repr(ast.literal_eval(o.gold)) for o in tasks.oracles.values() for t in o.tests)


def test_gsm8k(data_file):
    tasks = gsm8k.load(data_file("gsm8k_test.jsonl"))
    assert len(tasks) == 1319
    assert tasks.oracles["gsm8k@1/test/0"].tests == (AnswerTest("answer", 18, "number"),)
    assert tasks.tasks[0].language == "text"
    assert "18" not in tasks.tasks[0].prompt


@pytest.mark.parametrize(("final", "number"), [("#### 1,234", 1234), ("#### -5 ", -5), ("####2.50", 2.5)])
def test_gsm8k_numbers(tmp_path, final, number):
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps({"question": "How many?", "answer": f"It is 7.\n{final}"}))
    (oracle,) = gsm8k.load(path, split="train").oracles.values()
    assert oracle.task_id == "gsm8k@1/train/0"
    assert oracle.tests[0].expected == number
    assert type(oracle.tests[0].expected) is type(number)


def test_rows_without_an_answer(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps({"question": "How many?", "answer": "7"}))
    with pytest.raises(TaskError, match=r"train\.jsonl:1: the answer does not end in '#### n'"):
        gsm8k.load(path)
    path.write_text(json.dumps({"code": "", "input": "", "output": "g()", "id": "sample_0"}))
    with pytest.raises(TaskError, match=r"train\.jsonl:1: the output is no literal"):
        cruxeval.load(path)
