"""Static semantics, lint and style, as ruff sees them: from the text alone, without running anything.

No configuration file is read, the rules are written here, and comments that silence a rule are taken out first. Each
is a component, to be gated by tests (`rewards/combine.py`): alone they teach a policy to write less. Each is 0 without
a program that does something, and for one that makes code of text (`exec`, `eval`), which nobody can read here.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from verigrad.errors import MissingExtra, RewardError
from verigrad.rewards.base import Answer, Check
from verigrad.rewards.source import code_lines, makes_code, real_program, strip_suppressions
from verigrad.rewards.tools import run_tool
from verigrad.types import Score, Task, Verdict

__all__ = ["CHECKS", "ERRORS", "LINT", "Finding", "lint", "ruff_findings", "static", "style", "style_match"]

ERRORS = ("E9", "F405", "F5", "F6", "F7", "F8", "PLE")
"""Rules against code that cannot work: undefined names (behind a star import, names that may be), bad formats, returns
outside functions; see `_NO_ERRORS`."""

LINT = ("E", "W", "F", "B", "C4", "PIE", "RET", "SIM")
"""Rules against code that is doubtful, unused or clumsy."""

_NO_ERRORS = ("F841", "F842")  # variables that are never used: of the 8s, but no error

CHECKS = {
    name: [
        Check("gold", at_least=1.0, at_most=1.0),
        Check("empty", at_most=0.0),
        Check("syntax_error", at_most=0.0),
        Check("early_exit", at_most=0.0),
    ]
    for name in ("static", "lint", "style")
}


@dataclass(frozen=True)
class Finding:
    """One complaint: its rule (`F821`), the line (1-based) and ruff's words."""

    rule: str
    line: int
    message: str


async def static(task: Task, answer: Answer, verdict: Verdict | None) -> Score:
    """1 - 0.25 * errors, in [0, 1]; 0 without a program that can be read.

    Errors are those of `ERRORS`. Parts: their number. Main hack: the least code that defines what was asked for has no
    errors, and attributes (`self.x`) are never undefined.

    Raises:
        MissingExtra: ruff is not installed.
        RewardError: ruff failed.
    """
    found = await _findings(task, answer, verdict, ERRORS)
    if found is None:
        return Score(0.0, evidence=verdict)
    errors = [finding for finding in found if finding.rule not in _NO_ERRORS]
    return Score(max(0.0, 1.0 - 0.25 * len(errors)), {"errors": float(len(errors))}, evidence=verdict)


async def lint(task: Task, answer: Answer, verdict: Verdict | None) -> Score:
    """1 - 0.1 * findings, in [0, 1]; 0 without a program that can be read.

    Findings are those of `LINT`. Parts: their number. Main hack: shorter code has fewer of them, whatever it does.

    Raises:
        MissingExtra: ruff is not installed.
        RewardError: ruff failed.
    """
    found = await _findings(task, answer, verdict, LINT)
    if found is None:
        return Score(0.0, evidence=verdict)
    return Score(max(0.0, 1.0 - 0.1 * len(found)), {"findings": float(len(found))}, evidence=verdict)


async def style(task: Task, answer: Answer, verdict: Verdict | None) -> Score:
    """Share of lines that ruff's formatter leaves as they are, in [0, 1]; 0 without a program that can be read.

    Comments and docstrings aside; see `style_match`. Main hack: one-liners, and anything else in which there is
    little to format.

    Raises:
        MissingExtra: ruff is not installed.
        RewardError: ruff failed.
    """
    source = _readable(task, answer, verdict)
    if source is None:
        return Score(0.0, evidence=verdict)
    formatted = await asyncio.to_thread(_formatted, source)
    if formatted is None:
        return Score(0.0, evidence=verdict)
    return Score(style_match(*("\n".join(code_lines(text)) for text in (source, formatted))), evidence=verdict)


def style_match(source: str, formatted: str) -> float:
    """2 * lines in common / lines of both, wherever they stand; blank lines at the ends do not count.

    >>> style_match("a=1\\nb = 2\\n", "a = 1\\nb = 2\\n")
    0.5
    """
    ours, theirs = (Counter(text.strip("\n").split("\n")) for text in (source, formatted))
    return 2 * (ours & theirs).total() / (ours.total() + theirs.total())


@lru_cache(maxsize=1024)  # a group often has the same program several times
def ruff_findings(source: str, rules: Sequence[str]) -> tuple[Finding, ...] | None:
    """Everything ruff has to say under `rules` (a tuple), or None where it gave up on the program.

    Comments that silence it are not honoured.

    Raises:
        MissingExtra: ruff is not installed.
        RewardError: ruff failed.
    """
    options = ["--ignore-noqa", "--output-format", "json", "--select", ",".join(rules)]
    printed = run_tool([_ruff(), "check", *_ALONE, *options, "-"], source, expected=(0, 1))
    if printed is None:
        return None
    try:
        return tuple(
            Finding(str(row["code"] or "syntax"), row["location"]["row"], row["message"]) for row in json.loads(printed)
        )
    except (ValueError, KeyError, TypeError) as error:
        raise RewardError(f"ruff printed what is no list of findings ({error!r}): {printed[:200]!r}") from error


_ALONE = (
    "--isolated",  # no configuration file
    "--no-cache",
    "--line-length",
    "120",
    "--target-version",
    f"py3{sys.version_info.minor}",
    "--stdin-filename",
    "program.py",
)


async def _findings(
    task: Task, answer: Answer, verdict: Verdict | None, rules: Sequence[str]
) -> Sequence[Finding] | None:
    source = _readable(task, answer, verdict)
    return None if source is None else await asyncio.to_thread(ruff_findings, source, rules)


def _readable(task: Task, answer: Answer, verdict: Verdict | None) -> str | None:
    """The program without what silences checkers; None where there is none that can be read."""
    tree = real_program(task, answer, verdict)
    return None if tree is None or makes_code(tree) else strip_suppressions(answer.program or "")


@lru_cache(maxsize=1024)
def _formatted(source: str) -> str | None:
    """The program as ruff would lay it out; None where its parser, stricter than Python's, refuses it."""
    printed = run_tool([_ruff(), "format", *_ALONE, "-"], source, expected=(0, 2))
    return printed or None


@lru_cache(maxsize=1)
def _ruff() -> str:
    try:
        from ruff.__main__ import find_ruff_bin

        return str(find_ruff_bin())
    except (ImportError, FileNotFoundError) as error:
        raise MissingExtra("ruff", "quality") from error
