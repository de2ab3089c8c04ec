"""CrossHair in the sandbox: what it finds counts only once it has been run."""

import asyncio

import pytest

from verigrad.rewards import symbolic as module
from verigrad.rewards.base import Answer, score_answer
from verigrad.rewards.counterexample import Reruns
from verigrad.rewards.symbolic import annotation, search, symbolic
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.process import ProcessSandbox
from verigrad.types import CallTest, Oracle, Task

TASK = Task(id="t", prompt="The sum of a list and a number.", entry_point="total")
GOLD = "def total(a, b):\n    assert len(a) < 9\n    return sum(a) + b\n"
TESTS = tuple(CallTest(str(n), (list(range(n)), n), sum(range(n)) + n) for n in range(5))
ORACLE = Oracle(task_id="t", tests=TESTS, gold=GOLD)
WRONG = "def total(a, b):\n    if len(a) == 3 and a[1] == 77:\n        return 0\n    return sum(a) + b\n"
LONG = "def total(a, b):\n    if len(a) > 9:\n        return 0\n    return sum(a) + b\n"
DECOY = (
    "def total(a, b):\n    if len(a) > 9:\n        return 0\n"
    "    if b == 1234:\n        return 1\n    return sum(a) + b\n"
)
DIES = (
    "import os, sys\n\ndef total(a, b):\n    if 'crosshair' in sys.modules:\n        os._exit(0)\n"
    "    return sum(a) + b\n"
)


@pytest.fixture(scope="module")
def sandbox():
    sandbox = ProcessSandbox(workers=1)
    yield sandbox
    asyncio.run(sandbox.close())


def score(program, sandbox):
    async def judged():
        verdict = await Judge(sandbox, canaries_every=0).judge(program, ORACLE, TASK.entry_point)
        answer = Answer(program, program)
        return await score_answer(symbolic, TASK, answer, verdict, reference=GOLD, oracle=ORACLE, sandbox=sandbox)

    found = asyncio.run(judged())
    return found.value, dict(found.parts)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "wanted"),
    [
        (GOLD, (1.0, {"not_found": 1.0})),
        (WRONG, (0.0, {"refuted": 1.0})),  # passes all five tests
        (LONG, (1.0, {"not_found": 1.0})),  # differs only where the reference's assert refuses the input
        (DECOY, (0.0, {"refuted": 1.0})),  # differs there as well, and is found out for the other input
        (DIES, (0.0, {"unsearched": 1.0})),
    ],
)
def test_programs_that_pass_the_tests(program, wanted, sandbox):
    assert score(program, sandbox) == wanted


@pytest.mark.parametrize("claims", [[([1, 2], 3)], [([0] * 20, 0)], [([0], "x")], []])
def test_claims_that_do_not_hold_do_not_count(claims, sandbox, monkeypatch):
    async def claimed(*_):
        return claims

    monkeypatch.setattr(module, "search", claimed)
    assert score(LONG, sandbox) == (1.0, {"not_found": 1.0})


def test_a_claim_that_holds_counts(sandbox, monkeypatch):
    async def claimed(*_):
        return [([1, 2], 3), ([0, 77, 5], 1)]

    monkeypatch.setattr(module, "search", claimed)
    assert score(WRONG, sandbox) == (0.0, {"refuted": 1.0})
    assert score("def total(a, b):\n    return 0\n", sandbox) == (0.0, {})  # fails a test: nothing is searched


def test_search_finds_the_input(sandbox):
    wrong = "def f(n):\n    return 5 if n == 12345 else n\n"
    found = asyncio.run(search(wrong, "def f(n):\n    return n\n", "f", ["int"], sandbox.commands))
    assert (12345,) in found


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([1, True], "int | bool"),
        ([(1, "a"), (2, "b")], "tuple[int, str]"),
        ([(1,), (1, 2)], None),
        ([[]], None),
        ([[[1]], [[]]], "list[list[int]]"),
        ([{1, 2}], "set[int]"),
        ([1j], None),
    ],
)
def test_annotations(values, wanted):
    assert annotation(values) == wanted


def test_reruns_try_only_what_the_task_is_about(sandbox):
    reruns = Reruns(LONG, GOLD, "total", ORACLE.comparator, ORACLE.limits, sandbox)
    for arguments, wanted in [(([0] * 20, 1), None), (([1], 1), False), ((["x"], 1), False), ((["x"] * 20, 1), None)]:
        assert asyncio.run(reruns.differ(arguments)) is wanted
