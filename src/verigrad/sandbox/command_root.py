"""The root folder of a command: the system's programs and libraries, read-only, and a file system of its own.

It is made anew for each command. `WORK`, `/tmp` and `/dev/shm` lie on one file system in memory, which caps their size
and number of files together; all else is read-only and has the path it has outside. Of `/etc` there is what the dynamic
loader and Debian's alternatives need, with a list of users and hosts that we wrote. Folders of installed Python
packages are covered: they may hold tasks with their answers, and none is needed to compile or run a program.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence

from verigrad.sandbox import mounts

__all__ = ["SETTINGS", "SYSTEM", "TEMPORARY", "WORK", "enter_command_root"]

WORK = "/work"
TEMPORARY = "/tmp"
_PRIVATE = {"work": WORK, "tmp": TEMPORARY, "shm": "/dev/shm"}
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
SETTINGS = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d")
_LINKS = {"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0"}
_LINKS |= {"/dev/stdout": "/proc/self/fd/1", "/dev/stderr": "/proc/self/fd/2"}
_PACKAGES = ("/usr/lib/python3*/*-packages", "/usr/local/lib/python3*/*-packages")
_FILES_PER_MB = 64


def enter_command_root(workshop: str, *, uid: int, disk_mb: int, visible: Sequence[str], hidden: Sequence[str]) -> None:
    """Build the root over the folder `workshop`, which nobody else sees, and leave the old one for good.

    Args:
        uid: of the command, to whom the private folders belong.
        disk_mb: size of the private folders together.
        visible: absolute paths shown besides the system's.
        hidden: folders below these, shown empty.

    Raises:
        OSError: a mount was refused, or a path of `visible` is not there.
    """
    os.umask(0o022)
    mounts.make_private()
    mounts.mount_files("root", workshop, "mode=755,size=1m")
    for path in ("/dev", "/etc", "/proc", "/private", "/empty", WORK, TEMPORARY, "/dev/shm"):
        os.mkdir(workshop + path)
    _make_private_folders(workshop, uid, disk_mb)
    for path in (*SYSTEM, *SETTINGS, *mounts.DEVICES):
        if os.path.lexists(path):
            _show(path, workshop)
    for path in visible:
        if not os.path.exists(workshop + path):
            mounts.show_tree(path, workshop + path)
    _cover_packages(workshop, visible)
    for path in hidden:
        if os.path.isdir(workshop + path):
            mounts.bind(workshop + "/empty", workshop + path)
    for path, target in _LINKS.items():
        os.symlink(target, workshop + path)
    _write_settings(workshop, uid)
    mounts.mount_processes(workshop + "/proc")
    mounts.make_root(workshop)
    mounts.seal_root()


def _make_private_folders(workshop: str, uid: int, disk_mb: int) -> None:
    """One file system seen at three places and at no other."""
    private = workshop + "/private"
    options = f"mode=755,size={disk_mb}m,nr_inodes={_FILES_PER_MB * disk_mb}"
    mounts.mount_files("files", private, options, runnable=True)
    for name, place in _PRIVATE.items():
        os.mkdir(f"{private}/{name}")
        os.chown(f"{private}/{name}", uid, -1)
        mounts.share(f"{private}/{name}", workshop + place)
    mounts.detach(private)
    os.rmdir(private)


def _show(path: str, workshop: str) -> None:
    if os.path.islink(path):  # `/bin` of a system that keeps all below `/usr`
        os.symlink(os.readlink(path), workshop + path)
    elif os.path.isdir(path):
        mounts.show_tree(path, workshop + path)
    else:
        mounts.show(path, workshop + path)


def _cover_packages(workshop: str, visible: Sequence[str]) -> None:
    for path in (path for pattern in _PACKAGES for path in glob.glob(pattern)):
        wanted = any(path == shown or path.startswith(shown.rstrip("/") + "/") for shown in visible)
        if os.path.isdir(path) and not wanted:
            mounts.bind(workshop + "/empty", workshop + path)


def _write_settings(workshop: str, uid: int) -> None:
    settings = {
        "passwd": f"sandbox:x:{uid}:{uid}:sandbox:{TEMPORARY}:/bin/sh\n",
        "group": f"sandbox:x:{uid}:\n",
        "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    }
    for name, text in settings.items():
        with open(f"{workshop}/etc/{name}", "x") as file:
            file.write(text)
