"""Mounts of a mount namespace of one's own: show a path elsewhere, read-only, and make a folder the root."""

from __future__ import annotations

import ctypes
import os
import struct

from verigrad.sandbox.kernel import call, syscall

__all__ = [
    "DEVICES",
    "bind",
    "detach",
    "make_private",
    "make_root",
    "mount_files",
    "mount_processes",
    "seal_root",
    "share",
    "show",
    "show_tree",
]

DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
"""What any program may expect, and nothing can be done with."""
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_MOUNT_SETATTR = 442

_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT, _NOATIME = 1, 2, 4, 8, 0x20, 0x400
_NODIRATIME, _BIND, _REC, _PRIVATE, _RELATIME = 0x800, 0x1000, 0x4000, 0x40000, 0x200000
_DETACH = 2
_STATVFS_RELATIME = 0x1000
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_SEALED = 1 | 2 | 4
"""MOUNT_ATTR_RDONLY, NOSUID and NODEV."""


def make_private() -> None:
    """Keep every change to this namespace's mounts from the one it was copied from, and the other way round."""
    _mount(None, "/", None, _REC | _PRIVATE)


def mount_files(
    name: str, place: str, options: str, *, runnable: bool = False, writable: bool = True, again: bool = False
) -> None:
    """Mount an empty file system in memory at `place`, or give the one that is there `again` other options.

    Args:
        runnable: files in it can be executed.
        writable: files can be made in it.
    """
    flags = (0 if runnable else _NOEXEC) | (0 if writable else _RDONLY) | (_REMOUNT if again else 0)
    _mount(name, place, "tmpfs", _NOSUID | _NODEV | _NOATIME | flags, options)


def mount_processes(place: str) -> None:
    """Mount a read-only `/proc` of this process namespace at `place`."""
    _mount("proc", place, "proc", _NOSUID | _NODEV | _NOEXEC)
    _mount(None, place, None, _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV | _NOEXEC)


def show(path: str, place: str) -> None:
    """Make `path` appear at `place`, which is made, read-only; mounts below `path` do not appear."""
    _make_place(path, place)
    bind(path, place)


def show_tree(path: str, place: str) -> None:
    """Make `path` appear at `place`, which is made, with all mounts below it, all read-only.

    Raises:
        OSError: the kernel refused, as all do before Linux 5.12.
    """
    _make_place(path, place)
    _mount(path, place, None, _BIND | _REC)
    attributes = ctypes.create_string_buffer(struct.pack("=QQQQ", _SEALED, 0, 0, 0), 32)
    syscall("mount_setattr", _MOUNT_SETATTR, _AT_FDCWD, os.fsencode(place), _AT_RECURSIVE, attributes, 32)


def bind(path: str, place: str) -> None:
    """Make `path` appear over `place`, which exists, read-only."""
    _mount(path, place, None, _BIND)
    _mount(None, place, None, _REMOUNT | _BIND | _RDONLY | _NOSUID | (0 if path in DEVICES else _NODEV) | _kept(place))


def share(path: str, place: str) -> None:
    """Make `path` appear over `place`, which exists, as writable as it is."""
    _mount(path, place, None, _BIND)


def detach(place: str) -> None:
    """Take away what was mounted last at `place`; it lives on while anyone uses it, or where else it is mounted."""
    call("umount2", os.fsencode(place), _DETACH)


def make_root(folder: str) -> None:
    """Make `folder`, on which a file system is mounted, the root, and leave the old one for good."""
    os.chdir(folder)
    machine = os.uname().machine
    if machine not in _PIVOT_ROOT:
        raise OSError(f"how to change the root is not known for {machine}")
    syscall("pivot_root", _PIVOT_ROOT[machine], b".", b".")
    detach(".")  # the old root, which lies on the new one
    os.chdir("/")


def seal_root() -> None:
    """Make the file system of the root read-only; what is mounted in it stays as it is."""
    _mount(None, "/", None, _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV)


def _make_place(path: str, place: str) -> None:
    os.makedirs(os.path.dirname(place), exist_ok=True)
    if os.path.isdir(path):
        os.makedirs(place, exist_ok=True)
    else:
        open(place, "xb").close()


def _kept(place: str) -> int:
    """The flags that a mount has from where it came, which an ordinary user may not take off."""
    flags = os.statvfs(place).f_flag
    return (flags & (_NODEV | _NOEXEC | _NOATIME | _NODIRATIME)) | (_RELATIME if flags & _STATVFS_RELATIME else 0)


def _mount(source: str | None, place: str, kind: str | None, flags: int, options: str | None = None) -> None:
    encoded = [None if text is None else os.fsencode(text) for text in (source, place, kind, options)]
    try:
        call("mount", *encoded[:3], flags, encoded[3])
    except OSError as error:
        what = f"mounting {source or kind or place} on {place}"
        raise OSError(error.errno, f"{what}: {os.strerror(error.errno or 0)}") from error
