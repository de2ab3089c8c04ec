"""What the kernel alone takes for a program at level `full`: the same system calls around an empty process.

    python benchmarks/sandbox_floor.py --json       as root

A loop in one process stands where the sandbox stands at `full`: namespaces, root, user, Landlock and filter are those
of `verigrad.sandbox.enclosure`. Each round makes a program's four pipes, forks with a process namespace of its own,
becomes the programs' user, restricts itself, is sent a byte, answers it, and is killed and reaped. There is no
supervisor, no judge's process, no limits of a task, no program. Sides, in turn:

    fork        `os.fork`, `os._exit` and `os.waitpid` in a process that has imported nothing
    enclosed    the above, in a process that has imported nothing but what putting up the level takes
    warm        the above, in one that has imported what programs find imported, as the fork-server has

What a program costs in the sandbox beyond `warm` is ours to bring down; `warm` itself is the kernel's and the fork's of
a Python that has its library at hand.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import verigrad

__all__ = ["main"]

SIDES = ("fork", "enclosed", "warm")
FORK = """
import os
def once():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
"""
ENCLOSED = """
import os, sys
sys.path.append(sys.argv[3])
import worker
worker._make_importable()
from verigrad.sandbox.imports import Imports
if sys.argv[1] == "warm":
    worker._preload(Imports())
from verigrad.sandbox.enclosure import enclose
enclosure = enclose("full", Imports())
def once():
    ends = [end for _ in range(4) for end in os.pipe()]
    pid = enclosure.fork()
    if pid == 0:
        os.setsid()
        enclosure.enter()
        os.read(ends[0], 1)
        os.write(ends[3], b"x")
        os.read(ends[0], 1)
        os._exit(0)
    os.write(ends[1], b"x")
    os.read(ends[2], 1)
    enclosure.end(pid)
    os.closerange(min(ends), max(ends) + 1)
"""
LOOP = """
import gc, os, resource, sys, time
def spent():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in used)
number = int(sys.argv[2])
gc.collect()
gc.freeze()
for _ in range(20):
    once()
cpu, wall = spent(), time.perf_counter()
for _ in range(number):
    once()
os.write(1, b"%r %r" % ((spent() - cpu) / number, (time.perf_counter() - wall) / number))
"""


def measure(side: str, number: int) -> tuple[float, float]:
    """CPU and elapsed milliseconds of a round."""
    source = (FORK if side == "fork" else ENCLOSED) + LOOP
    sandbox = Path(verigrad.__file__).with_name("sandbox")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-P", "-s", "-S", "-B", "-X", "utf8", "-c", source, side, str(number), str(sandbox)]
        done = subprocess.run(command, cwd=folder, env={"LD_BIND_NOW": "1"}, stdout=subprocess.PIPE, check=False)
    cpu, wall = map(float, done.stdout.split())  # the process that was started ends early: another goes on in its place
    return 1000 * cpu, 1000 * wall


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=500, help="rounds of a side")
    parser.add_argument("--rounds", type=int, default=3, help="turns of all sides; the median counts")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(argv)
    turns = [{side: measure(side, options.programs) for side in SIDES} for _ in range(options.rounds)]
    for side in SIDES:
        cpu, wall = (round(statistics.median(turn[side][part] for turn in turns), 3) for part in (0, 1))
        record = {"name": f"sandbox.floor_{side}", "value": cpu, "unit": "ms of CPU", "elapsed_ms": wall}
        print(json.dumps({**record, "rounds": options.rounds}) if options.json else record)


if __name__ == "__main__":
    main()
