"""What the judge's care costs: gold programs judged per second with and without reruns and canaries.

    python benchmarks/judge.py                      HumanEval's gold programs, which all pass: the dearest case
    python benchmarks/judge.py --tasks "builtin?split=train&instances=1"
    python benchmarks/judge.py --json               one object a line

Sides take turns, each with a judge that remembers nothing; the value is the median over rounds. Programs that fail
run no test again, so a run with a pass rate of a tenth pays a tenth of what is shown here. `judge.canary_round` is the
seconds that the known programs take, once a thousand verdicts: those of a judge's first verdict with them, less those
without.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Mapping

from verigrad.evaluation.sources import load_source
from verigrad.sandbox.judge import Judge, in_order
from verigrad.sandbox.process import ProcessSandbox
from verigrad.tasks.base import TaskSet

__all__ = ["SIDES", "main"]

SIDES: Mapping[str, Mapping[str, int]] = {
    "plain": {"reruns": 0, "canaries_every": 0},
    "reruns": {"canaries_every": 0},
    "canaries": {"reruns": 0},
    "default": {},
}


async def rate(judge: Judge, tasks: TaskSet) -> float:
    """Gold programs judged per second."""
    start = time.perf_counter()
    work = (judge.judge(tasks.oracle(task).gold or "", tasks.oracle(task), task.entry_point) for task in tasks.tasks)
    passed = [verdict.passed async for verdict in in_order(work)]
    assert all(passed)
    return len(passed) / (time.perf_counter() - start)


async def canary_round(sandbox: ProcessSandbox, tasks: TaskSet) -> float:
    """Seconds of one round of canaries."""
    task = tasks.tasks[0]
    oracle = tasks.oracle(task)
    seconds = []
    for side in ("canaries", "plain"):
        start = time.perf_counter()
        await Judge(sandbox, **SIDES[side]).judge(oracle.gold or "", oracle, task.entry_point)
        seconds.append(time.perf_counter() - start)
    return seconds[0] - seconds[1]


async def measure(tasks: TaskSet, workers: int, rounds: int) -> list[dict[str, object]]:
    """Every side in turn, `rounds` times; the ratio is to the plain judge of the same round."""
    async with ProcessSandbox(workers=workers) as sandbox:
        await rate(Judge(sandbox), tasks)
        taken = [
            {side: await rate(Judge(sandbox, **kept), tasks) for side, kept in SIDES.items()} for _ in range(rounds)
        ]
        canaries = [await canary_round(sandbox, tasks) for _ in range(rounds)]
        level = sandbox.level
    known = {"level": level, "rounds": rounds}
    return [
        {
            "name": f"judge.{side}",
            "value": round(statistics.median(found[side] for found in taken), 1),
            "unit": "1/s",
            **known,
            "programs": len(tasks),
            "ratio": round(statistics.median(found[side] / found["plain"] for found in taken), 3),
        }
        for side in SIDES
    ] + [
        {
            "name": "judge.canary_round",
            "value": round(statistics.median(canaries), 3),
            "unit": "s",
            **known,
            "range": [round(min(canaries), 3), round(max(canaries), 3)],
        }
    ]


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default="humaneval", help="task source, whose gold programs must pass")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(argv)
    for record in asyncio.run(measure(load_source(options.tasks), options.workers, options.rounds)):
        print(json.dumps(record) if options.json else record)


if __name__ == "__main__":
    main()
