"""CPU time beside the reference's: by hand on made-up clocks, on real programs, and programs that try to look fast."""

import asyncio

import pytest

from verigrad.sandbox.base import Execution, Outcome
from verigrad.sandbox.speed import _inputs, compare_speed, gain_of
from verigrad.types import CallTest, Comparator, Limits, Oracle

LINEAR = """
def f(xs):
    seen = set()
    for x in xs:
        if x in seen:
            return True
        seen.add(x)
    return False
"""
QUADRATIC = """
def f(xs):
    for i in range(len(xs)):
        for j in range(i):
            if xs[i] == xs[j]:
                return True
    return False
"""
TEST = CallTest("a", (list(range(20)),), False)


def oracle(reference=LINEAR, *tests, **changes):
    return Oracle(task_id="t@1/0", tests=tests or (TEST,), gold=reference, **changes)


# ------------------------------------------------------------------------------------------------ by hand


def test_gains_worked_by_hand():
    assert gain_of(81.0, 21.0, 1.0) == 2.0
    assert gain_of(21.0, 81.0, 1.0) == -2.0
    assert gain_of(101.0, 71.7, 1.0) == 0.5  # 2 log2(100 / 70.7) = 1.0003
    assert gain_of(101.0, 88.0, 1.0) == 0.0  # 2 log2(100 / 87) = 0.402
    assert gain_of(40.0, 1.0, 40.0) == 0.0  # both below a quarter of what only answering takes
    assert gain_of(40.0, 80.0, 40.0) == -2.0  # 10 against 40


class Clocked:
    """Runs nothing: every process gives `f(x) = x` and takes what is next on the list of its kind."""

    level = "none"

    def __init__(self, **times):
        self.times, self.order = {name: list(times[name]) for name in times}, []

    def for_language(self, language, packages=()):
        return self

    async def run(self, program, inputs, limits, *, trace_lines=False):
        kind = next((name for name in self.times if f"# {name}" in program), "echo")
        self.order.append(kind)
        given = [call.args[1] if kind == "echo" else [(True, *args) for args in call.args[0]] for call in inputs]
        outcomes = tuple(Outcome("returned", value) for value in given)
        return Execution("ran", outcomes, cpu_ms=self.times[kind].pop(0))


def test_the_least_of_turns_counts():
    box = Clocked(reference=[40.0, 90.0, 42.0, 60.0], program=[10.0, 50.0, 12.0, 22.0], echo=[5.0, 2.0, 3.0])
    task = oracle("# reference\ndef f(x): return x", CallTest("a", (3,), 3))
    found = asyncio.run(compare_speed("# program\ndef f(x): return x", task, "f", box, rounds=3))
    assert (found.reference_ms, found.cpu_ms, found.gain) == (40.0, 10.0, 2.0)  # 42 - 2, 12 - 2
    assert box.order == ["reference", "program", *["reference", "program", "echo"] * 3]


class Hanging(Clocked):
    """The program never ends."""

    async def run(self, program, inputs, limits, *, trace_lines=False):
        done = await super().run(program, inputs, limits)
        if self.order[-1] != "program":
            return done
        return Execution("ran", tuple(Outcome("timeout") for _ in inputs), cpu_ms=2000.0)


def test_what_never_ends_is_slow_beside_a_reference_that_nearly_takes_as_long():
    """The reference takes 25 ms, then 1900 on larger inputs: there it would be next to what is stopped after 2000."""
    box = Hanging(reference=[1.0, 25.0, 1900.0], program=[2000.0], echo=[])
    task = oracle("# reference\ndef f(x): return x", CallTest("a", (3,), 3))
    found = asyncio.run(compare_speed("# program\ndef f(x): return x", task, "f", box))
    assert found.reference_ms == 25.0 and found.gain <= -2


def test_inputs_are_all_different():
    tests = [CallTest("a", (n,), 0) for n in (1, 2, 3)] + [CallTest("b", ("ab", [1]), 0)]
    found = [item.args for item in _inputs(tests, Comparator(), 8, 12)]
    assert len(found) == len({repr(args) for args in found}) > 30
    assert (8,) in found and ("ab" * 8, [1, 3, 5, 7, 9, 11, 13, 15]) in found


def test_what_cannot_be_measured():
    async def reason(task, name="f"):
        return (await compare_speed(LINEAR, task, name, None)).reason

    for task, name in ((oracle(None), "f"), (oracle(), None), (oracle(language="c"), "f")):
        assert "no reference program" in asyncio.run(reason(task, name))


# ---------------------------------------------------------------------------------------------- for real


@pytest.fixture
def gain(box):
    def measure(program, reference=LINEAR, *tests, rounds=3, **changes):
        found = asyncio.run(compare_speed(program, oracle(reference, *tests, **changes), "f", box, rounds=rounds))
        return found.gain

    return measure


def test_linear_and_quadratic_programs_are_told_apart(gain):
    assert gain(QUADRATIC, rounds=1) <= -2
    assert gain(LINEAR, QUADRATIC, rounds=1) >= 2


@pytest.mark.slow
def test_equal_programs_are_equally_fast(gain):
    """A measurement, which other work on the same cores can spoil: the tests that run side by side do without."""
    assert abs(gain(LINEAR)) <= 0.5
    assert gain("def f(n):\n    return n + n\n", "def f(n):\n    return 2 * n\n", CallTest("a", (3,), 6)) == 0.0


@pytest.mark.slow
def test_what_takes_too_long_is_slow(gain):
    hangs = "def f(xs):\n    while len(xs) > 100:\n        pass\n    return False\n"
    assert gain(hangs, limits=Limits()) <= -2


SLOW = """
def f(xs):
    total = 0
    for _ in range(20):
        for x in xs:
            total += x * x
    return total // 20
"""
SQUARES = CallTest("a", (list(range(20)),), sum(x * x for x in range(20)))
LOOKS_FAST = {
    "remembers": "import functools\n@functools.lru_cache"
    + SLOW.replace("def f(xs)", "def slow(xs)")
    + "def f(xs):\n    return slow(tuple(xs))\n",
    "another clock": SLOW + "import time\ntime.process_time = time.perf_counter = time.time = lambda: 0.0\n",
    "works before it is asked": "import time\n" + SLOW + "for _ in range(3):\n    f(list(range(2000)))\n",
}
NO_ANSWER = {
    "answers later": """
class Later(int):
    pass
def f(xs):
    return Later(0)
""",
    "answers in place of the driver": """
import sys
def f(xs):
    sys._getframe(1).f_globals["verigrad_answers"] = lambda inputs: [(True, 0)] * len(inputs)
    return 0
""",
    "wrong when it is large": SLOW.replace("return total // 20", "return 0 if len(xs) > 20 else total // 20"),
    "in a thread": """
import threading
def f(xs):
    found = []
    thread = threading.Thread(target=lambda: found.append(sum(x * x for x in xs)))
    thread.start()
    thread.join()
    return found[0]
""",
    "in a child": """
import os
def f(xs):
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.write(writing, str(sum(x * x for x in xs)).encode())
        os._exit(0)
    return int(os.read(reading, 100))
""",
    "ends early": "import os\ndef f(xs):\n    os._exit(0)\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LOOKS_FAST)
def test_looking_fast_gains_nothing(gain, name):
    assert gain(LOOKS_FAST[name], SLOW, SQUARES, rounds=2) <= 0.5


@pytest.mark.parametrize(
    "name", [n if n in ("in a thread", "ends early") else pytest.param(n, marks=pytest.mark.slow) for n in NO_ANSWER]
)
def test_what_does_not_answer_is_not_measured(gain, name):
    assert gain(NO_ANSWER[name], SLOW, SQUARES, rounds=2) is None


@pytest.mark.slow
def test_programs_with_packages_are_measured(gain):
    slow = "import numpy as np\ndef f(xs):\n    return sum(int(x) * int(x) for x in np.array(xs))\n"
    fast = "import numpy as np\ndef f(xs):\n    a = np.array(xs)\n    return int(a @ a)\n"
    assert gain(fast, slow, SQUARES, packages=("numpy",), rounds=2) >= 0.5
