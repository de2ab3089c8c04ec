"""One measure of both kinds of model, paired by task, over pairs of models: who is better, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

import numpy as np

from verigrad.evaluation.compare import sign_flip_p
from verigrad.evaluation.pass_at_k import bootstrap_means
from verigrad.evaluation.sweeps.statistics import compare_settings, holm, seed_noise, summarize_seeds

__all__ = ["Versus", "adjusted", "versus_rates", "versus_values"]

_RESAMPLES = 10_000


@dataclass(frozen=True)
class Versus:
    """A measure on both sides.

    Attributes:
        measure: in words.
        unit: `share`, or what the numbers are in.
        diffusion: mean over tasks and pairs.
        causal: the same.
        difference: diffusion - causal.
        low, high: its 95 % interval over tasks, pairs pooled.
        wide_low, wide_high: the interval over tasks and seeds; None with one pair.
        p_value: two-sided, over tasks; after `adjusted` by Holm's method over all measures.
        more_is_better: False for code lengths and losses.
        winner: `tie` where an interval covers 0 or p is above 0.05.
    """

    measure: str
    unit: str
    diffusion: float
    causal: float
    difference: float
    low: float
    high: float
    wide_low: float | None
    wide_high: float | None
    p_value: float
    more_is_better: bool = True
    winner: Literal["diffusion", "causal", "tie"] = "tie"


def versus_rates(
    measure: str, diffusion: Sequence[Mapping[str, Sequence[bool]]], causal: Sequence[Mapping[str, Sequence[bool]]]
) -> Versus:
    """A rate: for each pair, task -> whether each sample passed.

    The models of a pair share their start and seed, so what other seeds would change is told by the pairs' own
    differences (`sweeps.statistics.summarize_seeds`).
    """
    found = summarize_seeds(causal, diffusion, resamples=_RESAMPLES)
    (told,) = compare_settings({"diffusion": diffusion, "causal": causal}, resamples=_RESAMPLES)
    tasks = [task for task in diffusion[0] if all(task in own for own in (*diffusion, *causal))]
    one, other = (fmean(fmean(own[task]) for own in side for task in tasks) for side in (diffusion, causal))
    change = found.gain
    return Versus(
        measure, "share", one, other, change.value, change.low, change.high, found.low, found.high, told.p_value
    )


def versus_values(
    measure: str,
    unit: str,
    diffusion: Sequence[Mapping[str, float]],
    causal: Sequence[Mapping[str, float]],
    *,
    more_is_better: bool,
) -> Versus:
    """A number a task: for each pair, task -> value. Intervals as those of rates are made.

    >>> found = versus_values("m", "bits", [{"a": 1.0, "b": 2.0}], [{"a": 2.0, "b": 2.5}], more_is_better=False)
    >>> found.difference, found.wide_low
    (-0.75, None)
    """
    tasks = [task for task in diffusion[0] if all(task in own for own in (*diffusion, *causal))]
    if not tasks:
        raise ValueError(f"{measure}: no task that all models have")
    one, other = (np.array([[own[task] for task in tasks] for own in side]) for side in (diffusion, causal))
    changes = one.mean(0) - other.mean(0)
    means = bootstrap_means(changes, resamples=_RESAMPLES, seed=0)
    low, high = np.quantile(means, [0.025, 0.975])
    noise = seed_noise((one - other).mean(1).tolist(), resamples=_RESAMPLES)
    wide: tuple[float | None, float | None] = (None, None)
    if noise is not None:
        ends = np.quantile(means + noise, [0.025, 0.975])
        wide = (float(ends[0]), float(ends[1]))
    p_value = sign_flip_p(changes, resamples=_RESAMPLES)
    return Versus(
        measure,
        unit,
        float(one.mean()),
        float(other.mean()),
        float(changes.mean()),
        float(low),
        float(high),
        *wide,
        p_value,
        more_is_better,
    )


def adjusted(found: Sequence[Versus]) -> list[Versus]:
    """The same with p-values for all of them together, and who wins.

    A side wins where both intervals (the one there is, with a single pair) leave 0 out and p is at most 0.05.
    """
    judged = []
    for own, p_value in zip(found, holm([own.p_value for own in found]), strict=True):
        ends = [own.low, own.high] + [end for end in (own.wide_low, own.wide_high) if end is not None]
        sure = p_value <= 0.05 and (min(ends) > 0 or max(ends) < 0)
        ahead: Literal["diffusion", "causal"] = "diffusion" if (own.difference > 0) == own.more_is_better else "causal"
        judged.append(replace(own, p_value=p_value, winner=ahead if sure else "tie"))
    return judged
