"""How far scores (a reward model's, a judge's) can be trusted, held against what the tests say.

Plain floats for the log and the report. A figure that the data do not determine (no pair, one class only, a constant)
is None, not a number somebody might average.
"""

from __future__ import annotations

import torch
from torch import Tensor

from verigrad.algorithms.shapes import check_shapes

__all__ = ["auc", "expected_calibration_error", "length_bias", "pair_accuracy", "rank_correlation", "ranks"]


def pair_accuracy(chosen: Tensor, rejected: Tensor) -> float | None:
    """Share of pairs in which the chosen completion has the higher score, a tie counting half.

    Args:
        chosen: (B,) scores.
        rejected: (B,) scores.

    >>> pair_accuracy(torch.tensor([2.0, 1.0]), torch.tensor([1.0, 1.0]))
    0.75
    """
    check_shapes("B", chosen=chosen, rejected=rejected)
    if len(chosen) == 0:
        return None
    return float(((chosen > rejected).double() + 0.5 * (chosen == rejected).double()).mean())


def auc(scores: Tensor, passed: Tensor) -> float | None:
    """Probability that a program that passes its tests has a higher score than one that fails, a tie counting half.

    The area under the ROC curve, by ranks: Mann and Whitney 1947. Only the order of the scores matters. Over many tasks
    it mixes telling programs apart with telling easy tasks from hard ones; per task it is the first alone.

    Args:
        scores: (N,).
        passed: (N,) bool.

    Returns:
        0 to 1, 0.5 for scores that know nothing; None unless both kinds are there.

    >>> auc(torch.tensor([0.1, 0.9, 0.9, 0.4]), torch.tensor([False, True, False, False]))  # (1 + 0.5 + 1) / 3
    0.8333333333333334
    """
    check_shapes("N", scores=scores, passed=passed)
    if passed.dtype != torch.bool:
        raise TypeError(f"passed has dtype {passed.dtype}, wanted torch.bool (choose what counts as passed)")
    good, bad = int(passed.sum()), int((~passed).sum())
    if good == 0 or bad == 0:
        return None
    return float((ranks(scores)[passed].sum() - good * (good + 1) / 2) / (good * bad))


def expected_calibration_error(probabilities: Tensor, passed: Tensor, *, bins: int = 10) -> float | None:
    """Mean over programs of |share passed - mean probability| of the bin the program falls in; bins of equal width.

    Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning"; Guo et al. 2017, "On
    Calibration of Modern Neural Networks", arXiv:1706.04599, eq. 3. Of a reward model's logits, give the sigmoid.

    Args:
        probabilities: (N,) in [0, 1].
        passed: (N,) bool, or a share in [0, 1].
        bins: how many; a probability on a boundary falls in the upper bin, and 1 in the last.

    >>> expected_calibration_error(torch.tensor([0.75, 0.75, 0.25]), torch.tensor([True, True, False]))
    0.25
    """
    check_shapes("N", probabilities=probabilities, passed=passed)
    if bins < 1:
        raise ValueError(f"bins is {bins}, wanted at least 1")
    if len(probabilities) == 0:
        return None
    probabilities = probabilities.detach().double()
    if not bool(((probabilities >= 0) & (probabilities <= 1)).all()):
        raise ValueError("probabilities reach outside 0 to 1 (give the sigmoid of a logit)")
    index = (probabilities * bins).long().clamp(max=bins - 1)
    surplus = torch.zeros(bins, dtype=torch.float64, device=index.device)
    surplus = surplus.index_add(0, index, passed.double() - probabilities)
    return float(surplus.abs().sum() / len(probabilities))


def length_bias(scores: Tensor, lengths: Tensor) -> float | None:
    """Rank correlation of score and length: how much of the order could be had by counting tokens.

    Singhal et al. 2023, "A Long Way to Go: Investigating Length Correlations in RLHF", arXiv:2310.03716. Compare it
    with the same figure of the verdicts: right programs may really be longer.

    Args:
        scores: (N,).
        lengths: (N,) tokens or characters.

    >>> length_bias(torch.tensor([0.1, 0.2, 0.9]), torch.tensor([10, 20, 15]))
    0.5
    """
    check_shapes("N", scores=scores, lengths=lengths)
    return rank_correlation(scores, lengths)


def rank_correlation(x: Tensor, y: Tensor) -> float | None:
    """Spearman's rho: the correlation of the `ranks` of x with those of y.

    Spearman 1904, "The proof and measurement of association between two things".

    Args:
        x: (N,).
        y: (N,).

    Returns:
        -1 to 1; None for fewer than two values, or where all of either are equal.

    >>> rank_correlation(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 8.0, 27.0]))
    1.0
    """
    check_shapes("N", x=x, y=y)
    if len(x) == 0:
        return None
    a, b = ranks(x), ranks(y)
    a, b = a - a.mean(), b - b.mean()
    scale = float((a.square().sum() * b.square().sum()).sqrt())
    return float((a * b).sum()) / scale if scale > 0 else None


def ranks(values: Tensor) -> Tensor:
    """1 for the smallest value, N for the largest; equal values share the mean of the ranks they take up.

    Args:
        values: (N,).

    Returns:
        (N,) float64.

    Raises:
        ValueError: a value is NaN, which has no rank.

    >>> ranks(torch.tensor([0.5, 0.1, 0.5]))
    tensor([2.5000, 1.0000, 2.5000], dtype=torch.float64)
    """
    check_shapes("N", values=values)
    if bool(values.isnan().any()):
        raise ValueError("a value is NaN, which has no rank (leave it out first)")
    _, index, counts = torch.unique(values.detach(), return_inverse=True, return_counts=True)
    middle: Tensor = counts.cumsum(0).double() - (counts.double() - 1) / 2
    return middle[index]
