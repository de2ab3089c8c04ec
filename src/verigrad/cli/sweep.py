"""`verigrad sweep RECIPE --vary key=a,b --seeds 0,1,2`: many runs, one table."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from verigrad.cli.options import SAME_COMMAND, Work, going_on
from verigrad.cli.train import recipe_of
from verigrad.errors import ConfigError

if TYPE_CHECKING:
    from verigrad.training.sweep.plan import Plan

__all__ = ["sweep"]

_DESCRIPTION = """\
Run every combination of the varied settings with every seed, one after another, each in its own process and folder.
The same command again goes on: finished runs are skipped, a begun one continues, a failed one is tried again."""
_EPILOG = """\
Every setting of the recipe can be overridden for all runs with --key value; `verigrad rl --help` lists them.

  verigrad sweep quickstart --vary algorithm=grpo,dr_grpo --seeds 0,1,2
  verigrad sweep quickstart --vary algorithm=grpo,rloo --grid optim.learning_rate=1e-5,3e-5,1e-4 --grid-steps 0.5"""


def sweep(argv: list[str]) -> Work:
    """Run a sweep; the exit status is 1 where a run failed."""
    named = bool(argv) and not argv[0].startswith("-")  # a recipe comes first where there is one
    options, overrides = _parser().parse_known_args(argv[1:] if named else argv)
    recipe = recipe_of(options.command, argv[0]) if named else None
    from verigrad.training.sweep.plan import Design, Plan

    design = Design(
        command=options.command,
        vary=_axes(options.vary),
        seeds=_seeds(options.seeds),
        grid=_axes(options.grid),
        select_on=options.select_on,
        grid_seed=_seeds(options.seeds)[0] if options.grid_seed is None else options.grid_seed,
        grid_steps=options.grid_steps,
    )
    folder = options.out or Path("runs") / f"sweep-{recipe.stem if recipe else options.command}"
    plan = Plan(design, folder, recipe, overrides)
    plan.check()
    return partial(_dry_run, plan) if options.dry_run else partial(_run, plan, keep_all=options.keep_all)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="verigrad sweep",
        usage="verigrad sweep [RECIPE] [--vary KEY=A,B ...] [--seeds 0,1,2] [options] [--key value ...]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--command", default="rl", choices=("rl", "sft", "diffusion", "preference", "reward-model"))
    parser.add_argument("--vary", action="append", default=[], metavar="KEY=A,B", help="may be given several times")
    parser.add_argument("--seeds", default="0,1,2", metavar="0,1,2", help="of every combination (default: 0,1,2)")
    parser.add_argument("--out", type=Path, help="the sweep's folder (default: runs/sweep-RECIPE)")
    parser.add_argument("--dry-run", action="store_true", help="print the list of runs and stop")
    parser.add_argument("--resume", action="store_true", help="not needed: the same command always goes on")
    parser.add_argument("--keep-all", action="store_true", help="keep all checkpoints, and the grid's models")
    grid = parser.add_argument_group("a grid, tuned for each combination apart")
    grid.add_argument("--grid", action="append", default=[], metavar="KEY=A,B,C", help="values to choose from")
    grid.add_argument("--select-on", default="validation", choices=("validation",), help="what decides (the default)")
    grid.add_argument("--grid-steps", type=float, default=1.0, metavar="SHARE", help="of the steps (default: 1)")
    grid.add_argument("--grid-seed", type=int, help="of the grid's runs (default: the first of --seeds)")
    return parser


def _axes(words: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """`key=a,b` as key -> values; a value with a comma is written in double quotes."""
    axes: dict[str, tuple[str, ...]] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not key or not equals or not text:
            raise ConfigError(f"got {word!r}, wanted a setting and its values, such as algorithm=grpo,rloo")
        key = key.removeprefix("--").replace("-", "_")
        if key in axes:
            raise ConfigError(f"{key} is named twice; give all its values at once: {key}=a,b,c")
        axes[key] = tuple(next(csv.reader([text])))
    return axes


def _seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(f"--seeds is {text!r}, wanted whole numbers, such as 0,1,2") from error


def _dry_run(plan: Plan) -> int:
    from verigrad.training.sweep.loop import trials

    plan.check_names()
    found = list(trials(plan))
    for number, (trial, status) in enumerate(found, 1):
        waits = " (with what the grid chooses)" if plan.design.grid and trial.kind == "run" and not trial.chosen else ""
        print(f"{number:>4} of {len(found)}  {status:<9} {plan.folder / trial.name}{waits}")
    return 0


def _run(plan: Plan, *, keep_all: bool) -> int:
    from verigrad.cli.progress import TerminalReporter
    from verigrad.training.sweep.loop import run_sweep

    reporter = TerminalReporter()
    try:
        with going_on(SAME_COMMAND):
            failures = run_sweep(plan, reporter, keep_all=keep_all)
    finally:
        reporter.close()
    for name, error in failures.items():
        print(f"failed: {plan.folder / name}: {error}", file=sys.stderr)
    print(f"wrote {plan.folder / 'table.md'}, {plan.folder / 'results.jsonl'} and {plan.folder / 'sweep.html'}")
    return 1 if failures else 0
