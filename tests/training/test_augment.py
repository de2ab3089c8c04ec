"""Words that are left out, and what stays."""

import asyncio
import re
from dataclasses import replace
from random import Random

import pytest

from verigrad.errors import ConfigError
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.process import ProcessSandbox
from verigrad.tasks import load_tasks
from verigrad.tasks.base import TaskSet
from verigrad.training.augment import drop_words, rename_functions, thin_prompts
from verigrad.training.config import SFTConfig
from verigrad.types import Oracle, Task

TEXT = (
    "Write a Python function `def far(a, b):`\n\nReturn the distance of a and b, plus 3 or x_2 (an integer).\n\n"
    "assert far(1, 2) == 4\n>>> far(0, 0)"
)


class First(Random):
    """A share of 1, then draws below it: every word goes."""

    def __init__(self):
        self.draws = iter([1.0])

    def random(self):
        return next(self.draws, 0.5)


def test_code_numbers_and_signs_stay():
    class Always(Random):
        def random(self):
            return 0.999

    class Never(Random):
        def random(self):
            return 0.0

    assert drop_words(TEXT, 1.0, Always()) == TEXT  # each draw is above the share: 0.999 is not below 0.999
    assert drop_words(TEXT, 0.0, Random(0)) == TEXT

    assert drop_words(TEXT, 1.0, First()) == "`def far(a, b):`\n\n3 x_2\n\nassert far(1, 2) == 4\n>>> far(0, 0)"
    assert drop_words(TEXT, 1.0, Never()) == TEXT  # a share of 0


def test_the_share_is_drawn_for_each_text():
    words = " ".join(["word"] * 1000)
    left = [len(drop_words(words, 0.8, Random(seed)).split()) / 1000 for seed in range(200)]
    # Left is 1 - share with the share uniform in [0, 0.8]: mean 0.6, spread 0.8 / sqrt(12) = 0.23.
    assert abs(sum(left) / len(left) - 0.6) < 3 * 0.23 / 200**0.5
    assert min(left) < 0.25 and max(left) > 0.95


def test_the_same_generator_drops_the_same():
    assert drop_words(TEXT, 0.9, Random(5)) == drop_words(TEXT, 0.9, Random(5))


def test_code_between_fences_and_examples_without_assert_stay():
    text = "g(s): make it upper case\ng('abc') == 'ABC'\n```python\nbest = first\n```\nand done"
    left = drop_words(text, 1.0, First())
    assert left == "g(s):\ng('abc') == 'ABC'\n```python\nbest = first\n```\n"


def test_tasks_keep_all_but_words():
    tasks = load_tasks("builtin-easy@1?split=train&families=add_constant,sum_list")
    thinned = thin_prompts(tasks, 1.0, seed=0)
    assert thinned == thin_prompts(tasks, 1.0, seed=0) != thin_prompts(tasks, 1.0, seed=1)
    assert thinned.oracles == tasks.oracles
    lengths = [(len(one.prompt), len(other.prompt)) for one, other in zip(tasks.tasks, thinned.tasks, strict=True)]
    assert all(after <= before for before, after in lengths) and any(after < before for before, after in lengths)
    for one, other in zip(tasks.tasks, thinned.tasks, strict=True):
        assert other.id == one.id and other.public_tests == one.public_tests
        asserts = [line for line in one.prompt.splitlines() if line.startswith("assert")]
        assert asserts and all(line in other.prompt for line in asserts)
        assert f"`def {one.entry_point}(" in other.prompt


def judged(tasks: TaskSet) -> set[str]:
    async def run():
        sandbox = ProcessSandbox(workers=2)
        try:
            judge = Judge(sandbox)
            oracles = [(tasks.oracle(task), task.entry_point) for task in tasks.tasks]
            return [await judge.judge(oracle.gold, oracle, name) for oracle, name in oracles]
        finally:
            await sandbox.close()

    return {verdict.status for verdict in asyncio.run(run())}


def test_a_renamed_task_is_the_same_problem():
    tasks = load_tasks("builtin?split=train&instances=1")
    renamed = rename_functions(tasks, 1.0, seed=0)
    assert renamed == rename_functions(tasks, 1.0, seed=0) != rename_functions(tasks, 1.0, seed=1)
    words = {word for task in tasks.tasks for word in task.entry_point.split("_")}
    for one, other in zip(tasks.tasks, renamed.tasks, strict=True):
        assert other.entry_point != one.entry_point and set(other.entry_point.split("_")) <= words
        # Only the name changed: put back, everything is as it was.
        assert re.sub(rf"\b{other.entry_point}\b", one.entry_point, other.prompt) == one.prompt
        assert f"`{one.entry_point}`" not in other.prompt
        assert renamed.oracle(other).tests == tasks.oracle(one).tests
    assert judged(renamed) == {"passed"}


def test_the_share_of_tasks_renamed():
    tasks = load_tasks("builtin?split=train&instances=4")
    assert rename_functions(tasks, 0.0, seed=0) == tasks
    half = rename_functions(tasks, 0.5, seed=0)
    changed = sum(one != other for one, other in zip(tasks.tasks, half.tasks, strict=True))
    assert abs(changed / len(tasks) - 0.5) < 3 * 0.5 / len(tasks) ** 0.5


def test_a_word_of_the_statement_is_no_name():
    area = Task(id="t/0", prompt="Write `def area(a):` giving the area of b, or area_area.", entry_point="area")
    oracles = {area.id: Oracle(task_id=area.id, tests=(), gold="def area(a):\n    return a * a\n")}
    for seed in range(20):
        renamed = rename_functions(TaskSet("t", (area,), oracles, {}), 1.0, seed=seed)
        name = renamed.tasks[0].entry_point
        assert name != "area_area" and set(name.split("_")) <= {"area", "f1", "f2", "f3", "f4"}
        assert renamed.tasks[0].prompt == f"Write `def {name}(a):` giving the area of b, or area_area."
        assert renamed.oracle(renamed.tasks[0]).gold == f"def {name}(a):\n    return a * a\n"


def test_methods_of_that_name_stay_and_prototypes_follow():
    task = Task(id="t/0", prompt="Call it `reverse`; `x.reverse()` helps.", entry_point="reverse")
    gold = "def reverse(a):\n    a.reverse()\n    return a\n"
    task = replace(task, stub="int reverse(int a);")
    oracle = Oracle(task_id=task.id, tests=(), gold=gold, prototype="int reverse(int)")
    renamed = rename_functions(TaskSet("t", (task,), {task.id: oracle}, {}), 1.0, seed=0)
    (other,) = renamed.tasks
    name = other.entry_point
    assert other.prompt == f"Call it `{name}`; `x.reverse()` helps." and other.stub == f"int {name}(int a);"
    after = renamed.oracle(other)
    assert after.gold == f"def {name}(a):\n    a.reverse()\n    return a\n" and after.prototype == f"int {name}(int)"


def test_a_gold_program_is_renamed_wherever_it_means_the_function():
    def gold(name):
        body = f"    {name} = [*map({name}, x)]; y.area({name})\n    return g(area = {name}(x), s='area(')\n"
        return f"def {name} (x):\n{body}"

    task = Task(id="t/0", prompt="p", entry_point="area")
    oracles = {task.id: Oracle(task_id=task.id, tests=(), gold=gold("area"))}
    renamed = rename_functions(TaskSet("t", (task,), oracles, {}), 1.0, seed=0)
    (other,) = renamed.tasks
    assert other.entry_point != "area" and renamed.oracle(other).gold == gold(other.entry_point)


def test_demonstrations_of_a_file_cannot_be_renamed():
    with pytest.raises(ConfigError, match="rename needs tasks"):
        SFTConfig(data="demonstrations.jsonl", rename=0.5)
