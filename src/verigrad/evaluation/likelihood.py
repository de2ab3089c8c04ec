"""How likely a masked-diffusion model finds given tokens: a bound by sampling noise, and the exact chain rule of one
order.

The two are different quantities, and both differ from what a causal model reports, so a figure names its estimator:

    elbo         mean over n draws of the fixed-count estimate (`algorithms.masking`), at most the log-likelihood
                 under a uniformly random order, with the standard error of the mean
    chain_rule   sum over tokens, from left to right, of log p(token | those before it, those after it masked): the
                 exact log-likelihood under that order, which sums to 1 over all completions, as a causal model's does

Tokenisers differ, so models are compared in bits per byte of the text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from verigrad.algorithms.masking import draw_noise, noise_levels, segments_of
from verigrad.models.base import View
from verigrad.models.diffusion import DiffusionSpec
from verigrad.models.masked import masked_logprobs
from verigrad.seeds import derive_seed

__all__ = ["Likelihood", "bits_per_byte", "chain_rule", "elbo"]


class Likelihood(NamedTuple):
    """Log-likelihoods of rows in nats.

    Attributes:
        values: (N,).
        standard_errors: (N,) of the values as means over draws; 0 where they are exact, NaN for a single draw.
    """

    values: Tensor
    standard_errors: Tensor


def elbo(
    model: Any,
    ids: Sequence[Tensor],
    scored: Sequence[Tensor],
    spec: DiffusionSpec,
    *,
    draws: int = 16,
    seed: int = 0,
    token_budget: int = 4096,
    dtype: torch.dtype = torch.float32,
) -> Likelihood:
    """Lower bound on the log-likelihood of the tokens marked in `scored`, given the others of each row.

    Noise levels of a row's draws are spread evenly, so that its draws are not independent and the standard errors,
    computed as if they were, are on the large side.

    Args:
        ids: N rows, (L,) each.
        scored: (L,) bool of each row; what stands before the first is the prompt.
    """
    values = torch.zeros(draws, len(ids))
    for row, (own, marked) in enumerate(zip(ids, scored, strict=True)):
        if not bool(marked.any()):
            continue
        segments, prompt = segments_of(marked, spec.block_length), int(marked.long().argmax())
        generator = torch.Generator().manual_seed(derive_seed(seed, "elbo", row))
        levels = torch.stack([noise_levels(draws, generator) for _ in range(int(segments.max()) + 1)], dim=1)
        views = []
        for draw in range(draws):
            (noised,) = draw_noise(segments, levels[draw], generator)
            hidden = own.masked_fill(noised.masked, spec.mask_id)
            views.append(View(draw, hidden, noised.masked, noised.weight, spec.attention, own, prompt))
        scores = masked_logprobs(model, views, spec, (draws, len(own)), "bound", token_budget=token_budget, dtype=dtype)
        values[:, row] = scores.values.sum(1)
    return Likelihood(
        values.mean(0), values.std(0) / math.sqrt(draws) if draws > 1 else torch.full((len(ids),), math.nan)
    )


def chain_rule(
    model: Any,
    ids: Sequence[Tensor],
    scored: Sequence[Tensor],
    spec: DiffusionSpec,
    *,
    behind: Sequence[Tensor] | None = None,
    token_budget: int = 4096,
    dtype: torch.dtype = torch.float32,
) -> Likelihood:
    """Exact log-likelihood of the tokens marked in `scored`, revealed from left to right; one view a token.

    Arguments as in `elbo`. For a causal model with shift it is the ordinary log-likelihood, the mask token left out.

    Args:
        behind: (L,) bool of each row, places that stay masked throughout, such as the rest of a canvas behind the end
            of an answer: shown, they would tell how long it is, and answers of all lengths would sum to more than 1.
    """
    views = []
    never = [torch.zeros_like(marked) for marked in scored] if behind is None else behind
    for row, (own, marked, after) in enumerate(zip(ids, scored, never, strict=True)):
        for token in marked.nonzero().flatten().tolist():
            here = torch.arange(len(own)) == token
            masked = (marked & (torch.arange(len(own)) >= token)) | after
            hidden = own.masked_fill(masked, spec.mask_id)
            views.append(View(row, hidden, here, 1.0, spec.attention, own, int(marked.long().argmax())))
    shape = (len(ids), max(len(own) for own in ids))
    values = masked_logprobs(model, views, spec, shape, "exact", token_budget=token_budget, dtype=dtype).values.sum(1)
    return Likelihood(values, torch.zeros_like(values))


def bits_per_byte(nats: float, text: str) -> float:
    """Code length of a text in bits for each byte of its UTF-8 form, from its log-likelihood in nats.

    >>> bits_per_byte(-math.log(2) * 12, "four é")  # twelve bits for seven bytes
    1.7142857142857142
    """
    return -nats / math.log(2) / len(text.encode())
