"""From judgements to preference pairs: one for each item on which the annotators come to a verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from verigrad.errors import ConfigError
from verigrad.preferences.records import Pair
from verigrad.ui.items import Candidate, Item
from verigrad.ui.store import Choice, Side, Store

__all__ = ["DISAGREEMENTS", "MARGINS", "TIES", "Export", "export_pairs"]

TIES = ("drop", "score")
DISAGREEMENTS = ("majority", "plurality", "unanimous")
MARGINS = ("none", "agreement", "score")


@dataclass(frozen=True)
class Export:
    """Pairs, and how many judged items gave none: `ties`, `disagreements` and `skipped`."""

    pairs: tuple[Pair, ...]
    left_out: Mapping[str, int]


def export_pairs(
    store: Store,
    *,
    ties: str = "drop",
    disagreements: str = "majority",
    margin: str = "none",
    annotators: Collection[str] = (),
    min_annotators: int = 1,
) -> Export:
    """The pairs of a folder, in the order of its items.

    Args:
        store: the folder.
        ties: items whose verdict is a tie: `drop` leaves them out; `score` prefers the answer with the higher
            score, where there is one.
        disagreements: how a side wins where annotators differ: `majority` with more than half of the votes, ties
            counted; `plurality` with more votes than the other side, ties not counted; `unanimous` with all votes.
            Items that neither side wins and that are no tie are left out.
        margin: of each pair: `none`, `agreement` (share of the votes for the chosen answer) or `score` (score of the
            chosen answer minus that of the rejected one, kept in `meta` as `score_difference`; where that is negative
            the pair has no margin).
        annotators: whose votes count; all where empty.
        min_annotators: items with fewer votes are left out.

    Raises:
        ConfigError: an option or an annotator is unknown.
    """
    options = (("ties", ties, TIES), ("disagreements", disagreements, DISAGREEMENTS), ("margin", margin, MARGINS))
    for name, value, known in options:
        if value not in known:
            raise ConfigError(f"{name} is {value!r}, wanted one of {', '.join(known)}")
    for name in annotators:
        if name not in store.annotators:
            raise ConfigError(f"no annotator {name!r}; there are: {', '.join(store.annotators) or 'none yet'}")
    pairs, left_out = [], Counter[str]()
    for item in store.items.values():
        choices = [c for c in store.choices(item.id).values() if not annotators or c.annotator in annotators]
        votes = [choice for choice in choices if choice.preferred != "skip"]
        if len(votes) < min_annotators or not votes:
            left_out["skipped" if not votes else "too few votes"] += bool(choices)
            continue
        verdict = _verdict(Counter(choice.preferred for choice in votes), disagreements)
        side = _higher_score(item) if verdict == "tie" and ties == "score" else verdict
        if side == "a" or side == "b":
            pairs.append(_pair(item, side, votes, margin))
        else:
            left_out["ties" if verdict == "tie" else "disagreements"] += 1
    return Export(tuple(pairs), {reason: count for reason, count in left_out.items() if count})


def _verdict(votes: Mapping[str, int], disagreements: str) -> Literal["a", "b", "tie"] | None:
    """Who wins, `tie`, or None where the annotators come to no verdict."""
    total = sum(votes.values())
    if disagreements == "plurality":
        a, b = votes.get("a", 0), votes.get("b", 0)
        return "a" if a > b else "b" if b > a else "tie" if a == 0 else None
    needed = total if disagreements == "unanimous" else total // 2 + 1
    kinds: tuple[Literal["a", "b", "tie"], ...] = ("a", "b", "tie")
    return next((kind for kind in kinds if votes.get(kind, 0) >= needed), None)


def _higher_score(item: Item) -> Side | None:
    if item.a.score is None or item.b.score is None or item.a.score == item.b.score:
        return None
    return "a" if item.a.score > item.b.score else "b"


def _pair(item: Item, side: Side, votes: list[Choice], margin: str) -> Pair:
    chosen, rejected = (item.a, item.b) if side == "a" else (item.b, item.a)
    other: Side = get_args(Side)[side == "a"]
    counts = Counter(choice.preferred for choice in votes)
    share = counts[side] / len(votes)
    value = share if margin == "agreement" else None
    meta: dict[str, Any] = {
        "task_id": item.task_id,
        "item": item.id,
        "votes": {"chosen": counts[side], "rejected": counts[other], "tie": counts["tie"]},
        "agreement": share,
        "annotators": sorted(choice.annotator for choice in votes),
        "tests_shown": sum(choice.tests_shown for choice in votes),
    }
    fractions = {"chosen_fraction": _fraction(chosen), "rejected_fraction": _fraction(rejected)}
    meta |= {key: fraction for key, fraction in fractions.items() if fraction is not None}
    sides = (("chosen", chosen), ("rejected", rejected))
    meta |= {f"{name}_cut_off": True for name, it in sides if it.meta.get("stop_reason", "stop") != "stop"}
    if margin == "score" and chosen.score is not None and rejected.score is not None:
        difference = chosen.score - rejected.score
        meta["score_difference"] = difference
        value = difference if difference >= 0 else None  # a margin says how much better the chosen one is
    return Pair(prompt=item.prompt, chosen=chosen.completion, rejected=rejected.completion, margin=value, meta=meta)


def _fraction(candidate: Candidate) -> float | None:
    """Share of its tests that an answer passed; None where it was not judged. Rows may come without their results, and
    folders of before keep the results alone."""
    if "fraction" in candidate.meta:
        return float(candidate.meta["fraction"])
    if "status" not in candidate.meta:
        return None
    if candidate.meta["status"] == "passed":
        return 1.0
    passed = [result.get("status") == "passed" for result in candidate.results]
    return sum(passed) / len(passed) if passed else 0.0
