"""The judge: statuses, order of tests, cache, files of programs; all in real processes."""

import asyncio
from dataclasses import replace

import pytest

from verigrad.errors import ConfigError, SandboxError, TaskError
from verigrad.sandbox.base import Call, Script, Stdin
from verigrad.sandbox.judge import Judge, in_order, judge_many, judge_rows
from verigrad.sandbox.process import ProcessSandbox
from verigrad.sandbox.records import assemble, missing_stub
from verigrad.types import AnswerTest, CallTest, Comparator, Limits, Oracle, OutputRule, ScriptTest, StdioTest, Task

DOUBLE = "def f(x):\n    return 2 * x\n"


def oracle(*tests, **fields):
    return Oracle(task_id="double@1/0", tests=tests, **fields)


def calls(*pairs):
    return [CallTest(f"f({x!r})", (x,), expected) for x, expected in pairs]


THREE = oracle(*calls((1, 2), (2, 4), (3, 6)))


class Recording:
    """A sandbox that passes everything on to another and keeps the inputs it was given."""

    def __init__(self, inner):
        self.inner, self.inputs, self.level = inner, [], inner.level

    def for_language(self, language, packages=()):
        return self

    async def run(self, program, inputs, limits, *, trace_lines=False):
        self.inputs.append(list(inputs))
        return await self.inner.run(program, inputs, limits, trace_lines=trace_lines)

    async def close(self):
        await self.inner.close()


def test_a_right_program_passes(box, judged):
    verdict = judged(DOUBLE, THREE)
    assert verdict.passed
    assert verdict.level == box.level
    assert [(result.name, result.status) for result in verdict.results] == [
        *(("f(1)", "passed"), ("f(2)", "passed"), ("f(3)", "passed"))
    ]


def test_results_come_in_the_oracles_order_and_the_first_failure_names_the_verdict(judged):
    program = (
        "def f(x):\n    if x == 2:\n        return 5\n    if x == 3:\n        raise KeyError(x)\n    return 2 * x\n"
    )
    verdict = judged(program, THREE)
    assert verdict.status == "failed"
    assert [result.status for result in verdict.results] == ["passed", "failed", "exception"]
    assert verdict.results[1].detail == "got 5, wanted 4"
    assert verdict.results[2].detail == "KeyError: 3 (line 5)"
    assert (verdict.error, verdict.error_line) == ("KeyError: 3", 5)
    assert verdict.num_passed == 1


@pytest.mark.parametrize(
    ("program", "status", "of_tests"),
    [
        ("def f(x:\n", "syntax_error", "exception"),
        ("def g(x): pass\n", "no_entry_point", "exception"),
        ("1 / 0\n", "exception", "exception"),
        ("while True: pass\n", "timeout", "timeout"),
        ("import os\nos._exit(0)\n", "crashed", "crashed"),
        ("print('x' * 10**7)\n", "output_limit", "output_limit"),
        ("def f(x):\n    return f\n", "failed", "failed"),
    ],
)
def test_one_status_for_every_test_of_a_program_that_did_not_run(judged, program, status, of_tests):
    verdict = judged(program, replace(THREE, limits=Limits(cpu_s=0.3)))
    assert verdict.status == status
    assert [result.status for result in verdict.results] == [of_tests] * 3
    assert all(result.detail for result in verdict.results)


def test_comparator_of_the_test_comes_before_the_oracles(judged):
    loose = CallTest("f(1)", (1,), 2.0, comparator=Comparator(strict=False))
    assert judged(DOUBLE, oracle(loose)).passed
    assert not judged(DOUBLE, oracle(replace(loose, comparator=None))).passed
    assert judged(DOUBLE, oracle(replace(loose, comparator=None), comparator=Comparator(strict=False))).passed


def test_stdin_scripts_and_answers(judged):
    echo = "import sys\nprint(sys.stdin.read().upper())\n"
    assert judged(echo, oracle(StdioTest("a", "hi\n", "HI\n"), StdioTest("b", "x", "X")), None).passed
    verdict = judged(echo, oracle(StdioTest("a", "hi\n", "hi\n")), None)
    assert (verdict.status, verdict.results[0].detail) == ("failed", "printed 'HI\\n\\n', wanted 'hi\\n'")
    script = ScriptTest("s", "assert f(2) == 4\nassert f(0) == 0")
    assert judged(DOUBLE, oracle(script, trust="script"), None).passed
    assert judged("def f(x):\n    return x * x", oracle(script, trust="script"), None).passed
    assert judged("def f(x):\n    return x", oracle(script, trust="script"), None).status == "exception"
    verdict = judged("so it is 1,200", oracle(AnswerTest("n", 1200, "number")), None)
    assert (verdict.passed, verdict.level) == (True, "none")
    assert judged("[1]", oracle(AnswerTest("v", [1]), AnswerTest("w", [2])), None).num_passed == 1


def test_the_oracle_says_how_printed_output_is_compared(judged):
    """Three words in a column, a third to four places; the alternative has only two."""
    prints = "print(input())\nprint(1 / 3)\nprint('end')\n"
    tests = (StdioTest("a", "x\n", "x 0.3333 end"), StdioTest("b", "y\n", "no end", ("y 0.3333 end\n",)))
    for rule, passed in (
        (OutputRule(), [False, False]),
        (OutputRule("tokens"), [False, False]),
        (OutputRule("tokens", rtol=0.001), [True, True]),
        (OutputRule("trailing", rtol=0.001), [False, False]),
    ):
        verdict = judged(prints, replace(oracle(*tests), output=rule), None)
        assert [result.status == "passed" for result in verdict.results] == passed, rule
    assert "wanted 'x 0.3333 end'" in verdict.results[0].detail


def test_no_tests_no_verdict(judged):
    with pytest.raises(TaskError, match="no tests"):
        judged(DOUBLE, oracle())
    with pytest.raises(TaskError, match="entry point"):
        judged(DOUBLE, THREE, None)


def test_the_sandbox_is_told_inputs_only_in_an_order_of_the_programs_own(box):
    tests = [*calls(*((n, 2 * n) for n in range(20))), StdioTest("in", "5", "55"), ScriptTest("s", "assert f(1) == 2")]
    recording = Recording(box)

    async def orders():
        for program, seed in ((DOUBLE, 0), (DOUBLE, 0), (DOUBLE, 1), (DOUBLE + "#", 0)):
            await Judge(recording, canaries_every=0).judge(program, oracle(*tests), "f", seed=seed)

    asyncio.run(orders())
    first, again, reseeded, other = recording.inputs
    assert first == again
    assert first != reseeded
    assert first != other
    assert sorted(map(repr, first)) == sorted(map(repr, other))
    inputs = [*(Call("f", (n,)) for n in range(20)), Stdin("5"), Script("assert f(1) == 2")]
    assert sorted(map(repr, first)) == sorted(map(repr, inputs))


def test_verdicts_are_remembered_unless_time_decided(box):
    recording = Recording(box)
    slow = replace(THREE, limits=Limits(cpu_s=0.2))
    loop = "def f(x):\n    while True: pass\n"

    async def main():
        judge = Judge(recording, reruns=0, canaries_every=0)
        first = await judge.judge(DOUBLE, THREE, "f")
        assert await judge.judge(DOUBLE, THREE, "f") is first
        assert len(recording.inputs) == 1
        await judge.judge(DOUBLE, THREE, "f", seed=1)
        await judge.judge(DOUBLE, THREE, "f", trace_lines=True)
        await judge.judge(DOUBLE, slow, "f")
        await judge.judge(DOUBLE, replace(THREE, comparator=Comparator(strict=False)), "f")
        assert len(recording.inputs) == 5
        await judge.judge(loop, slow, "f")
        await judge.judge(loop, slow, "f")
        assert len(recording.inputs) == 7

    asyncio.run(main())


def test_the_memory_of_verdicts_is_bounded(box):
    recording = Recording(box)

    async def main():
        judge = Judge(recording, cache_size=2, reruns=0, canaries_every=0)
        for suffix in ("", "#", "##", "##", "#", ""):
            await judge.judge(DOUBLE + suffix, THREE, "f")

    asyncio.run(main())
    assert len(recording.inputs) == 4  # the last is the only one forgotten


DEEP = "a = []\n    for _ in range({}):\n        a = [a]\n    return a\n"
CYCLES = {
    "list": "a = []\n    a.append(a)\n    return a\n",
    "dict": "a = {}\n    a[0] = a\n    return a\n",
    "pair": "a, b = [], []\n    a.append(b)\n    b.append(a)\n    return a\n",
    "shared, without end if written out": "a = [0]\n    for _ in range(60):\n        a = [a, a]\n    return a\n",
}


def nested(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("body", "expected", "right"),
    [
        ("return float('nan')\n", float("nan"), True),
        ("return [float('nan')] * 2\n", [float("nan"), 0.0], False),
        ("return -float('inf')\n", float("-inf"), True),
        ("return float('inf')\n", float("-inf"), False),
        ("return float('inf')\n", 1.7976931348623157e308, False),
        ("return complex(float('nan'), 1)\n", complex(float("nan"), 1), True),
        ("return -0.0\n", 0.0, True),
        ("return 2 ** 99_999\n", 2**99_999, True),
        ("return 2 ** 99_999 + 1\n", 2**99_999, False),
        ("return 2 ** 100_000\n", 2**100_000, False),  # beyond what is let out
        ("return 2.0 ** 53\n", 2**53, False),
        ("return 2 ** 53 + 1\n", 2**53, False),
        ("return {2 ** 70: float('inf'), (): frozenset([1])}\n", {(): frozenset([1]), 2**70: float("inf")}, True),
        (DEEP.format(49), nested(49), True),
        (DEEP.format(49), nested(48), False),
        (DEEP.format(200), nested(49), False),
        ("return [[1]] * 1000\n", [[1] for _ in range(1000)], True),
        *((body, [[]], False) for body in CYCLES.values()),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else "",
)
def test_values_at_the_edge(judged, body, expected, right):
    program, limits = f"def f(x):\n    {body}", Limits(cpu_s=0.3, wall_s=5.0)
    assert judged(program, oracle(CallTest("a", (1,), expected), limits=limits)).passed is right
    bag = Comparator("multiset", strict=False, atol=1e-3, rtol=1e-3)
    assert judged(program, oracle(CallTest("a", (1,), expected, comparator=bag), limits=limits)).results


@pytest.mark.parametrize("size", [99_999, -99_999])
def test_ints_of_any_length_go_in_and_come_out(judged, size):
    big = 2 ** abs(size) * (1 if size > 0 else -1)
    assert judged("def f(x):\n    return -x\n", oracle(CallTest("a", (big,), -big))).passed


def test_an_unshowable_value_is_no_trouble(judged):
    assert judged("def f(x):\n    return 10**5000\n", THREE).results[0].detail == "got <int too long to show>, wanted 2"
    assert len(judged("def f(x):\n    return 'x' * 10**5\n", THREE).results[0].detail) < 200


# ------------------------------------------------------------------------------------------------- many


def test_many_verdicts_in_order(box):
    jobs = [(f"def f(x):\n    return {factor} * x\n", THREE, "f") for factor in (2, 1, 2, 3)] * 30
    seen = []
    verdicts = asyncio.run(judge_many(Judge(box), jobs, on_result=lambda index, verdict: seen.append((index, verdict))))
    assert [verdict.passed for verdict in verdicts] == [True, False, True, False] * 30
    assert seen == list(enumerate(verdicts))


def test_in_order_runs_side_by_side_and_stops_at_an_error():
    running = most = 0
    cancelled = []

    async def work(number):
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            await asyncio.sleep(0.001 * (7 - number % 7))
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        running -= 1
        if number == 150:
            raise SandboxError("broken")
        return number

    async def main():
        seen = []
        with pytest.raises(SandboxError, match="broken"):
            async for number in in_order(work(n) for n in range(1000)):
                seen.append(number)
        return seen

    assert asyncio.run(main()) == list(range(150))
    assert 2 < most <= 64
    assert all(150 < number < 150 + 64 for number in cancelled)


TASKS = {
    "double@1/0": Task(id="double@1/0", prompt="", entry_point="f", stub="import math\ndef f(x):\n    '''Twice.'''\n"),
    "answer@1/0": Task(id="answer@1/0", prompt="", language="text"),
}
ORACLES = {"double@1/0": THREE, "answer@1/0": Oracle(task_id="answer@1/0", tests=(AnswerTest("n", 4, "number"),))}


def test_rows_in_rows_out(box):
    rows = [
        {"task_id": "double@1/0", "program": DOUBLE, "more": 1},
        {"task_id": "Double/0", "completion": "    return math.floor(2 * x)\n"},
        {"task_id": "double@1/0", "program": "def f(x):\n    return math.floor(x)\n"},
        {"task_id": "answer@1/0", "program": "It is 4."},
    ]
    seen = []
    found = asyncio.run(
        judge_rows(rows, TASKS, ORACLES, Judge(box), aliases={"Double/0": "double@1/0"}, on_result=seen.append)
    )
    assert seen == found
    assert [(row["task_id"], row["status"], row["passed"], row["total"], row["level"]) for row in found] == [
        ("double@1/0", "passed", 3, 3, box.level),
        ("Double/0", "passed", 3, 3, box.level),
        ("double@1/0", "failed", 0, 3, box.level),
        ("answer@1/0", "passed", 1, 1, "none"),
    ]
    assert found[2]["results"][0] == {
        "name": "f(1)",
        "status": "failed",
        "detail": "got 1, wanted 2",
        "cpu_ms": found[2]["results"][0]["cpu_ms"],
    }
    assert found[0]["violations"] == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"task_id": "double@1/1", "program": ""}, "row 2: no task 'double@1/1'.*did you mean 'double@1/0'"),
        ({"program": ""}, r"row 2: has no task_id, only \['program'\]"),
        ({"task_id": "double@1/0"}, "row 2: wanted one text field"),
        ({"task_id": "double@1/0", "program": "", "completion": ""}, "row 2: wanted one text field"),
        ({"task_id": "double@1/0", "program": 3}, "row 2: wanted one text field"),
    ],
)
def test_bad_rows_are_named_before_anything_runs(box, row, message):
    recording = Recording(box)
    rows = [{"task_id": "double@1/0", "program": DOUBLE}, row]
    with pytest.raises(ConfigError, match=message):
        asyncio.run(judge_rows(rows, TASKS, ORACLES, Judge(recording)))
    assert recording.inputs == []


def test_our_own_failure_is_no_score():
    async def main():
        sandbox = ProcessSandbox(workers=1)
        await sandbox.close()
        return await judge_rows([{"task_id": "double@1/0", "program": DOUBLE}], TASKS, ORACLES, Judge(sandbox))

    (row,) = asyncio.run(main())
    assert row["status"] == "error"
    assert (row["passed"], row["results"]) == (0, [])
    assert "closed" in row["error"]


def test_assembling():
    stub = (
        "from typing import List\nimport math\n\ndef helper(x):\n    return x\n\ndef f(x: List[int]):\n    '''Doc.'''\n"
    )
    task = Task(id="t", prompt="", entry_point="f", stub=stub)
    assert assemble(task, completion="    return x\n") == stub + "    return x\n"
    assert missing_stub(task, "def f(x): return x") == (
        "from typing import List\nimport math\ndef helper(x):\n    return x\n"
    )
    assert (
        missing_stub(task, "from typing import List\nimport math\ndef helper(x):\n    return 2\ndef f(x): pass") == ""
    )
    assert missing_stub(task, "'''Doc.'''\nfrom __future__ import annotations\ndef f(x): pass") == ""
    assert missing_stub(replace(task, stub=""), "x") == ""
    assert missing_stub(replace(task, stub="def f(x):\n    if x:"), "x") == ""
    with pytest.raises(ValueError, match="either"):
        assemble(task)
