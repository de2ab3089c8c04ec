"""The rows of a reward model's `held_out.jsonl` (docs/preferences.md) as answers and preferences between them.

A row says of a pair, a rated answer or a ranking what each answer scored, how long it is and, where known, what share
of its tests it passed. An answer that is in several records is one answer, and in each of its preferences.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any, Literal

from verigrad.decimals import sides_of_mean

__all__ = ["Answer", "HeldOut", "Mistake", "Preference", "mistake", "read_held_out"]

_Row = Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """One distinct answer to a prompt.

    Attributes:
        prompt: which prompt, as a key.
        score: the reward model's.
        wanted: on the better side of its record (its label; chosen; above the mean of its ranking); None where it is on
            neither, or on either in different records.
        fraction: share of its tests that it passes; None where unknown.
        tokens: its length, end token included; None where unknown.
    """

    prompt: Hashable
    score: float
    wanted: bool | None
    fraction: float | None
    tokens: int | None

    @property
    def passed(self) -> bool | None:
        """Whether it passes all its tests."""
        return None if self.fraction is None else self.fraction >= 1.0


@dataclass(frozen=True)
class Preference:
    """Two answers to one prompt, of which a label calls one the better.

    Attributes:
        prompt: which prompt, as a key.
        gap: score of the better one minus that of the worse one.
        extra_tokens: how many tokens longer the better one is; None where unknown.
        extra_tests: how much larger a share of its tests it passes; None where unknown.
    """

    prompt: Hashable
    gap: float
    extra_tokens: int | None = None
    extra_tests: float | None = None


@dataclass(frozen=True)
class HeldOut:
    """Held-out rows as answers and preferences.

    Attributes:
        kind: of the records: `pairs`, `labels` (one rated answer each) or `rankings`.
        answers: distinct ones.
        preferences: the records' own; of labels, each wanted with each unwanted answer to the same prompt.
    """

    kind: Literal["pairs", "labels", "rankings"]
    answers: Sequence[Answer]
    preferences: Sequence[Preference]

    @cached_property
    def judged(self) -> bool:
        """Whether tests say of passing and of failing answers that they are so."""
        return {True, False} <= {answer.passed for answer in self.answers}

    def sides(self) -> tuple[list[Answer], list[Answer]]:
        """Good and bad answers: those that pass and fail where tests say so, else the wanted and the unwanted."""
        known = [(a, a.passed if self.judged else a.wanted) for a in self.answers]
        return [a for a, good in known if good is True], [a for a, good in known if good is False]


# -------------------------------------------------------------------------------------------- reading


def read_held_out(rows: Sequence[_Row]) -> HeldOut:
    """The answers and preferences of rows, at least one, all of one kind; older rows lack lengths and verdicts."""
    answers: dict[tuple[Hashable, Hashable], Answer] = {}
    preferences: list[Preference] = []
    for row in rows:
        prompt, own = _prompt_of(row), _answers(row)
        for number, answer in enumerate(own):
            first = answers.setdefault((prompt, _answer_key(row, number)), answer)
            if first.wanted != answer.wanted:  # chosen here and rejected there
                first = replace(first, wanted=None)
            if first.fraction is None:  # not every record of it says
                first = replace(first, fraction=answer.fraction)
            answers[prompt, _answer_key(row, number)] = first
        preferences += [_preference(own[a], own[b]) for a, b in _better_and_worse(row)]
    found = list(answers.values())
    if "desirable" in rows[0]:
        return HeldOut("labels", found, _by_label(found))
    return HeldOut("rankings" if "candidate_rewards" in rows[0] else "pairs", found, preferences)


def _prompt_of(row: _Row) -> Hashable:
    return str(row["prompt_id"]) if "prompt_id" in row else ("record", row.get("record"))


def _answer_key(row: _Row, number: int) -> Hashable:
    return str(row["answer_ids"][number]) if "answer_ids" in row else (row.get("record"), number)


def _answers(row: _Row) -> list[Answer]:
    size = len(row["scores"])
    fractions, tokens = row.get("fractions") or [None] * size, row.get("tokens") or [None] * size
    wanted = _wanted(row)
    return [
        Answer(
            prompt=_prompt_of(row),
            score=float(row["scores"][i]),
            wanted=wanted[i],
            fraction=fractions[i],
            tokens=tokens[i],
        )
        for i in range(size)
    ]


def _wanted(row: _Row) -> list[bool | None]:
    if "desirable" in row:
        return [bool(row["desirable"])]
    rewards = row.get("candidate_rewards")
    return [True, False] if rewards is None else sides_of_mean(rewards)


def _better_and_worse(row: _Row) -> list[tuple[int, int]]:
    """Places of every two answers of a row of which the first is the better; none in a rated answer."""
    if "desirable" in row:
        return []
    rewards = row.get("candidate_rewards", (1, 0))
    return [(a, b) for a, b in product(range(len(rewards)), repeat=2) if rewards[a] > rewards[b]]


def _preference(better: Answer, worse: Answer) -> Preference:
    tokens = None if better.tokens is None or worse.tokens is None else better.tokens - worse.tokens
    tests = None if better.fraction is None or worse.fraction is None else better.fraction - worse.fraction
    return Preference(better.prompt, better.score - worse.score, tokens, tests)


def _by_label(answers: Sequence[Answer]) -> list[Preference]:
    wanted: dict[Hashable, list[Answer]] = {}
    for answer in answers:
        if answer.wanted:
            wanted.setdefault(answer.prompt, []).append(answer)
    unwanted = [answer for answer in answers if answer.wanted is False]
    return [_preference(better, worse) for worse in unwanted for better in wanted.get(worse.prompt, ())]


@dataclass(frozen=True)
class Mistake:
    """The worst a row's scores get wrong.

    Attributes:
        size: by how much the worse of two answers is ahead, or a rated answer is on the wrong side of 0; below 0
            where nothing is wrong.
        shown: places of the answers it is about: the better and the worse one, or the rated one.
    """

    size: float
    shown: tuple[int, ...]


def mistake(row: _Row) -> Mistake | None:
    """The largest mistake of a row of `held_out.jsonl`; None where its answers are all equally good.

    >>> mistake({"scores": [1.0, 3.5]})
    Mistake(size=2.5, shown=(0, 1))
    """
    scores = row["scores"]
    if "desirable" in row:
        return Mistake(-scores[0] if row["desirable"] else scores[0], (0,))
    pairs = _better_and_worse(row)
    return max((Mistake(scores[b] - scores[a], (a, b)) for a, b in pairs), key=lambda found: found.size, default=None)
