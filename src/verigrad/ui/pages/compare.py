"""The pages on which people compare: who is there, and one comparison after another."""

from __future__ import annotations

from html import escape

from verigrad.evaluation.reports.page import STATUSES, details
from verigrad.types import Message
from verigrad.ui.highlight import code_block, differing_lines, plain
from verigrad.ui.items import Candidate, Item
from verigrad.ui.pages.frame import address, document
from verigrad.ui.store import Progress, Store

__all__ = ["compare_page", "name_page", "task_view"]

_TESTS_SHOWN = 12
_DETAIL_LENGTH = 200
_ACTIONS = (
    ("1", "Left is better", "choose:left", True),
    ("2", "Right is better", "choose:right", True),
    ("3", "Tie", "choose:tie", False),
    ("s", "Skip", "choose:skip", False),
    ("u", "Undo", "undo", False),
    ("t", "Tests", "tests", False),
    ("e", "Edit left", "edit:left", False),
    ("r", "Edit right", "edit:right", False),
    ("n", "Write new", "edit:new", False),
    ("d", "Differences", "marks", False),
)


def name_page(store: Store, problem: str = "") -> str:
    """Who is there?"""
    people = [name for name, kind in store.annotators.items() if kind == "person"]
    known = "".join(f'<a class="button" href="{address("/compare", name)}">{plain(name)}</a>' for name in people)
    body = (
        '<div class="narrow card"><h1>Which program is better?</h1>'
        f'<p class="muted">{len(store.items)} comparisons. Your name is kept with each of your judgements, so that '
        "agreement between people can be measured.</p>"
        '<form class="name" action="/compare" method="get"><input name="annotator" aria-label="Your name" '
        'placeholder="Your name" maxlength="60" required autofocus autocomplete="off">'
        '<button class="main">Start</button></form>'
        + (f'<p class="down">{plain(problem)}</p>' if problem else "")
        + (f'<p class="muted">Or go on as</p><div class="names">{known}</div>' if known else "")
        + '<p><a href="/agreement">Agreement</a></p></div>'
    )
    return document("verigrad label", body, script=True)


def compare_page(store: Store, annotator: str) -> str:
    """The page on which one annotator works; its script replaces what `task_view` makes."""
    keys = "".join(
        f'<button type="button" data-key="{key}" data-do="{do}"{" class=main" if main else ""}>'
        f"<kbd>{key}</kbd>{escape(label)}</button>"
        for key, label, do, main in _ACTIONS
    )
    body = (
        f'<div id="task" data-annotator="{escape(annotator)}">{task_view(store, annotator)}</div>\n'
        f'<div class="actions" role="toolbar" aria-label="Judgement">{keys}</div>\n'
        '<div id="notice" role="status" aria-live="polite"></div>\n'
        '<dialog id="editor" aria-labelledby="editing"><h2 id="editing">A better program</h2>'
        '<p class="muted">Saved as a demonstration; the comparison stays open.</p>'
        '<textarea id="program" spellcheck="false" autocapitalize="off" aria-label="Program"></textarea>'
        '<div class="row"><button type="button" class="main" id="save"><kbd>Ctrl+Enter</kbd>Save</button>'
        '<button type="button" id="cancel"><kbd>Esc</kbd>Close</button></div></dialog>'
    )
    return document(f"{annotator}: verigrad label", body, script=True, css="wide marks")


def task_view(store: Store, annotator: str) -> str:
    """Progress and the next comparison, or the end."""
    item = store.next_item(annotator)
    progress = store.progress(annotator)
    head = _head(annotator, progress)
    if item is None:
        return head + (
            '<div class="card done" data-item=""><h1>Nothing is left for you</h1>'
            f"<p>{progress.done} done. <kbd>u</kbd>takes the last one back.</p>"
            '<p><a href="/agreement">See the agreement</a></p></div>'
        )
    left = store.left_of(item.id, annotator)
    sides = {"left": item.a if left == "a" else item.b, "right": item.b if left == "a" else item.a}
    shown = store.tests_shown(item.id, annotator)
    marks = differing_lines(sides["left"].shown, sides["right"].shown)
    panes = "".join(
        _pane(name, key, candidate, differing, shown)
        for (name, candidate), key, differing in zip(sides.items(), "12", marks, strict=True)
    )
    saved = sum(event.item == item.id for event in store.demonstrations())
    note = f'<p class="muted">{saved} demonstration{"s" * (saved != 1)} saved for this task.</p>' if saved else ""
    has_tests = "yes" if item.a.results or item.b.results else "no"
    return (
        f"{head}{_prompt(item)}"
        f'<div class="sides" data-item="{escape(item.id)}" data-tests="{"shown" if shown else has_tests}">{panes}</div>'
        f"{note}"
    )


def _head(annotator: str, progress: Progress) -> str:
    pace = ""
    if progress.per_hour is not None and progress.seconds_left is not None:
        pace = f"<span><b>{progress.per_hour:.0f}</b> an hour</span>"
        pace += f"<span>about <b>{_duration(progress.seconds_left)}</b> left</span>" if progress.left else ""
    return (
        f'<header class="top"><h1>Which program is better?</h1><span class="muted">{plain(annotator)}</span>'
        f'<nav><a href="{address("/agreement", annotator)}">Agreement</a>'
        '<a href="/">Change name</a></nav></header>'
        f'<progress max="{max(progress.done + progress.left, 1)}" value="{progress.done}" aria-label="Done"></progress>'
        f'<p class="counts"><span><b>{progress.done}</b> done</span><span><b>{progress.left}</b> left</span>{pace}'
        f"<span>all people: <b>{progress.judged}</b> of {progress.wanted}</span></p>"
    )


def _duration(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _prompt(item: Item) -> str:
    said = "".join(_message(message, len(item.prompt)) for message in item.prompt)
    return (
        f'<section class="card prompt"><h2>Task <small>{plain(item.task_id)}</small></h2>'
        f'<div class="said" tabindex="0">{said}</div></section>'
    )


def _message(message: Message, count: int) -> str:
    role = f'<p class="role">{plain(message.role)}</p>' if count > 1 or message.role != "user" else ""
    return role + plain(message.content)


def _pane(name: str, key: str, candidate: Candidate, differing: frozenset[int], tests: bool) -> str:
    code = code_block(candidate.shown, python=candidate.program is not None, differing=differing)
    whole = ""
    if candidate.program is not None and candidate.completion.strip() != candidate.program.strip():
        whole = details("Whole answer", code_block(candidate.completion, python=False))
    text = candidate.shown.encode(errors="replace").decode()  # half a surrogate pair cannot be sent
    # A text area drops one line break at its start.
    raw = f'<textarea hidden disabled data-program="{name}">\n{escape(text)}</textarea>'
    return (
        f'<article class="card side" aria-label="{name}"><h2><kbd>{key}</kbd>{name.capitalize()}</h2>{code}'
        f"{_tests(candidate) if tests else ''}{whole}{raw}</article>"
    )


def _tests(candidate: Candidate) -> str:
    results = candidate.results
    if not results:
        return '<div class="outcome"><p class="muted">No test results.</p></div>'
    passed = sum(result.get("status") == "passed" for result in results)
    lines = "".join(_test(result) for result in results[:_TESTS_SHOWN])
    rest = len(results) - _TESTS_SHOWN
    more = f"<li>and {rest} more</li>" if rest > 0 else ""
    return (
        f'<div class="outcome"><p>{passed} of {len(results)} tests passed</p><ul class="tests">{lines}{more}</ul></div>'
    )


def _test(result: object) -> str:
    row = result if isinstance(result, dict) else {}
    status, detail = str(row.get("status", "")), str(row.get("detail") or "")
    shown = detail if len(detail) <= _DETAIL_LENGTH else detail[:_DETAIL_LENGTH] + "…"
    tail = f" <code>{plain(shown)}</code>" if shown else ""
    words = plain(f"{row.get('name', '')}: {status.replace('_', ' ')}")
    return f'<li><i class="key s-{status if status in STATUSES else "error"}"></i>{words}{tail}</li>'
