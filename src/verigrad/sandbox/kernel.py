"""Calls into the kernel that Python has no function for; standard library only."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

__all__ = ["call", "function", "prctl", "syscall"]

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


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
