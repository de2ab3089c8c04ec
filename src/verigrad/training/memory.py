"""Keeping freed memory for the next step.

A training step frees and asks for the same blocks thousands of times. glibc returns those above 128 KiB to the
system and fetches them again, page by page; telling it to keep all up to 32 MiB made a step 6 % faster
on 2 cores (docs/log.md).
"""

from __future__ import annotations

import ctypes
import ctypes.util
import sys

__all__ = ["keep_freed_memory"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_NEVER, _MOST = 2**31 - 1, 32 << 20  # glibc takes no larger threshold


def keep_freed_memory() -> bool:
    """Ask glibc to keep what is freed, in this process; False where there is no glibc."""
    name = ctypes.util.find_library("c") if sys.platform == "linux" else None
    if name is None:
        return False
    mallopt = getattr(ctypes.CDLL(name), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _MOST)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))
