"""z3 as a process of its own: text in, text out, memory and effort bounded.

Effort is counted in the solver's own steps (`rlimit`), so that what it finds does not depend on how fast or busy the
machine is. A step on numbers of millions of digits may take any time, so its processor's time is bounded as well;
elapsed time only backs that up.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

from verigrad.errors import MissingExtra, SandboxError
from verigrad.sandbox.proofs.terms import Term, script

__all__ = ["EFFORT", "ScriptError", "Solved", "Status", "solve", "solve_text"]

Status = Literal["sat", "unsat", "unknown"]

EFFORT = 5_000_000
"""Steps of z3; one to three seconds of a processor for most formulas."""
_CPU_SECONDS = 10
_SECONDS = 60
_LIMITED = ("/bin/sh", "-c", f'ulimit -t {_CPU_SECONDS}; exec "$0" "$@"')
_MEMORY_MB = 1024
_NOT_STARTED = (126, 127)  # as a shell says
_VALUE = re.compile(r"\(v!(\w+) (?:(\d+)|\(- (\d+)\)|(true|false))\)")


class ScriptError(Exception):
    """z3 gives an error in place of an answer."""


@dataclass(frozen=True)
class Solved:
    """What the solver says: `unsat`, `sat` with values of the variables, or `unknown` within the effort."""

    status: Status
    model: Mapping[str, int | bool] = field(default_factory=dict)


def solve(assertions: Sequence[Term], variables: Sequence[Term], *, effort: int = EFFORT) -> Solved:
    """Whether the assertions can hold together.

    A solver that runs out of memory or time gives `unknown`: whoever wrote the formula chose its size.

    Raises:
        MissingExtra: z3 is not installed.
        SandboxError: z3 cannot be started, or says what is none of its answers.
    """
    names = " ".join(f"v!{variable.value}" for variable in variables)
    wanted = f"(get-value ({names}))\n" if names else ""
    try:
        return _run(script(assertions, variables) + wanted, effort)
    except subprocess.TimeoutExpired:  # not remembered: a less busy machine may get further
        return Solved("unknown")
    except ScriptError as error:
        raise SandboxError(f"z3 said {error}, wanted sat, unsat or unknown") from error


def solve_text(text: str, *, effort: int = EFFORT) -> Status:
    """What z3 says of a text of SMT-LIB that ends in its one `(check-sat)`.

    Raises:
        ScriptError: z3 refuses the text.
        MissingExtra, SandboxError: as `solve`.
    """
    try:
        return _run(text, effort).status
    except subprocess.TimeoutExpired:
        return "unknown"


@lru_cache(maxsize=4096)  # a group often has the same program several times
def _run(text: str, effort: int) -> Solved:
    command = [*_LIMITED, _z3(), "-in", "-smt2", f"rlimit={effort}", f"memory_max_size={_MEMORY_MB}"]
    try:
        done = subprocess.run(
            command, input=text, env={}, text=True, capture_output=True, timeout=_SECONDS, check=False
        )
    except OSError as error:
        raise SandboxError(f"z3 cannot be started: {error}") from error
    if done.returncode in _NOT_STARTED:
        raise SandboxError(f"z3 cannot be started: {done.stderr[:300]}")
    status, _, values = done.stdout.partition("\n")
    if status == "sat":
        try:
            return Solved("sat", _model(values))
        except ValueError:  # a number too long for Python to read in decimal
            return Solved("unknown")
    if status == "unsat":
        return Solved("unsat")
    if status == "unknown" or done.returncode < 0 or "out of memory" in done.stdout + done.stderr:
        return Solved("unknown")
    raise ScriptError(f"{done.stdout[:300]!r} {done.stderr[:300]!r}")


def _model(text: str) -> dict[str, int | bool]:
    return {
        name: word == "true" if word else int(positive) if positive else -int(negative)
        for name, positive, negative, word in _VALUE.findall(text)
    }


def _z3() -> str:
    """The program that the package `z3-solver` installs, or one on the path.

    Raises:
        MissingExtra: there is none.
    """
    own = Path(sysconfig.get_path("scripts")) / "z3"
    found = str(own) if own.exists() else shutil.which("z3")
    if found is None:
        raise MissingExtra("z3-solver", "proofs")
    return found
