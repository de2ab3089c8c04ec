"""Numbers as people write them: 0.7, 0.4 and 0.1 are evenly spaced, which their floats are not."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

__all__ = ["sides_of_mean"]


def sides_of_mean(numbers: Sequence[float]) -> list[bool | None]:
    """Of each of some finite numbers, at least one: whether it is above their mean; None where it is the mean.

    Exact, for the shortest decimals that stand for the floats.

    >>> sides_of_mean([0.7, 0.4, 0.1]), sides_of_mean([0.1, 0.1, 0.1])
    ([True, None, False], [None, None, None])
    """
    exact = [Fraction(str(number)) for number in numbers]
    mean = sum(exact) / len(exact)
    return [None if number == mean else number > mean for number in exact]
