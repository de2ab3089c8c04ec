"""What a process may do: resource limits, another user, no new privileges. Linux; standard library only."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import struct
import sys
from typing import Any

from verigrad.sandbox.imports import Imports
from verigrad.sandbox.kernel import function, prctl

__all__ = [
    "LIBRARY_FD",
    "apply_fixed_limits",
    "apply_limits",
    "become",
    "become_subreaper",
    "die_with_parent",
    "drop_capabilities",
    "empty_bounding_set",
    "find_uid",
    "forbid_inspection",
    "forbid_new_privileges",
    "is_private",
    "join_group",
    "kill_children",
    "loses_capabilities",
    "may_place_others",
    "open_library",
    "prefer_out_of_memory_kill",
    "spare_processes",
]

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 36, 38
_CAPABILITIES_VERSION_3 = 0x20080522
_CAP_SYS_NICE = 23
_OURSELVES = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITIES_VERSION_3, 0), 8)
_NO_CAPABILITIES = ctypes.create_string_buffer(24)
_capget, _capset = function("capget"), function("capset")
_FIRST_PRIVATE_UID = 0x70000000
_NOBODY = 65534
_OPEN_FILES = 64
_PENDING_SIGNALS = 1024
_STACK = 8 << 20
_SLACK = 64
LIBRARY_FD = 32
"""First of the descriptors that `open_library` holds."""


def become_subreaper() -> None:
    """Make every orphan among this process's descendants its child, so that none is lost."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    prctl(_PR_SET_PDEATHSIG, 9)


def forbid_inspection() -> None:
    """Keep other processes of the same user from reading this one's memory."""
    prctl(_PR_SET_DUMPABLE, 0)


def forbid_new_privileges() -> None:
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def empty_bounding_set() -> None:
    """See to it that no process forked from here on can gain a capability it does not have.

    Raises:
        OSError: this process may not do that.
    """
    for capability in range(_last_capability() + 1):
        prctl(_PR_CAPBSET_DROP, capability)


def _last_capability() -> int:
    with open("/proc/sys/kernel/cap_last_cap", "rb") as file:
        return int(file.read())


def drop_capabilities() -> None:
    """Give up every capability of this process for good."""
    _capset(_OURSELVES, _NO_CAPABILITIES)


def loses_capabilities(uid: int) -> bool:
    """Whether a process of ours that becomes `uid` has no capability left of any kind, as is usual.

    None is passed on to a program executed later, from now on.
    """
    mine = ctypes.create_string_buffer(24)
    _capget(_OURSELVES, mine)
    effective, permitted, _, more_effective, more_permitted, _ = struct.unpack("=6I", mine)
    kept = struct.pack("=6I", effective, permitted, 0, more_effective, more_permitted, 0)
    _capset(_OURSELVES, ctypes.create_string_buffer(kept, 24))
    pid = os.fork()
    if pid == 0:
        left = True
        try:
            become(uid)
            _capget(_OURSELVES, mine)
            left = any(mine.raw)
        finally:
            os._exit(int(left))
    return os.waitpid(pid, 0)[1] == 0


def may_place_others() -> bool:
    """Whether this process may say which cores processes of other users run on; root in a container often may not."""
    mine = ctypes.create_string_buffer(24)
    _capget(_OURSELVES, mine)
    return bool(struct.unpack("=6I", mine)[0] >> _CAP_SYS_NICE & 1)


def prefer_out_of_memory_kill() -> None:
    """Should the machine run out of memory, this process and its children go first."""
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


# ------------------------------------------------------------------------------------------------ users


def find_uid(pid: int) -> int | None:
    """A user that a worker's programs can run as: one of its own, else `nobody`, else None (keep ours).

    The first is unique on the machine because `pid`, of a process of the worker, is; so its processes can be
    counted and killed without touching anything else.
    """
    if os.geteuid() != 0:
        return None
    for uid in (_FIRST_PRIVATE_UID + pid, _NOBODY):
        if _runs_as(uid):
            return uid
    return None


def is_private(uid: int | None) -> bool:
    """Whether nobody else runs processes as `uid`."""
    return uid is not None and uid != _NOBODY


def _runs_as(uid: int) -> bool:
    """Whether a process can become `uid` (a user namespace may not map it)."""
    pid = os.fork()
    if pid == 0:
        try:
            become(uid)
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


def become(uid: int) -> None:
    """Become `uid` for good, in no group but its own."""
    join_group(uid)
    os.setresuid(uid, uid, uid)


def join_group(uid: int) -> None:
    """Be in no group but that of `uid` from now on."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)


def kill_children(uid: int | None) -> None:
    """Kill and reap every descendant of this process, whose programs run as `uid`.

    Orphans become children of a subreaper, so none is missed.
    """
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0]:
                continue
        except ChildProcessError:
            return
        if uid is not None and is_private(uid):
            _kill_user(uid)
        for child in _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        os.waitpid(-1, 0)


def _children() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and _parent(name) == os.getpid()]


def _parent(pid: str) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except OSError:  # it ended meanwhile
        return None


def _kill_user(uid: int) -> None:
    """Kill every process of a private uid at once; a fork cannot slip through, the kernel sees to that."""
    pid = os.fork()
    if pid == 0:
        try:
            become(uid)
            os.kill(-1, 9)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


# ----------------------------------------------------------------------------------------------- limits


def apply_fixed_limits(*, open_files: int = _OPEN_FILES) -> None:
    """Set the limits that are the same for every program: no core dumps, few open files, the usual stack.

    Of timers and queued signals, which take the kernel's memory, there are few too.
    """
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, open_files)
    _lower(resource.RLIMIT_SIGPENDING, _PENDING_SIGNALS)
    _lower(resource.RLIMIT_STACK, _STACK)


def apply_limits(
    limits: dict[str, Any], *, spare_processes: int, spare_megabytes: int = 0, address_space: bool = True
) -> None:
    """Set the resource limits of this process, soft and hard.

    `spare_processes` are those the user may run already, which the kernel counts together; `spare_megabytes` is what
    was there before the program. `address_space` is False where memory is watched in another way, since some runtimes
    reserve far more than they use.
    The CPU limit is a backstop in whole seconds; the supervisor's clock is the fine one.
    """
    megabyte = 1 << 20
    _lower(resource.RLIMIT_CPU, int(limits["cpu_s"]) + 2)
    if address_space:
        _lower(resource.RLIMIT_AS, (limits["memory_mb"] + spare_megabytes) * megabyte)
    _lower(resource.RLIMIT_FSIZE, limits["file_mb"] * megabyte)
    _lower(resource.RLIMIT_NPROC, spare_processes + limits["processes"])


def spare_processes(uid: int | None) -> int:
    """Processes and threads that a program's user has anyway: one where it is private, else as counted now."""
    if is_private(uid):
        return 1
    uid = os.geteuid() if uid is None else uid
    return _SLACK + sum(_threads(name, uid) for name in os.listdir("/proc") if name.isdigit())


def _threads(pid: str, uid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/task")) if os.stat(f"/proc/{pid}").st_uid == uid else 0
    except OSError:  # it ended meanwhile
        return 0


def _lower(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


# ---------------------------------------------------------------------------------------------- library


def open_library(uid: int, imports: Imports) -> list[int]:
    """Let programs import the standard library and `imports` where `uid` may not enter a folder above it.

    An interpreter below root's home is the usual case. Its folders are held open and named through
    `/proc/self/fd`. Returns the descriptors, which start at `LIBRARY_FD`; none where there is no need.
    """
    folders = [path for path in (*sys.path, *imports.places) if os.path.isdir(path)]
    if all(_can_read(uid, path) for path in folders):
        return []
    names = {path: f"/proc/self/fd/{LIBRARY_FD + index}" for index, path in enumerate(folders)}
    descriptors = []
    for index, path in enumerate(folders):
        source = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        descriptors.append(os.dup2(source, LIBRARY_FD + index))
        os.close(source)
    imports.move(names)
    return descriptors


def _can_read(uid: int, path: str) -> bool:
    pid = os.fork()
    if pid == 0:
        readable = False
        try:
            become(uid)
            readable = os.access(path, os.R_OK | os.X_OK)
        finally:
            os._exit(0 if readable else 1)
    return os.waitpid(pid, 0)[1] == 0
