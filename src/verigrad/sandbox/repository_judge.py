"""From an answer that changes a repository to its verdict: pytest, and commands whose output is compared here."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from verigrad.changes import ChangeError
from verigrad.errors import TaskError
from verigrad.sandbox.answers import same_output
from verigrad.sandbox.commands import CommandResult, CommandSandbox
from verigrad.sandbox.repository import (
    ROOT,
    Tools,
    changed_tree,
    changes_of,
    command_in_tree,
    find_tools,
    overlaid,
)
from verigrad.sandbox.steps import Told, made_files, names_runner, told_by
from verigrad.sandbox.suites import SuiteRun, run_suite
from verigrad.types import CommandTest, Oracle, OutputRule, Repository, Suite, SuiteTest, TestResult, Verdict

__all__ = ["judge_repository"]

_NO_MODULE = re.compile(rb"^\S*python\S*: No module named (\S+)$", re.MULTILINE)
_LEAST_PROCESSES = 8
_SHOWN = 200


async def judge_repository(answer: str, oracle: Oracle, commands: CommandSandbox) -> Verdict:
    """The verdict on `answer`, a change as of `verigrad.changes`; one that does not fit the tree is a `syntax_error`.

    `violations` has what speaks against the suite's report, `undone` the paths that the answer changed and may not.

    Raises:
        TaskError: the oracle's tests are not those of a repository, its trust is not what they need, or a command is
            missing on this machine.
        ConfigError: a package or program of the suite is missing.
        SandboxError: a command could not be tried.
    """
    repository, may_change = _repository(oracle), changes_of(oracle)
    tools = find_tools(oracle.suite)
    try:
        tree, refused = changed_tree(repository, answer, may_change)
    except ChangeError as error:
        results = tuple(TestResult(test.name, "exception", str(error)) for test in oracle.tests)
        return Verdict(status="syntax_error", results=results, level=commands.level, error=str(error))
    suite_tests = [test for test in oracle.tests if isinstance(test, SuiteTest)]
    suite = SuiteRun((), (), 0.0)
    if suite_tests:
        whole = _with_tests(tree, suite_tests, repository, oracle.suite)
        suite = await run_suite(whole, suite_tests, oracle.suite, tools, oracle.limits, commands)
    run = _Commands(oracle, tools, commands, may_change)
    commanded = [test for test in oracle.tests if isinstance(test, CommandTest)]
    jobs: dict[str, list[CommandTest]] = {}
    for test in commanded:
        jobs.setdefault(test.job, []).append(test)
    alone = jobs.pop("", [])
    of_commands, of_jobs = await asyncio.gather(
        asyncio.gather(*(run.result(test, tree) for test in alone)),
        asyncio.gather(*(run.results_of_job(tests, tree) for tests in jobs.values())),
    )
    found = {result.name: result for result in (*suite.results, *of_commands, *itertools.chain(*of_jobs))}
    ordered = tuple(found[test.name] for test in oracle.tests)
    failed = [result for result in ordered if result.status != "passed"]
    return Verdict(
        status=failed[0].status if failed else "passed",
        results=ordered,
        violations=suite.suspicions,
        undone=refused,
        level=commands.level,
        error=failed[0].detail if failed else "",
        cpu_ms=suite.cpu_ms + sum(result.cpu_ms for result in ordered),
    )


def _repository(oracle: Oracle) -> Repository:
    """The oracle's, once it is sure that its tests make sense together."""
    names = [test.name for test in oracle.tests]
    if oracle.repository is None or not all(isinstance(test, SuiteTest | CommandTest) for test in oracle.tests):
        raise TaskError(f"{oracle.task_id}: a repository is judged by tests of the kinds 'suite' and 'command' alone")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise TaskError(f"{oracle.task_id}: two tests are called {twice!r}; name each once")
    for test in oracle.tests:
        if isinstance(test, CommandTest) and not (test.argv and test.argv[0]):
            raise TaskError(f"{oracle.task_id}: the command {test.name!r} names no program to run")
    forgeable = [t.name for t in oracle.tests if isinstance(t, SuiteTest) or getattr(t, "stdout", "") is None]
    if forgeable and oracle.trust != "script":
        raise TaskError(
            f"{oracle.task_id}: the outcome of {forgeable[0]!r} comes from the process of the judged code; give the "
            "oracle trust 'script', or use commands whose output is compared"
        )
    return oracle.repository


def _with_tests(
    tree: Mapping[str, bytes], tests: Sequence[SuiteTest], repository: Repository, suite: Suite
) -> dict[str, bytes]:
    """The tree with the hidden files, and with test modules as the repository has them, protected or not."""
    modules = {test.name.partition("::")[0] for test in tests}
    theirs = {path: body for path, body in tree.items() if path not in modules}
    ours = {path: repository.files[path] for path in modules if path in repository.files}
    return overlaid(theirs, {**ours, **suite.files})


class _Commands:
    """Runs the commands of one oracle."""

    def __init__(
        self, oracle: Oracle, tools: Tools, commands: CommandSandbox, may_change: Callable[[str], bool]
    ) -> None:
        self._oracle, self._tools, self._commands = oracle, tools, commands
        self._may_change = may_change
        self._limits = replace(oracle.limits, processes=max(oracle.limits.processes, _LEAST_PROCESSES))

    async def result(self, test: CommandTest, tree: Mapping[str, bytes]) -> TestResult:
        done = await self._run(test, tree)
        result = _result(test, done, self._oracle.output)
        if result.status != "passed" and (tool := _missing_tool(done)):
            await self._vouch_for(test, tool)
        return result

    async def results_of_job(self, tests: Sequence[CommandTest], tree: Mapping[str, bytes]) -> list[TestResult]:
        """One step after another; what each made and told, the next finds. See `steps` for what is believed of it."""
        unchanged = self._oracle.repository.files if self._oracle.repository is not None else {}
        told = await self._told(tests, unchanged)
        results: list[TestResult] = []
        made: Mapping[str, bytes] = {}
        for test, known in zip(tests, told, strict=True):
            there = overlaid(made, tree)
            done = await self._run(test, there, known)
            results.append(result := _result(test, done, self._oracle.output))
            if result.status != "passed" and (tool := _missing_tool(done)):
                await self._vouch_for(test, tool)
            made = {**made, **self._made(done, tree)}
        return results

    async def _told(self, tests: Sequence[CommandTest], unchanged: Mapping[str, bytes]) -> list[Told]:
        """What the runner knows before each step, by a run on the unchanged repository, where any step tells it."""
        known = [Told()]
        if not any(map(names_runner, tests)):
            return known * len(tests)
        made: Mapping[str, bytes] = {}
        for test in tests[:-1]:
            done = await self._run(test, overlaid(made, unchanged), known[-1])
            made = {**made, **self._made(done, unchanged)}
            known.append(told_by(test, done, known[-1]))
        return known

    def _made(self, done: CommandResult, tree: Mapping[str, bytes]) -> dict[str, bytes]:
        archive = done.files.get("state.tar", b"")
        return made_files(archive, tree.keys(), root=ROOT, may_change=self._may_change)

    async def _run(self, test: CommandTest, tree: Mapping[str, bytes], told: Told | None = None) -> CommandResult:
        command = command_in_tree(
            tree,
            self._oracle.suite,
            self._tools,
            test.argv,
            directory=test.directory,
            environment=test.environment,
            stdin=test.stdin.encode("utf-8", "surrogateescape"),
            told=told,
        )
        return await self._commands.run(command, self._limits)

    async def _vouch_for(self, test: CommandTest, tool: str) -> None:
        """Raise a TaskError where the command lacks its tool for the gold answer too, or the unchanged tree.

        An answer that merely ends the way a shell does which lacks a command has failed, and is no error of ours.
        """
        assert self._oracle.repository is not None
        tree, _ = changed_tree(self._oracle.repository, self._oracle.gold or "", self._may_change)
        if _missing_tool(await self._run(test, tree, Told() if test.job else None)):
            raise TaskError(
                f"{self._oracle.task_id}: the command {test.name!r} lacks {tool}; install it, and name it in the "
                "suite's packages or programs"
            )


def _result(test: CommandTest, done: CommandResult, rule: OutputRule) -> TestResult:
    printed = done.stdout.decode("utf-8", "replace")
    if done.status != "exited":
        return TestResult(test.name, done.status, done.error, done.cpu_ms)
    if done.exit_code != test.exit_code:
        tail = (done.stdout + done.stderr).decode("utf-8", "replace").strip()[-_SHOWN:]
        detail = f"exit status {done.exit_code}, wanted {test.exit_code}; {tail}"
        return TestResult(test.name, "failed", detail, done.cpu_ms)
    if test.stdout is not None and not same_output(printed, test.stdout, rule):
        detail = f"printed {printed[:_SHOWN]!r}, wanted {test.stdout[:_SHOWN]!r}"
        return TestResult(test.name, "failed", detail, done.cpu_ms)
    return TestResult(test.name, "passed", cpu_ms=done.cpu_ms)


def _missing_tool(done: CommandResult) -> str:
    """What a command seems to lack, by what shells and Python say where they do; or nothing."""
    if done.exit_code in (126, 127):
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return said[-1][:_SHOWN] if said else "a program"
    module = _NO_MODULE.search(done.stderr)
    return f"the package {module[1].decode('utf-8', 'replace')[:_SHOWN]!r}" if module and done.exit_code else ""
