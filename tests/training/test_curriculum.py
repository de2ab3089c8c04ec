"""How much of the gold program is given, worked by hand."""

import asyncio

from tiny import tiny_tokenizer

from verigrad.agents.single_turn import SingleTurn
from verigrad.engines.base import SamplingParams
from verigrad.engines.scripted import ScriptedEngine
from verigrad.rollout import Group
from verigrad.tasks.base import TaskSet
from verigrad.training.curriculum import Curriculum, cut_points
from verigrad.types import Oracle, Rollout, Score, Task, Verdict

GOLD = "def f(xs):\n    total = 0\n    for x in xs:\n        if x:\n            total += x\n    return total\n"
TASK, BARE = Task(id="t", prompt="p", entry_point="f"), Task(id="bare", prompt="p")
TASKS = TaskSet(
    "made", (TASK, BARE), {"t": Oracle(task_id="t", tests=(), gold=GOLD), "bare": Oracle(task_id="bare", tests=())}, {}
)


def group(*passed, task=TASK):
    def one(fine):
        verdict = None if fine is None else Verdict(status="passed" if fine else "failed", results=())
        score = Score(0.0, evidence=verdict)
        return Rollout(task_id=task.id, episode_id="e", group_id="t", turns=(), status="finished", score=score)

    return Group(task, tuple(map(one, passed)))


def test_cut_points():
    assert cut_points(GOLD) == [0, 2, 3, 5]
    assert cut_points("def f(:") == [0]
    assert cut_points("") == [0]


def test_moves_with_success():
    curriculum = Curriculum(TASKS)

    def given():
        return curriculum.prefill(TASK).count("\n") - 1  # the fence is a line too

    assert given() == 5
    assert curriculum.prefill(TASK) == "```python\n" + "".join(GOLD.splitlines(keepends=True)[:5])
    assert curriculum.record([group(True, True, True, True, False)])["curriculum_given"] == 5 / 6
    assert given() == 3
    curriculum.record([group(True, False, None, False)])  # neither most nor almost none
    assert given() == 3
    curriculum.record([group(True, True)])
    curriculum.record([group(True, True)])
    assert curriculum.prefill(TASK) == ""
    curriculum.record([group(True, True)])
    assert curriculum.prefill(TASK) == ""
    curriculum.record([group(False, None, False)])
    assert given() == 2
    again = Curriculum(TASKS)
    again.restore(curriculum.notes())
    assert again.prefill(TASK) == curriculum.prefill(TASK)


def test_tasks_without_gold_are_given_nothing():
    curriculum = Curriculum(TASKS)
    assert curriculum.prefill(BARE) == ""
    curriculum.record([group(True, task=BARE), group(False, task=BARE)])
    assert curriculum.prefill(BARE) == ""


def test_what_is_given_is_prompt_and_counts_as_answer():
    tokenizer = tiny_tokenizer()
    engine = ScriptedEngine(lambda request: "    return 0\n```", tokenizer)
    params = SamplingParams(max_tokens=40)
    begun = SingleTurn(tokenizer, params, prefill=Curriculum(TASKS).prefill)
    plain = SingleTurn(tokenizer, params)
    attempt = asyncio.run(begun.attempt(TASK, engine, seed=0))
    whole = asyncio.run(plain.attempt(TASK, engine, seed=0))
    given = tokenizer.encode(Curriculum(TASKS).prefill(TASK), add_special_tokens=False)
    assert attempt.turns[0].prompt_ids == (*whole.turns[0].prompt_ids, *given)
    assert attempt.turns[0].completion_ids == whole.turns[0].completion_ids
    assert attempt.text == Curriculum(TASKS).prefill(TASK) + "    return 0\n```"
