"""Programs whose answers change: a few tests of a program that passed run once more in a fresh process.

Only a program that passed everything has gained from luck, so only such programs run again, with few tests and in
another order. Those that name a source of chance or of state always do, of the others one in eight: a second process
costs about as much as the first, and code without such a source cannot change its answers.

What counts is whether the test passes again, not whether the same value comes back: where many answers are right,
returning another right one is honest. Hash seed and the state of `random` are the same in every process, so that the
order of a set, or a pivot drawn from `random`, never makes an honest program fail here. What is left is the clock,
the operating system's randomness, addresses, races, and memory of earlier calls.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import replace

from verigrad.types import Oracle, TestStatus, TextTest, Verdict

__all__ = ["confirmed", "numbers_to_repeat"]

_UNPROMPTED = 1 / 8
_SUSPECT = re.compile(
    r"\b(?:random|secrets|uuid\d?|time|datetime|os|gc|threading|multiprocessing|asyncio|ctypes|id|hash|"
    r"global|nonlocal|globals|vars|getattr|setattr|eval|exec|compile|importlib|__import__|__builtins__|__dict__)\b"
)


def numbers_to_repeat(program: str, oracle: Oracle, seed: int, count: int) -> list[int]:
    """Numbers of the at most `count` tests that run once more, in order; drawn by the program's hash and `seed`."""
    digest = hashlib.sha256(program.encode("utf-8", "surrogatepass")).hexdigest()
    draw = random.Random(f"again:{seed}:{digest}")
    if draw.random() >= _UNPROMPTED and not _SUSPECT.search(program):
        return []
    running = [number for number, test in enumerate(oracle.tests) if not isinstance(test, TextTest)]
    return sorted(draw.sample(running, min(count, len(running))))


def confirmed(verdict: Verdict, numbers: Sequence[int], again: Verdict) -> Verdict:
    """A passed verdict, after its tests of these numbers ran once more with the verdict `again`.

    A test that did not pass again is `nondeterministic`, or `timeout` where time ran out, since a busy machine may be
    why.
    """
    results = list(verdict.results)
    for number, second in zip(numbers, again.results, strict=True):
        if second.status != "passed":
            status: TestStatus = "timeout" if second.status == "timeout" else "nondeterministic"
            detail = f"passed, and then in another process {second.status}: {second.detail}"
            results[number] = replace(results[number], status=status, detail=detail)
    failed = [result.status for result in results if result.status != "passed"]
    return replace(
        verdict,
        status=failed[0] if failed else "passed",
        results=tuple(results),
        violations=verdict.violations + again.violations,
        error=again.error,
        error_line=again.error_line,
    )
