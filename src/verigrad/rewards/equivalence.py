"""Proof that a program is the same function as the reference, for all integers and booleans (`sandbox/proofs`).

The answer to weak tests, on tasks that fit: a special case for every test passes them all and is refuted here.
"""

from __future__ import annotations

import asyncio

from verigrad.errors import RewardError
from verigrad.rewards.base import Answer, only_gold
from verigrad.rewards.counterexample import Reruns, comparable_calls
from verigrad.sandbox.base import Sandbox
from verigrad.sandbox.proofs.equivalence import Comparison, compare_programs, parameter_sorts
from verigrad.types import Comparator, Oracle, Score, Task, Verdict

__all__ = ["CHECKS", "equivalent"]

CHECKS = only_gold(1.0, at_most=1.0)


async def equivalent(
    task: Task,
    answer: Answer,
    verdict: Verdict | None,
    *,
    reference: str | None,
    oracle: Oracle | None,
    sandbox: Sandbox | None,
    unproved: float = 0.0,
) -> Score:
    """1 if the program passes the tests and is proved equal to the reference, 0 if it is refuted or fails a test.

    A counterexample is run in the sandbox before it counts. Tasks that cannot be proved (the reference is outside the
    subset, or the tests are no plain calls with ints and bools) have the value of `tests`: no program can bring that
    about. What a program can bring about, by leaving the subset or by being too hard for the solver, is worth
    `unproved`, by default no more than an honest failure. Parts: `proved`, `refuted`, `outside`, `unknown`,
    `unprovable`, one of them 1.

    The reference's asserts say what inputs the task is about: without them it is about all integers, and a program
    that differs for negative ones is refuted, whatever the prompt says. Main hack: none known within the subset; above
    0, `unproved` pays for leaving it.

    Raises:
        ValueError: called without a sandbox.
        MissingExtra: z3 is not installed.
        RewardError: a counterexample is none when it is run, which is a mistake of ours.
    """
    if verdict is None or not verdict.passed or answer.program is None:
        return Score(0.0, evidence=verdict)
    if sandbox is None:
        raise ValueError("equivalent runs counterexamples: pass it a sandbox")
    sorts = parameter_sorts([test.args for test in comparable_calls(task, oracle)])
    if (
        sorts is None
        or oracle is None
        or reference is None
        or task.entry_point is None
        or not _exact(oracle.comparator)
    ):
        return Score(1.0, {"unprovable": 1.0}, evidence=verdict)
    found = await asyncio.to_thread(
        compare_programs, answer.program, reference, task.entry_point, sorts, strict=oracle.comparator.strict
    )
    reruns = Reruns(answer.program, reference, task.entry_point, oracle.comparator, oracle.limits, sandbox)
    if found.status == "refuted" and not await _holds(found, reruns):
        return Score(unproved, {"unknown": 1.0}, evidence=verdict)
    worth = {"proved": 1.0, "unprovable": 1.0, "refuted": 0.0}
    return Score(worth.get(found.status, unproved), {found.status: 1.0}, evidence=verdict)


def _exact(comparator: Comparator) -> bool:
    return comparator.mode == "exact" and not comparator.atol and not comparator.rtol


async def _holds(found: Comparison, reruns: Reruns) -> bool:
    """Whether the counterexample is one; False where the reference cannot be run on it within the limits."""
    differ = await reruns.differ(found.inputs)
    if differ is False:
        raise RewardError(f"the solver says that the program differs on {found.inputs}, which it does not when run")
    return differ is True
