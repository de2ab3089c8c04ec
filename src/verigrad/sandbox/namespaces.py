"""Linux namespaces: processes, network, IPC, mounts and host name of its own, as root or as an ordinary user."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable

from verigrad.sandbox.kernel import call, clone

__all__ = ["counts_by_user_namespace", "enter_namespaces", "fork_apart"]

_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = (
    *(0x00020000, 0x04000000, 0x08000000),
    *(0x10000000, 0x20000000, 0x40000000),
)


def enter_namespaces() -> None:
    """Go on as the first process of new namespaces; the process that called ends.

    Root needs no user namespace. Anyone else gets one in which there is no other user, and in it, until they are
    given up, the capabilities that the rest takes.

    Raises:
        OSError: the kernel, or whatever contains this process, refuses; the caller is where it was.
    """
    user = 0 if os.geteuid() == 0 else _NEWUSER
    uid, gid = os.geteuid(), os.getegid()
    call("unshare", user | _NEWNS | _NEWUTS | _NEWIPC | _NEWPID | _NEWNET)
    if user:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    if os.fork():
        os._exit(0)


def fork_apart() -> Callable[[], int]:
    """A function like `os.fork`, for the first process of a process namespace, whose child is the first of a new one.

    The kernel ends every process in it together with the first.

    Raises:
        OSError: the kernel refuses, or how is not known for this architecture.
    """
    fork = clone(_NEWPID)
    pid = fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return fork


def counts_by_user_namespace(running: int) -> bool:
    """Whether the limit on processes counts those of this user namespace only, where at most `running` are running.

    Older kernels count all of the user's, which are more.
    """
    pid = os.fork()
    if pid == 0:
        try:
            resource.setrlimit(resource.RLIMIT_NPROC, (running + 2, running + 2))
            child = os.fork()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0
