"""An event loop in a thread of its own, for clients that belong to one loop and outlive the loops of their callers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from verigrad.errors import EngineError

__all__ = ["LoopThread"]

_Result = TypeVar("_Result")

_LAST_WAIT_S = 5.0


class LoopThread:
    """Runs coroutines for callers on other loops, or on none; a caller that is cancelled cancels its coroutine.

    Loop and thread begin with the first call. The thread is a daemon: a program that is ending does not wait for what
    is still under way.

    Attributes:
        stopped: there are no more calls; another one is an EngineError.
    """

    def __init__(self, name: str) -> None:
        self._name, self._lock = name, threading.Lock()
        self._running: tuple[asyncio.AbstractEventLoop, threading.Thread] | None = None
        self.stopped = False

    def wait(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """The result, waited for by the calling thread."""
        return self._begin(work).result()

    async def call(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """The result, waited for by the calling task."""
        return await asyncio.wrap_future(self._begin(work))

    def stop(self) -> None:
        """End loop and thread; what is running is cancelled."""
        with self._lock:
            self.stopped, running = True, self._running
        if running is not None:
            loop, thread = running
            asyncio.run_coroutine_threadsafe(_cancel_others(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def _begin(self, work: Coroutine[Any, Any, _Result]) -> Future[_Result]:
        with self._lock:
            if self.stopped:
                work.close()
                raise EngineError("the engine is closed")
            if self._running is None:
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=loop.run_forever, name=self._name, daemon=True)
                thread.start()
                self._running = loop, thread
            return asyncio.run_coroutine_threadsafe(work, self._running[0])


async def _cancel_others() -> None:
    """So that no caller waits for what will not go on."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=_LAST_WAIT_S)
