"""A task source of one's own: puzzles about run lengths, made from a seed, in two splits that share no instance.

    verigrad check tasks examples/own_tasks.py:load
    verigrad rl quickstart --tasks "examples/own_tasks.py:load?count=64" --run runs/own-tasks

A source is a function that returns a `TaskSet`; what stands behind the `?` are its keyword arguments. Three things are
worth copying. Task and oracle are separate objects, so that whatever writes prompts never holds an expected value.
Expected values come from the gold program, so they cannot contradict it. And where several answers are right, a
property decides, in a process of its own that sees plain inputs and outputs alone.
"""

import asyncio
from random import Random

from verigrad import CallTest, Oracle, PropertyTest, Task
from verigrad.errors import ConfigError
from verigrad.evaluation.checks import check_tasks
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.process import ProcessSandbox
from verigrad.tasks.base import TaskSet

GOLD_RUNS = """def {name}(text):
    found = []
    for letter in text:
        if found and found[-1][0] == letter:
            found[-1][1] += 1
        else:
            found.append([letter, 1])
    return [length for letter, length in found if length >= {least}]
"""
GOLD_SPREAD = """def {name}(text):
    letters = sorted(text, key=lambda letter: (-text.count(letter), letter))
    spread = [""] * len(text)
    spread[::2], spread[1::2] = letters[: (len(text) + 1) // 2], letters[(len(text) + 1) // 2 :]
    return "".join(spread)
"""
CHECKER = """def no_neighbours(input, output):
    (text,) = input
    if not isinstance(output, str) or sorted(output) != sorted(text):
        return "not the same letters"
    return all(one != other for one, other in zip(output, output[1:])) or "two equal letters side by side"
"""
SPLITS = {"train": 0, "validation": 1}


def load(split: str = "train", count: int = 8, seed: int = 0) -> TaskSet:
    """`count` tasks of a split, half of them about counting runs, half about breaking them up."""
    if split not in SPLITS:
        raise ConfigError(
            f"unknown split {split!r}; known: {', '.join(SPLITS)}"
        )  # shown as one line, without a traceback
    pairs = []
    for number in range(count):
        instance = 2 * number + SPLITS[split]  # odd instances are the validation split's, even ones train
        make = _runs if number % 2 == 0 else _spread
        pairs.append(make(f"runs@1/{instance}", Random(f"{seed}/{instance}")))
    tasks = tuple(task for task, _ in pairs)
    return TaskSet(f"runs@1/{split}", tasks, {oracle.task_id: oracle for _, oracle in pairs}, aliases={})


def _runs(id_: str, random: Random) -> tuple[Task, Oracle]:
    """One right answer for each input: calls with expected values."""
    name, least = random.choice(["runs", "run_lengths", "streaks"]), random.randint(1, 3)
    gold = GOLD_RUNS.format(name=name, least=least)
    texts = ["", "a", *("".join(random.choices("ab", k=random.randint(4, 12))) for _ in range(6))]
    names: dict = {}
    exec(gold, names)  # ours, not a policy's: only programs that a model wrote need the sandbox
    tests = [CallTest(f"test_{i}", (text,), names[name](text)) for i, text in enumerate(texts)]
    prompt = (
        f"Write `{name}(text)`, which returns the lengths of the runs of equal letters in `text`, from left to right, "
        f"as a list. Leave out runs shorter than {least}. For example, `{name}({texts[2]!r})` is {tests[2].expected!r}."
    )
    task = Task(id=id_, prompt=prompt, entry_point=name, public_tests=(tests[2],), difficulty="easy")
    hidden = tuple(test for test in tests if test is not tests[2])
    return task, Oracle(task_id=id_, tests=hidden, gold=gold)


def _spread(id_: str, random: Random) -> tuple[Task, Oracle]:
    """Many right answers: a property, which the checker decides from input and output."""
    name = random.choice(["spread", "apart", "shuffle_apart"])
    # Other letters each time: with the same ones `verigrad check tasks` finds a constant program that passes.
    letters = (random.sample("abcdefgh", k=4) for _ in range(6))
    texts = ["".join(random.sample(four * 2, k=8)[:7]) for four in letters]
    prompt = (
        f"Write `{name}(text)`, which returns the letters of `text` in an order in which no two neighbours are equal. "
        "There is always one; any will do."
    )
    tests = tuple(PropertyTest(f"test_{i}", ((text,),), "no_neighbours") for i, text in enumerate(texts))
    oracle = Oracle(task_id=id_, tests=tests, gold=GOLD_SPREAD.format(name=name), checker=CHECKER)
    return Task(id=id_, prompt=prompt, entry_point=name, difficulty="medium"), oracle


async def main() -> None:
    """What `verigrad check tasks` does: gold passes, empty and constant programs fail, judging twice agrees."""
    async with ProcessSandbox() as sandbox:
        for split in SPLITS:
            checks = await check_tasks(load(split), Judge(sandbox))
            for check in checks:
                print(f"{check.task_id}: {'; '.join(check.complaints) or 'sound'} ({check.programs} programs judged)")


if __name__ == "__main__":
    asyncio.run(main())
