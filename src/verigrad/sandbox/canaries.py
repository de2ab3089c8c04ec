"""Canaries: programs whose verdicts are known, judged like any other to see that the judge still works.

A sandbox that answers `timeout` to everything, a comparator that finds everything equal, a checker that is never
asked: each would fill a run with wrong rewards and raise no error. Good programs must pass, bad ones fail in their own
way, cheating ones get nothing. They run where the programs do: in each language, and with each set of packages, in use.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from verigrad.errors import CanaryError, TaskError
from verigrad.types import CallTest, Limits, Oracle, ProgramStatus, PropertyTest, StdioTest, Verdict

__all__ = ["CANARIES", "Canary", "canaries_for", "check_canaries"]


@dataclass(frozen=True)
class Canary:
    """A program and the status of its verdict."""

    name: str
    program: str
    oracle: Oracle
    status: ProgramStatus

    @property
    def entry_point(self) -> str | None:
        return None if all(isinstance(test, StdioTest) for test in self.oracle.tests) else "f"


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


# In other languages each program is compiled or a runtime started, so these are few.
_COUNTED = Oracle(
    task_id="canary@1/counted",
    tests=tuple(CallTest(f"f({n})", (n,), n * n + 7) for n in (2, 30)),
    prototype="int f(int n)",
)
_NUMBERS = Oracle(  # JavaScript has no ints
    task_id="canary@1/numbers", tests=tuple(CallTest(f"f({n})", (n,), float(n * n + 7)) for n in (2, 30))
)
_Known = tuple[tuple[str, str, Oracle, ProgramStatus], ...]
_C: _Known = (
    ("a right function", "int f(int n) { return n * n + 7; }\n", _COUNTED, "passed"),
    ("a wrong value for one input", "int f(int n) { return n * n + 7 + (n > 9); }\n", _COUNTED, "failed"),
    ("no program", "int f(int n) { return n * ; }\n", _COUNTED, "syntax_error"),
    ("a loop", "int f(int n) { volatile int i = n; while (1) i++; }\n", replace(_COUNTED, limits=_QUICK), "timeout"),
    ("an early exit", "#include <stdlib.h>\nint f(int n) { exit(0); }\n", _COUNTED, "crashed"),
)
_JAVASCRIPT: _Known = (
    ("a right function", "function f(n) { return n * n + 7; }\n", _NUMBERS, "passed"),
    ("a wrong value for one input", "function f(n) { return n * n + 7 + (n > 9); }\n", _NUMBERS, "failed"),
    ("no program", "function f(n) { return n * ; }\n", _NUMBERS, "syntax_error"),
    ("a loop", "function f(n) { for (;;); }\n", replace(_NUMBERS, limits=_QUICK), "timeout"),
    ("an early exit", "function f(n) { process.exit(0); }\n", _NUMBERS, "crashed"),
)
_OTHERS = {"c": _C, "cpp": _C, "javascript": _JAVASCRIPT}


def canaries_for(language: str, packages: Sequence[str] = ()) -> tuple[Canary, ...]:
    """The known programs in a language, which may import these packages; none where no program runs (`text`)."""
    if language == "python":
        return tuple(replace(one, oracle=replace(one.oracle, packages=tuple(packages))) for one in CANARIES)
    return tuple(
        Canary(f"{name} in {language}", program, replace(oracle, language=language), status)
        for name, program, oracle, status in _OTHERS.get(language, ())
    )


_Judge = Callable[[str, Oracle, str | None], Awaitable[Verdict]]


async def check_canaries(judge: _Judge, canaries: Sequence[Canary] = CANARIES) -> None:
    """Judge these canaries by `judge(program, oracle, entry point)`, which must not answer from memory.

    One that is off is judged once more by itself, since time is short on a busy machine.

    Raises:
        CanaryError: a verdict is not what it must be.
        SandboxError: the sandbox failed.
    """
    drifts = await asyncio.gather(*(_drift(judge, canary) for canary in canaries))
    for canary, drift in zip(canaries, drifts, strict=True):
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
