"""Texts as rows to learn from: as they are, or turned round so that a causal model learns to fill in the middle."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from random import Random
from typing import Any

from verigrad.errors import ConfigError, DataError
from verigrad.jsonl import read_rows
from verigrad.models.fim import FimSpec, fim_prompt
from verigrad.types import Row

__all__ = ["can_turn", "text_pieces", "text_row", "turned_round"]


def text_pieces(file: Path, tokenizer: Any, max_length: int) -> list[tuple[int, ...]]:
    """Ids of the texts of a JSONL file of `{"text"}`, each with an end token, in pieces of at most `max_length`.

    A piece of one token, from which nothing can be learned, is left out.

    Raises:
        ConfigError: the file cannot be read, or the tokenizer has no end token.
        DataError: a row is malformed.
    """
    if tokenizer.eos_token_id is None:
        raise ConfigError("the tokenizer has no eos_token, so a text has no end; set tokenizer.eos_token")
    found = []
    for place, row in read_rows(file):
        if not isinstance(row.get("text"), str):
            raise DataError(f"{place}: wanted a text under 'text', got {row.get('text')!r}")
        ids = (*tokenizer.encode(row["text"], add_special_tokens=False), tokenizer.eos_token_id)
        pieces = [ids[start : start + max_length] for start in range(0, len(ids), max_length)]
        found += [piece for piece in pieces if len(piece) > 1]
    return found


def text_row(ids: tuple[int, ...]) -> Row:
    """A row in which all but the first token is learned."""
    return _row(ids, (False,) + (True,) * (len(ids) - 1), 0)


def can_turn(row: Row, max_length: int) -> bool:
    """Whether a row has room for the three tokens that turning it round adds; pieces of a long text have none."""
    return len(row.ids) + 3 <= max_length


def turned_round(row: Row, spec: FimSpec, end_ids: Collection[int], max_length: int, random: Random) -> Row:
    """The row with a gap of one token or more written last, behind what stands before and behind it.

    The prompt stays in front and an end token at the end: `end_ids` are those of texts and of answers, which may
    differ. Of a text everything is learned, of an answer the gap alone; the three announcing tokens never are. A row
    with fewer than two tokens to divide, or too long with three more, stays as it is.
    """
    start = row.prompt_length
    end = row.ids[-1:] if row.ids[-1] in end_ids else ()
    body = row.ids[start : len(row.ids) - len(end)]
    if len(body) < 2 or not can_turn(row, max_length):
        return row
    one, other = sorted(random.sample(range(len(body) + 1), 2))
    prefix, middle, suffix = body[:one], body[one:other], body[other:]
    shown = fim_prompt(prefix, suffix, spec)
    learned = start == 0
    mask = (
        *((False,) * start),
        *(False, *((learned,) * len(prefix)), False, *((learned,) * len(suffix)), False),
        *((True,) * (len(middle) + len(end))),
    )
    return _row(row.ids[:start] + shown + middle + end, mask, start if learned else start + len(shown))


def _row(ids: tuple[int, ...], mask: tuple[bool, ...], prompt_length: int) -> Row:
    return Row(ids, mask, (0.0,) * len(ids), (1.0,) * len(ids), {}, prompt_length)
