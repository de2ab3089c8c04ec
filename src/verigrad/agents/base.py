"""An agent works on a task through an engine and leaves turns behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from verigrad.engines.base import Engine
from verigrad.types import RolloutStatus, Task, Turn

__all__ = ["Agent", "Attempt"]


@dataclass(frozen=True)
class Attempt:
    """What an agent did: its turns in order, and the text that is its answer."""

    turns: tuple[Turn, ...]
    text: str
    status: RolloutStatus


class Agent(Protocol):
    """Anything that can attempt a task."""

    @property
    def name(self) -> str: ...

    async def attempt(self, task: Task, engine: Engine, *, seed: int) -> Attempt:
        """Work on the task; `seed` alone decides every draw.

        Raises:
            InfrastructureError: something of ours failed.
        """
        ...
