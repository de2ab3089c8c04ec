"""The contract between a judge and whatever runs untrusted programs.

A sandbox is given a program and inputs, and returns what came back, as decoded plain data. It holds no
expected value and compares nothing; `verigrad.sandbox.judge` does, in the parent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from verigrad.types import Limits

if TYPE_CHECKING:
    from verigrad.sandbox.commands import CommandSandbox

__all__ = [
    "LEVELS",
    "Call",
    "Execution",
    "ExecutionStatus",
    "Level",
    "Outcome",
    "OutcomeStatus",
    "Sandbox",
    "Script",
    "Stdin",
]

Level = Literal["process", "landlock", "namespaces", "full"]
LEVELS: tuple[Level, ...] = ("process", "landlock", "namespaces", "full")
"""From the weakest to the strongest; `docs/sandbox.md` says what each holds against."""

OutcomeStatus = Literal[
    "returned", "exception", "timeout", "memory", "output_limit", "crashed", "violation", "not_plain"
]
ExecutionStatus = Literal[
    "ran", "syntax_error", "no_entry_point", "exception", "timeout", "memory", "output_limit", "crashed", "violation"
]


@dataclass(frozen=True)
class Call:
    """Call `function` of the program with plain values; with `as_bool` only the result's truth comes back.

    (A regular expression's match is no plain value, but `assert f(x)` accepts it.) `prototype` is the function's, in
    languages that have types.
    """

    function: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    as_bool: bool = False
    prototype: str = ""


@dataclass(frozen=True)
class Stdin:
    """Run the whole program as a script, with this standard input."""

    text: str


@dataclass(frozen=True)
class Script:
    """Run this source in the program's namespace; it returns nothing and raises if it does not hold."""

    source: str


@dataclass(frozen=True)
class Outcome:
    """What one input gave: a decoded plain `value` (for `Stdin`, the text printed) or why there is none."""

    status: OutcomeStatus
    value: Any = None
    error: str = ""
    error_line: int | None = None
    cpu_ms: float = 0.0


@dataclass(frozen=True)
class Execution:
    """What running one program gave.

    `status` speaks of loading the program: `syntax_error` and `no_entry_point` leave `outcomes` empty, and
    so does anything that ended the program before the first input. `wall_ms` is the elapsed time without what the
    program spent ready to run on a busy machine.
    """

    status: ExecutionStatus
    outcomes: tuple[Outcome, ...]
    error: str = ""
    error_line: int | None = None
    violations: tuple[str, ...] = ()
    executed_lines: frozenset[int] | None = None
    cpu_ms: float = 0.0
    wall_ms: float = 0.0


class Sandbox(Protocol):
    """Runs each program in a process of its own that serves no other program."""

    @property
    def level(self) -> str:
        """The isolation in force: `process` up to `full`."""
        ...

    def for_language(self, language: str, packages: Sequence[str] = ()) -> Sandbox:
        """The sandbox that runs programs of `language`, this one or another that it holds.

        `packages` are modules that Python programs may import besides the standard library.

        Raises:
            ConfigError: there is none, or what it takes is not installed.
        """
        ...

    @property
    def commands(self) -> CommandSandbox:
        """Runs whole commands, at the same level."""
        ...

    async def run(
        self, program: str, inputs: Sequence[Call | Stdin | Script], limits: Limits, *, trace_lines: bool = False
    ) -> Execution:
        """Run `program` on every input, in the order given.

        Outcomes are as many as the inputs unless the program did not load; inputs not reached carry the
        status that stopped the program.

        Raises:
            SandboxError: the sandbox itself failed; says nothing about the program.
        """
        ...

    async def close(self) -> None:
        """End every process this sandbox started."""
        ...
