"""A worker for commands: serves the judge's process, one command at a time, each in processes of its own."""

from __future__ import annotations

import marshal
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from verigrad.sandbox.command_watch import run_command
from verigrad.sandbox.confine import become_subreaper, find_uid, kill_children
from verigrad.sandbox.protocol import READY, SHIELDED, longest_s, pack, read_message, write_all

__all__ = ["serve_commands"]

_GRACE_S = 15.0
"""Beyond a command's deadline, for setting up, ending it and reading back."""
_TRIAL: dict[str, Any] = {
    "argv": ["true"],
    "files": {},
    "stdin": b"",
    "environment": {"PATH": "/usr/bin:/bin"},
    "keep": [],
    "visible": [],
    "hidden": [],
    "disk_mb": 1,
    "limits": {"cpu_s": 5.0, "wall_s": 20.0, "memory_mb": 256, "output_bytes": 1000, "file_mb": 1, "processes": 0},
}


def serve_commands(parent: int, levels: Sequence[str]) -> None:
    """Settle the first of `levels` at which a command can be run, then run those that `parent` sends.

    The first message to `parent` is `[level, READY or SHIELDED, why not the first, ...]`. A job is one part in
    `marshal`'s form; the reply is `[b"failed", reason]` or `[b"done", outcome, stdout, stderr, kept file, ...]`.

    Raises:
        SystemExit: no level is within reach.
    """
    become_subreaper()
    uid = find_uid(os.getpid())
    level, reasons = _settle_level(parent, levels, uid)
    # At the lower levels a command of our own user could signal us.
    ready = SHIELDED if uid is not None or level in ("namespaces", "full") else READY
    write_all(parent, pack([level.encode(), ready, *reasons]))
    while True:
        try:
            (job,) = read_message(parent)
        except EOFError:
            return
        write_all(parent, pack(_run(parent, level, uid, marshal.loads(job))))


def _settle_level(parent: int, levels: Sequence[str], uid: int | None) -> tuple[str, list[bytes]]:
    reasons: list[bytes] = []
    for level in levels:
        how, *rest = _run(parent, level, uid, _TRIAL)
        if how == b"done":
            return level, reasons
        reasons.append(rest[0])
    tried = zip(levels, reasons, strict=True)
    raise SystemExit("; ".join(f"level {level!r} is out of reach: {reason.decode()}" for level, reason in tried))


def _run(parent: int, level: str, uid: int | None, job: dict[str, Any]) -> list[bytes]:
    if level in ("namespaces", "full"):
        return _run_in(os.getcwd(), parent, level, uid, job)
    folder = tempfile.mkdtemp(prefix="verigrad-command-")
    try:
        return _run_in(folder, parent, level, uid, job)
    finally:  # the shell's tools cope with folders of any depth and mode
        subprocess.run(["chmod", "-R", "u+rwx", folder], stderr=subprocess.DEVNULL, check=False)
        subprocess.run(["rm", "-rf", folder], stderr=subprocess.DEVNULL, check=False)


def _run_in(folder: str, parent: int, level: str, uid: int | None, job: dict[str, Any]) -> list[bytes]:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reading)
            os.close(parent)
            run_command(writing, level, uid, folder, job)
        finally:
            os._exit(1)
    os.close(writing)
    try:
        if level in ("namespaces", "full"):
            os.waitpid(pid, 0)  # it entered the namespaces, where another goes on in its place
        return _reply(reading, parent, time.monotonic() + longest_s(job["limits"]["wall_s"]) + _GRACE_S)
    finally:
        os.close(reading)
        kill_children(uid)


def _reply(reading: int, parent: int, deadline: float) -> list[bytes]:
    """What the watching process says; its end, before it said all, was the command's doing once that had begun."""
    _wait(reading, parent, deadline)
    try:
        first, *rest = read_message(reading, deadline - time.monotonic())
    except (EOFError, TimeoutError):
        return [b"failed", b"the process that watches over commands ended or hung before it was ready"]
    if first == b"failed":
        return [first, *rest]
    _wait(reading, parent, deadline)
    try:
        return [b"done", *read_message(reading, deadline - time.monotonic())]
    except (EOFError, TimeoutError):
        why = "the command ended or stopped the process that watched over it"
        outcome: dict[str, Any] = {
            "status": "crashed",
            "exit_code": None,
            "error": why,
            "cpu_ms": 0.0,
            "wall_ms": 0.0,
            "kept": [],
        }
        return [b"done", marshal.dumps(outcome), b"", b""]


def _wait(reading: int, parent: int, deadline: float) -> None:
    """Until there is something to read or it is too late; ends this process if the judge's is gone."""
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    poll.register(parent, select.POLLIN)
    ready = dict(poll.poll(max(0.0, 1000 * (deadline - time.monotonic()))))
    if parent in ready:
        raise SystemExit("the judge's process is gone")
