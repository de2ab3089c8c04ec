"""Several seeds of several settings on the same tasks: gains with both kinds of chance in them, and who beats whom.

Tasks and seeds are crossed: every seed answers the same tasks. Two questions have two intervals.

*How good are these runs?* Seeds are pooled (a task's rate is the mean of its rates in the seeds, so that a seed which
lost samples to failures of ours weighs no less) and tasks are resampled, as in `verigrad.evaluation.compare`.

*How good is the setting, with other tasks and other seeds?* A hierarchical bootstrap: each resample draws tasks with
replacement, the same ones for every seed, and then adds what other seeds would change, drawn from Student's t with
n - 1 degrees of freedom, scaled by the standard error of the seeds' mean. Drawing tasks for each seed apart would
treat the tasks' own difficulty as if it averaged out over seeds, which it does not; drawing two to five seeds with
replacement finds too little spread. In simulations such intervals of 95 % held the truth 61 to 92 % and 78 to 98 % of
the time, the one used here 95 to 100 % (docs/sweeps.md).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from verigrad.evaluation.compare import Difference, difference_of, sign_flip_p
from verigrad.evaluation.pass_at_k import Estimate, estimate_of, task_rates

__all__ = ["Comparison", "SeedSummary", "compare_settings", "holm", "seed_noise", "shared_tasks", "summarize_seeds"]

_Floats = NDArray[np.float64]
_Results = Mapping[str, Sequence[bool]]
_LEVEL = 0.05


@dataclass(frozen=True)
class SeedSummary:
    """One setting on one split.

    Attributes:
        before: pass@1, seeds pooled.
        after: pass@1, seeds pooled.
        gain: after - before with its interval over tasks, seeds pooled.
        gains: the gain of each seed.
        sd: standard deviation of the seeds' gains; None with one seed.
        low: lower end of the gain's 95 % interval over tasks and seeds; None with one seed.
        high: its upper end.
        left_out: tasks that some seed has no sample of, before or after.
    """

    before: Estimate
    after: Estimate
    gain: Difference
    gains: tuple[float, ...]
    sd: float | None
    low: float | None
    high: float | None
    left_out: int


@dataclass(frozen=True)
class Comparison:
    """pass@1 after training of two settings on the tasks that both have.

    Attributes:
        first: name of a setting.
        second: name of another.
        difference: first - second with its interval over tasks, seeds pooled.
        low: lower end of the 95 % interval over tasks and seeds; None where a side has one seed.
        high: its upper end.
        p_value: two-sided, over tasks: `compare.sign_flip_p`, seeds pooled.
        adjusted: the same by Holm's method, for all comparisons of the split together.
        seeds_p: two-sided, over tasks and seeds, by Holm's method for all comparisons; None where a side has one seed.
        verdict: the better side; `tie` where the interval over tasks covers 0 or the adjusted p is above 0.05.
    """

    first: str
    second: str
    difference: Difference
    low: float | None
    high: float | None
    p_value: float
    adjusted: float
    seeds_p: float | None
    verdict: Literal["first", "second", "tie"]

    @property
    def holds_for_other_seeds(self) -> bool:
        """Whether the better side is better with other seeds as well, all comparisons of the split considered."""
        if self.low is None or self.high is None or self.seeds_p is None:
            return False
        return not self.low <= 0 <= self.high and self.seeds_p <= _LEVEL


def summarize_seeds(
    before: Sequence[_Results],
    after: Sequence[_Results],
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> SeedSummary:
    """The gain of a setting over its seeds.

    Args:
        before: for each seed, task id -> whether each sample passed.
        after: the same seeds, after training.
        confidence: of the intervals.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ValueError: no seed, or no task that every seed has on both sides.

    >>> found = summarize_seeds([{"a": [False]}, {"a": [False]}], [{"a": [True]}, {"a": [False]}])
    >>> found.gain.value, found.gains, round(found.sd, 4)
    (0.5, (1.0, 0.0), 0.7071)
    """
    tasks = shared_tasks([*before, *after])
    if not tasks:
        raise ValueError("wanted at least one seed, and a task that every seed has; there is none")
    old, new = (_rates(side, tasks) for side in (before, after))
    changes = new.mean(axis=0) - old.mean(axis=0)
    gain, means = difference_of(changes, confidence=confidence, resamples=resamples, seed=seed)
    gains = [float((a - b).mean()) for b, a in zip(old, new, strict=True)]
    interval = _interval(gain, means, [seed_noise(gains, resamples=resamples, seed=seed)], confidence)
    every = set().union(*before, *after)
    return SeedSummary(
        before=_estimate(before, tasks, confidence, resamples, seed),
        after=_estimate(after, tasks, confidence, resamples, seed),
        gain=gain,
        gains=tuple(gains),
        sd=float(np.std(gains, ddof=1)) if len(gains) > 1 else None,
        low=interval[0],
        high=interval[1],
        left_out=len(every) - len(tasks),
    )


def compare_settings(
    after: Mapping[str, Sequence[_Results]], *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> list[Comparison]:
    """Every pair of settings that share a task, with Holm's correction for the number of pairs.

    Args:
        after: setting -> for each seed, task id -> whether each sample passed.
        confidence: of the intervals; verdicts are at the level 0.05.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    pairs = [pair for pair in itertools.combinations(after, 2) if shared_tasks([*after[pair[0]], *after[pair[1]]])]
    resamples = max(resamples, 40 * len(pairs))  # the least p there can be must be able to stand Holm's correction
    found = [_compare(first, second, after, confidence, resamples, seed) for first, second in pairs]
    adjusted = holm([comparison.p_value for comparison in found])
    of_seeds = iter(holm([comparison.seeds_p for comparison in found if comparison.seeds_p is not None]))
    return [
        _judged(comparison, p, None if comparison.seeds_p is None else next(of_seeds))
        for comparison, p in zip(found, adjusted, strict=True)
    ]


def _compare(
    first: str, second: str, after: Mapping[str, Sequence[_Results]], confidence: float, resamples: int, seed: int
) -> Comparison:
    tasks = shared_tasks([*after[first], *after[second]])
    one, other = (_rates(after[name], tasks) for name in (first, second))
    changes = one.mean(axis=0) - other.mean(axis=0)
    difference, means = difference_of(changes, confidence=confidence, resamples=resamples, seed=seed)
    noises = [
        seed_noise(rates.mean(axis=1).tolist(), resamples=resamples, seed=seed + number)
        for number, rates in enumerate((one, other))
    ]
    low, high = _interval(difference, means, noises, confidence)
    p_value = sign_flip_p(changes, resamples=resamples, seed=seed)
    seeds_p = None if low is None else _two_sided(means + sum(noise for noise in noises if noise is not None))
    return Comparison(first, second, difference, low, high, p_value, p_value, seeds_p, "tie")


def _two_sided(draws: _Floats) -> float:
    tail = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    return min(1.0, 2 * (tail + 1) / (len(draws) + 1))


def _judged(comparison: Comparison, adjusted: float, seeds_p: float | None) -> Comparison:
    difference = comparison.difference
    tie = difference.low <= 0 <= difference.high or adjusted > _LEVEL
    verdict: Literal["first", "second", "tie"] = "tie" if tie else "first" if difference.value > 0 else "second"
    return replace(comparison, adjusted=adjusted, seeds_p=seeds_p, verdict=verdict)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values: below a level with at most that chance of a single false find among all of them.

    The i-th smallest of m is multiplied by m - i + 1, and is at least the one before it.
    Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure".

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def seed_noise(values: Sequence[float], *, resamples: int = 10_000, seed: int = 0) -> _Floats | None:
    """What other seeds would add to the mean of these, (resamples,) draws; None for one value, which does not tell.

    t(n - 1) s / sqrt(n), the distribution of the error of a mean of n normal values with standard deviation s.
    """
    if len(values) < 2:
        return None
    rng = np.random.default_rng([seed, len(values)])
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return error * rng.standard_t(len(values) - 1, resamples)


def _interval(
    over_tasks: Difference, means: _Floats, noises: Sequence[_Floats | None], confidence: float
) -> tuple[float, float] | tuple[None, None]:
    """Ends over tasks and seeds; None where a side has one seed.

    Where all tasks changed alike, resampling them adds nothing: then it is no narrower than the interval over tasks,
    which allows for tasks that are otherwise.
    """
    known = [noise for noise in noises if noise is not None]
    if len(known) < len(noises):
        return None, None
    low, high = np.quantile(means + sum(known), [(1 - confidence) / 2, (1 + confidence) / 2])
    if np.ptp(means) == 0:
        low, high = min(low, over_tasks.low), max(high, over_tasks.high)
    return float(low), float(high)


def shared_tasks(results: Sequence[_Results]) -> list[str]:
    """Tasks that all have, in the first one's order."""
    return [task for task in results[0] if all(task in own for own in results)] if results else []


def _rates(results: Sequence[_Results], tasks: Sequence[str]) -> _Floats:
    """Share of its samples that passed, (seeds, tasks)."""
    return np.stack([task_rates({task: own[task] for task in tasks}) for own in results])


def _estimate(
    results: Sequence[_Results], tasks: Sequence[str], confidence: float, resamples: int, seed: int
) -> Estimate:
    """pass@1, seeds pooled."""
    counts = [len(own[task]) for own in results for task in tasks]
    single = len(results) == 1 and set(counts) == {1}
    rates = _rates(results, tasks).mean(axis=0)
    return estimate_of(rates, sum(counts), single=single, confidence=confidence, resamples=resamples, seed=seed)
