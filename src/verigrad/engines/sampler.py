"""Drawing tokens for a whole batch at once.

A draw inverts the cumulative distribution, in the natural order of the ids, at one uniform number that a hash of
(request seed, token index) gives: what is drawn depends on the logits and the seed, never on the rest of the batch.
The cumulative sum has two levels, sums of blocks of 256 ids and then one block, which for a vocabulary of 49k
costs a few milliseconds at batch 32 where `torch.multinomial` costs about thirty.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from verigrad.engines.base import SamplingParams
from verigrad.errors import EngineError

__all__ = ["Draw", "draw", "truncation_cut", "uniform"]

_BLOCK = 256
_CANDIDATES = 1024  # likeliest ids looked at before a whole row is sorted for top-p


@dataclass(frozen=True)
class Draw:
    """One token for each row.

    Attributes:
        ids: (B,)
        logprobs: (B,) under the distribution drawn from; of temperature 1 without truncation for greedy rows.
        kept: per row the sorted ids it was restricted to; None where it was not, or nobody asked.
        probabilities: (B, V) drawn from.
    """

    ids: list[int]
    logprobs: list[float]
    kept: list[tuple[int, ...] | None]
    probabilities: Tensor = field(compare=False, repr=False)


def uniform(seeds: Sequence[int], indices: Sequence[int]) -> Tensor:
    """One number in [0, 1) for each (seed, index), (B,) float64: a counter-based stream.

    SplitMix64's finaliser (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators"),
    applied to the seed and again to its sum with the index times the golden-ratio constant.

    >>> uniform([7, 7], [0, 1]).tolist() == uniform([7], [0]).tolist() + uniform([7], [1]).tolist()
    True
    """
    golden = np.uint64(0x9E3779B97F4A7C15)
    seed = np.array([value % 2**64 for value in seeds], dtype=np.uint64)
    index = np.array(indices, dtype=np.uint64)
    bits = _mix(_mix(seed + golden) + (index + np.uint64(1)) * golden)
    return torch.from_numpy((bits >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def _mix(x: np.ndarray) -> np.ndarray:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = x ^ (x >> np.uint64(31))
    return mixed


def draw(logits: Tensor, params: Sequence[SamplingParams], numbers: Tensor) -> Draw:
    """Draw a token for each row of `logits` (B, V) with `numbers` (B,) in [0, 1) from `uniform`.

    Truncation keeps the k likeliest ids, then of those the fewest whose probability reaches `top_p`; ids as
    likely as the last one kept are kept too, so that ties never depend on an order.

    Raises:
        EngineError: logits are not finite, so that there is nothing to draw from.
    """
    greedy = [p.temperature == 0 for p in params]
    cut_rows = [row for row, p in enumerate(params) if p.truncated]
    heat = torch.tensor([1.0 if cold else p.temperature for cold, p in zip(greedy, params, strict=True)])
    hot = any(p.temperature not in (0, 1) for p in params)
    scores = logits / heat.to(logits.device)[:, None] if hot else logits.float()
    kept: list[tuple[int, ...] | None] = [None] * len(params)
    if cut_rows:
        chosen = [params[row] for row in cut_rows]
        part = scores[cut_rows]
        part = part.masked_fill(part < truncation_cut(part, chosen)[:, None], -torch.inf)
        scores = scores.index_copy(0, torch.tensor(cut_rows, device=logits.device), part)
        for row, allowed in zip(cut_rows, part > -torch.inf, strict=True):
            kept[row] = tuple(allowed.nonzero()[:, 0].tolist()) if params[row].kept else None
    probabilities = F.softmax(scores, dim=-1)
    ids = _invert(probabilities, numbers.to(logits.device))
    if any(greedy):
        ids = torch.where(torch.tensor(greedy, device=logits.device), scores.argmax(-1), ids)
    logprobs = probabilities.gather(1, ids[:, None])[:, 0].log().tolist()
    if not all(map(math.isfinite, logprobs)):
        raise EngineError(
            "the model's logits are not finite (NaN or infinity): its weights are broken, as they are when training "
            "diverged; go back to an earlier checkpoint"
        )
    return Draw(ids.tolist(), logprobs, kept, probabilities)


def _invert(probabilities: Tensor, numbers: Tensor) -> Tensor:
    """(B, V), (B,) -> (B,) first id at which the cumulative sum exceeds the number; never one of probability 0."""
    missing = -probabilities.shape[1] % _BLOCK
    whole = F.pad(probabilities, (0, missing)) if missing else probabilities  # to pad by nothing is to copy
    padded = whole.unflatten(1, (-1, _BLOCK))
    sums = padded.sum(-1).double()  # (B, blocks)
    before = sums.cumsum(1)
    target = numbers * before[:, -1]
    block = _first_above(before, target)[:, None]
    inside = padded[torch.arange(len(padded), device=padded.device), block[:, 0]].double().cumsum(1)  # (B, _BLOCK)
    rest = target - (before - sums).gather(1, block)[:, 0]
    return block[:, 0] * _BLOCK + _first_above(inside, rest)


def _first_above(cumulative: Tensor, target: Tensor) -> Tensor:
    """(B, n), (B,) -> (B,) first position above the target; the last that adds anything where rounding leaves none."""
    above = (cumulative <= target[:, None]).sum(1)
    return torch.minimum(above, (cumulative < cumulative[:, -1:]).sum(1))


def truncation_cut(scores: Tensor, params: Sequence[SamplingParams]) -> Tensor:
    """Smallest score each row keeps, (B,); `scores` (B, V) are logits over temperature."""
    vocabulary = scores.shape[1]
    count = min(vocabulary, max(_CANDIDATES, *(p.top_k for p in params)))
    cut, sure = _cut_among(scores, params, count)
    return cut if sure else _cut_among(scores, params, vocabulary)[0]


def _cut_among(scores: Tensor, params: Sequence[SamplingParams], count: int) -> tuple[Tensor, bool]:
    """The cut, looking only at the `count` likeliest; False with it where some row's top-p needs more of them."""
    vocabulary = scores.shape[1]
    top = scores.topk(count, dim=1).values  # (B, count), likeliest first
    top_k = torch.tensor([p.top_k if 0 < p.top_k < vocabulary else vocabulary for p in params], device=scores.device)
    top_p = torch.tensor([p.top_p for p in params], dtype=torch.float64, device=scores.device)
    ranks = torch.arange(count, device=scores.device)
    inside = ranks < top_k[:, None]
    whole = torch.where(top_k < vocabulary, top.masked_fill(~inside, -torch.inf).logsumexp(1), scores.logsumexp(1))
    mass = (top - whole[:, None]).double().exp()
    below = mass.cumsum(1) - mass < top_p[:, None]  # the ids before this one do not reach top_p yet
    needed = (inside & below).sum(1)
    more = (needed == count) & (top_k > count)
    return top.gather(1, needed[:, None] - 1)[:, 0], not bool(more.any())
