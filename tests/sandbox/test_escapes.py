"""What programs reach for at each level: nothing is gained where a level must hold, and it shows where none does."""

import asyncio
import os
import socket
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from sandbox.escapes import ESCAPES, LEAVINGS, holds
from sandbox.exploits import HONEST

from verigrad.sandbox.base import LEVELS, Call
from verigrad.sandbox.usage import page_tables_kib
from verigrad.types import Limits

LIMITS = Limits(cpu_s=2, wall_s=10, processes=4)


def run(box, program, *inputs, limits=LIMITS):
    execution = asyncio.run(box.run(program, inputs, limits))
    return execution.outcomes[0] if execution.outcomes else execution


def at_least(level):
    return LEVELS[LEVELS.index(level) :]


@pytest.fixture(scope="module")
def judge():
    """What a program may be told of us, and two listeners that greet whoever comes."""
    name = f"verigrad-{os.getpid()}"
    with (
        tempfile.TemporaryDirectory() as folder,  # pytest's own are for its user only
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as local,
    ):
        os.chmod(folder, 0o755)
        file = Path(folder) / "tests.json"
        file.write_text("expected=42")
        local.bind("\0" + name)
        local.listen()
        for server in (tcp, local):
            threading.Thread(target=greet, args=(server,), daemon=True).start()
        port = tcp.getsockname()[1]
        yield {"file": str(file), "folder": folder, "port": port, "socket": name, "pid": os.getpid()}
        for server in (tcp, local):
            server.shutdown(socket.SHUT_RDWR)


def greet(server):
    while True:
        try:
            with server.accept()[0] as link:
                link.sendall(b"expected=42")
        except OSError:
            return


def gained(outcome):
    """What an escape came back with; one that was killed for it has gained nothing."""
    assert outcome.status in ("returned", "crashed"), outcome
    return outcome.value if outcome.status == "returned" else None


@pytest.mark.parametrize(
    ("name", "level"), [(n, x) for n, (low, _) in ESCAPES.items() for x in LEVELS if holds(n, low, x)]
)
def test_nothing_is_gained(box_at, judge, name, level):
    box = box_at(level)
    assert not gained(run(box, ESCAPES[name][1], Call("f", (judge,))))
    assert run(box, HONEST, Call("f", (2,))).value == 11


@pytest.mark.parametrize(
    ("name", "level"), [(n, x) for n, (low, _) in LEAVINGS.items() for x in LEVELS if holds(n, low, x)]
)
def test_nothing_is_left_for_the_next(box_at, name, level):
    box = box_at(level)
    program = LEAVINGS[name][1]
    for _ in range(4):  # both workers have run it
        run(box, program, Call("leave"))
    for _ in range(4):
        outcome = run(box, program, Call("look"))
        if level == "landlock" and outcome.status == "exception":  # there is nowhere to look
            assert "PermissionError" in outcome.error or "FileNotFoundError" in outcome.error
        else:
            assert not gained(outcome)
    assert run(box, HONEST, Call("f", (2,))).value == 11


# These work wherever they are let, so they show that the programs above would gain something.
SHOWN = {
    "read the password file": "process",
    "read a file of the judge": "process",
    "list the folders of the machine": "process",
    "connect to a port of the machine": "process",
    "connect to an abstract socket": "process",
    "see other processes": "landlock",
    "make a socket": "namespaces",
    "be traced": "namespaces",
    "links, pipes and devices of its own": "namespaces",
    "a user namespace": "namespaces",
    "mount": "namespaces",
    "calls that programs have no use for": "namespaces",
    "files in memory": "namespaces",
    "large pipes": "namespaces",
    "pages of files in sockets": "namespaces",
    "rules of Landlock for ports": "namespaces",
}


@pytest.mark.parametrize("name", SHOWN)
def test_a_lower_level_does_not_stop_it(box_at, judge, name):
    assert gained(run(box_at(SHOWN[name]), ESCAPES[name][1], Call("f", (judge,))))


@pytest.mark.skipif(os.geteuid() == 0, reason="root's programs are another user's")
@pytest.mark.parametrize(
    "name", ["signal the judge", "slow the judge down", "change what is said of a file of the judge"]
)
def test_the_same_user_needs_more_than_a_process(box_at, judge, name):
    assert gained(run(box_at("process"), ESCAPES[name][1], Call("f", (judge,))))


def test_without_private_files_nothing_can_be_written(box_at):
    program = """
import os, tempfile
def f():
    made = []
    for folder in (".", "/tmp", "/dev/shm", "/var/tmp", os.getcwd()):
        try:
            open(folder + "/vg-left", "w").close()
            made.append(folder)
        except OSError:
            pass
    return made, os.listdir(".")
"""
    outcome = run(box_at("landlock"), program, Call("f"))
    assert outcome.status == "exception"  # the current folder cannot be listed either
    assert "PermissionError" in outcome.error
    program = program.replace('os.listdir(".")', "[]")
    assert run(box_at("landlock"), program, Call("f")).value == ([], [])


def test_shared_memory_stays_at_a_lower_level(box_at):
    box, program = box_at("namespaces"), LEAVINGS["shared memory"][1]
    for _ in range(4):
        run(box, program, Call("leave"))
    assert gained(run(box, program, Call("look")))


def test_all_but_the_private_files_is_read_only(box_at):
    program = """
import os, sys
def f():
    folders = ["/", "/dev", "/dev/null", "/tmp", "/tmp/..", *(path for path in sys.path if os.path.exists(path))]
    return [path for path in folders if not os.statvfs(path).f_flag & os.ST_RDONLY]
"""
    assert run(box_at("full"), program, Call("f")).value == ["/tmp"]


@pytest.mark.parametrize("level", at_least("namespaces"))
def test_private_files_are_capped_in_size_and_number(box_at, level):
    program = """
import os
def size():
    written = 0
    try:
        for number in range(10):
            with open(f"/tmp/{number}", "wb", buffering=0) as file:
                for _ in range(15):
                    written += file.write(bytes(1 << 20))
    except OSError:
        return written
def unlinked():
    written, held = 0, []
    try:
        for number in range(10):
            with open("/tmp/gone", "wb", buffering=0) as file:
                held.append(os.dup(file.fileno()))
                os.unlink("/tmp/gone")
                for _ in range(15):
                    written += file.write(bytes(1 << 20))
    except OSError:
        return written
def number():
    try:
        for number in range(10000):
            open(f"/tmp/{number}", "w").close()
    except OSError:
        return number
"""
    box = box_at(level)
    for disk_mb in (32, 3, 3, 0, 0, 32):
        limits = replace(LIMITS, disk_mb=disk_mb)
        for _ in range(2):  # the second may find the folder that the first one filled
            for kind in ("size", "unlinked"):
                assert disk_mb - 1 << 20 <= run(box, program, Call(kind), limits=limits).value <= disk_mb << 20
            number = run(box, program, Call("number"), limits=limits).value
            assert 100 < number <= 256 if disk_mb else number == 0


SPARSE = """
import ctypes, os, time
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
def fill():
    "One page in each GiB of the address space, for which the kernel needs three."
    for place in range(1, 60000):
        address = libc.mmap(ctypes.c_void_p(place << 30), ctypes.c_size_t(4096), 3, 0x100022, -1, ctypes.c_long(0))
        if address == place << 30:
            ctypes.memset(address, 1, 1)
def f():
    fill()
def g():
    if os.fork() == 0:
        fill()
    time.sleep(9)
def h():
    if os.fork() == 0:
        if os.fork() == 0:
            fill()
            time.sleep(9)
        os._exit(0)
    os.wait()
    time.sleep(9)
"""


@pytest.mark.parametrize("level", LEVELS)
def test_page_tables_count_as_memory(box_at, level):
    limits = replace(LIMITS, memory_mb=300, cpu_s=9)
    for name in ("f", "g", "h"):  # its own, a child's, an orphan's
        outcome = run(box_at(level), SPARSE, Call(name), limits=limits)
        assert (outcome.status, "page tables" in outcome.error) == ("memory", True), outcome


def test_page_tables_are_its_own_where_children_cannot_be_listed(monkeypatch):
    def own():
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmPTE:"))
        return int(line.split()[1])

    def refuse(path):
        raise FileNotFoundError(path)

    monkeypatch.setattr(os, "listdir", refuse)
    before = own()
    assert 0 < before <= page_tables_kib(os.getpid()) <= own()


@pytest.mark.parametrize("level", ["landlock", "full"])
def test_the_buffers_of_a_programs_descriptors_are_small(box_at, level):
    """Pipes, sockets, and sockets on their way through another: all 64 descriptors full, and as many under way."""
    program = """
import os, socket
written = 0
def fill(end):
    global written
    os.set_blocking(end, False)
    try:
        while True:
            written += os.write(end, bytes(1 << 14))
    except BlockingIOError:
        pass
def pipes():
    held = []
    try:
        while True:
            held += os.pipe()
            fill(held[-1])
    except OSError:
        return written
def sockets():
    held, hub = [], socket.socketpair()
    try:
        while True:
            held += socket.socketpair()
            for end in held[-2:]:
                fill(end.fileno())
            try:
                socket.send_fds(hub[0], [b"x"], [end.fileno() for end in held[-2:]])
                del held[-2:]
            except OSError:
                pass
    except OSError:
        return written
"""
    for name in ("pipes", "sockets"):
        written = run(box_at(level), program, Call(name)).value
        assert 1 << 20 < written < 32 << 20, name


def test_a_fork_bomb_has_as_many_processes_as_the_task_allows(box_at):
    program = """
import os, time
def f():
    made = 0
    try:
        while True:
            if os.fork() == 0:
                time.sleep(60)
                os._exit(0)
            made += 1
    except OSError:
        return made
"""
    assert run(box_at("full"), program, Call("f")).value == LIMITS.processes
    none = Limits(processes=0)
    assert run(box_at("full"), program, Call("f"), limits=none).value == 0
