"""Entry of a worker: `python -P -s -S -B -X utf8 worker.py FD LEVEL,... SERVING CORE PACKAGES`, its environment empty.

SERVING is `programs` or `commands`; for the latter see `command_worker`. For programs the process becomes a supervisor
and forks the fork-server before it has seen anything. `FD` is a socket to the judge's process. Site packages are not
importable, but for those that `PACKAGES` lists (`imports`), nor is this package once programs run. `CORE` is the number
of a processor, or empty (`placement`).
"""

from __future__ import annotations

import _socket  # `socket` would bring along more than programs need
import contextlib
import importlib
import os
import sys
import types
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from verigrad.sandbox.imports import Imports

__all__ = ["PRELOADED", "main", "remove_folder"]

PRELOADED = (
    *("math", "collections", "itertools", "functools", "operator", "re", "string"),
    *("typing", "heapq", "bisect", "copy", "random", "json"),
)
"""Modules that programs use often, imported once so that a fork finds them ready; each also makes a fork dearer."""
_MAX_TEXT = 4096


def main(parent: int, levels: Sequence[str], serving: str, core: str, packages: str) -> None:
    """Serve programs or commands until the judge's process goes away, and the folder this began in with it."""
    _make_importable()
    if core:
        _stay_on(int(core))
    folder = os.getcwd()
    try:
        if serving == "commands":
            from verigrad.sandbox.command_worker import serve_commands

            serve_commands(parent, levels)
        else:
            _serve_programs(parent, levels, packages)
    finally:
        remove_folder(folder)


def _stay_on(core: int) -> None:
    """Keep to it, unless a program could not be let go from it: root's programs are another user's."""
    from verigrad.sandbox.confine import may_place_others
    from verigrad.sandbox.placement import stay_on

    if os.geteuid() != 0 or may_place_others():
        stay_on(core)


def _serve_programs(parent: int, levels: Sequence[str], packages: str) -> None:
    """Fork a fork-server of the first of `levels` within reach, then supervise until the judge's process goes away.

    The first message to the judge's process is `[level, READY or SHIELDED, why not the first, ...]`.

    Raises:
        SystemExit: none is within reach.
        EOFError: the fork-server ended.
    """
    from verigrad.sandbox.confine import become_subreaper, kill_children

    become_subreaper()  # a fork-server in a process namespace begins as our grandchild
    try:
        from verigrad.sandbox.protocol import pack, write_all

        level, link, ready, reasons = _start_zygote(parent, levels, packages)
        from verigrad.sandbox.supervisor import run_supervisor  # only now: what a fork-server has makes forks dearer

        with contextlib.closing(link):
            write_all(parent, pack([level.encode(), ready, *(reason.encode() for reason in reasons)]))
            run_supervisor(parent, link)
    finally:
        with contextlib.suppress(ChildProcessError):
            os.wait()  # the fork-server, which sees the link closed and ends its program itself
        kill_children(None)  # what is left where it could not


def remove_folder(path: str) -> None:
    """Remove a worker's folder, which is empty unless programs as our own user made it writable."""
    try:
        os.rmdir(path)
    except FileNotFoundError:  # the judge's process or the worker was first
        pass
    except OSError:
        import shutil  # seldom, and slow to load

        shutil.rmtree(path, ignore_errors=True)


def _start_zygote(parent: int, levels: Sequence[str], packages: str) -> tuple[str, _socket.socket, bytes, list[str]]:
    """The level reached, the link to its fork-server and its word, and why those before it were out of reach."""
    from verigrad.sandbox.protocol import READY, SHIELDED

    reasons: list[str] = []
    for level in levels:
        pid, link = _fork_zygote(parent, level, packages)
        message = link.recv(_MAX_TEXT)
        if message in (READY, SHIELDED):
            if level in ("namespaces", "full"):
                os.waitpid(pid, 0)  # it entered the namespaces, where another goes on in its place
            return level, link, message, reasons
        link.close()
        if not message:
            raise EOFError(f"the fork-server of level {level!r} ended while it was set up")
        reasons.append(message.decode("utf-8", "replace"))
        _wait_for_all()
    tried = zip(levels, reasons, strict=True)
    raise SystemExit("; ".join(f"level {level!r} is out of reach: {reason}" for level, reason in tried))


def _fork_zygote(parent: int, level: str, packages: str) -> tuple[int, _socket.socket]:
    """Returns a new process and our end of its link, on which every message comes with its sender's process id."""
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    ours.setsockopt(_socket.SOL_SOCKET, _socket.SO_PASSCRED, 1)
    pid = os.fork()
    if pid == 0:
        ours.close()
        os.close(parent)
        from verigrad.sandbox.imports import Imports

        _preload(imports := Imports(packages))
        from verigrad.sandbox.zygote import run_zygote

        run_zygote(theirs, level, imports)
    theirs.close()
    return pid, ours


def _wait_for_all() -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def _preload(imports: Imports) -> None:
    """Import what programs use, without the hooks that run in every fork.

    Those serve forks of programs with threads, and reseed `random`; the fork-server has one thread and
    seeds by itself. They would cost each program a fifth of its time.
    """
    register = os.register_at_fork
    os.register_at_fork = lambda **hooks: None
    for name in PRELOADED:
        importlib.import_module(name)
    imports.load()
    os.register_at_fork = register


def _make_importable() -> None:
    """Let this process import our files by name without running the package's `__init__` or a search path."""
    folder = os.path.dirname(os.path.abspath(__file__))
    for name, path in (("verigrad", os.path.dirname(folder)), ("verigrad.sandbox", folder)):
        package = types.ModuleType(name)
        package.__path__ = [path]
        sys.modules[name] = package


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2].split(","), *sys.argv[3:])
