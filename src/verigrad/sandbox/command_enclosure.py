"""What stands around a command at each level; put up anew for each, by the process that watches over it.

`BareCommand` is level `process`, `RestrictedCommand` is `landlock`, `EnclosedCommand` are `namespaces` and `full`. Each
is made in the process that will watch, which then writes the command's files, forks, and has the fork `enter`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from verigrad.sandbox import confine, landlock, mounts, namespaces, seccomp
from verigrad.sandbox.command_root import SETTINGS, SYSTEM, TEMPORARY, WORK, enter_command_root

__all__ = ["BareCommand", "CommandEnclosure", "EnclosedCommand", "RestrictedCommand", "enclose_command"]

_OPEN_FILES = 512
_IFF_UP, _SIOCSIFFLAGS = 1, 0x8914
_OPENSSL = "/etc/ssl/openssl.cnf"
"""Node does without, but not with one that it may not read."""


class CommandEnclosure(Protocol):
    """What the watching process asks of a level."""

    work: str
    """The command's working directory."""
    temporary: str
    """Its folder for temporary files, which is its home as well."""
    uid: int
    """The user that the command runs as."""

    def enter(self) -> None:
        """In the fork: give up for good whatever the command is not to have."""
        ...

    def kill_all(self) -> None:
        """Kill and reap every process that the command left."""
        ...


def enclose_command(level: str, uid: int | None, folder: str, job: Mapping[str, Any]) -> CommandEnclosure:
    """Put up what `level` takes around this process, or another that goes on in its place.

    Args:
        uid: another user to run the command as, where we may.
        folder: empty; at level `process` it holds the command's files, else it is where the root is mounted.
        job: the limits, `disk_mb`, `visible` and `hidden` of the command.

    Raises:
        OSError: a mechanism is missing; the message says which. This process is then of no more use.
    """
    if level == "process":
        return BareCommand(uid, folder, job["limits"])
    if level == "landlock":
        return RestrictedCommand(uid, folder, job["limits"], job["visible"])
    return EnclosedCommand(
        uid, folder, job["limits"], job["disk_mb"], job["visible"], job["hidden"], full=level == "full"
    )


def _settle() -> None:
    """What holds at every level, for this process and the command."""
    with contextlib.suppress(OSError):  # a preference; some containers forbid it
        confine.prefer_out_of_memory_kill()
    confine.forbid_new_privileges()
    confine.apply_fixed_limits(open_files=_OPEN_FILES)


class BareCommand:
    """Level `process`: another user where we are root, limits, and a hunt for what the command leaves behind."""

    def __init__(self, uid: int | None, folder: str, limits: dict[str, Any]) -> None:
        confine.become_subreaper()
        _settle()
        confine.forbid_inspection()
        self._other, self._limits = uid, limits
        self.uid = os.geteuid() if uid is None else uid
        self.work, self.temporary = f"{folder}/work", f"{folder}/tmp"
        for path in (self.work, self.temporary):
            os.mkdir(path, 0o700)
            os.chown(path, self.uid, -1)
        os.chmod(folder, 0o711)
        self._spare_processes = confine.spare_processes(uid)

    def enter(self) -> None:
        """Become the command's user, under the limits."""
        os.chdir(self.work)
        if self._other is not None:
            confine.become(self._other)
        confine.apply_limits(self._limits, spare_processes=self._spare_processes, address_space=False)

    def kill_all(self) -> None:
        """Kill and reap every descendant of this process."""
        confine.kill_children(self._other)


class RestrictedCommand(BareCommand):
    """Level `landlock`: the system's programs and libraries, two folders of its own, and no sockets but pairs.

    Installed packages cannot be hidden from it, since Landlock allows whole folders.
    """

    def __init__(self, uid: int | None, folder: str, limits: dict[str, Any], visible: Sequence[str]) -> None:
        self._quiet = landlock.abi() >= landlock.ABI_WITH_QUIET
        self._filter = seccomp.build_command_filter(os.uname().machine, sockets=False)
        super().__init__(uid, folder, limits)
        shown = [path for path in (*SYSTEM, *SETTINGS, _OPENSSL) if os.path.exists(path)]
        around = {os.path.dirname(path) for path in visible} - {"/"}
        self._rights = dict.fromkeys(around, landlock.LIST)  # Python looks for its packages by name
        self._rights |= dict.fromkeys((*shown, *visible), landlock.RUN)
        self._rights |= dict.fromkeys(mounts.DEVICES, landlock.USE)
        self._rights |= dict.fromkeys((self.work, self.temporary), landlock.OWN)

    def enter(self) -> None:
        """Become the command's user without a capability, under the limits, Landlock and the filter."""
        ruleset = landlock.make_ruleset(self._rights)
        super().enter()
        confine.drop_capabilities()
        landlock.restrict(ruleset, quiet=self._quiet)
        seccomp.install_filter(self._filter)


class EnclosedCommand:
    """Levels `namespaces` and `full`: the system read-only, files of its own, nobody else to reach."""

    work, temporary = WORK, TEMPORARY

    def __init__(
        self,
        uid: int | None,
        workshop: str,
        limits: dict[str, Any],
        disk_mb: int,
        visible: Sequence[str],
        hidden: Sequence[str],
        *,
        full: bool,
    ) -> None:
        self._full = full
        if full:
            self._quiet = landlock.abi() >= landlock.ABI_WITH_QUIET
            self._filter = seccomp.build_command_filter(os.uname().machine)
        self._other, self._limits = uid, limits
        self.uid = os.geteuid() if uid is None else uid
        namespaces.enter_namespaces()
        _settle()
        self._spare_processes = self._count_spare_processes()
        confine.empty_bounding_set()
        socket.sethostname("sandbox")
        _bring_up_loopback()
        enter_command_root(workshop, uid=self.uid, disk_mb=disk_mb, visible=visible, hidden=hidden)
        confine.forbid_inspection()

    def _count_spare_processes(self) -> int:
        # We and, until it is reaped, the process that entered the namespaces; later we and the command.
        if self._other is None and namespaces.counts_by_user_namespace(running=2):
            return 2
        return confine.spare_processes(self._other)

    def enter(self) -> None:
        """Become the command's user without a capability, under the limits, Landlock and the filter."""
        os.chdir(self.work)
        if self._other is not None:
            confine.become(self._other)
        confine.drop_capabilities()
        confine.apply_limits(self._limits, spare_processes=self._spare_processes, address_space=False)
        if self._full:
            own = dict.fromkeys((WORK, TEMPORARY, "/dev/shm"), landlock.OWN)
            ruleset = landlock.make_ruleset({"/": landlock.RUN, "/dev": landlock.USE, **own}, network=True)
            landlock.restrict(ruleset, quiet=self._quiet)
            seccomp.install_filter(self._filter)

    def kill_all(self) -> None:
        """Kill and reap every other process of the namespace, of which this one is the first."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while True:
                os.wait()


def _bring_up_loopback() -> None:
    """Let the command talk to itself by network; there is no other device in its namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        fcntl.ioctl(link, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", _IFF_UP))
