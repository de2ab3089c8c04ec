"""Results of tests whose answer is a text: compared, read as mathematics, or checked by a solver or a proof assistant.

An answer may be preceded by its reasoning: what counts is its last line (of a proof, its last block of code).
"""

from __future__ import annotations

import ast
import asyncio
import re
import warnings
from typing import Any

from verigrad.errors import TaskError
from verigrad.literals import read_literal
from verigrad.sandbox.answers import last_line
from verigrad.sandbox.base import Call, Sandbox
from verigrad.sandbox.compare import equal
from verigrad.sandbox.maths import why_not_same_mathematics
from verigrad.sandbox.proofs import OutOfTime
from verigrad.sandbox.proofs.coq import why_no_coq_proof
from verigrad.sandbox.proofs.invariant import why_no_invariant
from verigrad.sandbox.proofs.lean import why_no_lean_proof
from verigrad.sandbox.proofs.smt import why_goals_do_not_follow
from verigrad.sandbox.results import answer_result
from verigrad.types import AnswerTest, InputTest, InvariantTest, Oracle, SmtTest, TestResult, TextTest, TheoremTest
from verigrad.values import encode

__all__ = ["last_block", "text_result"]

_BLOCK = re.compile(r"```[^\n]*\n(.*?)```", re.DOTALL)
_MAX_ARGUMENTS = 10_000


async def text_result(text: str, test: TextTest, oracle: Oracle, sandbox: Sandbox) -> TestResult:
    """The result of one test on an answer's text.

    Raises:
        MissingExtra: what decides is not installed.
        TaskError: the test itself is not sound.
        SandboxError: what decides failed.
    """
    match test:
        case AnswerTest(form="math"):
            why_not = await why_not_same_mathematics(text, str(test.expected), sandbox)
        case AnswerTest():
            return answer_result(text, test, oracle)
        case InputTest():
            return await _input_result(last_line(text), test, oracle, sandbox)
        case InvariantTest():
            why_not = await asyncio.to_thread(why_no_invariant, test.program, last_line(text))
        case SmtTest():
            why_not = await asyncio.to_thread(why_goals_do_not_follow, test, last_block(text))
        case TheoremTest():
            why_no_proof = why_no_lean_proof if test.prover == "lean" else why_no_coq_proof
            try:
                why_not = await why_no_proof(test, last_block(text), sandbox.commands)
            except OutOfTime as error:
                return TestResult(test.name, "timeout", str(error))
    return TestResult(test.name, "failed" if why_not else "passed", why_not)


def last_block(text: str) -> str:
    """What stands in the last fenced block, or the whole text where there is none."""
    blocks = _BLOCK.findall(text)
    return str(blocks[-1]).strip("\n").rstrip() if blocks else text.strip()


async def _input_result(text: str, test: InputTest, oracle: Oracle, sandbox: Sandbox) -> TestResult:
    """Whether the arguments are among those that give what is expected."""
    try:
        args, kwargs = _arguments(text, test.function)
    except ValueError as error:
        return TestResult(test.name, "failed", str(error))
    call = Call(test.function, args, kwargs, as_bool=oracle.comparator.mode == "truthy")
    execution = await sandbox.run(test.program, [call], oracle.limits)
    if execution.status != "ran":  # before it is given any arguments
        raise TaskError(
            f"{oracle.task_id}: the program of the test {test.name!r} does not load: "
            f"{execution.error or execution.status}"
        )
    (outcome,) = execution.outcomes
    if outcome.status == "timeout":
        return TestResult(test.name, "timeout", outcome.error)
    if outcome.status != "returned":
        return TestResult(test.name, "failed", f"{outcome.status}: {outcome.error}")
    if equal(outcome.value, test.expected, oracle.comparator):
        return TestResult(test.name, "passed")
    return TestResult(test.name, "failed", "these arguments give something else")


def _arguments(text: str, function: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call, written with or without the function's name around them; literals only.

    Raises:
        ValueError: it is something else, or long.
    """
    if len(text) > _MAX_ARGUMENTS:
        raise ValueError(f"the answer has {len(text)} characters, over {_MAX_ARGUMENTS}")
    source = text if re.match(rf"{re.escape(function)}\s*\(", text) else f"{function}({text})"
    try:
        with warnings.catch_warnings(action="ignore"):
            call = ast.parse(source, mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id != function:
            raise ValueError("not one call")
        args = tuple(read_literal(item) for item in call.args)
        kwargs = {str(item.arg): read_literal(item.value) for item in call.keywords if item.arg is not None}
        encode([*args, kwargs])
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError(f"not arguments of {function!r} ({type(error).__name__}): {text[:80]!r}") from error
    return args, kwargs
