"""Random inputs that the built-in families share."""

from __future__ import annotations

from random import Random
from string import ascii_lowercase

__all__ = ["ints", "word", "words"]


def word(random: Random, low: int, high: int, alphabet: str = ascii_lowercase) -> str:
    """A string of `low` to `high` characters of `alphabet`; a short alphabet makes repeats likely."""
    return "".join(random.choice(alphabet) for _ in range(random.randint(low, high)))


def words(
    random: Random, count_low: int, count_high: int, low: int, high: int, alphabet: str = ascii_lowercase
) -> list[str]:
    """A list of `count_low` to `count_high` such strings."""
    return [word(random, low, high, alphabet) for _ in range(random.randint(count_low, count_high))]


def ints(random: Random, count_low: int, count_high: int, low: int, high: int) -> list[int]:
    """A list of `count_low` to `count_high` numbers from `low` to `high`, both included."""
    return [random.randint(low, high) for _ in range(random.randint(count_low, count_high))]
