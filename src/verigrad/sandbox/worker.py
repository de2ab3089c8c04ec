"""Entry of a worker: `python -P -s -S -B -X utf8 worker.py FD`, with an empty environment.

The process becomes a supervisor and forks the fork-server before it has seen anything. `FD` is a socket
to the judge's process. Site packages are never importable, nor is this package once programs run.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
import types

__all__ = ["PRELOADED", "main"]

PRELOADED = (
    *("math", "cmath", "collections", "itertools", "functools", "operator", "re", "string"),
    *("typing", "heapq", "bisect", "copy", "random", "datetime", "json"),
)
"""Modules that programs use often, imported once so that a fork finds them ready; each also makes a fork dearer."""


def main(parent: int) -> None:
    """Fork the fork-server, then supervise until the judge's process goes away."""
    _make_importable()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        ours.close()
        os.close(parent)
        _preload()
        from verigrad.sandbox.zygote import run_zygote

        run_zygote(theirs)
    theirs.close()
    from verigrad.sandbox.supervisor import run_supervisor

    try:
        run_supervisor(parent, ours)
    finally:
        ours.close()
        os.waitpid(pid, 0)


def _preload() -> None:
    """Import what programs use, without the hooks that run in every fork.

    Those serve forks of programs with threads, and reseed `random`; the fork-server has one thread and
    seeds by itself. They would cost each program a fifth of its time.
    """
    register = os.register_at_fork
    os.register_at_fork = lambda **hooks: None
    for name in PRELOADED:
        importlib.import_module(name)
    os.register_at_fork = register


def _make_importable() -> None:
    """Let this process import our files by name without running the package's `__init__` or a search path."""
    folder = os.path.dirname(os.path.abspath(__file__))
    for name, path in (("verigrad", os.path.dirname(folder)), ("verigrad.sandbox", folder)):
        package = types.ModuleType(name)
        package.__path__ = [path]
        sys.modules[name] = package


if __name__ == "__main__":
    main(int(sys.argv[1]))
