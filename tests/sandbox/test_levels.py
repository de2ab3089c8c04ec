"""The level is what the kernel lets a worker put up; where it is not the strongest, there is a reason."""

import asyncio
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

import verigrad
from verigrad.errors import ConfigError, SandboxError
from verigrad.sandbox.base import LEVELS, Call
from verigrad.sandbox.process import ProcessSandbox
from verigrad.types import Limits

# Runs where the kernel refuses one system call, as a container's filter might.
REFUSED = """
import asyncio, ctypes, json, struct, sys
from verigrad.errors import SandboxError
from verigrad.sandbox.base import Call
from verigrad.sandbox.process import ProcessSandbox
from verigrad.types import Limits

libc = ctypes.CDLL(None)
refusals = [((0x15, 0, 1, int(number)), (0x06, 0, 0, 0x50001)) for number in sys.argv[1:]]
steps = ((0x20, 0, 0, 0), *(step for pair in refusals for step in pair), (0x06, 0, 0, 0x7FFF0000))
code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
header = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(code)))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(header), 0, 0) == 0

async def main():
    async with ProcessSandbox(workers=1) as box:
        run = await box.run("def f():\\n    return 5\\n", [Call("f")], Limits())
        print(json.dumps([box.level, dict(box.missing), run.outcomes[0].value]))
    async with ProcessSandbox(workers=1, level="full") as box:
        for _ in range(2):
            try:
                await box.run("def f():\\n    return 5\\n", [Call("f")], Limits())
            except SandboxError as error:
                print(json.dumps(str(error)))

asyncio.run(main())
"""


CALLS = {"unshare": (272, 97), "pivot_root": (155, 41), "landlock_create_ruleset": (444, 444)}


@pytest.mark.parametrize(
    ("calls", "level", "reasons"),
    [
        (("unshare",), "landlock", {"full": "unshare", "namespaces": "unshare"}),
        (("pivot_root",), "landlock", {"full": "pivot_root", "namespaces": "pivot_root"}),
        (("landlock_create_ruleset",), "namespaces", {"full": "landlock_create_ruleset"}),
        (
            ("landlock_create_ruleset", "unshare"),
            "process",
            {"full": "landlock_create_ruleset", "namespaces": "unshare", "landlock": "landlock_create_ruleset"},
        ),
    ],
)
def test_what_the_kernel_refuses_lowers_the_level(box_at, calls, level, reasons):
    box_at("full")  # elsewhere there may be other reasons
    numbers = [CALLS[call][platform.machine() == "aarch64"] for call in calls]
    done = subprocess.run(
        [sys.executable, "-c", REFUSED, *map(str, numbers)],
        env={"PYTHONPATH": str(Path(verigrad.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    (found, missing, value), *refusals = map(json.loads, done.stdout.splitlines())
    assert (found, value) == (level, 5)
    assert {name: text.split(":")[0] for name, text in missing.items()} == reasons
    assert len(refusals) == 2
    assert all("level 'full' is out of reach" in text and calls[0] in text for text in refusals)


def test_a_sandbox_is_of_the_level_it_was_asked_for(box_at):
    for level in LEVELS:
        box = box_at(level)
        assert (box.level, dict(box.missing)) == (level, {})


def test_there_is_no_such_level():
    with pytest.raises(ConfigError, match="'process', 'landlock', 'namespaces', 'full'"):
        ProcessSandbox(level="perfect")


def test_a_closed_sandbox_that_never_began_has_no_level():
    sandbox = ProcessSandbox(workers=1)
    asyncio.run(sandbox.close())
    with pytest.raises(SandboxError, match="closed"):
        _ = sandbox.level


def test_a_program_finds_the_mechanisms_in_force(box_at):
    """`level` is measured by what the worker did; this looks from inside."""
    program = """
import ctypes, os
def f():
    prctl = ctypes.CDLL(None).prctl
    try:
        os.symlink("a", "/tmp/link")
        linked = True
    except OSError:
        linked = False
    return {"seccomp": prctl(21), "no_new_privs": prctl(39, 0, 0, 0, 0), "pid": os.getpid(), "uid": os.getuid(),
            "linked": linked, "root": not any(map(os.path.exists, ("/proc", "/home", "/bin")))}
"""
    for level, wanted in {
        "landlock": {"seccomp": 2, "linked": False},
        "namespaces": {"seccomp": 0, "linked": True},
        "full": {"seccomp": 2, "linked": False},
    }.items():
        (outcome,) = asyncio.run(box_at(level).run(program, [Call("f")], Limits())).outcomes
        uid = outcome.value.pop("uid")
        apart = {"pid": 1, "root": True} if level != "landlock" else {}
        assert outcome.value == {**outcome.value, **wanted, "no_new_privs": 1, **apart}
        assert uid != 0 or os.geteuid() != 0
