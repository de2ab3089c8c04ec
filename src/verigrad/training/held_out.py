"""What a reward model says of prompts it was not trained on: figures for the log, and `held_out.jsonl` for the report.

One row a record, in the order of the records:

    record             its number among the held-out records
    task_id            where the record names it
    prompt_id          digest of the prompt, answer_ids of the answers: the same text, the same id
    scores             of the answers: chosen and rejected, or the rated one, or a ranking's in its order
    tokens             of the answers, end token included
    fractions          share of its tests that each answer passed; null where the record does not say
    margin | desirable | candidate_rewards
    prompt, answers    texts, only of the records that are worst mistaken (at most twenty, one a prompt)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor

from verigrad.algorithms.score_metrics import auc, expected_calibration_error, length_bias, pair_accuracy
from verigrad.evaluation.held_out import mistake
from verigrad.models.scalar import last_values, pack_values
from verigrad.preferences.records import Pair, Prompt, Rated, Record
from verigrad.training.examples import Example, answers_of, chunks, one_pack
from verigrad.types import Message

__all__ = ["held_out_metrics", "held_out_rows", "score_examples"]

_TEXTS = 20


def score_examples(model: Any, examples: Sequence[Example], token_budget: int, dtype: torch.dtype) -> Tensor:
    """Scores of all rows of all examples, in order, without gradient."""
    found = []
    with torch.no_grad():
        for chunk in chunks(examples, token_budget):
            values = pack_values(model, one_pack(chunk.batch), chunk.batch, dtype=dtype).cpu()
            found.append(last_values(values, chunk.batch.mask))
    return torch.cat(found)


def held_out_metrics(scores: Tensor, examples: Sequence[Example], objective: str) -> dict[str, float]:
    """Figures on prompts not trained on.

    `pair_accuracy` (ties half), `auc` of wanted against unwanted answers, `auc_verdicts` of answers that pass every
    test against those that do not, `auc_verdicts_within_prompt` of such answers to one prompt, `calibration_error` of
    the probability the model gives its own choice (ties half), `length_bias` (rank correlation of score and length),
    each where the data determine it.

    Args:
        scores: of all rows of all examples, in order, as `score_examples` gives them.
        examples: at least one.
        objective: of the training; `verdict` takes scores as log-odds that an answer is wanted.
    """
    found: dict[str, float | None] = {"length_bias": length_bias(scores, torch.tensor(_tokens(examples)).float())}
    if objective == "verdict":
        passed = torch.tensor([example.facts["desirable"] for example in examples])
        found["auc"] = auc(scores, passed)
        found["calibration_error"] = expected_calibration_error(scores.sigmoid(), passed)
    else:
        parts = scores.split([len(example.rows) for example in examples])
        pairs = [(own[a], own[b]) for own, example in zip(parts, examples, strict=True) for a, b in _ordered(example)]
        good, bad = (torch.tensor([float(pair[side]) for pair in pairs]) for side in (0, 1))
        found["pair_accuracy"] = pair_accuracy(good, bad)
        both = torch.cat([good, bad])
        found["auc"] = auc(both, torch.arange(len(both)) < len(good))
        right = (good > bad) + 0.5 * (good == bad)  # equal scores state one half
        found["calibration_error"] = expected_calibration_error((good - bad).abs().sigmoid(), right)
    found |= _by_verdicts(scores, examples)
    return {key: value for key, value in found.items() if value is not None}


def _by_verdicts(scores: Tensor, examples: Sequence[Example]) -> dict[str, float | None]:
    """How the scores tell distinct answers that pass from those that fail, where the records know of their tests."""
    known: dict[Prompt, dict[str, tuple[float, bool]]] = {}
    scored = iter(scores.tolist())
    for example in examples:
        texts = answers_of(example.record)
        for text, fraction in zip(texts, _fractions(example.record) or [None] * len(texts), strict=True):
            score = next(scored)
            if fraction is not None:
                known.setdefault(example.record.prompt, {})[text] = (score, fraction == 1.0)
    answers = [answer for own in known.values() for answer in own.values()]
    wins = [
        (good > bad) + 0.5 * (good == bad)
        for own in known.values()
        for (good, passed), (bad, passes_too) in product(own.values(), repeat=2)
        if passed and not passes_too
    ]
    values, outcomes = torch.tensor([score for score, _ in answers]), torch.tensor([passed for _, passed in answers])
    return {
        "auc_verdicts": auc(values, outcomes.bool()),
        "auc_verdicts_within_prompt": sum(wins) / len(wins) if wins else None,
    }


def _ordered(example: Example) -> list[tuple[int, int]]:
    """Pairs of rows of which the first is the better."""
    rewards = example.facts.get("candidate_rewards")
    if rewards is None:
        return [(0, 1)]
    numbers = range(len(rewards))
    return [(a, b) for a in numbers for b in numbers if rewards[a] > rewards[b]]


def _tokens(examples: Sequence[Example]) -> list[int]:
    """Lengths of the answers of all rows; the end token, there twice, is counted once."""
    return [sum(row.mask) - 1 for example in examples for row in example.rows]


def held_out_rows(scores: Tensor, examples: Sequence[Example]) -> list[dict[str, Any]]:
    """Rows of `held_out.jsonl`, as the head of this file describes them."""
    scored = iter(zip(scores.tolist(), _tokens(examples), strict=True))
    rows = [_row(example, [next(scored) for _ in example.rows]) for example in examples]
    for number in _worst(rows):
        record = examples[number].record
        rows[number] |= {"prompt": _as_text(record.prompt), "answers": list(answers_of(record))}
    return rows


def _row(example: Example, scored: Sequence[tuple[float, int]]) -> dict[str, Any]:
    record = example.record
    task = {"task_id": str(record.meta["task_id"])} if "task_id" in record.meta else {}
    return {
        "record": example.number,
        **task,
        "prompt_id": _digest([(message.role, message.content) for message in record.prompt]),
        "answer_ids": [_digest(text) for text in answers_of(record)],
        "scores": [score for score, _ in scored],
        "tokens": [tokens for _, tokens in scored],
        "fractions": _fractions(record),
        **{key: list(value) if isinstance(value, tuple) else value for key, value in example.facts.items()},
    }


def _fractions(record: Record) -> list[float | None] | None:
    """Share of its tests that each answer passed, as miners and the export of labels write it into `meta`."""
    sides = [_share(record.meta.get(f"{side}_fraction")) for side in ("chosen", "rejected")]
    if isinstance(record, Pair):
        return sides
    if isinstance(record, Rated):
        own = _share(record.meta.get("fraction"))
        return [sides[not record.desirable] if own is None else own]
    # A ranking made of a pair has its `meta`, and the chosen answer first.
    return sides if len(record.completions) == 2 else None


def _share(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else None


def _worst(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Places of the rows with the largest mistakes, at most one a prompt."""
    sizes = {number: found.size for number, row in enumerate(rows) if (found := mistake(row)) and found.size > 0}
    first: dict[str, int] = {}
    for number in sorted(sizes, key=lambda number: -sizes[number]):
        first.setdefault(rows[number]["prompt_id"], number)
    return list(first.values())[:_TEXTS]


def _as_text(prompt: Sequence[Message]) -> str:
    if len(prompt) == 1:
        return prompt[0].content
    return "\n\n".join(f"{message.role}: {message.content}" for message in prompt)


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]
