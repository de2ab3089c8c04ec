"""Commands in the sandbox: compilers, compiled programs, interpreters, test suites.

Where `verigrad.sandbox.process` forks Python programs from a warm process, this runs any argument list in a fresh
process tree, behind the same levels. At `namespaces` and `full` a command sees the system's programs and
libraries read-only, an empty `/tmp`, its own processes and nobody else's; there is no network but the loopback device
of its own. CPU and elapsed time, memory and output of the whole tree, files and processes are bounded, and all that it
leaves running is killed. `docs/sandbox.md` has the table.
"""

from __future__ import annotations

import marshal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from verigrad.errors import SandboxError
from verigrad.sandbox.pool import WorkerDied
from verigrad.sandbox.pooled import Pooled
from verigrad.types import Limits

__all__ = ["PATH", "Command", "CommandResult", "CommandSandbox", "CommandStatus"]

PATH = "/usr/local/bin:/usr/bin:/bin"
"""Where programs are looked up, unless a command's environment says otherwise."""
CommandStatus = Literal["exited", "timeout", "memory", "output_limit", "crashed"]


@dataclass(frozen=True)
class Command:
    """What to run, and on which files.

    Attributes:
        argv: program and arguments; a program without a slash is looked up in `PATH`.
        files: relative path -> content, written to a fresh private folder, which is the working directory. Those that
            begin with `#!`, and compiled programs, may be executed.
        stdin: what the command reads.
        environment: all there is besides `PATH`, `HOME`, `TMPDIR` and `LANG`, which it may replace.
        keep: relative paths of files that are read back afterwards.
        visible: absolute folders shown read-only besides the system's, such as a virtual environment and the
            interpreter below it. (Level `process` hides nothing.)
        hidden: absolute folders shown empty, below one of `visible` (at levels `namespaces` and `full`).
        disk_mb: MiB of all files in its working directory and `/tmp` together, `files` included; 64 files a MiB.
            (Level `process` does not hold it.)
    """

    argv: tuple[str, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    stdin: bytes = b""
    environment: Mapping[str, str] = field(default_factory=dict)
    keep: tuple[str, ...] = ()
    visible: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    disk_mb: int = 64

    def __post_init__(self) -> None:
        if not self.argv or not self.argv[0]:
            raise ValueError("argv is empty; wanted a program and its arguments")
        for name in (*self.files, *self.keep):
            if not _is_inside(name):
                raise ValueError(f"{name!r} is no path inside the working directory; wanted one such as 'src/main.c'")
        for path in (*self.visible, *self.hidden):
            if not path.startswith("/") or ".." in path.split("/"):
                raise ValueError(f"visible or hidden: {path!r} is no absolute path")
        texts = (*self.argv, *self.environment, *self.environment.values(), *self.visible, *self.hidden)
        if any("\0" in text for text in texts):
            raise ValueError("an argument or a part of the environment holds a null character")


def _is_inside(name: str) -> bool:
    return not any(part in ("", ".", "..") for part in name.split("/")) and "\0" not in name


@dataclass(frozen=True)
class CommandResult:
    """What a command gave.

    Attributes:
        status: `exited` if its own process ended by itself; `crashed` where a signal ended it or it could not be
            started; else the limit that it passed.
        exit_code: where it exited, else None.
        stdout: at most `Limits.output_bytes` of both together.
        files: those of `Command.keep` that are there in the end and are no links.
        cpu_ms: of the whole process tree.
        wall_ms: elapsed, without what it spent ready to run on a busy machine, setting up and reading back.
        error: why it did not exit, for people.
    """

    status: CommandStatus
    exit_code: int | None
    stdout: bytes
    stderr: bytes
    files: Mapping[str, bytes]
    cpu_ms: float
    wall_ms: float = 0.0
    error: str = ""


class CommandSandbox(Pooled):
    """Runs commands, `workers` at a time, at `level` or the best there is. Linux only."""

    _serving = "commands"

    async def run(self, command: Command, limits: Limits) -> CommandResult:
        """Run `command`. Of the limits, `memory_mb` is what the tree holds in memory, `result_bytes` means nothing.

        Raises:
            SandboxError: the command could not be tried: its files do not fit, a folder of `visible` is not there, no
                worker can be started, the sandbox is closed.
        """
        job = marshal.dumps(_job(command, limits))
        try:
            how, *parts = await self._exchange([job], limits)
        except WorkerDied as error:
            text = f"the command ended the sandbox's worker, and again when it ran alone: {error}"
            return CommandResult("crashed", None, b"", b"", {}, 0.0, error=text)
        if how == b"failed":
            raise SandboxError(f"cannot run {command.argv[0]!r} in the sandbox: {parts[0].decode('utf-8', 'replace')}")
        return _result(parts)


def _job(command: Command, limits: Limits) -> dict[str, object]:
    return {
        "argv": list(command.argv),
        "files": dict(command.files),
        "stdin": command.stdin,
        "environment": {"PATH": PATH, **command.environment},
        "keep": list(command.keep),
        "visible": list(command.visible),
        "hidden": list(command.hidden),
        "disk_mb": command.disk_mb,
        "limits": vars(limits),
    }


def _result(parts: list[bytes]) -> CommandResult:
    outcome, stdout, stderr, *bodies = parts
    facts = marshal.loads(outcome)
    files = dict(zip(facts["kept"], bodies, strict=True))
    return CommandResult(
        status=facts["status"],
        exit_code=facts["exit_code"],
        stdout=stdout,
        stderr=stderr,
        files=files,
        cpu_ms=facts["cpu_ms"],
        wall_ms=facts["wall_ms"],
        error=facts["error"],
    )
