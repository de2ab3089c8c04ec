"""Tasks x agents -> scored groups.

`collect` is the one place where generating, judging and rewarding meet. A completion is judged the moment it
ends, while others still decode. Everything is ordered by task and sample number, never by who finished first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from verigrad.agents.base import Agent, Attempt
from verigrad.engines.base import Engine
from verigrad.errors import CanaryError, InfrastructureError
from verigrad.rewards.base import Answer, Reward, score_answer, wanted_by
from verigrad.rewards.format import extract_program
from verigrad.sandbox.costs import CostMeter
from verigrad.sandbox.judge import Judge
from verigrad.seeds import derive_seed
from verigrad.tasks.base import shown_oracle
from verigrad.types import Oracle, Rollout, Score, Task, Verdict

__all__ = ["Group", "Progress", "collect", "verdict_of"]


@dataclass(frozen=True)
class Group:
    """Rollouts of one task that are compared with each other, and what judged them, where that is still known."""

    task: Task
    rollouts: tuple[Rollout, ...]
    oracle: Oracle | None = None


Progress = Callable[[Rollout], None]
"""Called as each rollout ends, in the order they end; for showing, not for deciding."""


async def collect(
    tasks: Sequence[Task],
    oracles: Sequence[Oracle],
    *,
    agent: Agent,
    engine: Engine,
    judge: Judge,
    reward: Reward,
    group_size: int,
    seed: int,
    attempts: int = 2,
    trace_lines: bool = False,
    judge_shown: bool = False,
    progress: float = 1.0,
    known: Collection[tuple[str, int]] = (),
    on_rollout: Progress | None = None,
) -> list[Group]:
    """Sample, judge and score `group_size` rollouts of every task, all at once.

    Args:
        tasks, oracles: of equal length.
        seed: of this collection; rollout `i` of a task draws from (seed, task id, i, try).
        attempts: tries a rollout has before an infrastructure failure stands.
        trace_lines: verdicts say which lines ran, which is slow.
        judge_shown: verdicts have a verdict by the shown tests beside them, where the task shows some.
        progress: share of a run's steps that are done, for rewards that change with it.
        known: task ids and numbers of rollouts that are there already, and are left out of the groups.

    Returns:
        groups in the order of the tasks, rollouts in the order of their numbers. Infrastructure failures are
        rollouts with `status="error"` and a score of None.

    Raises:
        CanaryError: the judge is broken, and no score of this collection can be trusted.
    """
    meter = CostMeter(judge.sandbox) if "costs" in wanted_by(reward) else None
    marker = _Marker(judge, reward, meter, trace_lines, progress)
    items = [
        _Item(task, oracle, shown_oracle(task, oracle) if judge_shown else None)
        for task, oracle in zip(tasks, oracles, strict=True)
    ]

    async def one(item: _Item, position: int, number: int) -> Rollout:
        rollout = _failed(item.task, agent, number, "never tried")
        for attempt in range(attempts):
            own_seed = derive_seed(seed, "rollout", position, item.task.id, number, attempt)
            rollout = await _rollout(item, agent, engine, marker, number, own_seed)
            if rollout.status != "error":
                break
        if on_rollout is not None:
            on_rollout(rollout)
        return rollout

    def numbers(item: _Item) -> list[int]:
        return [number for number in range(group_size) if (item.task.id, number) not in known]

    pending = [
        asyncio.gather(*(one(item, position, number) for number in numbers(item)))
        for position, item in enumerate(items)
    ]
    done = await asyncio.gather(*pending)
    return [Group(item.task, tuple(rollouts), item.oracle) for item, rollouts in zip(items, done, strict=True)]


@dataclass(frozen=True)
class _Item:
    """A task with what judges it: all tests, and those it shows."""

    task: Task
    oracle: Oracle
    shown: Oracle | None


async def _rollout(item: _Item, agent: Agent, engine: Engine, marker: _Marker, number: int, seed: int) -> Rollout:
    task, started = item.task, time.perf_counter()
    try:
        attempt = await agent.attempt(task, engine, seed=seed)
        generated = time.perf_counter()
        program, score = await marker.mark(item, attempt, seed)
    except CanaryError:  # about every verdict, not this one
        raise
    except InfrastructureError as error:
        return _failed(task, agent, number, f"{type(error).__name__}: {error}")
    completion_tokens = sum(len(turn.completion_ids) for turn in attempt.turns if turn.sampled)
    return Rollout(
        task_id=task.id,
        episode_id=f"{task.id}#{number}",
        group_id=task.id,
        agent=agent.name,
        turns=attempt.turns,
        status=attempt.status,
        score=score,
        program=program,
        usage={"prompt_tokens": len(attempt.turns[0].prompt_ids), "completion_tokens": completion_tokens},
        timings={"generate": generated - started, "judge": time.perf_counter() - generated},
    )


@dataclass(frozen=True)
class _Marker:
    """Judges what an agent wrote and scores it."""

    judge: Judge
    reward: Reward
    meter: CostMeter | None
    trace_lines: bool
    progress: float

    async def mark(self, item: _Item, attempt: Attempt, seed: int) -> tuple[str | None, Score]:
        """The program that was judged, if there is one, and its score."""
        task, oracle = item.task, item.oracle
        extraction = extract_program(attempt.text, task)
        program = extraction.program if extraction else None
        verdict = await self._verdict(program, item) if program is not None else None
        last = attempt.turns[-1]
        answer = Answer(
            text=attempt.text, program=program, stop_reason=last.stop_reason, tokens=len(last.completion_ids), seed=seed
        )
        score = await score_answer(
            self.reward,
            task,
            answer,
            verdict,
            reference=oracle.gold,
            oracle=oracle,
            sandbox=self.judge.sandbox,
            progress=self.progress,
        )
        return program, score

    async def _verdict(self, program: str, item: _Item) -> Verdict:
        name = item.task.entry_point
        verdict = await self.judge.judge(program, item.oracle, name, trace_lines=self.trace_lines)
        if item.shown is not None:
            verdict = replace(verdict, shown=await self.judge.judge(program, item.shown, name))
        if self.meter is not None and verdict.passed:
            verdict = replace(verdict, costs=await self.meter.costs(program, item.oracle, name))
        return verdict


def _failed(task: Task, agent: Agent, number: int, error: str) -> Rollout:
    return Rollout(
        task_id=task.id,
        episode_id=f"{task.id}#{number}",
        group_id=task.id,
        agent=agent.name,
        turns=(),
        status="error",
        score=Score(None),
        error=error,
    )


def verdict_of(rollout: Rollout) -> Verdict | None:
    """The verdict a rollout was scored on, where there was a program to judge."""
    evidence: Any = rollout.score.evidence
    return evidence if isinstance(evidence, Verdict) else None
