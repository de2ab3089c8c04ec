"""Log-probabilities that a masked-diffusion model gives to the hidden tokens of views.

The counterpart of `packing` and `causal.score_pack`: views are padded to one width and run as a batch. A row of a
block-diffusion model is run twice in one pass, masked and as it is, so that all blocks are scored at once, each behind
the clean ones before it. Views of prefix attention are packed like causal rows: a prompt is run once for all of its
canvases.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from verigrad.models.attention import Stretch
from verigrad.models.base import ScoreKind, Scores, View
from verigrad.models.causal import plain_model
from verigrad.models.diffusion import DiffusionSpec, head_bias, hidden_states, predictor_columns
from verigrad.models.logprobs import selected_logprobs
from verigrad.models.visibility import Places

__all__ = ["MaskedPack", "masked_logprobs", "pack_masked_views", "score_masked_pack"]


@dataclass(frozen=True)
class MaskedPack:
    """One forward pass over `B` views padded to one width, and where each of `S` hidden tokens is predicted.

    Attributes:
        input_ids: (B, L).
        places: of the inputs.
        line: (S,) which of the B lines.
        view: (S,) which of the views given.
        column: (S,) whose output is the distribution of the hidden token.
        target_row, target_token: (S,) the token's place in the batch.
        target_ids: (S,) the token.
        weight: (S,) the view's factor on it.
        share: (S,) one over the number of views that hide the token.
        stretches: of prefix attention, where all stands in one line: prompts, and the canvases behind each.
    """

    input_ids: Tensor
    places: Places
    line: Tensor
    view: Tensor
    column: Tensor
    target_row: Tensor
    target_token: Tensor
    target_ids: Tensor
    weight: Tensor
    share: Tensor
    stretches: tuple[Stretch, ...] = ()

    @property
    def rows(self) -> tuple[int, ...]:
        """Rows of the batch this pack scores tokens of."""
        return tuple(self.target_row.unique().tolist())

    @property
    def num_tokens(self) -> int:
        """Positions run, padding included."""
        return self.input_ids.numel()


def pack_masked_views(views: Sequence[View], spec: DiffusionSpec, *, token_budget: int) -> list[MaskedPack]:
    """Cut views, in order, into forward passes of at most about `token_budget` positions; one that is larger has its
    own.

    Views that score nothing are left out. With prefix attention views that follow each other share the prompt they
    have in common, be it of one row or of several.

    Raises:
        ValueError: a view hides tokens without telling them, was drawn for another attention, or scores a token that
            nothing predicts.
    """
    for view in views:
        _check(view, spec)
    numbers = [number for number, view in enumerate(views) if bool(view.scored.any())]
    times = Counter(place for view in views for place in _places(view))
    shared = spec.attention == "prefix"
    cut, build = (_cut_by_prompt, _behind_prompts) if shared else (_cut_by_width, _padded)
    return [
        build([views[number] for number in own], own, spec, times) for own in cut(views, numbers, spec, token_budget)
    ]


def _places(view: View) -> list[tuple[int, int]]:
    """(row, token) of every token a view scores."""
    return [(view.row, token) for token in view.scored.nonzero().flatten().tolist()]


def _check(view: View, spec: DiffusionSpec) -> None:
    if view.attention != spec.attention:
        raise ValueError(f"a view for {view.attention!r} attention, got a model of {spec.attention!r} attention")
    if view.clean_ids is None:
        raise ValueError("a view of a masked-diffusion model needs clean_ids, the tokens its mask hides")
    if spec.shift and bool(view.scored[0]):
        raise ValueError(
            "the first token of a row is scored, which a model with shift cannot predict; begin it with a given token"
        )
    if spec.attention == "prefix" and bool(view.scored[: view.prompt_length].any()):
        raise ValueError(
            f"a token of the prompt is scored, among the first {view.prompt_length}, which prefix "
            "attention does not let see what is written; a prompt ends before the first scored token"
        )


def _cut_by_width(
    views: Sequence[View], numbers: Sequence[int], spec: DiffusionSpec, token_budget: int
) -> list[list[int]]:
    packs: list[list[int]] = []
    widest, copies = 0, 2 if spec.attention == "block" else 1
    for number in numbers:
        own = len(views[number].input_ids)
        widest = max(widest, own)
        if not packs or copies * widest * (len(packs[-1]) + 1) > token_budget:
            packs.append([])
            widest = own
        packs[-1].append(number)
    return packs


def _cut_by_prompt(
    views: Sequence[View], numbers: Sequence[int], spec: DiffusionSpec, token_budget: int
) -> list[list[int]]:
    packs: list[list[int]] = []
    size = 0
    for number in numbers:
        whole = len(views[number].input_ids)
        shared = bool(packs) and _same_prompt(views[packs[-1][-1]], views[number], spec)
        more = whole - spec.prefix_length(views[number].prompt_length) if shared else whole
        if not packs or size + more > token_budget:
            packs.append([])
            size, more = 0, whole
        packs[-1].append(number)
        size += more
    return packs


def _same_prompt(one: View, other: View, spec: DiffusionSpec) -> bool:
    start = spec.prefix_length(one.prompt_length)
    return one.prompt_length == other.prompt_length and torch.equal(one.input_ids[:start], other.input_ids[:start])


def _padded(
    views: Sequence[View], numbers: Sequence[int], spec: DiffusionSpec, times: Mapping[tuple[int, int], int]
) -> MaskedPack:
    """Views a line each, padded to one width."""
    width = max(len(view.input_ids) for view in views)
    noisy_ids, clean_ids = (torch.zeros(len(views), width, dtype=torch.long) for _ in range(2))
    real = torch.zeros(len(views), width, dtype=torch.bool)
    for index, view in enumerate(views):
        assert view.clean_ids is not None
        length = len(view.input_ids)
        given = torch.arange(length) < view.prompt_length  # hidden here, it is not to be seen in the clean copy either
        noisy_ids[index, :length], clean_ids[index, :length], real[index, :length] = (
            view.input_ids,
            torch.where(given, view.input_ids, view.clean_ids),
            True,
        )
    input_ids, places = noisy_ids, Places.of(real)
    if spec.attention == "block":
        input_ids = torch.cat([noisy_ids, clean_ids], dim=1)
        places = Places(
            torch.cat([places.positions, places.positions], 1),
            torch.cat([real, real], 1),
            torch.cat([real, torch.zeros_like(real)], 1),
        )
    line, token = _scored(views)
    return _pack(views, numbers, times, input_ids, places, line, token, predictor_columns(token, spec, width))


def _behind_prompts(
    views: Sequence[View], numbers: Sequence[int], spec: DiffusionSpec, times: Mapping[tuple[int, int], int]
) -> MaskedPack:
    """Canvases one after the other behind the prompt they have in common, all in one line."""
    ids, positions, noisy, columns = [], [], [], []
    stretches: list[Stretch] = []
    offset = 0
    for index, view in enumerate(views):
        start, length = spec.prefix_length(view.prompt_length), len(view.input_ids)
        if index and _same_prompt(views[index - 1], view, spec):
            stretches[-1] = replace(stretches[-1], lengths=(*stretches[-1].lengths, length - start))
            given = start
        else:
            stretches.append(Stretch(start, (length - start,)))
            given = 0
        ids.append(view.input_ids[given:])
        positions.append(torch.arange(given, length))
        noisy.append(positions[-1] >= start)
        columns.append(offset + view.scored.nonzero().flatten() - given - int(spec.shift))
        offset += length - given
    places = Places(torch.cat(positions)[None], torch.ones(1, offset, dtype=torch.bool), torch.cat(noisy)[None])
    line, token = _scored(views)
    packed = _pack(views, numbers, times, torch.cat(ids)[None], places, line, token, torch.cat(columns))
    return replace(packed, line=torch.zeros_like(line), stretches=tuple(stretches))


def _scored(views: Sequence[View]) -> tuple[Tensor, Tensor]:
    """(S,) which of the views scores, and (S,) the token of its row."""
    line = [torch.full((int(view.scored.sum()),), index) for index, view in enumerate(views)]
    return torch.cat(line), torch.cat([view.scored.nonzero().flatten() for view in views])


def _pack(
    views: Sequence[View],
    numbers: Sequence[int],
    times: Mapping[tuple[int, int], int],
    input_ids: Tensor,
    places: Places,
    line: Tensor,
    token: Tensor,
    column: Tensor,
) -> MaskedPack:
    weights, clean = [], []
    for view in views:
        assert view.clean_ids is not None
        weight = view.weight if isinstance(view.weight, Tensor) else torch.full(view.scored.shape, view.weight)
        weights.append(weight[view.scored])
        clean.append(view.clean_ids[view.scored])
    return MaskedPack(
        input_ids=input_ids,
        places=places,
        line=line,
        view=torch.tensor(numbers)[line],
        column=column,
        target_row=torch.tensor([view.row for view in views])[line],
        target_token=token,
        target_ids=torch.cat(clean),
        weight=torch.cat(weights),
        share=torch.tensor([1 / times[place] for view in views for place in _places(view)]),
    )


def score_masked_pack(
    model: nn.Module,
    pack: MaskedPack,
    spec: DiffusionSpec,
    *,
    temperature: Tensor | None = None,
    kept: Mapping[tuple[int, int], tuple[int, ...]] | None = None,
    edges: Tensor | None = None,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """Log-probabilities (S,) of the hidden tokens, with gradient, and the entropies (S,) of their distributions,
    without.

    Args:
        temperature: (B, T) of the batch, by which the logits are divided; None for 1.
        kept: (row, token) -> ids that its distribution is restricted to.
        edges: see `visibility.visible`.
    """
    device = next(model.parameters()).device
    places = Places(*(x.to(device) for x in (pack.places.positions, pack.places.real, pack.places.noisy)))
    edges = edges.to(device) if edges is not None else None
    ids = pack.input_ids.to(device)
    states = hidden_states(model, ids, places, spec, edges=edges, stretches=pack.stretches, dtype=dtype)
    heat = torch.ones(len(pack.line)) if temperature is None else temperature[pack.target_row, pack.target_token]
    return selected_logprobs(
        states[pack.line.to(device), pack.column.to(device)],
        plain_model(model).get_output_embeddings().weight,
        head_bias(model, spec),
        pack.target_ids.to(device),
        heat.to(device),
        [kept.get((int(row), int(token))) for row, token in zip(pack.target_row, pack.target_token, strict=True)]
        if kept
        else None,
        compute_dtype=dtype,
    )


def masked_logprobs(
    model: nn.Module,
    views: Sequence[View],
    spec: DiffusionSpec,
    shape: tuple[int, int],
    kind: ScoreKind,
    *,
    temperature: Tensor | None = None,
    token_budget: int = 2048,
    dtype: torch.dtype = torch.float32,
) -> Scores:
    """Weighted log-probabilities of hidden tokens added up over views, without gradient, on the CPU: (B, T) `shape`.

    What they are (`kind`) is known to who drew the views: `exact` where each token is scored in one view, with weight
    1, and the views are the states the tokens were sampled in; a `bound` where views are a random draw.
    """
    values, entropies = torch.zeros(shape), torch.zeros(shape)
    with torch.no_grad():
        for pack in pack_masked_views(views, spec, token_budget=token_budget):
            logprobs, entropy = score_masked_pack(model, pack, spec, temperature=temperature, dtype=dtype)
            where = (pack.target_row, pack.target_token)
            values.index_put_(where, pack.weight * logprobs.cpu(), accumulate=True)
            entropies.index_put_(where, pack.weight * entropy.cpu(), accumulate=True)
    return Scores(values, kind, entropies)
