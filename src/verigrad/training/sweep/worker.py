"""The process of one run of a sweep: `python -m verigrad.training.sweep.worker COMMAND SETTINGS [--resume]`.

What the loop reports goes to standard output, a JSON line `[method, arguments...]` for each call of its reporter, and
at last `["failed", message]` where it failed. Whatever else prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from verigrad.errors import VerigradError
from verigrad.registry import load_attribute
from verigrad.settings import load_config
from verigrad.training.loops import LOOPS

__all__ = ["Wire", "main"]


class Wire:
    """A `verigrad.training.reporter.Reporter` that writes every call as a line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def _send(self, *call: Any) -> None:
        self._stream.write(json.dumps(call) + "\n")
        self._stream.flush()

    def message(self, text: str) -> None:
        self._send("message", text)

    def begin(self, phase: str, total: int) -> None:
        self._send("begin", phase, total)

    def advance(self, amount: int = 1) -> None:
        self._send("advance", amount)

    def step(self, row: Mapping[str, Any]) -> None:
        self._send("step", dict(row))

    def end(self) -> None:
        self._send("end")

    def failed(self, text: str) -> None:
        self._send("failed", text)


def main(argv: Sequence[str]) -> int:
    """Train; returns the exit status."""
    command, file, *resume = argv
    wire = Wire(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)
    threading.Thread(target=_die_with_the_sweep, daemon=True).start()
    try:
        loop = LOOPS[command]
        config = load_config(loop.settings, Path(file))
        load_attribute(loop.train)(config, resume=bool(resume), reporter=wire)
    except Exception as error:  # the boundary of the process: the sweep records it and goes on
        traceback.print_exc()
        wire.failed(str(error) if isinstance(error, VerigradError) else f"{type(error).__name__}: {error}")
        return 1
    return 0


def _die_with_the_sweep() -> None:
    """Standard input is a pipe that the sweep never writes to: it ends when the sweep does, however that happens."""
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
