"""The process that watches over one command: lays out its files, starts it, ends it, reads back what is to be kept.

It is the first process of the command's namespace, or the one that all its orphans come to, so it sees the whole tree
in `/proc`. What the command may be told to it only through its two pipes, its wait status and its files.
"""

from __future__ import annotations

import bisect
import contextlib
import itertools
import marshal
import os
import resource
import select
import signal
import stat
import time
from dataclasses import dataclass
from typing import Any, NoReturn

from verigrad.sandbox.command_enclosure import CommandEnclosure, enclose_command
from verigrad.sandbox.protocol import longest_s, pack, write_all
from verigrad.sandbox.usage import ran_and_starved_s

__all__ = ["run_command"]

_LOOK_MS = 20
"""Time between two looks at what the tree uses."""
_CHUNK = 1 << 16
_MAX_TEXT = 1000
_TICKS = os.sysconf("SC_CLK_TCK")


def run_command(report: int, level: str, uid: int | None, folder: str, job: dict[str, Any]) -> NoReturn:
    """Run one command and write messages to `report`: `[b"ready"]`, then the reply; ends this process.

    The first is `[b"failed", reason]` where the command could not even be started. The reply is `[outcome, stdout,
    stderr, kept file, ...]`; the outcome, in `marshal`'s form, has `status exit_code error cpu_ms wall_ms kept`, where
    `kept` names the files.
    """
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # the other end is gone: so is anyone who would want to know
        enclosure = enclose_command(level, uid, folder, job)
        _lay_out(job["files"], enclosure)
        watch = _start(job, enclosure)
    except OSError as error:
        reason = str(error) if error.filename or not error.strerror else error.strerror  # without "[Errno 1]"
        write_all(report, pack([b"failed", reason.encode("utf-8", "replace")[:_MAX_TEXT]]))
        os._exit(0)
    write_all(report, pack([b"ready"]))
    outcome = watch.until_the_end(report)
    kept = _read_back(enclosure.work, job["keep"])
    outcome["kept"] = list(kept)
    write_all(report, pack([marshal.dumps(outcome), bytes(watch.stdout), bytes(watch.stderr), *kept.values()]))
    os._exit(0)


# ------------------------------------------------------------------------------------------------ files


def _lay_out(files: dict[str, bytes], enclosure: CommandEnclosure) -> None:
    """Write the given files; scripts that name their interpreter and compiled programs may be executed."""
    for name, body in files.items():
        folder = enclosure.work
        for part in name.split("/")[:-1]:
            folder = f"{folder}/{part}"
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder)
                os.chown(folder, enclosure.uid, -1)
        path = f"{enclosure.work}/{name}"
        with open(path, "xb") as file:
            file.write(body)
        os.chmod(path, 0o755 if body.startswith((b"#!", b"\x7fELF")) else 0o644)
        os.chown(path, enclosure.uid, -1)


def _read_back(work: str, names: list[str]) -> dict[str, bytes]:
    """The regular files of these names; what is reached over a link, is no file or cannot be read counts as absent."""
    found = {}
    for name in names:
        with contextlib.suppress(OSError):
            found[name] = _read_file(work, name.split("/"))
    return found


def _read_file(work: str, parts: list[str]) -> bytes:
    place = os.open(work, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            inner = os.open(part, flags, dir_fd=place)
            os.close(place)
            place = inner
        if not stat.S_ISREG(os.fstat(place).st_mode):
            raise OSError(f"{parts[-1]} is no file")
        with open(place, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(place)


# ------------------------------------------------------------------------------------------------ start


def _start(job: dict[str, Any], enclosure: CommandEnclosure) -> _Watch:
    stdin = os.memfd_create("stdin")
    write_all(stdin, job["stdin"])
    os.lseek(stdin, 0, os.SEEK_SET)
    (stdout, stdout_end), (stderr, stderr_end), (failure, failure_end) = os.pipe(), os.pipe(), os.pipe()
    before = _children_cpu_s()
    pid = os.fork()
    if pid == 0:
        _become_command(job, enclosure, (stdin, stdout_end, stderr_end, failure_end))
    for fd in (stdin, stdout_end, stderr_end, failure_end):
        os.close(fd)
    with open(failure, "rb") as file:
        reason = file.read().decode("utf-8", "replace")
    if reason.startswith("!"):
        os.waitpid(pid, 0)
        raise OSError(reason[1:])
    os.set_blocking(stdout, False)
    os.set_blocking(stderr, False)
    return _Watch(job["limits"], enclosure, pid, stdout, stderr, before, not_started=reason)


def _become_command(job: dict[str, Any], enclosure: CommandEnclosure, ends: tuple[int, int, int, int]) -> NoReturn:
    """In the fork: say why if it cannot be, with a mark in front if that is no fault of the command's."""
    *streams, failure = ends
    try:
        os.setsid()
        enclosure.enter()
        for end, fd in zip(streams, (0, 1, 2), strict=True):
            os.dup2(end, fd)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):  # what Python and we ignore
            signal.signal(number, signal.SIG_DFL)
        basis = {"HOME": enclosure.temporary, "TMPDIR": enclosure.temporary, "LANG": "C.UTF-8"}
        try:
            os.execvpe(job["argv"][0], job["argv"], {**basis, **job["environment"]})
        except OSError as error:
            os.write(failure, f"cannot start {job['argv'][0]!r}: {error.strerror}".encode()[:_MAX_TEXT])
    except BaseException as error:
        os.write(failure, f"!{error}".encode("utf-8", "replace")[:_MAX_TEXT])
    os._exit(127)


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


# ------------------------------------------------------------------------------------------------ watch


class _Stopped(Exception):
    """A limit was passed; `status` says which."""

    def __init__(self, status: str, error: str) -> None:
        super().__init__(error)
        self.status, self.error = status, error


class _Watch:
    """A running command and what it gave so far."""

    def __init__(
        self,
        limits: dict[str, Any],
        enclosure: CommandEnclosure,
        pid: int,
        stdout: int,
        stderr: int,
        cpu_before_s: float,
        *,
        not_started: str,
    ) -> None:
        self._limits, self._enclosure, self._pid, self._pipes = limits, enclosure, pid, (stdout, stderr)
        self._not_started = not_started
        self._cpu_before_s = cpu_before_s
        self._started = time.monotonic()
        self._starved_s = 0.0
        self._counted: list[tuple[float, int, float]] = []
        self._queues_before: dict[int, tuple[float, float]] = {}
        self._looks, self._cpu_at_looks = [self._started], [0.0]
        self._exit_status: int | None = None
        self.stdout, self.stderr = bytearray(), bytearray()

    def until_the_end(self, report: int) -> dict[str, Any]:
        """Wait until the command's own process ends or a limit is passed, then kill all that is left.

        `report` tells when nobody waits for the reply any more.
        """
        status, error = "", ""
        try:
            self._wait(report)
        except _Stopped as stop:
            status, error = stop.status, stop.error
        if self._exit_status is None:
            self._kill_leader()
        self._enclosure.kill_all()
        try:
            for pipe in self._pipes:
                while self._read(pipe):
                    pass
        except _Stopped as stop:
            status, error = status or stop.status, error or stop.error
        cpu_s = _children_cpu_s() - self._cpu_before_s
        code = os.waitstatus_to_exitcode(self._exit_status or 0)
        if not status:
            status, error = self._how_it_ended(code, cpu_s)
        return {
            "status": status,
            "exit_code": code if status == "exited" else None,
            "error": error,
            "cpu_ms": 1000 * cpu_s,
            "wall_ms": 1000 * self._elapsed_s(cpu_s),
        }

    def _elapsed_s(self, cpu_s: float) -> float:
        """Seconds since the start in which the tree ran, or waited for anything but a processor.

        Of its processes some may run while others starve, so what is left may be less than the CPU time, and is
        then that.
        """
        elapsed_s = time.monotonic() - self._started
        return max(elapsed_s - self._starved_s, min(elapsed_s, cpu_s))

    def _kill_leader(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def _how_it_ended(self, code: int, cpu_s: float) -> tuple[str, str]:
        peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        if self._not_started:
            return "crashed", self._not_started
        if code >= 0:
            return "exited", ""
        if code == -signal.SIGKILL and peak_kib > 512 * self._limits["memory_mb"]:
            return "memory", self._too_much("memory_mb", "MiB of memory")
        if code == -signal.SIGXCPU or (code == -signal.SIGKILL and cpu_s >= self._limits["cpu_s"]):
            return "timeout", self._too_much("cpu_s", "s of CPU time")
        return "crashed", f"killed by signal {-code} ({signal.strsignal(-code)})"

    def _wait(self, report: int) -> None:
        leader = os.pidfd_open(self._pid)
        poll = select.poll()
        for fd in (*self._pipes, leader):
            poll.register(fd, select.POLLIN)
        poll.register(report, 0)  # errors only
        while self._exit_status is None:
            ready = dict(poll.poll(_LOOK_MS))
            if report in ready:
                raise _Stopped("crashed", "nobody waits for the command any more")
            for pipe in self._pipes:
                if pipe in ready and not self._read(pipe):
                    poll.unregister(pipe)
            self._reap()
            if self._exit_status is None:
                self._check_limits()
        os.close(leader)

    def _read(self, pipe: int) -> bool:
        """Keep a chunk of output; False where there is none now, or never again."""
        try:
            chunk = os.read(pipe, _CHUNK)
        except BlockingIOError:
            return False
        room = self._limits["output_bytes"] - len(self.stdout) - len(self.stderr)
        (self.stdout if pipe == self._pipes[0] else self.stderr).extend(chunk[:room])
        if len(chunk) > room:
            raise _Stopped("output_limit", self._too_much("output_bytes", "bytes of output"))
        return bool(chunk)

    def _reap(self) -> None:
        """Collect processes that ended, orphans too, and note how the command's own did."""
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                if ended[0] == self._pid:
                    self._exit_status = ended[1]

    def _check_limits(self) -> None:
        usage = _tree_usage()
        cpu_s = usage.cpu_s + _children_cpu_s() - self._cpu_before_s
        self._note_starving(usage.queues, cpu_s)
        wall_s = self._limits["wall_s"]
        if time.monotonic() - self._started > min(wall_s + self._starved_s, longest_s(wall_s)):
            raise _Stopped("timeout", self._too_much("wall_s", "s of elapsed time"))
        if cpu_s > self._limits["cpu_s"]:
            raise _Stopped("timeout", self._too_much("cpu_s", "s of CPU time"))
        if usage.memory_kib > 1024 * self._limits["memory_mb"]:
            raise _Stopped("memory", self._too_much("memory_mb", "MiB of memory"))

    def _note_starving(self, queues: dict[int, tuple[float, float]], cpu_s: float) -> None:
        """Add the longest time since the last look that others than the tree kept one of its processes waiting.

        Of what a process waited, what the rest of the tree ran meanwhile, spread over the processors, is the tree's own
        doing, and what was counted meanwhile for the waits of others is counted already. The kernel tells of a wait
        once it is over, so it may have begun before the last look.
        """
        now = time.monotonic()
        self._looks.append(now)
        self._cpu_at_looks.append(cpu_s)
        longest_s, longest_of = 0.0, 0
        for pid, (ran_s, waited_s) in queues.items():
            ran_before_s, waited_before_s = self._queues_before.get(pid, (0.0, 0.0))
            ran_s, waited_s = ran_s - ran_before_s, waited_s - waited_before_s
            if waited_s > longest_s:
                begun = now - waited_s - ran_s
                others_s = max(cpu_s - self._cpu_at(begun) - ran_s, 0.0)
                by_others_s = waited_s - others_s / _processors(pid) - self._counted_since(begun, besides=pid)
                if by_others_s > longest_s:
                    longest_s, longest_of = by_others_s, pid
        self._queues_before = queues
        if longest_s > 0:
            self._counted.append((now, longest_of, longest_s))
            self._starved_s += longest_s

    def _counted_since(self, moment: float, *, besides: int) -> float:
        """Seconds counted as starved since a moment, but for those of a process, whose waits are one after another."""
        since = itertools.takewhile(lambda count: count[0] > moment, reversed(self._counted))
        return sum(seconds for _, pid, seconds in since if pid != besides)

    def _cpu_at(self, moment: float) -> float:
        """CPU seconds of the tree at a moment since the start, on a line between two looks."""
        after = bisect.bisect_left(self._looks, moment)
        if after == 0:
            return 0.0
        begin, end = self._looks[after - 1 : after + 1]
        used_s, used_then_s = self._cpu_at_looks[after - 1 : after + 1]
        return used_s + (used_then_s - used_s) * (moment - begin) / (end - begin)

    def _too_much(self, limit: str, unit: str) -> str:
        return f"over {self._limits[limit]} {unit}"


@dataclass(frozen=True)
class _Usage:
    """CPU seconds of running processes and of those they waited for; memory they hold that is no file's.

    By process, the seconds that its first thread ran, and that it was ready to run and had no processor.
    """

    cpu_s: float
    memory_kib: int
    queues: dict[int, tuple[float, float]]


def _tree_usage() -> _Usage:
    """What all descendants of this process use now."""
    parents: dict[int, int] = {}
    ticks: dict[int, tuple[int, int]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, IndexError):  # it ended meanwhile
            fields = _read_text(f"/proc/{name}/stat").rpartition(b")")[2].split()
            parents[int(name)] = int(fields[1])
            ticks[int(name)] = sum(map(int, fields[11:13])), sum(map(int, fields[13:15]))
    tree = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in tree} - tree:
        tree |= more
    tree.remove(os.getpid())
    memory_kib = sum(map(_memory_kib, tree))
    cpu_s, queues = 0.0, {}
    for pid in tree:  # last and together, since they are compared with each other and the clock
        own, of_children = ticks[pid]
        cpu_s += _cpu_clock_s(pid, own / _TICKS) + of_children / _TICKS
        queues[pid] = ran_and_starved_s(pid)
    return _Usage(cpu_s, memory_kib, queues)


def _cpu_clock_s(pid: int, otherwise: float) -> float:
    """CPU seconds of a process, finer than ticks while it runs; the clock id is Linux's for another process."""
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return otherwise


def _processors(pid: int) -> int:
    """How many a process may run on; once it has ended, those that we may."""
    try:
        return len(os.sched_getaffinity(pid))
    except OSError:
        return len(os.sched_getaffinity(0))


def _memory_kib(pid: int) -> int:
    """Of one process, memory that belongs to no file on a disk (whose pages can be taken back), and its page tables."""
    with contextlib.suppress(OSError):
        lines = _read_text(f"/proc/{pid}/status").splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith((b"RssAnon:", b"RssShmem:", b"VmPTE:")))
    return 0


def _read_text(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()
