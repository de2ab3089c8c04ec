"""Supervised training of a causal model: of demonstrated answers, the prompt not trained on, or of whole texts."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

from verigrad.algorithms.reductions import token_mean
from verigrad.algorithms.supervised import cross_entropy
from verigrad.errors import ConfigError, DataError
from verigrad.evaluation.sources import load_source
from verigrad.jsonl import read_rows
from verigrad.models.base import Batch
from verigrad.models.causal import score_pack
from verigrad.models.chat import answer_ids, end_id, prompt_ids
from verigrad.models.fim import mark_fim
from verigrad.models.packing import pack_views
from verigrad.preferences.records import prompt_and_answer
from verigrad.seeds import derive_seed
from verigrad.tasks.base import TaskSet
from verigrad.training.augment import drop_words, rename_functions
from verigrad.training.config import SFTConfig
from verigrad.training.epochs import train_epochs
from verigrad.training.examples import flat_rows
from verigrad.training.reporter import Reporter, Silent
from verigrad.training.stage import Stage, open_stage, settled, trained_tasks
from verigrad.training.texts import can_turn, text_pieces, text_row, turned_round
from verigrad.types import Message, Row

__all__ = ["Demonstration", "demonstration_rows", "gold_demonstrations", "read_demonstrations", "train"]


@dataclass(frozen=True)
class Demonstration:
    """A conversation and the answer to learn; `place` is the file and line it was read from, or empty."""

    messages: tuple[Message, ...]
    answer: str
    place: str = field(default="", compare=False)


def train(config: SFTConfig, *, resume: bool = False, reporter: Reporter | None = None) -> Path:
    """Run supervised fine-tuning; returns the run folder.

    Raises:
        ConfigError: settings contradict each other, or nothing fits `max_length`.
        RunError: the run folder cannot be used.
        DataError: a demonstration file is malformed.
    """
    reporter = reporter or Silent()
    config = settled(config, resume=resume)
    tasks = load_source(config.tasks) if config.tasks else None
    if tasks and config.rename:
        tasks = rename_functions(tasks, config.rename, config.seed)
    # Before the model, which takes a while to load: a malformed line is told at once.
    demonstrations = [] if config.text else _demonstrations(config, tasks)
    with ExitStack() as opened:
        stage = open_stage(config, reporter, trained_tasks(tasks, config.data))
        opened.callback(stage.close)
        parts = _text_rows(stage, config) if config.text else _answer_rows(stage, config, demonstrations)
        fim = mark_fim(stage.model, stage.tokenizer, config.fim_ids) if config.fim else None
        if fim is not None and (full := sum(not can_turn(row, config.max_length) for row in parts)):
            reporter.message(
                f"{full} of {len(parts)} rows are never turned round: max_length = {config.max_length} leaves no room "
                "for the three tokens that this adds"
            )
        steps_per_epoch = -(-len(parts) // config.batch_size)

        def gradient(numbers: Sequence[int], step: int) -> dict[str, float]:
            chosen = [parts[number] for number in numbers]
            if fim is not None:
                draws = [Random(derive_seed(config.seed, "fim", step // steps_per_epoch, number)) for number in numbers]
                ends, longest = {stage.tokenizer.eos_token_id, end_id(stage.tokenizer)}, config.max_length
                chosen = [
                    turned_round(row, fim, ends, longest, random) if random.random() < config.fim else row
                    for row, random in zip(chosen, draws, strict=True)
                ]
            return _gradient(stage, flat_rows(chosen), config)

        name = "rows" if config.text else "demonstrations"
        return train_epochs(stage, config, len(parts), gradient, resume=resume, facts={name: len(parts)})


def _text_rows(stage: Stage, config: SFTConfig) -> list[Row]:
    pieces = text_pieces(Path(config.text), stage.tokenizer, config.max_length)
    if not pieces:
        raise ConfigError(f"{config.text} holds no text of more than one token")
    stage.reporter.message(f"{len(pieces)} rows of text, {sum(map(len, pieces)):,} tokens")
    return [text_row(piece) for piece in pieces]


def _demonstrations(config: SFTConfig, tasks: TaskSet | None) -> list[Demonstration]:
    demonstrations = gold_demonstrations(tasks) if tasks is not None else read_demonstrations(Path(config.data))
    if not demonstrations:
        raise ConfigError(f"{config.data} holds nothing to learn from: every answer has the label false")
    return _thinned(demonstrations, config) if config.word_dropout else demonstrations


def _answer_rows(stage: Stage, config: SFTConfig, demonstrations: Sequence[Demonstration]) -> list[Row]:
    parts = demonstration_rows(stage.tokenizer, demonstrations, config.system or None, config.max_length)
    stage.reporter.message(
        f"{len(parts)} demonstrations; {len(demonstrations) - len(parts)} longer than max_length left out"
    )
    if not parts:
        raise ConfigError(f"none of {len(demonstrations)} demonstrations fits max_length = {config.max_length}")
    return parts


def _thinned(demonstrations: Sequence[Demonstration], config: SFTConfig) -> list[Demonstration]:
    """The same answers to questions with words missing, drawn by (seed, number)."""
    found = []
    for number, shown in enumerate(demonstrations):
        random = Random(derive_seed(config.seed, "words", number))
        messages = (
            replace(message, content=drop_words(message.content, config.word_dropout, random))
            if message.role == "user"
            else message
            for message in shown.messages
        )
        found.append(replace(shown, messages=tuple(messages)))
    return found


def gold_demonstrations(tasks: TaskSet) -> list[Demonstration]:
    """Each task's gold program (or answer), in the form a chat model would give it.

    Raises:
        ConfigError: no task of the source has one.
    """
    found = []
    for task in tasks.tasks:
        gold = tasks.oracle(task).gold
        if gold is not None:
            answer = f"```{task.language}\n{gold.strip()}\n```" if task.language != "text" else gold.strip()
            found.append(Demonstration((Message("user", task.prompt),), answer))
    if not found:
        raise ConfigError(f"task source {tasks.name!r} has no gold programs to demonstrate; use data instead")
    return found


def read_demonstrations(file: Path) -> list[Demonstration]:
    """Read JSONL rows `{"prompt", "completion"}` or `{"messages": [{"role", "content"}, ...]}` (assistant last).

    A prompt is text or a list of messages; an answer marked `"label": false` is left out.

    Raises:
        ConfigError: the file cannot be read.
        DataError: a row is malformed; names file, line and field.
    """
    found = []
    for place, row in read_rows(file):
        name = "messages" if "messages" in row else "completion"
        if name not in row:
            raise DataError(
                f"{place}: has {', '.join(map(repr, row)) or 'no field'}; wanted prompt and completion, or messages"
            )
        prompt, answer = prompt_and_answer(row, name, row[name], place)
        if row.get("label", True):
            found.append(Demonstration(prompt, answer, place))
    return found


def demonstration_rows(
    tokenizer: Any, demonstrations: Sequence[Demonstration], system: str | None, max_length: int
) -> list[Row]:
    """Rows whose mask covers the answer and its end token; those longer than `max_length` are left out.

    Raises:
        DataError: the model's chat template does not take a demonstration's messages; names it.
    """
    built = []
    for number, demonstration in enumerate(demonstrations):
        messages = ((Message("system", system),) if system else ()) + demonstration.messages
        try:
            prompt, answer = prompt_ids(tokenizer, messages), answer_ids(tokenizer, demonstration.answer)
        except ConfigError as error:
            raise DataError(f"{demonstration.place or f'demonstration {number + 1}'}: {error}") from error
        ids = prompt + answer
        if len(ids) <= max_length:
            mask = (False,) * len(prompt) + (True,) * len(answer)
            built.append(Row(ids, mask, (0.0,) * len(ids), (1.0,) * len(ids), {}, len(prompt)))
    return built


def _gradient(stage: Stage, batch: Batch, config: SFTConfig) -> dict[str, float]:
    """Leave a step's gradient in the model; its metrics."""
    weights = token_mean(batch.mask, batch.rollout_index, batch.group_ids)
    total, entropy = 0.0, 0.0
    for pack in pack_views(batch.views, token_budget=config.token_budget):
        rows = sorted(set(pack.rows))
        scores = score_pack(stage.model, pack, batch, dtype=stage.dtype)
        loss = (cross_entropy(scores.values[rows].cpu(), batch.mask[rows]) * weights[rows]).sum()
        loss.backward()
        total += float(loss.detach())
        assert scores.entropy is not None
        entropy += float(scores.entropy.sum())
    tokens = int(batch.mask.sum())
    return {"loss": total, "entropy": entropy / tokens, "completion_tokens_total": tokens}
