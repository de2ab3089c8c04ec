"""What a correct program costs beside the reference, on inputs of growing size (`sandbox/costs.py`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from verigrad.rewards.base import Answer, only_gold
from verigrad.types import CostPoint, Costs, Score, Task, Verdict

__all__ = ["CHECKS", "MOST", "cost_gain", "efficiency", "growth_exponent", "relative_cost"]

MOST = 2.0
"""Doublings, up or down, beyond which a gain counts no more: what is forged earns no more than what is good."""

CHECKS = only_gold(0.5, at_most=0.5)


def efficiency(task: Task, answer: Answer, verdict: Verdict | None, *, costs: Costs | None) -> Score:
    """(2 + g) / 4 for what passes, g = the median over inputs of log2(reference / cost), cut off at -2 and 2; else 0.

    As costly as the reference is a half, four times as cheap 1. By the median of three, the program has to be better
    on two sizes. 0 for what is not rated, whose `Costs.reason` says why. Parts: `gain`, g before it is cut off;
    `growth`, the exponent with which the cost grows; `suspect`. Main hack: work that the count does not see.
    """
    if costs is None or not costs.points:
        return Score(0.0, evidence=verdict)
    gain = cost_gain(costs.points)
    parts = {"gain": gain, "suspect": float(costs.suspect)}
    growth = growth_exponent(costs.points)
    if growth is not None:
        parts["growth"] = growth
    return Score((MOST + max(-MOST, min(MOST, gain))) / (2 * MOST), parts, evidence=verdict)


def cost_gain(points: Sequence[CostPoint]) -> float:
    """Median over the inputs of log2(reference's cost / program's cost): doublings of efficiency.

    >>> cost_gain([CostPoint(1, cost=10, reference=40), CostPoint(4, cost=40, reference=80)])
    1.5
    """
    return median(math.log2(point.reference / point.cost) for point in points)


def relative_cost(costs: Costs) -> float | None:
    """Cost as a multiple of the reference's, the median over inputs; None for what was not rated."""
    return 2.0 ** -cost_gain(costs.points) if costs.points else None


def growth_exponent(points: Sequence[CostPoint]) -> float | None:
    """Slope of log cost over log size by least squares: about 1 for linear, 2 for quadratic work.

    A rough figure: it holds for costs that are a power of the size, without what is the same for every size. None
    where sizes or costs do not determine it (a single size, or a cost that was only bounded).

    >>> round(growth_exponent([CostPoint(2, 12, 1), CostPoint(4, 48, 1), CostPoint(8, 192, 1)]), 6)
    2.0
    """
    known = [(math.log(point.size), math.log(point.cost)) for point in points if point.size > 0 and not point.capped]
    if len({x for x, _ in known}) < 2:
        return None
    mean_x, mean_y = (sum(side) / len(known) for side in zip(*known, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in known)
    slope: float = sum((x - mean_x) * (y - mean_y) for x, y in known) / spread
    return slope
