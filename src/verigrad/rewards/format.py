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
    r"(?P<margin>^[ \t]*+)?```[ \t]*+(?P<word>[\w+-]++)?"
    r"(?(margin)[^\n`]*+|[ \t]*+)\r?\n"  # a line of its own may say more; possessive, since text may be made to be slow
    r"(?P<source>.*?)(?P<closer>\n[ \t]*```|```|\Z)",
    re.DOTALL | re.MULTILINE,
)
_INDENTED = re.compile(r"(?:[ \t]*\r?\n)*(?:  |\t)[ \t]*(?!```)\S")  # prose may begin with one space
_INDENTED_LINE = re.compile(r"(?:[ \t]*\r?\n)*[ \t]+\S")


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

    The first fenced block that defines the entry point; else, where the task has a stub and the text begins indented,
    the text itself, a bare body that is put behind the stub; else the first fenced block that calls the entry point,
    else the first one (where there is no entry point, the first that is marked with the task's language), else the
    text itself where it looks like code. Text that no fence closes ends, in Python, where prose begins: at the first
    line behind the entry point's body that stands at the margin and starts no definition or import.
    """
    if task.language == "text":
        return Extraction(text.strip(), (0, len(text))) if text.strip() else None
    syntax = _LANGUAGES.get(task.language, _LANGUAGES["python"])
    found = _find_source(text, task, syntax)
    if found is None:
        return None
    source, start = found
    return Extraction(_assemble(source, task, syntax), (start, start + len(source)))


def _find_source(text: str, task: Task, syntax: _Syntax) -> tuple[str, int] | None:
    entry_point = task.entry_point
    blocks = [
        (match["source"] if match["closer"] else _without_prose(match["source"], entry_point, syntax), match)
        for match in _FENCE.finditer(text)
    ]
    blocks = [block for block in blocks if block[0].strip()]
    ours = [block for block in blocks if (block[1]["word"] or "").lower() in syntax.fences]
    defining = ours
    if entry_point is not None:
        defining = [block for block in blocks if _binds(block[0], entry_point, syntax)]
        if not defining and _has_open_stub(task) and _INDENTED.match(text):
            return _without_prose(text, entry_point, syntax, is_body=True), 0
        defining = defining or [block for block in blocks if _mentions(block[0], entry_point)]
    if blocks:
        source, match = (defining or blocks)[0]
        return source, match.start("source")
    start = syntax.starts.search(text)
    if start is not None:
        return _without_prose(text[start.start() :], entry_point, syntax), start.start()
    return None


def _without_prose(source: str, entry_point: str | None, syntax: _Syntax, *, is_body: bool = False) -> str:
    """Unclosed source up to the first line at the margin, behind the entry point, that starts nothing we need.

    A bracket that closes goes on with what came before; a comment belongs to what follows. A body (`is_body`) also ends
    where its function is defined again. Only Python's layout tells; elsewhere a fence ends a body, and all else is
    returned as it is.
    """
    if entry_point is None or syntax is not _LANGUAGES["python"]:
        return source.partition("\n```")[0] if is_body else source
    defines = re.compile(rf"(?:async\s+)?def\s+{re.escape(entry_point)}\b")
    lines = source.splitlines(keepends=True)
    inside = is_body
    end: int | None = None
    for index, line in enumerate(lines):
        at_margin = bool(line.strip()) and not line[0].isspace()
        if inside and at_margin and line[0] not in ")]}":
            if syntax.starts.match(line) and not (is_body and defines.match(line)):
                end = None
            else:
                end = index if end is None else end
                if line[0] != "#":
                    break
        inside = inside or defines.match(line) is not None
    return "".join(lines[:end])


def _binds(source: str, entry_point: str, syntax: _Syntax) -> bool:
    """Whether it defines the entry point, as a function or a class, or gives it a value at the margin."""
    name = re.escape(entry_point)
    other = re.search(rf"^(?:class[ \t]+{name}\b|{name}[ \t]*(?::[^\n=]+)?=[^=])", source, re.MULTILINE)
    return other is not None or syntax.has(source, entry_point)


def _mentions(source: str, entry_point: str) -> bool:
    return re.search(rf"\b{re.escape(entry_point)}\b\s*[(=:]", source) is not None


def _has_open_stub(task: Task) -> bool:
    """Whether a body can be put behind the stub, which no prototype allows."""
    return bool(task.stub) and not task.stub.rstrip().endswith(";")


def _assemble(source: str, task: Task, syntax: _Syntax) -> str:
    """Put the stub's imports and helpers before a whole program, or the whole stub before a bare body."""
    if _has_open_stub(task) and task.entry_point is not None and not syntax.has(source, task.entry_point):
        body = source if source[:1] in " \t\n" else textwrap.indent(source, "    ")
        return task.stub.rstrip("\n") + "\n" + body
    if syntax is _LANGUAGES["python"] and _INDENTED_LINE.match(source):  # a block in a list's item, say
        source = textwrap.dedent(source)
    return missing_stub(task, source) + source if _has_open_stub(task) else source
