"""Finding the program in a completion."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass

from verigrad.sandbox.records import missing_stub
from verigrad.types import Task

__all__ = ["Extraction", "extract_program"]

_FENCE = re.compile(r"```[ \t]*(?:([\w+-]+)[ \t]*)?\r?\n(.*?)(\n[ \t]*```|```|\Z)", re.DOTALL)
_STARTS_LIKE_CODE = re.compile(r"^[ \t]*(?:def|class|import|from|async def|@)\b", re.MULTILINE)


@dataclass(frozen=True)
class Extraction:
    """Source found in a completion: `program` is ready to run, `span` its place in the completion's text."""

    program: str
    span: tuple[int, int]


def extract_program(text: str, task: Task) -> Extraction | None:
    """Find the program in a completion, or None.

    The first fenced block that defines the entry point, else the first fenced block, else the text itself
    where it looks like code. Text that no fence closes ends where prose begins: at the first line behind the
    entry point's body that stands at the margin and starts no definition or import. A bare body (what follows
    a `def` line in completion-style tasks) is put behind the task's stub.
    """
    if task.language == "text":
        return Extraction(text.strip(), (0, len(text))) if text.strip() else None
    found = _find_source(text, task.entry_point)
    if found is None:
        return None
    source, start = found
    return Extraction(_assemble(source, task), (start, start + len(source)))


def _find_source(text: str, entry_point: str | None) -> tuple[str, int] | None:
    blocks = [
        (match.group(2) if match.group(3) else _without_prose(match.group(2), entry_point), match.start(2))
        for match in _FENCE.finditer(text)
    ]
    blocks = [block for block in blocks if block[0].strip()]
    defining = [block for block in blocks if _defines(block[0], entry_point)]
    if blocks:
        return (defining or blocks)[0]
    start = _STARTS_LIKE_CODE.search(text)
    if start is not None:
        return _without_prose(text[start.start() :], entry_point), start.start()
    indented = text.lstrip("\n")
    if entry_point is not None and indented.startswith((" ", "\t")) and indented.strip():
        return text, 0
    return None


def _without_prose(source: str, entry_point: str | None) -> str:
    """Unclosed source up to the first line at the margin, behind the entry point, that starts nothing we need."""
    if entry_point is None:
        return source
    lines = source.splitlines(keepends=True)
    inside = False
    for index, line in enumerate(lines):
        at_margin = bool(line.strip()) and not line[0].isspace()
        if inside and at_margin and not _STARTS_LIKE_CODE.match(line):
            return "".join(lines[:index])
        inside = inside or re.match(rf"(?:async\s+)?def\s+{re.escape(entry_point)}\b", line) is not None
    return source


def _defines(source: str, entry_point: str | None) -> bool:
    return entry_point is None or re.search(rf"\b{re.escape(entry_point)}\b\s*[(=:]", source) is not None


def _assemble(source: str, task: Task) -> str:
    """Put the stub's imports and helpers before a whole program, or the whole stub before a bare body."""
    if not task.stub:
        return source
    if task.entry_point is not None and not re.search(rf"\bdef\s+{re.escape(task.entry_point)}\b", source):
        body = source if source[:1] in " \t\n" else textwrap.indent(source, "    ")
        return task.stub.rstrip("\n") + "\n" + body
    return missing_stub(task, source) + source
