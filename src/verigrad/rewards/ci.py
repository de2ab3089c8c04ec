"""A project's own checks as the reward: stages, each worth something, and tests that decide about all of it."""

from __future__ import annotations

from collections.abc import Mapping

from verigrad.rewards.base import Answer, only_gold
from verigrad.types import CommandTest, Oracle, Score, Task, Verdict

__all__ = ["CHECKS", "ci"]

CHECKS = only_gold(1.0, at_most=1.0)

_DECIDES = "test"


def ci(
    task: Task,
    answer: Answer,
    verdict: Verdict | None,
    *,
    oracle: Oracle | None,
    weights: Mapping[str, float] | None = None,
) -> Score:
    """Weighted mean over stages (`test`, `lint`, ...) of the share of checks passed, in [0, 1]; 0 where a test fails.

    A `CommandTest` belongs to its `stage`, every other test to `test`. `verigrad.tasks.ci` reads commands from a
    project's workflow, tox.ini, noxfile or Makefile. Parts: the share of each stage.

    Args:
        weights: by stage; those not named, and all of them where this is None, have 1.

    Main hack: what makes checks pass without their being met: `|| true` in the workflow, a lower threshold of
    coverage, `# noqa`. The files that say what is checked are protected (`verigrad.types.PROTECTED`); suppression
    comments are not. Exit statuses of commands that run the changed code can be forged by it, so have hidden tests
    decide as well.

    Raises:
        ValueError: called without the oracle, or no test decides.
    """
    if oracle is None:
        raise ValueError(f"this reward looks at the stages of the tests of task {task.id!r}: pass it their oracle")
    stages = {test.name: test.stage if isinstance(test, CommandTest) else _DECIDES for test in oracle.tests}
    if _DECIDES not in stages.values():
        raise ValueError(f"task {task.id!r} has no check of the stage 'test', so nothing says that a change works")
    passed: dict[str, list[bool]] = {}
    for result in verdict.results if verdict is not None else ():
        passed.setdefault(stages.get(result.name, _DECIDES), []).append(result.status == "passed")
    shares = {stage: sum(fine) / len(fine) for stage, fine in passed.items()}
    if shares.get(_DECIDES, 0.0) < 1.0:
        return Score(0.0, shares, evidence=verdict)
    worth = {stage: (weights or {}).get(stage, 1.0) for stage in shares}
    value = sum(worth[stage] * share for stage, share in shares.items()) / sum(worth.values())
    return Score(value, shares, evidence=verdict)
