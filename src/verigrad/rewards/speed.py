"""CPU time of a correct program beside the reference's (`sandbox/speed.py`)."""

from __future__ import annotations

from verigrad.rewards.base import Answer, only_gold
from verigrad.rewards.efficiency import MOST
from verigrad.sandbox.base import Sandbox
from verigrad.sandbox.speed import ROUNDS, compare_speed
from verigrad.types import Oracle, Score, Task, Verdict

__all__ = ["CHECKS", "speed"]

CHECKS = only_gold(0.375, at_most=0.625)  # half a doubling is within the noise of a busy machine


async def speed(
    task: Task,
    answer: Answer,
    verdict: Verdict | None,
    *,
    oracle: Oracle | None,
    sandbox: Sandbox | None,
    rounds: int = ROUNDS,
) -> Score:
    """(2 + g) / 4 for what passes, g = log2(reference's CPU time / program's), in halves, cut off at -2 and 2; else 0.

    As fast as the reference, or both too fast to tell, is a half; four times as fast 1. 0 for what is not measured,
    whose `Speed.reason` says why. Parts: `gain`, g before it is cut off. Unlike `efficiency` it is measured: another
    try may give half a doubling more or less, so that a run with it is not the same twice. It follows programs that use
    any module, and sees what built-ins and packages really take. Main hack: fast on inputs like those of the tests, and
    slow on others.

    Raises:
        ValueError: called without a sandbox.
        SandboxError: the sandbox failed.
    """
    if verdict is None or not verdict.passed or answer.program is None or oracle is None:
        return Score(0.0, evidence=verdict)
    if sandbox is None:
        raise ValueError("speed runs programs: pass it a sandbox")
    found = await compare_speed(answer.program, oracle, task.entry_point, sandbox, rounds=rounds)
    if found.gain is None:
        return Score(0.0, evidence=verdict)
    return Score((MOST + max(-MOST, min(MOST, found.gain))) / (2 * MOST), {"gain": found.gain}, evidence=verdict)
