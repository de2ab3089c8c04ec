"""What the judge's process sends a worker for a program, and how it reads the reply.

Jobs go to the worker in `marshal`'s form, which is fast and holds plain values only. Answers come from the
program's process and are not trusted: they are JSON, and whatever is malformed is a violation.
"""

from __future__ import annotations

import json
import marshal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from verigrad.errors import SandboxError
from verigrad.sandbox.base import Call, Execution, ExecutionStatus, Outcome, OutcomeStatus, Script, Stdin
from verigrad.types import Limits
from verigrad.values import decode

__all__ = ["calls_execution", "calls_job", "stdin_execution", "stdin_job"]

_LOADED: Mapping[str, ExecutionStatus] = {
    "returned": "ran",
    "syntax_error": "syntax_error",
    "no_entry_point": "no_entry_point",
    "exception": "exception",
    "memory": "memory",
}
_ANSWERED: Mapping[str, OutcomeStatus] = {
    "returned": "returned",
    "exception": "exception",
    "memory": "memory",
    "not_plain": "not_plain",
    "output_limit": "output_limit",
}
_FORGED = "the program's process sent a malformed answer"
_MAX_LINES = 100_000
_LAST_LINE = 1_000_000
"""A program has no more characters."""


# ------------------------------------------------------------------------------------------------- jobs


def calls_job(program: str, inputs: Sequence[Call | Script], limits: Limits, trace_lines: bool) -> list[bytes]:
    """The message for calls and scripts in one process.

    Raises:
        SandboxError: an argument is not plain data.
    """
    functions = sorted({item.function for item in inputs if isinstance(item, Call)})
    setup = {"program": program, "mode": "calls", "functions": functions, "trace": trace_lines}
    return _message(limits, setup, [_request(item) for item in inputs])


def stdin_job(program: str, item: Stdin, limits: Limits, trace_lines: bool) -> list[bytes]:
    """The message for the whole program run as a script.

    Raises:
        SandboxError: the input cannot be written down in UTF-8.
    """
    try:
        stdin = item.text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise SandboxError(f"a standard input is not text ({error})") from error
    return _message(limits, {"mode": "stdin", "trace": trace_lines}, [{"program": program}], stdin)


def _message(
    limits: Limits, setup: dict[str, Any], requests: list[dict[str, Any]], stdin: bytes | None = None
) -> list[bytes]:
    setup["limits"] = vars(limits)
    terms = {**setup["limits"], "stdin": stdin}
    return [_form(part) for part in (terms, setup, *requests)]


def _request(item: Call | Script) -> dict[str, Any]:
    if isinstance(item, Script):
        return {"script": item.source}
    return {"function": item.function, "args": item.args, "kwargs": dict(item.kwargs), "as_bool": item.as_bool}


def _form(part: dict[str, Any]) -> bytes:
    """Form 2 of `marshal` has no references, so equal parts never arrive as one shared object."""
    try:
        return marshal.dumps(part, 2)
    except ValueError as error:
        raise SandboxError(f"an argument is not plain data ({error}): {str(part)[:200]}") from error


# ---------------------------------------------------------------------------------------------- replies


@dataclass(frozen=True)
class _Answer:
    """One frame of the program's process, checked; `status` is `violation` where it was malformed."""

    status: str
    value: Any = None
    error: str = ""
    line: int | None = None
    lines: frozenset[int] = frozenset()


def calls_execution(reply: list[bytes], num_inputs: int, *, traced: bool) -> Execution:
    """Read the reply to `calls_job`."""
    report, _, *bodies = reply
    end = json.loads(report)
    answers = [_parse(body, _ANSWERED if index else _LOADED) for index, body in enumerate(bodies)]
    first = answers[0] if answers else _Answer(end["status"], error=end["error"])
    outcomes: list[Outcome] = []
    if first.status == "returned":
        for answer, cpu_ms in zip(answers[1:], end["cpu_ms"][1:], strict=True):
            status = _ANSWERED.get(answer.status, "violation")
            outcomes.append(Outcome(status, answer.value, answer.error, answer.line, cpu_ms))
        if len(outcomes) < num_inputs and end["status"] is None:  # a frame said that it was the last, and was forged
            end = {**end, "status": "violation", "error": _FORGED}
        outcomes += [Outcome(end["status"], error=end["error"])] * (num_inputs - len(outcomes))
    return _execution(first, outcomes, end, answers, traced)


def stdin_execution(reply: list[bytes], *, traced: bool) -> Execution:
    """Read the reply to `stdin_job`; what the program printed is the value if it ended well."""
    report, stdout, *bodies = reply
    end = json.loads(report)
    answers = [_parse(body, _LOADED) for body in bodies]  # the first is that the input is there
    if end["exit"] == 0:  # os._exit(0): all the output there will be is there
        last = _Answer("returned")
    elif end["status"] is not None:
        last = _Answer(end["status"], error=end["error"])
    else:
        last = answers[-1]
    if last.status == "syntax_error":
        return _execution(last, [], end, answers, traced)
    value = stdout.decode("utf-8", "replace") if last.status == "returned" else None
    status = _ANSWERED.get(last.status) or end["status"] or "violation"
    outcome = Outcome(status, value, last.error, last.line, end["total_cpu_ms"])
    return _execution(_Answer("returned"), [outcome], end, answers, traced)


def _execution(
    first: _Answer, outcomes: list[Outcome], end: dict[str, Any], answers: list[_Answer], traced: bool
) -> Execution:
    errors = [answer.error for answer in answers if answer.status == "violation"]
    errors += [end["error"]] if end["status"] == "violation" else []
    return Execution(
        status=_LOADED.get(first.status) or end["status"] or "violation",
        outcomes=tuple(outcomes),
        error=first.error,
        error_line=first.line,
        violations=tuple(errors),
        executed_lines=frozenset().union(*(answer.lines for answer in answers)) if traced else None,
        cpu_ms=end["total_cpu_ms"],
        wall_ms=end["wall_ms"],
    )


def _parse(body: bytes, known: Mapping[str, object]) -> _Answer:
    try:
        form = json.loads(body, parse_constant=_refuse)
        status, error, line, lines = form["status"], form.get("error", ""), form.get("line"), form.get("lines", [])
        if status not in known or type(error) is not str or not (line is None or _is_line(line)):
            return _Answer("violation", error=_FORGED)
        if type(lines) is not list or len(lines) > _MAX_LINES or not all(map(_is_line, lines)):
            return _Answer("violation", error=_FORGED)
        value = decode(form["value"]) if "value" in form else None
        text = error[:1000].encode("utf-8", "backslashreplace").decode()  # half a surrogate pair cannot be written
        return _Answer(status, value, text, line, frozenset(lines))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        return _Answer("violation", error=f"{_FORGED}: {type(error).__name__}")


def _is_line(number: object) -> bool:
    return type(number) is int and 0 <= number <= _LAST_LINE


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not in the plain form")
