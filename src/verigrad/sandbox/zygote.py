"""The fork-server: a small warm process whose forks become programs' processes.

It never sees a program, an input or an answer, so a fork has nothing of other programs in its memory.
Per program it opens a pair of sockets and three pipes, forks, and hands the other ends to the supervisor. On request it
kills the program with everything it left behind. What stands around programs is the business of `enclosure`.
"""

from __future__ import annotations

import _socket  # `socket` would bring along more than programs need
import contextlib
import errno
import gc
import os
import random
import struct
import sys
from collections.abc import Callable
from typing import NoReturn

from verigrad.sandbox import kernel
from verigrad.sandbox.enclosure import Enclosure, enclose
from verigrad.sandbox.imports import ENVIRONMENT, Imports
from verigrad.sandbox.program import run_program, warm_up
from verigrad.sandbox.protocol import DISK, END, ENDED, FAILED, READY, SHIELDED, STARTED

__all__ = ["run_zygote"]

_RIGHTS, _CREDENTIALS = struct.Struct("4i"), struct.Struct("3i")
_MAX_TEXT = 1000
_EXHAUSTED = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""What the kernel says where something has run out for now; it is no reason to settle for a lower level."""


def run_zygote(link: _socket.socket, level: str, imports: Imports) -> NoReturn:
    """Serve the supervisor at the other end of `link` until it goes away; ends this process.

    The first message is `READY` or `SHIELDED` where programs are isolated as `level` says, else the reason why that
    is out of reach, which ends this process.
    """
    try:
        enclosure = _prepare(link, level, imports)
        become_program = _beginning(link, enclosure)
        while True:
            pid = _start(link, enclosure, become_program)
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


def _asked_to_end(link: _socket.socket, enclosure: Enclosure) -> bool:
    """Wait until the supervisor wants the program ended; False if it is gone itself."""
    try:
        while len(message := link.recv(DISK.size)) == DISK.size:
            enclosure.set_disk(*DISK.unpack(message))
            link.send(message)
        return message == END
    except ConnectionResetError:  # it left a message unread
        return False


def _prepare(link: _socket.socket, level: str, imports: Imports) -> Enclosure:
    """Set up what every program inherits and forget what none should find."""
    while (fd := os.dup(0)) <= 4:  # so that a pipe's end never has a number it is to be moved to
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
    warm_up(enclosure.apply_limits)
    random.seed(0)  # a verdict must not depend on luck
    gc.collect()
    with contextlib.suppress(AttributeError):  # other C libraries than glibc have no such function
        kernel.call("malloc_trim", 0)  # a fork has the price of each page, also of one that holds nothing
    gc.freeze()  # a collection in a fork would touch, and so copy, every page
    link.send(SHIELDED if enclosure.shielded else READY)
    return enclosure


# ------------------------------------------------------------------------------------------- beginning


def _start(link: _socket.socket, enclosure: Enclosure, become_program: Callable[..., NoReturn]) -> int:
    try:
        return _fork_program(link, enclosure, become_program)
    except OSError as error:
        _report(link, error)
        raise


def _report(link: _socket.socket, error: BaseException) -> None:
    link.send(FAILED + f"no process for the program: {error}".encode()[:_MAX_TEXT])


def _fork_program(link: _socket.socket, enclosure: Enclosure, become_program: Callable[..., NoReturn]) -> int:
    request_socket, our_socket = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    our_socket.shutdown(_socket.SHUT_RD)  # nothing comes back by it
    requests, request_end = request_socket.detach(), our_socket.detach()
    answers, answer_end = os.pipe()
    stdout, stdout_end = os.pipe()
    stderr, stderr_end = os.pipe()
    enter = enclosure.enter
    pid = enclosure.fork()
    if pid == 0:
        become_program(enter, requests, answer_end, stdout_end, stderr_end)
    rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, _RIGHTS.pack(request_end, answers, stdout, stderr))
    if enclosure.renumbered:  # the kernel translates
        ids = _CREDENTIALS.pack(pid, os.getuid(), os.getgid())
        link.sendmsg([STARTED.pack(0)], [rights, (_socket.SOL_SOCKET, _socket.SCM_CREDENTIALS, ids)])
    else:
        link.sendmsg([STARTED.pack(pid)], [rights])
    for fd in (requests, request_end, answers, answer_end, stdout, stdout_end, stderr, stderr_end):
        os.close(fd)
    return pid


def _beginning(link: _socket.socket, enclosure: Enclosure) -> Callable[..., NoReturn]:
    """What a fork does: keep nothing but its ends and the library, and wait for its program.

    Standard input is opened anew: flags and locks belong to what was opened, so that ours would hand a program's on.

    Names are looked up here: looking one up writes to pages, and in a fork such a page costs more than most calls.
    """
    setsid, open_file, dup2, closerange = os.setsid, os.open, os.dup2, os.closerange
    null, read_only = os.devnull, os.O_RDONLY
    confine, serve = enclosure.apply_limits, run_program
    first, last = enclosure.kept

    def become_program(enter: Callable[[], None], requests: int, answers: int, stdout: int, stderr: int) -> NoReturn:
        try:
            setsid()
            dup2(open_file(null, read_only), 0)
            enter()
        except BaseException as error:  # told where no program could tell it, which will not have this link
            _report(link, error)
            os._exit(1)
        try:
            dup2(requests, 3)
            dup2(answers, 4)
            dup2(stdout, 1)
            dup2(stderr, 2)
            if first < last:
                closerange(5, first)
                closerange(last, 64)
            else:
                closerange(5, 64)
        except BaseException:
            os._exit(1)
        serve(3, 4, confine)

    return become_program
