"""An event loop in a thread of its own, for clients that belong to one loop and outlive the loops of their callers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["LoopThread"]

_Result = TypeVar("_Result")


class LoopThread:
    """Runs coroutines for callers on other loops, or on none; a caller that is cancelled cancels its coroutine.

    The thread is a daemon: a program that is ending does not wait for what is still under way.
    """

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    @property
    def stopped(self) -> bool:
        return self._loop.is_closed()

    def wait(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """The result, waited for by the calling thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def call(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """The result, waited for by the calling task."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def stop(self) -> None:
        """End loop and thread; what was running is not waited for."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
