"""`verigrad judge`: judge a file of programs, whoever made them."""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from verigrad.cli.options import HelpWithDefaults, Work
from verigrad.evaluation.sources import load_source
from verigrad.jsonl import read_rows, require_writable, write_rows
from verigrad.tasks.base import TaskSet

__all__ = ["judge"]


def judge(argv: list[str]) -> Work:
    """Judge `{"task_id", "program"}` or `{"task_id", "completion"}` rows; verdicts in the order of the input."""
    parser = argparse.ArgumentParser(prog="verigrad judge", description=judge.__doc__, formatter_class=HelpWithDefaults)
    parser.add_argument("--tasks", required=True, help="task source, such as humaneval or file.jsonl")
    parser.add_argument(
        "--input", required=True, type=Path, help="JSONL of programs or completions; - for the gold programs"
    )
    parser.add_argument("--output", required=True, type=Path, help="JSONL of verdicts")
    parser.add_argument("--workers", type=int, default=2, help="programs at once")
    return partial(_judge_file, parser.parse_args(argv))


def _judge_file(options: argparse.Namespace) -> int:
    tasks = load_source(options.tasks)
    rows = _gold_rows(tasks) if str(options.input) == "-" else [row for _, row in read_rows(options.input)]
    require_writable(options.output)
    verdicts = asyncio.run(_judge(tasks, rows, options.workers))
    counts = Counter(row["status"] for row in verdicts)
    others = ", ".join(f"{status} {count}" for status, count in counts.most_common() if status != "passed")
    print(f"{counts['passed']} of {len(verdicts)} passed{'; ' + others if others else ''}")
    write_rows(options.output, verdicts)
    print(f"wrote {options.output}")
    return 0


async def _judge(tasks: TaskSet, rows: list[dict[str, Any]], workers: int) -> list[dict[str, Any]]:
    from verigrad.cli.progress import counting
    from verigrad.sandbox.judge import Judge, judge_rows
    from verigrad.sandbox.languages import PolyglotSandbox

    sandbox = PolyglotSandbox(workers=workers)
    by_id = {task.id: task for task in tasks.tasks}
    known = {**by_id, **{alias: by_id[ours] for alias, ours in tasks.aliases.items() if ours in by_id}}
    try:
        with counting("judging", len(rows)) as advance:
            return await judge_rows(rows, known, tasks.oracles, Judge(sandbox), on_result=lambda _: advance())
    finally:
        await sandbox.close()


def _gold_rows(tasks: TaskSet) -> list[dict[str, Any]]:
    return [{"task_id": task.id, "program": tasks.oracle(task).gold or ""} for task in tasks.tasks]
