"""Judges programs for a long time, a tenth of them hostile: is every verdict right, and does nothing remain?

    python benchmarks/soak.py                        100 000 programs, or as many as fit into an hour
    python benchmarks/soak.py --programs 3000 --json
    python benchmarks/soak.py --log soak.jsonl       notes every batch; once more, and it goes on where that ended

Hostile programs may use 0.1 s of CPU time and 0.3 s of elapsed time. As many programs are in flight as there are
workers, so the time a caller waits for a sleeping program, less those 0.3 s, is how late its deadline was enforced; of
a spinning one it is the CPU time beyond 0.1 s. A sleeping program takes no processor, so there are more workers than
those. Processes, descriptors, mounts and folders are counted between batches, in the judge and its workers; memory is
theirs together, and its growth is that of the second half. Of a run made in parts the worst part counts. Exits with 1
where a verdict was wrong or something remained.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from verigrad.sandbox.base import LEVELS
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.process import ProcessSandbox
from verigrad.types import CallTest, Limits, Oracle, Verdict

__all__ = ["main"]

TESTS = tuple(CallTest(args=(x,), expected=x * x + 7, name=str(x)) for x in (2, 7, 13))
HONEST = Oracle(task_id="soak", tests=TESTS)
HOSTILE = Oracle(task_id="soak", tests=TESTS, limits=Limits(cpu_s=0.1, wall_s=0.3, memory_mb=256, processes=4))
RIGHT = "def f(x):\n    return x * x + 7\n"
WRONG = "def f(x):\n    return x * x\n"
SLEEPS, SPINS = "sleeps", "spins"
ATTACKS = {
    SLEEPS: ("import time\ndef f(x):\n    time.sleep(60)\n", {"timeout"}),
    SPINS: ("def f(x):\n    while True:\n        pass\n", {"timeout"}),
    "eats memory": ("def f(x):\n    return len('a' * 10**9 * x)\n", {"memory"}),
    "floods its output": ("def f(x):\n    print('x' * 2_000_000)\n", {"output_limit"}),
    "exits early": ("import os\ndef f(x):\n    os._exit(0)\n", {"crashed"}),
    "kills its group": ("import os\ndef f(x):\n    os.kill(0, 9)\n    os._exit(1)\n", {"crashed"}),
    "leaves processes": (
        "import os, time\ndef f(x):\n    for _ in range(4):\n        if os.fork() == 0:\n            time.sleep(60)\n"
        "    return x\n",
        {"failed", "exception", "timeout"},
    ),
    "forks without end": (
        "import os\ndef f(x):\n    while True:\n        os.fork()\n",
        {"exception", "violation", "timeout"},
    ),
    "fills its folder": (
        "def f(x):\n    for n in range(1000):\n        open(f'/tmp/vg-soak-{n}', 'wb').write(bytes(1 << 20))\n",
        {"exception", "timeout"},
    ),
    "writes to every descriptor": (
        "import os\ndef f(x):\n    for fd in range(3, 64):\n        try:\n            os.write(fd, b'passed' * 9)\n"
        "        except OSError:\n            pass\n",
        {"violation"},
    ),
}


@dataclass
class Batch:
    """What some programs gave, and what was held after them."""

    judged: int = 0
    seconds: float = 0.0
    wrong: Counter[str] = field(default_factory=Counter)
    late_ms: dict[str, list[float]] = field(default_factory=lambda: {SLEEPS: [], SPINS: []})
    held: Counter[str] = field(default_factory=Counter)


@dataclass
class Part:
    """What one process saw: batch after batch, and what was left when all was closed."""

    level: str
    batches: list[Batch] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)


def programs(number: int, seed: int) -> Iterator[tuple[str, str, Oracle, set[str]]]:
    """Name, source, oracle and the statuses that are right; no source comes twice."""
    choice = random.Random(seed)
    attacks = list(ATTACKS)
    for index in range(number):
        if index % 10 == 0:
            name = attacks[index // 10 % len(attacks)]
            source, statuses, oracle = *ATTACKS[name], HOSTILE
        else:
            name = choice.choice(("right", "wrong"))
            source, statuses, oracle = (RIGHT, {"passed"}, HONEST) if name == "right" else (WRONG, {"failed"}, HONEST)
        yield name, f"{source}# {index}\n", oracle, statuses


async def judge_all(judge: Judge, work: Iterator[tuple[str, str, Oracle, set[str]]], batch: Batch) -> None:
    """One of as many loops as there are workers."""
    for name, source, oracle, statuses in work:
        start = time.monotonic()
        verdict: Verdict = await judge.judge(source, oracle, "f")
        batch.judged += 1
        if verdict.status not in statuses:
            batch.wrong[f"{name}: {verdict.status}"] += 1
        if name == SLEEPS:
            batch.late_ms[name].append(1000 * (time.monotonic() - start - oracle.limits.wall_s))
        elif name == SPINS:
            batch.late_ms[name].append(verdict.cpu_ms - 1000 * oracle.limits.cpu_s)


def held(folder: str) -> Counter[str]:
    """Processes, descriptors, mounts, MiB of memory and folders of this process and all below it."""
    count: Counter[str] = Counter(folders=len(os.listdir(folder)))
    for pid in family():
        with suppress(OSError):  # of another user, or gone
            count["processes"] += 1
            count["memory"] += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 10
            count["descriptors"] += len(os.listdir(f"/proc/{pid}/fd"))
            count["mounts"] += len(Path(f"/proc/{pid}/mountinfo").read_text().splitlines())
    return count


def family() -> list[int]:
    """Ids of this process and all below it."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            parents[int(name)] = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
    found = [os.getpid()]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


# ---------------------------------------------------------------------------------------------------- the run


class Log:
    """The parts of a run, in memory and, where there is a file, line by line in that."""

    def __init__(self, path: Path | None) -> None:
        self.parts: list[Part] = []
        self._path = path
        for line in path.read_text().splitlines() if path is not None and path.exists() else ():
            self._take(json.loads(line))

    def _take(self, line: dict[str, Any]) -> None:
        if "level" in line:
            self.parts.append(Part(line["level"]))
        elif "left" in line:
            self.parts[-1].left = Counter(line["left"])
        else:
            batch = Batch(**{**line, "wrong": Counter(line["wrong"]), "held": Counter(line["held"])})
            self.parts[-1].batches.append(batch)

    def add(self, line: dict[str, Any]) -> None:
        """Take note of the `level` of a part that begins, of a batch, or of what was `left`."""
        self._take(line)
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps(line) + "\n")

    @property
    def judged(self) -> int:
        """Programs so far."""
        return sum(batch.judged for part in self.parts for batch in part.batches)


async def soak(options: argparse.Namespace, folder: str, log: Log) -> None:
    """Judge what the log does not hold yet, in batches, counting in between."""
    until = time.monotonic() + 60 * options.minutes
    others = set(family())
    size = max(100, options.programs // 50)
    async with ProcessSandbox(workers=options.workers, level=options.level) as box:
        judge = Judge(box, cache_size=1)
        await asyncio.gather(*(judge.judge(f"{RIGHT}# worker {n}\n", HONEST, "f") for n in range(options.workers)))
        log.add({"level": box.level})
        work = islice(programs(options.programs, options.seed), log.judged, None)
        while log.judged < options.programs and time.monotonic() < until:
            batch, start = Batch(), time.monotonic()
            jobs = islice(work, size)
            await asyncio.gather(*(judge_all(judge, jobs, batch) for _ in range(options.workers)))
            batch.seconds = time.monotonic() - start
            await asyncio.sleep(0.3)  # the workers' next programs are in flux
            batch.held = held(folder)
            log.add(vars(batch))
            print(f"\r{log.judged} of {options.programs}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    log.add({"left": {"processes": len(set(family()) - others), "folders": len(os.listdir(folder))}})


# --------------------------------------------------------------------------------------------------- its table


def quantile(values: list[float], share: float) -> float:
    """The least of the values that this share of them does not exceed (nearest rank); 0 of none."""
    ordered = sorted(values) or [0.0]
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def growth(part: Part) -> float:
    """KiB more for every 1000 programs, in the second half of a part."""
    number, half = 0, []
    for batch in part.batches:
        number += batch.judged
        half.append((number / 1000, batch.held["memory"]))
    half = half[len(half) // 2 :]
    return statistics.linear_regression(*zip(*half, strict=True)).slope if len(half) > 1 else 0.0


def more(part: Part, name: str) -> int:
    """How many more were held after the last batch than after the first, which opens what is opened once."""
    return part.batches[-1].held[name] - part.batches[0].held[name]


def table(log: Log) -> tuple[list[dict[str, object]], bool]:
    """The records to print, and whether all is well."""
    parts = [part for part in log.parts if part.batches]
    batches = [batch for part in parts for batch in part.batches]
    seconds = sum(batch.seconds for batch in batches)
    wrong = sum((batch.wrong for batch in batches), Counter[str]())
    kept = {
        name: max((more(part, name) for part in parts), key=abs)
        for name in ("processes", "descriptors", "mounts", "folders")
    }
    left = {name: max(part.left[name] for part in parts) for name in ("processes", "folders")}
    late = {name: [ms for batch in batches for ms in batch.late_ms[name]] for name in (SLEEPS, SPINS)}
    facts = {"level": parts[-1].level, "programs": log.judged, "seconds": round(seconds, 1)}
    if len(log.parts) > 1:
        facts["parts"] = len(log.parts)
    rows: list[tuple[str, float, str, dict[str, object]]] = [
        ("wrong_verdicts", wrong.total(), "", dict(wrong)),
        *((f"more_{name}", number, "", {}) for name, number in kept.items()),
        *((f"{name}_after", number, "", {}) for name, number in left.items()),
        (
            "memory_growth",
            round(max(map(growth, parts)), 1),
            "KiB per 1000 programs",
            {"total_kib": batches[-1].held["memory"]},
        ),
        *(
            (f"late_{name}_p999", round(quantile(values, 0.999), 1), "ms", {"of": len(values), "most": max(values)})
            for name, values in late.items()
            if values
        ),
        ("programs_per_second", round(log.judged / seconds, 1), "1/s", {}),
    ]
    records = [
        {"name": f"soak.{name}", "value": value, "unit": unit, **facts, **more} for name, value, unit, more in rows
    ]
    well = not wrong.total() and not any(kept.values()) and not any(left.values())
    return records, well and all(more(part, "memory") < 16 << 10 for part in parts)


def main(argv: list[str] | None = None) -> int:
    """Soak and print; 0 where all is well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=60.0, help="judge no more programs after that")
    parser.add_argument("--workers", type=int, default=3 * (os.cpu_count() or 1))
    parser.add_argument("--level", choices=("auto", *LEVELS), default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--log", type=Path, help="file of what is known so far, which is gone on with")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(argv)
    log = Log(options.log)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        tempfile.tempdir = folder
        try:
            asyncio.run(soak(options, folder, log))
        finally:
            tempfile.tempdir = None
    records, well = table(log)
    for record in records:
        print(json.dumps(record) if options.json else f"{record['name']:<28}{record['value']:>10} {record['unit']}")
    print("all is well" if well else "NOT well", file=sys.stderr)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
