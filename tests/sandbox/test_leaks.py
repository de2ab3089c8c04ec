"""After many programs, some of them hostile: no process, descriptor or mount more, in the judge or in the workers."""

import asyncio
import os
from pathlib import Path

import pytest
from sandbox.escapes import LEAVINGS
from sandbox.exploits import FORKS, HONEST

from verigrad.errors import SandboxError
from verigrad.sandbox.base import LEVELS, Call
from verigrad.sandbox.process import ProcessSandbox
from verigrad.types import Limits

QUICK = Limits(cpu_s=0.1, wall_s=0.3, processes=8)
HOSTILE = (
    *((program, "f") for program in FORKS.values()),
    *((program, "leave") for _, program in LEAVINGS.values()),
    ("def f(x):\n    while True:\n        pass\n", "f"),
    ("import os\ndef f(x):\n    fds = [os.pipe() for _ in range(20)]\n    os.kill(0, 9)\n", "f"),
    ("import os\nos._exit(0)\n", "f"),
)


def held(pids):
    """Processes, and of all of them together descriptors and mounts. The workers' next programs are in flux."""
    descriptors = mounts = 0
    for pid in pids:
        descriptors += len(os.listdir(f"/proc/{pid}/fd"))
        mounts += len(Path(f"/proc/{pid}/mountinfo").read_text().splitlines())
    return len(pids), descriptors, mounts


async def run_many(box, number):
    """A tenth of them hostile; every honest one must pass."""

    async def run(index):
        if index % 10 == 0:
            program, function = HOSTILE[index // 10 % len(HOSTILE)]
            await box.run(program, [Call(function, (1,) if function == "f" else ())], QUICK)
        else:
            assert (await box.run(HONEST, [Call("f", (index,))], Limits())).outcomes[0].value == index * index + 7

    for start in range(0, number, 100):
        await asyncio.gather(*(run(index) for index in range(start, start + 100)))


@pytest.mark.parametrize(
    "level",
    [pytest.param(level, marks=() if level in (LEVELS[0], LEVELS[-1]) else pytest.mark.slow) for level in LEVELS],
)
@pytest.mark.parametrize("number", [300, pytest.param(5000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_nothing_remains(descendants, level, number):
    async def main():
        async with ProcessSandbox(workers=2, level=level) as box:
            try:
                assert box.level == level
            except SandboxError as error:
                pytest.skip(str(error))
            await run_many(box, 100)  # every file has been opened that is opened once
            await asyncio.sleep(0.5)
            before = held({os.getpid(), *descendants(others)})
            await run_many(box, number)
            await asyncio.sleep(0.5)
            assert held({os.getpid(), *descendants(others)}) == before
            assert before[0] == 7  # ourselves and two workers: supervisor, fork-server, the next program

    others = descendants()
    asyncio.run(main())
    assert descendants(others) == set()
