"""The frame of the report: one HTML page with its style inside, readable on a phone, in light and in dark.

A content security policy forbids the page to fetch anything and to run any script but a given one of ours, whatever
text a model may have put in.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape

from verigrad.evaluation.reports.charts import COLOURS

__all__ = ["STATUSES", "STYLE", "details", "page", "pre", "section", "table"]

STYLE = """
:root { color-scheme: light dark;
  --bg: #f6f7f9; --card: #ffffff; --ink: #1b2330; --muted: #5f6b7d; --line: #e3e7ed; --code: #f3f5f8;
  --before: #8b95a5; --after: #2563eb; --good: #15803d; --bad: #c2410c;
  --c1: #2563eb; --c2: #d97706; --c3: #0d9488; --c4: #c026d3; --c5: #64748b;
  --c6: #65a30d; --c7: #e11d48; --c8: #7c3aed;
  --passed: #22a35a; --failed: #ee8a4a; --exception: #e0587a; --timeout: #9067d6; --memory: #5b6fd8;
  --output_limit: #38a3c4; --crashed: #8c5a3a; --violation: #b91c1c; --nondeterministic: #9a9a3d;
  --syntax_error: #d9b23c; --no_entry_point: #64809c; --no_code: #a3acb9; --error: #d4d8de; }
@media (prefers-color-scheme: dark) { :root {
  --bg: #10141b; --card: #181e28; --ink: #e6eaf1; --muted: #98a4b6; --line: #2a3240; --code: #11161e;
  --before: #8b97a8; --after: #6ea2ff; --good: #4ade80; --bad: #fb923c;
  --c1: #6ea2ff; --c2: #fbbf24; --c3: #2dd4bf; --c4: #e879f9; --c5: #a3b1c6;
  --c6: #a3e635; --c7: #fb7185; --c8: #a78bfa; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--ink); overflow-wrap: break-word;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 18px 60px; }
h1 { font-size: 26px; margin: 0 0 2px; letter-spacing: -.01em; }
h2 { font-size: 19px; margin: 38px 0 10px; letter-spacing: -.005em; }
h3 { font-size: 14px; margin: 0 0 6px; }
p { margin: 4px 0 10px; } .muted, small { color: var(--muted); } small { font-size: 12px; font-weight: 400; }
.grid3 { display: grid; gap: 14px; grid-template-columns: repeat(auto-fill, minmax(min(330px, 100%), 1fr)); }
.grid1 { display: grid; gap: 14px; grid-template-columns: minmax(0, 1fr); }
.grid2 { display: grid; gap: 14px; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(460px, 100%), 1fr)); }
.duo { display: grid; gap: 14px; align-items: start; grid-template-columns: minmax(0, 5fr) minmax(0, 7fr); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; min-width: 0; }
.big { font-size: 30px; font-weight: 650; letter-spacing: -.02em; font-variant-numeric: tabular-nums; margin: 2px 0; }
.big .from { color: var(--muted); font-weight: 500; } .big .arrow { color: var(--muted); font-weight: 400; }

.delta { font-weight: 600; font-variant-numeric: tabular-nums; }
.up { color: var(--good); } .down { color: var(--bad); }
svg { display: block; width: 100%; overflow: visible; } svg.line { height: auto; }
rect { fill: var(--muted); }
svg text { font-size: 11px; fill: var(--muted); font-variant-numeric: tabular-nums; }
.start { text-anchor: start; } .mid { text-anchor: middle; } .end { text-anchor: end; } svg .axis { font-size: 11.5px; }
.grid { stroke: var(--line); stroke-width: 1; }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.curve.raw { stroke-width: 1; opacity: .35; }
.hover { fill: transparent; } .hover:hover { fill: var(--ink); opacity: .35; }
.band { opacity: .15; stroke: none; }
.ideal { fill: none; stroke: var(--muted); stroke-width: 1.25; stroke-dasharray: 4 4; }
.count { opacity: .25; } .bar { opacity: .55; } .bar:hover { opacity: .8; } .spot { opacity: .7; }
.warning { border-left: 5px solid var(--bad); margin: 10px 0 14px; } .warning h3 { color: var(--bad); font-size: 15px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 14px; font-size: 12.5px; color: var(--muted); margin: 4px 0; }
.key { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 5px; vertical-align: -1px; }
.key.before { background: var(--before); } .key.after { background: var(--after); }
.ivrow { display: grid; grid-template-columns: 160px 1fr 132px; gap: 14px; align-items: center;
  border-top: 1px solid var(--line); }
.ivrow:first-child, .ivaxis { border-top: 0; }
.ivlabel { font-size: 13px; overflow-wrap: anywhere; line-height: 1.25; padding: 3px 0; }
.ivlabel small { display: block; }
.ivnum { font-size: 13px; text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.before { stroke: var(--before); fill: var(--before); } .after { stroke: var(--after); fill: var(--after); }
.whisker { stroke-width: 2; } .zero { stroke: var(--muted); stroke-width: 1.5; }
.inner { stroke-width: 4; stroke-linecap: round; } .outer { stroke-width: 1.25; }
.single { fill: none; stroke-width: 1.25; } .gains .ivrow { grid-template-columns: 180px 1fr 150px; }
.shares .ivrow { grid-template-columns: 260px 1fr 160px; }
.plain .ivrow { display: block; border: 0; } .plain .ivrow span { display: none; }
.stack { border-radius: 6px; overflow: hidden; } .bars { display: grid; grid-template-columns: 56px 1fr; gap: 8px 10px;
  align-items: center; font-size: 13px; margin: 8px 0; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 5px 8px; border-bottom: 1px solid var(--line); vertical-align: top;
  white-space: nowrap; }
th { color: var(--muted); font-weight: 500; } th:first-child, td:first-child { text-align: left; padding-left: 0; }
.left th, .left td { text-align: left; }
.wrap td:first-child { white-space: normal; }
.words td { text-align: left; white-space: normal; overflow-wrap: anywhere; } .scroll { overflow-x: auto; }
pre { background: var(--code); border: 1px solid var(--line); border-radius: 8px; padding: 10px 12px; margin: 6px 0;
  font: 12.5px/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow: auto; max-height: 420px;
  white-space: pre-wrap; overflow-wrap: anywhere; }
details { margin: 8px 0; } summary { cursor: pointer; } details.card > summary { font-weight: 600; }
details.card[open] > summary { margin-bottom: 8px; } summary small { margin-left: 6px; }
.badge { display: inline-block; border-radius: 20px; padding: 1px 9px; font-size: 12px; font-weight: 600;
  border: 1px solid var(--line); white-space: nowrap; }
.badge i { display: inline-block; width: 8px; height: 8px; border-radius: 50%; margin-right: 6px; }
.tests { list-style: none; margin: 6px 0; padding: 0; font-size: 12.5px; }
.tests li { padding: 2px 0; overflow-wrap: anywhere; } .tests .key { border-radius: 50%; }
.tests code { color: var(--muted); font-size: 12px; } ul.notes { padding-left: 18px; margin: 6px 0; }
@media (max-width: 640px) { main { padding: 18px 12px 40px; } .big { font-size: 25px; }
  .duo { grid-template-columns: minmax(0, 1fr); } table { font-size: 12.5px; } th, td { padding: 5px 4px; }
  .ivrow, .gains .ivrow, .shares .ivrow { grid-template-columns: 1fr auto; gap: 0 10px; padding: 4px 0; }
  .ivrow svg { grid-row: 2; grid-column: 1 / -1; }
  .ivaxis span { display: none; } .ivlabel small { display: inline; } }
"""

# Every status of a sample, in the order bars show them; each has a colour in STYLE.
STATUSES = (
    "passed",
    "failed",
    "exception",
    "timeout",
    "memory",
    "output_limit",
    "crashed",
    "violation",
    "nondeterministic",
    "syntax_error",
    "no_entry_point",
    "no_code",
    "error",
)
_STATUS_STYLE = "\n".join(f".s-{name} {{ fill: var(--{name}); background: var(--{name}); }}" for name in STATUSES)

_COLOUR_STYLE = "\n".join(
    f".curve.{name}, .gain.{name} {{ stroke: var(--{name}); }}\n"
    f".dot.{name}, .key.{name}, .band.{name}, .gain.{name} {{ fill: var(--{name}); }}\n"
    f".key.{name} {{ background: var(--{name}); }}"
    for name in COLOURS
)


def page(title: str, body: str, *, style: str = "", script: str = "") -> str:
    """The whole document around `body`, which is HTML; a lone surrogate, which UTF-8 cannot say, is a question mark.

    Args:
        style: more CSS.
        script: of our own, the only one that the page may run: the policy names its digest.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f"; script-src 'sha256-{digest}'" if script else ""
    text = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" '
        f"content=\"default-src 'none'; style-src 'unsafe-inline'{allowed}\">\n"
        f"<title>{escape(title)}</title>\n<style>{STYLE}{_STATUS_STYLE}\n{_COLOUR_STYLE}\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n" + (f"<script>{script}</script>\n" if script else "") + "</body>\n</html>\n"
    )
    return text.encode(errors="replace").decode()


def section(title: str, body: str, note: str = "") -> str:
    """A heading, an optional muted line under it, and HTML; nothing where the HTML is empty."""
    if not body:
        return ""
    return (
        f"<section>\n<h2>{escape(title)}</h2>\n"
        + (f'<p class="muted">{escape(note)}</p>\n' if note else "")
        + (f"{body}\n</section>")
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, css: str = "") -> str:
    """A table of plain texts."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    header = f"<thead><tr>{top}</tr></thead>" if head else ""
    return f'<div class="scroll"><table class="{css}">{header}<tbody>{body}</tbody></table></div>'


def details(summary: str, body: str, *, css: str = "", opened: bool = False) -> str:
    """A fold: `summary` and `body` are HTML."""
    return f'<details class="{css}"{" open" if opened else ""}><summary>{summary}</summary>{body}</details>'


def pre(text: str, limit: int = 8000) -> str:
    """Text as it stands, escaped; what exceeds the limit is cut and counted."""
    cut = len(text) - limit
    return f"<pre>{escape(text[:limit])}" + (f"\n… {cut} more characters" if cut > 0 else "") + "</pre>"
