"""Programs and tests of one policy: every program on every test, and what their mutual ranking makes of it."""

import asyncio

import pytest

from verigrad.agents.single_turn import SingleTurn
from verigrad.engines.base import SamplingParams
from verigrad.engines.scripted import ScriptedEngine
from verigrad.errors import SandboxError
from verigrad.evaluation.generated_tests import asserts_in, retest
from verigrad.preferences.mining import from_rows, mine, mutual_ranking
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.process import ProcessSandbox
from verigrad.tasks.base import TaskSet
from verigrad.types import CallTest, Oracle, Task, TestResult, Verdict

TASK = Task(id="double", prompt="Write `double(x)`, twice x.", entry_point="double")
OTHER = Task(id="other", prompt="Write `other(x)`.", entry_point="other")
# One test is wrong; half of what is written cannot be read.
WRITTEN = """Here are tests:
assert double(1) == 2
- `assert double(0) == 0`
assert double(3) == 9
assert double(open("x")) == 1
assert double(1) == 2  # again"""
PROGRAMS = {
    "right": "def double(x):\n    return 2 * x",
    "also right": "def double(x):\n    return x + x",
    "square": "def double(x):\n    return x * x",
    "nothing": "def double(x):\n    return None",
}


class Letters:
    eos_token_id = 0

    def encode(self, text, **_):
        return [ord(letter) for letter in text]

    def decode(self, ids, **_):
        return "".join(map(chr, ids))


def answer(request):
    """Tests of `double`; of the other task it cannot think of any."""
    assert "one a line" in request.messages[-1].content
    return WRITTEN if "double" in request.messages[-1].content else "I cannot."


def test_asserts_are_read_line_by_line():
    found = asserts_in(WRITTEN, "double")
    assert [(test.name, test.args, test.expected) for test in found] == [
        ("generated 1", (1,), 2), ("generated 2", (0,), 0), ("generated 3", (3,), 9)]  # fmt: skip


class Broken:
    """A judge whose sandbox fails on one program."""

    async def judge(self, program, oracle, entry_point):
        if program == PROGRAMS["square"]:
            raise SandboxError("no memory for a worker")
        return Verdict(status="passed", results=tuple(TestResult(test.name, "passed") for test in oracle.tests))


def test_what_could_not_be_judged_has_no_reward():
    rows = [{"task_id": "double", "completion": "", "program": PROGRAMS[name]} for name in ("square", "right")]
    found = asyncio.run(
        retest(
            rows,
            TaskSet("t", (TASK,), {}, {}),
            agent=SingleTurn(None, SamplingParams(max_tokens=400, temperature=1.0)),
            engine=ScriptedEngine(answer, Letters()),
            judge=Broken(),
        )
    )
    assert [(row["status"], row["reward"]) for row in found] == [("error", None), ("passed", 1.0)]


def test_every_program_is_run_on_every_test_and_ranked():
    """Right programs pass 2 of 3, the square the two others, nothing none; tests agree with programs that agree."""
    hidden = {task.id: Oracle(task_id=task.id, tests=(CallTest("h", (1,), 5),)) for task in (TASK, OTHER)}
    rows = [
        {"task_id": task.id, "sample": n, "prompt": task.prompt, "completion": text, "program": text,
         "status": "failed", "passed": 0, "total": 1, "results": [], "tokens": 5, "stop_reason": "stop"}
        for task in (TASK, OTHER)
        for n, text in enumerate(PROGRAMS.values())
    ]  # fmt: skip

    async def judged():
        sandbox = ProcessSandbox(workers=1)
        try:
            return await retest(
                rows,
                TaskSet("t", (TASK, OTHER), hidden, {}),
                agent=SingleTurn(None, SamplingParams(max_tokens=400, temperature=1.0)),
                engine=ScriptedEngine(answer, Letters()),
                judge=Judge(sandbox, reruns=0, canaries_every=0),
                num_samples=2,
            )
        finally:
            await sandbox.close()

    found = asyncio.run(judged())
    assert {row["task_id"] for row in found} == {"double"}
    matrix = [[result["status"] == "passed" for result in row["results"]] for row in found]
    assert matrix == [[True, True, False], [True, True, False], [False, True, True], [False, False, False]]
    assert [row["reward"] for row in found] == pytest.approx([2 / 3, 2 / 3, 2 / 3, 0])
    (task,) = from_rows(found)
    pairs = mine(task, mutual_ranking)
    assert (pairs[0].chosen, pairs[0].rejected) == (PROGRAMS["right"], PROGRAMS["nothing"])
    assert (pairs[1].chosen, pairs[1].rejected) == (PROGRAMS["also right"], PROGRAMS["square"])
