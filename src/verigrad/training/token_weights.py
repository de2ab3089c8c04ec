"""How much each token of a pair's answers counts, for losses that weigh tokens: computed once a round, pair by pair.

A weighting is a function `(chosen, rejected) -> two lists of floats`, one float a token; your own lives in a file and
is named `--token-weights my.py:fn`. Weights of an answer are of its tokens alone, end token included, not of the
prompt's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import torch
from torch import Tensor

from verigrad.algorithms.preference import ld_weights
from verigrad.algorithms.shaping import diff_span, on_lines, text_offsets, token_lines
from verigrad.errors import ConfigError, DataError
from verigrad.models.pieces import token_bytes
from verigrad.preferences.records import Pair
from verigrad.registry import resolve
from verigrad.rewards.format import extract_program
from verigrad.rewards.security import bandit_findings
from verigrad.training.examples import Example
from verigrad.types import Task

__all__ = ["WEIGHTINGS", "PairAnswer", "Weighting", "pair_weights", "weights_of"]


@dataclass(frozen=True)
class PairAnswer:
    """One answer of a pair, as a weighting sees it.

    Attributes:
        ids: its tokens, the end token last, but of an answer that was cut off.
        text: that they spell.
        pieces: the bytes of each token, empty for the end token.
        spans: `meta["chosen_spans"]` or `meta["rejected_spans"]` of the record, `(start, end)` in characters of the
            text; None where it says nothing.
        meta: of the record.
    """

    ids: tuple[int, ...]
    text: str
    pieces: tuple[bytes, ...]
    spans: tuple[tuple[int, int], ...] | None
    meta: Mapping[str, Any]

    def offsets(self) -> list[tuple[int, int]]:
        """Characters of the text that each token touches, `(start, end)`, end exclusive.

        Raises:
            ConfigError: the tokens do not spell the text, so that nothing in it finds its tokens.
        """
        found = text_offsets(self.text, self.pieces)
        if found is None:
            written = b"".join(self.pieces).decode("utf-8", errors="replace")
            raise ConfigError(
                f"the tokenizer spells {self.text[:40]!r} as {written[:40]!r}, so that places in an answer do not find "
                "their tokens; take token_weights that go by tokens: diff, edits or length"
            )
        return found

    def touching(self, spans: Sequence[tuple[int, int]]) -> list[bool]:
        """Of each token whether it touches one of the spans of characters."""
        return [any(start < high and low < end for low, high in spans) for start, end in self.offsets()]


Weighting = Callable[[PairAnswer, PairAnswer], tuple[Sequence[float], Sequence[float]]]


def weights_of(name: str, examples: Sequence[Example], tokenizer: Any) -> list[tuple[Tensor, Tensor]]:
    """Weights of the chosen and the rejected answer's tokens of every pair.

    Raises:
        ConfigError: there is no such weighting, or it gives something else than one finite number a token.
        DataError: spans in a record's `meta` are malformed.
    """
    weighting: Weighting = resolve(name, WEIGHTINGS, what="token_weights")
    return [pair_weights(weighting, example, tokenizer, name=name) for example in examples]


def pair_weights(weighting: Weighting, example: Example, tokenizer: Any, *, name: str) -> tuple[Tensor, Tensor]:
    """Weights of one pair's tokens, checked; arguments and errors as of `weights_of`."""
    record = example.record
    assert isinstance(record, Pair)
    place = record.place or f"record {example.number + 1}"
    answers = []
    for side, text, row in zip(("chosen", "rejected"), (record.chosen, record.rejected), example.rows, strict=True):
        ids = row.ids[row.prompt_length :]
        spans = _spans(record.meta.get(f"{side}_spans"), f"{place}: meta.{side}_spans", len(text))
        answers.append(PairAnswer(ids, text, tuple(token_bytes(tokenizer, ids)), spans, record.meta))
    chosen, rejected = (torch.as_tensor(weights, dtype=torch.float32) for weights in weighting(*answers))
    for side, weights, answer in (("chosen", chosen, answers[0]), ("rejected", rejected, answers[1])):
        if weights.shape != (len(answer.ids),) or not bool(weights.isfinite().all()):
            raise ConfigError(
                f"token_weights {name!r} gave {side} weights {weights.tolist()} for {len(answer.ids)} tokens; wanted "
                "one finite number each"
            )
    return chosen, rejected


def _spans(value: Any, place: str, length: int) -> tuple[tuple[int, int], ...] | None:
    if value is None:
        return None
    good = isinstance(value, list | tuple) and all(
        isinstance(span, list | tuple)
        and len(span) == 2
        and all(isinstance(end, int) for end in span)
        and 0 <= span[0] < span[1] <= length
        for span in value
    )
    if not good:
        raise DataError(f"{place} is {value!r}; wanted a list of [start, end] within the answer's {length} characters")
    return tuple((start, end) for start, end in value)


def _by_diff(chosen: PairAnswer, rejected: PairAnswer) -> tuple[list[float], list[float]]:
    """Focused-DPO, arXiv:2502.11475: twice as much between the longest common prefix and suffix."""
    good, bad = diff_span(*_rows(chosen, rejected))
    return good[0].tolist(), bad[0].tolist()


def _by_edits(chosen: PairAnswer, rejected: PairAnswer) -> tuple[list[float], list[float]]:
    """Target-DPO, arXiv:2503.02783: all of the chosen answer, of the rejected one what a diff takes away alone."""
    _, bad = diff_span(*_rows(chosen, rejected), inside=1.0, outside=0.0, spans="edits")
    return [1.0] * len(chosen.ids), bad[0].tolist()


def _by_length(chosen: PairAnswer, rejected: PairAnswer) -> tuple[list[float], list[float]]:
    """LD-DPO, arXiv:2409.06411: half as much beyond the other's length."""
    _, _, *masks = _rows(chosen, rejected)
    good, bad = ld_weights(*masks)
    return good[0].tolist(), bad[0].tolist()


def _by_security(chosen: PairAnswer, rejected: PairAnswer) -> tuple[list[float], list[float]]:
    """LPO, arXiv:2506.00419: the tokens that matter for security, and none else.

    Of the rejected answer those in the record's spans, or on lines that bandit names; of the chosen one those in its
    spans, or what a diff puts in the place of the rejected one's.
    """
    bad = rejected.touching(rejected.spans) if rejected.spans is not None else _on_findings(rejected)
    if chosen.spans is not None:
        good = chosen.touching(chosen.spans)
    else:
        good = [False] * len(chosen.ids)
        matcher = SequenceMatcher(None, rejected.ids, chosen.ids, autojunk=False)
        for kind, start, end, first, last in matcher.get_opcodes():
            if kind != "equal" and any(bad[max(0, start - 1) : end + 1]):
                good[first:last] = [True] * (last - first)
    return [float(on) for on in good], [float(on) for on in bad]


def _on_findings(answer: PairAnswer) -> list[bool]:
    """Of each token whether it stands on a line of the answer's program that bandit names."""
    extraction = extract_program(answer.text, Task(id="pair", prompt=""))
    if extraction is None:
        return [False] * len(answer.ids)
    named = {line for finding in bandit_findings(extraction.program) or () for line in finding.lines}
    start, end = extraction.span
    lines = token_lines(answer.text, answer.offsets(), code_start=start, code_end=end)
    return [bool(on) for on in on_lines(lines[None], [named])[0]]


def _rows(chosen: PairAnswer, rejected: PairAnswer) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Ids and masks (1, T) of both."""
    good, bad = (torch.tensor([answer.ids]) for answer in (chosen, rejected))
    return good, bad, torch.ones_like(good).bool(), torch.ones_like(bad).bool()


WEIGHTINGS: dict[str, Weighting] = {
    "diff": _by_diff,
    "edits": _by_edits,
    "length": _by_length,
    "security": _by_security,
}
