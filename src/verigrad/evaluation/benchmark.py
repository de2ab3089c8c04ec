"""Run a policy over a task set and record every sample, as rows that comparison and report read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from verigrad.agents.base import Agent
from verigrad.engines.base import Engine
from verigrad.rewards.efficiency import relative_cost
from verigrad.rewards.tests import all_pass
from verigrad.rollout import Group, collect, verdict_of
from verigrad.sandbox.judge import Judge
from verigrad.tasks.base import TaskSet
from verigrad.types import Rollout, Task

__all__ = ["evaluate", "sample_rows"]


async def evaluate(
    taskset: TaskSet,
    *,
    agent: Agent,
    engine: Engine,
    judge: Judge,
    num_samples: int,
    seed: int,
    known: Iterable[Mapping[str, Any]] = (),
    on_row: Callable[[Mapping[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """Sample every task `num_samples` times and judge each by the hidden tests; one row a sample.

    Args:
        known: rows of an earlier start, which are not sampled again where they are of these tasks.
        on_row: called with every new row as it ends, in whatever order.

    Returns:
        rows in task order; see `sample_rows`. Samples lost to infrastructure failures have `status` `error`.
    """
    tasks = {task.id: task for task in taskset.tasks}
    rows = {
        (row["task_id"], row["sample"]): dict(row)
        for row in known
        if row["task_id"] in tasks and row["prompt"] == tasks[row["task_id"]].prompt
    }

    def keep(rollout: Rollout) -> None:
        number = int(rollout.episode_id.rpartition("#")[2])
        row = rows[rollout.task_id, number] = _row(tasks[rollout.task_id], number, rollout)
        if on_row is not None:
            on_row(row)

    await collect(
        taskset.tasks,
        [taskset.oracle(task) for task in taskset.tasks],
        agent=agent,
        engine=engine,
        judge=judge,
        reward=all_pass,
        group_size=num_samples,
        seed=seed,
        known=frozenset(rows),
        on_rollout=keep,
    )
    return [rows[task.id, number] for task in taskset.tasks for number in range(num_samples)]


def sample_rows(groups: Iterable[Group]) -> list[dict[str, Any]]:
    """Rows of `evaluations/*.jsonl` and `rollouts/*.jsonl`: one a sample, JSON values only."""
    return [_row(group.task, number, rollout) for group in groups for number, rollout in enumerate(group.rollouts)]


def _row(task: Task, number: int, rollout: Rollout) -> dict[str, Any]:
    verdict = verdict_of(rollout)
    results: Sequence[Mapping[str, Any]] = ()
    if verdict is not None:
        results = [{"name": r.name, "status": r.status, "detail": r.detail} for r in verdict.results]
    status = "error" if rollout.status == "error" else verdict.status if verdict else "no_code"
    turn = rollout.turns[-1] if rollout.turns else None
    return {
        "task_id": task.id,
        "sample": number,
        "prompt": task.prompt,
        "turns": len(rollout.turns),
        "completion": turn.text if turn else "",
        "program": rollout.program,
        "status": status,
        "reward": rollout.score.value,
        "passed": verdict.num_passed if verdict else 0,
        "total": len(verdict.results) if verdict else 0,
        "results": results,
        "cpu_ms": verdict.cpu_ms if verdict else 0.0,
        **({"cost": relative_cost(verdict.costs)} if verdict and verdict.costs else {}),
        "level": verdict.level if verdict else "none",
        "violations": list(verdict.violations) if verdict else [],
        "undone": list(verdict.undone) if verdict else [],
        "error": rollout.error or (verdict.error if verdict else ""),
        "difficulty": task.difficulty,
        "topic": task.tag("topic"),
        "family": task.tag("family"),
        "tokens": rollout.usage.get("completion_tokens", 0),
        "flags": list(rollout.flags),
        "stop_reason": turn.stop_reason if turn else "infra_error",
    }
