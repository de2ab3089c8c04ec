"""Preferences as data: pairs, rated completions and rankings, and the JSON lines they are kept in.

    {"prompt": ..., "chosen": ..., "rejected": ..., "margin"?: 0.5, "meta"?: {...}}
    {"prompt": ..., "completion": ..., "label": true, "meta"?: {...}}
    {"prompt": ..., "completions": [...], "rewards": [...], "meta"?: {...}}

A prompt is a string (one user message) or a list of `{"role", "content"}`; a completion is a string or such a list with
one assistant message. `chosen` and `rejected` may also repeat the prompt's messages before the answer and leave
`prompt` out. Every kind turns into every other where that makes sense, so any file feeds any loss.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from verigrad.errors import ConfigError, DataError
from verigrad.types import Message

__all__ = [
    "Pair",
    "Ranking",
    "Rated",
    "Record",
    "as_pairs",
    "as_rankings",
    "as_rated",
    "read_records",
    "record_row",
    "write_records",
]

Prompt = tuple[Message, ...]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two answers to one prompt, one of which is preferred.

    Attributes:
        prompt: the conversation before the answer.
        chosen: the preferred answer.
        rejected: the other one.
        margin: how much better, where it is known, in units of reward.
        meta: where it comes from (task, annotator, verdicts, ...), for people and filters.
    """

    prompt: Prompt
    chosen: str
    rejected: str
    margin: float | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Rated:
    """One answer and whether it is wanted."""

    prompt: Prompt
    completion: str
    desirable: bool
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Several answers to one prompt with a reward each; equal rewards are ties."""

    prompt: Prompt
    completions: tuple[str, ...]
    rewards: tuple[float, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)


Record = Pair | Rated | Ranking


def read_records(file: Path) -> list[Record]:
    """Every record of a JSONL file.

    Raises:
        ConfigError: the file cannot be read.
        DataError: a line is malformed, an answer is empty, or a pair's answers are equal; names line and field.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(f"cannot read preferences from {file}: {error}") from error
    found = [_record(line, f"{file}:{number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise DataError(f"{file} holds no record; wanted lines such as {_EXAMPLE}")
    return found


_EXAMPLE = '{"prompt": "...", "chosen": "...", "rejected": "..."}'


def _record(line: str, place: str) -> Record:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DataError(f"{place}: not JSON ({error}); wanted a line such as {_EXAMPLE}") from error
    if not isinstance(row, dict):
        raise DataError(f"{place}: a JSON {type(row).__name__}, wanted an object such as {_EXAMPLE}")
    meta = _typed(row, "meta", dict, place, default={})
    if "chosen" in row or "rejected" in row:
        return _pair(row, meta, place)
    if "completions" in row:
        return _ranking(row, meta, place)
    if "completion" in row:
        prompt, answer = _prompt_and_answer(row, "completion", place)
        return Rated(prompt=prompt, completion=answer, desirable=_typed(row, "label", bool, place), meta=meta)
    raise DataError(
        f"{place}: has {', '.join(map(repr, row)) or 'no field'}; wanted chosen and rejected, or completion and label, "
        "or completions and rewards"
    )


def _pair(row: Mapping[str, Any], meta: Mapping[str, Any], place: str) -> Pair:
    prompt, chosen = _prompt_and_answer(row, "chosen", place)
    other, rejected = _prompt_and_answer(row, "rejected", place)
    if prompt != other:
        raise DataError(f"{place}: chosen and rejected do not continue the same prompt")
    if chosen == rejected:
        raise DataError(f"{place}: chosen and rejected are the same text; there is nothing to prefer")
    margin = row.get("margin")
    if margin is not None and (isinstance(margin, bool) or not isinstance(margin, int | float)):
        raise DataError(f"{place}: margin is {margin!r}, wanted a number")
    return Pair(prompt=prompt, chosen=chosen, rejected=rejected, margin=margin, meta=meta)


def _ranking(row: Mapping[str, Any], meta: Mapping[str, Any], place: str) -> Ranking:
    answers = _typed(row, "completions", list, place)
    rewards = _typed(row, "rewards", list, place)
    if len(answers) != len(rewards) or len(answers) < 2:
        raise DataError(f"{place}: {len(answers)} completions and {len(rewards)} rewards; wanted as many, two or more")
    for reward in rewards:
        if isinstance(reward, bool) or not isinstance(reward, int | float):
            raise DataError(f"{place}: rewards holds {reward!r}, wanted numbers")
    parts = [_prompt_and_answer({**row, "completions": answer}, "completions", place) for answer in answers]
    return Ranking(
        prompt=parts[0][0],
        completions=tuple(answer for _, answer in parts),
        rewards=tuple(float(reward) for reward in rewards),
        meta=meta,
    )


def _prompt_and_answer(row: Mapping[str, Any], name: str, place: str) -> tuple[Prompt, str]:
    """The prompt and the answer of field `name`, which may be a conversation that holds both."""
    if name not in row:
        raise DataError(f"{place}: {name} is missing")
    value = row[name]
    before: Prompt = ()
    if isinstance(value, list):
        messages = _messages(value, name, place)
        if not messages or messages[-1].role != "assistant":
            raise DataError(f"{place}: {name} is a conversation that does not end with the assistant")
        before, value = messages[:-1], messages[-1].content
    if not isinstance(value, str):
        raise DataError(f"{place}: {name} is a {type(value).__name__}, wanted text or a list of messages")
    if not value.strip():
        raise DataError(f"{place}: {name} is empty")
    prompt = _prompt(row, place) if "prompt" in row else ()
    if not prompt + before:
        raise DataError(f"{place}: prompt is missing, and {name} holds no messages before the answer")
    return prompt + before, value


def _prompt(row: Mapping[str, Any], place: str) -> Prompt:
    value = row["prompt"]
    if isinstance(value, str):
        if not value.strip():
            raise DataError(f"{place}: prompt is empty")
        return (Message("user", value),)
    if isinstance(value, list):
        return _messages(value, "prompt", place)
    raise DataError(f"{place}: prompt is a {type(value).__name__}, wanted text or a list of messages")


def _messages(value: Sequence[Any], name: str, place: str) -> Prompt:
    found = []
    for number, message in enumerate(value):
        if not isinstance(message, dict) or not all(isinstance(message.get(key), str) for key in ("role", "content")):
            raise DataError(f"{place}: {name}[{number}] is {message!r}, wanted an object with role and content")
        found.append(Message(message["role"], message["content"]))
    return tuple(found)


def _typed(row: Mapping[str, Any], name: str, kind: type, place: str, default: Any = None) -> Any:
    if name not in row and default is not None:
        return default
    if not isinstance(row.get(name), kind):
        got = f"is {row[name]!r}" if name in row else "is missing"
        raise DataError(f"{place}: {name} {got}, wanted a {kind.__name__}")
    return row[name]


def record_row(record: Record) -> dict[str, Any]:
    """The JSON object `read_records` reads back as this record."""
    prompt: Any = [{"role": message.role, "content": message.content} for message in record.prompt]
    if len(prompt) == 1 and prompt[0]["role"] == "user":
        prompt = prompt[0]["content"]
    row: dict[str, Any] = {"prompt": prompt}
    if isinstance(record, Pair):
        row.update(chosen=record.chosen, rejected=record.rejected)
        if record.margin is not None:
            row["margin"] = record.margin
    elif isinstance(record, Rated):
        row.update(completion=record.completion, label=record.desirable)
    else:
        row.update(completions=list(record.completions), rewards=list(record.rewards))
    if record.meta:
        row["meta"] = dict(record.meta)
    return row


def write_records(file: Path, records: Iterable[Record]) -> None:
    """Write a JSONL file, whole or not at all."""
    building = file.with_name(f".{file.name}.part")
    file.parent.mkdir(parents=True, exist_ok=True)
    building.write_text("".join(json.dumps(record_row(record)) + "\n" for record in records), encoding="utf-8")
    building.replace(file)


def as_pairs(records: Iterable[Record]) -> list[Pair]:
    """Pairs as they are; of a ranking, every two answers with different rewards, the margin their difference.

    Rated answers make pairs where one prompt has both kinds: each wanted answer with each unwanted one.
    """
    found: list[Pair] = []
    rated: dict[Prompt, tuple[list[Rated], list[Rated]]] = {}
    for record in records:
        if isinstance(record, Pair):
            found.append(record)
        elif isinstance(record, Rated):
            rated.setdefault(record.prompt, ([], []))[not record.desirable].append(record)
        else:
            scored = list(zip(record.completions, record.rewards, strict=True))
            found += [
                Pair(prompt=record.prompt, chosen=better, rejected=worse, margin=high - low, meta=record.meta)
                for better, high in scored
                for worse, low in scored
                if high > low and better != worse
            ]
    for prompt, (wanted, unwanted) in rated.items():
        found += [
            Pair(prompt=prompt, chosen=good.completion, rejected=bad.completion, meta={**bad.meta, **good.meta})
            for good in wanted
            for bad in unwanted
            if good.completion != bad.completion
        ]
    return found


def as_rated(records: Iterable[Record]) -> list[Rated]:
    """One wanted and one unwanted answer of each pair; of a ranking, those above and below its mean reward."""
    found: list[Rated] = []
    for record in records:
        if isinstance(record, Rated):
            found.append(record)
        elif isinstance(record, Pair):
            for answer, wanted in ((record.chosen, True), (record.rejected, False)):
                found.append(Rated(prompt=record.prompt, completion=answer, desirable=wanted, meta=record.meta))
        else:
            mean = sum(record.rewards) / len(record.rewards)
            found += [
                Rated(prompt=record.prompt, completion=answer, desirable=reward > mean, meta=record.meta)
                for answer, reward in zip(record.completions, record.rewards, strict=True)
                if reward != mean
            ]
    return found


def as_rankings(records: Iterable[Record]) -> list[Ranking]:
    """Rankings as they are; a pair is one of two answers, rated answers of one prompt are one of rewards 1 and 0."""
    found: list[Ranking] = []
    rated: dict[Prompt, list[Rated]] = {}
    for record in records:
        if isinstance(record, Ranking):
            found.append(record)
        elif isinstance(record, Pair):
            margin = 1.0 if record.margin is None else record.margin
            answers = (record.chosen, record.rejected)
            found.append(Ranking(prompt=record.prompt, completions=answers, rewards=(margin, 0.0), meta=record.meta))
        else:
            rated.setdefault(record.prompt, []).append(record)
    for prompt, answers_rated in rated.items():
        if len({answer.desirable for answer in answers_rated}) == 2:
            found.append(
                Ranking(
                    prompt=prompt,
                    completions=tuple(answer.completion for answer in answers_rated),
                    rewards=tuple(float(answer.desirable) for answer in answers_rated),
                )
            )
    return found
