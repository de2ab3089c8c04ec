"""The filter's decisions, read by a small interpreter of its instructions, for each architecture."""

import fcntl
import os
import signal
import struct

import pytest

from verigrad.sandbox.confine import forbid_new_privileges
from verigrad.sandbox.seccomp import build_filter, refuse_signals

ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
NAMES = ("x86_64", "aarch64")
CODES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def decision(machine, number, *arguments, architecture=None, private_files=True):
    data = struct.pack("=IIQ6Q", number, architecture or CODES[machine], 0, *arguments, *[0] * (6 - len(arguments)))
    program = list(struct.iter_unpack("=HBBI", build_filter(machine, private_files=private_files)))
    place = value = 0
    while True:
        code, then, otherwise, operand = program[place]
        place += 1
        if code == 0x06:
            return operand
        if code == 0x20:
            value = struct.unpack_from("=I", data, operand)[0]
        else:
            holds = {0x15: value == operand, 0x35: value >= operand, 0x45: value & operand != 0}[code]
            place += then if holds else otherwise


# name: number on x86-64, on aarch64
PLAIN = {"read": (0, 63), "openat": (257, 56), "mmap": (9, 222), "exit_group": (231, 94), "futex": (202, 98)}
REFUSED = {
    "socket": (41, 198),
    "ptrace": (101, 117),
    "execve": (59, 221),
    "bpf": (321, 280),
    "keyctl": (250, 219),
    "shmget": (29, 194),
    "process_vm_readv": (310, 270),
    "io_uring_setup": (425, 425),
    "pivot_root": (155, 41),
    "init_module": (175, 105),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "mknodat": (259, 33),
    "open_tree": (428, 428),
    "memfd_create": (319, 279),
    "sendfile": (40, 71),
}


@pytest.mark.parametrize("machine", NAMES)
def test_what_is_let_through(machine):
    column = NAMES.index(machine)
    assert {name: decision(machine, numbers[column]) for name, numbers in PLAIN.items()} == dict.fromkeys(PLAIN, ALLOW)
    refused = {name: decision(machine, numbers[column]) for name, numbers in REFUSED.items()}
    assert refused == dict.fromkeys(REFUSED, EPERM)


@pytest.mark.parametrize("machine", NAMES)
def test_arguments_decide(machine):
    column = NAMES.index(machine)
    clone, unshare, setns, pair, ioctl, mount = ((56, 220), (272, 97), (308, 268), (53, 199), (16, 29), (165, 40))
    thread, fork = 0x3D0F00, 0x01200011
    assert decision(machine, clone[column], thread) == decision(machine, clone[column], fork) == ALLOW
    for flag in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert decision(machine, clone[column], fork | flag) == EPERM
        assert decision(machine, unshare[column], flag) == decision(machine, setns[column], 5, flag) == EPERM
        assert decision(machine, clone[column], flag | 17) == (ALLOW if flag == 0x20000000 else EPERM)
    assert decision(machine, clone[column], 0x30000011) == decision(machine, setns[column], 5, 0) == EPERM
    assert [decision(machine, pair[column], family) for family in (1, 2, 16)] == [ALLOW, EPERM, EPERM]
    assert [decision(machine, ioctl[column], 0, request) for request in (0x5401, 0x5412)] == [ALLOW, EPERM]
    fcntl_number, add_rule = (72, 25)[column], 445
    assert [decision(machine, fcntl_number, 0, command) for command in (1, 1031, 1032)] == [ALLOW, EPERM, ALLOW]
    assert [decision(machine, add_rule, 5, kind) for kind in (1, 2)] == [ALLOW, EPERM]  # beneath a path, for a port
    for flags in (0, 0x1000, 0x20, 0x4000, 0x1020 | 0x40E):  # bind, remount
        assert decision(machine, mount[column], 0, 0, 0, flags) == EPERM


@pytest.mark.parametrize("machine", NAMES)
def test_a_process_may_change_nobody_but_itself(machine):
    column = NAMES.index(machine)
    for numbers in ((302, 261), (203, 122), (142, 118), (144, 119)):  # prlimit64, sched_set: affinity, param, scheduler
        assert decision(machine, numbers[column], 0) == ALLOW
        assert decision(machine, numbers[column], 7) == decision(machine, numbers[column], 2**32 - 1) == EPERM
    setpriority = (141, 140)[column]
    assert decision(machine, setpriority, 0, 0, 19) == ALLOW
    assert decision(machine, setpriority, 0, 7, 19) == decision(machine, setpriority, 2, 0, 19) == EPERM


@pytest.mark.parametrize("machine", NAMES)
def test_without_private_files_none_is_mounted_or_changed(machine):
    column = NAMES.index(machine)
    numbers = {"fchmod": (91, 52), "fchownat": (260, 54), "utimensat": (280, 88), "truncate": (76, 45)}
    numbers |= {"clone": (56, 220), "mount": (165, 40), "umount2": (166, 39)}
    arguments = {"clone": (0x20000011,), "mount": (0, 0, 0, 0x40E), "umount2": (0, 2)}
    for name, call in numbers.items():
        given = arguments.get(name, ())
        assert decision(machine, call[column], *given) == ALLOW
        assert decision(machine, call[column], *given, private_files=False) == EPERM


def test_signals_can_be_refused():
    pid = os.fork()
    if pid == 0:
        failed = 1
        try:
            forbid_new_privileges()
            refuse_signals()
            refused = 0
            for act in (
                lambda: os.kill(os.getpid(), 0),
                lambda: os.kill(os.getppid(), signal.SIGCONT),
                lambda: fcntl.fcntl(0, fcntl.F_SETOWN, os.getppid()),
                lambda: fcntl.fcntl(0, fcntl.F_SETSIG, 9),
            ):
                try:
                    act()
                except PermissionError:
                    refused += 1
            fcntl.fcntl(0, fcntl.F_GETFL)
            failed = 0 if refused == 4 else 10 + refused
        finally:
            os._exit(failed)
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.parametrize("machine", NAMES)
def test_calls_from_elsewhere(machine):
    other = CODES[NAMES[1 - NAMES.index(machine)]]
    assert decision(machine, 0, architecture=other) == KILL
    assert decision(machine, 1, architecture=0x40000003) == KILL  # 32-bit x86
    assert decision(machine, 0x40000000 + 41) == KILL  # x32
    assert decision(machine, 435) == ENOSYS  # clone3, whose flags a filter cannot see
    assert decision(machine, 463) == decision(machine, 5000) == ENOSYS


def test_no_filter_is_written_for_other_machines():
    with pytest.raises(OSError, match="riscv64"):
        build_filter("riscv64", private_files=True)
