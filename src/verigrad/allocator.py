"""What glibc does with freed memory: kept within a training step, given back after it.

A training step frees and asks for the same blocks thousands of times. glibc returns the large ones to the system and
fetches them again, page by page; keeping them all makes an update a tenth faster on 2 cores. What is kept falls into
pieces of ever other sizes, though: over 50 steps a run that needs 5 GB came to hold 9. So everything free is given
back between steps, at most every ten seconds, as fetching it again is dear beside steps of half a second (docs/log.md).
"""

from __future__ import annotations

import ctypes
import ctypes.util
import sys
import time
from functools import cache
from typing import Any

__all__ = ["give_back_freed_memory", "keep_freed_memory"]

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h
_NEVER = 2**31 - 1
_PERIOD_S = 10.0
_given_back_at = 0.0  # of this process, whose memory it is


def keep_freed_memory() -> bool:
    """Ask glibc to keep what is freed, in this process; False where there is no glibc."""
    libc = _glibc()
    if libc is None:
        return False
    return bool(libc.mallopt(_M_MMAP_MAX, 0)) and bool(libc.mallopt(_M_TRIM_THRESHOLD, _NEVER))


def give_back_freed_memory() -> None:
    """Return every free page to the system, where there is glibc; nothing within ten seconds of the last time."""
    global _given_back_at
    libc = _glibc()
    if libc is not None and time.monotonic() - _given_back_at >= _PERIOD_S:
        libc.malloc_trim(0)
        _given_back_at = time.monotonic()


@cache
def _glibc() -> Any:
    name = ctypes.util.find_library("c") if sys.platform == "linux" else None
    libc = ctypes.CDLL(name) if name else None
    return libc if libc is not None and hasattr(libc, "malloc_trim") else None
