"""The fork-server: a small warm process whose forks become programs' processes.

It never sees a program, an input or an answer, so a fork has nothing of other programs in its memory.
Per program it opens four pipes, forks, and hands its ends of them to the supervisor. On request it kills the
program with everything it left behind, of which it is the subreaper.
"""

from __future__ import annotations

import contextlib
import gc
import os
import random
import signal
import socket
import struct
import sys
from resource import struct_rusage
from typing import Any, NamedTuple, NoReturn

from verigrad.sandbox import confine
from verigrad.sandbox.program import run_program, warm_up
from verigrad.sandbox.protocol import ENDED, STARTED

__all__ = ["run_zygote"]

_REQUESTS, _ANSWERS = 3, 4
_HIGHEST_FD = 64
_RIGHTS = struct.Struct("4i")


class _Setup(NamedTuple):
    """What programs inherit: their user (None: ours), kept descriptors, processes the user has anyway."""

    uid: int | None
    kept: int
    spare_processes: int


def run_zygote(link: socket.socket) -> NoReturn:
    """Serve the supervisor at the other end of `link` until it goes away; ends this process."""
    try:
        setup = _prepare()
        while True:
            pid = _start(link, setup)
            if not link.recv(1):
                _end(pid, setup.uid)
                os._exit(0)
            status, usage = _end(pid, setup.uid)
            link.send(ENDED.pack(status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss))
    except (BrokenPipeError, ConnectionResetError):
        _kill_children(setup.uid)
        os._exit(0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)


def _prepare() -> _Setup:
    """Set up what every program inherits and forget what none should find."""
    confine.become_subreaper()
    with contextlib.suppress(OSError):  # a preference; some containers forbid it
        confine.prefer_out_of_memory_kill()
    confine.forbid_new_privileges()
    confine.forbid_inspection()
    confine.apply_fixed_limits()
    while (fd := os.dup(0)) <= _ANSWERS:  # so that a pipe's end never has a number it is to be moved to
        pass
    os.close(fd)
    uid = confine.find_uid()
    kept = len(confine.open_library(uid)) if uid is not None else 0
    for name in [name for name in sys.modules if name.partition(".")[0] == "verigrad"]:
        del sys.modules[name]
    os.environ.clear()
    sys.argv[:] = [""]
    setup = _Setup(uid, kept, confine.spare_processes(uid))
    warm_up()
    random.seed(0)  # a verdict must not depend on luck
    gc.collect()
    gc.freeze()  # a collection in a fork would touch, and so copy, every page
    return setup


# --------------------------------------------------------------------------------------- beginning and end


def _start(link: socket.socket, setup: _Setup) -> int:
    requests, request_end = os.pipe()
    answers, answer_end = os.pipe()
    stdout, stdout_end = os.pipe()
    stderr, stderr_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become_program((requests, answer_end, stdout_end, stderr_end), setup)
    try:
        rights = _RIGHTS.pack(request_end, answers, stdout, stderr)
        link.sendmsg([STARTED.pack(pid)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    finally:
        for fd in (requests, request_end, answers, answer_end, stdout, stdout_end, stderr, stderr_end):
            os.close(fd)
    return pid


def _become_program(ends: tuple[int, int, int, int], setup: _Setup) -> NoReturn:
    """In the fork: keep nothing but standard input, these ends and the library, then wait for the program."""
    try:
        os.setsid()
        for end, fd in zip(ends, (_REQUESTS, _ANSWERS, 1, 2), strict=True):
            os.dup2(end, fd)
        os.closerange(_ANSWERS + 1, confine.LIBRARY_FD)
        os.closerange(confine.LIBRARY_FD + setup.kept, _HIGHEST_FD)
    except BaseException:
        os._exit(1)

    def apply(limits: dict[str, Any]) -> None:
        if setup.uid is not None:
            confine.become(setup.uid)
        else:  # it could kill the fork-server
            confine.die_with_parent()
        confine.apply_limits(limits, spare_processes=setup.spare_processes)

    run_program(_REQUESTS, _ANSWERS, apply)


def _end(pid: int, uid: int | None) -> tuple[int, struct_rusage]:
    """Kill a program and its descendants; returns its wait status and what it used."""
    for kill in (os.kill, os.killpg):  # the group may have outlived its leader, which is not reaped yet
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    _kill_children(uid)
    return status, usage


def _kill_children(uid: int | None) -> None:
    """Kill and reap every descendant; orphans become our children, so none is missed."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0]:
                continue
        except ChildProcessError:
            return
        if uid is not None and confine.is_private(uid):
            confine.kill_user(uid)
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
