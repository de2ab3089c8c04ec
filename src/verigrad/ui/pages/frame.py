"""The frame around every page, and the addresses between them."""

from __future__ import annotations

from html import escape
from pathlib import Path
from urllib.parse import urlencode

from verigrad.evaluation.reports.page import STATUSES, STYLE

__all__ = ["STATIC", "address", "document", "style_sheet"]

STATIC = Path(__file__).parents[1] / "static"


def style_sheet() -> str:
    """The report's style and what these pages add."""
    colours = "".join(f".s-{name} {{ background: var(--{name}); }}\n" for name in STATUSES)
    return STYLE + colours + (STATIC / "label.css").read_text(encoding="utf-8")


def document(title: str, body: str, *, script: bool = False, css: str = "") -> str:
    """A whole page around `body`, which is HTML."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f'<title>{escape(title)}</title>\n<link rel="stylesheet" href="/label.css">\n'
        + ('<script src="/label.js" defer></script>\n' if script else "")
        + f'</head>\n<body>\n<main class="{css}">\n{body}\n</main>\n</body>\n</html>\n'
    )


def address(path: str, annotator: str) -> str:
    """Where a page is for one annotator, as the value of an attribute."""
    return escape(f"{path}?{urlencode({'annotator': annotator})}")
