"""Which masked tokens are revealed next, and how many: the order and the schedule of iterative denoising."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["ORDERS", "SCHEDULES", "chosen_places"]

_EPSILON = 1e-3  # the last time of Dream's schedule


def _confidence(probabilities: Tensor, proposed: Tensor) -> Tensor:
    return probabilities.gather(1, proposed[:, None])[:, 0]


def _margin(probabilities: Tensor, proposed: Tensor) -> Tensor:
    first, second = probabilities.topk(2, dim=1).values.unbind(1)
    return first - second


def _negative_entropy(probabilities: Tensor, proposed: Tensor) -> Tensor:
    # Three passes at the machine's vector width take less than one of `torch.special.xlogy`, which has none.
    logs = probabilities.clamp(min=torch.finfo(probabilities.dtype).tiny).log_()
    return logs.mul_(probabilities).sum(1)


ORDERS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "confidence": _confidence,
    "margin": _margin,
    "entropy": _negative_entropy,
}
"""Orders that look at the distributions: ((S, V) probabilities, (S,) proposed ids) -> (S,), the highest first."""


def _exact(step: int, steps: int, total: int, left: int) -> int:
    """The step's share when `total` tokens are spread evenly (Bresenham): the shares add up to the total.

    >>> [_exact(step, 4, 10, 0) for step in range(4)]
    [2, 3, 2, 3]
    """
    return (step + 1) * total // steps - step * total // steps


def _timestep(step: int, steps: int, total: int, left: int) -> int:
    """Dream's: times fall evenly from 1 to 0.001, a step from t to s reveals the part 1 - s / t of what is left,
    rounded down, and the last step the rest (Ye et al. 2025, Dream 7B, arXiv:2508.15487; its `diffusion_generate`).

    >>> [_timestep(0, 64, 64, 64), _timestep(1, 64, 64, 64), _timestep(63, 64, 64, 2)]
    [0, 1, 2]
    """
    if step >= steps - 1:
        return left
    before, after = (1 - number / steps * (1 - _EPSILON) for number in (step, step + 1))
    return int(left * (1 - after / before))


SCHEDULES: dict[str, Callable[[int, int, int, int], int]] = {"exact": _exact, "timestep": _timestep}
"""(step, steps, masked at the start, masked now) -> tokens to reveal."""


def chosen_places(scores: Tensor, open_: Tensor, counts: Tensor) -> Tensor:
    """(B, W) bool, the `counts` (B,) open places of highest score in each row; of equal ones the leftmost.

    >>> scores, open_ = torch.tensor([[0.1, 0.9, 0.9]]), torch.tensor([[True, True, True]])
    >>> chosen_places(scores, open_, torch.tensor([1])).tolist()
    [[False, True, False]]
    """
    ranked = scores.masked_fill(~open_, -torch.inf).argsort(dim=1, descending=True, stable=True)
    rank = torch.empty_like(ranked).scatter(1, ranked, torch.arange(scores.shape[1]).expand_as(ranked))
    return open_ & (rank < counts[:, None])
