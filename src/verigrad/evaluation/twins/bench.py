"""What every part measures with: completions written in one batch and timed, programs judged afterwards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Protocol, TypeVar

from verigrad.engines.base import Completion, Engine, Request, SamplingParams
from verigrad.engines.denoise_params import DenoiseParams
from verigrad.engines.diffusion import longest_row
from verigrad.errors import ConfigError
from verigrad.evaluation.twins.config import CompareConfig
from verigrad.evaluation.twins.models import Twin, open_engine
from verigrad.models.chat import prompt_ids
from verigrad.rewards.format import extract_program
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.languages import PolyglotSandbox
from verigrad.seeds import derive_seed
from verigrad.tasks.base import TaskSet
from verigrad.types import Message, Task

__all__ = ["Bench", "Progress", "Row", "Timed", "passes_of", "timing_row"]

Row = dict[str, Any]
_Result = TypeVar("_Result")


class Progress(Protocol):
    """Is told how far a part is."""

    def message(self, text: str) -> None: ...

    def begin(self, phase: str, total: int) -> None: ...

    def advance(self, amount: int = 1) -> None: ...

    def end(self) -> None: ...


class Timed(NamedTuple):
    """Completions and what it took to write them, loading and judging apart."""

    completions: list[Completion]
    seconds: float
    cpu_seconds: float


class Bench:
    """Engines, judge and the event loop they live on; a context manager."""

    def __init__(self, config: CompareConfig, tasks: TaskSet, progress: Progress) -> None:
        self.config, self.tasks, self.progress = config, tasks, progress
        self._runner = asyncio.Runner()
        self._sandbox = PolyglotSandbox(workers=config.workers)
        self._judge = Judge(self._sandbox)

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._wait(self._sandbox.close())
        self._runner.close()

    def _wait(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        return self._runner.run(work)

    def write(self, twin: Twin, requests: Sequence[Request], denoise: DenoiseParams | None = None) -> Timed:
        """Completions of a list of requests, all asked at once."""
        engine = open_engine(twin, self.config, denoise)
        try:
            started, cpu = time.perf_counter(), time.process_time()
            completions = self._wait(self._write(engine, requests))
            return Timed(completions, time.perf_counter() - started, time.process_time() - cpu)
        finally:
            self._wait(engine.close())

    async def _write(self, engine: Engine, requests: Sequence[Request]) -> list[Completion]:
        async def one(request: Request) -> Completion:
            found = await engine.sample(request)
            self.progress.advance()
            return found

        return list(await asyncio.gather(*(one(request) for request in requests)))

    def requests(self, twin: Twin, tasks: Sequence[Task], *, temperature: float, samples: int = 1) -> list[Request]:
        """Every task's question `samples` times, task by task.

        The same task and number has the same seed whatever else is set, for both kinds of model.

        Raises:
            ConfigError: a prompt leaves no room for a whole canvas.
        """
        params = SamplingParams(max_tokens=self.config.max_tokens, temperature=temperature)
        prompts = [prompt_ids(twin.tokenizer, [Message("user", task.prompt)]) for task in tasks]
        room = longest_row(twin.model, twin.spec, self.config.max_length) - self.config.max_tokens
        for task, ids in zip(tasks, prompts, strict=True):
            if len(ids) > room:
                raise ConfigError(
                    f"the prompt of {task.id} has {len(ids)} tokens, and {twin.name} has room for {room} beside a "
                    f"canvas of {self.config.max_tokens}; lower max_tokens, raise max_length, or take other tasks"
                )
        return [
            Request(prompt_ids=ids, params=params, seed=derive_seed(self.config.seed, "compare", task.id, number))
            for task, ids in zip(tasks, prompts, strict=True)
            for number in range(samples)
        ]

    def answer(
        self,
        twin: Twin,
        tasks: TaskSet,
        *,
        temperature: float,
        samples: int,
        denoise: DenoiseParams | None = None,
        facts: Row,
    ) -> list[Row]:
        """Ask every task `samples` times; a row for each answer, and one with the time it took, all with `facts`."""
        asked = [(task, number) for task in tasks.tasks for number in range(samples)]
        timed = self.write(twin, self.requests(twin, tasks.tasks, temperature=temperature, samples=samples), denoise)
        statuses = self.judge_texts([own.text for own in timed.completions], [task for task, _ in asked], tasks)
        rows: list[Row] = [
            {
                **facts,
                "record": "sample",
                "task_id": task.id,
                "sample": number,
                "status": status,
                "tokens": len(completion.ids),
                "passes": passes_of(completion),
                "stop_reason": completion.stop_reason,
                "completion": completion.text,
            }
            for (task, number), completion, status in zip(asked, timed.completions, statuses, strict=True)
        ]
        return [*rows, timing_row(facts, rows, timed)]

    def judge_texts(self, texts: Sequence[str], asked: Sequence[Task], tasks: TaskSet) -> list[str]:
        """Status of the program in each text, by its task's hidden tests; `no_code` where there is none."""
        found = [extract_program(text, task) for text, task in zip(texts, asked, strict=True)]
        return self.judge([own.program if own else None for own in found], asked, tasks)

    def judge(self, programs: Sequence[str | None], asked: Sequence[Task], tasks: TaskSet) -> list[str]:
        """Status of each program by its task's hidden tests."""

        async def one(program: str | None, task: Task) -> str:
            if program is None:
                return "no_code"
            return (await self._judge.judge(program, tasks.oracle(task), task.entry_point)).status

        async def every() -> list[str]:
            pairs = zip(programs, asked, strict=True)
            return list(await asyncio.gather(*(one(program, task) for program, task in pairs)))

        return self._wait(every())


def timing_row(facts: Row, rows: Sequence[Row], timed: Timed) -> Row:
    """What a batch took: seconds, CPU seconds, tokens, forward passes of single completions added up."""
    return {
        **facts,
        "record": "timing",
        "completions": len(rows),
        "tokens": sum(row["tokens"] for row in rows),
        "passes": sum(row["passes"] for row in rows),
        "seconds": timed.seconds,
        "cpu_seconds": timed.cpu_seconds,
    }


def passes_of(completion: Completion) -> int:
    """Forward passes that wrote something of a completion: one a token from left to right, else those of its canvas."""
    return len(completion.ids) if completion.passes is None else completion.passes
