"""The report's sections about tasks and samples: by difficulty and topic, causes of failure, programs side by side.

Each function returns `(title, HTML, note)` for `page.section`; the HTML is empty where the run has nothing to show.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from verigrad.evaluation.compare import UNPARSED, results_by_task
from verigrad.evaluation.pass_at_k import Estimate, summarize
from verigrad.evaluation.reports.charts import IntervalRow, interval_chart, legend, percent, stacked_bar
from verigrad.evaluation.reports.page import STATUSES, details, pre, table
from verigrad.evaluation.reports.run_folder import RunFolder

__all__ = ["breakdowns", "causes", "samples"]

_Row = Mapping[str, Any]
_Part = tuple[str, str, str]
_Pair = tuple[_Row | None, _Row | None]

_PER_KIND = 3
_TESTS_SHOWN = 12
_DETAIL_LENGTH = 200
_KINDS = {
    (False, True): "Failed before, passes after",
    (True, False): "Passed before, fails after",
    (False, False): "Fails before and after",
    (True, True): "Passes before and after",
}
_DIFFICULTIES = ("easy", "medium", "hard")


# ----------------------------------------------------------------------------------------- breakdowns


def breakdowns(run: RunFolder) -> _Part:
    """pass@1 of the tasks of each difficulty and topic."""
    cards = ""
    for split, sides in run.evaluations.items():
        for key in ("difficulty", "topic"):
            rows = _interval_rows(sides["before"], sides["after"], key)
            if rows:
                cards += f'<div class="card"><h3>{escape(split)} by {key}</h3>{interval_chart(rows)}</div>'
    note = "With many groups some move by chance: read single rows together with their intervals."
    return "By difficulty and topic", f'<div class="grid2">{cards}</div>' if cards else "", note


def _interval_rows(before: Sequence[_Row], after: Sequence[_Row], key: str) -> list[IntervalRow]:
    labels = {str(row[key]) for row in (*before, *after) if row.get(key)}
    order = sorted(labels, key=lambda label: (_DIFFICULTIES.index(label) if label in _DIFFICULTIES else 9, label))
    rows = [IntervalRow(label, _rate(before, key, label), _rate(after, key, label)) for label in order]
    return [row for row in rows if row.before or row.after]


def _rate(rows: Iterable[_Row], key: str, label: str) -> Estimate | None:
    results = results_by_task(row for row in rows if str(row.get(key)) == label)
    return summarize(results) if results else None


# --------------------------------------------------------------------------------------------- causes


def causes(run: RunFolder) -> _Part:
    """Verdicts of all samples before and after, as bars and as a table."""
    cards = "".join(_cause_card(split, sides) for split, sides in run.evaluations.items())
    note = "Every sample by its verdict: what passed, and why the rest did not."
    return "What became of the samples", f'<div class="grid2">{cards}</div>' if cards else "", note


def _cause_card(split: str, sides: Mapping[str, Sequence[_Row]]) -> str:
    counts = {side: Counter(str(row["status"]) for row in rows) for side, rows in sides.items() if rows}
    present = set().union(*counts.values())
    order = [status for status in STATUSES if status in present] + sorted(present - set(STATUSES))
    bars = "".join(
        f"<span>{side}</span>{stacked_bar([(status, count[status]) for status in order])}"
        for side, count in counts.items()
    )
    rows = [
        [status.replace("_", " "), *(_count(count[status], count.total()) for count in counts.values())]
        for status in order
    ]
    key = legend([(f"s-{status}", status.replace("_", " ")) for status in order])
    return (
        f'<div class="card"><h3>{escape(split)}</h3><div class="bars">{bars}</div>{key}'
        f"{_format_line(counts)}{details('Counts', table(['verdict', *counts], rows))}</div>"
    )


def _format_line(counts: Mapping[str, Counter[str]]) -> str:
    """What share of each side's failures gave no program that parses; samples that could not be judged are none."""
    words = []
    for side, count in counts.items():
        failures = count.total() - count["passed"] - count["error"]
        if failures:
            lost = sum(count[status] for status in UNPARSED)
            words.append(f"{side} {lost} of {failures} ({percent(lost / failures)})")
    return f"<p><small>Failures of extraction or syntax: {', '.join(words)}.</small></p>" if words else ""


def _count(count: int, total: int) -> str:
    return f"{count} ({percent(count / total)})"


# -------------------------------------------------------------------------------------------- samples


def samples(run: RunFolder) -> _Part:
    """Programs before and after, side by side, a few of each kind."""
    html = ""
    for split, sides in run.evaluations.items():
        before, after = _by_sample(sides["before"]), _by_sample(sides["after"])
        both = bool(before and after)
        keys = (set(before) & set(after)) if both else (set(before) | set(after))
        pairs = [(before.get(key), after.get(key)) for key in sorted(keys, key=_natural)]
        if both:
            html += "".join(_kind(split, kind, title, pairs) for kind, title in _KINDS.items())
        else:
            html += "".join(_pair(*pair) for pair in _one_per_task(pairs)[:_PER_KIND])
    note = f"For each kind the first sample of each of the first {_PER_KIND} tasks, in order, not the best ones."
    return "Sample programs", html, note


def _natural(key: tuple[str, int]) -> tuple[list[tuple[int, str]], int]:
    """Sort key under which task 2 comes before task 10."""
    task, sample = key
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", task)], sample


def _by_sample(rows: Iterable[_Row]) -> dict[tuple[str, int], _Row]:
    return {(str(row["task_id"]), int(row.get("sample", 0))): row for row in rows if row["status"] != "error"}


def _kind(split: str, kind: tuple[bool, bool], title: str, pairs: Sequence[_Pair]) -> str:
    chosen = [pair for pair in pairs if tuple(row is not None and row["status"] == "passed" for row in pair) == kind]
    if not chosen:
        return ""
    folds = "".join(_pair(*pair) for pair in _one_per_task(chosen)[:_PER_KIND])
    return f"<h3>{title} <small>{escape(split)}, {len(chosen)} of {len(pairs)} samples</small></h3>{folds}"


def _one_per_task(pairs: Sequence[_Pair]) -> list[_Pair]:
    first: dict[str, _Pair] = {}
    for pair in pairs:
        first.setdefault(next(str(row["task_id"]) for row in pair if row), pair)
    return list(first.values())


def _pair(before: _Row | None, after: _Row | None) -> str:
    row = before or after or {}
    badges = " → ".join(_badge(str(side["status"])) for side in (before, after) if side)
    known = ", ".join(str(row[key]) for key in ("difficulty", "topic") if row.get(key))
    facts = f"sample {row.get('sample', 0)}{', ' if known else ''}{known}"
    title = f"{escape(str(row['task_id']))} {badges}<small>{escape(facts)}</small>"
    panes = "".join(_pane(name, side) for name, side in (("Before", before), ("After", after)) if side)
    prompt = details("Prompt", pre(str(row.get("prompt", ""))), opened=True)
    return details(title, f'{prompt}<div class="grid2">{panes}</div>', css="card")


def _badge(status: str) -> str:
    return f'<span class="badge"><i class="s-{escape(status)}"></i>{escape(status.replace("_", " "))}</span>'


def _pane(name: str, row: _Row) -> str:
    facts = [f"{row['passed']} of {row['total']} tests" if "passed" in row and "total" in row else ""]
    facts += [f"{row['tokens']} tokens" if "tokens" in row else "", str(row.get("stop_reason") or "")]
    head = f"<h3>{name} {_badge(str(row['status']))} <small>{escape(', '.join(filter(None, facts)))}</small></h3>"
    program, completion = row.get("program"), str(row.get("completion", ""))
    code = pre(str(program)) if program else '<p class="muted">No program was found in the answer.</p>'
    whole = details("Whole answer", pre(completion), opened=not program)
    return f"<div>{head}{code}{_tests(row.get('results') or ())}{whole}</div>"


def _tests(results: Sequence[_Row]) -> str:
    if not results:
        return ""
    lines = "".join(_test(result) for result in results[:_TESTS_SHOWN])
    left = len(results) - _TESTS_SHOWN
    return f'<ul class="tests">{lines}{f"<li>and {left} more</li>" if left > 0 else ""}</ul>'


def _test(result: _Row) -> str:
    status, detail = str(result.get("status", "")), str(result.get("detail") or "")
    shown = detail if len(detail) <= _DETAIL_LENGTH else detail[:_DETAIL_LENGTH] + "…"
    tail = f" <code>{escape(shown)}</code>" if shown else ""
    name = escape(str(result.get("name", "")))
    return f'<li><i class="key s-{escape(status)}"></i>{name}: {escape(status.replace("_", " "))}{tail}</li>'
