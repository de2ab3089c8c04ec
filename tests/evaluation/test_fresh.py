"""Hidden tests drawn anew: for task files with generators, as documented, and for the built-in suite."""

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from verigrad.cli.main import main
from verigrad.errors import TaskError
from verigrad.evaluation.fresh import FreshTests, can_draw
from verigrad.evaluation.sources import load_source
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.process import ProcessSandbox
from verigrad.tasks.builtin import load, wrong_programs
from verigrad.training.augment import rename_functions
from verigrad.types import Oracle, Task

DOC = Path(__file__).parents[2] / "docs" / "tasks.md"


@pytest.fixture
def documented(tmp_path, monkeypatch):
    """The documented example as a file; drawn tests are kept in a cache of this test's."""
    monkeypatch.setenv("VERIGRAD_CACHE", str(tmp_path / "cache"))
    examples = re.findall(r"```jsonl\n(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL)
    (example,) = (text for text in examples if '"drawn@1"' in text)
    (tmp_path / "drawn.jsonl").write_text(example)
    return tmp_path / "drawn.jsonl"


def in_sandbox(work):
    async def run():
        async with ProcessSandbox() as sandbox:
            return await work(sandbox)

    return asyncio.run(run())


def test_the_documented_example_is_sound(documented, capsys):
    assert main(["check", "tasks", str(documented)]) == 0
    assert "3 of 3 tasks sound" in capsys.readouterr().out


def test_loading_draws_tests_once_and_keeps_them(documented, tmp_path, monkeypatch):
    tasks = load_source(str(documented))
    divisor, smallest, mean = (tasks.oracle(task).tests for task in tasks.tasks)
    assert [test.name for test in divisor] == ["prime", "many", "odd"]
    assert [test.name for test in smallest] == ["none", *(f"drawn_{n}" for n in range(1, 7))]
    assert all(test.expected == sorted(test.args[0])[: test.args[1]] for test in smallest)
    assert all(test.args[1] <= len(test.args[0]) for test in smallest)
    assert mean[0].name == "reversed" and len(mean) == 9
    assert all(test.property == "within" and -99 <= x <= 99 for test in mean[1:] for (xs,) in test.inputs for x in xs)
    (kept,) = (tmp_path / "cache" / "drawn").iterdir()
    assert kept.suffix == ".jsonl"
    monkeypatch.setattr("verigrad.evaluation.sources.ProcessSandbox", None)  # nothing runs the second time
    assert repr(load_source(str(documented))) == repr(tasks)


def test_right_and_wrong_programs_on_the_documented_example(documented):
    tasks = load_source(str(documented))
    programs = [
        ("def divisor(n):\n    return next((d for d in range(n - 1, 1, -1) if n % d == 0), 0)\n", True),
        ("def divisor(n):\n    return 7 * (n == 35)\n", False),
        ("def smallest(xs, k):\n    import heapq\n    return heapq.nsmallest(k, xs)\n", True),
        ("def smallest(xs, k):\n    return sorted(xs, reverse=True)[:k]\n", False),
        ("def mean(xs):\n    import statistics\n    return float(statistics.fmean(xs)) if xs else 0.0\n", True),
        ("def mean(xs):\n    return float(xs[0]) if xs else 0.0\n", False),
    ]

    async def verdicts(sandbox):
        judge = Judge(sandbox)
        fresh = await FreshTests(sandbox).draw(tasks.tasks, [tasks.oracle(task) for task in tasks.tasks], 5)
        return [
            (await judge.judge(program, fresh[n // 2], tasks.tasks[n // 2].entry_point)).passed
            for n, (program, _) in enumerate(programs)
        ]

    assert in_sandbox(verdicts) == [right for _, right in programs]


def test_drawing_is_a_function_of_oracle_and_seed_and_is_done_once(documented):
    tasks = load_source(str(documented))
    oracles = [tasks.oracle(task) for task in tasks.tasks]

    async def draws(sandbox):
        one, other = FreshTests(sandbox), FreshTests(sandbox)
        first = await one.draw(tasks.tasks, oracles, 1)
        alone = [(await other.draw([task], [oracle], 1))[0] for task, oracle in zip(tasks.tasks, oracles, strict=True)]
        again, changed = await one.draw(tasks.tasks, oracles, 1), await one.draw(tasks.tasks, oracles, 2)
        return first, alone, again, changed

    first, alone, again, changed = in_sandbox(draws)
    assert repr(first) == repr(alone)
    assert all(a is b for a, b in zip(first, again, strict=True))
    assert first[0] is oracles[0]  # nothing to draw from
    for before, after in zip(first[1:], changed[1:], strict=True):
        assert before.tests[0] == after.tests[0]
        assert repr(before.tests[1:]) != repr(after.tests[1:])


def test_what_is_kept_is_bounded_and_of_the_oracle_it_came_from():
    tasks = load(families=("count_vowels",), instances=3)
    oracles = [tasks.oracle(task) for task in tasks.tasks]

    async def draws():
        fresh = FreshTests(None, cache_size=2)
        found = await fresh.draw(tasks.tasks, oracles, 1)
        other = replace(oracles[2], gold=None)
        (second,) = await fresh.draw(tasks.tasks[2:], [other], 1)
        return found, second, len(fresh._known)

    found, second, known = asyncio.run(draws())
    assert [oracle.task_id for oracle in found] == [task.id for task in tasks.tasks]
    assert second.gold is None and second.tests == found[2].tests
    assert known == 2


def test_the_built_in_suite_is_drawn_by_the_same_call():
    tasks = load(difficulty="medium", instances=1)
    tasks = rename_functions(replace(tasks, tasks=tasks.tasks[::9]), 0.5, seed=0)
    oracles = [tasks.oracle(task) for task in tasks.tasks]

    async def work(sandbox):
        fresh = await FreshTests(sandbox).draw(tasks.tasks, oracles, 11)
        judge = Judge(sandbox)
        jobs = [(task, oracle) for task, oracle in zip(tasks.tasks, fresh, strict=True)]
        golds = [(await judge.judge(oracle.gold, oracle, task.entry_point)).status for task, oracle in jobs]
        names = {task.id: task.entry_point for task in load(difficulty="medium", instances=1).tasks}
        wrong = [
            (await judge.judge(program, oracle, names[task.id])).passed
            for task, oracle in jobs
            for program in wrong_programs(task)
        ]
        return fresh, golds, wrong

    fresh, golds, wrong = in_sandbox(work)
    assert set(golds) == {"passed"}
    assert wrong and not any(wrong)
    for task, before, after in zip(tasks.tasks, oracles, fresh, strict=True):
        assert [test.name for test in before.tests] == [test.name for test in after.tests]
        edges = [test for test in before.tests if test.name.startswith("edge")]
        assert edges == [test for test in after.tests if test.name.startswith("edge")]
        assert repr(before.tests) != repr(after.tests)
        shown = {repr(test.args) for test in task.public_tests}
        assert not shown & {repr(test.args) for test in after.tests}
        assert after.constant_pass_rate < 0.7
        assert replace(after, tests=before.tests, constant_pass_rate=before.constant_pass_rate) == before


def test_what_can_be_drawn():
    tasks = load(families=("count_vowels",), instances=1)
    (task,) = tasks.tasks
    assert can_draw(task, tasks.oracle(task))
    other = Task(id="humaneval@1/0", prompt="")
    assert not can_draw(other, Oracle(task_id=other.id, tests=()))


UNSOUND = {
    "a checker that accepts anything": (
        {"checker": "def check(args, got):\n    return True\n"},
        "the constant program None passes",
    ),
    "a checker that accepts any answer of the gold's": (
        {"checker": "def check(args, got):\n    return got in (0, 2, 5)\n"},
        "the constant program 2 passes",
    ),
    "a checker that does not load": ({"checker": "def check(args, got)\n"}, "the checker does not load"),
    "a checker that refuses the gold": (
        {"checker": "def check(args, got):\n    return got == 12 and 'x'\n"},
        "gold does not pass",
    ),
    "a generator that is not deterministic": (
        {"generator": {"source": "import os\ndef inputs(random):\n    return (2 + os.urandom(2)[0],)\n"}},
        "the generator draws other tests for the same seed",
    ),
}


@pytest.mark.parametrize("name", UNSOUND)
def test_check_tasks_finds_what_is_unsound(documented, capsys, name):
    change, complaint = UNSOUND[name]
    row = json.loads(documented.read_text().splitlines()[1])
    row["oracle"] |= change
    documented.write_text(json.dumps(row))
    assert main(["check", "tasks", str(documented)]) == 1
    assert complaint in capsys.readouterr().out


def test_check_tasks_tries_constant_output(tmp_path, capsys):
    tests = [{"kind": "stdio", "name": str(n), "stdin": f"{n}\n", "stdout": "4\n"} for n in (1, 2)]
    oracle = {"tests": tests, "gold": "input()\nprint(4)\n"}
    (tmp_path / "weak.jsonl").write_text(json.dumps({"id": "weak@1/0", "prompt": "p", "oracle": oracle}))
    assert main(["check", "tasks", f"{tmp_path}/weak.jsonl"]) == 1
    assert "weak@1/0: the constant program '4\\n' passes" in capsys.readouterr().out


def test_a_generator_that_fails_stops_loading_and_names_the_task(documented):
    row = json.loads(documented.read_text().splitlines()[2])
    row["oracle"]["gold"] = "def smallest(xs, k):\n    return xs[k]\n"
    documented.write_text(json.dumps(row))
    with pytest.raises(TaskError, match="drawn@1/smallest: the gold program fails: exception IndexError"):
        load_source(str(documented))
