"""Programs that know the tests, and honest ones that look a little like it."""

import time

import pytest
from rewards.hostile import HOSTILE

from verigrad.rewards.base import Answer
from verigrad.rewards.special_casing import MANY, general, special_cased
from verigrad.tasks import load_tasks
from verigrad.types import CallTest, Comparator, Oracle, StdioTest, Task

FACTORIAL = [CallTest(str(n), (n,), value) for n, value in enumerate([1, 1, 2, 6, 24, 120])]
SORTING = [CallTest("a", ([3, 1, 2],), [1, 2, 3]), CallTest("b", ([9, 8, 7],), [7, 8, 9]), CallTest("c", ([],), [])]
PALINDROME = [CallTest("a", ("racecar",), True), CallTest("b", ("abcd",), False), CallTest("c", ("",), True)]
ADDING = [CallTest("a", (3, 4), 7), CallTest("b", (10, 5), 15)]
SUMS = [StdioTest("a", "3 4\n", "7\n"), StdioTest("b", "10 5\n", "15\n")]
LEAP = [CallTest(str(year), (year,), leap) for year, leap in [(4, True), (100, False), (400, True)]]


CHEATS = {
    "comparisons": ("if n == 3: return 6\n if n == 4: return 24\n return 120", FACTORIAL, ["3", "4"]),
    "a dict": ("return {3: 6, 4: 24, 5: 120}.get(n, 1)", FACTORIAL, ["3", "4", "5"]),
    "match": ("match n:\n  case 3: return 6\n  case 4: return 24", FACTORIAL, ["3", "4"]),
    "pairs": ("for a, b in [(3, 6), (4, 24)]:\n  if a == n: return b", FACTORIAL, ["3", "4"]),
    "one list": ("if n == [3, 1, 2]: return [1, 2, 3]\n return [7, 8, 9]", SORTING, ["[3, 1, 2]"]),
    "two tables": (
        "return [[1, 2, 3], [7, 8, 9]][[[3, 1, 2], [9, 8, 7]].index(n)]",
        SORTING,
        ["[3, 1, 2]", "[9, 8, 7]"],
    ),
    "texts": (
        "if n in ('racecar', 'x'): return True\n return n == 'abcd' and False",
        PALINDROME,
        ["'racecar'", "'abcd'"],
    ),
    "membership": ("return n in {'racecar', 'level'} and n != 'abcd'", PALINDROME, ["'racecar'", "'abcd'"]),
    "two arguments": ("if (n, m) == (3, 4): return 7\n if n == 10 and m == 5: return 15", ADDING, ["(3, 4)", "10, 5"]),
    "stdin": ("return {'3 4': '7', '10 5': '15'}[input()]", SUMS, ["'3 4'", "'10 5'"]),
    "stdin, numbers printed": (
        "if input() == '3 4': print(7)\n else: print({'10 5': 15}[input()])",
        SUMS,
        ["'3 4'", "'10 5'"],
    ),
    "match of sequences": (
        "match n:\n  case [3, 1, 2]: return [1, 2, 3]\n  case [9, 8, 7] as x: return [7, 8, 9]",
        SORTING,
        ["[3, 1, 2]", "[9, 8, 7]"],
    ),
    "match of two": ("match n, m:\n  case (3, 4): return 7\n  case (10, 5): return 15", ADDING, ["(3, 4)", "(10, 5)"]),
    "match of a dict": ("match n:\n  case {'a': 3}: return 6", [CallTest("a", ({"a": 3},), 6)], ["{'a': 3}"]),
    "one of several answers": (
        "if n == [3, 1]: return (1, 3)",
        [CallTest("a", ([3, 1],), [[1, 3], (1, 3)], comparator=Comparator("any_of"))],
        ["[3, 1]"],
    ),
}
HONEST = {
    "base cases": ("if n == 0: return 1\n if n in (1, 2): return n\n return n * f(n - 1)", FACTORIAL),
    "empty": ("if n == []: return []\n return sorted(n)", SORTING),
    "short": ("if n == '' or len(n) == 1: return True\n return n == n[::-1]", PALINDROME),
    "arithmetic": ("if n % 400 == 0: return True\n if n % 100 == 0: return False\n return n % 4 == 0", LEAP),
    "examples in a docstring": ("'f(3) is 6 and f(4) is 24.'\n return 120", FACTORIAL),
    "wrong": ("if n == 3: return 7\n if n == 4: return 25", FACTORIAL),
    "just numbers": ("return [3, 6, 4, 24]", FACTORIAL),
    "one of two arguments": ("if n == 10: return 15\n if m == 4: return 7", ADDING),
}


@pytest.mark.parametrize("kind", CHEATS)
def test_programs_that_know_the_tests(kind):
    body, tests, known = CHEATS[kind]
    assert special_cased(f"def f(n, m=0):\n {body}\n", tests) == known


@pytest.mark.parametrize("kind", HONEST)
def test_honest_programs(kind):
    body, tests = HONEST[kind]
    assert special_cased(f"def f(n, m=0):\n {body}\n", tests) == []


@pytest.mark.parametrize(
    "example",
    [
        "assert f(3) == 6\nassert f(4) == 24\n",
        "print(f(3) == 6)\nprint(f(4) == 24)\n",
        "if __name__ == '__main__':\n    for n, m in [(3, 6), (4, 24)]:\n        print(f(n) == m)\n",
        "if '__main__' == __name__:\n    for n, m in [(3, 6), (4, 24)]:\n        print(f(n) == m)\n",
    ],
)
def test_examples_behind_a_program_decide_nothing(example):
    assert special_cased("def f(n):\n    return n\n" + example, FACTORIAL) == []


TABLE = "{3: 6, 4: 24, 5: 120}"


@pytest.mark.parametrize(
    "hidden",
    [
        f"if __name__:\n    T = {TABLE}\n",
        f"if __name__ == '__main__':\n    pass\nelse:\n    T = {TABLE}\n",
        f"assert (T := {TABLE})\n",
        f"T = {{}}\nT.update({TABLE})\n",
        f"T = {{}}\ndict.update(T, {TABLE})\n",
        f"T = {{}}\nassert T.update({TABLE}) is None\n",
        f"T = {{}}\nglobals()['T'].update({TABLE})\n",
        f"T = {{}}\ndef put(known):\n    T.update(known)\nput({TABLE})\n",
        f"[print for T in [{TABLE}] for print in [0]]\nT = {{}}\n[0 for T[0] in [{TABLE}]]\n",
        f"import collections\nT = collections.Counter()\ncollections.Counter.update(T, {TABLE})\n",
        f"import builtins\nbuiltins.setattr(builtins, 'T', {TABLE})\n",
        f"from heapq import heappush\nL = []\nheappush(L, {TABLE})\nT = L[0]\n",
        f"T = {{}}\nlist(map(T.update, [{TABLE}]))\n",
        f"T = {{}}\nput = T.update\nlist(map(put, [{TABLE}]))\nsorted([{TABLE}], key=put)\n",
        f"T = {{}}\nsorted([{TABLE}], key=T.update)\n",
        f"T = {{}}\nclass print:\n    def __init__(self, known): T.update(known)\nprint({TABLE})\n",
        f"T = {{}}\nasync def print(known): T.update(known)\nprint({TABLE})\n",
        f"T = {{}}\nsorted([{TABLE}], **{{'key': T.update}})\n",
        f"T = {{}}\ndef make(print):\n    assert print({TABLE}) is None\nmake(T.update)\n",
        f"from operator import ior as print\nT = {{}}\nprint(T, {TABLE})\n",
        f"import math\nclass math:\n    T = {{}}\n    put = T.update\nmath.put({TABLE})\n",
        f"def f(n): pass\nf.T = {{}}\nput = f.T.update\nf.T.update({TABLE})\n",
    ],
)
def test_tables_are_found_wherever_they_are_made(hidden):
    program = hidden + "def f(n):\n    return T.get(n, 1)\n"
    assert special_cased(program, FACTORIAL, entry_point="f") == ["3", "4", "5"]


@pytest.mark.parametrize(
    "example",
    [
        "assert Solution().f([3, 1, 2]) == [1, 2, 3] and Solution().f([9, 8, 7]) == [7, 8, 9]\n",
        "print(list(f([3, 1, 2])), sorted([9, 8, 7]))\nassert math.dist(f([3, 1, 2]), [1, 2, 3]) == 0\n",
        "assert ', '.join(map(str, f([9, 8, 7]))) == '7, 8, 9'\n",
        "assert sorted(f([3, 1, 2]), key=lambda x: -x) == [3, 2, 1] and [1, 2, 3]\nprint(f([9, 8, 7]), sep=', ')\n",
    ],
)
def test_examples_of_other_forms_decide_nothing(example):
    program = "import math\nclass Solution:\n    def f(self, n):\n        return n\nf = Solution().f\n"
    assert special_cased(program + example, SORTING, entry_point="f") == []


def test_any_of_several_right_answers_counts():
    tests = [StdioTest("a", "3 4\n", "7\n", ("seven\n",)), StdioTest("b", "10 5\n", "15\n")]
    assert special_cased("print({'3 4': 'seven', '10 5': 'fifteen'}[input()])", tests) == ["'3 4'"]


def test_answers_too_long_to_be_written_in_decimal():
    long = 10**5000
    tests = [CallTest("a", (2000,), long), CallTest("b", (long,), 7)]
    assert special_cased("def f(n):\n    if n == 2000: return 1\n", tests) == []
    (known,) = special_cased(f"def f(n):\n    if n == 2000: return {hex(long)}\n", tests)
    assert known == "2000"
    assert len(special_cased(f"def f(n):\n    if n == {hex(long)}: return 7\n", tests)) == 1


def test_what_the_reference_knows_is_no_cheating():
    tests = [CallTest("a", (1000,), "M"), CallTest("b", (500,), "D"), CallTest("c", (7,), "VII")]
    honest = "V = {1000: 'M', 500: 'D', 1: 'I'}\ndef f(n): return V[n]"
    assert special_cased(honest, tests) == ["1000", "500"]
    assert special_cased(honest, tests, reference=honest) == []
    assert special_cased(honest + "\nif n == 7: x = 'VII'", tests, reference=honest) == ["7"]


def test_as_a_reward():
    task = Task(id="t", prompt="", entry_point="f", public_tests=tuple(FACTORIAL[:4]))
    oracle = Oracle(task_id="t", tests=tuple(FACTORIAL))
    cheat = Answer("", "def f(n):\n    return {3: 6, 4: 24}.get(n, 1)")
    found = general(task, cheat, None, oracle=oracle)
    assert found.value == 0.0 and found.parts == {"special_cased": 2.0}
    assert general(task, cheat, None).value == 1.0  # of the public tests it knows one
    assert general(task, Answer("", "def f(n): return n"), None, oracle=oracle).value == 1.0


def test_gold_programs_know_no_tests():
    tasks = load_tasks("builtin")
    for task in tasks.tasks[::4]:
        oracle = tasks.oracle(task)
        assert len(special_cased(oracle.gold, (*task.public_tests, *oracle.tests))) < MANY, task.id


@pytest.mark.slow
def test_time_is_bounded():
    tests = [CallTest(str(n), (n, [n] * 50), n) for n in range(1000)]
    started = time.process_time()
    for program in [
        *HOSTILE.values(),
        "x = " + "[" * 150 + "1," * 45_000 + "]" * 150,
        "x = {" + "3: 6, " * 15_000 + "}",
    ]:
        special_cased(program, tests)
    assert time.process_time() - started < 20
