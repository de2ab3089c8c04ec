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
from typing import Any

import torch
from torch import Tensor

from verigrad.evaluation.held_out import mistake, read_held_out
from verigrad.evaluation.held_out_figures import point_figures
from verigrad.models.scalar import last_values, pack_values
from verigrad.preferences.records import fractions_of
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


def held_out_metrics(scores: Tensor, examples: Sequence[Example]) -> dict[str, float]:
    """Figures on prompts not trained on, as the report has them: see `held_out_figures.point_figures`.

    Args:
        scores: of all rows of all examples, in order, as `score_examples` gives them.
        examples: at least one, all of one kind.
    """
    return point_figures(read_held_out(_rows(scores, examples)))


def _tokens(example: Example) -> list[int]:
    """Lengths of the answers of its rows; the last token, there twice, is counted once."""
    return [sum(row.mask) - 1 for row in example.rows]


def held_out_rows(scores: Tensor, examples: Sequence[Example]) -> list[dict[str, Any]]:
    """Rows of `held_out.jsonl`, as the head of this file describes them."""
    rows = _rows(scores, examples)
    for number in _worst(rows):
        record = examples[number].record
        rows[number] |= {"prompt": _as_text(record.prompt), "answers": list(answers_of(record))}
    return rows


def _rows(scores: Tensor, examples: Sequence[Example]) -> list[dict[str, Any]]:
    parts = scores.split([len(example.rows) for example in examples])
    return [_row(example, own.tolist()) for example, own in zip(examples, parts, strict=True)]


def _row(example: Example, scores: Sequence[float]) -> dict[str, Any]:
    record = example.record
    task = {"task_id": str(record.meta["task_id"])} if "task_id" in record.meta else {}
    return {
        "record": example.number,
        **task,
        "prompt_id": _digest([(message.role, message.content) for message in record.prompt]),
        "answer_ids": [_digest(text) for text in answers_of(record)],
        "scores": list(scores),
        "tokens": _tokens(example),
        "fractions": fractions_of(record),
        **{key: list(value) if isinstance(value, tuple) else value for key, value in example.facts.items()},
    }


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
