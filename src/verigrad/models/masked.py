"""Log-probabilities that a masked-diffusion model gives to the hidden tokens of views.

The counterpart of `packing` and `causal.score_pack`: views are padded to one width and run as a batch. A row of a
block-diffusion model is run twice in one pass, masked and as it is, so that all blocks are scored at once, each behind
the clean ones before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

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

    Views that score nothing are left out.

    Raises:
        ValueError: a view hides tokens without telling them, was drawn for another attention, or scores a token that
            nothing predicts.
    """
    packs: list[list[int]] = []
    widest, copies = 0, 2 if spec.attention == "block" else 1
    for number, view in enumerate(views):
        _check(view, spec)
        if not bool(view.scored.any()):
            continue
        widest = max(widest, len(view.input_ids))
        if not packs or copies * widest * (len(packs[-1]) + 1) > token_budget:
            packs.append([])
            widest = len(view.input_ids)
        packs[-1].append(number)
    times = Counter(place for view in views for place in _places(view))
    return [_build([views[number] for number in numbers], numbers, spec, times) for numbers in packs]


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


def _build(
    views: Sequence[View], numbers: Sequence[int], spec: DiffusionSpec, times: Mapping[tuple[int, int], int]
) -> MaskedPack:
    width = max(len(view.input_ids) for view in views)
    noisy_ids, clean_ids = (torch.zeros(len(views), width, dtype=torch.long) for _ in range(2))
    real = torch.zeros(len(views), width, dtype=torch.bool)
    lines, tokens, weights = [], [], []
    for index, view in enumerate(views):
        assert view.clean_ids is not None
        length = len(view.input_ids)
        noisy_ids[index, :length], clean_ids[index, :length], real[index, :length] = (
            view.input_ids,
            view.clean_ids,
            True,
        )
        scored = view.scored.nonzero().flatten()
        lines.append(torch.full_like(scored, index))
        tokens.append(scored)
        weights.append(
            view.weight[scored] if isinstance(view.weight, Tensor) else torch.full(scored.shape, view.weight)
        )
    line, token = torch.cat(lines), torch.cat(tokens)
    input_ids, places = noisy_ids, Places.of(real)
    if spec.attention == "block":
        input_ids = torch.cat([noisy_ids, clean_ids], dim=1)
        places = Places(
            torch.cat([places.positions, places.positions], 1),
            torch.cat([real, real], 1),
            torch.cat([real, torch.zeros_like(real)], 1),
        )
    rows = torch.tensor([view.row for view in views])
    return MaskedPack(
        input_ids=input_ids,
        places=places,
        line=line,
        view=torch.tensor(numbers)[line],
        column=predictor_columns(token, spec, width),
        target_row=rows[line],
        target_token=token,
        target_ids=clean_ids[line, token],
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
    states = hidden_states(model, pack.input_ids.to(device), places, spec, edges=edges, dtype=dtype)
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
