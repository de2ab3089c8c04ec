"""Property tests: custom checkers, postconditions, metamorphic relations, and programs that try to fool a checker."""

from dataclasses import replace

import pytest

from verigrad.errors import TaskError
from verigrad.types import CallTest, Limits, Oracle, PropertyTest

# Any divisor of n other than 1 and n itself is right; 0 says that there is none.
CHECKER = """
def check(args, got):
    n, = args
    if type(got) is not int:
        return f"wanted an int, got a {type(got).__name__}"
    if got == 0:
        return all(n % d for d in range(2, n))
    return 1 < got < n and n % got == 0

def negated(args, got, others, other):
    return got == -other

def endless(args, got):
    while got == 4:
        pass
    return got == 2
"""
SMALLEST = "def f(n):\n    return next((d for d in range(2, n) if n % d == 0), 0)\n"
LARGEST = "def f(n):\n    return next((d for d in range(n - 1, 1, -1) if n % d == 0), 0)\n"


def divisor(*numbers, checker=CHECKER, gold=SMALLEST, **fields):
    tests = tuple(PropertyTest(f"f({n})", ((n,),)) for n in numbers)
    return Oracle(task_id="divisor@1/0", tests=tests, checker=checker, gold=gold, **fields)


def test_every_right_answer_passes_and_every_wrong_one_fails(judged):
    oracle = divisor(12, 7, 35)
    assert judged(SMALLEST, oracle).passed
    assert judged(LARGEST, oracle).passed
    verdict = judged("def f(n):\n    return 5\n", oracle)
    assert [result.status for result in verdict.results] == ["failed", "failed", "passed"]
    assert verdict.results[0].detail == "got 5, which the checker refuses"
    verdict = judged("def f(n):\n    return '2'\n", oracle)
    assert verdict.results[0].detail == "got '2', wanted an int, got a str"


def test_a_text_is_a_refusal_even_an_empty_one(judged):
    for returned in ("''", "'True'", "False"):
        assert not judged(SMALLEST, divisor(12, checker=f"def check(args, got):\n    return {returned}\n")).passed


def test_scripts_are_checked_by_what_they_print(judged):
    checker = "def check(text, printed):\n    return sorted(text.split()) == printed.split()\n"
    oracle = Oracle(task_id="t", tests=(PropertyTest("words", ("b a c",)),), checker=checker)
    assert judged("print(*sorted(input().split()))\n", oracle, None).passed
    assert judged("print(input())\n", oracle, None).status == "failed"


def test_a_relation_sees_every_input_with_its_output(judged):
    tests = (PropertyTest("odd", ((3,), (-3,)), "negated"), PropertyTest("of zero", ((0,), (0,)), "negated"))
    oracle = Oracle(task_id="t", tests=tests, checker=CHECKER)
    assert judged("def f(n):\n    return n ** 3\n", oracle).passed
    verdict = judged("def f(n):\n    return n * n + n\n", oracle)
    assert [result.status for result in verdict.results] == ["failed", "passed"]
    assert verdict.results[0].detail == "got 12, 6, which the checker refuses"
    pairs = "def check(*pairs):\n    return pairs == ((1,), 2, (5,), 6, (9,), 10)\n"
    oracle = Oracle(task_id="t", tests=(PropertyTest("three", ((1,), (5,), (9,))),), checker=pairs)
    assert judged("def f(n):\n    return n + 1\n", oracle).passed


def test_what_did_not_return_is_never_put_before_the_checker(judged):
    oracle = replace(
        divisor(12, 7), checker="def check(args, got):\n    return True\n", limits=Limits(cpu_s=1.5, wall_s=6)
    )
    for program, status in {
        "def f(n):\n    raise ValueError(n)\n": "exception",
        "def f(n):\n    while True: pass\n": "timeout",
        "import os\ndef f(n):\n    os._exit(0)\n": "crashed",
        "def f(n):\n    return f\n": "failed",
        "def f(n):\n    return [0] * 10**6\n": "failed",
    }.items():
        verdict = judged(program, oracle)
        assert (verdict.status, verdict.num_passed) == (status, 0)
    one = Oracle(
        task_id="t", tests=(PropertyTest("pair", ((1,), (0,)), "check"),), checker="def check(*all):\n    return True\n"
    )
    assert judged("def f(n):\n    return 1 // n\n", one).status == "exception"


CHEATS = {
    "equal to everything": """
class Any(int):
    def __eq__(self, other): return True
    def __mod__(self, other): return 0
    def __rmod__(self, other): return 0
    def __lt__(self, other): return True
    def __gt__(self, other): return True
def f(n):
    return Any(6)
""",
    "a subclass whose text is code": """
class Text(str):
    def __format__(self, spec): return "True"
def f(n):
    return Text("2")
""",
    "patches the checker's names": """
import builtins, sys
def check(args, got): return True
builtins.all = builtins.type = lambda *anything: True
sys.modules["checker"] = sys.modules["program"]
def f(n):
    return 0
""",
    "a name that only the checker knows": "def f(n):\n    return check((n,), 0)\n",
    "knows the inputs of the checker": "def f(n):\n    return {1: 2, 2: 1}.get(n, 1)\n",
    "huge data": "def f(n):\n    return [[0] * 1000] * 1000\n",
    "data as large as may be": "def f(n):\n    return list(range(90_000))\n",
    "deep data": "def f(n):\n    a = []\n    for _ in range(49):\n        a = [a]\n    return a\n",
    "a cycle": "def f(n):\n    a = [n]\n    a.append(a)\n    return a\n",
    "not a number": "def f(n):\n    return float('nan')\n",
    "infinity": "def f(n):\n    return float('inf')\n",
    "a huge int": "def f(n):\n    return 2 ** 99_999\n",
    "a verdict": "def f(n):\n    return True\n",
}


@pytest.mark.parametrize("name", CHEATS)
def test_no_object_fools_a_checker(judged, name):
    oracle = divisor(12, 35, 77, 6)
    verdict = judged(CHEATS[name], oracle)
    assert verdict.status != "passed"
    assert verdict.num_passed == 0
    assert judged(SMALLEST, oracle).passed


def test_a_value_that_breaks_the_checker_fails_where_the_gold_program_does_not(judged):
    careless = divisor(12, checker="def check(args, got):\n    return args[0] % got == 0 and 1 < got < args[0]\n")
    for value in ("'text'", "0", "None", "[]"):
        verdict = judged(f"def f(n):\n    return {value}\n", careless)
        assert verdict.status == "failed"
        assert "the checker could not judge" in verdict.results[0].detail
    silent = divisor(12, checker="def check(args, got):\n    return got and True\n")
    assert judged("def f(n):\n    return []\n", silent).results[0].detail.endswith("wanted True, False or a text")


def test_a_value_that_keeps_the_checker_busy_is_a_timeout(judged, monkeypatch):
    monkeypatch.setattr("verigrad.sandbox.checker.CHECKER_LIMITS", Limits(cpu_s=0.3, wall_s=3))
    oracle = Oracle(
        task_id="t",
        tests=tuple(PropertyTest(f"f({n})", ((n,),), "endless") for n in (1, 2)),
        checker=CHECKER,
        gold="def f(n):\n    return 2\n",
    )
    verdict = judged("def f(n):\n    return 4 if n == 2 else 2\n", oracle)
    assert verdict.status == "timeout"
    assert verdict.results[1].status == "timeout"
    assert judged("def f(n):\n    return 3\n", oracle).status == "failed"


@pytest.mark.parametrize(
    ("checker", "message"),
    [
        (None, "has no checker"),
        ("def check(args, got)\n", "does not load: syntax_error"),
        ("1 / 0\n", "does not load: exception ZeroDivisionError"),
        ("def other(args, got):\n    return True\n", "does not load: no_entry_point"),
        ("def check(args, got):\n    return 1 / 0\n", "fails .*ZeroDivisionError"),
        ("def check(args, got):\n    return 1\n", "fails .*returned a int"),
        ("import os\ndef check(args, got):\n    os._exit(0)\n", "fails .*crashed"),
        ("def check(args, got):\n    return got == 99 or got / 'x'\n", "fails"),
    ],
)
def test_a_checker_that_does_not_work_is_an_error_and_no_score(judged, checker, message):
    for program in (SMALLEST, "def f(n):\n    return 5\n"):
        with pytest.raises(TaskError, match=message):
            judged(program, divisor(12, checker=checker))


def test_without_a_gold_program_nothing_shows_whose_fault_it_was(judged):
    with pytest.raises(TaskError, match="the checker fails"):
        judged("def f(n):\n    return 'x'\n", divisor(12, checker="def check(a, b):\n    return b > 0\n", gold=None))


def test_a_property_needs_inputs_and_an_entry_point(judged):
    with pytest.raises(TaskError, match="no inputs"):
        judged(SMALLEST, Oracle(task_id="t", tests=(PropertyTest("none", ()),), checker=CHECKER))
    with pytest.raises(TaskError, match="no entry point"):
        judged(SMALLEST, divisor(12), None)


def test_kinds_of_tests_mix(judged):
    tests = (CallTest("f(4)", (4,), 2), *divisor(12, 7).tests)
    verdict = judged(LARGEST, replace(divisor(), tests=tests))
    assert verdict.passed
    assert [result.name for result in verdict.results] == ["f(4)", "f(12)", "f(7)"]


def test_a_gold_program_that_is_wrong_vouches_for_nothing(judged):
    careless = "def check(args, got):\n    return got > 1 and args[0] % got == 0\n"
    with pytest.raises(TaskError, match="the gold program does not pass either"):
        judged("def f(n):\n    return 'x'\n", divisor(12, checker=careless, gold="def f(n):\n    return 5\n"))
