"""Cores shared out to the workers of a pool; why each gets one is said in `placement`."""

from __future__ import annotations

import itertools
import os
import threading
from collections import Counter

__all__ = ["Cores"]

_MADE = itertools.count()


class Cores:
    """The cores that this process may use, by their numbers, for some workers to share evenly.

    Every object begins with another one, in every process too, so that workers that are alone do not all get the same.
    """

    def __init__(self) -> None:
        self._first = os.getpid() + next(_MADE)
        self._workers: Counter[int] = Counter()
        self._lock = threading.RLock()  # a worker may be forgotten, and so leave its core, in the middle of `take`

    def take(self) -> str:
        """The core with the fewest workers; empty where the system does not let us choose."""
        if not hasattr(os, "sched_getaffinity"):
            return ""
        allowed = sorted(os.sched_getaffinity(0))
        first = self._first % len(allowed)
        with self._lock:
            core = min(allowed[first:] + allowed[:first], key=self._workers.__getitem__)
            self._workers[core] += 1
        return str(core)

    def put(self, core: str) -> None:
        """A worker has left it."""
        if core:
            with self._lock:
                self._workers[int(core)] -= 1
