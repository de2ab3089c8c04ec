"""`python faults.py FAULT LEVEL` runs programs before, while and after the machine lacks something.

Prints the verdicts as JSON, `{"before": [...], "during": [...], "after": [...]}`: what `f(3)` returned or, last,
a script printed, the status where there was nothing, or "SandboxError".
"""

import asyncio
import ctypes
import json
import os
import resource
import signal
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path

from verigrad.errors import SandboxError
from verigrad.sandbox.base import Call, Stdin
from verigrad.sandbox.process import ProcessSandbox
from verigrad.types import Limits

PROGRAM = "def f(x):\n    return x * x + 7\n"
SCRIPT = "x = int(input())\nprint(x * x + 7)\n"
NOT_TO_BE_HAD = 77
"""Exit status where this machine does not let us make the fault."""


def family():
    """Ids of the processes below this one, parents first."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            parents[int(name)] = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
    found = [os.getpid()]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found[1:]


def kill_workers():
    for pid in family():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def no_processes():
    """No new process or thread, here and in the workers: root by a control group, anyone else by the limit per user."""
    if os.geteuid() == 0:
        with pids_group() as group:
            group.joinpath("pids.max").write_text("1")
            yield
            group.joinpath("pids.max").write_text("max")
        return
    pids = (os.getpid(), *family())
    kept = {pid: resource.prlimit(pid, resource.RLIMIT_NPROC) for pid in pids}
    for pid, (_, hard) in kept.items():
        resource.prlimit(pid, resource.RLIMIT_NPROC, (0, hard))
    yield
    for pid, limits in kept.items():
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_NPROC, limits)


@contextmanager
def pids_group():
    """A control group with all of us in it, whose processes can be counted."""
    group = Path(f"/sys/fs/cgroup/pids/verigrad-{os.getpid()}")
    try:
        group.mkdir()
        for pid in (*family(), os.getpid()):
            group.joinpath("cgroup.procs").write_text(str(pid))
    except OSError as error:
        print(f"no control group: {error}", file=sys.stderr)
        sys.exit(NOT_TO_BE_HAD)
    try:
        yield group
    finally:
        for pid in group.joinpath("cgroup.procs").read_text().split():
            with suppress(OSError):
                group.parent.joinpath("cgroup.procs").write_text(pid)
        with suppress(OSError):
            group.rmdir()


@contextmanager
def no_descriptors():
    """No new descriptor in this process; its workers are killed, so that it needs some."""
    kill_workers()
    kept = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, kept[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, kept)


@contextmanager
def no_descriptors_in_workers():
    """No new descriptor in the supervisors and fork-servers that run now."""
    for pid in family():
        with suppress(PermissionError):  # a program, which is another user's
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (5, resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]))
    yield


@contextmanager
def no_disk():
    """The temporary folder is full, and the workers are killed."""
    folder = Path(tempfile.gettempdir())
    with suppress(OSError), open(folder / "ballast", "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    with suppress(OSError):
        for number in range(10_000):
            (folder / str(number)).touch()
    kill_workers()
    yield
    for path in folder.iterdir():
        if path.is_file():
            path.unlink()


def use_small_disk():
    """Go on where the temporary folder is a small file system that nobody else sees."""
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(0x20000 if uid == 0 else 0x10020000) != 0:
        print("no mount namespace", file=sys.stderr)
        sys.exit(NOT_TO_BE_HAD)
    if uid != 0:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            Path(f"/proc/self/{name}").write_text(text)
    libc.mount(b"none", b"/", None, ctypes.c_ulong(0x44000), None)  # private, all of it
    place = tempfile.mkdtemp(prefix="small-disk-")
    assert libc.mount(b"small", place.encode(), b"tmpfs", ctypes.c_ulong(0), b"size=256k,nr_inodes=40") == 0
    tempfile.tempdir = place
    return place


@contextmanager
def dead_fork_servers():
    """Every process of the workers is killed, as the kernel does where memory has run out."""
    kill_workers()
    yield


REFUSES = f"""#!{sys.executable}
import ctypes, os, struct, sys
libc = ctypes.CDLL(None)
numbers = CALLS[os.uname().machine]
refusals = [step for number in numbers for step in ((0x15, 0, 1, number), (0x06, 0, 0, 0x50000 | 23))]
steps = ((0x20, 0, 0, 0), *refusals, (0x06, 0, 0, 0x7FFF0000))
code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
header = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(code)))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(header), 0, 0) == 0
os.execv({sys.executable!r}, [{sys.executable!r}, *sys.argv[1:]])
"""


PIPES = {"x86_64": (22, 293), "aarch64": (59,)}
MEMFD = {"x86_64": (319,), "aarch64": (279,)}


@contextmanager
def no_files_in_the_system(calls=PIPES):
    """New workers find the kernel's table of open files full: ENFILE for whoever makes these calls.

    The limit itself is the whole machine's, and root is spared it; a filter of system calls stands in for it.
    """
    python = sys.executable
    with tempfile.TemporaryDirectory() as folder:
        sys.executable = f"{folder}/python"
        Path(sys.executable).write_text(REFUSES.replace("CALLS", repr(calls)))
        os.chmod(sys.executable, 0o755)
        kill_workers()
        yield
    sys.executable = python
    kill_workers()


def no_files_for_input():
    """The same once a program has a process, in which a script's standard input is to be laid down."""
    return no_files_in_the_system(MEMFD)


FAULTS = {
    "no processes": no_processes,
    "no descriptors": no_descriptors,
    "no descriptors in the workers": no_descriptors_in_workers,
    "no files in the system": no_files_in_the_system,
    "no files for input": no_files_for_input,
    "no disk": no_disk,
    "dead workers": dead_fork_servers,
}


async def verdict(box, program, item):
    try:
        execution = await box.run(program, [item], Limits())
    except SandboxError:
        return "SandboxError"
    if not execution.outcomes:
        return execution.status
    outcome = execution.outcomes[0]
    return int(outcome.value) if outcome.status == "returned" else outcome.status


async def verdicts(box):
    programs = [(PROGRAM, Call("f", (3,)))] * 15 + [(SCRIPT, Stdin("3\n"))]
    return list(await asyncio.gather(*(verdict(box, *program) for program in programs)))


async def main(fault, level):
    """Sixteen verdicts each before, during and after; while the fault lasts, also from a sandbox that is new."""
    async with ProcessSandbox(workers=2, level=level) as box:
        report = {"before": await verdicts(box)}
        with FAULTS[fault]():
            report["during"] = await verdicts(box)
            async with ProcessSandbox(workers=4, level=level) as another:
                report["during"] += await verdicts(another)
        report["after"] = await verdicts(box)
        report["level"] = box.level
    report["left"] = len(family())
    print(json.dumps(report))


if __name__ == "__main__":
    place = use_small_disk() if sys.argv[1] == "no disk" else None
    asyncio.run(main(*sys.argv[1:]))
    if place is not None:
        assert os.listdir(place) == []
        ctypes.CDLL(None).umount2(place.encode(), 2)
        os.rmdir(place)
