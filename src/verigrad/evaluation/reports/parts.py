"""What the pages of all kinds of run share: the head, panels of curves, settings, notes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape

from verigrad.evaluation.reports.charts import NOISY, Series, format_value, legend, line_chart
from verigrad.evaluation.reports.page import details, pre, section, table
from verigrad.evaluation.reports.run_folder import RunFolder

__all__ = ["configuration", "curve_note", "further_panels", "header", "notes", "panel"]


def header(run: RunFolder, words: Sequence[str]) -> str:
    """The run's name, and under it what it was: words, steps and duration."""
    steps = run.metrics.get("train", ())
    parts = [*words, f"{len(steps)} steps"] if steps else [*words]
    if "seconds" in run.summary:
        parts.append(_duration(run.summary["seconds"]))
    name = escape(run.path.resolve().name)
    return f'<header><h1>{name}</h1><p class="muted">{escape(" · ".join(parts))}</p></header>'


def panel(title: str, unit: str, series: Sequence[Series], share: bool) -> str:
    """A card with lines over steps; nothing where there is no line."""
    if not series:
        return ""
    key = legend([(line.colour, line.label) for line in series]) if len(series) > 1 else ""
    last = format_value(series[0].points[-1][1], share=share)
    now = f" <small>last {last}</small>" if len(series) == 1 else ""
    chart = line_chart(series, x_label="step", y_label=unit, share=share)
    return f'<div class="card"><h3>{escape(title)}{now}</h3>{chart}{key}</div>'


def further_panels(run: RunFolder, shown: Collection[str]) -> str:
    """Every other metric of the training steps, folded up."""
    keys = {key for row in run.metrics.get("train", ()) for key in row if run.curve(key)}
    left = sorted(keys - {*shown, "step", "kind"})
    rest = "".join(panel(key, key, [Series(key, run.curve(key))], False) for key in left)
    return details("Further metrics", f'<div class="grid3">{rest}</div>') if rest else ""


def curve_note(run: RunFolder) -> str:
    """How to read the curves of this run."""
    noisy = len(run.metrics.get("train", ())) >= NOISY
    return "Faint lines are single steps, strong lines their running mean." if noisy else ""


def configuration(run: RunFolder) -> str:
    """The section with `config.toml`."""
    return section("Configuration", details("config.toml", pre(run.config, 40_000)) if run.config else "")


def notes(run: RunFolder, caveats: Sequence[str]) -> str:
    """The section with set-up and cost, what the figures do not say, and what is missing."""
    setup = [[str(key), str(value)] for key, value in run.summary.get("setup", {}).items()]
    cost = [
        [label, shown(run.summary[key])]
        for key, label, shown in (
            ("seconds", "time", _duration),
            ("tokens", "tokens", lambda tokens: f"{tokens:,}"),
            ("peak_memory_mb", "peak memory", lambda mb: f"{mb:,.0f} MB"),
        )
        if key in run.summary
    ]
    known = table([], setup + cost, css="words") if setup or cost else ""
    items = "".join(f"<li>{escape(note)}</li>" for note in [*caveats, *run.problems])
    return section("Notes", f'<div class="card">{known}<ul class="notes">{items}</ul></div>')


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
