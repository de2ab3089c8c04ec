"""Landlock: a process gives up files, sockets and signals for good, whatever user it is. Linux; any architecture."""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Callable, Mapping

from verigrad.sandbox.kernel import prepared, syscall

__all__ = [
    "ABI_WITH_QUIET",
    "ABI_WITH_SCOPES",
    "LIST",
    "OWN",
    "READ",
    "RUN",
    "USE",
    "WRITE",
    "abi",
    "make_ruleset",
    "restrict",
    "restriction",
]

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1
_QUIET = 1  # refusals are the program's business, not the system log's
ABI_WITH_SCOPES = 6
"""The first version that keeps signals within."""
ABI_WITH_QUIET = 7
"""The first version whose refusals can be kept out of the system log."""

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << bit for bit in range(6))
_MAKE_DIR, _MAKE_REGULAR, _MAKE_SOCKET, _MAKE_PIPE, _MAKE_LINK = 1 << 7, 1 << 8, 1 << 9, 1 << 10, 1 << 12
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # by ABI, the number of rights it knows; 16 from 5 on
_OF_FILES = _WRITE_FILE | _READ_FILE | _TRUNCATE
_NETWORK = 3  # bind and connect TCP, from ABI 4 on
_SCOPES = 3  # abstract sockets and signals stay within, from ABI 6 on

LIST = _READ_DIR
"""List folders."""
READ = _READ_FILE | _READ_DIR
"""Read files and list folders."""
USE = READ | _WRITE_FILE
"""Read and write what exists, devices say."""
WRITE = USE | _TRUNCATE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REGULAR | _REFER
"""Make, change and remove files and folders, but no links, pipes, sockets or devices."""
RUN = READ | _EXECUTE
"""Read files, list folders, execute programs."""
OWN = WRITE | RUN | _MAKE_SOCKET | _MAKE_PIPE | _MAKE_LINK
"""All but devices."""


def abi() -> int:
    """The version of Landlock that this kernel speaks.

    Raises:
        OSError: none.
    """
    return syscall("landlock_create_ruleset", _CREATE, None, 0, _VERSION)


def make_ruleset(rights: Mapping[str, int], *, network: bool = False) -> int:
    """A ruleset that denies all it can but these rights on these paths and below; returns its descriptor.

    With `network` it leaves TCP alone, for a network namespace with nobody else in it.

    Raises:
        OSError: the kernel has no Landlock, or a path does not exist.
    """
    version = abi()
    known = (1 << _FILE_RIGHTS.get(version, 16)) - 1
    scopes = version >= ABI_WITH_SCOPES
    denied = struct.pack("=QQQ", known, _NETWORK if version >= 4 and not network else 0, _SCOPES if scopes else 0)
    size = 8 if version < 4 else 24 if scopes else 16
    ruleset = syscall("landlock_create_ruleset", _CREATE, ctypes.create_string_buffer(denied, 24), size, 0)
    for path, allowed in rights.items():
        _add(ruleset, path, allowed & known)
    return ruleset


def _add(ruleset: int, path: str, allowed: int) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        allowed &= -1 if stat.S_ISDIR(os.fstat(place).st_mode) else _OF_FILES
        rule = struct.pack("=Qi", allowed, place)
        syscall("landlock_add_rule", _ADD, ruleset, _PATH_BENEATH, ctypes.create_string_buffer(rule, len(rule)), 0)
    finally:
        os.close(place)


def restrict(ruleset: int, *, quiet: bool) -> None:
    """Put this process under `ruleset` for good; it must have given up new privileges. `quiet` needs ABI 7.

    Raises:
        OSError: the kernel refused.
    """
    restriction(ruleset, quiet=quiet)()


def restriction(ruleset: int, *, quiet: bool) -> Callable[[], int]:
    """`restrict`, made ready for many forks."""
    return prepared("landlock_restrict_self", _RESTRICT, ruleset, _QUIET if quiet else 0)
