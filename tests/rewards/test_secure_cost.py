"""The cost of insecure programs: what is not read is not secure."""

import asyncio

import pytest

from verigrad.rewards.base import Answer
from verigrad.rewards.security import secure_cost
from verigrad.types import Task, TestResult, Verdict

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
