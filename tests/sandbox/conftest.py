"""One sandbox for all tests, real processes; `sandbox_run` and `judged` hide the event loop."""

import asyncio
import os
from pathlib import Path

import pytest

from verigrad.errors import SandboxError
from verigrad.sandbox.commands import CommandSandbox
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.process import ProcessSandbox
from verigrad.types import Limits


@pytest.fixture(scope="session")
def box_at():
    """`box_at(level)`: a sandbox of that level; skips the test where it is out of reach."""
    yield from boxes_of(ProcessSandbox)


@pytest.fixture(scope="session")
def commands_at():
    """`commands_at(level)`: a sandbox for commands of that level; skips the test where it is out of reach."""
    yield from boxes_of(CommandSandbox)


def boxes_of(kind):
    boxes = {}

    def find(level):
        box = boxes[level] = boxes.get(level) or kind(workers=2, level=level)
        try:
            assert level in ("auto", box.level)
        except SandboxError as error:
            pytest.skip(str(error))
        return box

    yield find
    for box in boxes.values():
        asyncio.run(box.close())


@pytest.fixture
def box(box_at):
    return box_at("auto")


@pytest.fixture
def sandbox_run(box):
    def run(program, *inputs, trace_lines=False, **limits):
        return asyncio.run(box.run(program, inputs, Limits(**limits), trace_lines=trace_lines))

    return run


@pytest.fixture
def judged(box):
    def run(program, oracle, entry_point="f", **options):
        return asyncio.run(Judge(box).judge(program, oracle, entry_point, **options))

    return run


@pytest.fixture(scope="session")
def descendants():
    """`descendants(besides)`: ids of the processes below this one, without `besides` and what is below them."""

    def find(besides=frozenset()):
        parents = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                parents[int(name)] = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
        found = {os.getpid()}
        while new := {pid for pid, parent in parents.items() if parent in found} - found - besides:
            found |= new
        return found - {os.getpid()}

    return find
