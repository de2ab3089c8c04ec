"""A root folder that holds the standard library, packages that a task asks for, shared libraries, and nothing else.

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
from collections.abc import Callable, Iterable, Iterator

from verigrad.sandbox import mounts
from verigrad.sandbox.imports import Imports
from verigrad.sandbox.kernel import call

__all__ = ["DATA", "FILES", "FOREIGN", "PrivateFiles", "move_into_new_root", "shared_libraries"]

FILES = "/tmp"
DATA = ("/etc/ld.so.cache", "/usr/share/zoneinfo")
FOREIGN = ("site-packages", "dist-packages")
_PACKAGES = "/packages"
_ROOM = "mode=755,size=1m"
_OPTIONS = "mode=1777,nr_inodes=256,size=%dm"
_COARSE_CLOCK = 5
"""Linux's number for the clock that files are stamped by."""


def move_into_new_root(workshop: str, imports: Imports) -> None:
    """Build the new root over the folder `workshop`, which nobody else sees, and leave the old one for good.

    What `imports` lists is shown too; what lies where the private files will be, elsewhere.

    Raises:
        OSError: a mount was refused.
    """
    library = [path for path in sys.path if os.path.exists(path)]
    shared = shared_libraries(library, imports.paths())
    os.umask(0o022)
    mounts.make_private()
    mounts.mount_files("root", workshop, "mode=755,size=1m")
    os.mkdir(workshop + FILES)
    for path in sorted({*library, *DATA, *mounts.DEVICES}):
        if os.path.exists(path) and not os.path.exists(workshop + path):
            mounts.show(path, workshop + path)
    for folder in library:
        for name in FOREIGN:
            if os.path.isdir(hidden := f"{workshop}{folder}/{name}"):
                _cover(hidden, f"{folder}/{name}", imports, workshop)
    inside = [folder for folder in imports.places if folder.startswith(f"{FILES}/")]
    moved = {folder: f"{_PACKAGES}/{number}" for number, folder in enumerate(inside)}
    for folder, entries in imports.places.items():
        _show(folder, entries, workshop + moved.get(folder, folder))
    for path in shared:
        if os.path.exists(path) and not path.startswith(tuple(f"{folder}/" for folder in imports.places)):
            _show(os.path.dirname(path), [os.path.basename(path)], workshop + os.path.dirname(path))
    mounts.make_root(workshop)
    mounts.seal_root()
    imports.move(moved)


def _cover(hidden: str, path: str, imports: Imports, workshop: str) -> None:
    """Hide the folder `path` of installed packages, seen at `hidden`, but for those that are to be shown."""
    if path not in imports.places:
        mounts.bind(workshop + FILES, hidden)  # empty
        return
    mounts.mount_files("packages", hidden, _ROOM)
    _show(path, imports.places[path], hidden)
    mounts.mount_files("packages", hidden, _ROOM, writable=False, again=True)


def _show(folder: str, entries: Iterable[str], place: str) -> None:
    """Of a folder these entries, as far as they are there, at `place`, where they are not yet."""
    for entry in entries:
        if os.path.exists(f"{folder}/{entry}") and not os.path.exists(f"{place}/{entry}"):
            mounts.show(f"{folder}/{entry}", f"{place}/{entry}")


# ------------------------------------------------------------------------------------- shared libraries


def shared_libraries(folders: Iterable[str], packages: Iterable[str] = ()) -> list[str]:
    """The files that the dynamic loader takes, under the names it finds them by, for all of the library and packages.

    A process that does nothing else loads every extension module and lists what came with them.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reading)
            modules = [*_extension_modules(folders), *_package_modules(packages)]
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
        raise OSError("the shared libraries of the standard library and packages could not be listed")
    return [os.path.normpath(name) for name in names if name.startswith("/")]


def _extension_modules(folders: Iterable[str]) -> list[str]:
    listed = [os.path.join(folder, name) for folder in folders if os.path.isdir(folder) for name in os.listdir(folder)]
    return [path for path in listed if path.endswith(".so")]


def _package_modules(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        if path.endswith(".so"):
            yield path
        for folder, _, names in os.walk(path):
            yield from (os.path.join(folder, name) for name in names if name.endswith(".so"))


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
        self._mount(again=True)

    def renew(self) -> bool:
        """Replace the folder if the program that has ended touched it; returns whether it did.

        Raises:
            OSError: the kernel refused.
        """
        if os.stat(FILES).st_ctime_ns == self._changed:
            return False
        mounts.detach(FILES)
        self._begin()
        return True

    def _begin(self) -> None:
        self._mount()
        self._changed = os.stat(FILES).st_ctime_ns
        time.sleep(2 * time.clock_getres(_COARSE_CLOCK))  # so that any change has another time

    def _mount(self, *, again: bool = False) -> None:
        size = _OPTIONS % max(1, self._megabytes)
        mounts.mount_files("files", FILES, size, writable=self._megabytes > 0, again=again)
