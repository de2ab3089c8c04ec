"""What a process uses that no limit of the kernel bounds, as `/proc` tells it: page tables, time in the run queue.

Standard library only.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

__all__ = ["family", "page_tables_kib", "ran_and_starved_s", "starved_s", "we_starved_s"]


def starved_s(pid: int) -> float:
    """Seconds that the first thread of a process was ready to run and the machine was too busy.

    0 where the kernel does not count (`CONFIG_SCHED_INFO`), and once the process has ended.
    """
    return ran_and_starved_s(pid)[1]


def ran_and_starved_s(pid: int) -> tuple[float, float]:
    """Seconds that the first thread of a process ran, and those of `starved_s`."""
    file = _open_statistics(pid)
    if file is None:
        return 0.0, 0.0
    try:
        return _ran_and_waited_s(file)
    finally:
        os.close(file)


def we_starved_s() -> float:
    """The same of the process that first loaded this module."""
    return 0.0 if _OUR_STATISTICS is None else _ran_and_waited_s(_OUR_STATISTICS)[1]


def _open_statistics(process: int | str) -> int | None:
    try:
        return os.open(f"/proc/{process}/schedstat", os.O_RDONLY)
    except OSError:
        return None


def _ran_and_waited_s(statistics: int) -> tuple[float, float]:
    """The first two figures of `schedstat`, in nanoseconds: on a processor, and waiting on a run queue."""
    try:
        ran, waited = os.pread(statistics, 100, 0).split()[:2]
    except ProcessLookupError:
        return 0.0, 0.0
    return int(ran) / 1e9, int(waited) / 1e9


_OUR_STATISTICS = _open_statistics("self")


def page_tables_kib(pid: int) -> int:
    """KiB that the kernel needs to keep account of the memory of a process, of those it started and of their orphans.

    Where children cannot be listed, it is what the process itself takes.
    """
    return sum(_parent_and_page_tables_kib(each)[1] for each in family(pid))


def family(pid: int) -> Iterator[int]:
    """A process, those it started and their orphans, each listed only after what was done with its parent.

    Orphans are found where they come to its parent, which has no other children. (In a process namespace of its own
    they come to the process itself.)
    """
    parent = _parent_and_page_tables_kib(pid)[0]
    yield pid
    seen, unseen = {pid}, [*_children(pid), *_children(parent)]
    while unseen:
        other = unseen.pop()
        if other not in seen:
            seen.add(other)
            yield other
            unseen += _children(other)


def _parent_and_page_tables_kib(pid: int) -> tuple[int, int]:
    """Zeros once the process has ended."""
    parent, size = 0, 0
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status", "rb", buffering=0) as file:
        for line in file.read().splitlines():
            if line.startswith(b"PPid:"):
                parent = int(line.split()[1])
            elif line.startswith(b"VmPTE:"):
                size = int(line.split()[1])
    return parent, size


def _children(pid: int) -> list[int]:
    """Of all threads of a process; none where the kernel keeps no list (`CONFIG_PROC_CHILDREN`)."""
    found: list[int] = []
    with contextlib.suppress(OSError):  # it ended meanwhile
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb", buffering=0) as file:
                found += [int(child) for child in file.read().split()]
    return found
