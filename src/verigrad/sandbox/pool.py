"""Workers seen from the judge's process: started when needed, replaced when they die, ended together.

Everything here blocks; the sandbox calls it from threads of its own, so that it serves any number of
event loops, one after another or at once.
"""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from verigrad.errors import SandboxError
from verigrad.sandbox.base import LEVELS, Level
from verigrad.sandbox.protocol import SHIELDED, pack, read_message, write_all
from verigrad.sandbox.worker import remove_folder

__all__ = ["Isolation", "Pool", "Serving", "Worker", "WorkerDied"]

Serving = Literal["programs", "commands"]
"""What a worker runs."""

_START_S = 60.0
_GRACE_S = 30.0
"""Beyond a program's own deadline, for killing what it left behind on a busy machine."""


@dataclass(frozen=True)
class Isolation:
    """The level in force, as measured in a worker, and of each stronger one that was tried why it is not.

    Where it is `shielded` no program can end or stop a worker.
    """

    level: Level
    shielded: bool
    missing: Mapping[Level, str]


def _known(name: str) -> Level:
    return next(level for level in LEVELS if level == name)


class WorkerDied(Exception):
    """A worker ended, or fell silent, while a program ran in it."""


class _NoProcess(WorkerDied):
    """A worker could not make a process for a program."""


class Worker:
    """One supervisor with its fork-server, of the first of `levels` within reach; serves one job at a time.

    `packages` is what its programs may import besides the standard library, as `Packages.as_json` says it.

    It ends when it is closed or forgotten, and at the end of this interpreter, however that comes.

    Raises:
        SandboxError: it did not start, or no level is within reach.
    """

    def __init__(self, levels: Sequence[Level], serving: Serving = "programs", packages: str = "") -> None:
        try:
            with ExitStack() as undo:
                self._errors = undo.enter_context(tempfile.TemporaryFile())
                folder = tempfile.mkdtemp(prefix="verigrad-")
                undo.callback(remove_folder, folder)
                os.chmod(folder, 0o555)  # where programs stand: empty, and it stays so
                self._socket, theirs = map(undo.enter_context, socket.socketpair())
                process = self._start(folder, theirs.fileno(), levels, serving, packages)
                undo.pop_all()
                theirs.close()
        except OSError as error:
            raise SandboxError(f"cannot start a sandbox worker with {sys.executable}: {error}") from error
        self.close = weakref.finalize(self, _end, os.getpid(), process, self._socket, self._errors, folder)
        """End the worker, which ends its fork-server and any program."""
        level, ready, *reasons = self._expect_ready()
        missing = dict(zip(levels, map(bytes.decode, reasons), strict=False))
        self.isolation = Isolation(_known(level.decode()), ready == SHIELDED, missing)

    def _start(
        self, folder: str, channel: int, levels: Sequence[Level], serving: Serving, packages: str
    ) -> subprocess.Popen[bytes]:
        script = Path(__file__).with_name("worker.py")
        # As -I, except that the hash seed may be fixed: a verdict must not depend on the order of a set.
        options = ["-P", "-s", "-S", "-B", "-X", "utf8", "-W", "ignore"]
        return subprocess.Popen(
            [sys.executable, *options, str(script), str(channel), ",".join(levels), serving, packages],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            pass_fds=(channel,),
            # What the dynamic loader puts off, every fork would have to do again.
            env={"PYTHONHASHSEED": "0", "LD_BIND_NOW": "1"},
            cwd=folder,
            start_new_session=True,  # a Ctrl-C in the terminal is for us to handle
        )

    def _expect_ready(self) -> list[bytes]:
        try:
            return read_message(self._socket.fileno(), _START_S)
        except (EOFError, TimeoutError, OSError) as error:
            text = self._last_words()
            self.close()
            raise SandboxError(
                f"a sandbox worker did not start: {error}; its last words: {text or '(none)'}"
            ) from error

    def exchange(self, parts: Sequence[bytes], timeout_s: float) -> list[bytes]:
        """Send one job and return the reply.

        Raises:
            WorkerDied: there was none within `timeout_s`, or no process for the program.
        """
        try:
            write_all(self._socket.fileno(), pack(parts))
            reply = read_message(self._socket.fileno(), timeout_s)
        except (EOFError, TimeoutError, OSError) as error:
            raise WorkerDied(f"{error}; its last words: {self._last_words() or '(none)'}") from error
        if len(reply) == 1:
            raise _NoProcess(reply[0].decode("utf-8", "replace"))
        return reply

    def _last_words(self) -> str:
        self._errors.seek(0)
        return self._errors.read()[-2000:].decode("utf-8", "replace").strip()


def _end(owner: int, process: subprocess.Popen[bytes], channel: socket.socket, errors: IO[bytes], folder: str) -> None:
    """End a worker; a fork of the process that `owner` names only lets go of it."""
    channel.close()
    errors.close()
    if os.getpid() != owner:
        return
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()  # the fork-server notices and cleans up
        process.wait()
    remove_folder(folder)  # where the worker was killed before it could


class Pool:
    """At most `size` workers, started on first use; safe to use from several threads.

    The first worker settles the level, the first of `levels` within reach; those after it reach the same or fail.
    """

    def __init__(self, size: int, levels: Sequence[Level], serving: Serving = "programs", packages: str = "") -> None:
        self._size = size
        self._levels = tuple(levels)
        self._serving = serving
        self._packages = packages
        self._isolation: Isolation | None = None
        self._first = threading.Lock()
        self._closed = False
        self._slots: queue.SimpleQueue[Worker | None] = queue.SimpleQueue()
        for _ in range(size):
            self._slots.put(None)
        self._alone = threading.Lock()

    def isolation(self) -> Isolation:
        """What this machine offers; starts a worker where none was started yet.

        Raises:
            SandboxError: none could be started, or the pool was closed before any was.
        """
        if self._isolation is None:
            if self._closed:
                raise SandboxError("this sandbox is closed; make a new one")
            worker = self._slots.get()
            try:
                worker = worker or self._new_worker()
            finally:
                self._slots.put(worker)
        assert self._isolation is not None
        return self._isolation

    def _new_worker(self) -> Worker:
        with self._first:
            if self._isolation is None:
                worker = Worker(self._levels, self._serving, self._packages)
                self._isolation = worker.isolation
                return worker
        return Worker((self._isolation.level,), self._serving, self._packages)

    def exchange(self, parts: Sequence[bytes], timeout_s: float) -> list[bytes]:
        """Run one job in a free worker and return the reply; blocks until there is one.

        Raises:
            WorkerDied: the job took down two workers in a row, the second while nothing else ran, where programs can.
            SandboxError: no worker could be started, or two in a row ended through no fault of the program.
        """
        try:
            return self._exchange(self._slots.get(), parts, timeout_s)
        except WorkerDied:  # perhaps what it lacked, or what hit it, is gone now
            pass
        try:
            return self._exchange_alone(parts, timeout_s)
        except WorkerDied as error:
            if isinstance(error, _NoProcess) or self.isolation().shielded:
                raise SandboxError(f"the sandbox failed twice, which tells nothing of the program: {error}") from error
            raise

    def _exchange_alone(self, parts: Sequence[bytes], timeout_s: float) -> list[bytes]:
        """Once more in a fresh worker while no other program runs, so that nobody else can be to blame."""
        with self._alone:
            slots = [self._slots.get() for _ in range(self._size)]
            try:
                for worker in slots:
                    if worker is not None:
                        worker.close()
                return self._exchange(None, parts, timeout_s)
            finally:
                for _ in slots[1:]:
                    self._slots.put(None)

    def _exchange(self, worker: Worker | None, parts: Sequence[bytes], timeout_s: float) -> list[bytes]:
        """One job in `worker`, or in a new one, which then takes the free slot; a dead one frees it."""
        kept = None
        try:
            worker = worker or self._new_worker()
            reply = worker.exchange(parts, timeout_s + _GRACE_S)
            kept = worker
            return reply
        finally:
            if kept is None and worker is not None:
                worker.close()
            self._slots.put(kept)

    def close(self) -> None:
        """End every worker once its program is done; nothing may be running or start afterwards."""
        self._closed = True
        for worker in [self._slots.get() for _ in range(self._size)]:
            if worker is not None:
                worker.close()
