"""Preference files of other projects, to and from our records.

`FORMATS` has a reader and a writer for each. A reader turns a row into the row `records.parse_record` takes, so every
format gets the same checks, and messages name in brackets the format a row was read as.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verigrad.errors import DataError
from verigrad.jsonl import read_rows, write_rows
from verigrad.preferences.records import (
    Pair,
    Prompt,
    Record,
    as_pairs,
    as_rated,
    parse_record,
    record_row,
)
from verigrad.registry import resolve
from verigrad.types import Message

__all__ = ["FORMATS", "Format", "detect", "export_rows", "import_rows", "read_preferences", "write_preferences"]

_Row = Mapping[str, Any]


@dataclass(frozen=True)
class Format:
    """One way to write preferences down.

    Attributes:
        summary: what its rows look like, in a line.
        fits: whether a row looks like it; where several do, the first of `FORMATS` is meant.
        read: a row of it as a row of ours; the text is the place, for messages.
        write: records as rows of it, turned into pairs or rated answers where it has nothing else.
        wording: what it calls our fields, for messages.
    """

    summary: str
    fits: Callable[[_Row], bool]
    read: Callable[[_Row, str], _Row]
    write: Callable[[Sequence[Record]], list[dict[str, Any]]]
    wording: str = ""


# ---------------------------------------------------------------------------------------------- the doors


def detect(row: _Row, place: str = "row 1") -> str:
    """The format that a row looks like.

    >>> detect({"chosen": "\\n\\nHuman: Hi\\n\\nAssistant: Hello.", "rejected": "\\n\\nHuman: Hi\\n\\nAssistant: Go."})
    'hh'

    Raises:
        DataError: none; lists those we know.
    """
    for name, known in FORMATS.items():
        if known.fits(row):
            return name
    listed = "\n".join(f"  {name:<14}{known.summary}" for name, known in FORMATS.items())
    raise DataError(f"{place}: fields {', '.join(map(repr, row)) or 'none'} are of no known format:\n{listed}")


def import_rows(
    rows: Iterable[_Row],
    format: str | None = None,
    *,
    places: Sequence[str] | None = None,
    malformed: list[str] | None = None,
) -> list[Record]:
    """Records of the rows of a file.

    Args:
        format: a name of `FORMATS`; None for what the first row looks like.
        places: of the rows, for messages (`file:line`).
        malformed: given a list, rows that cannot be read are left out and their messages added to it.

    Raises:
        ConfigError: no such format.
        DataError: a row is malformed, or of no known format.
    """
    rows = list(rows)
    places = places or [f"row {number}" for number in range(1, len(rows) + 1)]
    if format is None and rows:
        format = detect(rows[0], places[0])
    known: Format = resolve(format or "verigrad", FORMATS, what="format")
    found = []
    for place, row in zip(places, rows, strict=True):
        try:
            place = f"{place} ({format}{known.wording})"
            found.append(parse_record(known.read(row, place), place))
        except DataError as error:
            if malformed is None:
                raise
            malformed.append(str(error))
    return found


def export_rows(records: Iterable[Record], format: str) -> list[dict[str, Any]]:
    """Rows of another format; formats of pairs get `as_pairs` of the records, formats of labels `as_rated`.

    Raises:
        ConfigError: no such format.
        DataError: a record cannot be said in it.
    """
    known: Format = resolve(format, FORMATS, what="format")
    return known.write(list(records))


def read_preferences(file: Path, format: str | None = None, *, malformed: list[str] | None = None) -> list[Record]:
    """Records of a JSONL file of any known format; see `import_rows`."""
    places, rows = zip(*read_rows(file), strict=True)
    return import_rows(rows, format, places=places, malformed=malformed)


def write_preferences(file: Path, records: Iterable[Record], format: str) -> None:
    """Write a JSONL file of any known format; see `export_rows`."""
    write_rows(file, export_rows(records, format))


# ------------------------------------------------------------------------------------------------ reading


def _has(*names: str) -> Callable[[_Row], bool]:
    return lambda row: all(name in row for name in names)


def _read_as_it_is(row: _Row, place: str) -> _Row:
    return row


def _read_trl(row: _Row, place: str) -> _Row:
    """Explicit prompts as they are; of two texts without one, what they share is the prompt."""
    chosen, rejected = row.get("chosen"), row.get("rejected")
    if "prompt" in row or not isinstance(chosen, str) or not isinstance(rejected, str):
        return row
    shared = _shared_words(chosen, rejected)
    if not shared.strip():
        raise DataError(f"{place}: prompt is missing, and chosen and rejected do not begin alike")
    start = len(shared)
    return {**row, "prompt": shared, "chosen": chosen[start:], "rejected": rejected[start:]}


def _shared_words(one: str, other: str) -> str:
    """The beginning two texts share, up to white space, which is left to what follows.

    >>> _shared_words("The sky is green.", "The sky is grey.")
    'The sky is'
    """
    size = next(
        (index for index, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
    return one[: max((match.start() for match in re.finditer(r"\s+", one[:size])), default=0)]


_SCORES = (
    ("score_chosen", "score_rejected"),
    ("chosen_score", "rejected_score"),
    ("chosen-rating", "rejected-rating"),
    ("chosen_rating", "rejected_rating"),
)


def _has_scores(row: _Row) -> bool:
    return "chosen" in row and "rejected" in row and any(high in row and low in row for high, low in _SCORES)


def _read_ultrafeedback(row: _Row, place: str) -> _Row:
    high, low = next((names for names in _SCORES if names[0] in row and names[1] in row), _SCORES[0])
    scores = row.get(high), row.get(low)
    for name, score in zip((high, low), scores, strict=True):
        if score is not None and (isinstance(score, bool) or not isinstance(score, int | float)):
            raise DataError(f"{place}: {name} is {score!r}, wanted a number")
    found = {name: row[name] for name in ("prompt", "chosen", "rejected") if name in row}
    if isinstance(row.get("chosen"), list) and len(row["chosen"]) > 1:
        found.pop("prompt", None)  # the conversation has it, with what came before
    if scores[0] is not None and scores[1] is not None:
        found["margin"] = scores[0] - scores[1]
        found["meta"] = {"score_chosen": scores[0], "score_rejected": scores[1]}
    return found


_TURN = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant):")
_HH_ROLES = {"Human": "user", "Assistant": "assistant"}


def _is_hh(row: _Row) -> bool:
    both = (row.get("chosen"), row.get("rejected"))
    return "prompt" not in row and all(isinstance(text, str) and _TURN.match(text) for text in both)


def _read_hh(row: _Row, place: str) -> _Row:
    return {name: _conversation(row.get(name), f"{place}: {name}") for name in ("chosen", "rejected")}


def _conversation(text: Any, where: str) -> list[dict[str, str]]:
    if not isinstance(text, str) or not _TURN.match(text):
        raise DataError(f"{where} is not a text that begins with '\\n\\nHuman: '")
    _, *parts = _TURN.split(text)
    return [
        {"role": _HH_ROLES[speaker], "content": said.removeprefix(" ")}
        for speaker, said in zip(parts[::2], parts[1::2], strict=True)
    ]


def _read_openai(row: _Row, place: str) -> _Row:
    given = row.get("input")
    if not isinstance(given, Mapping) or not isinstance(given.get("messages"), list):
        raise DataError(f"{place}: input is {_short(given)}, wanted an object with messages")
    if given.get("tools"):
        raise DataError(f"{place}: input has tools, which are not kept; leave such rows out")
    for name in ("preferred_output", "non_preferred_output"):
        if not isinstance(row.get(name), list):
            raise DataError(f"{place}: {name} is {_short(row.get(name))}, wanted a list of messages")
    messages = [
        {**message, "role": "system"} if isinstance(message, dict) and message.get("role") == "developer" else message
        for message in given["messages"]
    ]
    return {"prompt": messages, "chosen": row["preferred_output"], "rejected": row["non_preferred_output"]}


def _read_acecode(row: _Row, place: str) -> _Row:
    for name in ("instruction", "input"):
        if not isinstance(row.get(name) or "", str):
            raise DataError(f"{place}: {name} is {_short(row[name])}, wanted text")
    parts = [row.get("instruction"), row.get("input")]
    found = {name: row[name] for name in ("chosen", "rejected") if name in row}
    return {**found, "prompt": "\n".join(part for part in parts if part)}


def _short(value: Any) -> str:
    return repr(value)[:80]


# ------------------------------------------------------------------------------------------------ writing


def _messages(prompt: Prompt, answer: str | None = None) -> list[dict[str, str]]:
    said = [*prompt] if answer is None else [*prompt, Message("assistant", answer)]
    return [{"role": message.role, "content": message.content} for message in said]


def _write_verigrad(records: Sequence[Record]) -> list[dict[str, Any]]:
    return [record_row(record) for record in records]


def _write_trl(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Margins only where every pair has one: a column with holes is of no use to a trainer."""
    pairs = as_pairs(records)
    rows: list[dict[str, Any]] = [
        {
            "prompt": _messages(pair.prompt),
            "chosen": _messages((), pair.chosen),
            "rejected": _messages((), pair.rejected),
        }
        for pair in pairs
    ]
    if all(pair.margin is not None for pair in pairs):
        rows = [{**row, "margin": pair.margin} for row, pair in zip(rows, pairs, strict=True)]
    return rows


def _write_trl_implicit(records: Sequence[Record]) -> list[dict[str, Any]]:
    return [
        {"chosen": _messages(pair.prompt, pair.chosen), "rejected": _messages(pair.prompt, pair.rejected)}
        for pair in as_pairs(records)
    ]


def _write_trl_text(records: Sequence[Record]) -> list[dict[str, Any]]:
    return [
        {"prompt": _only_user(pair, "trl-text", number), "chosen": pair.chosen, "rejected": pair.rejected}
        for number, pair in enumerate(as_pairs(records), 1)
    ]


def _write_kto(records: Sequence[Record]) -> list[dict[str, Any]]:
    return [
        {
            "prompt": _messages(rated.prompt),
            "completion": _messages((), rated.completion),
            "label": rated.desirable,
        }
        for rated in as_rated(records)
    ]


def _write_ultrafeedback(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Scores as they were read; else the margin and 0, or null where no margin is known."""
    rows = []
    for pair in as_pairs(records):
        scores = pair.meta.get("score_chosen"), pair.meta.get("score_rejected")
        if None in scores:
            scores = pair.margin, None if pair.margin is None else 0.0
        rows.append(
            {
                "prompt": pair.prompt[-1].content,
                "chosen": _messages(pair.prompt, pair.chosen),
                "rejected": _messages(pair.prompt, pair.rejected),
                "score_chosen": scores[0],
                "score_rejected": scores[1],
            }
        )
    return rows


def _write_hh(records: Sequence[Record]) -> list[dict[str, Any]]:
    return [
        {
            "chosen": _hh_text(_messages(pair.prompt, pair.chosen), number),
            "rejected": _hh_text(_messages(pair.prompt, pair.rejected), number),
        }
        for number, pair in enumerate(as_pairs(records), 1)
    ]


def _hh_text(messages: Sequence[Mapping[str, str]], number: int) -> str:
    speakers = {role: speaker for speaker, role in _HH_ROLES.items()}
    if any(message["role"] not in speakers for message in messages):
        roles = ", ".join(message["role"] for message in messages)
        raise DataError(f"pair {number}: hh has users and assistants only, and this conversation is {roles}")
    text = "".join(f"\n\n{speakers[message['role']]}: {message['content']}" for message in messages)
    if _conversation(text, f"pair {number}") != list(messages):
        raise DataError(f"pair {number}: a message holds hh's own marks ('\\n\\nHuman:'), and would be cut there")
    return text


def _write_openai(records: Sequence[Record]) -> list[dict[str, Any]]:
    return [
        {
            "input": {"messages": _messages(pair.prompt), "tools": [], "parallel_tool_calls": True},
            "preferred_output": _messages((), pair.chosen),
            "non_preferred_output": _messages((), pair.rejected),
        }
        for pair in as_pairs(records)
    ]


def _write_acecode(records: Sequence[Record]) -> list[dict[str, Any]]:
    return [
        {
            "instruction": _only_user(pair, "acecode", number),
            "input": "",
            "chosen": pair.chosen,
            "rejected": pair.rejected,
            "id": number - 1,
        }
        for number, pair in enumerate(as_pairs(records), 1)
    ]


def _only_user(pair: Pair, format: str, number: int) -> str:
    roles = [message.role for message in pair.prompt]
    if roles != ["user"]:
        raise DataError(f"pair {number}: {format} has room for one user message, and this prompt is {', '.join(roles)}")
    return pair.prompt[0].content


FORMATS: dict[str, Format] = {
    "openai": Format(
        '{"input": {"messages": [...]}, "preferred_output": [...], "non_preferred_output": [...]}',
        _has("input", "preferred_output", "non_preferred_output"),
        _read_openai,
        _write_openai,
        ", whose preferred_output is chosen and non_preferred_output rejected",
    ),
    "acecode": Format(
        '{"instruction": "...", "input": "", "chosen": "...", "rejected": "..."}',
        _has("instruction", "chosen", "rejected"),
        _read_acecode,
        _write_acecode,
    ),
    "ultrafeedback": Format(
        '{"prompt": "...", "chosen": [messages], "rejected": [messages], "score_chosen": 8.0, "score_rejected": 6.5}',
        _has_scores,
        _read_ultrafeedback,
        _write_ultrafeedback,
    ),
    "hh": Format(
        '{"chosen": "\\n\\nHuman: ...\\n\\nAssistant: ...", "rejected": "\\n\\nHuman: ...\\n\\nAssistant: ..."}',
        _is_hh,
        _read_hh,
        _write_hh,
    ),
    "verigrad": Format(
        'our own: pairs, labelled answers and {"prompt": ..., "completions": [...], "rewards": [...]}, with meta',
        lambda row: _has("prompt", "meta")(row) or _has("completions", "rewards")(row),
        _read_as_it_is,
        _write_verigrad,
    ),
    "kto": Format(
        '{"prompt": ..., "completion": ..., "label": true}: TRL\'s unpaired preferences',
        _has("completion", "label"),
        _read_as_it_is,
        _write_kto,
    ),
    "trl": Format(
        '{"prompt": [messages], "chosen": [message], "rejected": [message]}, with margin where known',
        _has("prompt", "chosen", "rejected"),
        _read_trl,
        _write_trl,
    ),
    "trl-implicit": Format(
        '{"chosen": [messages], "rejected": [messages]}, which begin alike; texts are read too',
        _has("chosen", "rejected"),
        _read_trl,
        _write_trl_implicit,
    ),
    "trl-text": Format(
        '{"prompt": "...", "chosen": "...", "rejected": "..."}; read as trl',
        lambda row: False,
        _read_trl,
        _write_trl_text,
    ),
}
