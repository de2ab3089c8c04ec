"""`sweep.html`: the settings of a sweep side by side, on one page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from statistics import fmean

from verigrad.evaluation.reports.charts import COLOURS, GainRow, Series, gain_chart, legend, line_chart
from verigrad.evaluation.reports.page import details, page, section, table
from verigrad.evaluation.sweeps.folder import SettingRuns, SweepFolder
from verigrad.evaluation.sweeps.statistics import SeedSummary
from verigrad.evaluation.sweeps.table import (
    comparison_rows,
    comparison_words,
    failures,
    gain_rows,
    grid_rows,
    held_out_rows,
    method_notes,
    run_rows,
    task_count,
)

__all__ = ["sweep_page"]

# Curves in the order they are shown: metric, its rows' kind, title, unit, whether it is a share.
_CURVES = (
    ("reward", "train", "Training reward", "mean reward", False),
    ("pass_rate", "train", "Training pass rate", "share of rollouts", True),
    ("pass@1", "validation", "Validation pass@1", "share of samples", True),
    ("pair_accuracy", "validation", "Held-out pair accuracy", "share of pairs", True),
    ("loss", "train", "Loss", "loss", False),
    ("completion_tokens", "train", "Completion length", "tokens", False),
    ("entropy", "train", "Entropy of the policy", "nats per token", False),
    ("kl", "train", "KL to the reference", "nats per token", False),
)
_GAIN_NOTE = (
    "Gain of pass@1 in percentage points, mean over seeds. Thick: 95 % interval over tasks; thin: over tasks and "
    "seeds, cut off where it leaves the plot; small circles: single seeds."
)
_CURVE_NOTE = "Mean over seeds; the band reaches from the lowest seed to the highest. Point at a dot for its value."


def sweep_page(sweep: SweepFolder) -> str:
    """The whole document."""
    name = sweep.path.resolve().name
    colours = {setting.label: COLOURS[i % len(COLOURS)] for i, setting in enumerate(sweep.settings)}
    gains = [_gain_card(sweep, split, colours) for split in sweep.splits if sweep.figures[split]]
    parts = [
        f"<header><h1>{escape(name)}</h1>{_subtitle(sweep)}</header>",
        section("Gains", _stacked(gains), _GAIN_NOTE),
        section("Figures", _stacked([_figures(sweep, split) for split in sweep.splits])),
        section("Held out", _card(table(*held_out_rows(sweep))) if held_out_rows(sweep)[1] else ""),
        section("Which settings differ", _stacked([_comparisons(sweep, split) for split in sweep.splits])),
        section("Learning curves", _curves(sweep, colours), _CURVE_NOTE),
        section(
            "Chosen on the validation set", _card(table(*grid_rows(sweep), css="left")) if grid_rows(sweep)[1] else ""
        ),
        section(
            "Runs",
            details("all runs", table(*run_rows(sweep), css="left"), css="card", opened=bool(_unfinished(sweep))),
        ),
        section("Failed", _list(failures(sweep))),
        section("How", _list(method_notes(sweep))),
    ]
    return page(f"{name}: sweep", "\n".join(parts))


def _subtitle(sweep: SweepFolder) -> str:
    runs = [row for row in sweep.rows if row["kind"] == "run"]
    seeds = len(sweep.design["seeds"])
    words = [
        f"verigrad {sweep.design['command']}",
        f"{len(sweep.settings)} {'setting' if len(sweep.settings) == 1 else 'settings'}",
        f"{seeds} {'seed' if seeds == 1 else 'seeds'}",
        f"{sum(row['status'] == 'finished' for row in runs)} of {len(runs)} runs finished",
    ]
    return f'<p class="muted">{escape(" · ".join(words))}</p>'


def _unfinished(sweep: SweepFolder) -> list[str]:
    return [row["run"] for row in sweep.rows if row["status"] != "finished"]


def _card(body: str) -> str:
    return f'<div class="card">{body}</div>'


def _stacked(cards: Sequence[str]) -> str:
    return f'<div class="grid1">{"".join(cards)}</div>' if any(cards) else ""


def _list(texts: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return _card(f'<ul class="notes">{items}</ul>') if items else ""


def _gain_card(sweep: SweepFolder, split: str, colours: Mapping[str, str]) -> str:
    figures = sweep.figures[split]
    rows = [_gain_row(label, found, colours[label]) for label, found in figures.items()]
    return _card(f"<h3>{escape(split)} <small>{task_count(figures.values())}</small></h3>{gain_chart(rows)}")


def _gain_row(label: str, found: SeedSummary, colour: str) -> GainRow:
    outer = None if found.low is None or found.high is None else (found.low, found.high)
    return GainRow(label, found.gain.value, (found.gain.low, found.gain.high), outer, found.gains, colour)


def _figures(sweep: SweepFolder, split: str) -> str:
    return _card(f"<h3>{escape(split)}</h3>{table(*gain_rows(sweep, split))}")


def _comparisons(sweep: SweepFolder, split: str) -> str:
    if not sweep.comparisons[split]:
        return ""
    words = f'<p class="muted">{escape(comparison_words(sweep, split))}</p>'
    pairs = table(*comparison_rows(sweep, split), css="left")
    return _card(f"<h3>{escape(split)}</h3>{words}{pairs}")


# --------------------------------------------------------------------------------------------- curves


def _curves(sweep: SweepFolder, colours: Mapping[str, str]) -> str:
    panels = "".join(_panel(sweep, colours, *curve) for curve in _CURVES)
    key = legend([(colour, label) for label, colour in colours.items()])
    return f'{key}<div class="grid3">{panels}</div>' if panels else ""


def _panel(
    sweep: SweepFolder, colours: Mapping[str, str], metric: str, kind: str, title: str, unit: str, share: bool
) -> str:
    drawn = [_series(setting, metric, kind, colours[setting.label]) for setting in sweep.settings]
    series = [line for line in drawn if line.points]
    if not series:
        return ""
    return _card(f"<h3>{escape(title)}</h3>{line_chart(series, x_label='step', y_label=unit, share=share)}")


def _series(setting: SettingRuns, metric: str, kind: str, colour: str) -> Series:
    """Mean over the seeds, at the steps that all of them have."""
    curves = [dict(run.curve(metric, kind)) for run in setting.runs]
    steps = _common_steps(curves)
    values = {step: [curve[step] for curve in curves] for step in steps}
    band = [(step, min(own), max(own)) for step, own in values.items()] if len(curves) > 1 else []
    return Series(setting.label, [(step, fmean(own)) for step, own in values.items()], colour, band)


def _common_steps(curves: Sequence[Mapping[float, float]]) -> list[float]:
    return sorted(set.intersection(*(set(curve) for curve in curves))) if curves else []
