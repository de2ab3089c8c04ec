"""Which core a worker's processes run on.

Supervisor, fork-server and program take turns: while one acts the others wait. Left to itself the kernel wakes each of
them on whichever core is idle, where none of its memory is in the caches, and sends an interrupt there, which on a
virtual machine is dear. On one core a worker judges a fifth more short programs (docs/log.md). A program that is not
over soon may use every core. Standard library only, and little of it: a fork-server pays for what is imported.
"""

from __future__ import annotations

import contextlib
import os

__all__ = ["let_go", "stay_on"]

_AT_FIRST = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


def stay_on(core: int) -> None:
    """Run on this core alone from now on, as do all processes begun later; a preference, which may not be granted."""
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {core})


def let_go(pid: int) -> None:
    """Let every thread of a process run wherever this one could when it began."""
    with contextlib.suppress(OSError):  # it ended meanwhile
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):  # this thread did, and others go on
                os.sched_setaffinity(int(thread), _AT_FIRST)
