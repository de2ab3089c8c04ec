"""Packing views into forward passes, so that a prompt shared by several completions is run once.

A packed sequence holds one prompt and the completions that continue it, one behind the other:

    ids        p p p p | a a a | b b b b
    position   0 1 2 3 | 4 5 6 | 4 5 6 7
    owner      0 0 0 0 | 1 1 1 | 2 2 2 2

A token attends to what precedes it in its own completion and in the prompt, never to a sibling, so every
log-probability equals that of the completion scored alone. The last scored token of a completion predicts
nothing and is not run at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from verigrad.models.base import View

__all__ = ["Pack", "pack_views"]

_PADDING = -1


@dataclass(frozen=True)
class Pack:
    """One forward pass: `P` packed sequences of `L` ids, and where each scored token is predicted.

    Attributes:
        input_ids, position_ids: (P, L).
        owner: (P, L) 0 for the prompt, 1.. for the completions of that sequence, -1 for padding.
        predictor_pack, predictor_position: (S,) where the distribution of each scored token comes out.
        target_row, target_token: (S,) the scored token's place in the batch.
        target_ids: (S,) the scored token.
        rows: rows of the batch this pack scores.
    """

    input_ids: Tensor
    position_ids: Tensor
    owner: Tensor
    predictor_pack: Tensor
    predictor_position: Tensor
    target_row: Tensor
    target_token: Tensor
    target_ids: Tensor
    rows: tuple[int, ...]

    @property
    def num_tokens(self) -> int:
        """Positions run, padding included."""
        return self.input_ids.numel()

    def targets(self) -> list[tuple[int, int]]:
        return list(zip(self.target_row.tolist(), self.target_token.tolist(), strict=True))

    def attention_mask(self, device: torch.device, dtype: torch.dtype) -> Tensor | None:
        """(P, 1, L, L) additive mask, or None where plain causal attention gives the same.

        Padding stands on the right, where causal attention never looks; a padded query sees itself, so that no
        row of the softmax is empty.
        """
        if int(self.owner.max()) <= 1:
            return None
        owner = self.owner.to(device)
        length = owner.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool, device=device).tril()
        same = owner[:, :, None] == owner[:, None, :]
        in_prompt = (owner == 0)[:, None, :]
        allowed = causal & (same | in_prompt)
        blocked = torch.zeros(allowed.shape, dtype=dtype, device=device).masked_fill(~allowed, float("-inf"))
        return blocked[:, None]


@dataclass(frozen=True)
class _Sequence:
    """One prompt and the views that continue it."""

    prompt_length: int
    views: tuple[View, ...]

    @property
    def length(self) -> int:
        return self.prompt_length + sum(_run_length(view) - self.prompt_length for view in self.views)


def pack_views(views: Sequence[View], *, token_budget: int, share_prompts: bool = True) -> list[Pack]:
    """Pack causal views into forward passes of about `token_budget` positions.

    Sequences of similar length go together, so little is padding; a sequence larger than the budget is a pack
    of its own. The order is a function of the views alone.

    Raises:
        ValueError: a view's attention is not causal.
    """
    for view in views:
        if view.attention != "causal":
            raise ValueError(f"packing is for causal views, got a view with {view.attention!r} attention")
    sequences = sorted(_sequences(views, token_budget, share_prompts), key=lambda sequence: -sequence.length)
    return [_build(bucket) for bucket in _buckets(sequences, token_budget)]


def _sequences(views: Sequence[View], token_budget: int, share_prompts: bool) -> Iterator[_Sequence]:
    by_prompt: dict[tuple[int, ...], list[View]] = {}
    for view in views:
        if bool(view.scored.any()):
            start = int(view.scored.nonzero()[0])
            key = tuple(view.input_ids[:start].tolist()) if share_prompts else (view.row, -1)
            by_prompt.setdefault(key, []).append(view)
    for siblings in by_prompt.values():
        start = int(siblings[0].scored.nonzero()[0])
        chosen: list[View] = []
        length = start
        for view in siblings:
            own = _run_length(view) - start
            if chosen and (length + own > token_budget or not share_prompts):
                yield _Sequence(start, tuple(chosen))
                chosen, length = [], start
            chosen.append(view)
            length += own
        yield _Sequence(start, tuple(chosen))


def _run_length(view: View) -> int:
    """Positions of a view that must be run: all before its last scored token."""
    return int(view.scored.nonzero()[-1])


def _buckets(sequences: Sequence[_Sequence], token_budget: int) -> Iterator[list[_Sequence]]:
    bucket: list[_Sequence] = []
    for sequence in sequences:  # longest first, so the first of a bucket sets its width
        if bucket and (len(bucket) + 1) * bucket[0].length > token_budget:
            yield bucket
            bucket = []
        bucket.append(sequence)
    if bucket:
        yield bucket


def _build(sequences: Sequence[_Sequence]) -> Pack:
    shape = (len(sequences), max(1, *(sequence.length for sequence in sequences)))
    input_ids = torch.zeros(shape, dtype=torch.long)
    position_ids = torch.zeros(shape, dtype=torch.long)
    owner = torch.full(shape, _PADDING)
    targets: list[tuple[int, int, int, int, int]] = []
    for index, sequence in enumerate(sequences):
        start = sequence.prompt_length
        input_ids[index, :start] = sequence.views[0].input_ids[:start]
        position_ids[index, :start] = torch.arange(start)
        owner[index, :start] = 0
        cursor = start
        for number, view in enumerate(sequence.views, 1):
            end = _run_length(view)
            here = slice(cursor, cursor + end - start)
            input_ids[index, here] = view.input_ids[start:end]
            position_ids[index, here] = torch.arange(start, end)
            owner[index, here] = number
            for token in view.scored.nonzero().flatten().tolist():
                predictor = start - 1 if token == start else cursor + token - 1 - start
                targets.append((index, predictor, view.row, token, int(view.input_ids[token])))
            cursor = here.stop
    where_pack, where_position, row, token, ids = torch.tensor(targets, dtype=torch.long).T.unbind()
    rows = tuple(view.row for sequence in sequences for view in sequence.views)
    return Pack(input_ids, position_ids, owner, where_pack, where_position, row, token, ids, rows)
