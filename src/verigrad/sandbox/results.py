"""From what the sandbox saw to results of tests and the verdict on a program; nothing runs here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from verigrad.sandbox.answers import answer_is_right, output_is_right
from verigrad.sandbox.base import Execution, ExecutionStatus, Outcome, OutcomeStatus
from verigrad.sandbox.checker import Ruling
from verigrad.sandbox.compare import equal
from verigrad.types import AnswerTest, CallTest, Oracle, StdioTest, Test, TestResult, TestStatus, Verdict

__all__ = ["answer_result", "not_run", "result_of", "ruled", "verdict_of"]

_OF_OUTCOME: Mapping[OutcomeStatus, TestStatus] = {
    "returned": "failed",  # unless it compares equal
    "not_plain": "failed",
    "exception": "exception",
    "timeout": "timeout",
    "memory": "memory",
    "output_limit": "output_limit",
    "crashed": "crashed",
    "violation": "violation",
}
_OF_EXECUTION: Mapping[ExecutionStatus, TestStatus] = {
    "syntax_error": "exception",
    "no_entry_point": "exception",
    "exception": "exception",
    "timeout": "timeout",
    "memory": "memory",
    "output_limit": "output_limit",
    "crashed": "crashed",
    "violation": "violation",
}


def answer_result(text: str, test: AnswerTest, oracle: Oracle) -> TestResult:
    """Of a test that looks at the answer's text."""
    right, why = answer_is_right(text, test, oracle.comparator)
    detail = "" if right else f"{why or 'got ' + _short(text.strip())}, wanted {_short(test.expected)}"
    return TestResult(test.name, "passed" if right else "failed", detail)


def result_of(test: Test, outcomes: Sequence[Outcome], oracle: Oracle) -> TestResult:
    """Of a test whose inputs gave these outcomes; a property that is still to be checked passes."""
    outcome = next((found for found in outcomes if found.status != "returned"), outcomes[0])
    status = _OF_OUTCOME[outcome.status]
    detail = outcome.error if outcome.error_line is None else f"{outcome.error} (line {outcome.error_line})"
    if outcome.status == "returned":
        if _is_right(test, outcome.value, oracle):
            status = "passed"
        elif isinstance(test, CallTest):
            detail = f"got {_short(outcome.value)}, wanted {_short(test.expected)}"
        elif isinstance(test, StdioTest):
            detail = f"printed {_short(outcome.value)}, wanted {_short(test.stdout)}"
    return TestResult(test.name, status, detail, sum(found.cpu_ms for found in outcomes))


def _is_right(test: Test, value: Any, oracle: Oracle) -> bool:
    if isinstance(test, CallTest):
        return equal(value, test.expected, test.comparator or oracle.comparator)
    return not isinstance(test, StdioTest) or output_is_right(value, test, oracle.output)


def ruled(result: TestResult, outputs: Sequence[Any], ruling: Ruling) -> TestResult:
    """The result of a property test once its checker has spoken, or could not cope with the outputs."""
    if ruling.holds:
        return result
    got = ", ".join(map(_short, outputs))
    if ruling.holds is None:
        detail = f"the checker could not judge {got}: {ruling.detail}"
        return replace(result, status="timeout" if ruling.timed_out else "failed", detail=detail)
    return replace(result, status="failed", detail=f"got {got}, {ruling.detail or 'which the checker refuses'}")


def not_run(oracle: Oracle, execution: Execution) -> list[TestResult]:
    """Results of a program that did not load: every test has the status that stopped it."""
    status = _OF_EXECUTION[execution.status]
    return [TestResult(test.name, status, execution.error) for test in oracle.tests]


def verdict_of(results: Sequence[TestResult], execution: Execution, outcomes: Sequence[Outcome], level: str) -> Verdict:
    """The verdict that the results make up; errors come from the first of the outcomes that has one."""
    failed = [result.status for result in results if result.status != "passed"]
    raised = next((outcome for outcome in outcomes if outcome.error), Outcome("returned"))
    return Verdict(
        status=execution.status if execution.status != "ran" else failed[0] if failed else "passed",
        results=tuple(results),
        violations=execution.violations,
        executed_lines=execution.executed_lines,
        level=level,
        error=execution.error or raised.error,
        error_line=execution.error_line if execution.error else raised.error_line,
        cpu_ms=execution.cpu_ms,
    )


def _short(value: Any) -> str:
    try:
        text = value if isinstance(value, str) and len(value) > 80 else repr(value)
    except ValueError:  # an int too long for Python to write in decimal
        return f"<{type(value).__name__} too long to show>"
    text = text.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair cannot be written to a file
    return text if len(text) <= 80 else text[:77] + "..."
