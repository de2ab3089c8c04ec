"""One sandbox for all tests, real processes; `sandbox_run` and `judged` hide the event loop."""

import asyncio
import os
from pathlib import Path

import pytest

from verigrad.sandbox.judge import Judge
from verigrad.sandbox.process import ProcessSandbox
from verigrad.types import Limits


@pytest.fixture(scope="session")
def box():
    sandbox = ProcessSandbox(workers=2)
    yield sandbox
    asyncio.run(sandbox.close())


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
