"""How much like an autoregressive model a diffusion model writes: local and global AR-ness.

Gong et al. 2025, DiffuCoder, arXiv:2506.20639, appendix A.2. Positions that are written in one step count as written
from left to right. The given text before the first position counts as written from left to right before, so that
an autoregressive order has 1 throughout.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["global_ar_ness", "local_ar_ness", "order_of"]


def order_of(step_map: Sequence[int]) -> list[int]:
    """Positions in the order they were written; those that never were (-1) are left out.

    >>> order_of([2, 0, 0, -1])
    [1, 2, 0]
    """
    return sorted((place for place, step in enumerate(step_map) if step >= 0), key=lambda place: step_map[place])


def local_ar_ness(order: Sequence[int], k: int) -> float:
    """Share of steps whose k predecessors, in time, are the k positions before, in place and in this order.

    (1 / T) sum_t 1[p_{t - i} = p_t - i for i = 1..k]; it cannot rise with k.

    >>> local_ar_ness([0, 1, 3, 2], 1), local_ar_ness([0, 1, 3, 2], 2)
    (0.5, 0.5)
    """
    if not order:
        return 0.0
    history = [*range(-k, 0), *order]
    runs = (all(history[k + t - i] == place - i for i in range(1, k + 1)) for t, place in enumerate(order))
    return sum(runs) / len(order)


def global_ar_ness(order: Sequence[int], k: int) -> float:
    """Share of steps that write one of the k leftmost positions still masked; it cannot fall with k.

    >>> global_ar_ness([0, 1, 3, 2], 1), global_ar_ness([0, 1, 3, 2], 2)
    (0.75, 1.0)
    """
    if not order:
        return 0.0
    left = sorted(order)
    near = 0
    for place in order:
        near += left.index(place) < k
        left.remove(place)
    return near / len(order)
