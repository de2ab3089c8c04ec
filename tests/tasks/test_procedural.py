"""Procedural tasks: sound, disjoint by program and by structure, the same on every machine; and what is derived."""

import ast
import asyncio
from random import Random

import pytest

from verigrad.errors import ConfigError, TaskError
from verigrad.evaluation.checks import check_tasks
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.process import ProcessSandbox
from verigrad.tasks import load_tasks
from verigrad.tasks.base import TaskSet
from verigrad.tasks.derived import infills, outputs, repairs
from verigrad.tasks.mutate import changed_lines, changed_tokens
from verigrad.tasks.procedural import SPLITS
from verigrad.tasks.procedural.corpus import demonstrations, texts
from verigrad.tasks.procedural.structure import all_structures
from verigrad.types import CallTest, Comparator, Oracle, Task


def family(task):
    return task.tag("family")


def programs(taskset):
    """The gold programs, all under one name."""
    found = set()
    for task in taskset.tasks:
        tree = ast.parse(taskset.oracle(task).gold)
        tree.body[0].name = "f"
        found.add(ast.unparse(tree))
    return found


@pytest.mark.parametrize("split", SPLITS)
def test_tasks_are_sound(split):
    """What `verigrad check tasks` asks: gold passes twice, empty, constant and mutated programs do not."""

    async def check():
        async with ProcessSandbox(workers=2) as sandbox:
            judge = Judge(sandbox)
            checks = await check_tasks(load_tasks(f"procedural@1?split={split}&count=6"), judge)
            for form in ("repair", "output"):
                checks += await check_tasks(load_tasks(f"procedural@1?split={split}&count=4&form={form}"), judge)
            return checks

    assert [found for found in asyncio.run(check()) if found.complaints] == []


def test_splits_share_no_structure_and_no_program():
    train, validation, unseen = (load_tasks(f"procedural@1?split={split}&count=150") for split in SPLITS)
    assert not {family(task) for task in unseen.tasks} & {family(task) for task in (*train.tasks, *validation.tasks)}
    assert not programs(train) & programs(validation)
    assert not programs(train) & programs(unseen)


def test_both_styles_of_a_chain_and_every_single_operation_are_on_the_same_side():
    sides = {own.key: own.held_out for own in all_structures(2)}
    chains = {key.partition("/")[2] for key in sides if key.startswith("chain")}
    assert all(sides[f"chain_line/{chain}"] == sides[f"chain_steps/{chain}"] for chain in chains)
    assert not any(held for key, held in sides.items() if key.startswith("chain") and "+" not in key)
    assert 0.15 < sum(sides.values()) / len(sides) < 0.25


def test_no_program_comes_twice_whatever_its_functions_name():
    for split in SPLITS:
        assert len(programs(load_tasks(f"procedural@1?split={split}&count=120"))) == 120, split


def test_a_task_is_a_function_of_its_place():
    first, again = (load_tasks("procedural@1?split=train&count=12&seed=3") for _ in range(2))
    longer = load_tasks("procedural@1?split=train&count=20&seed=3")
    other = load_tasks("procedural@1?split=train&count=12&seed=4")
    assert first == again
    assert longer.tasks[:12] == first.tasks
    assert {task.prompt for task in first.tasks} != {task.prompt for task in other.tasks}
    assert {task.tag("topic") for task in first.tasks} >= {"branch", "chain_line", "chain_steps", "loop_list"}


def test_bad_options_are_errors_that_help():
    with pytest.raises(ConfigError, match="unseen_structures"):
        load_tasks("procedural@1?split=unseen_structure")
    with pytest.raises(ConfigError, match="known: write, repair, output"):
        load_tasks("procedural@1?form=mend")
    with pytest.raises(ConfigError, match="count is 0"):
        load_tasks("procedural@1?count=0")


def small_set():
    """Two tasks written by hand."""
    golds = {
        "t@1/0": "def f(n):\n    out = n + 3\n    out = out * 2\n    return out\n",
        "t@1/1": "def f(n):\n    return n - 1\n",
    }
    answers = {"t@1/0": lambda n: (n + 3) * 2, "t@1/1": lambda n: n - 1}
    tasks = tuple(Task(id=name, prompt=f"Do {name}.", entry_point="f") for name in golds)
    oracles = {
        name: Oracle(task_id=name, gold=gold, tests=tuple(CallTest(f"t{n}", (n,), answers[name](n)) for n in (0, 1, 5)))
        for name, gold in golds.items()
    }
    return TaskSet("t@1", tasks, oracles, {})


def test_gaps_are_whole_lines_behind_the_first_and_put_together_give_the_program():
    tasks = small_set()
    for several in (False, True):
        found = infills(tasks, several_lines=several)
        for infill in found:
            gold = tasks.oracle(infill.task).gold
            assert infill.prefix + infill.middle + infill.suffix == gold
            assert infill.prefix.startswith("def f(n):\n")
            assert (infill.middle.count("\n") > 1) == several
    assert [infill.task.id for infill in infills(tasks, several_lines=True)] == ["t@1/0"]  # the other has one line
    assert len({infill.middle for seed in range(20) for infill in infills(tasks, seed=seed)}) == 4


def test_a_repair_shows_a_program_that_fails_and_keeps_the_oracle():
    tasks = small_set()
    found = repairs(tasks, seed=1)
    assert [task.id for task in found.tasks] == ["t@1/repair/0", "t@1/repair/1"]
    for task, source in zip(found.tasks, tasks.tasks, strict=True):
        oracle = found.oracle(task)
        assert oracle.gold == tasks.oracle(source).gold
        broken = task.prompt.partition("```python\n")[2].removesuffix("```")
        space = {}
        exec(broken, space)
        assert any(space["f"](*test.args) != test.expected for test in oracle.tests)


def test_a_mutated_loop_that_never_ends_is_passed_over():
    gold = "def f(n):\n    while n > 0:\n        n = n - 1\n    return n\n"
    oracle = Oracle(task_id="t@1/0", gold=gold, tests=(CallTest("a", (3,), 0), CallTest("b", (-2,), -2)))
    tasks = TaskSet("t@1", (Task(id="t@1/0", prompt="Count down.", entry_point="f"),), {"t@1/0": oracle}, {})
    for seed in range(6):
        task = repairs(tasks, seed=seed).tasks[0]
        assert "n = n + 1" not in task.prompt


def test_an_output_task_asks_for_a_hidden_test_of_the_gold_program():
    tasks = small_set()
    found = outputs(tasks)
    for task, source in zip(found.tasks, tasks.tasks, strict=True):
        (test,) = found.oracle(task).tests
        known = {f"f({own.args[0]})": own.expected for own in tasks.oracle(source).tests}
        call = task.prompt.removeprefix("What does ").partition(" return?")[0]
        assert test.expected == known[call]
        assert tasks.oracle(source).gold in task.prompt


def test_changes_of_a_token_and_of_a_line_by_hand():
    source = "def f(n):\n    return n + 7\n"
    assert set(changed_tokens(source, Random(0))) == {
        "def f(n):\n    return n - 7\n",
        *(f"def f(n):\n    return n + {k}\n" for k in (5, 6, 8, 9)),
    }
    others = ["def g(n):\n    return n * 2\n", "def g(n):\n    if n:\n        return 0\n"]
    assert set(changed_lines(source, others, Random(0))) == {
        "def f(n):\n    return n * 2\n",
        "def f(n):\n    return 0\n",  # `if n:` alone does not parse, nor does a body without a line
    }


def test_the_corpus_holds_no_unseen_structure_and_answers_all_forms():
    unseen = programs(load_tasks("procedural@1?split=unseen_structures&count=150"))
    written = list(texts(150, depth=2, seed=0))
    defined = {ast.unparse(_program(text)) for text in written}
    assert not {text.replace("def g(", "def f(").replace("def h(", "def f(") for text in defined} & unseen
    shown = list(demonstrations(50, depth=2, seed=0))
    assert sum(prompt.startswith("Mend") for prompt, _ in shown) == 10
    assert sum(prompt.startswith("What does") for prompt, _ in shown) == 10


def _program(text):
    """The function in a document."""
    lines = text.splitlines(keepends=True)
    start = next(n for n, line in enumerate(lines) if line.startswith("def "))
    end = next((n for n in range(start + 1, len(lines)) if not lines[n].startswith(" ")), len(lines))
    return ast.parse("".join(lines[start:end]))


def one_task(gold, *tests):
    task = Task(id="own@1/0", prompt="Do it.", entry_point="f")
    return TaskSet("own@1", (task,), {task.id: Oracle(task_id=task.id, tests=tests, gold=gold)}, {})


def test_breaking_a_program_leaves_its_tests_as_they_were_and_its_fence_whole():
    """The program changes a list inside its argument, as its mutants do, and ends without a line feed."""
    gold = "def f(rows):\n    rows[0][0] = rows[0][0] + 1\n    return rows[0][0]"
    test = CallTest("a", ([[1], [2]],), 2)
    task = repairs(one_task(gold, test)).tasks[0]
    assert test.args == ([[1], [2]],)
    assert task.prompt.endswith("\n```")


def test_outputs_are_asked_of_calls_that_have_one_value():
    gold = "def f(x, by=1):\n    return [x, x + by]"
    told = CallTest("c", (5,), [5, 6])
    tests = (CallTest("a", (3,), [4, 3], comparator=Comparator("multiset")), CallTest("b", (4,), [4, 6], {"by": 2}))
    for seed in range(6):
        assert "f(5)" in outputs(one_task(gold, *tests, told), seed=seed).tasks[0].prompt
    with pytest.raises(TaskError, match="nothing to predict"):
        outputs(one_task(gold, *tests))


def test_a_corpus_may_be_larger_than_there_are_programs(monkeypatch):
    """It goes on with a fresh set, whose programs may be those of the last, in other words or with other examples."""
    few = list(texts(20, depth=1, seed=0))
    monkeypatch.setattr("verigrad.tasks.procedural.corpus._AT_ONCE", 20)
    many = list(texts(70, depth=1, seed=0))
    assert len(many) == 70 and many[:20] == few
    assert len(set(many)) > 60
    shown = list(demonstrations(100, depth=1, seed=0))
    assert len(shown) == 100 and len(set(shown)) > 90
