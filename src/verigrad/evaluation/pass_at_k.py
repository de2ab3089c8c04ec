"""pass@k without bias, and how sure one can be of it.

The unit of chance is the task: a benchmark is a sample of the tasks one cares about, so intervals resample tasks, each
with all its samples. Results are given as `task id -> list of bools`, one per sample.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Estimate",
    "blocks",
    "bootstrap_means",
    "estimate_of",
    "mean_interval",
    "pass_at_k",
    "summarize",
    "task_rates",
    "wilson",
]

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A rate with its 95 % interval.

    Attributes:
        value: in [0, 1].
        low: lower end.
        high: upper end.
        num_tasks: tasks the mean is over.
        num_samples: samples of all tasks together.
        method: `bootstrap` (percentiles over resampled tasks) or `wilson`.
    """

    value: float
    low: float
    high: float
    num_tasks: int
    num_samples: int
    method: Literal["bootstrap", "wilson"] = "bootstrap"


def pass_at_k(num_samples: ArrayLike, num_correct: ArrayLike, k: int) -> _Floats:
    """Unbiased estimate, per task, of the chance that at least one of k samples is right.

    1 - C(n - c, k) / C(n, k) = 1 - prod_{i = n-c+1}^{n} (1 - k / i)

    Chen et al. 2021, "Evaluating Large Language Models Trained on Code", arXiv:2107.03374, eq. 1.

    Args:
        num_samples: n, per task or one for all.
        num_correct: c, per task, 0 <= c <= n.
        k: 1 <= k <= n.

    Raises:
        ValueError: a task has fewer than k samples, or counts that cannot be.

    >>> pass_at_k(4, [0, 1, 3], k=2).tolist()
    [0.0, 0.5, 1.0]
    """
    samples, correct = np.broadcast_arrays(np.atleast_1d(num_samples), np.atleast_1d(num_correct))
    if k < 1 or (samples < k).any():
        raise ValueError(f"pass@{k} needs k >= 1 and at least k samples of every task, got as few as {samples.min()}")
    if (correct < 0).any() or (correct > samples).any():
        raise ValueError("num_correct must lie between 0 and num_samples")
    return np.array([_one_task(int(n), int(c), k) for n, c in zip(samples, correct, strict=True)], dtype=np.float64)


def _one_task(n: int, c: int, k: int) -> float:
    if n - c < k:
        return 1.0
    return 1.0 - math.prod(1.0 - k / i for i in range(n - c + 1, n + 1))


def task_rates(results: Mapping[str, Sequence[bool]], k: int = 1) -> _Floats:
    """pass@k of each task, in the mapping's order.

    >>> task_rates({"a": [True, False], "b": [False, False]}).tolist()
    [0.5, 0.0]
    """
    return pass_at_k([len(own) for own in results.values()], [sum(own) for own in results.values()], k)


def summarize(
    results: Mapping[str, Sequence[bool]],
    k: int = 1,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Estimate:
    """Mean pass@k over tasks with its interval.

    The interval is the percentile bootstrap over tasks (`mean_interval`). Two cases take Wilson's instead: one sample
    of each task with k = 1, where the tasks are coin flips; and all tasks alike at 0 or 1.

    Args:
        results: task id -> whether each sample passed; at least one task.
        k: samples one may try.
        confidence: of the interval.
        resamples: of the bootstrap.
        seed: of the bootstrap; the same seed gives the same interval.

    Raises:
        ValueError: no task, or a task with fewer than k samples.

    >>> summarize({"a": [True], "b": [False]}).value
    0.5
    """
    if not results:
        raise ValueError("pass@k of no task is not defined; got an empty mapping")
    rates, total = task_rates(results, k), sum(len(own) for own in results.values())
    single = k == 1 and all(len(own) == 1 for own in results.values())
    return estimate_of(rates, total, single=single, confidence=confidence, resamples=resamples, seed=seed)


def estimate_of(
    rates: _Floats,
    num_samples: int,
    *,
    single: bool = False,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Estimate:
    """The mean of tasks' rates (at least one) with the interval that `summarize` tells of.

    Args:
        rates: of the tasks, each in [0, 1].
        num_samples: behind all of them together.
        single: each is that of a single sample, 0 or 1.
        confidence: of the interval.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    value = float(rates.mean())
    if single or value in (0.0, 1.0):
        low, high = wilson(round(rates.sum()), len(rates), confidence=confidence)
        return Estimate(value, low, high, len(rates), num_samples, "wilson")
    means = bootstrap_means(rates, resamples=resamples, seed=seed)
    low, high = mean_interval(rates, means, bounds=(0.0, 1.0), confidence=confidence)
    return Estimate(value, low, high, len(rates), num_samples, "bootstrap")


def wilson(successes: float, trials: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a proportion; sensible also at 0 and at 1. A tie may count as half a success.

    Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference".

    >>> [round(end, 4) for end in wilson(0, 10)]
    [0.0, 0.2775]
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"wilson got {successes} successes in {trials} trials")
    z, p = NormalDist().inv_cdf(0.5 + confidence / 2), successes / trials
    center = p + z * z / (2 * trials)
    spread = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    # At 0 and 1 one end is exact, which rounding must not spoil.
    low = 0.0 if successes == 0 else (center - spread) / scale
    high = 1.0 if successes == trials else (center + spread) / scale
    return low, high


def bootstrap_means(values: _Floats, *, resamples: int = 10_000, seed: int = 0) -> _Floats:
    """Means (resamples,) of values drawn with replacement, as many as there are.

    Efron 1979, "Bootstrap Methods: Another Look at the Jackknife". To twelve places, so that thirds which add up to
    nothing are nothing, and count as such.

    >>> bool(abs(bootstrap_means(np.array([0.0, 1.0])).mean() - 0.5) < 0.02)
    True
    """
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(0, len(values), (size, len(values)))].mean(axis=1) for size in blocks(resamples)]
    return np.round(np.concatenate(means), 12) + 0.0  # no -0


def blocks(resamples: int) -> Iterator[int]:
    """Sizes that add up to `resamples`: ten thousand draws of a thousand tasks at once would take hundreds of MB."""
    for start in range(0, resamples, 500):
        yield min(500, resamples - start)


def mean_interval(
    values: _Floats, means: _Floats, *, bounds: tuple[float, float], confidence: float = 0.95
) -> tuple[float, float]:
    """The interval of a mean over tasks: percentiles of `means`, the bootstrap of `values`.

    Where all values are alike, or there is one, resampling would claim certainty. What such values do not rule out is
    that other tasks are otherwise: a share of them up to Wilson's bound for none in so many, as far off as `bounds`
    lets them be. At a bound this is Wilson's own interval.

    >>> ends = mean_interval(np.ones(4), np.ones(9), bounds=(-1.0, 1.0))
    >>> [round(end, 3) for end in ends]
    [0.02, 1.0]
    """
    if np.ptp(values) > 1e-12:
        low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
        return float(low), float(high)
    value, unseen = float(values[0]), wilson(0, len(values), confidence=confidence)[1]
    return value - unseen * (value - bounds[0]), value + unseen * (bounds[1] - value)
