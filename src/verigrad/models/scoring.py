"""Scoring a batch by whatever kind of model it is for: packs of views, and the log-probabilities they give.

A causal model takes causal views (`packing`, `causal`), a masked-diffusion one views with hidden tokens (`masked`);
who drew the views said in `Batch.kind` what they add up to. A token whose views lie in several packs, and a rollout
whose rows do, is only whole when all of them are added up: see `cuts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from verigrad.models.base import Batch, Scores
from verigrad.models.causal import score_pack as score_causal_pack
from verigrad.models.diffusion import diffusion_spec, is_diffusion
from verigrad.models.masked import MaskedPack, pack_masked_views, score_masked_pack
from verigrad.models.packing import Pack, pack_views

__all__ = ["cuts", "pack_batch", "score_pack", "scored_tokens", "token_logprobs"]


def pack_batch(
    model: Any, batch: Batch, *, token_budget: int, share_prompts: bool = True
) -> list[Pack] | list[MaskedPack]:
    """Cut a batch's views into forward passes of about `token_budget` positions.

    Raises:
        ValueError: the views were drawn for another kind of model.
    """
    if is_diffusion(model):
        return pack_masked_views(batch.views, diffusion_spec(model), token_budget=token_budget)
    return pack_views(batch.views, token_budget=token_budget, share_prompts=share_prompts)


def score_pack(model: Any, pack: Pack | MaskedPack, batch: Batch, *, dtype: torch.dtype = torch.float32) -> Scores:
    """What one pack adds to the batch's scores: (B, T), 0 elsewhere; carries the gradient.

    Logits are divided by the temperature each token was sampled at and restricted to the ids it was sampled from.
    Entropies are means over a token's views.
    """
    if isinstance(pack, Pack):
        return score_causal_pack(model, pack, batch, dtype=dtype)
    logprobs, entropy = score_masked_pack(
        model, pack, diffusion_spec(model), temperature=batch.temperature, kept=batch.kept, dtype=dtype
    )
    where = (pack.target_row.to(logprobs.device), pack.target_token.to(logprobs.device))
    values = torch.zeros(batch.mask.shape, device=logprobs.device)
    return Scores(
        values.index_put(where, pack.weight.to(logprobs.device) * logprobs, accumulate=True),
        batch.kind,
        values.index_put(where, pack.share.to(logprobs.device) * entropy, accumulate=True),
    )


def token_logprobs(
    model: Any,
    batch: Batch,
    *,
    token_budget: int = 2048,
    share_prompts: bool = True,
    dtype: torch.dtype = torch.float32,
) -> Scores:
    """Scores of every token of a batch, without gradient, on the CPU: (B, T)."""
    values, entropy = torch.zeros(batch.mask.shape), torch.zeros(batch.mask.shape)
    with torch.no_grad():
        for pack in pack_batch(model, batch, token_budget=token_budget, share_prompts=share_prompts):
            scores = score_pack(model, pack, batch, dtype=dtype)
            values += scores.values.cpu()
            assert scores.entropy is not None
            entropy += scores.entropy.cpu()
    return Scores(values, batch.kind, entropy)


def scored_tokens(pack: Pack | MaskedPack, batch: Batch) -> Tensor:
    """(B, T) bool, the tokens that a pack scores."""
    return torch.zeros_like(batch.mask).index_put((pack.target_row, pack.target_token), torch.tensor(True))


def cuts(packs: Sequence[Pack | MaskedPack], batch: Batch, *, rollouts: bool) -> bool:
    """Whether the views of some token, or with `rollouts` of some rollout, lie in different packs."""
    owner = batch.rollout_index if rollouts else torch.arange(batch.mask.numel()).view(batch.mask.shape)
    home = torch.full((int(owner.max()) + 1,), -1)
    for number, pack in enumerate(packs):
        units = owner[pack.target_row] if rollouts else owner[pack.target_row, pack.target_token]
        units = units.unique()
        if bool(((home[units] != -1) & (home[units] != number)).any()):
            return True
        home[units] = number
    return False
