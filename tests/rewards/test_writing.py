"""How answers are written, counted by hand."""

import pytest

from verigrad.rewards.base import Answer
from verigrad.rewards.writing import brevity, form, repeated_share, repetition
from verigrad.types import Task, TestResult, Verdict

TASK = Task(id="t", prompt="", entry_point="f")
PASSED = Verdict(status="passed", results=(TestResult("a", "passed"),))
FAILED = Verdict(status="failed", results=(TestResult("a", "failed"),))
CODE = "def f(a):\n    return a\n"


@pytest.mark.parametrize(
    ("text", "program", "stop_reason", "value"),
    [
        (f"Here:\n```python\n{CODE}```\nDone.", CODE, "stop", 1),
        (f"```python\n{CODE}```\n```python\n{CODE}```", CODE, "stop", 0),
        (f"```python\n{CODE}", CODE, "stop", 0),
        (f"```python\n{CODE}```", CODE, "length", 0),
        (CODE, CODE, "stop", 0),
        ("```python\ndef f(a):\n    pass\n```", "def f(a):\n    pass\n", "stop", 0),
        ("```\n```", None, "stop", 0),
        ("", None, "stop", 0),
    ],
)
def test_form(text, program, stop_reason, value):
    assert form(TASK, Answer(text, program, stop_reason), None).value == value


def test_brevity_counts_nodes_of_programs_that_pass():
    # Module, FunctionDef, arguments, arg, Return, Name, Load: 7 nodes; assigning adds Assign, Name, Store, Constant.
    longer = "def f(some_long_name):\n    b = 1   # and a comment\n    return some_long_name\n"
    assert brevity(TASK, Answer("", longer), PASSED, reference=CODE).value == pytest.approx(7 / 11)
    assert brevity(TASK, Answer("", CODE), PASSED, reference=longer).value == 1.0
    assert brevity(TASK, Answer("", CODE), FAILED, reference=longer).value == 0.0
    assert brevity(TASK, Answer("", None), None, reference=CODE).value == 0.0
    with pytest.raises(ValueError, match="has no gold program"):
        brevity(TASK, Answer("", CODE), PASSED, reference=None)


def test_repetition_counted_by_hand():
    text = "one two three " * 10  # 30 words, 11 runs of 20 words, 3 of them distinct
    assert repeated_share(text) == pytest.approx(8 / 11)
    assert repetition(TASK, Answer(text, None), None).value == pytest.approx(-8 / 11)
    assert repetition(TASK, Answer("short", None), None).value == 0.0
    assert repetition(TASK, Answer("".join(f"v{n} = {n}\n" for n in range(500)), None), None).value == 0.0
    assert repetition(TASK, Answer("x" * 100_000, None), None).value < -0.99
    assert repetition(TASK, Answer("=" * 100_000, None), None).value < -0.99
