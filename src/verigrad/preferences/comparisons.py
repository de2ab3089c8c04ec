"""Which answers to a task a model is asked about, and what becomes of its opinions: pure functions.

found = draw_comparisons(task, most=2, seed=0)            # of answers whose programs differ
pair = preferred_pair(found[0], opinion)                  # None unless both orders were for the same answer
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from random import Random
from typing import Any

from verigrad.preferences.mining import Scored, TaskAnswers, distinct, pair_of
from verigrad.preferences.model_judge import Opinion
from verigrad.preferences.records import Pair
from verigrad.seeds import derive_seed
from verigrad.types import Message

__all__ = [
    "Comparison",
    "answers_from_row",
    "answers_row",
    "draw_comparisons",
    "preferred_pair",
    "tally",
]


@dataclass(frozen=True)
class Comparison:
    """Two answers to one task; the id is a digest of the texts, so the same comparison is found again."""

    id: str
    task_id: str
    a: Scored
    b: Scored


def draw_comparisons(task: TaskAnswers, *, most: int = 0, seed: int = 0) -> list[Comparison]:
    """So many pairs of a task's distinct answers, by lot; all where `most` is 0.

    At least one of the two ended by itself: of two that were cut off neither is ever preferred.
    """
    pairs = [pair for pair in combinations(distinct(task.answers), 2) if pair[0].finished or pair[1].finished]
    Random(derive_seed(seed, "compare", task.task_id)).shuffle(pairs)
    return [_comparison(task.task_id, one, other) for one, other in pairs[: most or None]]


def _comparison(task_id: str, one: Scored, other: Scored) -> Comparison:
    a, b = sorted((one, other), key=lambda answer: answer.text)  # neither letter means anything
    prompt = [(message.role, message.content) for message in a.prompt]
    digest = hashlib.sha256(json.dumps([prompt, a.shown, b.shown]).encode()).hexdigest()
    return Comparison(digest[:16], task_id, a, b)


def preferred_pair(comparison: Comparison, opinion: Opinion | None) -> Pair | None:
    """The pair an opinion comes to; None where there is no preference, or one for an answer that was cut off."""
    if opinion is None or opinion.preferred not in ("a", "b"):
        return None
    a, b = comparison.a, comparison.b
    better, worse = (a, b) if opinion.preferred == "a" else (b, a)
    return pair_of(better, worse, task_id=comparison.task_id) if better.finished else None


def tally(comparisons: Sequence[Comparison], opinions: Mapping[str, Opinion]) -> dict[str, float]:
    """What came of the comparisons, by the names of docs/metrics.md; `opinions` are by a comparison's id."""
    count = len(comparisons)
    if not count:
        return {"judge_pairs": 0}
    told = [opinions.get(comparison.id) for comparison in comparisons]
    kinds = [_kind(opinion) for opinion in told]
    pairs = [preferred_pair(*both) for both in zip(comparisons, told, strict=True)]
    cut_off = kinds.count("agreed") - sum(pair is not None for pair in pairs)
    shares = {f"judge_{kind}": kinds.count(kind) / count for kind in _KINDS}
    return {"judge_pairs": count, **shares, "judge_cut_off": cut_off / count, **_beside_tests(pairs)}


_KINDS = ("agreed", "ties", "disagreed", "skipped", "failed")


def _kind(opinion: Opinion | None) -> str:
    if opinion is None:
        return "failed"
    if opinion.preferred == "skip":
        return "skipped"
    if opinion.preferred == "tie":
        return "disagreed" if opinion.meta.get("orders_disagree") else "ties"
    return "agreed"


def _beside_tests(pairs: Iterable[Pair | None]) -> dict[str, float]:
    """Of pairs whose answers pass different shares of the tests, how often the better one was chosen."""
    shares = [(pair.meta["chosen_fraction"], pair.meta["rejected_fraction"]) for pair in pairs if pair is not None]
    differing = [chosen > rejected for chosen, rejected in shares if chosen != rejected]
    return {"judge_as_tests": sum(differing) / len(differing)} if differing else {}


# ------------------------------------------------------------------------------------------------ rows


def answers_row(task: TaskAnswers) -> dict[str, Any]:
    """The JSON object `answers_from_row` reads back."""
    return asdict(task)


def answers_from_row(row: Mapping[str, Any]) -> TaskAnswers:
    """Answers as a run's folder keeps them."""
    answers = []
    for answer in row["answers"]:
        prompt = tuple(Message(message["role"], message["content"]) for message in answer["prompt"])
        answers.append(Scored(**{**answer, "prompt": prompt, "outcomes": tuple(answer["outcomes"])}))
    return TaskAnswers(row["task_id"], tuple(answers), tuple(row["left_out"]))
