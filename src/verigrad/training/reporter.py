"""What a loop tells whoever is watching. Loops print nothing themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

__all__ = ["Reporter", "Silent"]


class Reporter(Protocol):
    """Receives what happens in a run, as it happens."""

    def message(self, text: str) -> None:
        """A line worth reading."""
        ...

    def begin(self, phase: str, total: int) -> None:
        """A phase of `total` units starts: `training` steps, `evaluating NAME` samples, ..."""
        ...

    def advance(self, amount: int = 1) -> None:
        """So many units of the phase are done."""
        ...

    def step(self, row: Mapping[str, Any]) -> None:
        """A row of `metrics.jsonl` was written."""
        ...

    def end(self) -> None:
        """The phase is over."""
        ...


class Silent:
    """Tells nobody."""

    def message(self, text: str) -> None: ...

    def begin(self, phase: str, total: int) -> None: ...

    def advance(self, amount: int = 1) -> None: ...

    def step(self, row: Mapping[str, Any]) -> None: ...

    def end(self) -> None: ...
