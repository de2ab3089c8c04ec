"""A root folder that holds the standard library, the shared libraries it needs, and nothing else.

It is a small file system in memory, into which the library's folders and files are mounted under their own names,
read-only. So the interpreter's paths stay as they were, and a folder above them that only root may enter is no
hindrance. There is no interpreter to start, no `/proc`, `/sys`, `/etc` or `/home`. `FILES` is the one folder a
program may write to.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import time
from collections.abc import Callable, Iterable

from verigrad.sandbox.kernel import call, syscall

__all__ = ["DATA", "DEVICES", "FILES", "FOREIGN", "PrivateFiles", "move_into_new_root", "shared_libraries"]

FILES = "/tmp"
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
DATA = ("/etc/ld.so.cache", "/usr/share/zoneinfo")
FOREIGN = ("site-packages", "dist-packages")
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

_OPTIONS = "mode=1777,nr_inodes=256,size=%dm"
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT, _NOATIME = 1, 2, 4, 8, 0x20, 0x400
_NODIRATIME, _BIND, _REC, _PRIVATE, _RELATIME = 0x800, 0x1000, 0x4000, 0x40000, 0x200000
_DETACH = 2
_STATVFS_RELATIME = 0x1000
_COARSE_CLOCK = 5
"""Linux's number for the clock that files are stamped by."""


def move_into_new_root(workshop: str) -> None:
    """Build the new root over the folder `workshop`, which nobody else sees, and leave the old one for good.

    Raises:
        OSError: a mount was refused.
    """
    library = [path for path in sys.path if os.path.exists(path)]
    shared = shared_libraries(library)
    os.umask(0o022)
    _mount(None, "/", None, _REC | _PRIVATE)
    _mount("root", workshop, "tmpfs", _NOSUID | _NODEV, "mode=755,size=1m")
    os.mkdir(workshop + FILES)
    for path in sorted({*library, *shared, *DATA, *DEVICES}):
        if os.path.exists(path) and not os.path.exists(workshop + path):
            _show(path, workshop + path)
    for folder in library:
        for name in FOREIGN:
            if os.path.isdir(hidden := f"{workshop}{folder}/{name}"):
                _bind(workshop + FILES, hidden)  # empty
    os.chdir(workshop)
    _pivot()
    _mount(None, "/", None, _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV)


def _pivot() -> None:
    machine = os.uname().machine
    if machine not in _PIVOT_ROOT:
        raise OSError(f"how to change the root is not known for {machine}")
    syscall("pivot_root", _PIVOT_ROOT[machine], b".", b".")
    call("umount2", b".", _DETACH)  # the old root, which lies on the new one
    os.chdir("/")


def _show(path: str, place: str) -> None:
    """Make `path` appear at `place`, read-only."""
    os.makedirs(os.path.dirname(place), exist_ok=True)
    if os.path.isdir(path):
        os.makedirs(place, exist_ok=True)
    else:
        open(place, "xb").close()
    _bind(path, place)


def _bind(path: str, place: str) -> None:
    _mount(path, place, None, _BIND)
    _mount(None, place, None, _REMOUNT | _BIND | _RDONLY | _NOSUID | (0 if path in DEVICES else _NODEV) | _kept(place))


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


# ------------------------------------------------------------------------------------- shared libraries


def shared_libraries(folders: Iterable[str]) -> list[str]:
    """The files that the dynamic loader takes, under the names it finds them by, for all of the standard library.

    A process that does nothing else loads every extension module and lists what came with them.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reading)
            modules = _extension_modules(folders)
            for path in (*modules, "libgcc_s.so.1"):  # the last is loaded by the C library where a thread is cancelled
                with contextlib.suppress(OSError):  # a module that does not work here need not work there
                    ctypes.CDLL(path)
            with open(writing, "wb") as file:
                file.write(b"\0".join(os.fsencode(name) for name in _loaded() if name not in modules))
            os._exit(0)
        except BaseException:
            os._exit(1)
    os.close(writing)
    with open(reading, "rb") as file:
        names = [os.fsdecode(name) for name in file.read().split(b"\0")]
    if os.waitpid(pid, 0)[1] != 0:
        raise OSError("the shared libraries of the standard library could not be listed")
    return [os.path.normpath(name) for name in names if name.startswith("/")]


def _extension_modules(folders: Iterable[str]) -> list[str]:
    listed = [os.path.join(folder, name) for folder in folders if os.path.isdir(folder) for name in os.listdir(folder)]
    return [path for path in listed if path.endswith(".so")]


def _loaded() -> list[str]:
    names: list[str] = []

    class Info(ctypes.Structure):
        _fields_ = (("address", ctypes.c_void_p), ("name", ctypes.c_char_p))

    def note(info: ctypes._Pointer[Info], size: int, data: int | None) -> int:
        names.append(os.fsdecode(info.contents.name or b""))
        return 0

    callback: Callable[..., int] = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(Info), ctypes.c_size_t, ctypes.c_void_p
    )(note)
    call("dl_iterate_phdr", callback, None)
    return names


# ---------------------------------------------------------------------------------------- private files


class PrivateFiles:
    """The folder `FILES` of a program: empty when it begins, in memory, capped in size and number.

    One file system serves as long as no program touches it, which its change time tells; the first that does
    takes it along, whatever it did: a file system of its own would cost every program a twentieth of its time.
    """

    def __init__(self) -> None:
        self._megabytes = 1
        self._begin()

    def resize(self, megabytes: int) -> None:
        """Let this folder, which is empty, and those after it hold so much; nothing can be made in one of size 0.

        Raises:
            OSError: the kernel refused.
        """
        self._megabytes = megabytes
        self._mount(_REMOUNT)

    def renew(self) -> bool:
        """Replace the folder if the program that has ended touched it; returns whether it did.

        Raises:
            OSError: the kernel refused.
        """
        if os.stat(FILES).st_ctime_ns == self._changed:
            return False
        call("umount2", os.fsencode(FILES), _DETACH)
        self._begin()
        return True

    def _begin(self) -> None:
        self._mount(0)
        self._changed = os.stat(FILES).st_ctime_ns
        time.sleep(2 * time.clock_getres(_COARSE_CLOCK))  # so that any change has another time

    def _mount(self, flags: int) -> None:
        flags |= _NOSUID | _NODEV | _NOEXEC | _NOATIME | (0 if self._megabytes else _RDONLY)
        _mount("files", FILES, "tmpfs", flags, _OPTIONS % max(1, self._megabytes))
