"""What is compared: two answers to one prompt, made from samples or preference records, in the order to be shown.

Which of the two is `a` follows from the texts alone, so that neither letter means anything: not the first sample, not
the better score, not the left side of the screen.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from verigrad.errors import ConfigError, DataError
from verigrad.jsonl import read_rows
from verigrad.preferences.records import Pair, Record, as_rankings, parse_record
from verigrad.rewards.format import extract_program
from verigrad.seeds import derive_seed
from verigrad.types import Message, Task

__all__ = [
    "ORDERS",
    "Candidate",
    "Item",
    "Margins",
    "Order",
    "item_from_row",
    "item_row",
    "limit_per_task",
    "make_item",
    "ordered",
    "read_items",
    "score_margins",
]

Order = Literal["active", "random", "file"]
ORDERS: tuple[Order, ...] = get_args(Order)


@dataclass(frozen=True)
class Candidate:
    """One answer.

    Attributes:
        completion: the whole text, as a preference pair keeps it.
        program: the source in it, ready to be shown; None where it has none.
        score: of a reward model, or the share of tests passed; None where unknown. Never shown to people.
        results: `{"name", "status", "detail"}` of each test; shown only when asked for.
        meta: where it comes from, such as its sample number.
    """

    completion: str
    program: str | None = None
    score: float | None = None
    results: tuple[Mapping[str, Any], ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """What is compared: the program, or the whole answer where there is none."""
        return self.completion if self.program is None else self.program


@dataclass(frozen=True)
class Item:
    """Two answers to one prompt. The id is a digest of the texts, so the same comparison is found again."""

    id: str
    task_id: str
    prompt: tuple[Message, ...]
    a: Candidate
    b: Candidate


# For every item how far its answers are apart; None where that is unknown. The smallest are asked first.
Margins = Callable[[Sequence[Item]], Sequence[float | None]]


def make_item(task_id: str, prompt: tuple[Message, ...], one: Candidate, other: Candidate) -> Item:
    """An item of two answers given in either order."""
    a, b = sorted((one, other), key=lambda candidate: _digest(candidate.completion))
    messages = [(message.role, message.content) for message in prompt]
    return Item(_digest(messages, a.completion, b.completion)[:16], task_id, prompt, a, b)


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


# -------------------------------------------------------------------------------------------- reading


def read_items(file: Path) -> list[Item]:
    """Every pair of different programs for one task, of a file of samples or of preference records.

    Samples are rows as `verigrad eval --samples` writes them; lost and empty ones, and those of several turns, are left
    out. A `score` of a row goes before its share of tests passed. Pairs, rankings and rated completions are read as
    training reads them.

    Raises:
        ConfigError: the file cannot be read.
        DataError: a line is malformed, or no task has two different answers.
    """
    placed = read_rows(file)
    questions = _sample_questions(placed) if _is_sample(placed[0][1]) else _record_questions(placed)
    items = [
        make_item(task_id, prompt, one, other)
        for task_id, prompt, candidates in questions
        for one, other in itertools.combinations(_different(candidates), 2)
    ]
    if not items:
        raise DataError(
            f"{file}: no task has two different answers to compare; sample several of each task, for example with "
            "verigrad eval --num-samples 4 --temperature 1 --samples out.jsonl"
        )
    return list({item.id: item for item in items}.values())


def _is_sample(row: Mapping[str, Any]) -> bool:
    """Whether a row is of `verigrad eval --samples`; `parse_record` reports what is neither."""
    return "task_id" in row and "completion" in row


_Question = tuple[str, tuple[Message, ...], list[Candidate]]


def _sample_questions(placed: Iterable[tuple[str, Mapping[str, Any]]]) -> list[_Question]:
    found: dict[str, _Question] = {}
    for place, row in placed:
        if "task_id" not in row:
            raise DataError(f"{place}: wanted an object with task_id, prompt and completion, as eval --samples writes")
        prompt = _text(row, "prompt", place)
        candidate = _sample(row, place)
        question = found.setdefault(str(row["task_id"]), (str(row["task_id"]), (Message("user", prompt),), []))
        if question[1][0].content != prompt:
            raise DataError(f"{place}: task {row['task_id']!r} has another prompt than in an earlier line")
        if row.get("status") != "error" and candidate.completion.strip() and not _of_several_turns(row):
            question[2].append(candidate)
    return list(found.values())


def _of_several_turns(row: Mapping[str, Any]) -> bool:
    """Whether the answer is to more than the task: to what was observed and said in between, too."""
    return _is_number(row.get("turns")) and row["turns"] > 1


def _text(row: Mapping[str, Any], name: str, place: str) -> str:
    value = row.get(name)
    if not isinstance(value, str):
        raise DataError(f"{place}: {name} is {value!r}, wanted text")
    return value


def _sample(row: Mapping[str, Any], place: str) -> Candidate:
    program, results = row.get("program"), row.get("results") or ()
    if not isinstance(program, str | None):
        raise DataError(f"{place}: program is a {type(program).__name__}, wanted text or null")
    if not isinstance(results, list | tuple) or not all(isinstance(result, dict) for result in results):
        raise DataError(f"{place}: results is {results!r:.80}, wanted a list of objects")
    share = _share_passed(row)
    known = {} if share is None else {"fraction": share}
    return Candidate(
        completion=_text(row, "completion", place),
        program=program if program and program.strip() else None,
        score=_score(row),
        results=tuple(results),
        meta={key: row[key] for key in ("sample", "status", "stop_reason") if key in row} | known,
    )


def _score(row: Mapping[str, Any]) -> float | None:
    if _is_number(row.get("score")):
        return float(row["score"])
    if (share := _share_passed(row)) is not None:
        return share
    return float(row["reward"]) if _is_number(row.get("reward")) else None


def _share_passed(row: Mapping[str, Any]) -> float | None:
    if _is_number(row.get("total")) and _is_number(row.get("passed")) and row["total"] > 0:
        return float(row["passed"] / row["total"])
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _record_questions(placed: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[_Question]:
    records = [parse_record(row, place) for place, row in placed]
    for record in records:
        if isinstance(record, Pair):
            # Only the distance of the two is known, and not always that.
            scores = (None, None) if record.margin is None else (record.margin, 0.0)
            answers: Iterable[tuple[str, float | None]] = zip((record.chosen, record.rejected), scores, strict=True)
            yield _task_of(record), record.prompt, [_answer(text, score) for text, score in answers]
    for ranking in as_rankings(record for record in records if not isinstance(record, Pair)):
        answers = zip(ranking.completions, ranking.rewards, strict=True)
        yield _task_of(ranking), ranking.prompt, [_answer(text, score) for text, score in answers]


def _task_of(record: Record) -> str:
    """As the record names it; else by its prompt, so that it is the same task in every file."""
    messages = [(message.role, message.content) for message in record.prompt]
    return str(record.meta.get("task_id", f"prompt {_digest(messages)[:8]}"))


def _answer(text: str, score: float | None) -> Candidate:
    found = extract_program(text, Task(id="", prompt=""))
    return Candidate(text, found.program if found else None, score)


def _different(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The first of each group of candidates that look the same."""
    first: dict[str, Candidate] = {}
    for candidate in candidates:
        first.setdefault(candidate.shown.strip(), candidate)
    return list(first.values())


# ------------------------------------------------------------------------------------------- ordering


def score_margins(items: Sequence[Item]) -> list[float | None]:
    """|score of a - score of b|; None where either is unknown."""
    return [
        None if item.a.score is None or item.b.score is None else abs(item.a.score - item.b.score) for item in items
    ]


def ordered(items: Sequence[Item], order: Order, seed: int, margins: Margins = score_margins) -> list[Item]:
    """The items in the order they are to be asked.

    `active`: smallest margin first, where the scores say least and a judgement tells most; equal margins by lot,
    unknown ones last. `random`: by lot. `file`: as they came. Lots depend on the seed and the item alone.
    """
    if order == "file":
        return list(items)
    lots = [derive_seed(seed, "order", item.id) for item in items]
    if order == "random":
        return [item for _, item in sorted(zip(lots, items, strict=True), key=lambda pair: pair[0])]
    found = margins(items)
    if len(found) != len(items):
        raise ConfigError(f"the margins hook returned {len(found)} margins for {len(items)} items")
    keys = [(margin is None, margin or 0.0, lot) for margin, lot in zip(found, lots, strict=True)]
    return [item for _, item in sorted(zip(keys, items, strict=True), key=lambda pair: pair[0])]


def limit_per_task(items: Iterable[Item], most: int) -> list[Item]:
    """The first `most` items of each task; 0 keeps all."""
    seen: Counter[str] = Counter()
    kept = []
    for item in items:
        seen[item.task_id] += 1
        if not most or seen[item.task_id] <= most:
            kept.append(item)
    return kept


# ------------------------------------------------------------------------------------------------ rows


def item_row(item: Item) -> dict[str, Any]:
    """The JSON object `item_from_row` reads back."""
    return asdict(item)


def item_from_row(row: Mapping[str, Any]) -> Item:
    """An item of a labelling folder."""
    a, b = (Candidate(**{**row[side], "results": tuple(row[side]["results"])}) for side in "ab")
    prompt = tuple(Message(message["role"], message["content"]) for message in row["prompt"])
    return Item(row["id"], row["task_id"], prompt, a, b)
