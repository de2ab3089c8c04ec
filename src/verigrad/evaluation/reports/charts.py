"""Small charts as inline SVG text: no script, no font, nothing fetched. Colours are CSS classes of `page.STYLE`.

Line charts have a view box and scale with their column. Bars and intervals use coordinates in per cent, so that they
stretch while their strokes and labels keep their size. Every mark carries a `<title>`, which browsers show on hover.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from verigrad.evaluation.pass_at_k import Estimate

__all__ = [
    "COLOURS",
    "NOISY",
    "Frame",
    "GainRow",
    "IntervalRow",
    "Series",
    "axes",
    "format_value",
    "gain_chart",
    "interval_chart",
    "legend",
    "line_chart",
    "nice_ticks",
    "percent",
    "points",
    "stacked_bar",
]

_WIDTH, _HEIGHT = 380, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 10, 40
_MAX_HOVER_POINTS = 150
COLOURS = tuple(f"c{number}" for number in range(1, 9))
_SAME = 1e-9  # of its size: values that differ by less, by rounding perhaps, are drawn as one
NOISY = 20  # points from which on a line is drawn with its running mean


@dataclass(frozen=True)
class Series:
    """One line.

    Attributes:
        label: for the legend and the hover text.
        points: (x, y) in order of x.
        colour: CSS class, one of `COLOURS`.
        band: (x, low, high), drawn behind the line.
    """

    label: str
    points: Sequence[tuple[float, float]]
    colour: str = "c1"
    band: Sequence[tuple[float, float, float]] = field(default=())


@dataclass(frozen=True)
class IntervalRow:
    """One line of an interval chart: a label and an estimate before and after, either of which may be missing."""

    label: str
    before: Estimate | None
    after: Estimate | None


@dataclass(frozen=True)
class GainRow:
    """One line of a gain chart.

    Attributes:
        label: of the line.
        value: the gain, a difference of shares.
        inner: ends of its interval.
        outer: ends of a wider one, drawn thin; None for none.
        dots: single gains behind the value.
        colour: CSS class, one of `COLOURS`.
    """

    label: str
    value: float
    inner: tuple[float, float]
    outer: tuple[float, float] | None = None
    dots: Sequence[float] = ()
    colour: str = "c1"


def percent(share: float, digits: int = 1) -> str:
    """A share as text.

    >>> percent(0.1234), percent(1.0)
    ('12.3 %', '100.0 %')
    """
    return f"{100 * share:.{digits}f} %"


def points(share: float) -> str:
    """A difference of shares in percentage points, with its sign.

    >>> points(0.0731), points(-0.02)
    ('+7.3', '−2.0')
    """
    return f"{100 * share:+.1f}".replace("-", "−")


def format_value(value: float, *, share: bool = False) -> str:
    """A short text for a number: per cent for shares, three figures otherwise.

    >>> format_value(0.05, share=True), format_value(12345.0), format_value(0.00012), format_value(3.0)
    ('5 %', '12.3k', '1.2e-4', '3')
    """
    if share:
        return f"{100 * value:.3g} %"
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:.3g}M"
    if size >= 1e4:
        return f"{value / 1e3:.3g}k"
    if 0 < size < 1e-3:
        digits, exponent = f"{value:.1e}".split("e")
        return f"{digits.removesuffix('.0')}e{int(exponent)}"
    return f"{value:.4g}" if size >= 1000 else f"{value:.3g}"


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """About `count` round numbers, each greater than the one before, whose range covers [low, high].

    >>> nice_ticks(0.0, 0.93)
    [0.0, 0.25, 0.5, 0.75, 1.0]
    >>> nice_ticks(3.0, 3.0)
    [2.0, 2.5, 3.0, 3.5, 4.0]
    >>> nice_ticks(0.0, 3e-13)
    [0.0, 1e-13, 2e-13, 3e-13]
    """
    size = max(abs(low), abs(high))
    if high - low <= _SAME * size:
        room = size / 3 or 1.0
        low, high = low - room, high + room
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def line_chart(
    series: Sequence[Series],
    *,
    x_label: str,
    y_label: str,
    share: bool = False,
    from_zero: bool = True,
    whole_x: bool = True,
) -> str:
    """Lines over a common axis; with twenty points or more the raw line is faint under its running mean.

    Args:
        series: at least one, each with at least one point.
        x_label: under the axis.
        y_label: beside it, usually the unit.
        share: values are shares, shown in per cent.
        from_zero: the axis starts at 0 where no value is negative.
        whole_x: x are whole numbers, such as steps: no ticks between them.
    """
    frame = Frame.around(series, from_zero, whole_x)
    curves = [part for line in series for part in _curve(line, frame) + _hover_points(line, frame, x_label, share)]
    return axes(frame, "".join(curves), x_label=x_label, y_label=y_label, share=share)


@dataclass(frozen=True)
class Frame:
    """The plotting area: ticks, and where a value lies in the view box.

    Attributes:
        x_ticks: in order, at least two; the area reaches from the first to the last.
        y_ticks: the same, upwards.
    """

    x_ticks: Sequence[float]
    y_ticks: Sequence[float]

    @staticmethod
    def around(series: Sequence[Series], from_zero: bool, whole_x: bool = True) -> Frame:
        """An area that all points of all lines, and their bands, lie in."""
        xs = [x for line in series for x, _ in line.points]
        ys = [y for line in series for _, y in line.points]
        ys += [end for line in series for _, low, high in line.band for end in (low, high)]
        low = 0.0 if from_zero and min(ys) >= 0 else min(ys)
        high = max(ys) if max(ys) > low or low else 1.0  # zeros alone: no room below 0, where no value can be
        # An axis over less than four whole numbers gets a tick at each.
        first, last = min(xs), max(xs)
        few = whole_x and last - first < 4
        x_ticks = [first - 1 + i for i in range(int(last - first) + 3)] if few else nice_ticks(first, last, 5)
        return Frame(x_ticks, nice_ticks(low, high))

    def x(self, value: float) -> float:
        return _LEFT + (value - self.x_ticks[0]) / (self.x_ticks[-1] - self.x_ticks[0]) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.y_ticks[0]) / (self.y_ticks[-1] - self.y_ticks[0])
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    def points(self, points: Sequence[tuple[float, float]]) -> str:
        return " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)


def axes(
    frame: Frame, marks: str, *, x_label: str, y_label: str, share: bool = False, share_x: bool = False, css: str = ""
) -> str:
    """The whole chart: grid, ticks and labels of a frame, and `marks` (SVG) on top.

    Args:
        frame: whose coordinates the marks are in.
        marks: what is drawn.
        x_label: under the axis.
        y_label: beside it; also what screen readers are told.
        share: y is a share, shown in per cent.
        share_x: x is.
        css: further classes of the SVG element.
    """
    parts = [f'<svg class="line {css}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(y_label)}">']
    for tick in frame.y_ticks:
        y = frame.y(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" class="end">{format_value(tick, share=share)}</text>')
    for tick in frame.x_ticks:
        value = format_value(tick, share=share_x)
        parts.append(f'<text x="{frame.x(tick):.1f}" y="{_HEIGHT - _BOTTOM + 15}" class="mid">{value}</text>')
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    parts.append(
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 6}" class="mid axis">{escape(x_label)}</text>'
    )
    parts.append(f'<text transform="translate(11 {middle}) rotate(-90)" class="mid axis">{escape(y_label)}</text>')
    return "".join([*parts, marks, "</svg>"])


def _curve(line: Series, frame: Frame) -> list[str]:
    parts = []
    if line.band:
        edge = [(x, high) for x, _, high in line.band] + [(x, low) for x, low, _ in reversed(line.band)]
        parts.append(f'<polygon class="band {line.colour}" points="{frame.points(edge)}"/>')
    if len(line.points) < NOISY:
        parts.append(f'<polyline class="curve {line.colour}" points="{frame.points(line.points)}"/>')
        parts += [
            f'<circle class="dot {line.colour}" cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="2.5"/>'
            for x, y in line.points
        ]
    else:
        parts.append(f'<polyline class="curve raw {line.colour}" points="{frame.points(line.points)}"/>')
        parts.append(f'<polyline class="curve {line.colour}" points="{frame.points(_running_mean(line.points))}"/>')
    return parts


def _hover_points(line: Series, frame: Frame, x_label: str, share: bool) -> list[str]:
    """Invisible discs that show the exact value."""
    stride = math.ceil(len(line.points) / _MAX_HOVER_POINTS)
    parts = []
    for x, y in line.points[::stride]:
        text = escape(f"{line.label}, {x_label} {x:g}: {format_value(y, share=share)}")
        parts.append(
            f'<circle class="hover" cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="6"><title>{text}</title></circle>'
        )
    return parts


def _running_mean(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Mean of each point and those before it, over a twentieth of the line but at least five points."""
    window = max(5, len(points) // 20)
    smooth = []
    for i, (x, _) in enumerate(points):
        recent = [y for _, y in points[max(0, i - window + 1) : i + 1]]
        smooth.append((x, sum(recent) / len(recent)))
    return smooth


def interval_chart(rows: Sequence[IntervalRow]) -> str:
    """Rows of dots with their intervals, before above after, on one axis in per cent."""
    estimates = [e for row in rows for e in (row.before, row.after) if e is not None]
    top = next((t for t in (0.1, 0.2, 0.4, 0.6, 0.8) if t >= max(e.high for e in estimates)), 1.0)
    lines = "".join(_interval_row(row, top) for row in rows)
    labels = "".join(
        f'<text x="{25 * i}%" y="12" class="{"start" if i == 0 else "end" if i == 4 else "mid"}">'
        f"{format_value(top * i / 4, share=True)}</text>"
        for i in range(5)
    )
    axis = f'<div class="ivrow ivaxis"><span></span><svg height="16">{labels}</svg><span></span></div>'
    return f'<div class="intervals">{lines}{axis}</div>'


def _interval_row(row: IntervalRow, top: float) -> str:
    grid = "".join(f'<line class="grid" x1="{25 * i}%" x2="{25 * i}%" y1="0" y2="34"/>' for i in range(5))
    marks, numbers = "", []
    for estimate, name, y in ((row.before, "before", 11), (row.after, "after", 23)):
        if estimate is None:
            numbers.append("–")
            continue
        numbers.append(percent(estimate.value))
        low, value, high = (100 * share / top for share in (estimate.low, estimate.value, estimate.high))
        interval = f"95 % interval {percent(estimate.low)} to {percent(estimate.high)}"
        text = f"{name}: {percent(estimate.value)}, {interval}, {estimate.num_tasks} tasks"
        marks += (
            f'<g class="{name}"><title>{escape(f"{row.label}, {text}")}</title>'
            f'<line class="whisker" x1="{low:.2f}%" x2="{high:.2f}%" y1="{y}" y2="{y}"/>'
            f'<circle cx="{value:.2f}%" cy="{y}" r="4.5"/></g>'
        )
    counts = next(e.num_tasks for e in (row.after, row.before) if e is not None)
    label = f"{escape(row.label)} <small>{counts} {'task' if counts == 1 else 'tasks'}</small>"
    return (
        f'<div class="ivrow"><span class="ivlabel">{label}</span><svg height="34">{grid}{marks}</svg>'
        f'<span class="ivnum">{numbers[0]} → <b>{numbers[1]}</b></span></div>'
    )


def gain_chart(rows: Sequence[GainRow]) -> str:
    """Rows of dots with their intervals on one axis in percentage points, with a line at no gain.

    The axis is made for the inner intervals and the dots; outer intervals far beyond them are cut off at its ends.
    """
    ticks = _gain_ticks(rows)
    places = {tick: 100 * (tick - ticks[0]) / (ticks[-1] - ticks[0]) for tick in ticks}
    grid = "".join(
        f'<line class="{"zero" if tick == 0 else "grid"}" x1="{x:.2f}%" x2="{x:.2f}%" y1="0" y2="34"/>'
        for tick, x in places.items()
    )
    labels = "".join(
        f'<text x="{x:.2f}%" y="12" class="{"start" if x == 0 else "end" if x == 100 else "mid"}">{points(tick)}</text>'
        for tick, x in places.items()
    )
    lines = "".join(_gain_row(row, grid, ticks[0], ticks[-1]) for row in rows)
    axis = f'<div class="ivrow ivaxis"><span></span><svg height="16">{labels}</svg><span></span></div>'
    return f'<div class="intervals gains">{lines}{axis}</div>'


def _gain_ticks(rows: Sequence[GainRow]) -> list[float]:
    ends = [0.0, *(end for row in rows for end in (*row.inner, *row.dots))]
    low, high = min(ends), max(ends)
    room = (high - low) / 4
    outer = [end for row in rows for end in row.outer or ()]
    return nice_ticks(max(low - room, min([low, *outer])), min(high + room, max([high, *outer])), 5)


def _gain_row(row: GainRow, grid: str, low: float, high: float) -> str:
    def x(value: float) -> str:
        return f"{100 * (min(max(value, low), high) - low) / (high - low):.2f}%"

    def whisker(ends: tuple[float, float], css: str) -> str:
        return f'<line class="{css}" x1="{x(ends[0])}" x2="{x(ends[1])}" y1="15" y2="15"/>'

    inner = f"{points(row.inner[0])} to {points(row.inner[1])}"
    text = f"{row.label}: {points(row.value)} points, 95 % over tasks {inner}"
    outer = ""
    if row.outer is not None:
        outer = whisker(row.outer, "outer")
        text += f", over tasks and seeds {points(row.outer[0])} to {points(row.outer[1])}"
    dots = "".join(f'<circle class="single" cx="{x(dot)}" cy="27" r="2.5"/>' for dot in row.dots)
    marks = (
        f'<g class="gain {row.colour}"><title>{escape(text)}</title>{outer}{whisker(row.inner, "inner")}{dots}'
        f'<circle cx="{x(row.value)}" cy="15" r="5"/></g>'
    )
    return (
        f'<div class="ivrow"><span class="ivlabel">{escape(row.label)}</span><svg height="34">{grid}{marks}</svg>'
        f'<span class="ivnum"><b>{points(row.value)}</b> <small>{inner}</small></span></div>'
    )


def stacked_bar(counts: Sequence[tuple[str, int]]) -> str:
    """One full-width bar; each part is as wide as its share and coloured by the CSS class `s-<name>`."""
    total, start, parts = sum(count for _, count in counts), 0.0, ""
    for name, count in counts:
        if count:
            width = 100 * count / total
            title = escape(f"{name}: {count} of {total} samples ({percent(count / total)})")
            parts += (
                f'<rect class="s-{escape(name)}" x="{start:.3f}%" width="{width:.3f}%" height="26">'
                f"<title>{title}</title></rect>"
            )
            start += width
    return f'<svg class="stack" height="26" role="img">{parts}</svg>'


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """Coloured squares with words: (CSS class, text)."""
    items = "".join(f'<span><i class="key {escape(css)}"></i>{escape(text)}</span>' for css, text in entries)
    return f'<p class="legend">{items}</p>'
