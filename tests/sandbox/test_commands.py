"""Real commands in the command sandbox, hostile ones included, at every level that must hold."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import verigrad
from verigrad.errors import ConfigError, SandboxError
from verigrad.sandbox.base import LEVELS
from verigrad.sandbox.command_root import WORK
from verigrad.sandbox.commands import Command, CommandSandbox
from verigrad.types import Limits

ENCLOSED = ("namespaces", "full")
LIMITS = Limits(cpu_s=5, wall_s=20, processes=30)


def run(box, *argv, limits=LIMITS, **options):
    return asyncio.run(box.run(Command(argv, **options), limits))


def shell(box, script, limits=LIMITS, **options):
    return run(box, "sh", "-c", script, limits=limits, **options)


def python(box, script, *arguments, limits=LIMITS, **options):
    """By the interpreter of these tests, which an ordinary user may not reach where nothing is shown."""
    visible = (sys.prefix, sys.base_prefix)
    return run(box, sys.executable, "-c", script, *arguments, limits=limits, visible=visible, **options)


@pytest.fixture(params=LEVELS)
def box(request, commands_at):
    return commands_at(request.param)


@pytest.fixture(params=ENCLOSED)
def enclosed(request, commands_at):
    return commands_at(request.param)


# ------------------------------------------------------------------------------------------ what it gives


def test_what_a_command_is_given_and_gives(box):
    script = """
        cat; cat in/a.txt; ./run.sh; echo to stderr >&2
        echo "$NAME $HOME $LANG" | sed "s#$TMPDIR#TMP#"; env | wc -l
        mkdir -p out/deep; printf kept > out/deep/file; ln -s in/a.txt link; mkfifo pipe; exit 3
    """
    files = {"in/a.txt": b"given\n", "run.sh": b"#!/bin/sh\necho ran\n"}
    keep = ("out/deep/file", "in/a.txt", "link", "pipe", "out", "absent", "out/absent", "in/a.txt/x")
    done = shell(box, script, files=files, stdin=b"typed\n", environment={"NAME": "a b"}, keep=keep)
    assert (done.status, done.exit_code, done.error) == ("exited", 3, "")
    *lines, size = done.stdout.decode().split("\n")[:-1]
    assert lines == ["typed", "given", "ran", "a b TMP C.UTF-8"]
    assert int(size) <= 7  # NAME PATH HOME TMPDIR LANG, and what the shell adds
    assert done.stderr == b"to stderr\n"
    assert shell(box, "./a.sh; test -x b.txt", files={"a.sh": b"#!/bin/sh\nexit 0", "b.txt": b"x"}).exit_code == 1
    assert done.files == {"out/deep/file": b"kept", "in/a.txt": b"given\n"}
    assert 0 < done.cpu_ms < 5000


def test_how_a_command_may_end(box):
    assert (run(box, "true").status, run(box, "false").exit_code) == ("exited", 1)
    killed = shell(box, "kill -SEGV $$")
    assert (killed.status, killed.exit_code) == ("crashed", None)
    assert "signal 11" in killed.error
    absent = run(box, "no-such-program")
    assert (absent.status, absent.error) == ("crashed", "cannot start 'no-such-program': No such file or directory")


def test_large_input_and_output(box):
    text = os.urandom(600_000)
    assert run(box, "cat", stdin=text).stdout == text
    assert shell(box, "cat given >&2; cp given kept", files={"given": text}, keep=("kept",)).files["kept"] == text


@pytest.mark.parametrize(
    "wrong",
    [
        {"argv": ()},
        {"argv": ("",)},
        {"argv": ("a\0b",)},
        {"argv": ("cat",), "files": {"../x": b""}},
        {"argv": ("cat",), "files": {"/etc/x": b""}},
        {"argv": ("cat",), "keep": ("a//b",)},
        {"argv": ("cat",), "visible": ("relative",)},
        {"argv": ("cat",), "environment": {"A": "\0"}},
    ],
)
def test_a_command_that_cannot_be_meant(wrong):
    with pytest.raises(ValueError, match=r"empty|inside the working directory|absolute|null"):
        Command(**wrong)


# ------------------------------------------------------------------------------------------------ limits

BURN = "while :; do :; done"
COUNT = "j=0; while [ $j -lt 60000 ]; do j=$((j+1)); done"
HOG = "x = bytearray(80 << 20)\nimport time\ntime.sleep(10)"


@pytest.mark.parametrize(
    ("script", "limits", "status", "error"),
    [
        ("sleep 60", {"wall_s": 0.5}, "timeout", "elapsed"),
        ("sleep 60 & exec >&- 2>&-; sleep 60", {"wall_s": 0.5}, "timeout", "elapsed"),
        (BURN, {"cpu_s": 0.4}, "timeout", "CPU"),
        (f"for i in 1 2 3 4; do ({BURN}) & done; wait", {"cpu_s": 0.6}, "timeout", "CPU"),  # all together
        ("while :; do (:); done", {"cpu_s": 0.4}, "timeout", "CPU"),  # each ends long before the limit
        (f"while :; do ({COUNT} &); sleep 0.1; done", {"cpu_s": 0.6}, "timeout", "CPU"),  # orphans, one by one
        ("yes", {"output_bytes": 5000}, "output_limit", "5000"),
        ("yes >&2", {"output_bytes": 5000}, "output_limit", "5000"),
        ("(yes & sleep 60) & sleep 60", {"output_bytes": 5000}, "output_limit", "5000"),
    ],
)
def test_limits_of_the_tree(box, script, limits, status, error):
    done = shell(box, script, limits=Limits(**{"wall_s": 30.0, "processes": 30, **limits}))
    assert (done.status, done.exit_code) == (status, None)
    assert error in done.error
    assert len(done.stdout) + len(done.stderr) <= 5000


@pytest.mark.parametrize("script", [HOG, f"import os\nfor _ in range(3): os.fork()\n{HOG}".replace("80", "15")])
def test_memory_of_one_process_and_of_many(enclosed, script):
    limits = Limits(memory_mb=60, processes=30)
    done = python(enclosed, script, limits=limits)
    assert (done.status, done.error) == ("memory", "over 60 MiB of memory")
    assert python(enclosed, "x = bytearray(20 << 20)", limits=limits).status == "exited"


def test_memory_shared_and_in_segments_counts_as_well(enclosed):
    shared = (
        "import mmap, time\nm = mmap.mmap(-1, 80 << 20)\nfor _ in range(80): m.write(b'x' * (1 << 20))\ntime.sleep(10)"
    )
    assert python(enclosed, shared, limits=Limits(memory_mb=60)).status == "memory"


def test_page_tables_count_as_memory(enclosed):
    """One page in each GiB of the address space, for which the kernel needs three."""
    sparse = """
import ctypes, time
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
for place in range(1, 10000):
    address = libc.mmap(ctypes.c_void_p(place << 30), ctypes.c_size_t(4096), 3, 0x100022, -1, ctypes.c_long(0))
    if address == place << 30:
        ctypes.memset(address, 1, 1)
time.sleep(10)
"""
    assert python(enclosed, sparse, limits=Limits(memory_mb=90)).status == "memory"


def test_address_space_is_free(enclosed):
    """Node and the sanitizers reserve gigabytes and use little."""
    script = "import mmap\nm = mmap.mmap(-1, 8 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_NORESERVE)"
    assert python(enclosed, script, limits=Limits(memory_mb=60)).status == "exited"


def test_file_size_and_open_files(box):
    limits = Limits(file_mb=1, processes=5)
    done = shell(box, "head -c 3000000 /dev/zero > big; wc -c < big; ulimit -n", limits=limits)
    assert done.stdout.split() == [b"1048576", b"512"]


@pytest.mark.parametrize("places", ["/work", "/tmp", "/dev/shm", "/work /tmp /dev/shm"])
def test_the_disk_is_capped_wherever_one_writes(enclosed, places):
    script = f"for d in {places}; do for i in $(seq 20); do head -c 1000000 /dev/zero > $d/$i; done; done; true"
    script += "; du -skc /work /tmp /dev/shm | tail -1"
    done = shell(enclosed, script, disk_mb=8)
    assert 7000 < int(done.stdout.split()[0]) <= 8192
    many = "for i in $(seq 3000); do true > $i || break; done; ls | wc -l"
    assert 400 < int(shell(enclosed, many, disk_mb=8).stdout) <= 512


def test_a_full_disk_is_its_own_only(enclosed):
    assert shell(enclosed, "head -c 9000000 /dev/zero > a", disk_mb=4).exit_code != 0
    assert shell(enclosed, "ls /work /tmp /dev/shm; head -c 3000000 /dev/zero > a", disk_mb=4).exit_code == 0


SPIN = "print('up', flush=True)\nwhile True:\n    pass\n"


@pytest.mark.parametrize("level", [pytest.param("process", marks=pytest.mark.slow), "full"])
def test_waiting_for_a_processor_is_not_the_commands_time(commands_at, level):
    """Twelve neighbours on one processor: 0.2 s of CPU take over two seconds, of which little counts as elapsed."""
    commands_at(level)
    work = f"sh -c '{COUNT.replace('60000', '100000')}'"  # two of them, one after the other

    async def main():
        async with CommandSandbox(workers=1, level=level) as box:
            limits = Limits(wall_s=1.0, processes=5)
            await box.run(Command(("true",)), LIMITS)
            spin = (sys.executable, "-S", "-c", SPIN)
            neighbours = [subprocess.Popen(spin, start_new_session=True, stdout=subprocess.PIPE) for _ in range(12)]
            try:
                for neighbour in neighbours:
                    neighbour.stdout.readline()
                start = time.monotonic()
                busy = await box.run(Command(("sh", "-c", f"{work}; {work}")), limits)
                took_s = time.monotonic() - start
                asleep = await box.run(Command(("sleep", "30")), limits)
            finally:
                for neighbour in neighbours:
                    neighbour.kill()
                    neighbour.communicate()
            return busy, took_s, asleep

    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        busy, took_s, asleep = asyncio.run(main())
    finally:
        os.sched_setaffinity(0, allowed)
    assert took_s > 1.5
    assert busy.exit_code == 0, busy
    assert 100 <= busy.cpu_ms <= busy.wall_ms <= 1000
    assert (asleep.status, "elapsed" in asleep.error) == ("timeout", True)


@pytest.fixture
def one_processor(commands_at):
    commands_at("full")  # other tests' workers, which are to have all processors
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    yield
    os.sched_setaffinity(0, allowed)


@pytest.mark.usefixtures("one_processor")
def test_a_crowd_of_its_own_is_no_busy_machine():
    """64 that spin on one processor, to be ended by the clock, not by 3 s of CPU time."""
    limits = Limits(cpu_s=3, wall_s=0.7, processes=70)

    async def main():
        async with CommandSandbox(workers=1, level="full") as box:
            script = f"i=0; while [ $i -lt 64 ]; do ({BURN}) & i=$((i+1)); done; wait"
            return await box.run(Command(("sh", "-c", script)), limits)

    done = asyncio.run(main())
    assert (done.status, done.error) == ("timeout", "over 0.7 s of elapsed time")
    assert done.wall_ms > 650


@pytest.mark.usefixtures("one_processor")
def test_nor_is_one_that_then_sleeps():
    """Sixteen at once, which wait for each other many times as long as all of them run, then half a second of sleep."""

    async def main():
        async with CommandSandbox(workers=1, level="full") as box:
            script = f"i=0; while [ $i -lt 16 ]; do ({COUNT.replace('60000', '10000')}) & i=$((i+1)); done; wait"
            return await box.run(Command(("sh", "-c", f"{script}; sleep 0.5")), LIMITS)

    done = asyncio.run(main())
    assert done.exit_code == 0
    assert done.wall_ms > done.cpu_ms + 450


# ------------------------------------------------------------------------------------------ what it leaves

LEAVINGS = {
    "in the background": "sleep 321 & sleep 321 >/dev/null 2>&1 </dev/null &",
    "daemonised": "(setsid sh -c 'sleep 321 & sleep 321' >/dev/null 2>&1 &) ; sleep 0.1",
    "deaf": "sh -c 'trap \"\" TERM HUP INT; while :; do sleep 321; done' & sleep 0.1",
    "stopped": "sleep 321 & kill -STOP $!",
    "fork bomb": "f() { f | f & }; f; sleep 0.3",
    "fork bomb that waits": "f() { f & f; }; f",
}


@pytest.mark.parametrize("script", LEAVINGS.values(), ids=LEAVINGS)
def test_nothing_is_left_running(box, descendants, script):
    assert run(box, "true").status == "exited"
    before = descendants()
    done = shell(box, script, limits=Limits(cpu_s=2, wall_s=3, processes=20))
    assert done.status in ("exited", "timeout", "memory")
    assert descendants() == before
    assert run(box, "echo", "next").stdout == b"next\n"


def test_a_fork_bomb_meets_the_limit_on_processes(enclosed):
    script = """
import os, time
number = 0
try:
    while os.fork():
        number += 1
    time.sleep(9)
except OSError:
    print(number)
"""
    assert python(enclosed, script, limits=Limits(processes=7)).stdout == b"7\n"


def test_nothing_remains(descendants):
    """Processes, descriptors and mounts of us and the workers, after many commands of every kind."""

    def held():
        pids = {os.getpid(), *(descendants() - others)}
        descriptors = sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)
        return len(pids), descriptors, len(Path("/proc/self/mountinfo").read_text().splitlines())

    async def main(level):
        async with CommandSandbox(workers=2, level=level) as box:
            try:
                assert box.level == level
            except SandboxError as error:
                pytest.skip(str(error))
            limits = Limits(cpu_s=0.2, wall_s=0.4, output_bytes=5000, processes=10)
            scripts = ["true", "exit 3", "yes", "nonsense", BURN, *LEAVINGS.values()]
            jobs = [Command(("sh", "-c", script), files={"a": b"b"}, keep=("a",)) for script in scripts]
            await asyncio.gather(*(box.run(job, limits) for job in jobs[:4]))
            before = held()
            await asyncio.gather(*(box.run(job, limits) for job in jobs * 2))
            assert held() == before

    others = descendants()
    folders = set(Path("/tmp").glob("verigrad-*"))
    for level in LEVELS:
        asyncio.run(main(level))
        assert descendants() == others
        assert {path for path in Path("/tmp").glob("verigrad-command-*") if path not in folders} == set()


def test_commands_die_with_the_judge(commands_at):
    level = commands_at("auto").level
    script = f"""
import asyncio
from verigrad.sandbox.commands import Command, CommandSandbox
from verigrad.types import Limits
async def main():
    box = CommandSandbox(workers=1, level={level!r})
    await box.run(Command(("sleep", "7654321")), Limits(wall_s=200))
asyncio.run(main())
"""
    judge = subprocess.Popen(
        [sys.executable, "-c", script], env={"PYTHONPATH": str(Path(verigrad.__file__).parents[1])}
    )
    wait_until(lambda: running("7654321"))
    judge.kill()
    judge.wait()
    wait_until(lambda: not running("7654321"))


def running(argument):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:2] == [b"sleep", argument.encode()]:
            found.append(pid)
    return found


def wait_until(holds):
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_worker_that_was_killed_is_replaced(descendants):
    others = descendants()
    with_workers = CommandSandbox(workers=1)
    try:
        assert run(with_workers, "true").status == "exited"
        for pid in descendants() - others:
            os.kill(pid, signal.SIGKILL)
        assert run(with_workers, "echo", "again").stdout == b"again\n"
    finally:
        asyncio.run(with_workers.close())
    assert descendants() == others


# --------------------------------------------------------------------------------------- what it may reach


def open_to_all(folder):
    """pytest's folders are for its user only, which is not what is to be tested here."""
    for path in (folder, folder.parent, folder.parent.parent):
        if path.stat().st_mode & 0o5 != 0o5:
            path.chmod(0o755)


def test_files_of_the_machine(enclosed, tmp_path):
    secret = tmp_path / "tests.json"
    secret.write_text("expected=42")
    open_to_all(tmp_path)
    places = f"{secret} /proc/1/root{secret} /proc/1/cwd{secret} /..{secret} /proc/self/root/../..{secret}"
    done = shell(enclosed, f"cat {places} /etc/shadow; cat /etc/passwd; ls / /home /root /var /sys; ls {tmp_path}")
    assert b"expected=42" not in done.stdout
    assert b"sandbox:x:" in done.stdout
    assert b"root" not in done.stdout


def test_what_landlock_leaves(commands_at, tmp_path):
    """No file but the system's programs and its own, no socket, nobody to signal."""
    box = commands_at("landlock")
    secret, open_folder = tmp_path / "tests.json", tmp_path / "open"
    secret.write_text("expected=42")
    open_folder.mkdir()
    open_to_all(tmp_path)
    open_folder.chmod(0o777)
    script = f"cat {secret} /etc/passwd /proc/1/cmdline; ls /home /root /tmp /proc {tmp_path}; echo x > {open_folder}/x"
    script += "; cp /bin/true $TMPDIR; $TMPDIR/true && echo own > here && cat here; ls /usr > /dev/null && echo listed"
    assert shell(box, script).stdout == b"own\nlisted\n"
    assert os.listdir(open_folder) == []
    sockets = """
import os, socket, sys
for family, kind in ((socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_DGRAM), (socket.AF_UNIX, 1)):
    try:
        socket.socket(family, kind)
    except PermissionError:
        print("none")
socket.socketpair()
try:
    os.kill(int(sys.argv[1]), 0)
except PermissionError:
    print("nobody")
"""
    if shell(box, "command -v python3").exit_code != 0:
        pytest.skip("no python3 below /usr to try sockets with")
    done = run(box, "python3", "-c", sockets, str(os.getpid()))
    assert done.stdout.split() == [b"none"] * 3 + [b"nobody"], done.stderr


def test_the_root_holds_nothing_else(enclosed):
    found = set(shell(enclosed, "ls -A /").stdout.decode().split())
    assert found <= {
        "bin",
        "dev",
        "empty",
        "etc",
        "lib",
        "lib32",
        "lib64",
        "libx32",
        "proc",
        "sbin",
        "tmp",
        "usr",
        "work",
    }
    assert shell(enclosed, "ls -A /tmp /dev/shm /empty /work | grep -v :").stdout.split() == []
    packages = shell(enclosed, "ls -A /usr/lib/python3/dist-packages /usr/local/lib/python3*/dist-packages | grep -v :")
    assert packages.stdout.split() == []


def test_what_is_shown_can_be_read_and_not_changed(enclosed, tmp_path):
    open_to_all(tmp_path)
    (tmp_path / "tool").write_text("tool")
    tmp_path.chmod(0o777)
    (tmp_path / "tool").chmod(0o666)  # so that nothing but the mount and Landlock stands in the way
    script = f"cat {tmp_path}/tool; echo x > {tmp_path}/tool; echo x > {tmp_path}/new; rm -f {tmp_path}/tool"
    script += "; echo x > /usr/x; echo x > /x; echo x > /etc/passwd; mv /usr/bin/env /tmp; chmod 777 /usr/bin/env"
    assert shell(enclosed, script, visible=(str(tmp_path),)).stdout == b"tool"
    assert (tmp_path / "tool").read_text() == "tool" and os.listdir(tmp_path) == ["tool"]


def test_nothing_passes_from_one_command_to_the_next(enclosed):
    wrote = shell(enclosed, f"echo x | tee /tmp/x /dev/shm/x {WORK}/x $HOME/.profile; sleep 321 &")
    assert wrote.exit_code == 0 and wrote.stderr == b""
    left = shell(enclosed, f"ls -A /tmp /dev/shm {WORK} $HOME | grep -v :; grep -l '^sleep' /proc/[0-9]*/comm")
    assert left.stdout.split() == []


def test_the_network_is_its_own(enclosed):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind("\0verigrad-commands")
        local.listen()
        script = """
import socket, sys
def reached(family, address):
    link = socket.socket(family)
    link.settimeout(2)
    try:
        link.connect(address)
        return True
    except OSError:
        return False
print(reached(socket.AF_INET, ("127.0.0.1", int(sys.argv[1]))), reached(socket.AF_INET, ("10.0.0.1", 53)),
      reached(socket.AF_UNIX, "\\0verigrad-commands"), [name for _, name in socket.if_nameindex()])
server = socket.create_server(("127.0.0.1", 0))
print(reached(socket.AF_INET, server.getsockname()))
"""
        done = python(enclosed, script, str(server.getsockname()[1]))
        assert done.stdout == b"False False False ['lo']\nTrue\n", done.stderr


def test_other_processes(enclosed):
    script = f"kill -9 {os.getpid()}; kill -9 1; kill -INT 1; kill -TERM 1; ls /proc/{os.getpid()}; cat /proc/1/environ"
    done = shell(enclosed, f"{script}; ls -d /proc/[0-9]* | wc -l; sleep 321 & kill -9 -1; echo lives")
    count, lives = done.stdout.split()
    assert int(count) <= 5
    assert lives == b"lives"  # to -1 belong neither the sender nor the first of the namespace


def test_the_watching_process_cannot_be_hurt(enclosed):
    script = """
import os, resource, signal
def tried(action):
    try:
        action()
        return True
    except OSError:
        return False
print(tried(lambda: resource.prlimit(1, resource.RLIMIT_CPU, (0, 0))),
      tried(lambda: open("/proc/1/mem", "rb")), tried(lambda: os.listdir("/proc/1/fd")),
      [tried(lambda: os.kill(1, number)) and False for number in (2, 9, 15, 19)] and "alive")
"""
    done = python(enclosed, script)
    if enclosed.level == "full" or os.geteuid() == 0:
        assert done.stdout == b"False False False alive\n", done.stderr
    assert done.status == "exited"


def test_the_mechanisms_are_in_force(enclosed):
    script = "grep -E '^(CapEff|CapPrm|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; id -u; hostname"
    *facts, uid, host = shell(enclosed, script).stdout.decode().split("\n")[:-1]
    found = dict(fact.split(":\t") for fact in facts)
    assert {found[name] for name in ("CapEff", "CapPrm", "CapBnd")} == {"0" * 16}
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2" if enclosed.level == "full" else "0")
    assert (uid != "0" or os.geteuid() != 0) and host == "sandbox"


def test_dangerous_calls_are_refused_at_level_full(commands_at):
    script = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def refused(number, *arguments):
    ctypes.set_errno(0)
    done = libc.syscall(ctypes.c_long(number), *map(ctypes.c_ulong, arguments))
    return done < 0 and ctypes.get_errno() in (1, 38)
calls = {"unshare": (272, 0x10000000), "clone": (56, 0x10000011), "clone3": (435,), "ptrace": (101, 0), "bpf": (321,),
         "keyctl": (250,), "io_uring": (425, 1), "memfd": (319,), "shmget": (29, 0, 4096, 0o1600), "mount": (165,),
         "perf": (298,), "userfaultfd": (323, 1), "packet": (41, 17, 3, 0), "vsock": (41, 40, 1, 0)}
print([name for name, call in calls.items() if not refused(*call)])
import os, subprocess, threading
threading.Thread(target=print, args=("thread",)).start()
print(subprocess.run(["echo", "child"], capture_output=True).stdout)
"""
    if os.uname().machine != "x86_64":
        pytest.skip("the numbers are those of x86-64")
    done = python(commands_at("full"), script)
    assert set(done.stdout.decode().split("\n")[:-1]) == {"[]", "thread", "b'child\\n'"}, done.stderr


# ------------------------------------------------------------------------------------------------ trouble


def test_trouble_of_ours_is_no_result(commands_at):
    box = commands_at("auto")
    if box.level in ENCLOSED:
        with pytest.raises(SandboxError, match="no-such-folder"):
            run(box, "true", visible=("/no-such-folder",))
        with pytest.raises(SandboxError, match="No space left"):
            run(box, "true", files={"a": b"x" * (3 << 20)}, disk_mb=2)
    with pytest.raises(SandboxError, match=r"File exists|is a directory|Not a directory"):
        run(box, "true", files={"a": b"", "a/b": b""})
    assert run(box, "true").status == "exited"
    with pytest.raises(ConfigError, match="'process', 'landlock', 'namespaces', 'full'"):
        CommandSandbox(level="perfect")
    closed = CommandSandbox(workers=1)
    asyncio.run(closed.close())
    with pytest.raises(SandboxError, match="closed"):
        run(closed, "true")


def test_no_more_than_the_workers_run_at_once(descendants):
    async def main():
        async with CommandSandbox(workers=2) as box:
            jobs = [box.run(Command(("sh", "-c", "sleep 0.2; echo $0", str(index))), LIMITS) for index in range(7)]
            most = 0
            waiting = asyncio.gather(*jobs)
            while not waiting.done():
                most = max(most, len(running("0.2")))
                await asyncio.sleep(0.02)
            return most, [int(done.stdout) for done in await waiting]

    most, printed = asyncio.run(main())
    assert 1 <= most <= 2
    assert printed == list(range(7))


@pytest.mark.skipif(shutil.which("node") is None, reason="no node here")
def test_node_runs_with_little_memory(enclosed):
    done = run(
        enclosed, "node", "-e", "console.log([1, 2].map(x => x * 2))", limits=Limits(memory_mb=200, processes=20)
    )
    assert done.stdout == b"[ 2, 4 ]\n", done
