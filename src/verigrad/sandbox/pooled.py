"""What every sandbox with workers of its own has in common: its level, its threads, its end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Literal, ParamSpec, Self, TypeVar

from verigrad.errors import ConfigError, SandboxError
from verigrad.sandbox.base import LEVELS, Level
from verigrad.sandbox.packages import find_packages
from verigrad.sandbox.pool import Pool, Serving

__all__ = ["Pooled"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Pooled:
    """Workers, and threads that wait for them. Use it with `async with`, or call `close`; any event loop may.

    Args:
        workers: how many run something at one time.
        level: the isolation wanted; `auto` for the best there is.
        packages: installed modules that programs may import besides the standard library.

    Raises:
        SandboxError: this is not Linux. (That an explicit `level` is out of reach shows on first use.)
        ConfigError: there is no such level, or no such package, or no worker is wanted.
    """

    _serving: Serving = "programs"

    def __init__(
        self, workers: int = 2, *, level: Level | Literal["auto"] = "auto", packages: Sequence[str] = ()
    ) -> None:
        if sys.platform != "linux":
            raise SandboxError(f"the sandbox needs Linux, this is {sys.platform}")
        if level not in (*LEVELS, "auto"):
            raise ConfigError(f"no sandbox level {level!r}; there are 'auto', {', '.join(map(repr, LEVELS))}")
        if workers < 1:
            raise ConfigError(f"workers is {workers}; wanted 1 or more programs at once")
        self._workers = workers
        shown = find_packages(tuple(packages)).as_json() if packages else ""
        self._pool = Pool(workers, LEVELS[::-1] if level == "auto" else (level,), self._serving, shown)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix=f"verigrad-{self._serving}")
        self._closed = False

    @property
    def level(self) -> Level:
        """The isolation in force, as a worker found it; the first look starts one.

        Raises:
            SandboxError: no worker can be started, or none at the level asked for.
        """
        return self._pool.isolation().level

    @property
    def missing(self) -> Mapping[Level, str]:
        """Why each level stronger than the one in force is out of reach, where `auto` tried it.

        Raises:
            SandboxError: no worker can be started, or none at the level asked for.
        """
        return self._pool.isolation().missing

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _in_thread(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Do `work`, which blocks, in a thread of ours.

        Raises:
            SandboxError: the sandbox is closed, or there is no thread to be had.
        """
        if self._closed:
            raise SandboxError("this sandbox is closed; make a new one")
        try:
            running = asyncio.get_running_loop().run_in_executor(self._threads, lambda: work(*args, **kwargs))
        except RuntimeError as error:
            raise SandboxError(f"no thread to run a program from: {error}") from error
        return await running

    async def close(self) -> None:
        """End every process this sandbox started, after what runs now."""
        if self._closed:
            return
        self._closed = True
        with ThreadPoolExecutor(1) as closer:
            try:
                ended = asyncio.get_running_loop().run_in_executor(closer, self._end)
            except RuntimeError:  # no thread to be had, and still they must end
                self._end()
            else:
                await ended

    def _end(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._pool.close()
