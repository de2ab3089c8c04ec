"""Table, figures and page of a pipeline's stages compared over seeds.

OUT/table.md       every stage's gain, the chosen stage against the others, the reward model against the tests
OUT/results.jsonl  a row a split and comparison
OUT/stages.html    the same with plots, one page that needs nothing but itself
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from verigrad.evaluation.overoptimisation import MIN_STEPS, common_steps, find_divergence
from verigrad.evaluation.reports.charts import (
    COLOURS,
    GainRow,
    Series,
    format_value,
    gain_chart,
    legend,
    line_chart,
    percent,
    points,
)
from verigrad.evaluation.reports.page import page, section, table
from verigrad.evaluation.reports.run_folder import RunFolder
from verigrad.evaluation.reports.stages import PROXY, START, Pipelines, read_pipelines, verdict
from verigrad.evaluation.sweeps.statistics import SeedSummary
from verigrad.evaluation.sweeps.table import interval, markdown, task_count
from verigrad.writing import write_or_tell

__all__ = ["write_stages_report"]

_GOLD = "pass_rate"
_Table = tuple[list[str], list[list[str]]]
_NOTES = (
    "pass@1 of the models that the stages ended with, on the same tasks. Differences are in percentage points, paired "
    "by task and by seed: every seed's stages rest on that seed's earlier stages. Stages without a common judged task "
    "are not compared.",
    "Interval over tasks: percentile bootstrap (10,000 resamples, fixed seed), seeds pooled. Over tasks and seeds: "
    "each resample draws tasks, the same for every seed, and adds what other seeds would change: Student's t with one "
    "degree of freedom less than there are seeds, times the standard error of the seeds' differences.",
    "Higher or lower: the interval over tasks and seeds leaves out 0. “In these runs”: only the one over tasks does. "
    "Intervals are of single comparisons, not corrected for their number.",
)
_PROXY_NOTE = (
    "The policy was trained on a reward model's score (the proxy); whether its programs pass their tests (the gold "
    "standard) was only measured, on the same rollouts. A line a seed; strong lines are running means."
)
_GAIN_NOTE = "Thick: 95 % interval over tasks; thin: over tasks and seeds; small circles: single seeds."


def write_stages_report(folders: Sequence[Path], out: Path, *, stage: str = "") -> str:
    """Write all three files; returns the table.

    Args:
        folders: of finished pipelines that differ in their seeds only.
        out: where the files go.
        stage: that is compared with the others; the last one trained against a reward model where empty.

    Raises:
        RunError: the pipelines are unfinished or of different kinds, or have no such stage; or a file cannot be
            written.
    """
    pipelines = read_pipelines(folders)
    chosen = pipelines.chosen(stage)
    found = {split: pipelines.compared(chosen, split) for split in pipelines.splits}
    text = _markdown(pipelines, chosen, found)
    rows = [_row(split, chosen, name, own) for split, each in found.items() for name, own in each.items()]
    files = {
        "table.md": text,
        "results.jsonl": "".join(json.dumps(row) + "\n" for row in rows),
        "stages.html": _page(pipelines, chosen, found),
    }
    for name, content in files.items():
        write_or_tell(out / name, content, "free space, then compare again")
    return text


_Found = Mapping[str, Mapping[str, SeedSummary]]


def _row(split: str, stage: str, against: str, found: SeedSummary) -> dict[str, Any]:
    return {
        "split": split,
        "stage": stage,
        "against": against,
        "pass@1": found.after.value,
        "against_pass@1": found.before.value,
        "difference": found.gain.value,
        "tasks_interval": [found.gain.low, found.gain.high],
        "interval": [found.low, found.high],
        "seed_differences": list(found.gains),
        "num_tasks": found.gain.num_tasks,
        "verdict": verdict(found),
    }


def _markdown(pipelines: Pipelines, stage: str, found: _Found) -> str:
    parts = [f"# Stages of {', '.join(path.name for path in pipelines.paths)}", _seeds(pipelines)]
    for split, own in found.items():
        parts += [f"## {split}", markdown(*_stage_rows(pipelines, split))]
        parts += [f"### {stage} against the others", markdown(*_compared_rows(stage, own))]
    for title, rows in (("Held out", _held_out_rows(pipelines)), ("Reward model against tests", _proxy(pipelines))):
        parts += [f"## {title}", markdown(*rows)] if rows[1] else []
    parts += ["## How", "\n".join(f"- {note}" for note in _NOTES)]
    return "\n\n".join(parts) + "\n"


def _seeds(pipelines: Pipelines) -> str:
    return f"{len(pipelines.seeds)} {'seed' if len(pipelines.seeds) == 1 else 'seeds'}: {', '.join(pipelines.seeds)}."


def _stage_rows(pipelines: Pipelines, split: str) -> _Table:
    """pass@1 before and after every stage."""
    rows = []
    for name in pipelines.policies:
        own = pipelines.compared(name, split).get(START)
        if own is not None:
            rows.append([name, percent(own.before.value), percent(own.after.value), *_difference(own)])
    return ["stage", "before", "after", *_DIFFERENCE], rows


_DIFFERENCE = ["difference", "95 % over tasks", "95 % over tasks and seeds", "each seed"]


def _difference(found: SeedSummary) -> list[str]:
    ends = interval(found.gain.low, found.gain.high), interval(found.low, found.high)
    return [points(found.gain.value), *ends, ", ".join(map(points, found.gains))]


def _compared_rows(stage: str, found: Mapping[str, SeedSummary]) -> _Table:
    rows = [
        [name, percent(own.before.value), percent(own.after.value), *_difference(own), verdict(own)]
        for name, own in found.items()
    ]
    return ["against", "pass@1 there", f"pass@1 of {stage}", *_DIFFERENCE, f"{stage} is"], rows


def _held_out_rows(pipelines: Pipelines) -> _Table:
    """Figures of reward models on held-out prompts: mean and spread over seeds."""
    rows = []
    for name, runs in pipelines.stages.items():
        figures = [run.summary.get("held_out", {}) for run in runs]
        for key in figures[0]:
            values = [own[key] for own in figures if isinstance(own.get(key), int | float)]
            if len(values) == len(figures):
                spread = f"{stdev(values):.2g}" if len(values) > 1 else "–"
                rows.append([name, key, f"{fmean(values):.3g}", spread, ", ".join(f"{v:.3g}" for v in values)])
    return ["stage", "figure", "mean", "sd over seeds", "each seed"], rows


def _proxy(pipelines: Pipelines) -> _Table:
    """Score and pass rate in the first and last quarter of every run against a reward model, and what they show."""
    rows = [
        [name, seed, *_quarters(run.curve(PROXY), False), *_quarters(run.curve(_GOLD), True), _finding(run)]
        for name in pipelines.optimised
        for seed, run in zip(pipelines.seeds, pipelines.stages[name], strict=True)
    ]
    return ["stage", "seed", "score, first quarter", "last", "pass rate, first quarter", "last", "finding"], rows


def _quarters(curve: Sequence[tuple[float, float]], share: bool) -> list[str]:
    values, quarter = [value for _, value in curve], max(1, len(curve) // 4)
    parts = (values[:quarter], values[-quarter:])
    return [format_value(fmean(part), share=share) if part else "–" for part in parts]


def _finding(run: RunFolder) -> str:
    proxy, gold = run.curve(PROXY), run.curve(_GOLD)
    if len(common_steps(proxy, gold)) < MIN_STEPS:
        return f"fewer than {MIN_STEPS} steps, too few to tell"
    found = find_divergence(proxy, gold)
    return "no sign of over-optimisation" if found is None else f"over-optimised from step {found.start:g} on"


# --------------------------------------------------------------------------------------------- page


def _page(pipelines: Pipelines, stage: str, found: _Found) -> str:
    names = ", ".join(path.name for path in pipelines.paths)
    gains = "".join(_gain_card(stage, split, own) for split, own in found.items() if own)
    figures = "".join(
        _card(split, table(*_stage_rows(pipelines, split)) + table(*_compared_rows(stage, own), css="left"))
        for split, own in found.items()
    )
    held_out, proxy = _held_out_rows(pipelines), _proxy(pipelines)
    notes = "".join(f"<li>{escape(note)}</li>" for note in _NOTES)
    parts = [
        f'<header><h1>Stages compared</h1><p class="muted">{escape(f"{names} · {_seeds(pipelines)}")}</p></header>',
        section(f"{stage} against the others", f'<div class="grid1">{gains}</div>' if gains else "", _GAIN_NOTE),
        section("Figures", f'<div class="grid1">{figures}</div>' if figures else ""),
        section("Held out", _card("", table(*held_out, css="left")) if held_out[1] else ""),
        section(
            "Reward model against tests",
            _curves(pipelines) + _card("", table(*proxy, css="left")) if proxy[1] else "",
            _PROXY_NOTE,
        ),
        section("How", _card("", f'<ul class="notes">{notes}</ul>')),
    ]
    return page("Stages compared", "\n".join(parts))


def _card(title: str, body: str) -> str:
    head = f"<h3>{escape(title)}</h3>" if title else ""
    return f'<div class="card">{head}{body}</div>'


def _gain_card(stage: str, split: str, found: Mapping[str, SeedSummary]) -> str:
    rows = [
        GainRow(
            label=f"{stage} − {name}",
            value=own.gain.value,
            inner=(own.gain.low, own.gain.high),
            outer=None if own.low is None or own.high is None else (own.low, own.high),
            dots=own.gains,
            colour=COLOURS[number % len(COLOURS)],
        )
        for number, (name, own) in enumerate(found.items())
    ]
    return _card(f"{split}, {task_count(found.values())}", gain_chart(rows))


def _curves(pipelines: Pipelines) -> str:
    cards = []
    colours = [COLOURS[number % len(COLOURS)] for number in range(len(pipelines.seeds))]
    keys = legend([(colour, f"seed {seed}") for colour, seed in zip(colours, pipelines.seeds, strict=True)])
    for name in pipelines.optimised:
        for title, metric, share in (
            ("reward model's score (proxy)", PROXY, False),
            ("programs that pass", _GOLD, True),
        ):
            drawn = zip(pipelines.seeds, pipelines.stages[name], colours, strict=True)
            lines = [Series(f"seed {seed}", run.curve(metric), colour) for seed, run, colour in drawn]
            lines = [line for line in lines if line.points]
            if lines:
                chart = line_chart(lines, x_label="step", y_label="pass rate" if share else "mean score", share=share)
                cards.append(_card(f"{name}: {title}", keys + chart))
    return f'<div class="grid2">{"".join(cards)}</div>'
