"""The reward `equivalent`, with z3 and the sandbox as they are."""

import asyncio

import pytest

from verigrad.errors import RewardError
from verigrad.rewards import equivalence
from verigrad.rewards.base import Answer, score_answer
from verigrad.rewards.equivalence import equivalent
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.process import ProcessSandbox
from verigrad.sandbox.proofs.equivalence import Comparison, compare_programs
from verigrad.types import CallTest, Comparator, Oracle, Task

TASK = Task(id="t", prompt="The larger of two integers.", entry_point="larger")
GOLD = "def larger(a, b):\n    return max(a, b)\n"
TESTS = tuple(CallTest(f"{a},{b}", (a, b), max(a, b)) for a, b in [(1, 2), (2, 1), (5, 5), (-3, -4)])
ORACLE = Oracle(task_id="t", tests=TESTS, gold=GOLD)


@pytest.fixture(scope="module")
def sandbox():
    sandbox = ProcessSandbox(workers=1)
    yield sandbox
    asyncio.run(sandbox.close())


def score(program, sandbox, *, oracle=ORACLE, gold=GOLD):
    async def judged():
        verdict = await Judge(sandbox).judge(program, oracle, TASK.entry_point)
        answer = Answer(program, program)
        return await score_answer(equivalent, TASK, answer, verdict, reference=gold, oracle=oracle, sandbox=sandbox)

    return asyncio.run(judged())


SPECIAL = "def larger(a, b):\n    if a == 1 or a == 5:\n        return b\n    return a\n"  # passes all four tests
LIST = "def larger(a, b):\n    if a == 1 or a == 5:\n        return [b][0]\n    return a\n"
HARD = (
    "def larger(a, b):\n    if a > 9 and b > 9 and a * a * a + b * b * b == (a + b + 7) * (a - b) * (a + 3 * b) + 1:\n"
    "        return 0\n    return max(a, b)\n"
)
GENERATOR = "def larger(a, b):\n    return max(a, b)\n    yield\n"


@pytest.mark.parametrize(
    ("program", "value", "part"),
    [
        (GOLD, 1.0, "proved"),
        ("def larger(a, b):\n    if a < b:\n        a, b = b, a\n    return a\n", 1.0, "proved"),
        ("def larger(a, b):\n    return (a + b + abs(a - b)) // 2\n", 1.0, "proved"),
        (SPECIAL, 0.0, "refuted"),
        (LIST, 0.0, "outside"),
        ("def larger(a, b):\n    return sorted([a, b])[1]\n", 0.0, "outside"),  # right, and yet not proved
        ("def larger(a, b):\n    if a == 10 ** 9:\n        return None\n    return max(a, b)\n", 0.0, "refuted"),
        ("def larger(a, b):\n    if a == 77:\n        return 1 // 0\n    return max(a, b)\n", 0.0, "refuted"),
        ("def larger(a, b):\n    if a == 77:\n        return True\n    return max(a, b)\n", 0.0, "refuted"),
        ("def larger(a, b):\n    if a != 77:\n        c = max(a, b)\n    return c\n", 0.0, "refuted"),
    ],
)
def test_what_a_program_that_passes_the_tests_earns(program, value, part, sandbox):
    found = score(program, sandbox)
    assert (found.value, dict(found.parts)) == (value, {part: 1.0})


@pytest.mark.parametrize("program", [GENERATOR, "def larger(a, b):\n    return a + b\n", "x = 1\n"])
def test_a_failed_test_is_worth_nothing_whatever_could_be_proved(program, sandbox):
    assert score(program, sandbox).value == 0.0


def test_too_hard_for_the_solver_gains_nothing(sandbox):
    assert score(HARD, sandbox).value == 0.0


def test_a_reference_that_cannot_be_read_leaves_the_tests(sandbox):
    found = score(SPECIAL, sandbox, gold="def larger(a, b):\n    return sorted([a, b])[1]\n")
    assert (found.value, dict(found.parts)) == (1.0, {"unprovable": 1.0})
    close = Oracle(task_id="t", tests=TESTS, gold=GOLD, comparator=Comparator(atol=0.1))
    assert dict(score(SPECIAL, sandbox, oracle=close).parts) == {"unprovable": 1.0}


def test_a_counterexample_that_is_none_is_our_mistake(sandbox, monkeypatch):
    monkeypatch.setattr(equivalence, "compare_programs", lambda *a, **k: Comparison("refuted", (1, 2)))
    with pytest.raises(RewardError, match="when run"):
        score(GOLD, sandbox)


@pytest.mark.parametrize(
    ("program", "reference", "sorts", "status"),
    [
        ("return n * n", "return n ** 2", ["int"], "proved"),
        ("return n / 1", "return n", ["int"], "outside"),
        ("return n", "return n / 1", ["int"], "unprovable"),
        ("return n", "assert n > n\n    return n", ["int"], "unprovable"),  # meant for nothing: anything would be equal
        ("return -n", "assert n <= 0\n    return abs(n)", ["int"], "proved"),
        ("return -n", "return abs(n)", ["int"], "refuted"),
        ("return n % -3", "return -(-n % 3)", ["int"], "proved"),
        ("return n // -3", "return -(n // 3)", ["int"], "refuted"),  # rounding is downwards
        ("return int(n / 2)", "return n // 2", ["int"], "outside"),
        ("return 10 // n", "assert n != 0\n    return 10 // n", ["int"], "proved"),
        ("return 10 // n", "return 10 // n if n else 0", ["int"], "refuted"),
        ("return 10 // n", "return 10 // n + 0 * (1 % n)", ["int"], "proved"),  # both raise for 0
        ("assert n\n    return 10 // n", "return 10 // n", ["int"], "proved"),
        ("if n > 0:\n        return 1", "return 1 if n > 0 else None", ["int"], "proved"),
        ("if n > 0:\n        return 1", "return 1 if n > 0 else 0", ["int"], "refuted"),
        ("return n and True", "return n", ["bool"], "proved"),
        ("return n + 0", "return n", ["bool"], "refuted"),  # an int is no bool
        ("s = 0\n    for i in range(9):\n        s += n\n    return s", "return 9 * n", ["int"], "proved"),
        ("s = 0\n    for i in range(n):\n        s += n\n    return s", "return n * n", ["int"], "outside"),
        ("return f(n - 1) if n else 0", "return 0", ["int"], "outside"),
        pytest.param(
            "n = n * n\n" + "    n = n * n\n" * 40 + "    return n",
            "return n",
            ["int"],
            "unknown",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_comparison(program, reference, sorts, status):
    found = compare_programs(f"def f(n):\n    {program}\n", f"def f(n):\n    {reference}\n", "f", sorts)
    assert found.status == status, found
