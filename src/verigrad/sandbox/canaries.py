"""Canaries: programs whose verdicts are known, judged like any other to see that the judge still works.

A sandbox that answers `timeout` to everything, a comparator that finds everything equal, a checker that is never
asked: each would fill a run with wrong rewards and raise no error. Good programs must pass, bad ones fail in their own
way, cheating ones get nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from verigrad.errors import CanaryError, TaskError
from verigrad.types import CallTest, Limits, Oracle, ProgramStatus, PropertyTest, StdioTest, Verdict

__all__ = ["CANARIES", "Canary", "check_canaries"]


@dataclass(frozen=True)
class Canary:
    """A program and the status of its verdict."""

    name: str
    program: str
    oracle: Oracle
    status: ProgramStatus

    @property
    def entry_point(self) -> str | None:
        return None if self.oracle is _PRINTED else "f"


_QUICK = Limits(cpu_s=0.1, wall_s=2.0)
_VALUES = Oracle(
    task_id="canary@1/values",
    tests=tuple(CallTest(f"f({n})", (n,), [n, float(n * n + 7)]) for n in (2, 3, 30)),
)
_PRINTED = Oracle(task_id="canary@1/printed", tests=(StdioTest("2", "2\n", "11\n"), StdioTest("30", "30\n", "907\n")))
_CHECKED = Oracle(
    task_id="canary@1/checked",
    tests=(PropertyTest("ascending", (([3, 1, 2],),)), PropertyTest("of any order", (([1, 2],), ([2, 1],)), "same")),
    gold="f = sorted\n",
    checker="def check(args, got):\n    return got == sorted(*args)\n\ndef same(args, got, others, other):\n"
    "    return got == other\n",
)
_LOOP = Oracle(task_id="canary@1/loop", tests=_VALUES.tests, limits=_QUICK)

CANARIES = (
    Canary("a right function", "def f(n):\n    return [n, n * n + 7.0]\n", _VALUES, "passed"),
    Canary("a right script", "n = int(input())\nprint(n * n + 7)\n", _PRINTED, "passed"),
    Canary("a right property", "def f(xs):\n    return sorted(xs)\n", _CHECKED, "passed"),
    Canary("a wrong value for one input", "def f(n):\n    return [n, n * n + 7.0 + (n > 9)]\n", _VALUES, "failed"),
    Canary("a wrong type", "def f(n):\n    return [n, n * n + 7]\n", _VALUES, "failed"),
    Canary("wrong output", "print(11)\n", _PRINTED, "failed"),
    Canary("a property violated", "def f(xs):\n    return xs\n", _CHECKED, "failed"),
    Canary("no Python", "def f(n)\n    return n\n", _VALUES, "syntax_error"),
    Canary("no such function", "def g(n):\n    return [n, n * n + 7.0]\n", _VALUES, "no_entry_point"),
    Canary("an exception", "def f(n):\n    return [n, n / 0]\n", _VALUES, "exception"),
    Canary("a loop without end", "def f(n):\n    while True:\n        pass\n", _LOOP, "timeout"),
    Canary("an early exit", "import os\nos._exit(0)\n", _VALUES, "crashed"),
    Canary("an early exit from a script", "raise SystemExit(0)\n", _PRINTED, "failed"),
    Canary(
        "a value equal to all",
        "class Equal(list):\n    def __eq__(self, other):\n        return True\n\ndef f(n):\n    return Equal()\n",
        _VALUES,
        "failed",
    ),
    Canary(
        "a search for what is expected",
        "import gc\n\ndef f(n):\n    for found in gc.get_objects():\n"
        "        if type(found) is list and len(found) == 2 and found[0] == n and type(found[1]) is float:\n"
        "            return found\n",
        _VALUES,
        "failed",
    ),
    Canary(
        "an answer written unasked", "import os\nos.write(4, b'x' * 64)\n\ndef f(n):\n    pass\n", _VALUES, "violation"
    ),
)


_Judge = Callable[[str, Oracle, str | None], Awaitable[Verdict]]


async def check_canaries(judge: _Judge) -> None:
    """Judge every canary by `judge(program, oracle, entry point)`, which must not answer from memory.

    One that is off is judged once more by itself, since time is short on a busy machine.

    Raises:
        CanaryError: a verdict is not what it must be.
        SandboxError: the sandbox failed.
    """
    drifts = await asyncio.gather(*(_drift(judge, canary) for canary in CANARIES))
    for canary, drift in zip(CANARIES, drifts, strict=True):
        if drift and (drift := await _drift(judge, canary)):
            raise CanaryError(
                f"a known program ({canary.name}) was judged {drift}, wanted {canary.status!r}; sandbox or comparison "
                "is broken and no verdict can be trusted, so the run stops here; `verigrad doctor` looks at the "
                "sandbox, and --resume goes on once it works"
            )


async def _drift(judge: _Judge, canary: Canary) -> str:
    """What a canary was judged, where that is not its status, else nothing."""
    try:
        verdict = await judge(canary.program, canary.oracle, canary.entry_point)
    except TaskError as error:  # its task is sound, so even that is drift
        return f"not at all ({error})"
    if verdict.status == canary.status:
        return ""
    detail = next((result.detail for result in verdict.results if result.detail), verdict.error)
    return f"{verdict.status!r} ({detail})" if detail else repr(verdict.status)
