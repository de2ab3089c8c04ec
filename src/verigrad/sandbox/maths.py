"""Answers in mathematics: is what the answer ends with the same as the expected expression?

Equality is math-verify's, by way of sympy, and both are easily led: into evaluating whatever is written (`3 + 4`, or
the question's own integral, equals 7 for them), into taking one of several answers, and into computations without end.
So the answer is one expression, short, written with no other symbols, functions and words than the expected one has;
and the comparison runs in the sandbox as a program does, forked from a process that has math-verify imported, with
little time and memory. (Inside ours, math-verify's timeouts would need the main thread's alarm signal.)
"""

from __future__ import annotations

import importlib.util
import re

from verigrad.errors import MissingExtra, TaskError
from verigrad.sandbox.base import Call, Sandbox
from verigrad.types import Limits

__all__ = ["final_expression", "unlike", "why_not_same_mathematics"]

_PACKAGE = "math_verify"
_MAX_EXPRESSION = 300
_MAX_TEXT = 100_000
_LIMITS = Limits(cpu_s=6, wall_s=30, memory_mb=1024, processes=8)
_NAME = re.compile(r"^\s*[A-Za-z]\s*=\s*")
_LEAD = re.compile(r"\A.*(?:\banswer\s+is\b:?|\banswer\s*:)", re.IGNORECASE)
_THOUSANDS = re.compile(r"(?<![\d,.])\d{1,3}(?:,\d{3})+(?![\d,])")
_HARMLESS = {r"\left", r"\right", r"\dfrac", r"\tfrac", r"\frac", r"\!", r"\,", r"\;", r"\ "}

_PROGRAM = """
import logging
logging.disable(logging.CRITICAL)
from math_verify import LatexExtractionConfig, parse, verify

def read(text):
    found = parse(f"${text}$", [LatexExtractionConfig()], "no_fallback", "first_match", parsing_timeout=None)
    return [item for item in found if not isinstance(item, str)][:1]

def same(expected, answer):
    expected, answer = read(expected), read(answer)
    # In this order: it is not symmetric.
    return bool(expected and answer and verify(expected, answer, timeout_seconds=None))
"""


async def why_not_same_mathematics(text: str, expected: str, sandbox: Sandbox) -> str:
    """Why the answer is not the expected expression (LaTeX, without dollar signs), or nothing where it is.

    Raises:
        MissingExtra: math-verify is not installed.
        SandboxError: the sandbox failed.
        TaskError: math-verify does not find the expected expression equal to itself.
    """
    answer = final_expression(text)
    if answer is None:
        return "no answer"
    if "=" not in expected:
        answer = _NAME.sub("", answer)
    if why := unlike(answer, expected):
        return f"the answer {answer[:80]!r} {why}"
    if await _same(expected, answer, sandbox):
        return ""
    if not await _same(expected, expected, sandbox):
        raise TaskError(f"math-verify does not find {expected!r} equal to itself, so no answer can be judged")
    return f"got {answer[:80]!r}, wanted {expected!r}"


def final_expression(text: str) -> str | None:
    r"""What stands in the last `\boxed{...}`, else the last line, without `the answer is`, dollar signs and full stop.

    >>> final_expression(r"So it is \boxed{3}, or rather \boxed{\frac{1}{2}}.")
    '\\frac{1}{2}'
    >>> final_expression("We add.\nThe answer is $x + 1$.")
    'x + 1'
    """
    text = text[-_MAX_TEXT:]
    _, boxed, rest = text.rpartition(r"\boxed{")
    if boxed:
        return _to_closing_brace(rest)
    lines = [line for line in text.splitlines() if line.strip()]
    found = _LEAD.sub("", lines[-1]).strip().rstrip(".").strip("$ ") if lines else ""
    return found or None


def _to_closing_brace(text: str) -> str | None:
    depth = 1
    for place, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return text[:place].strip() or None
    return None


def unlike(answer: str, expected: str) -> str:
    """Why an answer is not written like the expected one, or nothing.

    Numerals, one-letter names and a sign are always fine, fractions where a decimal point or a fraction is expected.

    >>> unlike("3 + 4", "7"), unlike("-7", "7")
    ("has '+', which the expected answer has not", '')
    """
    if len(answer) > _MAX_EXPRESSION:
        return f"has {len(answer)} characters, over {_MAX_EXPRESSION}"
    extra = _vocabulary(answer) - _vocabulary(expected)
    if "." in expected:
        extra -= {"a fraction"}
    return f"has {min(extra)!r}, which the expected answer has not" if extra else ""


def _vocabulary(text: str) -> set[str]:
    """Symbols, commands and words of an expression that say how it is computed."""
    text = _THOUSANDS.sub("1", text)
    commands = re.findall(r"\\(?:[A-Za-z]+|.)", text)
    found = set(commands) - _HARMLESS
    plain = re.sub(r"\\(?:[A-Za-z]+|.)", " \\\\ ", text)
    found |= set(re.findall(r"[A-Za-z]{2,}", plain))
    found |= set(re.findall(r"[^\w\s.{}\\/-]|_", plain))
    if re.search(r"[\w)}\]]\s*-", plain):
        found.add("a difference")
    if "/" in plain or any("frac" in command for command in commands):
        found.add("a fraction")
    if re.search(r"\d\s+\d|[\d}]\s*\\\\", plain):
        found.add("a product")
    return found


async def _same(expected: str, answer: str, sandbox: Sandbox) -> bool:
    """Whether math-verify finds them equal; not where it crashes, runs out of memory or takes long.

    Raises:
        MissingExtra: it is not installed.
    """
    if importlib.util.find_spec(_PACKAGE) is None:
        raise MissingExtra("math-verify", "maths")
    box = sandbox.for_language("python", (_PACKAGE,))
    done = await box.run(_PROGRAM, [Call("same", (expected, answer))], _LIMITS)
    return done.status == "ran" and done.outcomes[0].status == "returned" and done.outcomes[0].value is True
