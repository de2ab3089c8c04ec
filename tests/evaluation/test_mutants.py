"""Gold programs with one thing changed: which changes, and that a task's check counts those that do no harm."""

import ast
import asyncio

import pytest

from verigrad import CallTest, Oracle, Task
from verigrad.evaluation.checks import check_tasks
from verigrad.evaluation.mutants import mutants
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.process import ProcessSandbox
from verigrad.tasks.base import TaskSet


@pytest.mark.parametrize(
    ("expression", "changed"),
    [
        ("a < b", {"not a < b", "a <= b"}),
        ("a == b", {"not a == b", "a != b"}),
        ("a in b", {"not a in b", "a not in b"}),
        ("a * b", {"not a * b", "a + b"}),
        ("a and b", {"not (a and b)", "a or b"}),
        ("a[7]", {"not a[7]", "a[8]"}),
        ("True", {"not True", "False"}),
        ("f(a)", {"not f(a)"}),
    ],
)
def test_one_change_at_a_time(expression, changed):
    found = mutants(f"def g(a, b):\n    return {expression}", most=9)
    assert {source.split("return ")[1] for source in found} == {ast.unparse(ast.parse(text)) for text in changed}


def test_loops_that_could_run_for_ever_are_left_alone():
    program = "def g(n):\n    while n > 1:\n        n = n - 2\n    return n"
    assert mutants(program, most=9) == [program.replace("return n", "return not n")]


def test_changes_are_spread_and_bounded_and_what_is_no_python_has_none():
    program = "def g(a):\n" + "".join(f"    a[{n}] = a[{n}] + 1\n" for n in range(30)) + "    return a"
    assert len(mutants(program)) == len(set(mutants(program))) == 3
    assert mutants("int main() { return 0; }") == [] and mutants("") == []


def test_a_check_counts_those_that_pass_all_the_same():
    """`return not (...)` is caught; `a >= b` gives the same for equal numbers, so it does no harm."""
    gold = "def top(a, b):\n    return a if a > b else b\n"
    task = Task(id="t@1/0", prompt="p", entry_point="top")
    tests = tuple(CallTest(f"t{n}", args, max(args)) for n, args in enumerate([(1, 2), (5, 3), (4, 4)]))
    tasks = TaskSet("t@1", (task,), {task.id: Oracle(task_id=task.id, tests=tests, gold=gold)}, {})

    async def checked():
        async with ProcessSandbox() as sandbox:
            return await check_tasks(tasks, Judge(sandbox))

    (found,) = asyncio.run(checked())
    assert (found.complaints, found.mutants, found.survivors) == ((), 2, 1)
