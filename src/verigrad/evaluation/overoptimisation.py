"""Over-optimisation of a reward model: its score still rises while fewer programs pass their tests.

Gao, Schulman and Hilton 2022, "Scaling Laws for Reward Model Overoptimization", arXiv:2210.10760: trained against a
proxy, a policy at first gains by the gold standard too, then loses by it while the proxy goes on rising. Single steps
are too noisy to see that (each reads other tasks), and so is "below the best step so far", for the best of many noisy
steps is a lucky one. The rule here asks for a trend that chance does not make:

    On the whole run, or its last three quarters, half or quarter: a Mann-Kendall test finds that the proxy rises
    and another that the pass rate falls, each beyond what one noisy flat curve in a hundred shows.

All stretches end at the last step, hence "still". A run whose pass rate is flat is warned about with a chance of at
most 4 in 100 (four stretches), one whose pass rate rises hardly ever; a fall that is small against the noise of so few
steps is missed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

import numpy as np

__all__ = ["MIN_STEPS", "Divergence", "common_steps", "find_divergence", "mann_kendall"]

MIN_STEPS = 10  # below which the test's normal approximation is not to be trusted

_Curve = Sequence[tuple[float, float]]
_STRETCHES = (1.0, 0.75, 0.5, 0.25)
_BOUND = NormalDist().inv_cdf(0.99)


@dataclass(frozen=True)
class Divergence:
    """A stretch, up to the last step, on which the proxy rises and the gold standard falls.

    Attributes:
        start: its first step.
        end: its last step.
        proxy: mean score in the stretch's first and last quarter.
        gold: mean pass rate in the same, shares.
    """

    start: float
    end: float
    proxy: tuple[float, float]
    gold: tuple[float, float]


def common_steps(proxy: _Curve, gold: _Curve) -> list[tuple[float, float, float]]:
    """(step, proxy, gold) wherever both curves have a value, in the order of the first."""
    known = dict(gold)
    return [(step, score, known[step]) for step, score in proxy if step in known]


def find_divergence(proxy: _Curve, gold: _Curve) -> Divergence | None:
    """The stretch on which the gold standard falls most clearly while the proxy rises; None where there is none.

    Args:
        proxy: (step, mean score of the reward model), in order of the steps; any unit.
        gold: (step, pass rate of the same rollouts), shares.

    >>> steps = range(20)
    >>> found = find_divergence([(s, 0.1 * s) for s in steps], [(s, 0.5 - 0.01 * s) for s in steps])
    >>> (found.start, found.end), [round(value, 2) for value in found.gold]
    ((0, 19), [0.48, 0.33])
    """
    steps = common_steps(proxy, gold)
    best, clearest = None, _BOUND
    for share in _STRETCHES:
        size = round(share * len(steps))
        if size < MIN_STEPS:
            continue
        stretch = steps[-size:]
        rise = mann_kendall([score for _, score, _ in stretch])
        fall = -mann_kendall([rate for _, _, rate in stretch])
        if rise > _BOUND and fall > clearest:
            best, clearest = _divergence(stretch), fall
    return best


def _divergence(stretch: Sequence[tuple[float, float, float]]) -> Divergence:
    quarter = max(1, len(stretch) // 4)
    first, last = stretch[:quarter], stretch[-quarter:]
    return Divergence(
        start=stretch[0][0],
        end=stretch[-1][0],
        proxy=(fmean(score for _, score, _ in first), fmean(score for _, score, _ in last)),
        gold=(fmean(rate for _, _, rate in first), fmean(rate for _, _, rate in last)),
    )


def mann_kendall(values: Sequence[float]) -> float:
    """How clearly a series rises (or, below 0, falls), in standard deviations of a series without trend.

    z = (S - sign S) / sqrt(Var S), S the number of pairs in rising order minus those in falling order,
    Var S = (n (n - 1) (2 n + 5) - sum over ties of t (t - 1) (2 t + 5)) / 18.

    Mann 1945, "Nonparametric tests against trend", Econometrica 13; Kendall 1975, "Rank Correlation Methods". Only the
    order of the values matters, so neither their unit nor one wild step does.

    Args:
        values: (n,) in the order of time, independent but for the trend.

    Returns:
        about standard normal without a trend, from ten values on; 0 where all are equal.

    >>> round(mann_kendall(range(10)), 3)  # (45 - 1) / sqrt(10 * 9 * 25 / 18)
    3.935
    """
    series = np.asarray(values, dtype=np.float64)
    score = sum(int(np.sign(series[i + 1 :] - value).sum()) for i, value in enumerate(series))
    size = len(series)
    _, counts = np.unique(series, return_counts=True)
    variance = (size * (size - 1) * (2 * size + 5) - int((counts * (counts - 1) * (2 * counts + 5)).sum())) / 18
    return (score - math.copysign(1, score)) / math.sqrt(variance) if score and variance > 0 else 0.0
