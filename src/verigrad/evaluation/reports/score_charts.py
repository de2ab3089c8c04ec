"""Charts of scores and probabilities: reliability, histograms of two groups, scatter, shares with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from verigrad.evaluation.held_out_figures import Bin
from verigrad.evaluation.pass_at_k import Estimate
from verigrad.evaluation.reports.charts import Frame, axes, format_value, nice_ticks, percent

__all__ = ["histogram", "reliability_chart", "scatter", "share_chart"]

_MAX_DOTS = 400
_MAX_BINS = 24
_BASE = 2.0  # pixels: what is counted at all is seen
_COUNT_SHARE = 0.15  # of the chart's height, which the bar of the fullest bin takes


def reliability_chart(bins: Sequence[Bin], *, y_label: str) -> str:
    """Share that came true over stated probability, with 95 % whiskers; the dashed line is where the two agree.

    Faint bars at the foot, with numbers, count the statements of each bin.

    Args:
        bins: at least one, in order; where all lie in the upper half, so does the axis.
        y_label: what the share is of.
    """
    ticks = [0.5, 0.6, 0.7, 0.8, 0.9, 1.0] if bins[0].low >= 0.5 else [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    frame = Frame(ticks, [0.0, 0.25, 0.5, 0.75, 1.0])
    ends = frame.points([(ticks[0], ticks[0]), (1.0, 1.0)])
    line = frame.points([(bin_.stated, bin_.right) for bin_ in bins])
    most = max(bin_.count for bin_ in bins)
    marks = "".join(_count_bar(bin_, most, frame) for bin_ in bins)
    marks += f'<polyline class="ideal" points="{ends}"/><polyline class="curve c1" points="{line}"/>'
    marks += "".join(_reliability_mark(bin_, frame) for bin_ in bins)
    return axes(
        frame, marks, x_label="stated probability", y_label=y_label, share=True, share_x=True, css="reliability"
    )


def _count_bar(bin_: Bin, most: int, frame: Frame) -> str:
    left, right, base = frame.x(bin_.low), frame.x(bin_.high), frame.y(0)
    height = max(_BASE, (base - frame.y(_COUNT_SHARE)) * bin_.count / most)
    return (
        f'<rect class="count" x="{left + 1:.1f}" width="{right - left - 2:.1f}" y="{base - height:.1f}" '
        f'height="{height:.1f}"/>'
        f'<text class="mid" x="{(left + right) / 2:.1f}" y="{base - height - 3:.1f}">{bin_.count}</text>'
    )


def _reliability_mark(bin_: Bin, frame: Frame) -> str:
    x, (low, high) = frame.x(bin_.stated), bin_.interval
    text = (
        f"stated {percent(bin_.stated)}, came true {percent(bin_.right)} of {bin_.count} "
        f"(95 % interval {percent(low)} to {percent(high)})"
    )
    return (
        f'<g class="gain c1"><title>{escape(text)}</title>'
        f'<line class="whisker" x1="{x:.1f}" x2="{x:.1f}" y1="{frame.y(low):.1f}" y2="{frame.y(high):.1f}"/>'
        f'<circle cx="{x:.1f}" cy="{frame.y(bin_.right):.1f}" r="4"/></g>'
    )


def histogram(groups: Sequence[tuple[str, str, Sequence[float]]], *, x_label: str) -> str:
    """Share of each group's values in bins of equal width, the groups' bars see-through over each other.

    Args:
        groups: label, CSS class that fills, values; at least one value among them.
        x_label: what the values are.
    """
    values = [value for _, _, own in groups for value in own]
    ticks = nice_ticks(min(values), max(values), 6)
    number = _num_bins(len(values), len(ticks) - 1)
    width = (ticks[-1] - ticks[0]) / number
    counts = [_counts(own, ticks[0], width, number) for _, _, own in groups]
    highest = max(max(own) / max(1, sum(own)) for own in counts)
    frame = Frame(ticks, nice_ticks(0.0, highest))
    marks = ""
    for (label, css, _), own in zip(groups, counts, strict=True):
        for i, count in enumerate(own):
            low = ticks[0] + i * width
            marks += _bar(label, css, count, sum(own), low, low + width, frame) if count else ""
    return axes(frame, marks, x_label=x_label, y_label="share of its kind", share=True, css="histogram")


def _num_bins(count: int, steps: int) -> int:
    """About the square root of the count, a whole number of them to each step between ticks."""
    return max(1, round(min(_MAX_BINS, math.sqrt(count)) / steps)) * steps


def _counts(values: Sequence[float], start: float, width: float, number: int) -> list[int]:
    counts = [0] * number
    for value in values:
        counts[min(number - 1, max(0, int((value - start) / width)))] += 1
    return counts


def _bar(label: str, css: str, count: int, total: int, low: float, high: float, frame: Frame) -> str:
    left, right, base = frame.x(low), frame.x(high), frame.y(0)
    height = max(_BASE, base - frame.y(count / total))
    text = f"{label}, score {low:.3g} to {high:.3g}: {count} of {total} ({percent(count / total)})"
    return (
        f'<rect class="bar {css}" x="{left + 0.5:.1f}" width="{right - left - 1:.1f}" y="{base - height:.1f}" '
        f'height="{height:.1f}"><title>{escape(text)}</title></rect>'
    )


def scatter(groups: Sequence[tuple[str, str, Sequence[tuple[float, float]]]], *, x_label: str, y_label: str) -> str:
    """A dot for each (x, y), coloured by group; of very many, evenly spaced ones.

    Args:
        groups: label, CSS class that fills, points; at least one point among them.
        x_label: under the axis.
        y_label: beside it.
    """
    xs, ys = ([point[axis] for _, _, own in groups for point in own] for axis in (0, 1))
    frame = Frame(nice_ticks(min(xs), max(xs), 5), nice_ticks(min(ys), max(ys)))
    stride = math.ceil(len(xs) / _MAX_DOTS)
    marks = "".join(
        f'<circle class="spot {css}" cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="3">'
        f"<title>{escape(f'{label}: {x_label} {x:g}, {y_label} {format_value(y)}')}</title></circle>"
        for label, css, own in groups
        for x, y in own[::stride]
    )
    return axes(frame, marks, x_label=x_label, y_label=y_label, css="scatter")


def share_chart(rows: Sequence[tuple[str, str, Estimate]]) -> str:
    """Shares with their intervals on an axis from 0 to 100 %, and a line at one half, which guessing gets.

    Args:
        rows: label, what it is over (such as "40 pairs"), the share.
    """
    lines = "".join(_share_row(*row) for row in rows)
    labels = "".join(
        f'<text x="{25 * i}%" y="12" class="{"start" if i == 0 else "end" if i == 4 else "mid"}">{25 * i} %</text>'
        for i in range(5)
    )
    axis = f'<div class="ivrow ivaxis"><span></span><svg height="16">{labels}</svg><span></span></div>'
    return f'<div class="intervals gains shares">{lines}{axis}</div>'


def _share_row(label: str, over: str, share: Estimate) -> str:
    grid = "".join(
        f'<line class="{"zero" if i == 2 else "grid"}" x1="{25 * i}%" x2="{25 * i}%" y1="0" y2="34"/>' for i in range(5)
    )
    low, value, high = (100 * end for end in (share.low, share.value, share.high))
    interval = f"{100 * share.low:.1f} to {percent(share.high)}"
    marks = (
        f'<g class="gain c1"><title>{escape(f"{label}: {percent(share.value)}, 95 % interval {interval}")}</title>'
        f'<line class="inner" x1="{low:.2f}%" x2="{high:.2f}%" y1="17" y2="17"/>'
        f'<circle cx="{value:.2f}%" cy="17" r="5"/></g>'
    )
    return (
        f'<div class="ivrow"><span class="ivlabel">{escape(label)} <small>{escape(over)}</small></span>'
        f'<svg height="34">{grid}{marks}</svg>'
        f'<span class="ivnum"><b>{percent(share.value)}</b> <small>{interval}</small></span></div>'
    )
