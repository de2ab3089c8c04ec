"""Finding the program in a completion."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

from verigrad.sandbox.records import missing_stub
from verigrad.types import Task

__all__ = ["Extraction", "extract_program"]

_FENCE = re.compile(
    r"(?P<margin>^[ \t]*)?```[ \t]*(?P<word>[\w+-]+)?[ \t]*(?(margin)[^\n`]*)\r?\n"  # a line of its own may say more
    r"(?P<source>.*?)(?P<closer>\n[ \t]*```|```|\Z)",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class _Syntax:
    """How programs of a language look.

    `fences` are the words that fences have for it, `starts` lines that a program begins with, and `defines` a pattern
    of the definition of the function NAME.
    """

    fences: tuple[str, ...]
    starts: re.Pattern[str]
    defines: str

    def has(self, source: str, function: str) -> bool:
        return re.search(self.defines.replace("NAME", re.escape(function)), source) is not None


_C_FUNCTION = r"[A-Za-z_][\w:<>, ]{0,200}[\s*&]\w+[ \t]*\([^;\n]{0,300}\)[ \t]*\{?[ \t]*$"
_C = re.compile(
    rf"^[ \t]*(?:#[ \t]*(?:include|define)\b|using\s|typedef\s|struct\s|template\s*<|{_C_FUNCTION})", re.MULTILINE
)
_C_DEFINES = r"\bNAME\s*\([^;{}]*\)\s*\{"
_LANGUAGES: Mapping[str, _Syntax] = {
    "python": _Syntax(
        ("python", "py", "python3"),
        re.compile(r"^[ \t]*(?:def|class|import|from|async def|@)\b", re.MULTILINE),
        r"\bdef\s+NAME\b",
    ),
    "c": _Syntax(("c",), _C, _C_DEFINES),
    "cpp": _Syntax(("cpp", "c++", "cc", "cxx"), _C, _C_DEFINES),
    "javascript": _Syntax(
        ("javascript", "js", "node"),
        re.compile(
            r"""^[ \t]*(?:(?:async\s+)?function\b|(?:const|let|var|class)\s+[\w$]+|['"]use strict['"])""", re.MULTILINE
        ),
        r"\bfunction\s*\*?\s*NAME\b|\bNAME\s*=[^=]",
    ),
}


@dataclass(frozen=True)
class Extraction:
    """Source found in a completion: `program` is ready to run, `span` its place in the completion's text."""

    program: str
    span: tuple[int, int]


def extract_program(text: str, task: Task) -> Extraction | None:
    """Find the program in a completion, or None.

    The first fenced block that defines the entry point, else one that calls it, else the first fenced block (where
    there is no entry point, the first that is marked with the task's language), else the text itself where it looks
    like code. Text that no fence closes ends, in Python, where prose begins: at the first line behind the entry
    point's body that stands at the margin and starts no definition or import. A bare body (what follows a `def` line in
    completion-style tasks) is put behind the task's stub.
    """
    if task.language == "text":
        return Extraction(text.strip(), (0, len(text))) if text.strip() else None
    syntax = _LANGUAGES.get(task.language, _LANGUAGES["python"])
    found = _find_source(text, task.entry_point, syntax)
    if found is None:
        return None
    source, start = found
    return Extraction(_assemble(source, task, syntax), (start, start + len(source)))


def _find_source(text: str, entry_point: str | None, syntax: _Syntax) -> tuple[str, int] | None:
    blocks = [
        (match["source"] if match["closer"] else _without_prose(match["source"], entry_point, syntax), match)
        for match in _FENCE.finditer(text)
    ]
    blocks = [block for block in blocks if block[0].strip()]
    ours = [block for block in blocks if (block[1]["word"] or "").lower() in syntax.fences]
    defining = ours
    if entry_point is not None:
        defining = [block for block in blocks if _binds(block[0], entry_point, syntax)]
        defining = defining or [block for block in blocks if _mentions(block[0], entry_point)]
    if blocks:
        source, match = (defining or blocks)[0]
        return source, match.start("source")
    start = syntax.starts.search(text)
    if start is not None:
        return _without_prose(text[start.start() :], entry_point, syntax), start.start()
    indented = text.lstrip("\n")
    if entry_point is not None and indented.startswith((" ", "\t")) and indented.strip():
        return text, 0
    return None


def _without_prose(source: str, entry_point: str | None, syntax: _Syntax) -> str:
    """Unclosed source up to the first line at the margin, behind the entry point, that starts nothing we need.

    A bracket that closes goes on with what came before; a comment belongs to what follows. Only Python's layout tells;
    elsewhere the source is returned as it is.
    """
    if entry_point is None or syntax is not _LANGUAGES["python"]:
        return source
    lines = source.splitlines(keepends=True)
    inside = False
    end: int | None = None
    for index, line in enumerate(lines):
        at_margin = bool(line.strip()) and not line[0].isspace()
        if inside and at_margin and line[0] not in ")]}":
            if syntax.starts.match(line):
                end = None
            else:
                end = index if end is None else end
                if line[0] != "#":
                    break
        inside = inside or re.match(rf"(?:async\s+)?def\s+{re.escape(entry_point)}\b", line) is not None
    return "".join(lines[:end])


def _binds(source: str, entry_point: str, syntax: _Syntax) -> bool:
    """Whether it defines the entry point, as a function or a class, or gives it a value at the margin."""
    name = re.escape(entry_point)
    other = re.search(rf"^(?:class[ \t]+{name}\b|{name}[ \t]*(?::[^\n=]+)?=[^=])", source, re.MULTILINE)
    return other is not None or syntax.has(source, entry_point)


def _mentions(source: str, entry_point: str) -> bool:
    return re.search(rf"\b{re.escape(entry_point)}\b\s*[(=:]", source) is not None


def _assemble(source: str, task: Task, syntax: _Syntax) -> str:
    """Put the stub's imports and helpers before a whole program, or the whole stub before a bare body."""
    if not task.stub or task.stub.rstrip().endswith(";"):  # a prototype, which nothing can continue
        return source
    if task.entry_point is not None and not syntax.has(source, task.entry_point):
        body = source if source[:1] in " \t\n" else textwrap.indent(source, "    ")
        return task.stub.rstrip("\n") + "\n" + body
    return missing_stub(task, source) + source
