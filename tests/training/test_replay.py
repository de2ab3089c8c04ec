"""What is kept, for how long, and that nothing training reads is lost on the way through a checkpoint."""

import json
from dataclasses import replace
from random import Random

import torch

from verigrad.rollout import Group
from verigrad.tasks.base import TaskSet
from verigrad.training.batching import make_batch, score_parts
from verigrad.training.replay import Replay
from verigrad.types import Rollout, Score, Tail, Task, Turn, Verdict

TASK = Task(id="t", prompt="p")
TASKS = TaskSet("made", (TASK,), {}, {})


def group(number, size=2):
    def one(index):
        turn = Turn(
            prompt_ids=(1, 2),
            completion_ids=(number, index, 9),
            sampler_logprobs=(-0.5, -0.25, -number / 3),
            temperature=0.7,
            kept=((number,), (index, 5), (9,)),
            text=f"{number} {index}",
        )
        verdict = Verdict(status="exception", results=(), error="E", error_line=2, executed_lines=frozenset({1, 2}))
        score = Score(number / 7, {"tests": 0.5}, evidence=verdict)
        return Rollout(
            task_id="t", episode_id="e", group_id="t", turns=(turn,), status="finished", score=score, program="x = 1"
        )

    return Group(TASK, tuple(map(one, range(size))))


def failed(own):
    lost = Rollout(task_id="t", episode_id="e", group_id="t", turns=(), status="error", score=Score(None))
    return Group(own.task, (*own.rollouts, lost))


def numbers(groups):
    return [group.rollouts[0].turns[0].completion_ids[0] for group in groups]


def test_first_in_first_out():
    replay = Replay(5, TASKS)
    replay.add([group(1), group(2)])
    assert numbers(replay.draw(9, Random(0))) == [1, 2]
    replay.add([failed(group(3))])  # what failed for reasons of ours is not kept: 6 rollouts, one group too many
    assert numbers(replay.draw(9, Random(0))) == [2, 3]
    assert all(rollout.status == "finished" for each in replay.draw(9, Random(0)) for rollout in each.rollouts)


def test_draws_are_of_the_generator_alone():
    replay = Replay(100, TASKS)
    replay.add([group(number) for number in range(20)])
    drawn = numbers(replay.draw(4, Random(3)))
    assert drawn == numbers(replay.draw(4, Random(3))) == sorted(set(drawn)) and len(drawn) == 4


def test_through_a_checkpoint():
    replay, again = Replay(100, TASKS), Replay(100, TASKS)
    replay.add([group(1), group(4, size=3)])
    again.restore(json.loads(json.dumps(replay.notes())))
    one, other = (make_batch(g.rollouts for g in each.draw(9, Random(0))) for each in (replay, again))
    for name in ("mask", "sampler_logprobs", "temperature", "prompt_lengths", "rollout_index", "group_ids", "rewards"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name
    assert one.kept == other.kept
    assert [view.input_ids.tolist() for view in one.views] == [view.input_ids.tolist() for view in other.views]
    for mine, theirs in zip(replay.draw(9, Random(0)), again.draw(9, Random(0)), strict=True):
        assert [r.score.evidence for r in mine.rollouts] == [r.score.evidence for r in theirs.rollouts]
    parts = (score_parts(g.rollouts for g in each.draw(9, Random(0))) for each in (replay, again))
    assert torch.equal(*(found["tests"] for found in parts))


def test_rewards_of_turns_and_spans_come_back_from_a_checkpoint():
    (one, _) = group(3).rollouts
    turn = replace(one.turns[0], reward=-0.25, tail=Tail((7,), (2,), (-0.5,)), step_map=(0, 1, 2))
    told = replace(one, turns=(turn,), score=replace(one.score, spans=((0, 1, 0.5),)), flags=("f",), trainable=False)
    replay, again = Replay(100, TASKS), Replay(100, TASKS)
    replay.add([Group(TASK, (told,))])
    again.restore(json.loads(json.dumps(replay.notes())))
    (back,) = again.draw(1, Random(0))
    assert replace(back.rollouts[0], episode_id="e") == told
