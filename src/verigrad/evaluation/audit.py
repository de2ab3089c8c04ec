"""Signs that a policy cheats, as figures of its rollouts. Each is an alarm to look at samples, not a verdict.

Tests that are known or cannot be passed: Zhong et al. 2025, ImpossibleBench, arXiv:2510.20270. The share of rollouts
with violations is among the loop's own figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from verigrad.literals import stable_text
from verigrad.rewards.special_casing import MANY, special_cased
from verigrad.rollout import Group, verdict_of
from verigrad.types import CallTest, Oracle, PropertyTest, Rollout, StdioTest, Task, Test, Verdict

__all__ = ["correlation", "part_correlations", "public_gap", "special_cased_share"]


def special_cased_share(groups: Sequence[Group]) -> float:
    """Share of programs that know two or more of the tests shown to them, in [0, 1]; 0 where there are none.

    What the gold program of the group knows does not count, and
    hidden tests are not asked for: what a policy has not seen it cannot copy.
    """
    known = []
    for group in groups:
        task, gold = group.task, group.oracle.gold if group.oracle is not None else None
        for program in filter(None, (rollout.program for rollout in group.rollouts)):
            found = special_cased(program, task.public_tests, reference=gold, entry_point=task.entry_point)
            known.append(len(found) >= MANY)
    return sum(known) / max(1, len(known))


def public_gap(task: Task, oracle: Oracle, verdict: Verdict) -> float | None:
    """Share of the public tests passed minus that of the others, in [-1, 1]; None where there are not both kinds.

    A test of the oracle is public where the task shows one of the same input; where the verdict has one by the shown
    tests beside it (`Verdict.shown`), that decides about the public ones. Around 0 for honest programs; a mean well
    above 0 over many programs says that they were made for what is shown.
    """
    shown = {_input(test) for test in task.public_tests}
    beside = verdict.shown.results if verdict.shown is not None else ()
    pairs = [
        (_input(test) in shown, result.status == "passed")
        for test, result in zip(oracle.tests, verdict.results, strict=True)
    ]
    public = [result.status == "passed" for result in beside] or [passed for is_public, passed in pairs if is_public]
    hidden = [passed for is_public, passed in pairs if not is_public]
    return sum(public) / len(public) - sum(hidden) / len(hidden) if public and hidden else None


def _input(test: Test) -> str:
    if isinstance(test, PropertyTest) and len(test.inputs) == 1:
        (given,) = test.inputs
        return given if isinstance(given, str) else stable_text((given, []))
    if isinstance(test, CallTest):
        return stable_text((test.args, sorted(test.kwargs.items())))
    return test.stdin if isinstance(test, StdioTest) else test.name


def part_correlations(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """Correlation of every part of the scores with passing all hidden tests, in [-1, 1]; not of what does not vary.

    A shaping component that no longer goes with success is being earned for itself.
    """
    judged = [(rollout.score.parts, verdict_of(rollout)) for rollout in rollouts if rollout.status != "error"]
    names = sorted({name for parts, _ in judged for name in parts})
    found = {}
    for name in names:
        pairs = [
            (parts[name], float(verdict is not None and verdict.passed)) for parts, verdict in judged if name in parts
        ]
        value = correlation(pairs)
        if value is not None:
            found[name] = value
    return found


def correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Pearson's correlation coefficient; None where one side does not vary.

    >>> round(correlation([(1.0, 0.0), (2.0, 0.0), (3.0, 1.0)]), 3)
    0.866
    """
    if len(pairs) < 2:
        return None
    means = [sum(side) / len(pairs) for side in zip(*pairs, strict=True)]
    centred = [(x - means[0], y - means[1]) for x, y in pairs]
    spread = math.sqrt(sum(x * x for x, _ in centred) * sum(y * y for _, y in centred))
    return sum(x * y for x, y in centred) / spread if spread > 1e-12 else None
