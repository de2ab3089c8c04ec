"""Which tokens a masked-diffusion model is to guess, and what each guess weighs.

The negative ELBO of a row of L tokens is the mean over noise of a weighted sum of cross-entropies of its masked tokens:

    Bernoulli      t ~ U(0, 1), each token masked with probability t, weight 1 / t
                   Shi et al. 2024, "Simplified and generalized masked diffusion", arXiv:2406.04329, eq. 4
    fixed count    k ~ U{1..L}, k tokens masked, weight L / k; the same mean, far less variance
                   Nie et al. 2025, LLaDA, arXiv:2502.09992, eq. 6
    complement     the tokens a mask leaves are masked in a second view; both views count half
                   Bernoulli: weights 1 / t and 1 / (1 - t), Gong et al. 2025, DiffuCoder, arXiv:2506.20639, section 4
                   fixed count: k ~ U{0..L}, weights (L + 1) / k and (L + 1) / (L - k), ESPO, arXiv:2512.03759

Tokens are masked segment by segment, each with a noise level of its own: a segment is a row's whole answer, or its
part of a block where blocks are diffused one by one. In every form a constant cross-entropy of 1 adds up to L on
average.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

__all__ = ["NOISE_FORMS", "NoiseForm", "Noised", "draw_noise", "noise_levels", "segments_of"]

NoiseForm = Literal["fixed_count", "bernoulli"]


@dataclass(frozen=True)
class Noised:
    """One noised view of a row.

    Attributes:
        masked: (L,) bool.
        weight: (L,) of each masked token, 0 elsewhere.
        level: (L,) share of its segment that is masked, for each masked token; 0 elsewhere.
    """

    masked: Tensor
    weight: Tensor
    level: Tensor


def segments_of(eligible: Tensor, block_length: int = 0) -> Tensor:
    """(L,) bool -> (L,) number of each eligible token's segment from 0 on; -1 elsewhere.

    One segment, or where `block_length` is not 0 one for each block of the row that has eligible tokens.

    >>> segments_of(torch.tensor([False, True, True, False, False, True]), block_length=2).tolist()
    [-1, 0, 1, -1, -1, 2]
    """
    if not block_length:
        return torch.where(eligible, 0, -1)
    blocks = torch.arange(len(eligible)) // block_length
    _, number = torch.unique(blocks[eligible], return_inverse=True)
    return torch.full(eligible.shape, -1).masked_scatter(eligible, number)


def noise_levels(
    count: int, generator: torch.Generator, *, low: float = 0.0, high: float = 1.0, stratified: bool = True
) -> Tensor:
    """(count,) noise levels, each uniform between `low` and `high`.

    Stratified they share one draw and are spaced evenly, then shuffled, so that every part of the range is seen in each
    step (Kingma et al. 2021, "Variational diffusion models", arXiv:2107.00630, appendix I.1; "antithetic" in MDLM's
    code).
    """
    if stratified:
        share = (torch.rand(1, generator=generator) + torch.arange(count) / max(count, 1)) % 1.0
        share = share[torch.randperm(count, generator=generator)]
    else:
        share = torch.rand(count, generator=generator)
    return low + (high - low) * share


def draw_noise(
    segments: Tensor,
    levels: Tensor,
    generator: torch.Generator,
    *,
    form: NoiseForm = "fixed_count",
    complementary: bool = False,
    weighted: bool = True,
) -> tuple[Noised, ...]:
    """One noised view of a row, or two where they are complementary.

    Args:
        segments: (L,) from `segments_of`.
        levels: (segments,) noise level of each.
        form: see above; a fixed count is the level times the segment's length, rounded so that levels uniform in [0, 1)
            make counts uniform.
        weighted: False gives every masked token the weight 1 (half of it in complementary views), as noise warm-ups do.

    Raises:
        ValueError: there is no level for some segment.

    >>> (view,) = draw_noise(torch.tensor([-1, 0, 0, 0, 0]), torch.tensor([0.5]), torch.Generator().manual_seed(0))
    >>> int(view.masked.sum()), view.weight.unique().tolist(), bool(view.masked[0])
    (3, [0.0, 1.3333333730697632], False)
    """
    eligible = segments >= 0
    count = int(segments.max()) + 1 if segments.numel() else 0
    if len(levels) != count:
        raise ValueError(f"got {len(levels)} noise levels for {count} segments; wanted one for each")
    views = NOISE_FORMS[form](segments[eligible], levels, generator, complementary)
    share = 1 / len(views)
    found = []
    for masked, weight in views:
        factor = share * (weight if weighted else torch.ones_like(weight))
        whole = torch.zeros(segments.shape, dtype=torch.bool).masked_scatter(eligible, masked)
        spread = torch.zeros(segments.shape).masked_scatter(eligible, torch.where(masked, factor, 0.0))
        level = torch.zeros(segments.shape).masked_scatter(
            eligible, torch.where(masked, _share(masked, segments[eligible]), 0.0)
        )
        found.append(Noised(whole, spread, level))
    return tuple(found)


def _share(masked: Tensor, owner: Tensor) -> Tensor:
    """(E,) share of its segment that is masked, for each token."""
    return (_sums(masked.float(), owner) / _sums(torch.ones_like(masked, dtype=torch.float), owner))[owner]


def _sums(values: Tensor, owner: Tensor) -> Tensor:
    count = int(owner.max()) + 1 if owner.numel() else 0
    return torch.zeros(count).index_add(0, owner, values)


def _bernoulli(
    owner: Tensor, levels: Tensor, generator: torch.Generator, complementary: bool
) -> list[tuple[Tensor, Tensor]]:
    t = levels[owner]
    masked = torch.rand(owner.shape, generator=generator) < t
    views = [(masked, 1 / t.clamp(min=1e-6))]
    return [*views, (~masked, 1 / (1 - t).clamp(min=1e-6))] if complementary else views


def _fixed_count(
    owner: Tensor, levels: Tensor, generator: torch.Generator, complementary: bool
) -> list[tuple[Tensor, Tensor]]:
    lengths = _sums(torch.ones(owner.shape), owner)
    # A level of 1, which rounding can make of one below it, is the highest count too.
    counts = torch.minimum((levels * (lengths + 1)).floor(), lengths) if complementary else (
        torch.minimum((levels * lengths).floor() + 1, lengths)
    )  # fmt: skip
    order = torch.argsort(owner + torch.rand(owner.shape, generator=generator, dtype=torch.float64))
    first = torch.cumsum(lengths, 0) - lengths
    rank = torch.empty(owner.shape).scatter(0, order, torch.arange(len(owner), dtype=torch.float)) - first[owner]
    masked = rank < counts[owner]
    k, n = counts[owner], lengths[owner]
    if not complementary:
        return [(masked, n / k)]
    return [(masked, (n + 1) / k.clamp(min=1)), (~masked, (n + 1) / (n - k).clamp(min=1))]


_Form = Callable[[Tensor, Tensor, torch.Generator, bool], list[tuple[Tensor, Tensor]]]
NOISE_FORMS: dict[str, _Form] = {"fixed_count": _fixed_count, "bernoulli": _bernoulli}
"""(owner (E,), levels, generator, complementary) -> the masks (E,) and weights (E,) of one view or two."""
