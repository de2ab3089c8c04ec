"""Live progress in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

__all__ = ["TerminalReporter", "counting", "screen"]

_PLAIN_EVERY_S = 15.0


def screen(*, stderr: bool = False) -> Console:
    """Standard output, or error, which gets bars on a terminal alone: CI sets FORCE_COLOR for its logs, too. Texts are
    shown as they are, `x[:end:]` without an emoji."""
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, highlight=False, emoji=False, force_interactive=None if terminal else False)


class _Bars(Progress):
    """Bars, and the last step's figures on a line of their own: beside it they leave a bar no room."""

    note = ""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from super().get_renderables()
        if self.note:
            yield Text(self.note, no_wrap=True, overflow="ellipsis")


class _Phase:
    """A phase under way; phases nest, as a validation does inside training."""

    def __init__(self, name: str, total: int, bar: TaskID | None) -> None:
        self.name, self.total, self.bar = name, total, bar
        self.done = 0
        self.begun_at: int | None = None  # steps that were done before this start of the run; None before the first
        self.started = self.printed = time.monotonic()

    @property
    def step_name(self) -> str:
        """`step`, or `round 2 of 3, step` in the phase `training, round 2 of 3`."""
        _, _, part = self.name.partition(", ")
        return f"{part}, step" if part else "step"

    def left(self, done: int) -> str:
        """Time left if the rest goes like the `done` parts did, as `14:05` or `1:02:03`."""
        seconds = (time.monotonic() - self.started) / done * (self.total - (self.begun_at or 0) - done)
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


class TerminalReporter:
    """A `verigrad.training.reporter.Reporter` that draws bars on a terminal and prints lines into a pipe."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or screen()
        self._phases: list[_Phase] = []
        self._progress = _Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(compact=True),
            console=self.console,
            transient=True,
        )

    def message(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def begin(self, phase: str, total: int) -> None:
        bar = None
        if self.console.is_interactive:
            self._progress.start()
            bar = self._progress.add_task(phase, total=total)
        self._phases.append(_Phase(phase, total, bar))

    def advance(self, amount: int = 1) -> None:
        phase = self._phases[-1]
        phase.done += amount
        if phase.bar is not None:
            self._progress.advance(phase.bar, amount)
        elif phase.begun_at is None and phase.done and time.monotonic() - phase.printed > _PLAIN_EVERY_S:
            phase.printed = time.monotonic()
            # Answers come in batches: from the first few of one nothing can be told.
            left = f", left {phase.left(phase.done)}" if phase.done >= phase.total / 20 else ""
            self.message(f"{phase.name}: {phase.done} of {phase.total}{left}")

    def step(self, row: Mapping[str, Any]) -> None:
        phase = self._phases[-1]
        line = self._line(row)
        if phase.bar is not None:
            self._progress.note = line
            self._progress.refresh()
        else:
            if phase.begun_at is None:
                phase.begun_at = phase.done
            done = phase.done + 1  # of the phase, which may be one round of several
            left = phase.left(done - phase.begun_at)
            self.message(f"{phase.step_name} {done:>4}/{phase.total}  {line}  left {left}")

    def end(self) -> None:
        phase = self._phases.pop()
        if phase.bar is not None:
            self._progress.remove_task(phase.bar)
        if not self._phases:
            self._progress.note = ""

    def close(self) -> None:
        """Leave the terminal as it was, whatever happened."""
        self._phases.clear()
        if self.console.is_interactive:
            self._progress.stop()

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


@contextmanager
def counting(phase: str, total: int) -> Iterator[Callable[[], None]]:
    """Progress of a command that has nothing else to tell, on standard error; call what this gives for every part."""
    reporter = TerminalReporter(screen(stderr=True))
    reporter.begin(phase, total)
    try:
        yield reporter.advance
    finally:
        reporter.close()
