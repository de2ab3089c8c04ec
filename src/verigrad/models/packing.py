"""Packing views into forward passes, so that a prompt shared by several completions is run once.

A packed row holds stretches one behind the other; a stretch is one prompt and the completions that continue it:

    ids        p p p p a a a b b b b | q q c c
    position   0 1 2 3 4 5 6 4 5 6 7 | 0 1 2 3

A token attends to what precedes it in its own completion and in its prompt (`verigrad.models.attention`), so every
log-probability equals that of the completion scored alone. The last scored token of a completion, which predicts
nothing, is not run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from verigrad.models.attention import Stretch
from verigrad.models.base import View

__all__ = ["Pack", "pack_views"]

# Rows are filled up to a multiple of this. oneDNN compiles and keeps a kernel for every shape it meets, which costs
# time and memory; with free lengths nearly every pack of a run would bring new ones.
_MULTIPLE = 128


@dataclass(frozen=True)
class Pack:
    """One forward pass: a packed row of `L` ids, and where each of `S` scored tokens is predicted.

    Attributes:
        input_ids, position_ids: (1, L).
        stretches: how the row divides.
        predictor: (S,) the position whose output is the distribution of the scored token.
        target_row, target_token: (S,) the scored token's place in the batch.
        target_ids: (S,) the scored token.
        rows: rows of the batch this pack scores.
    """

    input_ids: Tensor
    position_ids: Tensor
    stretches: tuple[Stretch, ...]
    predictor: Tensor
    target_row: Tensor
    target_token: Tensor
    target_ids: Tensor
    rows: tuple[int, ...]

    @property
    def num_tokens(self) -> int:
        """Positions run."""
        return self.input_ids.numel()

    def targets(self) -> list[tuple[int, int]]:
        return list(zip(self.target_row.tolist(), self.target_token.tolist(), strict=True))


def pack_views(views: Sequence[View], *, token_budget: int, share_prompts: bool = True) -> list[Pack]:
    """Pack causal views into forward passes of at most about `token_budget` positions.

    A group larger than the budget is split, its prompt run once per part; a completion larger than the budget is a
    pack of its own. The order is a function of the views alone.

    Raises:
        ValueError: a view's attention is not causal, or its first token is scored, which nothing comes before.
    """
    for view in views:
        if view.attention != "causal":
            raise ValueError(f"packing is for causal views, got a view with {view.attention!r} attention")
        if bool(view.scored[:1].any()):
            raise ValueError(
                f"row {view.row} scores its first token, which no token comes before to predict it; wanted a prompt of "
                "one token or more, such as the one that begins a text"
            )
    packs: list[list[_Family]] = []
    for family in _families(views, token_budget, share_prompts):
        if not packs or sum(member.length for member in packs[-1]) + family.length > token_budget:
            packs.append([])
        packs[-1].append(family)
    return [_build(families) for families in packs]


@dataclass(frozen=True)
class _Family:
    """Views that continue one prompt."""

    prompt_length: int
    views: tuple[View, ...]

    @property
    def length(self) -> int:
        return self.prompt_length + sum(_run_length(view) - self.prompt_length for view in self.views)


def _families(views: Sequence[View], token_budget: int, share_prompts: bool) -> Iterator[_Family]:
    by_prompt: dict[tuple[int, ...], list[View]] = {}
    for view in views:
        if bool(view.scored.any()):
            key = tuple(view.input_ids[: _start(view)].tolist()) if share_prompts else (view.row, -1)
            by_prompt.setdefault(key, []).append(view)
    for siblings in by_prompt.values():
        start = _start(siblings[0])
        chosen: list[View] = []
        length = start
        for view in siblings:
            own = _run_length(view) - start
            if chosen and (length + own > token_budget or not share_prompts):
                yield _Family(start, tuple(chosen))
                chosen, length = [], start
            chosen.append(view)
            length += own
        yield _Family(start, tuple(chosen))


def _start(view: View) -> int:
    """Position of the first scored token: the length of the prompt."""
    return int(view.scored.nonzero()[0])


def _run_length(view: View) -> int:
    """Positions of a view that must be run: all before its last scored token."""
    return int(view.scored.nonzero()[-1])


def _build(families: Sequence[_Family]) -> Pack:
    ids: list[Tensor] = []
    positions: list[Tensor] = []
    targets: list[tuple[int, int, int, int]] = []
    stretches = []
    cursor = 0
    for family in families:
        start = family.prompt_length
        ids.append(family.views[0].input_ids[:start])
        positions.append(torch.arange(start))
        last_of_prompt = cursor + start - 1
        cursor += start
        for view in family.views:
            end = _run_length(view)
            ids.append(view.input_ids[start:end])
            positions.append(torch.arange(start, end))
            for token in view.scored.nonzero().flatten().tolist():
                where = last_of_prompt if token == start else cursor + token - 1 - start
                targets.append((where, view.row, token, int(view.input_ids[token])))
            cursor += end - start
        # A completion of one token is predicted by the prompt alone and runs nothing itself.
        lengths = tuple(length for view in family.views if (length := _run_length(view) - start))
        stretches.append(Stretch(start, lengths))
    if padding := -cursor % _MULTIPLE:
        ids.append(torch.zeros(padding, dtype=torch.long))
        positions.append(torch.arange(padding))
        stretches.append(Stretch(padding, ()))
    predictor, row, place, target_ids = torch.tensor(targets, dtype=torch.long).T.unbind()
    rows = tuple(view.row for family in families for view in family.views)
    return Pack(
        torch.cat(ids)[None], torch.cat(positions)[None], tuple(stretches), predictor, row, place, target_ids, rows
    )
