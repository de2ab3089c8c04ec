"""What every sandbox with workers of its own has in common: its level, its end."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Literal, Self

from verigrad.errors import ConfigError, SandboxError
from verigrad.sandbox.base import LEVELS, Level
from verigrad.sandbox.packages import find_packages
from verigrad.sandbox.pool import Pool, Serving
from verigrad.sandbox.protocol import longest_s
from verigrad.types import Limits

__all__ = ["Pooled"]


class Pooled:
    """Workers. Use it with `async with`, or call `close`; any event loop may.

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

    async def _exchange(self, parts: Sequence[bytes], limits: Limits) -> list[bytes]:
        """Run one job and return the reply.

        Raises:
            WorkerDied: it took down two workers, the second while nothing else ran.
            SandboxError: the sandbox is closed, or its workers fail.
        """
        return await self._pool.exchange(parts, longest_s(limits.wall_s))

    async def close(self) -> None:
        """End every process this sandbox started, after what runs now."""
        await self._pool.close()
