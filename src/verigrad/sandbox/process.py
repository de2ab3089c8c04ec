"""The sandbox: a process of its own for every program, limits, and nothing of ours inside it.

What holds at every level: a program sees no expected value, no later input, no other program, no environment and
no descriptor but its own; CPU and elapsed time, memory, output, file size and open files are bounded; whatever it
leaves running is killed; it cannot forge another test's answer. Where the judge runs as root, programs run as a
user of their own, and processes and threads are counted.

Level `process` is no more than that. `landlock` takes away the machine's files and network and most of the kernel,
`namespaces` its files, network and processes, and `full` all of these. `docs/sandbox.md` has the table of what each
does not hold against.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from verigrad.errors import ConfigError, SandboxError
from verigrad.sandbox.base import Call, Execution, Level, Sandbox, Script, Stdin
from verigrad.sandbox.commands import CommandSandbox
from verigrad.sandbox.jobs import calls_execution, calls_job, stdin_execution, stdin_job
from verigrad.sandbox.pool import WorkerDied
from verigrad.sandbox.pooled import Pooled
from verigrad.types import Limits

__all__ = ["ProcessSandbox"]


class ProcessSandbox(Pooled):
    """Runs programs in forked processes, `workers` at a time, at `level` or the best there is. Linux only.

    `commands` runs what is no Python program, such as a proof assistant; it starts nothing before its first use.
    """

    def __init__(
        self, workers: int = 2, *, level: Level | Literal["auto"] = "auto", packages: Sequence[str] = ()
    ) -> None:
        super().__init__(workers, level=level, packages=packages)
        self._commands: CommandSandbox | None = None
        self._with_packages: dict[tuple[str, ...], ProcessSandbox] = {}

    @property
    def commands(self) -> CommandSandbox:
        """The sandbox for commands at this one's level, made when first asked for; closed with this one.

        Raises:
            SandboxError: no worker can be started, or none at the level asked for.
        """
        if self._commands is None:
            self._commands = CommandSandbox(self._workers, level=self.level)
        return self._commands

    def for_language(self, language: str, packages: Sequence[str] = ()) -> Sandbox:
        """This sandbox, which runs Python only, or with `packages` one of workers that have these at hand.

        Each set of packages has workers of its own, as many as this sandbox, from when it is first asked for.

        Raises:
            ConfigError: another language is asked for, or a package is not installed.
            SandboxError: the sandbox is closed, or its level is out of reach.
        """
        if language != "python":
            raise ConfigError(f"this sandbox runs Python only, and a task asks for {language!r}; use a PolyglotSandbox")
        return self._python(packages)

    def _python(self, packages: Sequence[str]) -> Sandbox:
        names = tuple(sorted(set(packages)))
        if not names:
            return self
        if self._pool.closed:
            raise SandboxError("this sandbox is closed; make a new one")
        if names not in self._with_packages:
            self._with_packages[names] = ProcessSandbox(self._workers, level=self.level, packages=names)
        return self._with_packages[names]

    async def run(
        self, program: str, inputs: Sequence[Call | Stdin | Script], limits: Limits, *, trace_lines: bool = False
    ) -> Execution:
        """Run `program`: calls and scripts in one process in the order given, then each `Stdin` in its own.

        Raises:
            SandboxError: an input is not plain data, the sandbox is closed, or no worker can be started or kept alive.
        """
        calls = [item for item in inputs if not isinstance(item, Stdin)]
        scripts = [item for item in inputs if isinstance(item, Stdin)]
        if not scripts:
            return await self._run_calls(program, calls, limits, trace_lines)
        printed = await self._run_scripts(program, scripts, limits, trace_lines)
        if not calls or printed.status != "ran":
            return printed
        returned = await self._run_calls(program, calls, limits, trace_lines)
        return _merged(inputs, returned, printed) if returned.status == "ran" else returned

    async def close(self) -> None:
        """End every process this sandbox started, after the programs that run now."""
        await super().close()
        for other in (self._commands, *self._with_packages.values()):
            if other is not None:
                await other.close()

    async def _run_calls(
        self, program: str, inputs: Sequence[Call | Script], limits: Limits, trace_lines: bool
    ) -> Execution:
        try:
            reply = await self._exchange(calls_job(program, inputs, limits, trace_lines), limits)
        except WorkerDied as error:
            return _took_down_worker(error)
        return calls_execution(reply, len(inputs), traced=trace_lines)

    async def _run_scripts(self, program: str, inputs: Sequence[Stdin], limits: Limits, trace_lines: bool) -> Execution:
        """One process per input, one after another; the times allowed are for all together."""
        runs: list[Execution] = []
        for item in inputs:
            cpu_s, wall_s = (sum(times) / 1000 for times in ([r.cpu_ms for r in runs], [r.wall_ms for r in runs]))
            left = replace(limits, cpu_s=limits.cpu_s - cpu_s, wall_s=limits.wall_s - wall_s)
            runs.append(await self._run_script(program, item, left, trace_lines))
            if runs[-1].status != "ran":
                return runs[-1]
            if runs[-1].outcomes[0].status == "timeout":
                break
        outcomes = [run.outcomes[0] for run in runs]
        outcomes += outcomes[-1:] * (len(inputs) - len(outcomes))
        return replace(_sum(runs), outcomes=tuple(outcomes))

    async def _run_script(self, program: str, item: Stdin, limits: Limits, trace_lines: bool) -> Execution:
        try:
            reply = await self._exchange(stdin_job(program, item, limits, trace_lines), limits)
        except WorkerDied as error:
            return _took_down_worker(error)
        return stdin_execution(reply, traced=trace_lines)


def _took_down_worker(error: WorkerDied) -> Execution:
    text = f"the program ended the sandbox's worker, and again when it ran alone: {error}"
    return Execution("crashed", (), error=text, violations=("ended the sandbox's worker",))


def _merged(inputs: Sequence[Call | Stdin | Script], returned: Execution, printed: Execution) -> Execution:
    """Put the outcomes of calls and scripts back into the order of the inputs."""
    calls, scripts = iter(returned.outcomes), iter(printed.outcomes)
    outcomes = tuple(next(scripts if isinstance(item, Stdin) else calls) for item in inputs)
    return replace(_sum([returned, printed]), outcomes=outcomes)


def _sum(runs: Sequence[Execution]) -> Execution:
    """One execution that took all of these; its outcomes are the first's."""
    lines = [run.executed_lines for run in runs if run.executed_lines is not None]
    return replace(
        runs[0],
        violations=tuple(text for run in runs for text in run.violations),
        executed_lines=frozenset().union(*lines) if lines else None,
        cpu_ms=sum(run.cpu_ms for run in runs),
        wall_ms=sum(run.wall_ms for run in runs),
    )
