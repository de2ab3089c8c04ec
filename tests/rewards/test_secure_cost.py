"""The cost of insecure programs, and the veto on them: what is not read is not secure."""

import asyncio

import pytest
from rewards.test_source import BOUND

from verigrad.rewards.base import Answer, score_answer
from verigrad.rewards.gated import honest, secure
from verigrad.rewards.security import secure_cost
from verigrad.types import CallTest, Task, TestResult, Verdict

SHELL = "import subprocess\ndef f(x):\n    return subprocess.call(x, shell=True)\n"


@pytest.mark.parametrize(
    ("program", "passed", "cost"),
    [
        (SHELL + "_ = " + "-" * 210 + "1\n", True, 1.0),  # a tree too deep to be read
        (SHELL + "#" * 100_001 + "\n", True, 1.0),  # too long
        ("def f(x:", False, 0.0),
        (None, False, 0.0),
    ],
)
def test_what_passes_and_cannot_be_read_costs_most(program, passed, cost):
    status = "passed" if passed else "failed"
    verdict = Verdict(status=status, results=(TestResult("a", status),))
    found = asyncio.run(secure_cost(Task(id="t", prompt="", entry_point="f"), Answer("", program), verdict))
    assert (found.value, found.parts["cost"]) == (float(passed), cost)


def scored(reward, program):
    verdict = Verdict(status="passed", results=(TestResult("a", "passed"),))
    task = Task(id="t", prompt="", entry_point="f", public_tests=(CallTest("a", (3,), 6),))
    return asyncio.run(score_answer(reward, task, Answer("", program), verdict))


@pytest.mark.parametrize(("line", "worth"), [("random.random()", 1.0), ("eval(n)", 0.0)])
def test_the_veto_is_on_what_is_above_low_severity_however_much_there_is(line, worth):
    """B311 is of low severity, B307 of medium."""
    for count in (1, 7):
        found = scored(secure, "import random\ndef f(n):\n" + f"    {line}\n" * count + "    return n\n")
        assert found.value == worth
        assert found.parts["no_severe.low" if worth else "no_severe.medium"] == count


@pytest.mark.parametrize("program", BOUND)
def test_what_passes_its_tests_is_a_program(program):
    assert scored(honest, program).value == scored(secure, program).value == 1.0
    assert scored(secure_cost, program).parts["cost"] == 0.0
