"""`verigrad check tasks SOURCE` and `verigrad check reward NAME`."""

from __future__ import annotations

import argparse
import asyncio

from verigrad.cli.options import Work

__all__ = ["check"]


def check(argv: list[str]) -> Work:
    """Prove task sources and rewards sound without a model; exit status 1 where one is not."""
    parser = argparse.ArgumentParser(prog="verigrad check", description=check.__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    tasks = kinds.add_parser("tasks", help="gold passes; empty, constant and wrong programs fail; judging repeats")
    tasks.add_argument("source", help="task source, such as builtin?split=train or file.jsonl")
    tasks.add_argument("--workers", type=int, default=2, help="programs at once")
    reward = kinds.add_parser("reward", help="the reward's own CHECKS hold on a small known task")
    reward.add_argument("name", help="reward name, or file.py:function")
    options = parser.parse_args(argv)
    if options.kind == "tasks":
        return lambda: asyncio.run(_check_tasks(options.source, options.workers))
    return lambda: asyncio.run(_check_reward(options.name))


async def _check_tasks(source: str, workers: int) -> int:
    from verigrad.cli.progress import counting
    from verigrad.evaluation.checks import check_tasks
    from verigrad.evaluation.sources import load_source
    from verigrad.sandbox.judge import Judge
    from verigrad.sandbox.languages import PolyglotSandbox

    tasks = load_source(source)
    sandbox = PolyglotSandbox(workers=workers)
    try:
        with counting("checking", len(tasks)) as advance:
            checks = await check_tasks(tasks, Judge(sandbox), on_task=lambda _: advance())
    finally:
        await sandbox.close()
    unsound = [found for found in checks if found.complaints]
    for found in unsound:
        print(f"{found.task_id}: {'; '.join(found.complaints)}")
    programs = sum(found.programs for found in checks)
    print(f"{len(checks) - len(unsound)} of {len(checks)} tasks sound ({programs} programs judged)")
    if tried := sum(found.mutants for found in checks):
        survivors = sum(found.survivors for found in checks)
        print(f"{survivors} of {tried} gold programs with one change pass all the same; not every change does harm")
    return 1 if unsound else 0


async def _check_reward(name: str) -> int:
    from verigrad.evaluation.checks import check_reward
    from verigrad.sandbox.judge import Judge
    from verigrad.sandbox.languages import PolyglotSandbox

    sandbox = PolyglotSandbox(workers=1)
    try:
        checks = await check_reward(name, Judge(sandbox))
    finally:
        await sandbox.close()
    for found in checks:
        verdict = "ok  " if found.holds else "FAIL"
        print(
            f"{verdict} {found.check.case:<14} {found.value}  (wanted {found.check.at_least} to {found.check.at_most})"
        )
    failed = sum(not found.holds for found in checks)
    print(f"{len(checks) - failed} of {len(checks)} checks hold")
    return 1 if failed else 0
