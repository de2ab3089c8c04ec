"""What a program sees, what comes back, and that nothing stays behind."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import pytest

from verigrad.errors import SandboxError
from verigrad.sandbox.base import LEVELS, Call, Script, Stdin
from verigrad.sandbox.pool import _ready
from verigrad.sandbox.process import ProcessSandbox
from verigrad.sandbox.protocol import pack, unpack
from verigrad.types import Limits

ECHO = "def f(*args, **kwargs):\n    return args, kwargs\n"


def statuses(execution):
    return [outcome.status for outcome in execution.outcomes]


# -------------------------------------------------------------------------------------- values and errors


def test_values_cross_unchanged(sandbox_run):
    nan = float("nan")
    values = (
        None,
        True,
        1,
        2**200,
        -1.5,
        float("inf"),
        1j,
        "a\ud800é\0",
        b"\xff",
        [1, (2, {3})],
        {(1, 2): frozenset()},
    )
    (outcome,) = sandbox_run(ECHO, Call("f", values, {"x": {"y": nan}})).outcomes
    assert outcome.status == "returned"
    args, kwargs = outcome.value
    assert args == values
    assert [type(value) for value in args] == [type(value) for value in values]
    assert repr(kwargs) == "{'x': {'y': nan}}"


def test_equal_arguments_arrive_as_different_objects(sandbox_run):
    one = [1]
    execution = sandbox_run(
        "def f(a, b):\n    a.append(2)\n    return b\n", Call("f", (one, one)), Call("f", (one, one))
    )
    assert [outcome.value for outcome in execution.outcomes] == [[1], [1]]
    assert one == [1]


def test_an_exception_is_an_answer_and_the_next_call_goes_on(sandbox_run):
    program = "def f(x):\n    y = 1\n    return y / x\n"
    execution = sandbox_run(program, Call("f", (0,)), Call("f", (2,)))
    assert statuses(execution) == ["exception", "returned"]
    assert execution.outcomes[0].error == "ZeroDivisionError: division by zero"
    assert execution.outcomes[0].error_line == 3


def test_line_of_an_error_is_the_programs_own(sandbox_run):
    program = "import json\ndef f(x):\n    return json.loads(x)\n"
    (outcome,) = sandbox_run(program, Call("f", ("{",))).outcomes
    assert outcome.error_line == 3


@pytest.mark.parametrize(
    ("program", "status", "line"),
    [
        ("x = 1\ndef f(:\n", "syntax_error", 2),
        ("def g(): pass\n", "no_entry_point", None),
        ("import nothing_of_that_name\n", "exception", 1),
        ("x = 1\nraise SystemExit\n", "exception", 2),
        ("x = bytearray(10**12)\n", "memory", 1),
        ("import os\nos.abort()\n", "crashed", None),
    ],
)
def test_a_program_that_does_not_load(sandbox_run, program, status, line):
    execution = sandbox_run(program, Call("f"), Call("f"))
    assert (execution.status, execution.outcomes, execution.error_line) == (status, (), line)
    assert execution.error


def test_inputs_not_reached_carry_what_stopped_the_program(sandbox_run):
    program = "import os\ndef f(x):\n    if x == 1:\n        os._exit(3)\n    return x\n"
    execution = sandbox_run(program, *(Call("f", (x,)) for x in range(4)))
    assert statuses(execution) == ["returned", "crashed", "crashed", "crashed"]
    assert "exit status 3" in execution.outcomes[1].error


def test_the_main_block_of_a_module_does_not_run(sandbox_run):
    program = "def f():\n    return 1\nif __name__ == '__main__':\n    raise ValueError\n"
    assert statuses(sandbox_run(program, Call("f"))) == ["returned"]


def test_an_argument_that_is_not_plain_is_our_error(sandbox_run):
    with pytest.raises(SandboxError, match="not plain"):
        sandbox_run(ECHO, Call("f", (object(),)))


def test_results_that_are_too_large_or_not_plain(sandbox_run):
    program = "def f(n):\n    return 'x' * n if n else f\n"
    execution = sandbox_run(program, Call("f", (0,)), Call("f", (98,)), Call("f", (99,)), result_bytes=100)
    assert statuses(execution) == ["not_plain", "returned", "output_limit"]  # the quotes count


def test_the_librarys_dicts_and_named_tuples_come_back_plain(sandbox_run):
    program = """
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
Point = namedtuple("Point", "x y")
class Mine(dict):
    pass
def f():
    return [Counter("aab"), {"o": OrderedDict(a=1)}, (defaultdict(int, b=2), Point(1, Point(2, 3)))]
def g():
    return [deque([1])]
def h():
    return Mine()
"""
    first, *others = sandbox_run(program, Call("f"), Call("g"), Call("h")).outcomes
    assert repr(first.value) == "[{'a': 2, 'b': 1}, {'o': {'a': 1}}, ({'b': 2}, (1, (2, 3)))]"
    assert [outcome.status for outcome in others] == ["not_plain", "not_plain"]


def test_answers_are_bounded_together_too(sandbox_run):
    program = "def f():\n    return 'x' * 999_000\n"
    execution = sandbox_run(program, *[Call("f")] * 70, cpu_s=20)
    assert statuses(execution) == ["returned"] * 67 + ["output_limit"] * 3  # 64 MiB


def test_scripts_run_in_the_programs_namespace(sandbox_run):
    execution = sandbox_run("a = 2\n", Script("assert a == 2\nb = 3"), Script("assert b == 4"), Script("assert a"))
    assert statuses(execution) == ["returned", "exception", "returned"]
    assert execution.outcomes[1].error == "AssertionError: "


# ---------------------------------------------------------------------------------------- standard input


def test_each_stdin_runs_the_whole_program_anew(sandbox_run):
    program = "import sys\nprint(sum(map(int, sys.stdin.read().split())))\nprint('e', file=sys.stderr)\n"
    execution = sandbox_run(program, Stdin("1 2\n3"), Stdin(""), Stdin("é"))
    assert statuses(execution) == ["returned", "returned", "exception"]
    assert [outcome.value for outcome in execution.outcomes] == ["6\n", "0\n", None]


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("sys.exit()", "returned"),
        ("sys.exit(0)", "returned"),
        ("sys.exit(1)", "exception"),
        ("sys.exit('no')", "exception"),
        ("sys.stdout.flush(); os._exit(0)", "returned"),
        ("os._exit(1)", "crashed"),
    ],
)
def test_how_a_script_may_end(sandbox_run, ending, status):
    execution = sandbox_run(f"import os, sys\nif __name__ == '__main__':\n    print('x')\n    {ending}\n", Stdin(""))
    (outcome,) = execution.outcomes
    assert (outcome.status, outcome.value) == (status, "x\n" if status == "returned" else None)


def test_scripts_share_their_time(sandbox_run):
    program = "t = 0\nfor i in range(10**9):\n    t += i\n"
    execution = sandbox_run(program, *[Stdin("")] * 20, cpu_s=0.2)
    assert statuses(execution) == ["timeout"] * 20
    assert execution.cpu_ms < 400


@pytest.mark.parametrize("level", LEVELS)
def test_standard_input_is_a_file_of_just_these_bytes(box_at, level):
    program = """
import mmap, os, sys
text = sys.stdin.buffer.read()
size, mapped = os.fstat(0).st_size, mmap.mmap(0, 0, access=mmap.ACCESS_READ)[:]
sys.stdin.seek(0)
changed = []
for change in (lambda: os.write(0, b"x"), lambda: os.truncate(0, 1), lambda: os.truncate(0, 1 << 20)):
    try:
        change()
        changed.append(change)
    except OSError:
        pass
print(len(text), size, mapped == text == sys.stdin.buffer.read(), changed)
"""
    for text in ("1 2\n", "x" * 3_000_000, "\udcff\u00e9"):
        wanted = text.encode("utf-8", "surrogateescape")
        outcome = asyncio.run(box_at(level).run(program, [Stdin(text)], Limits())).outcomes[0]
        assert outcome.status == "returned", outcome
        assert outcome.value.split()[:3] == [str(len(wanted)), str(len(wanted)), "True"]
        assert outcome.value.endswith("[]\n")


def test_a_standard_input_that_is_no_text_is_an_error_of_ours(sandbox_run):
    with pytest.raises(SandboxError, match="standard input"):
        sandbox_run("print(1)\n", Stdin("\ud800"))


def test_calls_and_stdin_may_be_mixed(sandbox_run):
    program = "def f():\n    return 1\nif __name__ == '__main__':\n    print(input())\n"
    execution = sandbox_run(program, Stdin("a"), Call("f"), Stdin("b"))
    assert [outcome.value for outcome in execution.outcomes] == ["a\n", 1, "b\n"]


# ------------------------------------------------------------------------------------------------ limits


def test_cpu_time_is_for_all_inputs_together(sandbox_run):
    program = "import time\ndef f():\n    end = time.process_time() + 0.15\n    while time.process_time() < end: pass\n"
    execution = sandbox_run(program, *[Call("f")] * 6, cpu_s=0.4)
    assert statuses(execution)[0] == "returned"
    assert statuses(execution)[-1] == "timeout"
    assert 300 < execution.cpu_ms < 700
    assert 140 < execution.outcomes[0].cpu_ms < 250


def test_waiting_costs_no_cpu_time_but_ends_too(sandbox_run):
    execution = sandbox_run("import time\ndef f():\n    time.sleep(60)\n", Call("f"), cpu_s=5, wall_s=0.3)
    assert statuses(execution) == ["timeout"]
    assert "elapsed" in execution.outcomes[0].error


def test_output_is_counted_even_where_nobody_reads_it(sandbox_run):
    program = "import os\ndef f(n):\n    os.write(1, b'x' * n)\n    os.write(2, b'x' * n)\n"
    assert statuses(sandbox_run(program, Call("f", (50,)), output_bytes=100)) == ["returned"]
    assert statuses(sandbox_run(program, Call("f", (51,)), output_bytes=100)) == ["output_limit"]
    assert statuses(sandbox_run("print('x' * 100)", Stdin(""), output_bytes=100)) == ["output_limit"]


def test_files_open_files_and_threads_are_limited(sandbox_run):
    program = """
import os, tempfile, threading
def big(n):
    with tempfile.TemporaryFile() as file:
        file.write(b"x" * n)
def many():
    return [os.dup(1) for _ in range(100)]
def threads():
    thread = threading.Thread(target=print)
    thread.start()
    thread.join()
"""
    megabyte = 1 << 20
    calls = [Call("big", (megabyte,)), Call("big", (2 * megabyte + 1,)), Call("many")]
    assert statuses(sandbox_run(program, *calls, file_mb=2)) == ["returned", "exception", "exception"]
    assert statuses(sandbox_run(program, Call("threads"), processes=1)) == ["returned"]
    if os.geteuid() == 0:
        assert statuses(sandbox_run(program, Call("threads"), processes=0)) == ["exception"]


@pytest.mark.parametrize("level", ["process", "namespaces", "full"])
def test_threads_signals_and_forks_work_in_a_programs_process(box_at, level):
    """However it was forked, what the interpreter and the C library remember of themselves must be right."""
    program = """
import os, signal, threading
def f():
    caught, threads, lock = [], [], threading.RLock()
    signal.signal(signal.SIGUSR1, lambda *_: caught.append("signal"))
    signal.raise_signal(signal.SIGUSR1)
    def note():
        with lock:
            threads.append(threading.get_native_id())
    with lock:
        thread = threading.Thread(target=note)
        thread.start()
        alone = not threads
    thread.join()
    pid = os.fork()
    if pid == 0:
        thread = threading.Thread(target=note)
        thread.start()
        thread.join()
        os._exit(len(threads) if threading.current_thread() is threading.main_thread() else 0)
    ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return caught, alone, threading.get_native_id() == os.getpid(), threads != [os.getpid()], ended
"""
    (outcome,) = asyncio.run(box_at(level).run(program, [Call("f")], Limits(processes=4))).outcomes
    assert outcome.value == (["signal"], True, True, True, 2)


# ------------------------------------------------------------------------------------- what it can see


def test_a_program_sees_nothing_of_ours(sandbox_run, monkeypatch):
    monkeypatch.setenv("VERIGRAD_SECRET", "hunter2")
    program = """
import os, stat, sys
def f():
    modes = {}
    for fd in range(64):
        try:
            modes[fd] = os.fstat(fd).st_mode
        except OSError:
            pass
    kinds = {fd: "pipe" if stat.S_ISFIFO(mode) else stat.filemode(mode)[0] for fd, mode in modes.items()}
    return dict(os.environ), sys.argv, kinds, os.listdir("."), [name for name in sys.modules if "verigrad" in name]
"""
    (outcome,) = sandbox_run(program, Call("f")).outcomes
    environment, argv, kinds, here, modules = outcome.value
    assert (environment, argv, here, modules) == ({}, [""], [], [])
    held = {fd: kind for fd, kind in kinds.items() if kind != "d"}  # level `process` may hold the library's folders
    assert held == {0: "c", 1: "pipe", 2: "pipe", 3: "s", 4: "pipe"}


def test_site_packages_are_out_of_reach_but_the_library_is_not(sandbox_run):
    program = "import csv, sqlite3, xml.dom, encodings.idna\ndef f():\n    import pytest\n"
    execution = sandbox_run(program, Call("f"))
    assert statuses(execution) == ["exception"]
    assert "ModuleNotFoundError" in execution.outcomes[0].error


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give programs a user of their own")
def test_programs_run_as_a_user_of_their_own(sandbox_run):
    program = """
import os
def f():
    try:
        open("/here", "w")
    except OSError as error:
        return os.getuid(), os.geteuid(), os.getgid(), os.getgroups(), type(error).__name__
"""
    uid, euid, gid, groups, error = sandbox_run(program, Call("f")).outcomes[0].value
    assert uid == euid == gid >= 0x70000000
    assert groups == []
    assert error in ("PermissionError", "OSError")  # whichever of not allowed and read-only is found first


def test_no_program_finds_a_trace_of_another(sandbox_run):
    leave = "import builtins, sys\nbuiltins.trace = sys.trace = 1\ndef f():\n    return 1\n"
    look = "import builtins, sys\ndef f():\n    return hasattr(builtins, 'trace') or hasattr(sys, 'trace')\n"
    for _ in range(4):
        assert sandbox_run(leave, Call("f")).outcomes[0].value == 1
        assert sandbox_run(look, Call("f")).outcomes[0].value is False


@pytest.mark.parametrize("level", ["process", "full"])
def test_flags_and_locks_of_standard_input_end_with_their_program(level):
    leave = """
import fcntl, os
def f():
    fcntl.fcntl(0, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND)
    fcntl.flock(0, fcntl.LOCK_EX | fcntl.LOCK_NB)
"""
    find = """
import fcntl, os, sys
def f():
    fcntl.flock(os.open(os.devnull, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
    flags = fcntl.fcntl(0, fcntl.F_GETFL)
    return flags & (os.O_NONBLOCK | os.O_APPEND), sys.stdin.read()
"""

    async def main():
        async with ProcessSandbox(workers=1, level=level) as box:
            try:
                left = await box.run(leave, [Call("f")], Limits())
            except SandboxError as error:
                pytest.skip(str(error))
            assert statuses(left) == ["returned"]
            for _ in range(3):
                assert (await box.run(find, [Call("f")], Limits())).outcomes[0].value == (0, "")

    asyncio.run(main())


def test_chance_is_the_same_each_time(sandbox_run):
    program = "import random\ndef f():\n    return random.random(), hash('a'), list({'a', 'b', 'c', 'd'})\n"
    values = {repr(sandbox_run(program, Call("f")).outcomes[0].value) for _ in range(6)}
    assert len(values) == 1


# ------------------------------------------------------------------------------------------ traced lines


def test_traced_lines(sandbox_run):
    program = """def f(x):
    if x:
        return 1
    y = helper()
    return y
def helper():
    return 2
def unused():
    return 3
"""
    assert sandbox_run(program, Call("f", (1,)), trace_lines=True).executed_lines == {1, 2, 3, 6, 8}
    assert sandbox_run(program, Call("f", (1,)), Call("f", (0,)), trace_lines=True).executed_lines == {
        *(1, 2, 3, 4, 5, 6, 7, 8)
    }
    assert sandbox_run(program, Call("f", (1,))).executed_lines is None
    assert sandbox_run("a = 1\nif a > 1:\n    b = 2\n", Stdin(""), trace_lines=True).executed_lines == {1, 2}


# ---------------------------------------------------------------------------------------------- lifetime


def test_many_programs_leave_nothing(descendants):
    async def run_all(sandbox, number):
        runs = (sandbox.run(ECHO, [Call("f", (i,))], Limits()) for i in range(number))
        return [execution.outcomes[0].value for execution in await asyncio.gather(*runs)]

    async def main():
        async with ProcessSandbox(workers=2) as sandbox:
            await run_all(sandbox, 10)
            descriptors = len(os.listdir("/proc/self/fd"))
            values = await run_all(sandbox, 300)
            assert values == [((i,), {}) for i in range(300)]
            assert len(descendants(others)) <= 6  # two workers: supervisor, fork-server, the next program
            assert len(os.listdir("/proc/self/fd")) == descriptors

    others, before = descendants(), len(os.listdir("/proc/self/fd"))
    asyncio.run(main())
    assert descendants(others) == set()
    assert len(os.listdir("/proc/self/fd")) == before


def test_several_event_loops_in_turn_and_at_once(box):
    def use(results):
        for value in range(3):
            execution = asyncio.run(box.run(ECHO, [Call("f", (value,))], Limits()))
            results.append(execution.outcomes[0].value[0][0])

    results = []
    threads = [threading.Thread(target=use, args=(results,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_who_asks_no_more_stops_the_program_and_nobody_else(descendants):
    """Cancelled while it runs, while it waits, and while the sandbox closes."""
    forever = "import time\ndef f(*args):\n    time.sleep(600)\n"

    async def main():
        async with ProcessSandbox(workers=1) as sandbox:
            await sandbox.run(ECHO, [Call("f")], Limits())
            running, waiting, last = (
                asyncio.create_task(sandbox.run(program, [Call("f", (1,))], Limits(wall_s=600)))
                for program in (forever, forever, ECHO)
            )
            await asyncio.sleep(0.2)
            waiting.cancel()
            running.cancel()
            found = await asyncio.gather(running, waiting, last, return_exceptions=True)
            left = asyncio.create_task(sandbox.run(forever, [Call("f")], Limits(wall_s=600)))
            queued = asyncio.create_task(sandbox.run(ECHO, [Call("f")], Limits()))
            await asyncio.sleep(0.2)
            closing = asyncio.create_task(sandbox.close())
            await asyncio.sleep(0.2)
            assert not closing.done()  # what runs may end
            left.cancel()
            return found, await asyncio.gather(left, queued, return_exceptions=True), await closing

    others = descendants()
    (running, waiting, last), (left, queued), _ = asyncio.run(main())
    assert [type(end) for end in (running, waiting, left)] == [asyncio.CancelledError] * 3
    assert last.outcomes[0].value == ((1,), {})
    assert isinstance(queued, SandboxError)
    assert descendants(others) == set()


@pytest.mark.parametrize("answered", [True, False])
def test_a_loop_that_was_held_up_takes_the_answer_that_is_there(answered):
    """Its timer is due by then as well."""

    async def main():
        loop, (ours, theirs) = asyncio.get_running_loop(), socket.socketpair()
        with ours, theirs:
            waiting = asyncio.create_task(
                _ready(loop.add_reader, loop.remove_reader, ours.fileno(), loop.time() + 0.05)
            )
            await asyncio.sleep(0)
            theirs.send(b"x" * answered)
            time.sleep(0.1)
            await waiting

    with nullcontext() if answered else pytest.raises(TimeoutError):
        asyncio.run(main())


def test_jobs_and_answers_larger_than_a_socket_takes_at_once(box):
    text = "x" * 900_000
    execution = asyncio.run(
        box.run(ECHO, [Call("f", (text,)), *[Call("f", (number,)) for number in range(3)]], Limits())
    )
    assert [outcome.value for outcome in execution.outcomes] == [((part,), {}) for part in (text, 0, 1, 2)]


@pytest.mark.parametrize("parts", [[], [b""], [b"a", b"", b"\x00" * 300]])
def test_a_message_is_read_once_it_is_whole(parts):
    message = pack(parts)
    assert [unpack(message[:size]) for size in range(len(message))] == [None] * len(message)
    assert unpack(message) == unpack(bytearray(message)) == parts


def test_closed_means_closed():
    async def main():
        sandbox = ProcessSandbox(workers=1)
        await sandbox.close()
        await sandbox.close()
        with pytest.raises(SandboxError, match="closed"):
            await sandbox.run(ECHO, [Call("f")], Limits())

    asyncio.run(main())


SPIN = "while True:\n    pass\n"
BUSY = """
import time
def f():
    while time.process_time() < 0.15:
        pass
    return 5
"""


def test_waiting_for_a_processor_is_not_the_programs_time(box_at):
    """Twelve neighbours on one processor: 0.15 s of CPU take two seconds, of which little counts as elapsed."""

    async def main():
        async with ProcessSandbox(workers=1) as sandbox:
            await sandbox.run(ECHO, [Call("f")], Limits())
            neighbours = [
                subprocess.Popen([sys.executable, "-S", "-c", SPIN], start_new_session=True) for _ in range(12)
            ]
            try:
                busy = await sandbox.run(BUSY, [Call("f")], Limits(wall_s=0.5))
                printed = await sandbox.run(BUSY + "print(f())\n", [Stdin(""), Stdin("")], Limits(wall_s=0.5))
                asleep = await sandbox.run("import time\ntime.sleep(30)", [], Limits(wall_s=0.5))
            finally:
                for neighbour in neighbours:
                    neighbour.kill()
                    neighbour.wait()
            return busy, printed, asleep

    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        busy, printed, asleep = asyncio.run(main())
    finally:
        os.sched_setaffinity(0, allowed)
    assert busy.outcomes[0].value == 5
    assert statuses(printed) == ["returned", "returned"]
    assert 300 <= printed.wall_ms <= 500
    assert (asleep.status, "elapsed" in asleep.error) == ("timeout", True)


SLEEPER = """
import ctypes, time
ctypes.CDLL(None).prctl(15, b"vg-sleeper", 0, 0, 0)
def f():
    time.sleep(1)
    return 5
"""


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def find_sleeper(descendants, known):
    for pid in descendants() - known:
        try:
            if Path(f"/proc/{pid}/comm").read_text() == "vg-sleeper\n":
                return pid
        except OSError:
            continue
    return None


@pytest.mark.parametrize("victim", ["fork-server", "supervisor"])
@pytest.mark.parametrize("deaths", [1, 2])
@pytest.mark.parametrize("level", LEVELS)
def test_a_dead_worker_is_replaced_and_the_program_tried_once_more(box_at, descendants, level, victim, deaths):
    """Whoever kills it: after one death the program gets its answer, after two it is to blame, if it could do that."""

    async def main():
        async with ProcessSandbox(workers=2, level=level) as sandbox:
            task = asyncio.create_task(sandbox.run(SLEEPER, [Call("f")], Limits()))
            known = set()
            for _ in range(deaths):
                while (sleeper := find_sleeper(descendants, known)) is None and not task.done():
                    await asyncio.sleep(0.01)
                assert sleeper is not None, task
                known.add(sleeper)
                server = parent(sleeper)
                os.kill(server if victim == "fork-server" else parent(server), signal.SIGKILL)
            try:
                execution = await task
            except SandboxError as error:
                execution = error
            after = await sandbox.run(ECHO, [Call("f", (1,))], Limits())
            assert after.outcomes[0].value == ((1,), {})
            return execution

    box_at(level)
    others = descendants()
    execution = asyncio.run(main())
    if deaths == 1:
        assert execution.outcomes[0].value == 5
    elif level != "process" or os.geteuid() == 0:
        assert isinstance(execution, SandboxError)
    else:
        assert (execution.status, execution.outcomes) == ("crashed", ())
        assert execution.violations
    assert descendants(others) == set()
