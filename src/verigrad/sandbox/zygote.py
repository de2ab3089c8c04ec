"""The fork-server: a small warm process whose forks become programs' processes.

It never sees a program, an input or an answer, so a fork has nothing of other programs in its memory.
Per program it opens four pipes and forks; the fork hands the other ends to the supervisor. On request it kills the
program with everything it left behind. What stands around programs is the business of `enclosure`.
"""

from __future__ import annotations

import errno
import gc
import os
import random
import socket
import struct
import sys
from typing import NoReturn

from verigrad.sandbox.enclosure import Enclosure, enclose
from verigrad.sandbox.imports import ENVIRONMENT, Imports
from verigrad.sandbox.program import run_program, warm_up
from verigrad.sandbox.protocol import DISK, END, ENDED, FAILED, READY, SHIELDED, STARTED

__all__ = ["run_zygote"]

_REQUESTS, _ANSWERS = 3, 4
_HIGHEST_FD = 64
_RIGHTS = struct.Struct("4i")
_MAX_TEXT = 1000
_EXHAUSTED = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""What the kernel says where something has run out for now; it is no reason to settle for a lower level."""


def run_zygote(link: socket.socket, level: str, imports: Imports) -> NoReturn:
    """Serve the supervisor at the other end of `link` until it goes away; ends this process.

    The first message is `READY` or `SHIELDED` where programs are isolated as `level` says, else the reason why that
    is out of reach, which ends this process.
    """
    try:
        enclosure = _prepare(link, level, imports)
        while True:
            pid = _start(link, enclosure)
            if not _asked_to_end(link, enclosure):
                enclosure.end(pid)
                os._exit(0)
            status, usage = enclosure.end(pid)
            link.send(ENDED.pack(status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss))
    except (BrokenPipeError, ConnectionResetError):  # the supervisor is gone, and so is the program
        os._exit(0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)


def _asked_to_end(link: socket.socket, enclosure: Enclosure) -> bool:
    """Wait until the supervisor wants the program ended; False if it is gone itself."""
    try:
        while len(message := link.recv(DISK.size)) == DISK.size:
            enclosure.set_disk(*DISK.unpack(message))
            link.send(message)
        return message == END
    except ConnectionResetError:  # it left a message unread
        return False


def _prepare(link: socket.socket, level: str, imports: Imports) -> Enclosure:
    """Set up what every program inherits and forget what none should find."""
    while (fd := os.dup(0)) <= _ANSWERS:  # so that a pipe's end never has a number it is to be moved to
        pass
    os.close(fd)
    try:
        enclosure = enclose(level, imports)
    except OSError as error:
        if error.errno in _EXHAUSTED:
            raise
        reason = str(error) if error.filename or not error.strerror else error.strerror  # without "[Errno 1]"
        link.send(reason.encode()[:_MAX_TEXT])
        os._exit(0)
    for name in [name for name in sys.modules if name.partition(".")[0] == "verigrad"]:
        del sys.modules[name]
    os.environ.clear()
    os.environ.update(ENVIRONMENT if imports.names else {})
    sys.argv[:] = [""]
    warm_up()
    random.seed(0)  # a verdict must not depend on luck
    gc.collect()
    gc.freeze()  # a collection in a fork would touch, and so copy, every page
    link.send(SHIELDED if enclosure.shielded else READY)
    return enclosure


# ------------------------------------------------------------------------------------------- beginning


def _start(link: socket.socket, enclosure: Enclosure) -> int:
    try:
        return _fork_program(link, enclosure)
    except OSError as error:
        _report(link, error)
        raise


def _report(link: socket.socket, error: BaseException) -> None:
    link.send(FAILED + f"no process for the program: {error}".encode()[:_MAX_TEXT])


def _fork_program(link: socket.socket, enclosure: Enclosure) -> int:
    requests, request_end = os.pipe()
    answers, answer_end = os.pipe()
    stdout, stdout_end = os.pipe()
    stderr, stderr_end = os.pipe()
    enclosure.before_fork()
    pid = os.fork()
    if pid == 0:
        rights = _RIGHTS.pack(request_end, answers, stdout, stderr)
        _become_program(link, rights, (requests, answer_end, stdout_end, stderr_end), enclosure)
    for fd in (requests, request_end, answers, answer_end, stdout, stdout_end, stderr, stderr_end):
        os.close(fd)
    return pid


def _become_program(
    link: socket.socket, rights: bytes, ends: tuple[int, int, int, int], enclosure: Enclosure
) -> NoReturn:
    """In the fork: say so, keep nothing but standard input, these ends and the library, wait for the program.

    The kernel adds our process id to the message, as the supervisor knows it; here we may be another number.
    """
    try:
        link.sendmsg([STARTED], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])  # first: it wakes the supervisor
        os.setsid()
        enclosure.enter()
    except BaseException as error:  # told where no program could tell it, which will not have this link
        _report(link, error)
        os._exit(1)
    try:
        for end, fd in zip(ends, (_REQUESTS, _ANSWERS, 1, 2), strict=True):
            os.dup2(end, fd)
        first, last = enclosure.kept
        os.closerange(_ANSWERS + 1, first)
        os.closerange(max(last, _ANSWERS + 1), _HIGHEST_FD)
    except BaseException:
        os._exit(1)
    run_program(_REQUESTS, _ANSWERS, enclosure.apply_limits)
