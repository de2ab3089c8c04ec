"""What a process uses that no limit of the kernel bounds, as `/proc` tells it: page tables, time in the run queue.

Standard library only.
"""

from __future__ import annotations

import contextlib
import os

__all__ = ["page_tables_kib", "starved_s", "we_starved_s"]


def starved_s(pid: int) -> float:
    """Seconds that the first thread of a process was ready to run and the machine was too busy.

    0 where the kernel does not count (`CONFIG_SCHED_INFO`), and once the process has ended.
    """
    file = _open_statistics(pid)
    if file is None:
        return 0.0
    try:
        return _waited_s(file)
    finally:
        os.close(file)


def we_starved_s() -> float:
    """The same of the process that first loaded this module."""
    return 0.0 if _OUR_STATISTICS is None else _waited_s(_OUR_STATISTICS)


def _open_statistics(process: int | str) -> int | None:
    try:
        return os.open(f"/proc/{process}/schedstat", os.O_RDONLY)
    except OSError:
        return None


def _waited_s(statistics: int) -> float:
    """The second figure of `schedstat`, in nanoseconds, is the time spent waiting on a run queue."""
    try:
        return int(os.pread(statistics, 100, 0).split()[1]) / 1e9
    except ProcessLookupError:
        return 0.0


_OUR_STATISTICS = _open_statistics("self")


def page_tables_kib(pid: int) -> int:
    """KiB that the kernel needs to keep account of the memory of a process and those it started."""
    with contextlib.suppress(OSError):  # it ended meanwhile
        with open(f"/proc/{pid}/status", "rb", buffering=0) as file:
            own = [int(line.split()[1]) for line in file.read().splitlines() if line.startswith(b"VmPTE:")]
        return sum(own) + sum(page_tables_kib(child) for child in _children(pid))
    return 0


def _children(pid: int) -> list[int]:
    """Of all threads of a process; none where the kernel keeps no list (`CONFIG_PROC_CHILDREN`)."""
    found = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb", buffering=0) as file:
            found += [int(child) for child in file.read().split()]
    return found
