"""Checkers of other projects, run on one program at a time."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Collection, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from verigrad.errors import RewardError

__all__ = ["PROGRAM", "run_tool"]

PROGRAM = "program.py"

_CPU_S, _MEMORY_MB = 10, 2048
"""Some ten times what a checker takes for a program that people write."""
_LIMITED = 'ulimit -c 0; ulimit -S -t {cpu}; ulimit -S -v {memory}; exec "$0" "$@"'
_HARMLESS = "x = 1\n"


class _Failed(RewardError):
    """A checker did not come to its end."""


def run_tool(command: Sequence[str], source: str, *, expected: Collection[int], seconds: float = 300.0) -> str | None:
    """What a checker prints about `source`: its standard input, and `PROGRAM` in the folder that it runs in.

    None where it crashes, or takes more CPU time or memory than it may, and copes with a harmless program: it is this
    one that is too much for it, and a policy cannot choose to be left out.

    Raises:
        RewardError: it cannot be started, fails on a harmless program too, takes longer than `seconds` by the clock, or
            is killed from outside.
    """
    try:
        return _printed(command, source, expected, seconds)
    except _Failed:
        _printed(command, _HARMLESS, expected, seconds)
        return None


def _printed(command: Sequence[str], source: str, expected: Collection[int], seconds: float) -> str:
    """The same; any failure raises.

    Raises:
        RewardError: the machine is to blame; `_Failed` where the checker is, or the program.
    """
    settings = ("RUFF_", "MYPY", "BANDIT", "PYTHON")  # a user's own, which would change what a program is worth
    environment = {name: value for name, value in os.environ.items() if not name.startswith(settings)}
    environment["RAYON_NUM_THREADS"] = "1"  # of ruff, whose threads would each take address space
    limited = ["/bin/sh", "-c", _LIMITED.format(cpu=_CPU_S, memory=_MEMORY_MB * 1024), *command]
    with TemporaryDirectory(prefix="verigrad-") as folder:
        file = Path(folder) / PROGRAM
        file.write_bytes(source.encode())
        with file.open("rb") as program:
            try:
                done = subprocess.run(
                    limited,
                    stdin=program,
                    cwd=folder,
                    env=environment,
                    capture_output=True,
                    timeout=seconds,
                    check=False,
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise RewardError(f"{command[0]} failed on a program of {len(source)} characters: {error}") from error
    said = done.stderr.decode(errors="replace").strip()[-500:]
    why = f"{' '.join(command)} ended with status {done.returncode}, wanted one of {sorted(expected)}: {said}"
    if done.returncode == -signal.SIGKILL:
        raise RewardError(why)
    # What is written in Python and dies of an exception has the status of what has found something.
    if done.returncode not in expected or (done.returncode and b"Traceback (most recent call last)" in done.stderr):
        raise _Failed(why)
    return done.stdout.decode(errors="replace")
