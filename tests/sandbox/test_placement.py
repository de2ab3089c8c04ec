"""Which cores workers and their programs use."""

import asyncio
import os
from collections import Counter

import pytest

from verigrad.sandbox.base import LEVELS, Call
from verigrad.sandbox.cores import Cores
from verigrad.sandbox.process import ProcessSandbox
from verigrad.types import Limits

LATER = """
import os, threading, time

def f():
    begun = threading.Barrier(2)
    found = []

    def look():
        begun.wait()
        end = time.monotonic() + 10
        while len(os.sched_getaffinity(0)) == 1 and time.monotonic() < end:
            time.sleep(0.001)
        found.append(sorted(os.sched_getaffinity(0)))

    thread = threading.Thread(target=look)
    thread.start()
    look()
    thread.join()
    return found
"""
STARTS_AT_ONCE = """
import os, time

def f():
    mine, theirs = os.pipe()
    if os.fork() == 0:
        end = time.monotonic() + 5
        while len(os.sched_getaffinity(0)) == 1 and time.monotonic() < end:
            time.sleep(0.001)
        os.write(theirs, repr(sorted(os.sched_getaffinity(0))).encode())
        os._exit(0)
    return os.read(mine, 1000).decode()
"""
several_cores = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")


def test_workers_share_cores_evenly_and_the_next_takes_what_one_left():
    cores, ours = Cores(), {str(core) for core in os.sched_getaffinity(0)}
    assert {cores.take() for _ in ours} == ours
    assert {cores.take() for _ in ours} == ours
    left = max(ours)
    cores.put(left)
    assert cores.take() == left


def test_workers_that_are_alone_in_their_pools_get_different_cores(monkeypatch):
    monkeypatch.setattr("verigrad.sandbox.cores._all", Counter())  # without the sandboxes of other tests
    ours = {str(core) for core in os.sched_getaffinity(0)}
    pools = [Cores() for _ in range(len(ours) ** 2)]
    assert {pool.take() for pool in pools[:: len(ours)]} == ours  # however many are made and not used between them


@several_cores
@pytest.mark.parametrize("level", LEVELS)
def test_supervisor_fork_server_and_next_program_of_a_worker_are_on_one_core(descendants, box_at, level):
    box_at(level)
    others = descendants()

    async def places():
        async with ProcessSandbox(workers=2, level=level) as box:
            await asyncio.gather(*(box.run("x = 1\n", [], Limits()) for _ in range(20)))
            await asyncio.sleep(0.5)  # the next program's process is there
            return Counter(tuple(os.sched_getaffinity(pid)) for pid in descendants(others))

    found = asyncio.run(places())
    assert sorted(found.values()) == [3, 3]
    assert all(len(cores) == 1 for cores in found)


@several_cores
@pytest.mark.parametrize("level", LEVELS)
def test_a_program_that_goes_on_may_use_every_core(box_at, level):
    run = asyncio.run(box_at(level).run(LATER, [Call("f", ())], Limits(processes=1)))
    assert run.outcomes[0].value == 2 * [sorted(os.sched_getaffinity(0))]


@several_cores
@pytest.mark.parametrize("level", LEVELS)
def test_what_a_program_starts_at_once_may_use_every_core_when_it_may(box_at, level):
    run = asyncio.run(box_at(level).run(STARTS_AT_ONCE, [Call("f", ())], Limits(processes=1, wall_s=20)))
    assert run.outcomes[0].value == repr(sorted(os.sched_getaffinity(0)))
