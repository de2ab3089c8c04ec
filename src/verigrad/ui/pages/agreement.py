"""The page that says how far annotators agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from statistics import median

from verigrad.evaluation.reports.charts import percent
from verigrad.evaluation.reports.page import details
from verigrad.ui.agreement import PairAgreement, krippendorff_alpha, pair_agreements
from verigrad.ui.highlight import plain
from verigrad.ui.pages.frame import address, document
from verigrad.ui.store import Choice, Store

__all__ = ["agreement_page"]

_WORDS = {"a": "one answer", "b": "the other", "tie": "tie"}


def agreement_page(store: Store, annotator: str = "") -> str:
    """How far the annotators agree, and how each of them judges."""
    ratings = store.ratings()
    names = list(store.annotators)
    people = [name for name, kind in store.annotators.items() if kind == "person"]
    pairs = pair_agreements(ratings, names)
    back = address("/compare", annotator) if annotator else "/"
    body = (
        '<header class="top"><h1>Agreement</h1>'
        f'<nav><a href="{back}" data-back><kbd>Esc</kbd>Back</a></nav></header>'
        '<div class="grid3">'
        + _figure("All annotators", [tuple(given.values()) for given in ratings.values()])
        + (
            _figure("People only", [tuple(v for n, v in given.items() if n in people) for given in ratings.values()])
            if len(people) < len(names)
            else ""
        )
        + "</div>"
        + _pairs_table(pairs)
        + _annotators_table(store)
    )
    return document("Agreement: verigrad label", body, script=True)


def _figure(title: str, units: Sequence[Sequence[str]]) -> str:
    several = [unit for unit in units if len(unit) > 1]
    alpha = krippendorff_alpha(units)
    same = sum(len(set(unit)) == 1 for unit in several)
    ties = sum(unit.count("tie") for unit in units)
    judged = sum(bool(unit) for unit in units)
    lines = [
        f"{judged} items judged, {len(several)} of them by two or more",
        f"{same} of {len(several)} unanimous" if several else "alpha needs items judged by two or more",
        f"{ties} of {sum(map(len, units))} judgements are ties",
    ]
    return (
        f'<div class="card"><h3>{escape(title)}</h3><p class="big">{_number(alpha)}</p>'
        f'<p class="muted">Krippendorff\'s alpha</p>{"".join(f"<p>{escape(line)}</p>" for line in lines)}</div>'
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _pairs_table(pairs: Sequence[PairAgreement]) -> str:
    if not pairs:
        return '<h2>Two by two</h2><p class="muted">No item has been judged by two annotators yet.</p>'
    rows = "".join(
        f"<tr><td>{plain(pair.first)} and {plain(pair.second)}</td><td>{pair.items}</td>"
        f"<td>{percent(pair.raw)}</td><td>{_number(pair.kappa)}</td></tr>"
        for pair in pairs
    )
    folds = "".join(details(f"{plain(pair.first)} and {plain(pair.second)}", _matrix(pair)) for pair in pairs)
    return (
        "<h2>Two by two</h2>"
        '<p class="muted">Raw agreement is the share of equal judgements; kappa is 1 for full agreement and 0 for what '
        "chance gives, and – where it is undefined. A tie is a category like the two answers; skips do not count.</p>"
        '<div class="card"><div class="scroll"><table><thead><tr><th>annotators</th><th>items</th>'
        f"<th>raw agreement</th><th>Cohen's kappa</th></tr></thead><tbody>{rows}</tbody></table></div>"
        f"{details('Counts', folds)}</div>"
    )


def _matrix(pair: PairAgreement) -> str:
    head = "".join(f"<th>{_WORDS[category]}</th>" for category in _WORDS)
    rows = "".join(
        f"<tr><td>{_WORDS[first]}</td>"
        + "".join(f"<td>{pair.counts.get((first, second), 0)}</td>" for second in _WORDS)
        + "</tr>"
        for first in _WORDS
    )
    return (
        f'<p class="muted">Rows: {plain(pair.first)}. Columns: {plain(pair.second)}.</p>'
        f'<div class="scroll"><table class="matrix"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _annotators_table(store: Store) -> str:
    by_name: dict[str, list[Choice]] = {name: [] for name in store.annotators}
    for item in store.items:
        for name, choice in store.choices(item).items():
            by_name[name].append(choice)
    rows = "".join(_annotator_row(name, store, choices) for name, choices in by_name.items())
    if not rows:
        return ""
    columns = ("annotator", "kind", "judged", "skipped", "ties", "chose left", "saw tests", "median s")
    head = "".join(f"<th>{column}</th>" for column in columns)
    return (
        '<h2>One by one</h2><p class="muted">Sides are dealt by lot, so a share of choices for the left that is far '
        "from one half shows a habit, not a taste.</p>"
        f'<div class="card"><div class="scroll"><table class="people"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></div>"
    )


def _annotator_row(name: str, store: Store, choices: Sequence[Choice]) -> str:
    counts = Counter(choice.preferred for choice in choices)
    judged = len(choices) - counts["skip"]
    sided = [choice for choice in choices if choice.left is not None and choice.preferred in ("a", "b")]
    lefts = sum(choice.preferred == choice.left for choice in sided)
    times = [choice.seconds for choice in choices if choice.seconds is not None]
    cells = (
        plain(name),
        store.annotators[name],
        str(judged),
        str(counts["skip"]),
        percent(counts["tie"] / judged) if judged else "–",
        f"{lefts} of {len(sided)}" if sided else "–",
        str(sum(choice.tests_shown for choice in choices)),
        f"{median(times):.1f}" if times else "–",
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
