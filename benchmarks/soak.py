"""Judges programs for a long time, a tenth of them hostile: is every verdict right, and does nothing remain?

    python benchmarks/soak.py                        100 000 programs, or as many as fit into an hour
    python benchmarks/soak.py --programs 3000 --json

Hostile programs may use 0.1 s of CPU time and 0.3 s of elapsed time. As many programs are in flight as there are
workers, so the time a caller waits for a sleeping program, less those 0.3 s, is how late its deadline was enforced; of
a spinning one it is the CPU time beyond 0.1 s. Processes, descriptors, mounts and folders are counted between batches,
in the judge and its workers; memory is theirs together, and its growth is that of the run's second half. Exits with 1
where a verdict was wrong or something remained.
"""

from __future__ import annotations

import argparse
import asyncio
import json
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
from pathlib import Path

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
class Seen:
    """What the run has seen so far."""

    judged: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    late_ms: dict[str, list[float]] = field(default_factory=lambda: {SLEEPS: [], SPINS: []})
    samples: list[tuple[int, Counter[str]]] = field(default_factory=list)


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


async def judge_all(judge: Judge, work: Iterator[tuple[str, str, Oracle, set[str]]], seen: Seen, until: float) -> None:
    """One of as many loops as there are workers."""
    for name, source, oracle, statuses in work:
        start = time.monotonic()
        verdict: Verdict = await judge.judge(source, oracle, "f")
        seen.judged += 1
        if verdict.status not in statuses:
            seen.wrong[f"{name}: {verdict.status}"] += 1
        if name == SLEEPS:
            seen.late_ms[name].append(1000 * (time.monotonic() - start - oracle.limits.wall_s))
        elif name == SPINS:
            seen.late_ms[name].append(verdict.cpu_ms - 1000 * oracle.limits.cpu_s)
        if time.monotonic() > until:
            return


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


async def soak(options: argparse.Namespace, folder: str) -> tuple[Seen, str, float]:
    """Judge in batches, counting in between; returns what was seen, the level and the seconds it took."""
    seen, start = Seen(), time.monotonic()
    until = start + 60 * options.minutes
    others = set(family())
    async with ProcessSandbox(workers=options.workers, level=options.level) as box:
        judge = Judge(box, cache_size=1)
        await asyncio.gather(*(judge.judge(f"{RIGHT}# worker {n}\n", HONEST, "f") for n in range(options.workers)))
        work = programs(options.programs, options.seed)
        batch = max(100, options.programs // 50)
        while seen.judged < options.programs and time.monotonic() < until:
            part = (job for _, job in zip(range(batch), work, strict=False))
            await asyncio.gather(*(judge_all(judge, part, seen, until) for _ in range(options.workers)))
            await asyncio.sleep(0.3)  # the workers' next programs are in flux
            seen.samples.append((seen.judged, held(folder)))
            seconds = time.monotonic() - start
            print(f"\r{seen.judged} of {options.programs}, {seconds:.0f} s", end="", file=sys.stderr, flush=True)
        level, seconds = box.level, time.monotonic() - start
    print(file=sys.stderr)
    seen.samples.append((seen.judged, Counter(processes=len(set(family()) - others), folders=len(os.listdir(folder)))))
    return seen, level, seconds


def quantile(values: list[float], share: float) -> float:
    """The value that this share of the values does not exceed; 0 of none."""
    ordered = sorted(values) or [0.0]
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def table(seen: Seen, level: str, seconds: float) -> tuple[list[dict[str, object]], bool]:
    """The records to print, and whether all is well."""
    *during, (_, after) = seen.samples
    first, last = during[min(1, len(during) - 1)][1], during[-1][1]  # the first batch opens what is opened once
    half = [(number / 1000, count["memory"]) for number, count in during[len(during) // 2 :]]
    slope = statistics.linear_regression(*zip(*half, strict=True)).slope if len(half) > 1 else 0.0
    kept = {name: last[name] - first[name] for name in ("processes", "descriptors", "mounts", "folders")}
    wrong = sum(seen.wrong.values())
    facts = {"level": level, "programs": seen.judged, "seconds": round(seconds, 1)}
    rows: list[tuple[str, float, str, dict[str, object]]] = [
        ("wrong_verdicts", wrong, "", dict(seen.wrong)),
        *((f"more_{name}", number, "", {}) for name, number in kept.items()),
        ("processes_after", after["processes"], "", {}),
        ("folders_after", after["folders"], "", {}),
        ("memory_growth", round(slope, 1), "KiB per 1000 programs", {"total_kib": last["memory"]}),
        *((f"late_{name}_p999", round(quantile(late, 0.999), 1), "ms", {}) for name, late in seen.late_ms.items()),
        ("programs_per_second", round(seen.judged / seconds, 1), "1/s", {}),
    ]
    records = [
        {"name": f"soak.{name}", "value": value, "unit": unit, **facts, **more} for name, value, unit, more in rows
    ]
    well = not wrong and not any(kept.values()) and not after["processes"] and not after["folders"]
    return records, well and (last["memory"] - first["memory"] < 16 << 10)


def main(argv: list[str] | None = None) -> int:
    """Soak and print; 0 where all is well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=60.0, help="judge no more programs after that")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--level", choices=("auto", *LEVELS), default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        tempfile.tempdir = folder
        try:
            records, well = table(*asyncio.run(soak(options, folder)))
        finally:
            tempfile.tempdir = None
    for record in records:
        print(json.dumps(record) if options.json else f"{record['name']:<28}{record['value']:>10} {record['unit']}")
    print("all is well" if well else "NOT well", file=sys.stderr)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
