"""pytest on a changed repository, and what of its report can be believed.

The suite shares a process with the code it tests, so a report is taken only as far as planted tests confirm it. Each
run has a test that must pass, one that must fail, and for tests that decide the task a mirror that must fail
(`verigrad.sandbox.mirrors`), all with names nobody could know. It runs twice, its modules in opposite order, with what
told each test from its mirror turned round. The report is parsed here and nowhere else; every test that is required
must be in it.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from verigrad.errors import SandboxError
from verigrad.sandbox.commands import CommandResult, CommandSandbox
from verigrad.sandbox.junit import Case, CaseKey, Report, ReportError, case_of, read_report
from verigrad.sandbox.mirrors import add_mirrors
from verigrad.sandbox.repository import Tools, command_in_tree
from verigrad.types import Limits, Suite, SuiteTest, TestResult, TestStatus

__all__ = ["SuiteRun", "run_suite"]

_START = """
import os, sys
import pytest
sys.exit(pytest.main())
"""
_OPTIONS = (
    *("-p", "no:cacheprovider", "--continue-on-collection-errors", "-q", "--color=no", "--rootdir=."),
    *("-o", "addopts=", "-o", "xfail_strict=true", "-o", "junit_family=xunit1", "-o", "junit_logging=no"),
)
_LEAST_PROCESSES = 8
_STOPPED: Mapping[str, TestStatus] = {"timeout": "timeout", "memory": "memory", "output_limit": "output_limit"}
_MAX_DETAIL = 300


@dataclass(frozen=True)
class SuiteRun:
    """What the suite gave: a result per test, in order; why a run was not believed; what it took."""

    results: tuple[TestResult, ...]
    suspicions: tuple[str, ...]
    cpu_ms: float


@dataclass(frozen=True)
class _Plan:
    """One run: the tree, the files in order, where the report will be, and under which name what is in it."""

    tree: Mapping[str, bytes]
    paths: tuple[str, ...]
    report: str
    required: Mapping[str, CaseKey]
    mirrors: Mapping[str, CaseKey]
    must_pass: CaseKey
    must_fail: CaseKey


async def run_suite(
    tree: Mapping[str, bytes],
    tests: Sequence[SuiteTest],
    suite: Suite,
    tools: Tools,
    limits: Limits,
    commands: CommandSandbox,
) -> SuiteRun:
    """Run the tests on a tree that has them; a second time, unless the first shows that none passes.

    Raises:
        SandboxError: a run could not be tried, or pytest does not start.
    """
    seed = secrets.randbits(64)
    limits = replace(limits, processes=max(limits.processes, _LEAST_PROCESSES))
    runs: list[list[TestResult]] = []
    suspicions: list[str] = []
    cpu_ms = 0.0
    for swapped in (False, True):
        plan = _plan(tree, tests, suite, random.Random(seed), swapped=swapped)
        options = ("-o", f"pythonpath={' '.join(suite.python_path)}", f"--junitxml=../{plan.report}", *suite.options)
        argv = (tools.python, "-P", "-c", _START, *_OPTIONS, *options, *plan.paths)
        environment = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        command = command_in_tree(plan.tree, suite, tools, argv, environment=environment, keep=(plan.report,))
        done = await commands.run(command, limits)
        if done.status == "exited" and plan.report not in done.files:
            await _vouch_for_pytest(suite, tools, commands)
        results, doubts = _read(done, plan, tests, suite)
        runs.append(results)
        suspicions += doubts
        cpu_ms += done.cpu_ms
        if not any(result.status == "passed" for result in results):
            break
    combined = [_combined(results) for results in zip(*runs, strict=True)]
    return SuiteRun(tuple(combined), tuple(dict.fromkeys(suspicions)), cpu_ms)


async def _vouch_for_pytest(suite: Suite, tools: Tools, commands: CommandSandbox) -> None:
    """Raise a SandboxError where pytest does not even start without the judged code."""
    argv = (tools.python, "-P", "-c", "import pytest")
    done = await commands.run(command_in_tree({"empty": b""}, suite, tools, argv), Limits(processes=_LEAST_PROCESSES))
    if done.exit_code != 0:
        raise SandboxError(f"pytest does not start in the sandbox: {done.error or _tail(done)}")


# ------------------------------------------------------------------------------------------------- before


def _plan(
    tree: Mapping[str, bytes], tests: Sequence[SuiteTest], suite: Suite, draw: random.Random, *, swapped: bool
) -> _Plan:
    modules = dict.fromkeys(test.name.partition("::")[0] for test in tests)
    paths = [path for path in modules if path in tree]  # pytest runs nothing at all where one is missing
    required = {test.name: test.name for test in tests}
    mirrors: dict[str, str] = {}
    added: dict[str, bytes] = {}
    for path in paths if suite.mirrors else ():
        inside = [test.name for test in tests if test.group == "fail_to_pass" and test.name.startswith(f"{path}::")]
        source = tree.get(path, b"").decode("utf-8", "replace")
        mirrored, found = add_mirrors(source, {_function(name) for name in inside}, draw, swapped=swapped)
        for name in (test.name for test in tests if test.name.startswith(f"{path}::")):
            if _function(name) in found:
                names = found[_function(name)]
                required[name] = _renamed(name, names.test)
                mirrors[name] = _renamed(name, names.mirror)
        if found:
            added[path] = mirrored.encode("utf-8", "replace")
    like = draw.choice(tests).name  # so that the project's configuration finds the planted tests where it finds these
    folder = like.partition("::")[0].rpartition("/")[0]
    stem = _function(like).rpartition("::")[2]
    passing, failing = (f"{stem}_{draw.getrandbits(48):012x}" for _ in range(2))
    canary_path = f"{folder}/test_{draw.getrandbits(48):012x}.py".lstrip("/")
    off = draw.choice((1, 2, -1))
    bodies = [f"def {passing}():\n    assert {_sum(draw, 0)}\n", f"def {failing}():\n    assert {_sum(draw, off)}\n"]
    added[canary_path] = "\n\n".join(draw.sample(bodies, 2)).encode()
    if (draw.random() < 0.5) != swapped:  # a coin of its own: the order tells nothing of any pair
        paths.reverse()
    place = random.Random(f"{draw.getrandbits(64)} {swapped}")  # nor does the planted module's, of the run
    paths.insert(place.randrange(len(paths) + 1), canary_path)
    return _Plan(
        tree={**tree, **added},
        paths=tuple(paths),
        report=f"{secrets.token_hex(16)}.xml",
        required={name: case_of(now) for name, now in required.items()},
        mirrors={name: case_of(now) for name, now in mirrors.items()},
        must_pass=case_of(f"{canary_path}::{passing}"),
        must_fail=case_of(f"{canary_path}::{failing}"),
    )


def _sum(draw: random.Random, off: int) -> str:
    one, other = draw.randrange(2, 99), draw.randrange(2, 99)
    return f"{one} + {other} == {one + other + off}"


def _function(test_id: str) -> str:
    """`TestB::test_c` of `tests/test_a.py::TestB::test_c[x]`."""
    return test_id.partition("[")[0].partition("::")[2]


def _renamed(test_id: str, function: str) -> str:
    plain, bracket, parameters = test_id.partition("[")
    return f"{plain.rpartition('::')[0]}::{function}{bracket}{parameters}"


# -------------------------------------------------------------------------------------------------- after


def _read(
    done: CommandResult, plan: _Plan, tests: Sequence[SuiteTest], suite: Suite
) -> tuple[list[TestResult], list[str]]:
    """Results of one run, and what speaks against believing it."""
    body = done.files.get(plan.report)
    if done.status != "exited" or body is None:
        status = _STOPPED.get(done.status, "crashed")
        why = done.error or f"pytest ended without a report (exit status {done.exit_code}): {_tail(done)}"
        return [TestResult(test.name, status, why) for test in tests], []
    try:
        report = read_report(body)
    except ReportError as error:
        return [TestResult(test.name, "violation", str(error)) for test in tests], [str(error)]
    doubts = _doubts(report, plan)
    results = [_result(test, report, plan, suite, doubts) for test in tests]
    mirrored = [f"{result.name}: {result.detail}" for result in results if result.status == "violation" and not doubts]
    return results, doubts + mirrored


def _doubts(report: Report, plan: _Plan) -> list[str]:
    """Why nothing that passed is believed."""
    fine, bad = report.get(plan.must_pass), report.get(plan.must_fail)
    doubts = []
    if fine is None or fine.status != "passed":
        doubts.append(f"a planted test that must pass {_fate(fine)}")
    if bad is None or bad.status != "failed":
        doubts.append(f"a planted test that must fail {_fate(bad)}")
    return doubts


def _fate(case: Case | None) -> str:
    return "is not in the report" if case is None else f"is reported as {case.status}"


def _result(test: SuiteTest, report: Report, plan: _Plan, suite: Suite, doubts: list[str]) -> TestResult:
    case = report.get(plan.required[test.name])
    if case is None:
        collection = report.get(_of_module(test.name))
        if collection is not None and collection.status == "error":
            return TestResult(test.name, "exception", _short(collection.message))
        return TestResult(test.name, "failed", "did not run")
    if case.status not in ("passed", *suite.accept):
        status: TestStatus = "exception" if case.status == "error" else "failed"
        detail = case.message if case.status in ("failed", "error") else f"{case.status}: {case.message}"
        return TestResult(test.name, status, _short(detail))
    if doubts:
        return TestResult(test.name, "violation", doubts[0])
    if case.status != "passed":
        return TestResult(test.name, "passed", f"{case.status}: {_short(case.message)}")
    if test.name in plan.mirrors:
        mirror = report.get(plan.mirrors[test.name])
        if mirror is None or mirror.status not in ("failed", "error"):
            return TestResult(test.name, "violation", f"passes, and its mirror, which must fail, {_fate(mirror)}")
    return TestResult(test.name, "passed")


def _of_module(test_id: str) -> CaseKey:
    """Under which pytest reports that a test module could not be collected."""
    path = test_id.partition("::")[0]
    return "", path.removesuffix(".py").replace("/", ".")


def _combined(results: Sequence[TestResult]) -> TestResult:
    """One result of those of all runs."""
    wrong = [result for result in results if result.status != "passed"]
    if not wrong:
        return results[0]
    if len(wrong) == len(results) or wrong[0].status not in ("failed", "exception"):
        return wrong[0]
    return replace(wrong[0], status="nondeterministic", detail=f"passed in one of two runs; {wrong[0].detail}")


def _tail(done: CommandResult) -> str:
    return _short((done.stdout + done.stderr).decode("utf-8", "replace")[-_MAX_DETAIL:].strip())


def _short(text: str) -> str:
    return text if len(text) <= _MAX_DETAIL else text[: _MAX_DETAIL - 3] + "..."
