"""The reward model report's section on what it is most confidently wrong about."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from verigrad.evaluation.held_out import Mistake, mistake
from verigrad.evaluation.reports.charts import format_value, percent
from verigrad.evaluation.reports.page import details, pre

__all__ = ["mistakes"]

_Row = Mapping[str, Any]
_SHOWN = 6
_LABELS = "Answers whose score is furthest on the wrong side of 0"
_PAIRS = "Pairs in which the answer labelled worse scores higher, by the largest difference"
_NOTE = ", at most one a prompt. Labels may be wrong too: read the tests passed before blaming the model."


def mistakes(rows: Sequence[_Row]) -> tuple[str, str, str]:
    """`(title, HTML, note)` of the section: rows of `held_out.jsonl` that have texts and are wrong, worst first."""
    found = [(mistake(row), row) for row in rows]
    wrong = [(missed, row) for missed, row in found if missed is not None and missed.size > 0]
    wrong.sort(key=lambda item: -item[0].size)
    told = [(missed, row) for missed, row in wrong if "answers" in row]
    html = "".join(_fold(row, missed) for missed, row in told[:_SHOWN]) or (
        "<p>The run folder does not hold the texts.</p>" if wrong else "<p>None: it is right about every record.</p>"
    )
    note = (_LABELS if any("desirable" in row for row in rows) else _PAIRS) + _NOTE
    return "Most confidently wrong", html, note


def _fold(row: _Row, missed: Mistake) -> str:
    if "desirable" in row:
        names = ["Labelled wanted" if row["desirable"] else "Labelled unwanted"]
        sure = f"that it is {'unwanted' if row['desirable'] else 'wanted'}"
    else:
        names, sure = ["Labelled better", "Labelled worse"], "of the answer labelled worse"
    task = str(row.get("task_id") or f"record {row.get('record', '?')}")
    stated = percent(1 / (1 + math.exp(-min(missed.size, 700.0))))
    panes = "".join(_pane(name, row, place) for name, place in zip(names, missed.shown, strict=True))
    prompt = details("Prompt", pre(str(row.get("prompt", ""))), opened=True)
    title = f"{escape(task)} <small>{stated} sure {sure}</small>"
    return details(title, f'{prompt}<div class="grid2">{panes}</div>', css="card")


def _pane(name: str, row: _Row, place: int) -> str:
    facts = [f"score {format_value(row['scores'][place])}"]
    if row.get("tokens"):
        facts.append(f"{row['tokens'][place]} tokens")
    fraction = (row.get("fractions") or [None] * len(row["scores"]))[place]
    if fraction is not None:
        facts.append(f"passes {percent(fraction, 0)} of its tests")
    return f"<div><h3>{name} <small>{escape(', '.join(facts))}</small></h3>{pre(str(row['answers'][place]))}</div>"
