"""Records of preferences as rows a model can score, and the packs they are run in.

An example is what one loss term is made of: the two rows of a pair, one rated answer, the candidates of a ranking.
Its rows always share a pack, so a loss over them is exact however the step is cut up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from verigrad.errors import ConfigError, DataError
from verigrad.models.base import Batch
from verigrad.models.chat import answer_ids, prompt_ids
from verigrad.models.packing import Pack, pack_views
from verigrad.preferences.records import Pair, Rated, Record, cut_off_of
from verigrad.training.batching import rows_batch
from verigrad.types import Message, Row

__all__ = [
    "Chunk",
    "Example",
    "answers_of",
    "chunks",
    "completion_row",
    "examples_of",
    "flat_rows",
    "one_pack",
    "token_sums",
]


@dataclass(frozen=True)
class Example:
    """The rows of one record: chosen and rejected, one answer, or candidates in the order of their rewards.

    Attributes:
        rows: prompt and answer each, the answer's tokens scored.
        record: that it was made of.
        number: of the record, the same in every epoch.
        facts: what the loss may want to know beside log-probs: `desirable`, `margin`, `candidate_rewards`, ...
    """

    rows: tuple[Row, ...]
    record: Record
    number: int
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def positions(self) -> int:
        """Positions one forward pass runs for it, the prompt once."""
        start = self.rows[0].prompt_length
        return start + sum(len(row.ids) - start for row in self.rows)


@dataclass(frozen=True)
class Chunk:
    """Examples that are run together.

    Attributes:
        examples: in order; their rows are those of `batch`, one example after the other.
        batch: of all rows.
    """

    examples: tuple[Example, ...]
    batch: Batch


def completion_row(
    tokenizer: Any,
    prompt: Sequence[Message],
    answer: str,
    *,
    system: str | None,
    max_length: int,
    closing: bool = False,
    cut_off: bool = False,
) -> Row | None:
    """A row of prompt and answer with the answer scored, end token included; None where it is too long.

    An answer that was `cut_off` has no end token: its writer did not end there, and the loss would move how likely that
    is. With `closing` the last token is there twice, so that the value before it is that of the whole answer.
    """
    messages = ((Message("system", system),) if system else ()) + tuple(prompt)
    start, own = prompt_ids(tokenizer, messages), answer_ids(tokenizer, answer)
    own = own[:-1] if cut_off else own
    ids = start + own + (own[-1:] if closing else ())
    if len(ids) > max_length:
        return None
    mask = (False,) * len(start) + (True,) * (len(ids) - len(start))
    return Row(ids, mask, (0.0,) * len(ids), (1.0,) * len(ids), {}, len(start))


def examples_of(
    tokenizer: Any, records: Sequence[Record], *, system: str | None, max_length: int, closing: bool = False
) -> list[Example]:
    """Examples of records; those with an answer longer than `max_length` are left out.

    Raises:
        DataError: the model's chat template does not take a record's messages; names the record.
    """
    found = []
    for number, record in enumerate(records):
        try:
            built = [
                completion_row(
                    tokenizer,
                    record.prompt,
                    text,
                    system=system,
                    max_length=max_length,
                    closing=closing,
                    cut_off=cut_off,
                )
                for text, cut_off in zip(answers_of(record), cut_off_of(record), strict=True)
            ]
        except ConfigError as error:
            raise DataError(f"{record.place or f'record {number + 1}'}: {error}") from error
        rows = tuple(row for row in built if row is not None)
        if len(rows) == len(built):
            found.append(Example(rows, record, number, _facts(record)))
    return found


def answers_of(record: Record) -> tuple[str, ...]:
    """The texts of a record's answers, in the order of an example's rows."""
    if isinstance(record, Pair):
        return record.chosen, record.rejected
    return (record.completion,) if isinstance(record, Rated) else record.completions


def _facts(record: Record) -> dict[str, Any]:
    if isinstance(record, Pair):
        return {"margin": record.margin}
    if isinstance(record, Rated):
        return {"desirable": record.desirable}
    return {"candidate_rewards": record.rewards}


def chunks(
    examples: Sequence[Example],
    token_budget: int,
    *,
    build: Callable[[Sequence[Row]], Batch] | None = None,
    positions: Callable[[Example], int] | None = None,
) -> Iterator[Chunk]:
    """Cut examples into forward passes of about `token_budget` positions; one that is larger has a pass of its own.

    Args:
        build: makes the batch of rows, `flat_rows` by default.
        positions: run for an example, by default those of a causal model.
    """
    build = build or flat_rows
    waiting: list[Example] = []
    total = 0
    for example in examples:
        own = positions(example) if positions else example.positions
        if waiting and total + own > token_budget:
            yield Chunk(tuple(waiting), build([row for other in waiting for row in other.rows]))
            waiting, total = [], 0
        waiting.append(example)
        total += own
    if waiting:
        yield Chunk(tuple(waiting), build([row for other in waiting for row in other.rows]))


def one_pack(batch: Batch) -> Pack:
    """The one forward pass that a causal model takes for a batch."""
    (pack,) = pack_views(batch.views, token_budget=1 << 60)
    return pack


def flat_rows(rows: Sequence[Row]) -> Batch:
    """Rows as a batch in which each is a rollout and a group of its own."""
    numbers = list(range(len(rows)))
    return rows_batch(rows, numbers, numbers, [0.0] * len(rows))


def token_sums(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sums (B,), means (B,) and counts (B,) of the scored entries of each row."""
    counts = mask.sum(dim=1)
    sums = torch.where(mask, values, 0.0).sum(dim=1)
    return sums, sums / counts.clamp(min=1), counts
