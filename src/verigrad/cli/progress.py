"""Live progress in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["TerminalReporter"]

_PLAIN_EVERY_S = 15.0


class TerminalReporter:
    """A `verigrad.training.reporter.Reporter` that draws bars on a terminal and prints lines into a pipe."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self._progress: Progress | None = None
        self._task: Any = None
        self._phase, self._done, self._total = "", 0, 0
        self._printed = 0.0

    def message(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)

    def begin(self, phase: str, total: int) -> None:
        self.end()
        self._phase, self._done, self._total = phase, 0, total
        self._printed = time.monotonic()
        if self.console.is_terminal:
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(compact=True),
                TextColumn("{task.fields[note]}"),
                console=self.console,
                transient=True,
            )
            self._task = self._progress.add_task(phase, total=total, note="")
            self._progress.start()

    def advance(self, amount: int = 1) -> None:
        self._done += amount
        if self._progress is not None:
            self._progress.advance(self._task, amount)
        elif self._phase != "training" and time.monotonic() - self._printed > _PLAIN_EVERY_S:
            self._printed = time.monotonic()
            self.message(f"{self._phase}: {self._done} of {self._total}")

    def step(self, row: Mapping[str, Any]) -> None:
        line = self._line(row)
        if self._progress is not None:
            self._progress.update(self._task, note=line)
        else:
            self.message(f"step {row['step']:>4}/{self._total}  {line}")

    def end(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    @staticmethod
    def _line(row: Mapping[str, Any]) -> str:
        shown = []
        for key, label, form in (
            ("reward", "reward", ".3f"),
            ("pass_rate", "passed", ".0%"),
            ("loss", "loss", ".4f"),
            ("completion_tokens", "length", ".0f"),
            ("entropy", "entropy", ".3f"),
            ("tokens_per_second", "tok/s", ".0f"),
            ("seconds", "s/step", ".1f"),
        ):
            if key in row:
                shown.append(f"{label} {row[key]:{form}}")
        return "  ".join(shown)
