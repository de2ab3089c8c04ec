"""Cores shared out to the workers of a pool; why each gets one is said in `placement`."""

from __future__ import annotations

import os
import threading
from collections import Counter

__all__ = ["Cores"]

_all: Counter[int] = Counter()
"""Workers of all pools of this process on each core."""
_lock = threading.RLock()  # a worker may be forgotten, and so leave its core, in the middle of `take`


def _begin_anew() -> None:
    """In a fork: it has no workers yet, and the thread that held the lock, if one did, is not there."""
    global _lock
    _lock = threading.RLock()
    _all.clear()


os.register_at_fork(after_in_child=_begin_anew)


class Cores:
    """The cores that this process may use, by their numbers, for the workers of one pool to share evenly.

    Where there is a choice it falls on one that the other pools of this process use least. Every process begins with
    another one, so that workers that are alone do not all get the same.
    """

    def __init__(self) -> None:
        self._workers: Counter[int] = Counter()

    def take(self) -> str:
        """The core with the fewest workers; empty where the system does not let us choose."""
        if not hasattr(os, "sched_getaffinity"):
            return ""
        allowed = sorted(os.sched_getaffinity(0))
        first = os.getpid() % len(allowed)
        with _lock:
            core = min(allowed[first:] + allowed[:first], key=lambda core: (self._workers[core], _all[core]))
            self._workers[core] += 1
            _all[core] += 1
        return str(core)

    def put(self, core: str) -> None:
        """A worker has left it."""
        if core:
            with _lock:
                self._workers[int(core)] -= 1
                _all[int(core)] -= 1
