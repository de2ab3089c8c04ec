"""Checkers of other projects, run on one program at a time."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection, Sequence

from verigrad.errors import RewardError

__all__ = ["run_tool"]


def run_tool(command: Sequence[str], source: str, *, expected: Collection[int], seconds: float = 60.0) -> str:
    """What a checker prints about `source`, its standard input.

    Only programs within the bounds of `rewards/source.py` get here, so that a checker that crashes or hangs is broken
    itself: the bounds are what keeps a policy from choosing to be left out.

    Raises:
        RewardError: it cannot be started, takes longer than `seconds`, or ends with a status that is not `expected`.
    """
    settings = ("RUFF_", "MYPY", "BANDIT", "PYTHON")  # a user's own, which would change what a program is worth
    environment = {name: value for name, value in os.environ.items() if not name.startswith(settings)}
    try:
        done = subprocess.run(
            command, input=source.encode(), env=environment, capture_output=True, timeout=seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RewardError(f"{command[0]} failed on a program of {len(source)} characters: {error}") from error
    if done.returncode not in expected:
        said = done.stderr.decode(errors="replace").strip()[-500:]
        raise RewardError(
            f"{' '.join(command)} ended with status {done.returncode}, wanted one of {sorted(expected)}: {said}"
        )
    return done.stdout.decode(errors="replace")
