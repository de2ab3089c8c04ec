"""`verigrad inspect RUN`: the figures and the rollouts of a run, in the terminal."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.syntax import Syntax
from rich.table import Table

from verigrad.cli.options import HelpWithDefaults, Work
from verigrad.cli.progress import screen
from verigrad.errors import ConfigError
from verigrad.evaluation.reports.run_folder import read_run
from verigrad.jsonl import read_rows

__all__ = ["inspect"]

_COLUMNS = ("step", "reward", "pass_rate", "loss", "entropy", "completion_tokens", "grad_norm", "seconds")


def inspect(argv: list[str]) -> Work:
    """Print a run's summary and curve, or the rollouts of one step."""
    parser = argparse.ArgumentParser(
        prog="verigrad inspect", description=inspect.__doc__, formatter_class=HelpWithDefaults
    )
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--step", type=int, help="print this step's rollouts instead")
    parser.add_argument("--status", help="only rollouts of this verdict, such as passed or syntax_error")
    parser.add_argument("--most", type=int, default=8, help="rollouts printed at most")
    parser.add_argument("--report", action="store_true", help="write report.html again")
    return partial(_inspect, parser.parse_args(argv))


def _inspect(options: argparse.Namespace) -> int:
    if not (options.run / "config.toml").exists():
        raise ConfigError(f"{options.run} is no run folder: it has no config.toml")
    console = screen()
    if options.report:
        from verigrad.evaluation.reports.report import write_report

        _print(console, f"wrote {write_report(options.run)}")
    elif options.step is not None:
        _print_rollouts(console, options.run, options.step, options.status, options.most)
    else:
        _print_run(console, options.run)
    return 0


def _print_run(console: Console, folder: Path) -> None:
    run = read_run(folder)
    train = run.metrics.get("train", ())
    table = Table(title=escape(f"{folder}: {len(train)} steps"))
    for name in _COLUMNS:
        table.add_column(name, justify="right")
    stride = max(1, len(train) // 20)
    for row in [*train[:-1:stride], *train[-1:]]:
        table.add_row(*(_number(row.get(name)) for name in _COLUMNS))
    console.print(table)
    for row in run.metrics.get("validation", ()):
        _print(console, f"validation after step {row['step']}: {_validation(row)}")
    if "held_out" in run.summary:
        _print(console, f"held out: {_figures(run.summary['held_out'])}")
    for name, split in run.summary.get("splits", {}).items():
        before, after, change = (split.get(key, {}) for key in ("before", "after", "difference"))
        if before and after and change:
            _print(
                console,
                f"{name}: pass@1 {before['pass@1']:.1%} -> {after['pass@1']:.1%}, {change['value']:+.1%} "
                f"[{change['low']:+.1%}, {change['high']:+.1%}] over {split['num_tasks']} tasks",
            )
    for problem in run.problems:
        _print(console, problem)


def _print(console: Console, text: str) -> None:
    """Text as it is, in lines of its own length where nobody sees the width."""
    console.print(text, markup=False, soft_wrap=True)


def _validation(row: Mapping[str, Any]) -> str:
    """Of a policy pass@1 with its interval, of a reward model its figures on held-out prompts."""
    if "pass@1" in row:
        return f"{row['pass@1']:.1%} [{row['low']:.1%}, {row['high']:.1%}]"
    return _figures({key: value for key, value in row.items() if key not in ("step", "kind")})


def _figures(figures: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_number(value)}" for key, value in figures.items())


def _print_rollouts(console: Console, run: Path, step: int, status: str | None, most: int) -> None:
    file = run / "rollouts" / f"step-{step:06d}.jsonl"
    if not file.exists():
        kept = sorted(int(path.stem.removeprefix("step-")) for path in (run / "rollouts").glob("step-*.jsonl"))
        there = ", ".join(map(str, kept if len(kept) < 7 else [*kept[:3], "...", *kept[-3:]])) or "none"
        raise ConfigError(f"no rollouts of step {step} were kept; kept are those of: {there}")
    all_rows = [row for _, row in read_rows(file)]
    rows = [row for row in all_rows if status in (None, row["status"])]
    if all_rows and not rows:
        statuses = Counter(row["status"] for row in all_rows)
        counts = ", ".join(f"{name} {count}" for name, count in statuses.most_common())
        raise ConfigError(f"no rollout of step {step} has the status {status!r}; there are: {counts}")
    for row in rows[:most]:
        _print_rollout(console, row)
    console.print(f"{min(most, len(rows))} of {len(rows)} rollouts of step {step} shown")


def _print_rollout(console: Console, row: dict[str, Any]) -> None:
    title = f"{row['task_id']} #{row['sample']}: {row['status']}, reward {row['reward']}, {row['tokens']} tokens"
    console.rule(escape(title))
    _print(console, row["prompt"])
    if row["program"]:
        console.print(Syntax(row["program"], "python", word_wrap=True))
    else:
        console.print(row["completion"], style="dim", markup=False, soft_wrap=True)
    for result in row["results"]:
        mark = "[green]ok[/]" if result["status"] == "passed" else f"[red]{result['status']}[/]"
        console.print(f"  {mark} {escape(result['name'])} {escape(result['detail'])}", soft_wrap=True)


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return "" if value is None else str(value)
