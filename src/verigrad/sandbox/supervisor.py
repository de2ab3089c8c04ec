"""The supervisor: runs one program at a time and is the only one that talks to it.

It takes a job from the judge's process, feeds the inputs to a process that the fork-server made, one by
one, enforces the deadlines and caps from outside, has the process tree killed, and passes the answers on
without looking into them. Standard library only; it holds no expected value.

A job is a message `[limits, setup, input, ...]` in `marshal`'s form. Where `stdin` among the limits is no None but a
script's input, `setup` does not hold the program yet, and a process that ends before it has answered ends through our
fault. The reply is `[report, stdout, answer, ...]`, where the first answer speaks of loading, or in that case of the
setup. The report, in JSON as the answers are, holds `status` (None if the program answered all, else what ended it),
`error`, `cpu_ms` per answer, `total_cpu_ms`, `wall_ms` and `exit` (the wait status of a process that ended by itself).
Where there was no process for the program, the reply is `[why]`, and the worker ends.
"""

from __future__ import annotations

import _socket
import contextlib
import errno
import fcntl
import json
import marshal
import os
import select
import signal
import struct
import time
from dataclasses import dataclass, field
from typing import Any

from verigrad.sandbox.placement import let_go
from verigrad.sandbox.program import MEMORY_EXIT
from verigrad.sandbox.protocol import (
    ANSWER,
    DISK,
    END,
    ENDED,
    FAILED,
    INPUT,
    NONCE_BYTES,
    STARTED,
    longest_s,
    pack,
    read_message,
    write_all,
)
from verigrad.sandbox.usage import family, page_tables_kib, starved_s, we_starved_s

__all__ = ["run_supervisor"]

_FRAME_SLACK = 1_000_000
"""An answer may exceed `result_bytes` by this much: the traced lines and error text around the value."""
_ALL_ANSWERS = 1 << 26
"""Bytes of all answers of a program together."""
_RIGHTS, _ONE_RIGHT, _CREDENTIALS = struct.Struct("4i"), struct.Struct("i"), struct.Struct("3i")
_NOTES_BYTES = _socket.CMSG_SPACE(_RIGHTS.size) + _socket.CMSG_SPACE(_CREDENTIALS.size)
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_MAX_TEXT = 4096
_CHUNK = 1 << 16
_BACKSTOP_MS = 5
"""Shortest wait between two looks at the CPU clock."""
_UNNOTICED_S = 0.01
"""Time into a program after which it may use every core and it is noted how long it stands in the run queue.

Most are over by then.
"""

_LOOK_S = 0.05
"""Time between two looks at what a program uses that no limit of the kernel bounds."""
_PAGE_TABLES_SHARE = 8
"""Page tables may take this part of `memory_mb`; of memory in one piece they take a 512th."""


class _Stopped(Exception):
    """The program is over before it answered everything; `status` says why."""

    def __init__(self, status: str, error: str) -> None:
        super().__init__(error)
        self.status, self.error = status, error


class _NoProcess(Exception):
    """There is no process for the program, or there was none by the time it was to begin."""


class _Died(Exception):
    """The program's process ended; how is known once it is reaped."""


def run_supervisor(parent: int, link: _socket.socket) -> None:
    """Serve jobs from `parent` until it closes its end. `link` leads to the fork-server.

    Raises:
        EOFError: the fork-server is gone.
        SystemExit: there was no process for a program.
    """
    disk_mb = -1
    while True:
        try:
            first, *frames = read_message(parent)
        except EOFError:
            return
        limits = marshal.loads(first)
        try:
            program = _begin(link, parent, limits, new_disk=limits["disk_mb"] != disk_mb)
            disk_mb = limits["disk_mb"]
            reply = _run(frames, program, link)
        except _NoProcess as error:
            write_all(parent, pack([str(error).encode()]))
            raise SystemExit(1) from error
        write_all(parent, pack(reply))


def _begin(link: _socket.socket, parent: int, limits: dict[str, Any], *, new_disk: bool) -> _Program:
    try:
        program = _receive_program(link, parent)
        if new_disk:
            _set_disk(link, limits["disk_mb"])
        program.begin(limits)
        return program
    except (OSError, EOFError) as error:
        raise _NoProcess(str(error)) from error


def _set_disk(link: _socket.socket, megabytes: int) -> None:
    link.send(DISK.pack(megabytes))
    if (answer := link.recv(_MAX_TEXT)) != DISK.pack(megabytes):
        raise OSError(_reason(answer))


def _reason(message: bytes) -> str:
    """What a process of ours that failed said last."""
    return message[len(FAILED) :].decode("utf-8", "replace") or "the fork-server is gone"


def _receive_program(link: _socket.socket, parent: int) -> _Program:
    message, notes, flags, _ = link.recvmsg(_MAX_TEXT, _NOTES_BYTES)
    if not message:
        raise EOFError("the fork-server is gone")
    if message.startswith(FAILED):
        raise OSError(_reason(message))
    if flags & _socket.MSG_CTRUNC:
        raise OSError(errno.EMFILE, "no descriptors left for a program's pipes")
    attached = {kind: data for _, kind, data in notes}
    requests, answers, out, err = _RIGHTS.unpack(attached[_socket.SCM_RIGHTS])
    pid = STARTED.unpack(message)[0] or _CREDENTIALS.unpack(attached[_socket.SCM_CREDENTIALS])[0]
    return _Program(pid, requests, answers, out, err, (parent, link.fileno()))


def _run(frames: list[bytes], program: _Program, link: _socket.socket) -> list[bytes]:
    """Put every frame to a program that has begun, then end it."""
    status, error, died = None, "", False
    try:
        for frame in frames:
            if not program.ask(frame):
                break
    except EOFError:
        program.kill()  # nobody else may be left to do it
        raise
    except _Stopped as stop:
        status, error = stop.status, stop.error
    except _Died:
        if program.limits["stdin"] is not None and not program.answers:
            raise _NoProcess("the program's process ended before the program was in it") from None
        died = True
    wall_s = program.elapsed_s()
    link.send(END)
    ended = link.recv(_MAX_TEXT)
    if ended.startswith(FAILED):  # no wait status begins like that
        raise _NoProcess(_reason(ended))
    if not ended:
        raise EOFError("the fork-server is gone")
    exit_status, cpu_s, peak_kib = ENDED.unpack(ended)
    if died:
        status, error = _cause_of_death(exit_status, cpu_s, peak_kib, program.limits)
    if not program.drain():
        status, error = status or "output_limit", error or program.too_much_output()
    program.close()
    report = {
        "status": status,
        "error": error,
        "cpu_ms": program.cpu_ms,
        "total_cpu_ms": 1000 * cpu_s,
        "wall_ms": 1000 * wall_s,
        "exit": exit_status if died else None,
    }
    return [json.dumps(report).encode(), bytes(program.stdout), *program.answers]


def _cause_of_death(exit_status: int, cpu_s: float, peak_kib: int, limits: dict[str, Any]) -> tuple[str, str]:
    code = os.waitstatus_to_exitcode(exit_status)
    if code == MEMORY_EXIT or (code == -signal.SIGKILL and peak_kib > 512 * limits["memory_mb"]):
        return "memory", f"out of memory (limit {limits['memory_mb']} MiB)"
    if code == -signal.SIGXCPU or (code == -signal.SIGKILL and cpu_s >= limits["cpu_s"]):
        return "timeout", f"over {limits['cpu_s']} s of CPU time"
    if code < 0:
        return "crashed", f"killed by signal {-code} ({signal.strsignal(-code)})"
    return "crashed", f"the process ended with exit status {code} before it answered"


@dataclass
class _Program:
    """A running program: its descriptors, deadlines and what it gave so far."""

    pid: int
    requests: int
    replies: int
    out: int
    err: int
    others: tuple[int, ...]
    answers: list[bytes] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    stdout: bytearray = field(default_factory=bytearray)
    output: int = 0
    answered: int = 0
    cpu: float = 0.0
    starved_before: float | None = None

    def begin(self, limits: dict[str, Any]) -> None:
        """Start the clocks."""
        self.limits, self.stdin = limits, limits["stdin"]
        self.pidfd = os.pidfd_open(self.pid)
        self.poll = select.poll()
        for fd in (self.replies, self.out, self.err, self.pidfd, *self.others):
            self.poll.register(fd, select.POLLIN)
        os.set_blocking(self.requests, False)  # the others are read only where there is something
        self.first_cpu = self._cpu_clock()
        self.we_starved_before = we_starved_s()
        self.begun = time.monotonic()
        self.wall_deadline = self.begun + limits["wall_s"]
        self.next_look = self.begun + _LOOK_S

    def ask(self, body: bytes) -> bool:
        """Send one frame and keep its answer; returns whether the program takes another.

        Raises:
            _Stopped: a limit was passed or the channel misused.
            _Died: the process ended without an answer.
        """
        self._notice_queue()
        before = self.cpu
        nonce = os.urandom(NONCE_BYTES)
        pending = self._write(memoryview(INPUT.pack(len(body), nonce) + body))
        if self.stdin is not None:
            self._hand_over_stdin(self.stdin)
            self.stdin = None
        received = bytearray()
        while True:
            if pending:
                self.poll.register(self.requests, select.POLLOUT)
            ready = dict(self.poll.poll(self._patience_ms()))
            self._check_cpu()
            if pending:
                pending = self._write(pending)
                if not pending:
                    self.poll.unregister(self.requests)
            self._read_outputs(ready)  # first, because what was printed before the answer counts
            if self.replies in ready and self._read_answer(received, nonce):
                self.cpu_ms.append(1000 * (self.cpu - before))
                return bool(ANSWER.unpack_from(received)[2])
            if gone := [fd for fd in self.others if fd in ready]:
                if message := os.read(gone[0], _MAX_TEXT):
                    raise _NoProcess(_reason(message))
                raise EOFError("the judge's process or the fork-server is gone")
            if self.pidfd in ready and self.replies not in ready:
                raise _Died
            self._check_wall()  # last: an answer that is there counts, however long we took to come for it

    def _hand_over_stdin(self, text: bytes) -> None:
        """Pass on a file of exactly these bytes, to which none can be added; programs may make no such file."""
        link = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, self.requests)
        try:
            file = _sealed_file(text)
            try:
                link.sendmsg([b"f"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, _ONE_RIGHT.pack(file))])
            finally:
                os.close(file)
        except (BrokenPipeError, ConnectionResetError):  # reading will tell
            pass
        except OSError as error:
            raise _NoProcess(f"no standard input for the program: {error}") from error
        finally:
            link.detach()

    def _write(self, data: memoryview) -> memoryview:
        try:
            return data[os.write(self.requests, data) :]
        except BlockingIOError:
            return data
        except (BrokenPipeError, ConnectionResetError):  # reading will tell
            return memoryview(b"")

    def _read_answer(self, received: bytearray, nonce: bytes) -> bool:
        """Read what is there; True once `received` holds the answer to `nonce`, complete and nothing else."""
        chunk = os.read(self.replies, _CHUNK)
        if not chunk:
            raise _Died
        received += chunk
        if len(received) < ANSWER.size:
            return False
        length, given, _ = ANSWER.unpack_from(received)
        size = ANSWER.size + length
        if given != nonce or length > self.limits["result_bytes"] + _FRAME_SLACK or len(received) > size:
            raise _Stopped("violation", "the program wrote to the judge's channel")
        if len(received) < size:
            return False
        self.answered += length
        if self.answered > _ALL_ANSWERS:
            raise _Stopped("output_limit", f"over {_ALL_ANSWERS} bytes in all answers together")
        self.answers.append(bytes(received[ANSWER.size :]))
        return True

    def _read_outputs(self, ready: dict[int, int]) -> None:
        for fd in (self.out, self.err):
            if fd in ready and not self._read_output(fd):
                self.poll.unregister(fd)

    def _read_output(self, fd: int) -> bool:
        """Read a chunk; False at the end of the stream."""
        chunk = os.read(fd, _CHUNK)
        self.output += len(chunk)
        if fd == self.out:
            self.stdout += chunk
        if self.output > self.limits["output_bytes"]:
            raise _Stopped("output_limit", self.too_much_output())
        return bool(chunk)

    def too_much_output(self) -> str:
        return f"over {self.limits['output_bytes']} bytes of output"

    def drain(self) -> bool:
        """Read what is left in the pipes of an ended program; False if it was too much."""
        try:
            while full := self._outputs_with_text():
                for fd in full:
                    self._read_output(fd)
        except _Stopped:
            return False
        return True

    def _outputs_with_text(self) -> list[int]:
        found = (fd for fd, event in self.poll.poll(0) if event & select.POLLIN)
        return [fd for fd in found if fd in (self.out, self.err)]

    def kill(self) -> None:
        """Kill the process itself, where the fork-server cannot be asked."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def close(self) -> None:
        held = (self.requests, self.replies, self.out, self.err, self.pidfd)
        if max(held) - min(held) == len(held) - 1:
            os.closerange(min(held), max(held) + 1)  # one call instead of five
            return
        for fd in held:
            os.close(fd)

    def _cpu_clock(self) -> float:
        """CPU seconds of the process so far; the clock id is Linux's for another process."""
        with contextlib.suppress(OSError):  # it ended: the last reading stands
            self.cpu = time.clock_gettime(~self.pid << 3 | 2)
        return self.cpu

    def _patience_ms(self) -> float:
        cpu_left: float = self.limits["cpu_s"] - (self.cpu - self.first_cpu)
        wall_left: float = self.wall_deadline - time.monotonic()
        look = _UNNOTICED_S if self.starved_before is None else _LOOK_S
        shortest: float = min(cpu_left, wall_left, look)
        return max(_BACKSTOP_MS, 1000 * shortest + 1)

    def _check_cpu(self) -> None:
        if self._cpu_clock() - self.first_cpu > self.limits["cpu_s"]:
            raise _Stopped("timeout", f"over {self.limits['cpu_s']} s of CPU time")

    def _notice_queue(self) -> None:
        if self.starved_before is None and time.monotonic() - self.begun > _UNNOTICED_S:
            self.starved_before = starved_s(self.pid)
            for process in family(self.pid):
                let_go(process)

    def _check_wall(self) -> None:
        self._notice_queue()
        self._check_page_tables()
        if time.monotonic() > self.wall_deadline:
            limit = self.limits["wall_s"]
            self.wall_deadline = self.begun + min(limit + self._starved_s(), longest_s(limit))
            if time.monotonic() > self.wall_deadline:
                raise _Stopped("timeout", f"over {limit} s of elapsed time")

    def _check_page_tables(self) -> None:
        """Mappings all over the address space can take many times their own size in tables, which no limit counts."""
        if time.monotonic() > self.next_look:
            self.next_look = time.monotonic() + _LOOK_S
            limit = self.limits["memory_mb"]
            if page_tables_kib(self.pid) > 1024 * limit // _PAGE_TABLES_SHARE:
                raise _Stopped("memory", f"page tables of over 1/{_PAGE_TABLES_SHARE} of {limit} MiB")

    def elapsed_s(self) -> float:
        """Seconds since it began in which it ran, or waited for anything but a processor.

        It may run while we are starved, so what is left may be less than its CPU time, and is then that.
        """
        return max(self.cpu - self.first_cpu, time.monotonic() - self.begun - self._starved_s())

    def _starved_s(self) -> float:
        """Seconds that the program's first thread, or we, were ready to run and the machine was too busy.

        What it waited before the first note is not known and not counted.
        """
        starved = we_starved_s() - self.we_starved_before
        return starved if self.starved_before is None else starved + starved_s(self.pid) - self.starved_before


def _sealed_file(text: bytes) -> int:
    """A file in memory that holds `text` and cannot be changed any more."""
    file = os.memfd_create("stdin", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        write_all(file, text)
        os.lseek(file, 0, os.SEEK_SET)
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, _SEALS)
    except OSError:
        os.close(file)
        raise
    return file
