"""A language model as the judge of a round's answers (RLAIF): asked once about each pair, whatever ends the run.

    judge/replies.jsonl          messages, raw replies and preference of every pair asked about, as they come
    judge/round-0001.jsonl       what the opinions of a round came to (docs/metrics.md)

A pair that comes again, in a resumed round or a later one, has its reply already: the request would be the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from verigrad.append_log import AppendLog
from verigrad.engines.base import Engine
from verigrad.engines.openai import OpenAIEngine
from verigrad.errors import EngineError
from verigrad.preferences.comparisons import Comparison
from verigrad.preferences.model_judge import CRITERIA, MOST_FAILURES, ModelJudge, Opinion, ask_all
from verigrad.training.config import JudgeConfig

__all__ = ["RoundJudge", "judge_engine", "make_judge"]


_Judge = TypeVar("_Judge", bound=ModelJudge)


def judge_engine(config: JudgeConfig) -> Engine:
    """The endpoint that the settings name.

    Raises:
        MissingExtra: httpx is not installed.
    """
    key = os.environ.get("OPENAI_API_KEY") or None
    return OpenAIEngine(config.url, config.model, key, max_concurrency=config.concurrency, timeout_s=config.timeout_s)


def make_judge(kind: type[_Judge], engine: Engine, config: JudgeConfig, *, seed: int) -> _Judge:
    """The judge that the settings name, behind that engine."""
    return kind(
        engine,
        config.model,
        criteria=config.criteria or CRITERIA,
        temperature=config.temperature,
        max_tokens=config.max_tokens,
        timeout_s=config.timeout_s,
        seed=seed,
    )


class RoundJudge:
    """Opinions of a model, by the id of the comparison; those in the folder already are not asked for again.

    Raises:
        RunError: the folder cannot be written.
        DataError: its log is damaged.
    """

    def __init__(self, engine: Engine, config: JudgeConfig, *, seed: int, folder: Path) -> None:
        self._concurrency = config.concurrency
        self._judge = make_judge(ModelJudge, engine, config, seed=seed)
        folder.mkdir(parents=True, exist_ok=True)
        self._log = AppendLog(folder / "replies.jsonl")
        rows = [row for row in self._log.rows if "preferred" in row]
        self.opinions = {row["id"]: Opinion(row["preferred"], row["meta"]) for row in rows}

    async def ask(self, comparisons: Sequence[Comparison], on_item: Callable[[], None]) -> None:
        """Have an opinion on each comparison, as far as the endpoint gives one.

        Raises:
            EngineError: several in a row failed, or all; the others' opinions are kept.
        """
        new = {comparison.id: comparison for comparison in comparisons if comparison.id not in self.opinions}
        for _ in range(len(comparisons) - len(new)):
            on_item()
        most_failures = min(MOST_FAILURES, len({comparison.id for comparison in comparisons}))
        try:
            await ask_all(
                new.values(),
                self._about,
                self._keep,
                concurrency=self._concurrency,
                most_failures=most_failures,
                on_item=on_item,
            )
        except EngineError as error:
            raise EngineError(
                f"the judge {self._judge.name!r} gave no opinion on {most_failures} pairs in a row, the last time for "
                f"this: {error}. No pair was made of them, and what it has said is kept: once it answers, go on with "
                "--resume (with another --judge.url where it has moved)"
            ) from error

    def close(self) -> None:
        """Give the log back."""
        self._log.close()

    async def _about(self, comparison: Comparison) -> Opinion:
        a, b = comparison.a, comparison.b
        return await self._judge.compare(a.prompt, a.shown, b.shown, key=comparison.id)

    def _keep(self, comparison: Comparison, opinion: Opinion) -> None:
        self._log.append(
            {
                "id": comparison.id,
                "task_id": comparison.task_id,
                "preferred": opinion.preferred,
                "meta": dict(opinion.meta),
            }
        )
        self.opinions[comparison.id] = opinion
