"""What a reward model's scores of held-out answers are worth: order, calibration, length.

The unit of chance is the prompt: intervals resample prompts, each with all its answers. An answer that is in several
records counts once where answers are counted, and in each of its pairs where pairs are.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from verigrad.algorithms.score_metrics import auc, expected_calibration_error, rank_correlation
from verigrad.evaluation.held_out import Answer, HeldOut, Preference
from verigrad.evaluation.pass_at_k import Estimate, wilson

__all__ = [
    "Bin",
    "Calibration",
    "LengthBias",
    "calibration",
    "label_accuracy",
    "length_bias",
    "order_accuracy",
    "point_figures",
    "separation",
    "side_accuracy",
]

_Indices = NDArray[np.int64]
_BINS = 10
_RESAMPLES = 1000


# ---------------------------------------------------------------------------------------------- order


def order_accuracy(held_out: HeldOut) -> Estimate | None:
    """Share of preferences in which the better answer has the higher score, a tie counting half; None without any."""
    return _estimate(_in_order(held_out.preferences))


def label_accuracy(held_out: HeldOut) -> Estimate | None:
    """Of preferences between answers that pass different shares of their tests, those whose better one passes more.

    What a model can reach against labels that err; None where the tests tell no two answers apart.
    """
    known = [preference for preference in held_out.preferences if preference.extra_tests]
    gains = np.array([preference.extra_tests for preference in known], dtype=np.float64)
    return _estimate(_Share(_prompts_of(known), lambda chosen: _share_above(gains[chosen], 0.0)))


def side_accuracy(held_out: HeldOut) -> Estimate | None:
    """Share of rated answers on the right side of 0, where a probability of one half lies; None of other records."""
    if held_out.kind != "labels":
        return None
    answers = _labelled(held_out)
    right = np.array([(answer.score > 0) == answer.wanted for answer in answers], dtype=np.float64)
    return _estimate(_Share(_prompts_of(answers), lambda chosen: float(right[chosen].mean())))


def separation(held_out: HeldOut, *, within_prompts: bool = False) -> Estimate | None:
    """AUC: chance that a good answer (see `HeldOut.sides`) scores above a bad one, a tie counting half.

    Args:
        held_out: what was scored.
        within_prompts: compare answers to the same prompt only, every such pair counting once; over all prompts,
            telling easy prompts from hard ones counts too.

    Returns:
        None where there is nothing to compare.
    """
    return _estimate((_above_within_prompts if within_prompts else _above)(*held_out.sides()))


def point_figures(held_out: HeldOut) -> dict[str, float]:
    """The figures that a run logs, by the names of docs/metrics.md; those that the data do not determine are absent."""
    labelled, answers = _labelled(held_out), held_out.answers
    wanted, unwanted = ([answer for answer in labelled if answer.wanted is side] for side in (True, False))
    passing, failing = ([answer for answer in answers if answer.passed is side] for side in (True, False))
    stated = calibration(held_out)
    found = {
        "pair_accuracy": None if held_out.kind == "labels" else _in_order(held_out.preferences).value,
        "auc": _above(wanted, unwanted).value,
        "auc_verdicts": _above(passing, failing).value,
        "auc_verdicts_within_prompt": _above_within_prompts(passing, failing).value,
        "calibration_error": None if stated is None else stated.error,
        "length_bias": length_bias(held_out).all_answers,
    }
    return {name: value for name, value in found.items() if value is not None}


def _labelled(held_out: HeldOut) -> list[Answer]:
    return [answer for answer in held_out.answers if answer.wanted is not None]


@dataclass(frozen=True)
class _Share:
    """A share over units of chance.

    Attributes:
        prompts: of each unit.
        of: the share over the units at these places; None where they do not determine it.
    """

    prompts: Sequence[Hashable]
    of: Callable[[_Indices], float | None]

    @property
    def value(self) -> float | None:
        """Over all of them; None where there are none."""
        return self.of(np.arange(len(self.prompts))) if self.prompts else None


def _in_order(preferences: Sequence[Preference]) -> _Share:
    gaps = np.array([preference.gap for preference in preferences])
    return _Share(_prompts_of(preferences), lambda chosen: _share_above(gaps[chosen], 0.0))


def _above(good: Sequence[Answer], bad: Sequence[Answer]) -> _Share:
    answers = [*good, *bad]
    of_good = np.arange(len(answers)) < len(good)
    scores = np.array([answer.score for answer in answers])
    return _Share(
        _prompts_of(answers), lambda chosen: auc(torch.from_numpy(scores[chosen]), torch.from_numpy(of_good[chosen]))
    )


def _above_within_prompts(good: Sequence[Answer], bad: Sequence[Answer]) -> _Share:
    by_prompt: dict[Hashable, list[Answer]] = {}
    for answer in bad:
        by_prompt.setdefault(answer.prompt, []).append(answer)
    return _in_order([Preference(a.prompt, a.score - b.score) for a in good for b in by_prompt.get(a.prompt, ())])


def _share_above(values: NDArray[np.float64], bound: float) -> float:
    return float(((values > bound) + 0.5 * (values == bound)).mean())


def _grouped(prompts: Sequence[Hashable]) -> list[_Indices]:
    """Places of each prompt, prompts in order of appearance."""
    places: dict[Hashable, list[int]] = {}
    for number, prompt in enumerate(prompts):
        places.setdefault(prompt, []).append(number)
    return [np.array(own, dtype=np.int64) for own in places.values()]


def _prompts_of(units: Iterable[Answer | Preference]) -> list[Hashable]:
    return [unit.prompt for unit in units]


def _estimate(share: _Share) -> Estimate | None:
    """A share with its 95 % interval: percentiles of a bootstrap over prompts, each with all its units.

    Where all resamples come out alike, Wilson's interval over prompts instead, for resampling would claim certainty; a
    single prompt says nothing about others.
    """
    groups, value, count = _grouped(share.prompts), share.value, len(share.prompts)
    if value is None:
        return None
    if len(groups) == 1:
        return Estimate(value, 0.0, 1.0, 1, count)
    rng = np.random.default_rng(0)
    draws = (rng.integers(0, len(groups), len(groups)) for _ in range(_RESAMPLES))
    resampled = [share.of(np.concatenate([groups[i] for i in draw])) for draw in draws]
    known = [found for found in resampled if found is not None]
    if max(known) - min(known) < 1e-12:
        low, high = wilson(value * len(groups), len(groups))
        return Estimate(value, low, high, len(groups), count, "wilson")
    low, high = np.quantile(known, [0.025, 0.975])
    return Estimate(value, float(low), float(high), len(groups), count)


# ---------------------------------------------------------------------------------------- calibration


@dataclass(frozen=True)
class Bin:
    """Statements of about one probability.

    Attributes:
        low: lower bound of the probability, included.
        high: upper bound, excluded but for 1.
        count: how many statements.
        stated: their mean probability.
        right: share of them that came true, a tie counting half.
        interval: 95 %, Wilson's, of that share.
    """

    low: float
    high: float
    count: int
    stated: float
    right: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Calibration:
    """Bins that hold something, in order, and the expected calibration error over them."""

    bins: Sequence[Bin]
    error: float


def calibration(held_out: HeldOut) -> Calibration | None:
    """How often what the model states with a probability comes true; None where it states nothing.

    Of rated answers the statement is "this one is wanted", with probability s(score), s the logistic function; of
    pairs and rankings "this answer is better than that one" of the answer it scores higher, with probability
    s(|difference of the scores|) and so never below one half; a tie, which chooses neither, comes true by half.

    Bins and error as in Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599.
    """
    if held_out.kind == "labels":
        scores = torch.tensor([answer.score for answer in _labelled(held_out)], dtype=torch.float64)
        true = torch.tensor([answer.wanted is True for answer in _labelled(held_out)], dtype=torch.float64)
    else:
        gaps = torch.tensor([preference.gap for preference in held_out.preferences], dtype=torch.float64)
        scores, true = gaps.abs(), (gaps > 0) + 0.5 * (gaps == 0)
    stated = scores.sigmoid()
    error = expected_calibration_error(stated, true, bins=_BINS)
    if error is None:
        return None
    places = (stated * _BINS).long().clamp(max=_BINS - 1)
    return Calibration([_bin(int(i), stated[places == i], true[places == i]) for i in places.unique()], error)


def _bin(place: int, stated: torch.Tensor, true: torch.Tensor) -> Bin:
    count, right = len(true), float(true.sum())
    return Bin(
        low=place / _BINS,
        high=(place + 1) / _BINS,
        count=count,
        stated=float(stated.mean()),
        right=right / count,
        interval=wilson(right, count),
    )


# --------------------------------------------------------------------------------------------- length


@dataclass(frozen=True)
class LengthBias:
    """How far scores follow length; each figure is None where the data do not determine it.

    Attributes:
        all_answers: rank correlation (Spearman's) of score and tokens.
        good: the same among good answers (see `HeldOut.sides`), where quality cannot be the reason.
        bad: the same among bad ones.
        verdict: rank correlation of being good and tokens: what the tests, or the labels, themselves say of length.
        prefers_longer: of preferences between answers of different length, the share in which the longer one scores
            higher, a tie counting half.
        longer_is_better: the share of them in which the longer one is the better one.
        right_if_longer: share of preferences in the right order where the better one is the longer.
        right_if_shorter: the same where it is the shorter.
    """

    all_answers: float | None
    good: float | None
    bad: float | None
    verdict: float | None
    prefers_longer: float | None
    longer_is_better: float | None
    right_if_longer: float | None
    right_if_shorter: float | None


def length_bias(held_out: HeldOut) -> LengthBias:
    """Singhal et al. 2023, "A Long Way to Go: Investigating Length Correlations in RLHF", arXiv:2310.03716."""
    good, bad = held_out.sides()
    known = [(1.0, answer) for answer in good] + [(0.0, answer) for answer in bad]
    uneven = [preference for preference in held_out.preferences if preference.extra_tokens]
    gaps = np.array([preference.gap for preference in uneven])
    longer = np.array([(preference.extra_tokens or 0) > 0 for preference in uneven], dtype=bool)
    return LengthBias(
        all_answers=_with_length([(answer.score, answer) for answer in held_out.answers]),
        good=_with_length([(answer.score, answer) for answer in good]),
        bad=_with_length([(answer.score, answer) for answer in bad]),
        verdict=_with_length(known),
        prefers_longer=_share_above(np.where(longer, gaps, -gaps), 0.0) if uneven else None,
        longer_is_better=float(longer.mean()) if uneven else None,
        right_if_longer=_share_above(gaps[longer], 0.0) if longer.any() else None,
        right_if_shorter=_share_above(gaps[~longer], 0.0) if (~longer).any() else None,
    )


def _with_length(valued: Sequence[tuple[float, Answer]]) -> float | None:
    known = [(value, float(answer.tokens)) for value, answer in valued if answer.tokens is not None]
    values = torch.tensor(known, dtype=torch.float64).reshape(-1, 2)
    return rank_correlation(values[:, 0], values[:, 1])
