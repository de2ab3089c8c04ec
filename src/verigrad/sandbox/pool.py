"""Workers seen from the judge's process: started when needed, replaced when they die, ended together.

A worker's reply is waited for in the event loop, any loop, one after another or at once: a thread for each program
would take more time than all else that the judge's process does for it. Workers are started and ended in threads.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, TypeVar

from verigrad.errors import SandboxError
from verigrad.sandbox.base import LEVELS, Level
from verigrad.sandbox.cores import Cores
from verigrad.sandbox.protocol import SHIELDED, pack, read_message, unpack
from verigrad.sandbox.slots import Slots
from verigrad.sandbox.worker import remove_folder

__all__ = ["Isolation", "Pool", "Serving", "Worker", "WorkerDied"]

_T = TypeVar("_T")
Serving = Literal["programs", "commands"]
"""What a worker runs."""

_CHUNK = 1 << 20
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

    `packages` is what its programs may import besides the standard library, as `Packages.as_json` says it. Programs
    begin on one of `cores`; commands go where they like.

    It ends when it is closed or forgotten, and at the end of this interpreter, however that comes.

    Raises:
        SandboxError: it did not start, or no level is within reach.
    """

    def __init__(self, levels: Sequence[Level], serving: Serving, packages: str, cores: Cores) -> None:
        try:
            with ExitStack() as undo:
                self._errors = undo.enter_context(tempfile.TemporaryFile())
                folder = tempfile.mkdtemp(prefix="verigrad-")
                undo.callback(remove_folder, folder)
                os.chmod(folder, 0o555)  # where programs stand: empty, and it stays so
                self._socket, theirs = map(undo.enter_context, socket.socketpair())
                core = cores.take() if serving == "programs" else ""
                undo.callback(cores.put, core)
                process = self._start(folder, theirs.fileno(), levels, serving, core, packages)
                undo.pop_all()
                theirs.close()
        except OSError as error:
            raise SandboxError(f"cannot start a sandbox worker with {sys.executable}: {error}") from error
        self.close = weakref.finalize(self, _end, os.getpid(), process, self._socket, self._errors, folder, cores, core)
        """End the worker, which ends its fork-server and any program."""
        level, ready, *reasons = self._expect_ready()
        missing = dict(zip(levels, map(bytes.decode, reasons), strict=False))
        self.isolation = Isolation(_known(level.decode()), ready == SHIELDED, missing)
        self._socket.setblocking(False)

    def _start(
        self, folder: str, channel: int, levels: Sequence[Level], serving: Serving, core: str, packages: str
    ) -> subprocess.Popen[bytes]:
        script = Path(__file__).with_name("worker.py")
        # As -I, except that the hash seed may be fixed: a verdict must not depend on the order of a set.
        options = ["-P", "-s", "-S", "-B", "-X", "utf8", "-W", "ignore"]
        return subprocess.Popen(
            [sys.executable, *options, str(script), str(channel), ",".join(levels), serving, core, packages],
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

    async def exchange(self, parts: Sequence[bytes], timeout_s: float) -> list[bytes]:
        """Send one job and return the reply. A worker whose reply was not awaited is of no more use.

        Raises:
            WorkerDied: there was none within `timeout_s`, or no process for the program.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        try:
            await self._send(pack(parts), deadline)
            reply = await self._receive(deadline)
        except (EOFError, OSError) as error:  # of which TimeoutError is one
            raise WorkerDied(f"{error}; its last words: {self._last_words() or '(none)'}") from error
        if len(reply) == 1:
            raise _NoProcess(reply[0].decode("utf-8", "replace"))
        return reply

    async def _send(self, message: bytes, deadline: float) -> None:
        left = memoryview(message)
        while left:
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                loop = asyncio.get_running_loop()
                await _ready(loop.add_writer, loop.remove_writer, self._socket.fileno(), deadline)

    async def _receive(self, deadline: float) -> list[bytes]:
        loop = asyncio.get_running_loop()
        data = bytearray()
        while (reply := unpack(data)) is None:
            await _ready(loop.add_reader, loop.remove_reader, self._socket.fileno(), deadline)
            chunk = self._socket.recv(_CHUNK)
            if not chunk:
                raise EOFError("the other end closed the connection")
            data += chunk
        return reply

    def _last_words(self) -> str:
        self._errors.seek(0)
        return self._errors.read()[-2000:].decode("utf-8", "replace").strip()


def _end(
    owner: int,
    process: subprocess.Popen[bytes],
    channel: socket.socket,
    errors: IO[bytes],
    folder: str,
    cores: Cores,
    core: str,
) -> None:
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
    cores.put(core)
    remove_folder(folder)  # where the worker was killed before it could


async def _ready(add: Callable[..., object], remove: Callable[[int], object], descriptor: int, deadline: float) -> None:
    """Until a descriptor can be read, or written.

    Where the loop was held up past the deadline and it can, it can: `asyncio.timeout` would cancel us all the same.

    Raises:
        TimeoutError: it could not by the deadline.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    add(descriptor, _settle, future)  # the loop calls this before timers that are due
    timer = loop.call_at(deadline, _give_up, future)
    try:
        await future
    finally:
        timer.cancel()
        remove(descriptor)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _give_up(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_exception(TimeoutError("no message in time"))


async def _in_thread(work: Callable[[], _T]) -> _T:
    """Do `work`, which blocks.

    Raises:
        RuntimeError: there is no thread to be had.
    """
    return await asyncio.get_running_loop().run_in_executor(None, work)


class Pool:
    """At most `size` workers, started on first use.

    The first worker settles the level, the first of `levels` within reach; those after it reach the same or fail.
    """

    def __init__(self, size: int, levels: Sequence[Level], serving: Serving = "programs", packages: str = "") -> None:
        self._size = size
        self._levels = tuple(levels)
        self._serving = serving
        self._packages = packages
        self._cores = Cores()
        self._isolation: Isolation | None = None
        self._first = threading.Lock()
        self._spare: Worker | None = None
        self.closed = False
        self._slots: Slots[Worker | None] = Slots([None] * size)
        self._alone: Slots[None] = Slots([None])

    def isolation(self) -> Isolation:
        """What this machine offers; starts a worker where none was started yet, and blocks until it has.

        Raises:
            SandboxError: none could be started, or the pool was closed before any was.
        """
        with self._first:
            if self._isolation is None:
                if self.closed:
                    raise SandboxError("this sandbox is closed; make a new one")
                self._spare = Worker(self._levels, self._serving, self._packages, self._cores)
                self._isolation = self._spare.isolation
            return self._isolation

    def _new_worker(self) -> Worker:
        isolation = self.isolation()
        with self._first:
            spare, self._spare = self._spare, None
        return spare or Worker((isolation.level,), self._serving, self._packages, self._cores)

    async def exchange(self, parts: Sequence[bytes], timeout_s: float) -> list[bytes]:
        """Run one job in a free worker and return the reply, once there is one.

        Raises:
            WorkerDied: the job took down two workers in a row, the second while nothing else ran, where programs can.
            SandboxError: no worker could be started, or two in a row ended through no fault of the program, or the
                pool is closed.
        """
        try:
            return await self._exchange(await self._slots.take(), parts, timeout_s)
        except WorkerDied:  # perhaps what it lacked, or what hit it, is gone now
            pass
        try:
            return await self._exchange_alone(parts, timeout_s)
        except WorkerDied as error:
            if isinstance(error, _NoProcess) or self.isolation().shielded:
                raise SandboxError(f"the sandbox failed twice, which tells nothing of the program: {error}") from error
            raise

    async def _exchange_alone(self, parts: Sequence[bytes], timeout_s: float) -> list[bytes]:
        """Once more in a fresh worker while no other program runs, so that nobody else can be to blame."""
        await self._alone.take()
        held: list[Worker | None] = []
        try:
            while len(held) < self._size:
                held.append(await self._slots.take())
            for index, worker in enumerate(held):
                held[index] = None
                await _end_worker(worker)
            held.pop()
            return await self._exchange(None, parts, timeout_s)
        finally:
            for worker in held:
                self._slots.put(worker)
            self._alone.put(None)

    async def _exchange(self, worker: Worker | None, parts: Sequence[bytes], timeout_s: float) -> list[bytes]:
        """One job in `worker`, or in a new one, which then takes the free slot; a dead one frees it."""
        kept = None
        try:
            worker = worker or await self._started()
            reply = await worker.exchange(parts, timeout_s + _GRACE_S)
            kept = worker
            return reply
        finally:
            try:
                if kept is None:
                    await _end_worker(worker)
            finally:
                self._slots.put(kept)

    async def _started(self) -> Worker:
        try:
            return await _in_thread(self._new_worker)
        except RuntimeError as error:
            raise SandboxError(f"no thread to start a worker from: {error}") from error

    async def close(self) -> None:
        """End every worker once its program is done; those that wait for one get a SandboxError, as do later ones."""
        if self.closed:
            return
        self.closed = True
        for worker in (*await self._slots.drain(), self._spare):
            await _end_worker(worker)


async def _end_worker(worker: Worker | None) -> None:
    if worker is None:
        return
    try:
        await _in_thread(worker.close)
    except RuntimeError:  # no thread to be had, and still it must end
        worker.close()
