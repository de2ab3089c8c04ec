"""Answers that are text, not programs: a Python literal, the last number, printed output."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from verigrad.errors import TaskError
from verigrad.literals import read_literal
from verigrad.sandbox.compare import equal
from verigrad.types import AnswerTest, Comparator, OutputRule, StdioTest
from verigrad.values import encode

__all__ = ["answer_is_right", "last_line", "last_number", "literal", "output_is_right", "same_output"]

_MAX_LITERAL = 10_000
_MAX_TEXT = 100_000
_MAX_WORD = 1000
_WRITTEN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
"""A word that writes a finite number."""
_TRAILING = OutputRule()
_NUMBER = re.compile(
    r"""
    (?: (?<![\w.)\]]) [-\u2212] )?  # a sign, unless something to subtract from comes before
    \$? (?<![\w.])                  # not the tail of a word or of another number
    (?: (?: \d{1,3} (?:,\d{3})+ | \d+ ) (?: \.\d+ )? | \.\d+ )
    (?: [eE][+-]?\d{1,3} (?!\w) )?
    """,
    re.VERBOSE | re.ASCII,
)


def answer_is_right(text: str, test: AnswerTest, comparator: Comparator) -> tuple[bool, str]:
    """Whether the answer matches, and for people what was got.

    Raises:
        TaskError: a number is asked for, and what is expected is none.
    """
    try:
        if test.form == "number":
            number = last_number(text)
            return _same_number(number, test.expected, comparator), f"got {number}"
        value = _literal_at_the_end(text)
        return equal(value, test.expected, comparator), ""
    except ValueError as error:
        return False, str(error)


def _literal_at_the_end(text: str) -> Any:
    """The value that the whole text writes down, or else its last line, before which there may be reasoning."""
    try:
        return literal(text)
    except ValueError:
        return literal(last_line(text))


def last_line(text: str) -> str:
    """The last line with something on it, without a code fence or backticks around it.

    >>> last_line("It counts up, so:\\n```python\\n0 <= i <= n\\n```\\n")
    '0 <= i <= n'
    """
    lines = [line.strip() for line in text.strip().splitlines()]
    lines = [line for line in lines if line and not line.startswith("```")]
    return lines[-1].strip("`").strip() if lines else ""


def literal(text: str) -> Any:
    """The plain value that `text` writes down.

    Raises:
        ValueError: it is no literal of a plain value, or longer than 10 000 characters. Text of such
            length cannot exhaust the parser's stack, which raises cleanly.

    >>> literal(" [1, (2, 'x')] ")
    [1, (2, 'x')]
    """
    text = text.strip()
    if len(text) > _MAX_LITERAL:
        raise ValueError(f"answer has {len(text)} characters, over {_MAX_LITERAL}")
    try:
        value = read_literal(text)
        encode(value)
    except ValueError as error:
        raise ValueError(f"not a Python literal: {text[:80]!r}") from error
    return value


def last_number(text: str) -> Decimal:
    """The last number written in `text`; commas between thousands and a dollar sign are ignored, either minus is one.

    Raises:
        ValueError: there is none in its last 100 000 characters.

    >>> last_number("He has 3 - 1 = 2 left, worth $1,200.50.")
    Decimal('1200.50')
    """
    found = _NUMBER.findall(text[-_MAX_TEXT:])
    if not found:
        raise ValueError("no number in the answer")
    return Decimal(re.sub(r"[\s,$]", "", found[-1]).replace("\u2212", "-"))


def _same_number(got: Decimal, expected: Any, comparator: Comparator) -> bool:
    """Equal as decimals (12 and 12.0 are one number), within the tolerance."""
    try:
        wanted = Decimal(str(expected).replace(",", "").strip())
    except InvalidOperation:
        wanted = Decimal("nan")
    if not wanted.is_finite():
        raise TaskError(f"a test of the form 'number' expects {expected!r}, which is none")
    return got == wanted or _close(got, wanted, comparator)


def _close(got: Decimal, wanted: Decimal, rule: Comparator | OutputRule) -> bool:
    if not (rule.atol or rule.rtol):
        return False
    return abs(got - wanted) <= Decimal(rule.atol) + Decimal(rule.rtol) * abs(wanted)


def output_is_right(got: str, test: StdioTest, rule: OutputRule) -> bool:
    """Whether a program printed what the test wants, or one of its alternatives."""
    return any(same_output(got, wanted, rule) for wanted in (test.stdout, *test.alternatives))


def same_output(got: str, expected: str, rule: OutputRule = _TRAILING) -> bool:
    """Whether printed text is what was expected; by default up to white space at the ends of lines and of the text.

    >>> same_output("a  \\nb\\n\\n", "a\\nb")
    True
    >>> same_output("0.33  x", "0.3333 x", OutputRule("tokens", atol=0.01))
    True
    """
    if rule.spaces == "tokens":
        return _same_words(got.split(), expected.split(), rule)
    if rule.spaces == "trailing":
        got, expected = _trimmed(got), _trimmed(expected)
    if got == expected or not (rule.atol or rule.rtol):
        return got == expected
    return _same_words(re.split(r"(\s+)", got), re.split(r"(\s+)", expected), rule)


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.rstrip().split("\n"))


def _same_words(got: list[str], expected: list[str], rule: OutputRule) -> bool:
    return len(got) == len(expected) and all(
        one == other or _close_words(one, other, rule) for one, other in zip(got, expected, strict=True)
    )


def _close_words(got: str, expected: str, rule: OutputRule) -> bool:
    """Whether both write numbers within the tolerance; none is a number that is longer than 1000 characters."""
    if not (rule.atol or rule.rtol) or max(len(got), len(expected)) > _MAX_WORD:
        return False
    if not (_WRITTEN.fullmatch(got) and _WRITTEN.fullmatch(expected)):
        return False
    return _close(Decimal(got), Decimal(expected), rule)
