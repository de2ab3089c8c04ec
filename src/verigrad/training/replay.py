"""Rollouts kept for a while and trained on again: RLTF's online buffer, first in, first out.

Liu et al. 2023, arXiv:2307.04349, section 3.2. Groups stay whole, so that what compares within a group still can. The
tokens are of earlier policies: the importance correction of the loop (`importance`) weighs them by how likely they
are now.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from verigrad.rollout import Group, verdict_of
from verigrad.tasks.base import TaskSet
from verigrad.types import Rollout, Score, Tail, Turn, Verdict

__all__ = ["Replay"]


class Replay:
    """The last groups sampled, at most `capacity` rollouts of them."""

    def __init__(self, capacity: int, tasks: TaskSet) -> None:
        self._capacity = capacity
        self._tasks = {task.id: task for task in tasks.tasks}
        self._groups: deque[Group] = deque()

    def draw(self, count: int, random: Random) -> list[Group]:
        """At most `count` different groups, in the order they were sampled."""
        chosen = sorted(random.sample(range(len(self._groups)), min(count, len(self._groups))))
        return [self._groups[index] for index in chosen]

    def add(self, groups: Sequence[Group]) -> None:
        """Keep groups, without the rollouts that failed for reasons of ours; the oldest make way."""
        for group in groups:
            sound = tuple(rollout for rollout in group.rollouts if rollout.status != "error")
            if sound:
                self._groups.append(Group(group.task, sound))
        while sum(len(group.rollouts) for group in self._groups) > self._capacity:
            self._groups.popleft()

    def notes(self) -> list[list[dict[str, Any]]]:
        """All that training reads of them, as JSON."""
        return [[_to_json(rollout) for rollout in group.rollouts] for group in self._groups]

    def restore(self, notes: Sequence[Sequence[Mapping[str, Any]]]) -> None:
        groups = ([_from_json(row) for row in rows] for rows in notes)
        self._groups = deque(Group(self._tasks[group[0].task_id], tuple(group)) for group in groups)


def _to_json(rollout: Rollout) -> dict[str, Any]:
    verdict = verdict_of(rollout)
    return {
        "task_id": rollout.task_id,
        "status": rollout.status,
        "program": rollout.program,
        "value": rollout.score.value,
        "parts": dict(rollout.score.parts),
        "spans": rollout.score.spans,
        "trainable": rollout.trainable,
        "flags": rollout.flags,
        "turns": [
            {
                "prompt_ids": turn.prompt_ids,
                "completion_ids": turn.completion_ids,
                "sampler_logprobs": turn.sampler_logprobs,
                "sampled": turn.sampled,
                "temperature": turn.temperature,
                "kept": turn.kept,
                "text": turn.text,
                "step_map": turn.step_map,
                "tail": [turn.tail.ids, turn.tail.step_map, turn.tail.logprobs],
                "reward": turn.reward,
            }
            for turn in rollout.turns
        ],
        "verdict": verdict
        and {
            "status": verdict.status,
            "error": verdict.error,
            "error_line": verdict.error_line,
            "executed_lines": None if verdict.executed_lines is None else sorted(verdict.executed_lines),
        },
    }


def _from_json(row: Mapping[str, Any]) -> Rollout:
    told = row["verdict"]
    verdict = told and Verdict(
        status=told["status"],
        results=(),
        error=told["error"],
        error_line=told["error_line"],
        executed_lines=None if told["executed_lines"] is None else frozenset(told["executed_lines"]),
    )
    return Rollout(
        task_id=row["task_id"],
        episode_id=f"{row['task_id']}#replayed",
        group_id=row["task_id"],
        turns=tuple(_turn(turn) for turn in row["turns"]),
        status=row["status"],
        score=Score(row["value"], row["parts"], tuple(map(tuple, row["spans"])), evidence=verdict),
        program=row["program"],
        trainable=row["trainable"],
        flags=tuple(row["flags"]),
    )


def _turn(row: Mapping[str, Any]) -> Turn:
    kept = row["kept"]
    return Turn(
        prompt_ids=tuple(row["prompt_ids"]),
        completion_ids=tuple(row["completion_ids"]),
        sampler_logprobs=tuple(row["sampler_logprobs"]),
        sampled=row["sampled"],
        temperature=row["temperature"],
        kept=None if kept is None else tuple(tuple(ids) for ids in kept),
        text=row["text"],
        step_map=None if row["step_map"] is None else tuple(row["step_map"]),
        tail=Tail(*map(tuple, row["tail"])),
        reward=row["reward"],
    )
