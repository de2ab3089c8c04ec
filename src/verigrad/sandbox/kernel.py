"""Calls into the kernel that Python has no function for; standard library only."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

__all__ = ["call", "clone", "function", "prctl", "prepared", "syscall"]

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_keeping_lock = ctypes.PyDLL(None, use_errno=True)
_keeping_lock.syscall.restype = ctypes.c_long
_CLONE = {"x86_64": 56, "aarch64": 220}
_SIGCHLD = 17


def call(name: str, *arguments: object) -> int:
    """Call a function of the C library; integers go as C's `unsigned long`.

    Raises:
        OSError: it returned a negative number; the message names the function.
    """
    return _checked(name, getattr(_libc, name)(*map(_wide, arguments)))


def function(name: str) -> Callable[..., int]:
    """`call` of one function of the C library, looked up now: in every fork, that would take a tenth of its time."""
    getattr(_libc, name)  # which keeps it
    return lambda *arguments: call(name, *arguments)


def syscall(name: str, number: int, *arguments: object) -> int:
    """Make a system call that the C library may not know; `name` is for the error only.

    Raises:
        OSError: the kernel refused it.
    """
    return _checked(name, _libc.syscall(ctypes.c_long(number), *map(_wide, arguments)))


def prepared(name: str, number: int, *arguments: int) -> Callable[[], int]:
    """`syscall` with everything made ready, for a fork, in which every page that is written to costs time."""
    function = _keeping_lock.syscall
    converted = (ctypes.c_long(number), *map(_wide, arguments))

    def make_call() -> int:
        result: int = function(*converted)
        return result if result >= 0 else _checked(name, result)

    return make_call


def clone(flags: int) -> Callable[[], int]:
    """A function that forks with these flags of `clone` in a third less time than `os.fork`.

    It does nothing but the system call: what Python and the C library do after a fork is for processes with
    threads, handlers of forks or a new process id, and writes to some fifty pages. The caller has one thread and no
    such handler, and with a flag for a process namespace, is the first process in its own, so that the
    number that the C library remembers is right in the child too.

    Raises:
        OSError: how is not known for this architecture.
    """
    machine = os.uname().machine
    if machine not in _CLONE:
        raise OSError(f"how to clone a process is not known for {machine}")
    function = _keeping_lock.syscall  # the interpreter's lock stays with the calling thread, in both processes
    converted = (ctypes.c_long(_CLONE[machine]), *map(ctypes.c_ulong, (flags | _SIGCHLD, 0, 0, 0, 0)))

    def fork() -> int:
        pid: int = function(*converted)
        return pid if pid >= 0 else _checked("clone", pid)

    return fork


def prctl(option: int, value: object = 0, third: object = 0) -> int:
    """Call `prctl`.

    Raises:
        OSError: the kernel refused it.
    """
    return _checked(f"prctl({option})", _libc.prctl(option, *map(_wide, (value, third, 0, 0))))


def _wide(argument: object) -> object:
    return ctypes.c_ulong(argument) if isinstance(argument, int) else argument


def _checked(name: str, result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result
