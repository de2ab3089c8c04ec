"""Programs in languages other than Python, behind the same contract: built once, then one process per input.

A function is called by a generated driver in the program's own process, since nothing else can call it. The driver
gets the arguments of one call and a nonce, and gives back JSON behind that nonce on a channel that is not the standard
output the program prints to. As each input has a process tree and files of its own, a program can at most choose the
answer to the input it was given, which it may do anyway; a later input is not there to be read, and what was expected
never leaves the judge's process.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from verigrad.errors import ConfigError, SandboxError
from verigrad.sandbox.base import (
    Call,
    Execution,
    ExecutionStatus,
    Level,
    Outcome,
    OutcomeStatus,
    Sandbox,
    Script,
    Stdin,
)
from verigrad.sandbox.commands import PATH, Command, CommandResult, CommandSandbox
from verigrad.sandbox.language_c import CPP, C
from verigrad.sandbox.language_javascript import JAVASCRIPT
from verigrad.sandbox.process import ProcessSandbox
from verigrad.types import Limits
from verigrad.values import PlainValueError

__all__ = ["LANGUAGES", "Language", "LanguageSandbox", "PolyglotSandbox", "missing_tool"]

_BUILD_LIMITS = Limits(cpu_s=30.0, wall_s=90.0, memory_mb=1024, output_bytes=200_000, file_mb=64, processes=16)
_FORGED = "the program wrote to the judge's channel"


class Language(Protocol):
    """What is particular to a language.

    `tools` are the programs it takes, of the Debian package `package`. A process takes `startup_s` CPU seconds and
    `threads` of its own, which count against no limit.
    """

    @property
    def name(self) -> str: ...
    @property
    def tools(self) -> tuple[str, ...]: ...
    @property
    def package(self) -> str: ...
    @property
    def startup_s(self) -> float: ...
    @property
    def threads(self) -> int: ...

    def build(self, source: str, call: Call | None) -> Command:
        """What makes `source` ready to answer calls such as this one, or to run as a script."""
        ...

    def complaint(self, built: CommandResult, call: Call | None) -> tuple[ExecutionStatus, str, int | None]:
        """Why `build` failed: status, message, line of the program."""
        ...

    def probe(self, call: Call | None) -> str:
        """A program that must build; where it does not, the fault is ours or the machine's."""
        ...

    def start(self, source: str, built: CommandResult, item: Call | Stdin, nonce: str) -> Command:
        """What runs it on one input."""
        ...

    def value(self, body: str, call: Call) -> Any:
        """The plain value of an answer's JSON object.

        Raises:
            ValueError: it is malformed.
        """
        ...

    def raised(self, done: CommandResult) -> tuple[str, int | None]:
        """Of a script that exited with an error: what it was, and the line of the program."""
        ...


LANGUAGES: dict[str, Language] = {language.name: language for language in (C, CPP, JAVASCRIPT)}
"""By the name that tasks have it under; Python has a sandbox of its own."""


_Key = tuple[str, str] | None
"""What a build is for: a function with its prototype, or running as a script."""


def _key(call: Call | None) -> _Key:
    return (call.function, call.prototype) if call else None


def _done(built: CommandResult) -> bool:
    return built.status == "exited" and built.exit_code == 0


@dataclass(frozen=True)
class _Answer:
    """What became of one input; `no_entry_point` speaks of the whole program."""

    outcome: Outcome
    spent: CommandResult
    no_entry_point: bool = False


def missing_tool(language: Language) -> str:
    """The first program that the language takes and that is not installed, or nothing."""
    return next((tool for tool in language.tools if shutil.which(tool, path=PATH) is None), "")


class LanguageSandbox:
    """Runs programs of one language by means of a sandbox for commands, which it does not close.

    Raises:
        ConfigError: a program that the language takes is not installed.
    """

    def __init__(self, language: Language, commands: CommandSandbox) -> None:
        if tool := missing_tool(language):
            raise ConfigError(
                f"programs in {language.name} take {tool!r}, which is not in {PATH}; "
                f"install it (Debian and Ubuntu: apt-get install {language.package})"
            )
        self._language, self.commands = language, commands
        self._vouched: set[_Key] = set()

    @property
    def level(self) -> Level:
        """The isolation in force.

        Raises:
            SandboxError: no worker can be started.
        """
        return self.commands.level

    def for_language(self, language: str, packages: Sequence[str] = ()) -> Sandbox:
        """This sandbox.

        Raises:
            ConfigError: another language is asked for, or packages of Python.
        """
        if language != self._language.name or packages:
            raise ConfigError(f"this sandbox runs {self._language.name} only, not {language!r}")
        return self

    async def close(self) -> None:
        """Nothing: the sandbox for commands belongs to who made it."""

    async def run(
        self, program: str, inputs: Sequence[Call | Stdin | Script], limits: Limits, *, trace_lines: bool = False
    ) -> Execution:
        """Build `program` and run it on each input, one after another; the times allowed are for all together.

        What building takes counts against no limit of the task. Lines are never traced.

        Raises:
            SandboxError: an input is a script, which only Python has; or the sandbox failed.
        """
        answers: list[_Answer] = []
        builds: dict[_Key, CommandResult] = {}
        for item in inputs:
            if isinstance(item, Script):
                raise SandboxError(f"a test that is a script cannot judge a program in {self._language.name}")
            if answers and answers[-1].outcome.status == "timeout":
                answers.append(answers[-1])  # no time is left
                continue
            call = item if isinstance(item, Call) else None
            key = _key(call)
            if key not in builds:
                builds[key] = await self._build(program, call)
                if not _done(builds[key]):
                    return await self._not_built(builds[key], call)
            answers.append(await self._answer(program, builds[key], item, self._left(limits, answers)))
            if answers[-1].no_entry_point:
                return Execution("no_entry_point", (), error=answers[-1].outcome.error)
        return Execution(
            "ran",
            tuple(answer.outcome for answer in answers),
            violations=tuple(answer.outcome.error for answer in answers if answer.outcome.status == "violation"),
            cpu_ms=sum(answer.outcome.cpu_ms for answer in answers),
        )

    async def _build(self, program: str, call: Call | None) -> CommandResult:
        command = self._language.build(program, call)
        built = await self.commands.run(command, _BUILD_LIMITS)
        if _done(built) and set(built.files) != set(command.keep):
            raise SandboxError(f"{command.argv[0]} says that it is done, and left no program")
        return built

    async def _not_built(self, built: CommandResult, call: Call | None) -> Execution:
        """What a program that does not build gets, once it is sure that one can be built at all."""
        if _key(call) not in self._vouched:
            probe = await self._build(self._language.probe(call), call)
            if not _done(probe):
                why = probe.error or probe.stderr.decode("utf-8", "replace")[-1000:]
                raise SandboxError(f"not even an empty program in {self._language.name} can be built: {why}")
            self._vouched.add(_key(call))
        if built.status != "exited":
            return Execution(built.status, (), error=f"while it was built: {built.error}")
        status, error, line = self._language.complaint(built, call)
        return Execution(status, (), error=error[:1000], error_line=line)

    def _left(self, limits: Limits, answers: Sequence[_Answer]) -> Limits:
        cpu_ms = sum(answer.outcome.cpu_ms for answer in answers)
        wall_ms = sum(answer.spent.wall_ms for answer in answers)
        return replace(
            limits,
            cpu_s=limits.cpu_s - cpu_ms / 1000 + self._language.startup_s,
            wall_s=limits.wall_s - wall_ms / 1000 + self._language.startup_s * (1 + len(answers)),
            processes=limits.processes + self._language.threads,
        )

    async def _answer(self, program: str, built: CommandResult, item: Call | Stdin, limits: Limits) -> _Answer:
        nonce = secrets.token_hex(16)
        if isinstance(item, Call):
            room = replace(limits, output_bytes=limits.output_bytes + limits.result_bytes + len(nonce))
        else:
            room = limits
        done = await self.commands.run(self._language.start(program, built, item, nonce), room)
        cpu_ms = max(0.0, done.cpu_ms - 1000 * self._language.startup_s)
        if isinstance(item, Stdin):
            return _Answer(replace(self._printed(done), cpu_ms=cpu_ms), done)
        outcome, missing = self._returned(done, item, nonce, limits)
        return _Answer(replace(outcome, cpu_ms=cpu_ms), done, missing)

    def _printed(self, done: CommandResult) -> Outcome:
        if done.status != "exited":
            return Outcome(done.status, error=done.error)
        if done.exit_code:
            error, line = self._language.raised(done)
            return Outcome("exception", error=error[:500], error_line=line)
        return Outcome("returned", done.stdout.decode("utf-8", "replace"))

    def _returned(self, done: CommandResult, call: Call, nonce: str, limits: Limits) -> tuple[Outcome, bool]:
        """The outcome of a call, and whether there is no such function."""
        if done.status != "exited":
            return Outcome(done.status, error=done.error), False
        if not done.stdout:
            return Outcome("crashed", error=f"it ended with exit status {done.exit_code} before it answered"), False
        given, _, body = done.stdout.decode("utf-8", "replace").partition("\n")
        if given != nonce:
            return Outcome("violation", error=_FORGED), False
        if len(body) > limits.result_bytes:
            return Outcome(
                "output_limit", error=f"the value takes {len(body)} bytes, over {limits.result_bytes}"
            ), False
        try:
            return self._parsed(body, call)
        except (PlainValueError, ValueError, TypeError, KeyError, RecursionError) as error:
            return Outcome("violation", error=f"{_FORGED}: {type(error).__name__}"), False

    def _parsed(self, body: str, call: Call) -> tuple[Outcome, bool]:
        form = json.loads(body)
        if type(form) is not dict:
            raise ValueError("an answer is an object")
        line = form.pop("line", None)
        if type(line) not in (int, type(None)) or len(form) != 1:
            raise ValueError("malformed answer")
        ((kind, text),) = form.items()
        if kind == "value":
            return Outcome("returned", self._language.value(body, call)), False
        if kind == "no_entry_point":
            return Outcome("exception", error=_writable(text)), True
        return Outcome(_KINDS[kind], error=_writable(text), error_line=line), False


def _writable(text: object) -> str:
    """Half a surrogate pair, which JSON can say, cannot be written."""
    return str(text)[:1000].encode("utf-8", "backslashreplace").decode()


_KINDS: dict[str, OutcomeStatus] = {"exception": "exception", "memory": "memory", "not_plain": "not_plain"}


class PolyglotSandbox(ProcessSandbox):
    """Runs programs in any language there is a sandbox for, `workers` of Python and as many others at a time.

    All are isolated at one level, that of the Python programs. What other languages take is started when one is first
    asked for.
    """

    def __init__(self, workers: int = 2, *, level: Level | Literal["auto"] = "auto") -> None:
        super().__init__(workers, level=level)
        self._others: dict[str, LanguageSandbox] = {}

    def for_language(self, language: str, packages: Sequence[str] = ()) -> Sandbox:
        """The sandbox for programs in `language`, for Python with `packages` at hand.

        Raises:
            ConfigError: no sandbox is known for it, or what it takes is not installed.
            SandboxError: the sandbox is closed, or its level is out of reach for other languages.
        """
        if language == "python":
            return self._python(packages)
        if packages:
            raise ConfigError(f"packages are for programs in Python, and a task in {language!r} names {packages[0]!r}")
        if language not in LANGUAGES:
            known = ", ".join(("python", *LANGUAGES))
            raise ConfigError(f"programs in {language!r} cannot be run; known languages are {known}")
        if language not in self._others:
            self._others[language] = LanguageSandbox(LANGUAGES[language], self.commands)
        return self._others[language]
