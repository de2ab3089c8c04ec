"""What a step of reinforcement learning samples: which tasks, how many rollouts of each, by which tests.

Nothing measured by the clock enters: tasks are scheduled by a cursor that checkpoints hold, draws are keyed by (seed,
step, task, rollout).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from verigrad.evaluation.fresh import FreshTests
from verigrad.rewards.base import Reward
from verigrad.rewards.tests import all_pass
from verigrad.rollout import Group, collect
from verigrad.seeds import derive_seed
from verigrad.tasks.base import TaskSet
from verigrad.training.audit import Audit, passed_share
from verigrad.training.batching import epoch_order
from verigrad.training.config import RLConfig
from verigrad.training.curriculum import Curriculum
from verigrad.training.stage import Stage, sampling_params
from verigrad.types import Oracle, Task

__all__ = ["Sampled", "Sampler", "scheduled_tasks"]


def scheduled_tasks(tasks: Sequence[Task], start: int, count: int, seed: int) -> list[Task]:
    """`count` tasks from position `start` on: each epoch visits every task once, ordered by (seed, epoch)."""
    chosen = []
    for position in range(start, start + count):
        epoch, index = divmod(position, len(tasks))
        chosen.append(tasks[epoch_order(len(tasks), seed, epoch)[index]])
    return chosen


class Sampled(NamedTuple):
    """The groups that a step trains on, all that were sampled for it, and where the schedule goes on."""

    groups: list[Group]
    everything: list[Group]
    cursor: int


@dataclass
class Sampler:
    """Samples, judges and scores groups by the policy as it is now."""

    config: RLConfig
    stage: Stage
    reward: Reward
    tasks: TaskSet
    audit: Audit
    curriculum: Curriculum | None = None
    fresh_tests: FreshTests | None = None

    def probe(self, step: int) -> dict[str, float]:
        """The share of impossible tasks that the policy passes, where a probe is due.

        The verdicts alone count: an impossible task has no gold program, which the run's own reward may want.
        """
        pairs = self.audit.probe(step)
        if not pairs:
            return {}
        chosen, oracles = zip(*pairs, strict=True)
        size = self.config.audit.probe_samples
        found = self._sampled(chosen, oracles, "probe", step, step=step, group_size=size, reward=all_pass)
        share = passed_share(found)
        return {} if share is None else {"impossible_passed": share}

    def sample(self, step: int, cursor: int) -> Sampled:
        """The groups of a step, from the task at position `cursor` of the schedule on.

        With `resample` they are not all that were sampled: groups whose scores are all alike make way for those of
        further tasks, in up to so many rounds (DAPO's dynamic sampling).
        """
        wanted, everything = self.config.tasks_per_step, list[Group]()
        for attempt in range((self.config.resample or 0) + 1):
            chosen = scheduled_tasks(self.tasks.tasks, cursor, wanted, self.config.seed)
            cursor += wanted
            everything += self._collect(chosen, step, attempt)
            telling = [group for group in everything if _tells(group)]
            if len(telling) >= wanted:
                break
        others = [group for group in everything if not _tells(group)]
        groups = (telling + others)[:wanted] if self.config.resample else everything
        return Sampled(groups, everything, cursor)

    def greedy_rewards(self, groups: Sequence[Group], step: int) -> Tensor:
        """The score of one greedy completion per group; NaN where it has none."""
        single = self._collect([group.task for group in groups], step, -1, greedy=True)
        values = (group.rollouts[0].score.value for group in single)
        return torch.tensor([float("nan") if value is None else value for value in values])

    def _collect(self, chosen: Sequence[Task], step: int, attempt: int, *, greedy: bool = False) -> list[Group]:
        words: list[str | int] = ["step", step, *([attempt] if attempt else [])]
        oracles = self._oracles(chosen, step)
        size = 1 if greedy else self.config.group_size
        return self.audit.treated(self._sampled(chosen, oracles, *words, step=step, group_size=size, greedy=greedy))

    def _sampled(
        self,
        chosen: Sequence[Task],
        oracles: Sequence[Oracle],
        *words: str | int,
        step: int,
        group_size: int,
        greedy: bool = False,
        reward: Reward | None = None,
    ) -> list[Group]:
        """Scored rollouts of these tasks by the policy as it is now; `words` tell their draws from others'."""
        params = sampling_params(self.config.sampling, temperature=0.0 if greedy else None)
        return self.stage.wait(
            collect(
                chosen,
                oracles,
                agent=self.stage.agent(params, self.curriculum.prefill if self.curriculum else None),
                engine=self.stage.engine,
                judge=self.stage.judge,
                reward=reward or self.reward,
                group_size=group_size,
                seed=derive_seed(self.config.seed, *words),
                trace_lines=bool(self.config.executed_only),
                judge_shown=True,
                progress=step / self.config.steps,
            )
        )

    def _oracles(self, chosen: Sequence[Task], step: int) -> list[Oracle]:
        """What judges a step's tasks; with `fresh_tests`, by tests that only this step has."""
        oracles = [self.tasks.oracle(task) for task in chosen]
        if self.fresh_tests is None:
            return oracles
        return self.stage.wait(self.fresh_tests.draw(chosen, oracles, derive_seed(self.config.seed, "tests", step)))


def _tells(group: Group) -> bool:
    """Whether the scores of a group differ, so that it has something to learn from."""
    values = {rollout.score.value for rollout in group.rollouts if rollout.score.value is not None}
    return len(values) > 1
