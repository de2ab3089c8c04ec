"""A sweep in markdown, and the rows of figures that its page shows too."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from verigrad.evaluation.reports.charts import percent, points
from verigrad.evaluation.sweeps.folder import SettingRuns, SweepFolder, setting_label, short_keys
from verigrad.evaluation.sweeps.statistics import Comparison, SeedSummary

__all__ = [
    "comparison_rows",
    "comparison_words",
    "failures",
    "gain_rows",
    "grid_rows",
    "held_out_rows",
    "interval",
    "markdown",
    "method_notes",
    "run_rows",
    "sweep_table",
    "task_count",
]

_Table = tuple[list[str], list[list[str]]]


def sweep_table(sweep: SweepFolder) -> str:
    """The whole file."""
    parts = [f"# {sweep.path.resolve().name}", markdown(*held_out_rows(sweep))]
    for split in sweep.splits:
        parts += [f"## {split}", _gain_words(sweep, split), markdown(*gain_rows(sweep, split))]
        if sweep.comparisons[split]:
            parts += [comparison_words(sweep, split), markdown(*comparison_rows(sweep, split))]
    chosen = markdown(*grid_rows(sweep))
    parts += ["## Chosen on the validation set", chosen] if chosen else []
    parts += ["## Runs", markdown(*run_rows(sweep))]
    failed = [f"- {line}" for line in failures(sweep)]
    parts += ["## Failed", "\n".join(failed)] if failed else []
    parts += ["## How", "\n".join(f"- {note}" for note in method_notes(sweep))]
    return "\n\n".join(part for part in parts if part) + "\n"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of plain texts; empty where there are no rows."""
    lines = [head, ["---"] * len(head), *rows]
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells) if rows else ""


def interval(low: float | None, high: float | None) -> str:
    """Ends in percentage points.

    >>> interval(-0.012, 0.2), interval(None, None)
    ('[−1.2, +20.0]', '–')
    """
    return "–" if low is None or high is None else f"[{points(low)}, {points(high)}]"


def task_count(found: Iterable[SeedSummary]) -> str:
    """Tasks that figures, at least one, are over; they differ where samples were lost."""
    counts = [own.gain.num_tasks for own in found]
    least, most = min(counts), max(counts)
    return f"{most} tasks" if least == most else f"{least} to {most} tasks"


def _gain_words(sweep: SweepFolder, split: str) -> str:
    figures = sweep.figures[split].values()
    return f"Gains are in percentage points{f', over {task_count(figures)}' if figures else ''}."


def gain_rows(sweep: SweepFolder, split: str) -> _Table:
    """Head and rows of a split: a row a setting."""
    varied, chosen = (dict.fromkeys(sweep.design.get(name, {})) for name in ("vary", "grid"))
    head = [*(short_keys(varied) or ["settings"]), *(f"{key} (chosen)" for key in short_keys(chosen)), "seeds"]
    head += ["before", "after", "gain", "95 % over tasks", "sd over seeds", "95 % over tasks and seeds"]
    figures = sweep.figures[split]
    rows = [
        [
            *_setting_cells(setting, varied, chosen),
            *_figure_cells(setting, figures.get(setting.label)),
            *_cost_cells(setting),
        ]
        for setting in sweep.settings
    ]
    return [*head, "peak memory", "seconds"], rows


def _setting_cells(setting: SettingRuns, varied: Iterable[str], chosen: Iterable[str]) -> list[str]:
    own = [setting.settings[key] for key in varied] or [setting.label]
    return [*own, *(setting.chosen.get(key, "–") for key in chosen)]


def _figure_cells(setting: SettingRuns, found: SeedSummary | None) -> list[str]:
    seeds = f"{len(setting.runs)} of {len(setting.rows)}"
    if found is None:
        return [seeds, *["–"] * 6]
    return [
        seeds,
        percent(found.before.value),
        percent(found.after.value),
        points(found.gain.value),
        interval(found.gain.low, found.gain.high),
        "–" if found.sd is None else f"{100 * found.sd:.1f}",
        interval(found.low, found.high),
    ]


def _cost_cells(setting: SettingRuns) -> list[str]:
    rows = setting.finished()
    memory = [row["peak_memory_mb"] for row in rows if "peak_memory_mb" in row]
    seconds = [row["seconds"] for row in rows if "seconds" in row]
    return [f"{max(memory):,.0f} MB" if memory else "–", f"{fmean(seconds):,.0f}" if seconds else "–"]


def comparison_words(sweep: SweepFolder, split: str) -> str:
    """What the comparisons of a split come to."""
    found = sweep.comparisons[split]
    ties = sum(comparison.verdict == "tie" for comparison in found)
    pairs = "comparison" if len(found) == 1 else "comparisons"
    return (
        f"{len(found)} {pairs} of pass@1 after training, {ties} of them ties. Over tasks, seeds pooled: a difference "
        "counts where its 95 % interval (a paired bootstrap) leaves out 0 and its p-value (signs of the tasks' changes "
        f"flipped), corrected by Holm's method for the {len(found)} {pairs} of this split, is at most 0.05. Where "
        "interval and corrected p over tasks and seeds do not say the same, it holds in these runs."
    )


def comparison_rows(sweep: SweepFolder, split: str) -> _Table:
    """Head and rows of a split: a row a pair."""
    intervals = ["95 % over tasks", "95 % over tasks and seeds"]
    head = ["first", "second", "higher", "first − second", *intervals, "p", "p (Holm)"]
    rows = [
        [
            comparison.first,
            comparison.second,
            _verdict(comparison),
            points(comparison.difference.value),
            interval(comparison.difference.low, comparison.difference.high),
            interval(comparison.low, comparison.high),
            f"{comparison.p_value:.2g}",
            f"{comparison.adjusted:.2g}",
        ]
        for comparison in sweep.comparisons[split]
    ]
    return head, rows


def _verdict(comparison: Comparison) -> str:
    if comparison.verdict == "tie":
        alone = comparison.difference.low <= 0 <= comparison.difference.high or comparison.p_value > 0.05
        return "tie" if alone else "tie after correction"
    return comparison.verdict if comparison.holds_for_other_seeds else f"{comparison.verdict}, in these runs"


def held_out_rows(sweep: SweepFolder) -> _Table:
    """Head and rows of the held-out figures of reward models: mean and spread over seeds."""
    names = list(dict.fromkeys(name for row in sweep.rows for name in row.get("held_out", {})))
    rows = [
        [setting.label, *(_mean_and_sd(setting.finished(), name) for name in names), *_cost_cells(setting)]
        for setting in sweep.settings
    ]
    return ["settings", *names, "peak memory", "seconds"], rows if names else []


def _mean_and_sd(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    values = [row["held_out"][name] for row in rows if name in row.get("held_out", {})]
    spread = f" (sd {stdev(values):.2g})" if len(values) > 1 else ""
    return f"{fmean(values):.3g}{spread}" if values else "–"


def grid_rows(sweep: SweepFolder) -> _Table:
    """Head and rows of the grid: a row a candidate."""
    chosen = {setting.label: setting.chosen for setting in sweep.settings}
    rows = [
        [
            row["label"],
            setting_label(row["chosen"]),
            "–" if row.get("validation") is None else percent(row["validation"]),
            "chosen" if row["chosen"] == chosen[row["label"]] else "" if row["status"] == "finished" else row["status"],
        ]
        for row in sweep.rows
        if row["kind"] == "grid"
    ]
    return ["settings", "candidate", "validation", ""], rows


def run_rows(sweep: SweepFolder) -> _Table:
    """Head and rows of all runs: pass@1 before and after of each split."""
    head = ["run", "status", *sweep.splits, "validation", "peak memory", "seconds"]
    return head, [_run_row(sweep, row) for row in sweep.rows]


def _run_row(sweep: SweepFolder, row: Mapping[str, Any]) -> list[str]:
    splits = [row.get("splits", {}).get(name, {}) for name in sweep.splits]
    sides = [[percent(found[side]["pass@1"]) for side in ("before", "after") if side in found] for found in splits]
    return [
        row["run"],
        row["status"],
        *(" → ".join(side) or "–" for side in sides),
        "–" if row.get("validation") is None else percent(row["validation"]),
        f"{row['peak_memory_mb']:,.0f} MB" if "peak_memory_mb" in row else "–",
        f"{row['seconds']:,.0f}" if "seconds" in row else "–",
    ]


def failures(sweep: SweepFolder) -> list[str]:
    """A line a failed run: its name and its error."""
    return [f"{row['run']}: {' '.join(row['error'].split())}" for row in sweep.rows if row["error"]]


def method_notes(sweep: SweepFolder) -> list[str]:
    """How the figures came about."""
    design = sweep.design
    notes = [
        "Interval over tasks: percentile bootstrap (10,000 resamples, fixed seed), paired by task, seeds pooled. It "
        "says how much the choice of tasks matters for these runs.",
        "Interval over tasks and seeds: each resample draws tasks, the same for every seed, and adds what other seeds "
        "would change: Student's t with one degree of freedom less than there are seeds, times their standard error. "
        "It needs two seeds, and is wide with two or three because they say little about others.",
        "Higher “in these runs”: over tasks the difference counts, but over tasks and seeds the interval covers 0, or "
        "the p-value, corrected for all pairs of the split as well, is above 0.05, or a side has one seed only; other "
        "seeds could differ.",
        "Peak memory is of the run that took most; seconds are the mean over seeds. They hold the evaluations that a "
        "run made itself: the model before training is measured once where runs start alike, by the first of them.",
    ]
    if grid := design.get("grid"):
        words = "; ".join(f"{key} in {', '.join(values)}" for key, values in grid.items())
        notes.append(
            f"Every setting had the same grid ({words}), chosen by pass@1 on the validation set (of equals the first) "
            f"with seed {design['grid_seed']} and {percent(design['grid_steps'], 0)} of the steps. The grid's runs "
            "did not evaluate the reported splits."
        )
    continued = sum(row["attempts"] > 1 for row in sweep.rows if row["status"] == "finished")
    if continued:
        notes.append(
            f"{continued} run(s) were started more than once; their seconds and memory are of the last process only."
        )
    counts = {split: [found.left_out for found in own.values()] for split, own in sweep.figures.items()}
    notes += [
        f"Split {split}: up to {max(left_out)} task(s) without a judged sample of every seed are left out."
        for split, left_out in counts.items()
        if any(left_out)
    ]
    notes += _apart_notes(sweep)
    open_runs = sum(row["status"] != "finished" for row in sweep.rows)
    if open_runs:
        notes.append(f"Not finished: {open_runs} of {len(sweep.rows)} runs; the figures are of the others.")
    return notes


def _apart_notes(sweep: SweepFolder) -> list[str]:
    """What cannot be compared, for want of a task that both sides have."""
    notes = []
    for split, figures in sweep.figures.items():
        notes += [
            f"Split {split}: {setting.label} has no figures, since its seeds share no judged task."
            for setting in sweep.settings
            if setting.results(split, "after") and setting.label not in figures
        ]
        if apart := math.comb(len(figures), 2) - len(sweep.comparisons[split]):
            notes.append(f"Split {split}: {apart} pair(s) of settings share no judged task and are not compared.")
    return notes
