"""Runs one trial in a process of its own, which gives its memory back at the end, and relays what it reports."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from verigrad.training.reporter import Reporter

__all__ = ["run_process"]


def run_process(
    command: str, settings: Path, log: Path, *, resume: bool, reporter: Reporter, keep_open: Iterable[int] = ()
) -> str | None:
    """Train with these settings; returns what went wrong, or None.

    Args:
        command: name of the loop.
        settings: its TOML file.
        log: what the process prints is appended here.
        resume: go on from the last checkpoint.
        reporter: hears what the loop reports.
        keep_open: file descriptors that the process holds until it ends.
    """
    words = [sys.executable, "-P", "-m", "verigrad.training.sweep.worker", command, str(settings)]
    with (
        log.open("ab") as sink,
        # A session of its own: an interrupt reaches the sweep alone, which then ends the run.
        subprocess.Popen(
            words + ["--resume"] * resume,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sink,
            encoding="utf-8",
            start_new_session=True,
            pass_fds=tuple(keep_open),
        ) as process,
    ):
        try:
            assert process.stdout is not None
            said = _relay(process.stdout, reporter)
            status = process.wait()
        except BaseException:
            process.kill()
            raise
    return None if status == 0 else said or _reason(status, log)


def _relay(lines: Iterable[str], reporter: Reporter) -> str | None:
    """Repeat the calls to the reporter, and close phases left open; returns the message of a failure."""
    calls = {name: getattr(reporter, name) for name in ("message", "begin", "advance", "step", "end")}
    depth, failure = 0, None
    for line in lines:
        try:
            name, *arguments = json.loads(line)
        except ValueError:  # cut short by a kill
            break
        depth += {"begin": 1, "end": -1}.get(name, 0)
        if name == "failed":
            (failure,) = arguments
        else:
            calls[name](*arguments)
    for _ in range(depth):
        reporter.end()
    return failure


def _reason(status: int, log: Path) -> str:
    if status < 0:
        return f"ended by {signal.Signals(-status).name}; what it printed is in {log}"
    last = log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
    return f"exit status {status}: {last or 'it printed nothing'}"
