"""JUnit XML reports as pytest writes them, read as what they are: a text that the judged program may have written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal
from xml.parsers import expat

__all__ = ["Case", "CaseKey", "CaseStatus", "Report", "ReportError", "case_of", "read_report"]

CaseStatus = Literal["passed", "failed", "error", "skipped", "xfailed"]
_MAX_BYTES = 16_000_000
_WORST_FIRST: tuple[CaseStatus, ...] = ("error", "failed", "skipped", "xfailed", "passed")
_UNWRITABLE = re.compile("[^\t\n\r\x20-\x7e\x80-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

CaseKey = tuple[str, str]
"""Class name and name of a test case."""


class ReportError(ValueError):
    """A file is no report."""


@dataclass(frozen=True)
class Case:
    """What a report says of one test."""

    status: CaseStatus
    message: str = ""


Report = dict[CaseKey, Case]


def case_of(test_id: str) -> CaseKey:
    """The class name and name under which pytest reports a test of this id (version 1 of its format).

    >>> case_of("tests/test_a.py::TestB::test_c[x::y]")
    ('tests.test_a.TestB', 'test_c[x::y]')
    """
    plain, bracket, parameters = test_id.partition("[")
    path, *names = plain.split("::")
    folder = path.removesuffix(".py").replace("/", ".")
    *classes, name = names or [""]
    return ".".join([folder, *classes]), _escaped(name + bracket + parameters)


def read_report(body: bytes) -> Report:
    """What the report says of each test; of a test that is there more than once, the worst.

    Raises:
        ReportError: it is too large, is not well-formed, or declares a document type (entities could make it explode).
    """
    if len(body) > _MAX_BYTES:
        raise ReportError(f"the report has {len(body)} bytes, over {_MAX_BYTES}")
    reader = _Reader()
    try:
        reader.parser.Parse(body, True)
    except (expat.ExpatError, ValueError) as error:
        raise ReportError(f"the report is malformed: {error}") from error
    return reader.report


class _Reader:
    def __init__(self) -> None:
        self.report: Report = {}
        self._key: CaseKey | None = None
        self._case = Case("passed")
        self.parser = expat.ParserCreate("utf-8")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = _refuse

    def _start(self, name: str, attributes: dict[str, Any]) -> None:
        if name == "testcase":
            if self._key is not None:
                raise ReportError("a test case within a test case")
            self._key = attributes.get("classname", ""), attributes.get("name", "")
            self._case = Case("passed")
        elif name in ("failure", "error", "skipped") and self._key is not None:
            status: CaseStatus = "failed" if name == "failure" else "error" if name == "error" else "skipped"
            if name == "skipped" and attributes.get("type") == "pytest.xfail":
                status = "xfailed"
            self._case = _worse(self._case, Case(status, attributes.get("message", "")))

    def _end(self, name: str) -> None:
        if name == "testcase" and self._key is not None:
            known = self.report.get(self._key)
            self.report[self._key] = self._case if known is None else _worse(known, self._case)
            self._key = None


def _refuse(*_: object) -> None:
    raise ReportError("it declares a document type")


def _worse(one: Case, other: Case) -> Case:
    return min(one, other, key=lambda case: _WORST_FIRST.index(case.status))


def _escaped(text: str) -> str:
    """As pytest writes characters that XML cannot hold."""

    def hexadecimal(found: re.Match[str]) -> str:
        code = ord(found[0])
        return f"#x{code:02X}" if code <= 0xFF else f"#x{code:04X}"

    return _UNWRITABLE.sub(hexadecimal, text)
