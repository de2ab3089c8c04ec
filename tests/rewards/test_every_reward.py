"""What holds for every registered reward: its own checks, and a number for every text a policy can write."""

import asyncio
import math
import time

import pytest
from rewards.hostile import HOSTILE

from verigrad.cli.main import main
from verigrad.registry import resolve
from verigrad.rewards import REWARDS
from verigrad.rewards.base import Answer, score_answer
from verigrad.types import CallTest, Oracle, Task, TestResult, Verdict

TASK = Task(id="t", prompt="Write `double(n)`.", entry_point="double", stub="def double(n):\n")
GOLD = "def double(n):\n    return 2 * n\n"
ORACLE = Oracle(task_id="t", tests=tuple(CallTest(str(n), (n,), 2 * n) for n in range(4)), gold=GOLD)
FAILED = Verdict(status="failed", results=tuple(TestResult(str(n), "failed") for n in range(4)))


def score(name, program, verdict):
    answer = Answer(f"```python\n{program}\n```", program)
    reward = resolve(name, REWARDS, what="reward")
    return asyncio.run(score_answer(reward, TASK, answer, verdict, reference=GOLD, oracle=ORACLE))


@pytest.mark.parametrize("name", REWARDS)
def test_its_own_checks_hold(name, capsys):
    assert main(["check", "reward", name]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", REWARDS)
def test_no_program_is_too_strange(name):
    for kind, program in HOSTILE.items():
        started = time.perf_counter()
        found = score(name, program, FAILED)
        assert time.perf_counter() - started < 5, kind
        assert found.value is not None and math.isfinite(found.value), kind
        assert all(math.isfinite(part) for part in found.parts.values()), kind
