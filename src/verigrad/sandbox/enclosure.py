"""What stands around programs at each level; the fork-server puts it up once and programs inherit it.

`Bare` is level `process`, `Restricted` is `landlock`, `Enclosed` are `namespaces` and `full`. All prepare the
fork-server when they are made, and have their parts to play in every program's life: before the fork, in the fork,
when the limits are known, and at the end.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from resource import struct_rusage
from typing import Any, Protocol

from verigrad.sandbox import confine, landlock, mounts, namespaces, root, seccomp
from verigrad.sandbox.imports import Imports

__all__ = ["Bare", "Enclosed", "Enclosure", "Restricted", "enclose"]


class Enclosure(Protocol):
    """What the fork-server asks of a level."""

    kept: tuple[int, int]
    """The descriptors that programs keep: the first, and the first after them."""
    shielded: bool
    """Whether no program can end or stop us, so that it is not to blame if we end."""

    renumbered: bool
    """Whether programs have other process ids for us than for those outside."""

    def fork(self) -> int:
        """In the fork-server: begin a program's process, as `os.fork` does."""
        ...

    def enter(self) -> None:
        """In the fork, before it waits for its program."""
        ...

    def set_disk(self, megabytes: int) -> None:
        """In the fork-server: what files may take together from now on, until told otherwise."""
        ...

    def apply_limits(self, limits: dict[str, Any]) -> None:
        """In the fork, before the program's code is compiled."""
        ...

    def end(self, pid: int) -> tuple[int, struct_rusage]:
        """Kill a program and all it started; returns its wait status and what it used."""
        ...


def enclose(level: str, imports: Imports) -> Enclosure:
    """Put up what `level` takes around this process, or another that goes on in its place; `imports` stay in reach.

    Raises:
        OSError: a mechanism is missing; the message says which. This process is then of no more use.
    """
    if level == "process":
        return Bare(imports)
    return Restricted(imports) if level == "landlock" else Enclosed(imports, full=level == "full")


def _settle() -> None:
    """What holds at every level."""
    with contextlib.suppress(OSError):  # a preference; some containers forbid it
        confine.prefer_out_of_memory_kill()
    confine.forbid_new_privileges()
    confine.apply_fixed_limits()


class Bare:
    """Level `process`: another user where we are root, limits, and a hunt for what a program leaves behind."""

    renumbered = False

    def __init__(self, imports: Imports) -> None:
        confine.become_subreaper()
        _settle()
        confine.forbid_inspection()
        self._uid = confine.find_uid(os.getpid())
        self.shielded = self._uid is not None
        library = confine.open_library(self._uid, imports) if self._uid is not None else []
        self.kept = (confine.LIBRARY_FD, confine.LIBRARY_FD + len(library))
        self._spare_processes = confine.spare_processes(self._uid)
        self._spare_megabytes = imports.megabytes

    def fork(self) -> int:
        """`os.fork`."""
        return os.fork()

    def enter(self) -> None:
        """Become the programs' user; where that is ours, the program could kill the fork-server."""
        if self._uid is not None:
            confine.become(self._uid)
        else:
            confine.die_with_parent()

    def set_disk(self, megabytes: int) -> None:
        """Nothing: where programs share the machine's disk, only single files are bounded."""

    def apply_limits(self, limits: dict[str, Any]) -> None:
        """Set the limits of the task."""
        confine.apply_limits(limits, spare_processes=self._spare_processes, spare_megabytes=self._spare_megabytes)

    def end(self, pid: int) -> tuple[int, struct_rusage]:
        """Kill the program, its group and every descendant."""
        for kill in (os.kill, os.killpg):  # the group may have outlived its leader, which is not reaped yet
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(pid, signal.SIGKILL)
        _, status, usage = os.wait4(pid, 0)
        confine.kill_children(self._uid)
        return status, usage


class Restricted(Bare):
    """Level `landlock`, where namespaces are refused: nothing but the standard library to open, few system calls.

    There is no folder to write to, since none could be private.
    """

    def __init__(self, imports: Imports) -> None:
        version = landlock.abi()
        super().__init__(imports)
        self.shielded = True
        self._quiet = version >= landlock.ABI_WITH_QUIET
        self._ruleset = landlock.make_ruleset(dict(_library_rights(imports)))
        # Another user's programs cannot signal us anyway.
        self._refuse_signals = self._uid is None and version < landlock.ABI_WITH_SCOPES
        seccomp.install_filter(seccomp.build_filter(os.uname().machine, private_files=False))

    def enter(self) -> None:
        """Become the programs' user, give up every capability, and all but the library."""
        super().enter()
        confine.drop_capabilities()
        landlock.restrict(self._ruleset, quiet=self._quiet)
        if self._refuse_signals:
            seccomp.refuse_signals()


def _library_rights(imports: Imports) -> Iterator[tuple[str, int]]:
    """What Landlock is to allow on what; the names of installed packages can be listed, but not what is in them."""
    folders = [path for path in sys.path if os.path.isdir(path)]
    for folder in folders:
        yield folder, landlock.LIST
        for name in os.listdir(folder):
            if name not in root.FOREIGN:
                yield os.path.join(folder, name), landlock.READ
    yield from dict.fromkeys(imports.places, landlock.LIST).items()  # Python looks for its packages by name
    for path in (*imports.paths(), *root.shared_libraries(folders, imports.paths()), *root.DATA):
        if os.path.exists(path):
            yield path, landlock.READ
    for path in mounts.DEVICES:
        yield path, landlock.USE


class Enclosed:
    """Levels `namespaces` and `full`: nothing but the standard library to see, nobody else to reach."""

    kept = (0, 0)
    shielded = True
    renumbered = True

    def __init__(self, imports: Imports, *, full: bool) -> None:
        self._full = full
        if full:
            self._quiet = landlock.abi() >= landlock.ABI_WITH_QUIET
        self._uid = confine.find_uid(os.getppid())  # inside, our own process id will be 1, as that of others
        namespaces.enter_namespaces()
        _settle()
        self._spare_processes = self._count_spare_processes()
        confine.empty_bounding_set()
        root.move_into_new_root(os.getcwd(), imports)
        self._spare_megabytes = imports.megabytes
        self._files = root.PrivateFiles()
        self._drops = self._uid is None or not confine.loses_capabilities(self._uid)
        if self._uid is not None:
            confine.join_group(self._uid)
        confine.forbid_inspection()
        self._stand_in_files()
        self.fork = namespaces.fork_apart()
        if full:
            seccomp.install_filter(seccomp.build_filter(os.uname().machine, private_files=True))

    def _count_spare_processes(self) -> int:
        # We and, until it is reaped, the process that entered the namespaces; later we and the program.
        if self._uid is None and namespaces.counts_by_user_namespace(running=2):
            return 2
        return confine.spare_processes(self._uid)

    def _stand_in_files(self) -> None:
        """Make the private folder the current one, and for Landlock the one to write to."""
        os.chdir(root.FILES)
        if self._full:
            rights = {"/": landlock.READ, "/dev": landlock.USE, root.FILES: landlock.WRITE}
            self._ruleset = landlock.make_ruleset(rights)
            restrict = landlock.restriction(self._ruleset, quiet=self._quiet)
        else:
            restrict = None
        self.enter = _entrance(self._uid, confine.drop_capabilities if self._drops else None, restrict)

    def set_disk(self, megabytes: int) -> None:
        """Resize the private file system, in which there is nothing yet."""
        self._files.resize(megabytes)

    def apply_limits(self, limits: dict[str, Any]) -> None:
        """Set the limits of the task."""
        confine.apply_limits(limits, spare_processes=self._spare_processes, spare_megabytes=self._spare_megabytes)

    def end(self, pid: int) -> tuple[int, struct_rusage]:
        """Kill the first process of the program's namespace, and with it all others; forget its files."""
        os.kill(pid, signal.SIGKILL)  # it is there, if only to be waited for
        _, status, usage = os.wait4(pid, 0)
        if self._files.renew():
            if self._full:
                os.close(self._ruleset)
            self._stand_in_files()
        return status, usage


def _entrance(
    uid: int | None, drop_capabilities: Callable[[], None] | None, restrict: Callable[[], int] | None
) -> Callable[[], None]:
    """What a fork does where all else is as in the fork-server: become the programs' user, give up what that leaves.

    A closure, because looking names up costs a fork more than the calls do.
    """
    become_user = os.setresuid

    def enter() -> None:
        if uid is not None:
            become_user(uid, uid, uid)
        if drop_capabilities is not None:
            drop_capabilities()
        if restrict is not None:
            restrict()

    return enter
