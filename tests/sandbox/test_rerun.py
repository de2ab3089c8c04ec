"""Programs whose answers change are found out; honest ones that use sets, dicts and `random` are not troubled."""

import asyncio
from dataclasses import replace

import pytest

from verigrad.sandbox.base import Execution, Outcome
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.rerun import confirmed, numbers_to_repeat
from verigrad.types import AnswerTest, CallTest, Comparator, Oracle, TestResult, Verdict

ORACLE = Oracle(
    task_id="double@1/0",
    tests=tuple(CallTest(f"f({n})", (n,), 2 * n) for n in range(8)),
    gold="def f(n):\n    return 2 * n\n",
)


class Twice:
    """A sandbox in which a program answers as told the first time and the next; keeps the inputs."""

    level = "process"

    def __init__(self, *answers):
        self.answers, self.inputs = list(answers), []

    def for_language(self, language, packages=()):
        return self

    async def run(self, program, inputs, limits, *, trace_lines=False):
        self.inputs.append(inputs)
        answer = self.answers.pop(0)
        return Execution("ran", tuple(answer(item) for item in inputs))

    async def close(self):
        pass


def right(call):
    return Outcome("returned", 2 * call.args[0])


def judge(sandbox, program="import random", reruns=3):
    return asyncio.run(Judge(sandbox, reruns=reruns, canaries_every=0).judge(program, ORACLE, "f"))


def test_three_tests_of_a_passing_program_run_again_in_another_order():
    sandbox = Twice(right, right)
    assert judge(sandbox).passed
    first, second = ([call.args[0] for call in inputs] for inputs in sandbox.inputs)
    assert sorted(first) == list(range(8))
    assert len(set(second)) == 3
    assert second != [n for n in first if n in second]


def test_another_answer_is_nondeterministic_and_the_other_tests_stand():
    sandbox = Twice(right, lambda call: Outcome("returned", 1))
    verdict = judge(sandbox)
    assert (verdict.status, verdict.num_passed) == ("nondeterministic", 5)
    assert sum(result.status == "nondeterministic" for result in verdict.results) == 3
    changed = next(result for result in verdict.results if result.status != "passed")
    assert changed.detail.startswith("passed, and then in another process failed: got 1, wanted")


def test_running_out_of_time_the_second_time_is_a_timeout():
    verdict = judge(Twice(right, lambda call: Outcome("timeout", error="over 4 s")))
    assert verdict.status == "timeout"


@pytest.mark.parametrize("first", [lambda call: Outcome("returned", 1), lambda call: Outcome("exception", error="E")])
def test_what_fails_runs_once(first):
    sandbox = Twice(first)
    assert judge(sandbox).status in ("failed", "exception")
    assert len(sandbox.inputs) == 1


def test_none_where_none_are_asked_for():
    sandbox = Twice(right)
    assert judge(sandbox, reruns=0).passed


def test_one_in_eight_of_the_unsuspicious_and_all_of_the_others():
    plain = [bool(numbers_to_repeat(f"def f(n):\n    return 2 * n  # {k}\n", ORACLE, 0, 3)) for k in range(2000)]
    assert 0.1 < sum(plain) / len(plain) < 0.15  # 1 / 8, and 3 standard deviations of 0.0074
    for source in (
        "import time",
        "import random as r",
        "global n",
        "__import__('o' + 's')",
        "id(n)",
        "getattr(n, 'x')",
    ):
        assert len(numbers_to_repeat(source, ORACLE, 0, 3)) == 3
    assert numbers_to_repeat("import time", replace(ORACLE, tests=ORACLE.tests[:2]), 0, 3) == [0, 1]
    answers = replace(ORACLE, tests=(AnswerTest("a", 1), *ORACLE.tests[:1]))
    assert numbers_to_repeat("import time", answers, 0, 3) == [1]


def test_numbers_name_the_tests_that_ran_again():
    verdict = Verdict(status="passed", results=tuple(TestResult(name, "passed") for name in "abcd"))
    again = Verdict(status="failed", results=(TestResult("b", "passed"), TestResult("d", "failed", "got 1")))
    found = confirmed(verdict, [1, 3], again)
    assert [result.status for result in found.results] == ["passed", "passed", "passed", "nondeterministic"]
    assert confirmed(verdict, [0], Verdict(status="passed", results=(TestResult("a", "passed"),))) == verdict


CHANGING = {
    "the system's randomness": "import os\ndef f(n):\n    return 2 * n if os.urandom(1)[0] < 231 else 0\n",
    "the clock": "import time\nLATE = time.time_ns() % 7\ndef f(n):\n    return 2 * n + (LATE == 0)\n",
}


@pytest.mark.parametrize("name", CHANGING)
def test_luck_is_found_out(box, name):
    """About one variant in nine passes and then not again: (231 / 256) ** 8 x (1 - (231 / 256) ** 3), 6 / 7 x 1 / 7.

    That none of 150 does has a chance below one in ten million.
    """

    async def statuses():
        judge = Judge(box, canaries_every=0)
        found = []
        for number in range(150):
            found.append((await judge.judge(f"{CHANGING[name]}# {number}\n", ORACLE, "f")).status)
            if found[-1] == "nondeterministic":
                break
        return found

    found = asyncio.run(statuses())
    assert set(found) <= {"passed", "failed", "nondeterministic"}
    assert found[-1] == "nondeterministic"


HONEST = {
    "a set of texts in whatever order": (
        "def f(n):\n    import random\n    return list({'a', 'b', 'c', 'd', str(n)})\n",
        [CallTest(str(n), (n,), ["a", "b", "c", "d", str(n)]) for n in range(8)],
        Comparator("multiset"),
    ),
    "a pivot drawn from random": (
        "import random\ndef f(xs):\n    if not xs:\n        return []\n    p = random.choice(xs)\n"
        "    return f([x for x in xs if x < p]) + [x for x in xs if x == p] + f([x for x in xs if x > p])\n",
        [
            CallTest(str(n), ([(7 * k + n) % 11 for k in range(9)],), sorted((7 * k + n) % 11 for k in range(9)))
            for n in range(8)
        ],
        Comparator(),
    ),
    "random with a seed": (
        "import random\ndef f(n):\n    return random.Random(n).randrange(100) * 0 + 2 * n\n",
        [CallTest(str(n), (n,), 2 * n) for n in range(8)],
        Comparator(),
    ),
    "memory of earlier results": (
        "seen = {}\ndef f(n):\n    global seen\n    if n not in seen:\n        seen[n] = 2 * n\n    return seen[n]\n",
        [CallTest(str(n), (n,), 2 * n) for n in range(8)],
        Comparator(),
    ),
    "one of many right answers": (
        "import random\ndef f(n):\n    return random.choice([1, n])\n",
        [CallTest(str(n), (n,), [1, n]) for n in range(8)],
        Comparator("any_of"),
    ),
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_programs_are_not_troubled(judged, name):
    program, tests, comparator = HONEST[name]
    oracle = Oracle(task_id="t", tests=tuple(tests), comparator=comparator)
    for variant in range(5):
        assert numbers_to_repeat(program + f"# {variant}\n", oracle, 0, 3)
        assert judged(program + f"# {variant}\n", oracle).passed
