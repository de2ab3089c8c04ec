"""Preferences as data: pairs, rated completions and rankings, and the JSON lines they are kept in.

    {"prompt": ..., "chosen": ..., "rejected": ..., "margin"?: 0.5, "meta"?: {...}}
    {"prompt": ..., "completion": ..., "label": true, "meta"?: {...}}
    {"prompt": ..., "completions": [...], "rewards": [...], "meta"?: {...}}

A prompt is a string (one user message) or a list of `{"role", "content"}`; a completion is a string or such a list with
one assistant message. It may also hold the prompt's messages before the answer, whether or not `prompt` says them too.
Every kind turns into every other where that makes sense, so any file feeds any loss.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_type_hints

from verigrad.decimals import sides_of_mean
from verigrad.errors import DataError
from verigrad.jsonl import read_rows, write_rows
from verigrad.types import Message

__all__ = [
    "Pair",
    "Prompt",
    "Ranking",
    "Rated",
    "Record",
    "as_pairs",
    "as_rankings",
    "as_rated",
    "cut_off_of",
    "fractions_of",
    "parse_record",
    "prompt_and_answer",
    "read_records",
    "record_row",
    "write_records",
]

Prompt = tuple[Message, ...]
"""The conversation before an answer."""

_ROLES: tuple[str, ...] = get_args(get_type_hints(Message)["role"])


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two answers to one prompt, one of which is preferred.

    Attributes:
        prompt: the conversation before the answer.
        chosen: the preferred answer.
        rejected: the other one.
        margin: how much better, where it is known, in units of reward.
        meta: where it comes from (task, annotator, verdicts, ...), for people and filters.
        place: file and line it was read from, for messages; empty where there is none.
    """

    prompt: Prompt
    chosen: str
    rejected: str
    margin: float | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)
    place: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class Rated:
    """One answer and whether it is wanted."""

    prompt: Prompt
    completion: str
    desirable: bool
    meta: Mapping[str, Any] = field(default_factory=dict)
    place: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Several answers to one prompt with a reward each; equal rewards are ties."""

    prompt: Prompt
    completions: tuple[str, ...]
    rewards: tuple[float, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)
    place: str = field(default="", compare=False, repr=False)


Record = Pair | Rated | Ranking


def read_records(file: Path) -> list[Record]:
    """Every record of a JSONL file.

    Raises:
        ConfigError: the file cannot be read.
        DataError: a line is malformed, an answer is empty, or a pair's answers are equal; names line and field.
    """
    return [parse_record(row, place) for place, row in read_rows(file)]


_EXAMPLE = '{"prompt": "...", "chosen": "...", "rejected": "..."}'


def parse_record(row: Mapping[str, Any], place: str) -> Record:
    """The record that a JSON object says; `place` begins the messages.

    >>> parse_record({"prompt": "2 + 2?", "completion": "4", "label": True}, "here").completion
    '4'

    Raises:
        DataError: a field is missing, empty or of the wrong type, or a pair's answers are equal.
    """
    meta = _typed(row, "meta", dict, place) if "meta" in row else {}
    if "chosen" in row or "rejected" in row:
        return _pair(row, meta, place)
    if "completions" in row:
        return _ranking(row, meta, place)
    if "completion" in row:
        prompt, answer = prompt_and_answer(row, "completion", row["completion"], place)
        return Rated(
            prompt=prompt, completion=answer, desirable=_typed(row, "label", bool, place), meta=meta, place=place
        )
    raise DataError(
        f"{place}: has {', '.join(map(repr, row)) or 'no field'}; wanted chosen and rejected, or completion and label, "
        "or completions and rewards"
    )


def _pair(row: Mapping[str, Any], meta: Mapping[str, Any], place: str) -> Pair:
    for name in ("chosen", "rejected"):
        if name not in row:
            raise DataError(f"{place}: {name} is missing")
    prompt, chosen = prompt_and_answer(row, "chosen", row["chosen"], place)
    other, rejected = prompt_and_answer(row, "rejected", row["rejected"], place)
    if prompt != other:
        raise DataError(f"{place}: chosen and rejected do not continue the same prompt")
    if chosen == rejected:
        raise DataError(f"{place}: chosen and rejected are the same text; there is nothing to prefer")
    margin = None if row.get("margin") is None else _number(row["margin"], "margin", place)
    if margin is not None and margin < 0:
        raise DataError(f"{place}: margin is {margin}, so rejected would be the better one; swap them")
    return Pair(prompt=prompt, chosen=chosen, rejected=rejected, margin=margin, meta=meta, place=place)


def _ranking(row: Mapping[str, Any], meta: Mapping[str, Any], place: str) -> Ranking:
    answers = _typed(row, "completions", list, place)
    rewards = _typed(row, "rewards", list, place)
    if len(answers) != len(rewards) or len(answers) < 2:
        raise DataError(f"{place}: {len(answers)} completions and {len(rewards)} rewards; wanted as many, two or more")
    numbers = tuple(_number(reward, f"rewards[{number}]", place) for number, reward in enumerate(rewards))
    parts = [prompt_and_answer(row, f"completions[{number}]", answer, place) for number, answer in enumerate(answers)]
    if len({prompt for prompt, _ in parts}) > 1:
        raise DataError(f"{place}: completions do not all continue the same prompt")
    texts = tuple(answer for _, answer in parts)
    return Ranking(prompt=parts[0][0], completions=texts, rewards=numbers, meta=meta, place=place)


def prompt_and_answer(row: Mapping[str, Any], name: str, value: Any, place: str) -> tuple[Prompt, str]:
    """The prompt and the answer `value` of field `name`, which may be a conversation that holds both."""
    before: Prompt = ()
    if isinstance(value, list):
        messages = _messages(value, name, place)
        if not messages or messages[-1].role != "assistant":
            raise DataError(f"{place}: {name} is a conversation that does not end with the assistant")
        before, value = messages[:-1], messages[-1].content
    if not isinstance(value, str):
        raise DataError(f"{place}: {name} is {_show(value)}, wanted text or a list of messages")
    if not value.strip():
        raise DataError(f"{place}: {name} is empty")
    prompt = _prompt(row, place) if "prompt" in row else ()
    if prompt and prompt in (before[: len(prompt)], before[-len(prompt) :]):
        prompt = ()  # the conversation says it again, perhaps behind a system message
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
    raise DataError(f"{place}: prompt is {_show(value)}, wanted text or a list of messages")


def _messages(value: Sequence[Any], name: str, place: str) -> Prompt:
    found = []
    for number, message in enumerate(value):
        where = f"{place}: {name}[{number}]"
        if not isinstance(message, dict) or not all(isinstance(message.get(key), str) for key in ("role", "content")):
            raise DataError(f"{where} is {_show(message)}, wanted an object with role and content, both text")
        if message["role"] not in _ROLES:
            raise DataError(f"{where} has the role {message['role']!r}, wanted one of {', '.join(_ROLES)}")
        if message.get("tool_calls"):
            raise DataError(f"{where} has tool_calls, which are not kept; write them into its content")
        found.append(Message(message["role"], message["content"]))
    return tuple(found)


_KINDS = {bool: "true or false", dict: "an object", list: "a list"}


def _typed(row: Mapping[str, Any], name: str, kind: type, place: str) -> Any:
    if not isinstance(row.get(name), kind):
        got = f"is {_show(row[name])}" if name in row else "is missing"
        raise DataError(f"{place}: {name} {got}, wanted {_KINDS[kind]}")
    return row[name]


def _number(value: Any, name: str, place: str) -> float:
    try:
        if not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value):
            return float(value)
    except OverflowError:  # an int beyond any float
        pass
    raise DataError(f"{place}: {name} is {_show(value)}, wanted a finite number")


def _show(value: Any) -> str:
    """A JSON value as the file has it, shortened."""
    text = json.dumps(value, default=repr)
    return text if len(text) <= 80 else text[:77] + "..."


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
    """Write a JSONL file that `read_records` reads, whole or not at all.

    Raises:
        ConfigError: the file cannot be written.
        DataError: a record could not be read back.
    """
    rows = [record_row(record) for record in records]
    for number, row in enumerate(rows, 1):
        parse_record(row, f"record {number}")
    write_rows(file, rows)


def fractions_of(record: Record) -> list[float | None] | None:
    """Share of its tests that each answer passed, as miners and the export of labels write it into `meta`; None of a
    ranking of three or more."""
    sides = [_share(record.meta.get(f"{side}_fraction")) for side in ("chosen", "rejected")]
    if isinstance(record, Pair):
        return sides
    if isinstance(record, Rated):
        own = _share(record.meta.get("fraction"))
        return [sides[not record.desirable] if own is None else own]
    # A ranking made of a pair has its `meta`, and the chosen answer first.
    return sides if len(record.completions) == 2 else None


def cut_off_of(record: Record) -> tuple[bool, ...]:
    """Whether each answer was cut off by the token limit, so that it has no end to learn, as miners and the export of
    labels write it into `meta`; False of a ranking of three or more."""
    sides = tuple(record.meta.get(f"{side}_cut_off") is True for side in ("chosen", "rejected"))
    if isinstance(record, Pair):
        return sides
    if isinstance(record, Rated):
        return (record.meta.get("cut_off", sides[not record.desirable]) is True,)
    return sides if len(record.completions) == 2 else (False,) * len(record.completions)


def _share(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else None


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
                Pair(
                    prompt=record.prompt,
                    chosen=better,
                    rejected=worse,
                    margin=high - low,
                    meta=record.meta,
                    place=record.place,
                )
                for better, high in scored
                for worse, low in scored
                if high > low and better != worse
            ]
    for prompt, (wanted, unwanted) in rated.items():
        found += [
            Pair(
                prompt=prompt,
                chosen=good.completion,
                rejected=bad.completion,
                meta=_meta_of_both(good, bad),
                place=good.place,
            )
            for good in wanted
            for bad in unwanted
            if good.completion != bad.completion
        ]
    return found


def _meta_of_both(good: Rated, bad: Rated) -> dict[str, Any]:
    """What two rated answers' `meta` say, the wanted one's first, with the share of its tests that each passed and
    whether it was cut off: what they say of other answers they were paired with once is not of this pair."""
    apart = {f"{side}{what}" for side in ("", "chosen_", "rejected_") for what in ("fraction", "cut_off")}
    found = {key: value for key, value in {**bad.meta, **good.meta}.items() if key not in apart}
    for side, answer in (("chosen", good), ("rejected", bad)):
        for fraction in fractions_of(answer) or ():
            if fraction is not None:
                found[f"{side}_fraction"] = fraction
        if any(cut_off_of(answer)):
            found[f"{side}_cut_off"] = True
    return found


def as_rated(records: Iterable[Record]) -> list[Rated]:
    """One wanted and one unwanted answer of each pair; of a ranking, those above and below its mean reward."""
    found: list[Rated] = []
    for record in records:
        if isinstance(record, Rated):
            found.append(record)
        elif isinstance(record, Pair):
            for answer, wanted in ((record.chosen, True), (record.rejected, False)):
                found.append(
                    Rated(
                        prompt=record.prompt, completion=answer, desirable=wanted, meta=record.meta, place=record.place
                    )
                )
        else:
            found += [
                Rated(
                    prompt=record.prompt,
                    completion=answer,
                    desirable=wanted,
                    meta=record.meta,
                    place=record.place,
                )
                for answer, wanted in zip(record.completions, sides_of_mean(record.rewards), strict=True)
                if wanted is not None
            ]
    return found


def as_rankings(records: Iterable[Record]) -> list[Ranking]:
    """Rankings as they are; a pair is one of two answers, rated answers of one prompt are one of rewards 1 and 0.

    A pair's rewards are its margin and 0, or 1 and 0 where the margin is unknown or nothing.
    """
    found: list[Ranking] = []
    rated: dict[Prompt, list[Rated]] = {}
    for record in records:
        if isinstance(record, Ranking):
            found.append(record)
        elif isinstance(record, Pair):
            margin = record.margin or 1.0
            answers = (record.chosen, record.rejected)
            found.append(
                Ranking(
                    prompt=record.prompt,
                    completions=answers,
                    rewards=(margin, 0.0),
                    meta=record.meta,
                    place=record.place,
                )
            )
        else:
            rated.setdefault(record.prompt, []).append(record)
    for prompt, answers_rated in rated.items():
        if len({answer.desirable for answer in answers_rated}) == 2:
            tasks = [answer.meta["task_id"] for answer in answers_rated if "task_id" in answer.meta]
            found.append(
                Ranking(
                    prompt=prompt,
                    completions=tuple(answer.completion for answer in answers_rated),
                    rewards=tuple(float(answer.desirable) for answer in answers_rated),
                    meta={"task_id": tasks[0]} if tasks else {},
                    place=answers_rated[0].place,
                )
            )
    return found
