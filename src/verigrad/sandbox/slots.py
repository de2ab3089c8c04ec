"""Things of which each is in one hand at a time, handed on in the order of asking, between tasks of any event loops."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

from verigrad.errors import SandboxError

__all__ = ["Slots"]

_T = TypeVar("_T")


class Slots(Generic[_T]):
    """Take one, and put it, or what has taken its place, back.

    A task that is cancelled while it waits takes none; a loop that has ended is passed over.
    """

    def __init__(self, items: Iterable[_T]) -> None:
        self._free = deque(items)
        self._size = len(self._free)
        self._waiting: deque[asyncio.Future[_T]] = deque()
        self._lock = threading.Lock()
        self._closed = False

    async def take(self) -> _T:
        """The one that has been free for longest, once there is one.

        Raises:
            SandboxError: `drain` was called, before or meanwhile.
        """
        with self._lock:
            if self._closed:
                raise _closed()
            if self._free:
                return self._free.popleft()
            future = self._wait()
        return await self._got(future)

    def _wait(self) -> asyncio.Future[_T]:
        future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        return future

    async def _got(self, future: asyncio.Future[_T]) -> _T:
        try:
            return await future
        except asyncio.CancelledError:
            with self._lock:
                if future in self._waiting:
                    self._waiting.remove(future)
            if future.done() and not future.cancelled() and future.exception() is None:  # both in one turn of the loop
                self.put(future.result())
            raise

    def put(self, item: _T) -> None:
        """Hand it to whoever has waited longest; safe to call in any thread."""
        while True:
            with self._lock:
                if not self._waiting:
                    self._free.append(item)
                    return
                future = self._waiting.popleft()
            if _in_loop_of(future):
                if not future.done():
                    future.set_result(item)
                    return
                continue
            try:
                future.get_loop().call_soon_threadsafe(self._hand, future, item)
                return
            except RuntimeError:  # that loop has ended
                continue

    def _hand(self, future: asyncio.Future[_T], item: _T) -> None:
        if future.done():  # it was cancelled meanwhile
            self.put(item)
        else:
            future.set_result(item)

    async def drain(self) -> list[_T]:
        """Take all of them for good, as they come back; for others there is none from now on."""
        with self._lock:
            self._closed = True
            refused, self._waiting = self._waiting, deque()
            found = list(self._free)
            self._free.clear()
            awaited = [self._wait() for _ in range(self._size - len(found))]
        for future in refused:
            _refuse(future)
        return found + [await self._got(future) for future in awaited]


def _closed() -> SandboxError:
    return SandboxError("this sandbox is closed; make a new one")


def _in_loop_of(future: asyncio.Future[_T]) -> bool:
    try:
        return asyncio.get_running_loop() is future.get_loop()
    except RuntimeError:  # in a thread without one
        return False


def _refuse(future: asyncio.Future[_T]) -> None:
    def refuse() -> None:
        if not future.done():
            future.set_exception(_closed())

    if _in_loop_of(future):
        refuse()
        return
    with contextlib.suppress(RuntimeError):  # that loop has ended
        future.get_loop().call_soon_threadsafe(refuse)
