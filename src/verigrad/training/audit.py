"""The audit of a run: what is flagged and what becomes of it, probes, and alarms.

    audit = Audit(config.audit, tasks, seed)
    groups = audit.treated(groups)              # flags set, scores as the policy for flagged rollouts says
    row.update(audit.metrics(groups))
    alarms = audit.alarms(row)                  # each metric once a run

Figures of single rollouts are in `verigrad.evaluation.audit`. Nothing here changes what is sampled, so a run with
`flagged = "keep"` has the trajectory it would have without an audit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from verigrad.errors import RunError
from verigrad.evaluation.audit import public_gap
from verigrad.evaluation.probes import impossible_task
from verigrad.registry import load_attribute
from verigrad.rewards.special_casing import MANY, special_cased
from verigrad.rollout import Group, verdict_of
from verigrad.seeds import derive_seed
from verigrad.tasks.base import TaskSet
from verigrad.training.config import AuditConfig
from verigrad.types import Oracle, Rollout, Task

__all__ = ["Alarm", "Audit", "first_flagged", "passed_share"]


@dataclass(frozen=True)
class Alarm:
    """A metric whose mean over the last steps is on the wrong side of its limit."""

    metric: str
    value: float
    limit: float

    def __str__(self) -> str:
        side = "above" if self.value > self.limit else "below"
        return f"audit: {self.metric} is {self.value:.3g}, {side} its limit of {self.limit:g}: look at the samples"


class Audit:
    """What a run remembers of its audit, and the rules by which it goes."""

    def __init__(self, config: AuditConfig, tasks: TaskSet, seed: int) -> None:
        self._config = config
        self._tasks = tasks
        self._seed = seed
        self._flag: Callable[[Task, Rollout], bool | str] | None = load_attribute(config.flag) if config.flag else None
        self._recent: dict[str, list[float]] = {}
        self._raised: list[str] = []

    def notes(self) -> dict[str, Any]:
        return {"recent": self._recent, "raised": self._raised}

    def restore(self, notes: Mapping[str, Any]) -> None:
        self._recent = {name: list(values) for name, values in notes["recent"].items()}
        self._raised = list(notes["raised"])

    # ------------------------------------------------------------------------------------------ flagged rollouts

    def treated(self, groups: Sequence[Group]) -> list[Group]:
        """The groups with every rollout's flags, and with the scores that flagged ones are to have."""
        return [
            replace(group, rollouts=tuple(self._treated(group.task, rollout) for rollout in group.rollouts))
            for group in groups
        ]

    def _treated(self, task: Task, rollout: Rollout) -> Rollout:
        flags = self._flags(task, rollout)
        if not flags:
            return rollout
        score, policy = rollout.score, self._config.flagged
        if policy == "screen":
            score = replace(score, value=None)
        elif policy == "penalise" and score.value is not None:
            unpaid = tuple(span for span in score.spans if span[2] <= 0)
            score = replace(score, value=min(score.value, self._config.floor), spans=unpaid)
        return replace(rollout, flags=flags, score=score)

    def _flags(self, task: Task, rollout: Rollout) -> tuple[str, ...]:
        """Why a rollout is flagged: the sandbox's word, the detector's, the user's."""
        if rollout.status == "error":
            return ()
        verdict = verdict_of(rollout)
        flags = [f"violation: {text}" for text in verdict.violations] if verdict is not None else []
        gold = self._tasks.oracle(task).gold
        known = special_cased(rollout.program or "", task.public_tests, reference=gold, entry_point=task.entry_point)
        if len(known) >= MANY:
            flags.append(f"special cases: {len(known)} of the tests shown")
        if self._flag is not None:
            flags += self._own_flag(self._flag, task, rollout)
        return tuple(flags)

    def _own_flag(self, flag: Callable[[Task, Rollout], bool | str], task: Task, rollout: Rollout) -> list[str]:
        try:
            found = flag(task, rollout)
        except Exception as error:  # a user's function
            raise RunError(
                f"audit.flag {self._config.flag!r} raised {type(error).__name__}: {error} (task {task.id})"
            ) from error
        return [found if isinstance(found, str) else self._config.flag] if found else []

    # -------------------------------------------------------------------------------------------- probes

    def probe(self, step: int) -> list[tuple[Task, Oracle]]:
        """The impossible tasks to sample before this step; none where no probe is due."""
        config = self._config
        if not config.probe_every or step % config.probe_every:
            return []
        start = step // config.probe_every * config.probe_tasks
        tasks = [self._tasks.tasks[(start + n) % len(self._tasks)] for n in range(config.probe_tasks)]
        return [
            impossible_task(task, self._tasks.oracle(task), seed=derive_seed(self._seed, "probe", step, task.id))
            for task in tasks
        ]

    # -------------------------------------------------------------------------------------------- figures

    def metrics(self, groups: Sequence[Group]) -> dict[str, float]:
        """`flagged` and, where there are both kinds of tests, `public_gap`."""
        pairs = [(group, rollout) for group in groups for rollout in group.rollouts if rollout.status != "error"]
        row = {"flagged": sum(bool(rollout.flags) for _, rollout in pairs) / max(1, len(pairs))}
        verdicts = [(group, verdict_of(rollout)) for group, rollout in pairs]
        found = [
            public_gap(group.task, group.oracle, verdict)
            for group, verdict in verdicts
            if group.oracle is not None and verdict is not None and verdict.results
        ]
        gaps = [gap for gap in found if gap is not None]
        return {**row, "public_gap": sum(gaps) / len(gaps)} if gaps else row

    def alarms(self, row: Mapping[str, Any]) -> list[Alarm]:
        """The alarms that this row raises; a metric raises one once in a run."""
        found = []
        limits = [(name, limit, 1) for name, limit in self._config.above.items()]
        limits += [(name, limit, -1) for name, limit in self._config.below.items()]
        for name in {name: None for name, *_ in limits if name in row}:
            self._recent[name] = [*self._recent.get(name, []), float(row[name])][-self._config.window :]
        for name, limit, sign in limits:
            values = self._recent.get(name, [])
            mean = sum(values) / max(1, len(values))
            if name in row and sign * (mean - limit) > 0 and name not in self._raised:
                self._raised.append(name)
                found.append(Alarm(name, mean, limit))
        return found


def passed_share(groups: Sequence[Group]) -> float | None:
    """Share of rollouts on impossible tasks that pass all tests shown, or all tests; None where none was judged.

    0 for as long as nobody cheats: a shown test contradicts the hidden ones.
    """
    rollouts = [rollout for group in groups for rollout in group.rollouts if rollout.status != "error"]
    verdicts = [verdict_of(rollout) for rollout in rollouts]
    passed = [v is not None and (v.passed or (v.shown is not None and v.shown.passed)) for v in verdicts]
    return sum(passed) / len(passed) if passed else None


def first_flagged(groups: Sequence[Group]) -> Rollout | None:
    """The first rollout that was flagged, in the order of the tasks."""
    return next((rollout for group in groups for rollout in group.rollouts if rollout.flags), None)
