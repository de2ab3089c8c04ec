"""How far annotators agree, beyond what chance gives: pure functions over categories.

The categories are `a`, `b` and `tie`, none nearer to another than the third. Which answer of an item is `a` is
arbitrary (see `items`), so a share of `a` above one half is not a taste that chance agreement should know of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

__all__ = [
    "PairAgreement",
    "Ratings",
    "cohen_kappa",
    "common_ratings",
    "krippendorff_alpha",
    "pair_agreements",
    "raw_agreement",
]

Ratings = Mapping[str, Mapping[str, str]]  # item -> annotator -> category


def raw_agreement(pairs: Sequence[tuple[Hashable, Hashable]]) -> float | None:
    """Share of items on which both say the same; None without items.

    >>> raw_agreement([("a", "a"), ("a", "tie"), ("b", "b"), ("b", "b")])
    0.75
    """
    return sum(first == second for first, second in pairs) / len(pairs) if pairs else None


def cohen_kappa(pairs: Sequence[tuple[Hashable, Hashable]]) -> float | None:
    """Agreement of two annotators beyond chance, of the most there could be beyond chance.

    kappa = (p_o - p_e) / (1 - p_e),   p_e = sum_c p1(c) p2(c)

    with p_o the raw agreement and p1, p2 the shares with which each uses category c. 1 is full agreement, 0 what
    chance gives, below 0 less than that. None where it is 0 / 0: no items, or both used one category throughout.
    Cohen 1960, "A coefficient of agreement for nominal scales".

    Args:
        pairs: the two categories of each item that both judged.

    >>> cohen_kappa([("a", "a"), ("a", "b"), ("b", "b"), ("b", "b")])
    0.5
    """
    if not pairs:
        return None
    total = len(pairs)
    first, second = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    agreed = sum(one == other for one, other in pairs)
    chance = sum(count * second[category] for category, count in first.items())  # of total squared
    if chance == total * total:
        return None
    return (agreed * total - chance) / (total * total - chance)


def krippendorff_alpha(units: Iterable[Sequence[Hashable]]) -> float | None:
    """Agreement of any number of annotators, each of whom may have judged only some items; nominal categories.

    alpha = 1 - D_o / D_e = 1 - (n - 1) sum_{c != k} o_ck / sum_{c != k} n_c n_k

    o_ck counts, over all items, the ordered pairs of values (c, k) from two annotators of the item, each pair
    weighted 1 / (m - 1) for an item with m values; n_c are its row sums, and n their sum. Items with fewer than
    two values say nothing and are left out. None where no item has two values, or all values are one category.
    Krippendorff 2011, "Computing Krippendorff's alpha-reliability"; 2018, "Content Analysis", 4th ed., ch. 12.

    Args:
        units: for each item the categories it was given.

    >>> krippendorff_alpha([("a", "a"), ("b", "b"), ("a",)])
    1.0
    """
    values: Counter[Hashable] = Counter()
    disagreeing = 0.0
    for unit in units:
        if len(unit) < 2:
            continue
        counts = Counter(unit)
        values += counts
        disagreeing += sum(count * (len(unit) - count) for count in counts.values()) / (len(unit) - 1)
    total = values.total()
    expected = sum(count * (total - count) for count in values.values())
    return 1 - (total - 1) * disagreeing / expected if expected else None


@dataclass(frozen=True)
class PairAgreement:
    """Two annotators on the items that both judged.

    Attributes:
        first, second: their names.
        counts: (category of the first, of the second) -> items.
        raw: share of items with equal categories.
        kappa: Cohen's, or None where it is undefined.
    """

    first: str
    second: str
    counts: Mapping[tuple[str, str], int]
    raw: float
    kappa: float | None

    @property
    def items(self) -> int:
        """How many items both judged."""
        return sum(self.counts.values())


def common_ratings(ratings: Ratings, first: str, second: str) -> list[tuple[str, str]]:
    """The categories of two annotators on every item that both judged."""
    return [(given[first], given[second]) for given in ratings.values() if first in given and second in given]


def pair_agreements(ratings: Ratings, annotators: Sequence[str]) -> list[PairAgreement]:
    """Every two annotators with an item in common."""
    found = []
    for index, first in enumerate(annotators):
        for second in annotators[index + 1 :]:
            pairs = common_ratings(ratings, first, second)
            raw = raw_agreement(pairs)
            if raw is not None:
                found.append(PairAgreement(first, second, Counter(pairs), raw, cohen_kappa(pairs)))
    return found
