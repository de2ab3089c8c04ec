"""Where the machine fails the sandbox there is no verdict, never a wrong one, and afterwards all is well."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sandbox import faults

import verigrad
from verigrad.sandbox.base import LEVELS

PATH = {"PYTHONPATH": str(Path(verigrad.__file__).parents[1])}


@pytest.mark.parametrize(
    "level",
    [pytest.param(level, marks=() if level in (LEVELS[0], LEVELS[-1]) else pytest.mark.slow) for level in LEVELS],
)
@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("no processes", True),
        ("no descriptors", True),
        pytest.param("no files in the system", True, marks=pytest.mark.slow),
        pytest.param("no files for input", True, marks=pytest.mark.slow),
        ("no disk", True),
        ("no descriptors in the workers", False),  # new workers take their place
        ("dead workers", False),
    ],
)
def test_a_fault_of_the_machine_is_never_a_verdict(box_at, fault, seen, level):
    box_at(level)
    done = subprocess.run(
        [sys.executable, faults.__file__, fault, level],
        env=PATH,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode == faults.NOT_TO_BE_HAD:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["level"] == level
    assert report["before"] == report["after"] == [16] * 16
    assert set(report["during"]) <= {16, "SandboxError"}
    assert ("SandboxError" in report["during"]) == seen
    assert report["left"] == 0


NEVER_CLOSED = """
import asyncio, gc, os, sys, time
from verigrad.sandbox.base import Call
from verigrad.sandbox.process import ProcessSandbox
from verigrad.types import Limits

def use():
    box = ProcessSandbox(workers=2)
    runs = (box.run("def f():\\n    return 5\\n", [Call("f")], Limits()) for _ in range(4))
    async def main():
        return await asyncio.gather(*runs)
    assert all(run.outcomes[0].value == 5 for run in asyncio.run(main()))
    return box

idle = ProcessSandbox()
assert os.listdir(os.environ["TMPDIR"]) == []
use()
for _ in range(1000):  # a thread of the pool may hold its last job for a moment
    gc.collect()
    if not os.listdir(os.environ["TMPDIR"]):
        break
    time.sleep(0.01)
assert os.listdir(os.environ["TMPDIR"]) == []
box = use()
print(len(os.listdir(os.environ["TMPDIR"])), flush=True)
if sys.argv[1] == "hang":
    sys.stdin.read()
"""


@pytest.mark.parametrize("end", ["exit", "kill"])
def test_a_sandbox_that_is_never_closed_leaves_no_folder(tmp_path, end):
    process = subprocess.Popen(
        [sys.executable, "-c", NEVER_CLOSED, "exit" if end == "exit" else "hang"],
        env={**PATH, "TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    with process:
        assert int(process.stdout.readline()) == 2  # one for each worker
        if end == "kill":
            process.kill()
        assert process.wait(60) == (0 if end == "exit" else -signal.SIGKILL)
    end_by = time.monotonic() + 60
    while end == "kill" and os.listdir(tmp_path) and time.monotonic() < end_by:
        time.sleep(0.01)  # the workers see to it themselves
    assert os.listdir(tmp_path) == []
