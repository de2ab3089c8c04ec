"""What was judged, by whom, what is next, and how to take it back; `folder` says where it is kept.

An event is on the disk before a method returns. Undoing adds a retraction. Whatever ends the process, opening the
folder again finds everything that was confirmed, and goes on with the same item.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from verigrad.append_log import AppendLog
from verigrad.errors import ConfigError, DataError, RunError
from verigrad.preferences.model_judge import Preference
from verigrad.seeds import derive_seed
from verigrad.ui.items import ORDERS, Item, Order
from verigrad.writing import write_or_tell

__all__ = [
    "PREFERENCES",
    "AnnotatorKind",
    "Choice",
    "Demonstration",
    "Progress",
    "Settings",
    "Side",
    "Store",
]

Side = Literal["a", "b"]
PREFERENCES: tuple[Preference, ...] = get_args(Preference)
AnnotatorKind = Literal["person", "model", "simulated"]

_CLAIM_S = 30 * 60.0  # so long an item on one person's screen is kept from the others
_RECENT = 50  # judgements that the rate is taken from


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a folder asks.

    Attributes:
        seed: decides the order by lot, which side is left, and which items are judged twice.
        order: `active`, `random` or `file`; see `items.ordered`.
        overlap: share of the items that two people judge.
        pairs_per_task: comparisons that are taken of each task of a file; 0 for all.
        sources: of the files already read, by digest, the number of comparisons they were read with.
    """

    seed: int = 0
    order: Order = "active"
    overlap: float = 0.2
    pairs_per_task: int = 4
    sources: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise ConfigError(f"order is {self.order!r}, wanted one of {', '.join(ORDERS)}")
        if not 0 <= self.overlap <= 1:
            raise ConfigError(f"overlap is {self.overlap}, wanted a share between 0 and 1")
        if self.pairs_per_task < 0:
            raise ConfigError(f"pairs_per_task is {self.pairs_per_task}, wanted 1 or more, or 0 for all")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One judgement.

    Attributes:
        number: of its event in the log.
        preferred: the better answer, `tie`, or `skip` for no judgement.
        left: which answer stood on the left; None where both orders were asked.
        tests_shown: whether the annotator had looked at the test results.
        seconds: from showing the item to the choice.
        at: when, in seconds since 1970.
        meta: of annotators that are programs: prompts, raw replies, ...
    """

    number: int
    item: str
    annotator: str
    annotator_kind: AnnotatorKind
    preferred: Preference
    left: Side | None = None
    tests_shown: bool = False
    seconds: float | None = None
    at: float = 0.0
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.preferred not in PREFERENCES:
            raise ConfigError(f"preferred is {self.preferred!r}, wanted one of {', '.join(PREFERENCES)}")


@dataclass(frozen=True, kw_only=True)
class Demonstration:
    """A program that a person wrote or corrected, as a completion; `source` is the side it started from, if any."""

    number: int
    item: str
    annotator: str
    completion: str
    source: Side | None = None
    at: float = 0.0


_EVENTS: dict[str, type[Choice] | type[Demonstration]] = {"choice": Choice, "demonstration": Demonstration}


@dataclass(frozen=True)
class Progress:
    """Where one annotator stands.

    Attributes:
        done: items judged or skipped by this annotator.
        left: items still open for this annotator; others may take some of them.
        per_hour: judgements an hour at the recent pace, or None before the first.
        seconds_left: at that pace.
        judged: judgements of all people.
        wanted: judgements of people in all, counting items judged twice as two.
    """

    done: int
    left: int
    per_hour: float | None
    seconds_left: float | None
    judged: int
    wanted: int


class Store:
    """The state of a folder, rebuilt from its log; see `folder.open_store` and `folder.read_store`.

    Items judged by enough people leave everybody's queue; what programs judge does not count there. Items are
    dealt out as people ask for them, so nobody is waited for.
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        items: Sequence[Item],
        log: AppendLog | None,
        rows: Iterable[Mapping[str, Any]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder, self.settings = folder, settings
        self.items = {item.id: item for item in items}
        self._log, self._clock = log, clock
        self._number = 0
        self._live: dict[str, list[Choice | Demonstration]] = {}  # by annotator, oldest first
        self._choices: dict[str, dict[str, Choice]] = {item.id: {} for item in items}
        self._tests_shown: set[tuple[str, str]] = set()
        self._return_to: dict[str, str] = {}
        self._kinds: dict[str, AnnotatorKind] = {}
        self._claims: dict[str, tuple[str, float]] = {}
        top = 2**63
        self._twice = {
            item.id for item in items if derive_seed(settings.seed, "overlap", item.id) < settings.overlap * top
        }
        for number, row in enumerate(rows, 1):
            try:
                self._apply(row)
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(
                    f"{folder / 'annotations.jsonl'}:{number}: not an event of this folder ({error!r})"
                ) from (error)

    def close(self) -> None:
        """Let others write to the folder."""
        if self._log is not None:
            self._log.close()

    # ---------------------------------------------------------------------------------------- events

    def choose(
        self,
        item: str,
        annotator: str,
        preferred: Preference,
        *,
        kind: AnnotatorKind = "person",
        left: Side | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Choice:
        """Record a judgement.

        Raises:
            ConfigError: no such item or preference, the name belongs to another kind of annotator, or this annotator
                has judged the item already.
            RunError: the disk did not take it.
        """
        self._check(item, annotator, kind)
        if annotator in self._choices[item]:
            raise ConfigError(f"{annotator} has judged this item already; undo that first")
        claimed, since = self._claims.get(annotator, ("", 0.0))
        event = Choice(
            number=self._number + 1,
            item=item,
            annotator=annotator,
            annotator_kind=kind,
            preferred=preferred,
            left=left,
            tests_shown=(item, annotator) in self._tests_shown,
            seconds=round(self._clock() - since, 3) if claimed == item else None,
            at=round(self._clock(), 3),
            meta=meta or {},
        )
        self._record({"event": "choice", **asdict(event)})
        return event

    def demonstrate(self, item: str, annotator: str, completion: str, source: Side | None = None) -> Demonstration:
        """Record a program that a person wrote or corrected.

        Raises:
            ConfigError: it is empty, or there is no such item.
            RunError: the disk did not take it.
        """
        self._check(item, annotator, "person")
        if not completion.strip():
            raise ConfigError("the program is empty; nothing was saved")
        event = Demonstration(
            number=self._number + 1,
            item=item,
            annotator=annotator,
            completion=completion,
            source=source,
            at=round(self._clock(), 3),
        )
        self._record({"event": "demonstration", **asdict(event)})
        self.write_demonstrations()
        return event

    def show_tests(self, item: str, annotator: str) -> None:
        """Record that an annotator looked at an item's test results; undoing does not unsee them."""
        self._check(item, annotator, "person")
        if (item, annotator) not in self._tests_shown:
            self._record({"event": "tests", "number": self._number + 1, "item": item, "annotator": annotator})

    def undo(self, annotator: str) -> Choice | Demonstration | None:
        """Take back the annotator's last standing choice or demonstration; it is what comes next again."""
        if not self._live.get(annotator):
            return None
        last = self._live[annotator][-1]
        self._record(
            {
                "event": "retraction",
                "number": self._number + 1,
                "annotator": annotator,
                "retracts": last.number,
                "at": round(self._clock(), 3),
            }
        )
        if isinstance(last, Demonstration):
            self.write_demonstrations()
        return last

    def _check(self, item: str, annotator: str, kind: AnnotatorKind) -> None:
        if item not in self.items:
            raise ConfigError(f"no item {item!r} in {self.folder}")
        known = self._kinds.get(annotator, kind)
        if known != kind:
            raise ConfigError(f"the name {annotator!r} belongs to a {known} annotator of this folder; take another")

    def _record(self, row: Mapping[str, Any]) -> None:
        if self._log is None:
            raise RunError(f"{self.folder} was opened for reading only")
        self._apply(self._log.append(row))

    def _apply(self, row: Mapping[str, Any]) -> None:
        """Bring the state up to date with one event, new or read back."""
        kind = row["event"]
        self._number = row.get("number", self._number)
        if kind in _EVENTS:
            event = _EVENTS[kind](**{key: value for key, value in row.items() if key != "event"})
            self._live.setdefault(event.annotator, []).append(event)
            if isinstance(event, Choice):
                self._choices[event.item][event.annotator] = event
                self._kinds[event.annotator] = event.annotator_kind
                self._return_to.pop(event.annotator, None)
                self._claims.pop(event.annotator, None)
        elif kind == "retraction":
            last = self._live[row["annotator"]].pop()
            if last.number != row["retracts"]:
                raise ValueError(f"retracts event {row['retracts']}, but {last.number} is the last one standing")
            if isinstance(last, Choice):
                del self._choices[last.item][last.annotator]
            self._return_to[last.annotator] = last.item
            self._claims.pop(last.annotator, None)
        elif kind == "tests":
            self._tests_shown.add((row["item"], row["annotator"]))
        elif kind != "recovered":
            raise ValueError(f"unknown event {kind!r}")

    def write_demonstrations(self) -> None:
        """Bring `demonstrations.jsonl` up to date with the log."""
        text = "".join(json.dumps(row) + "\n" for row in self.demonstration_rows())
        write_or_tell(self.folder / "demonstrations.jsonl", text)

    # ----------------------------------------------------------------------------------------- queue

    def next_item(self, annotator: str) -> Item | None:
        """What to ask this annotator now, and from now on the clock runs; None when nothing is left.

        Asking again changes nothing: what is on the screen stays there, though another's skip opens an earlier item.
        After an undo it is the item that was taken back.
        """
        back = self._return_to.get(annotator) or self._claims.get(annotator, ("", 0.0))[0]
        found = self.items[back] if back and annotator not in self._choices[back] else None
        if found is None:
            found = next((item for item in self.items.values() if self._is_open(item, annotator)), None)
        if found is None:
            self._claims.pop(annotator, None)
        elif self._claims.get(annotator, ("", 0.0))[0] != found.id:
            self._claims[annotator] = (found.id, self._clock())
        return found

    def _is_open(self, item: Item, annotator: str) -> bool:
        if annotator in self._choices[item.id]:
            return False
        if self._claims.get(annotator, ("", 0.0))[0] == item.id:
            return True  # it is on this person's screen
        others = {name for name, choice in self._choices[item.id].items() if _is_judgement(choice)}
        fresh = self._clock() - _CLAIM_S
        others |= {name for name, (held, since) in self._claims.items() if held == item.id and since > fresh}
        return len(others - {annotator}) < self._wanted(item.id)

    def _wanted(self, item: str) -> int:
        """How many people judge an item."""
        return 2 if item in self._twice else 1

    def left_of(self, item: str, annotator: str) -> Side:
        """Which answer this annotator sees on the left: by lot, for each item and person, from the seed."""
        return "b" if derive_seed(self.settings.seed, "side", item, annotator) % 2 else "a"

    def progress(self, annotator: str) -> Progress:
        """How far this annotator and all of them are."""
        mine = [event for event in self._live.get(annotator, ()) if isinstance(event, Choice)]
        left = sum(self._is_open(item, annotator) for item in self.items.values())
        # The median forgives the coffee break.
        times = [choice.seconds for choice in mine[-_RECENT:] if choice.seconds is not None]
        pace = max(statistics.median(times), 0.1) if times else None
        judged = [sum(map(_is_judgement, choices.values())) for choices in self._choices.values()]
        return Progress(
            done=len(mine),
            left=left,
            per_hour=3600 / pace if pace else None,
            seconds_left=pace * left if pace else None,
            judged=sum(judged),
            wanted=sum(max(self._wanted(item), count) for item, count in zip(self.items, judged, strict=True)),
        )

    # ---------------------------------------------------------------------------------------- results

    @property
    def annotators(self) -> dict[str, AnnotatorKind]:
        """Everybody who has judged, in order of their first judgement."""
        return dict(self._kinds)

    def choices(self, item: str) -> dict[str, Choice]:
        """The standing choices on an item, by annotator, skips included."""
        return dict(self._choices[item])

    def standing(self, annotator: str) -> list[Choice | Demonstration]:
        """What this annotator has done and not taken back, oldest first."""
        return list(self._live.get(annotator, ()))

    def tests_shown(self, item: str, annotator: str) -> bool:
        """Whether this annotator has looked at the item's test results."""
        return (item, annotator) in self._tests_shown

    def demonstrations(self) -> list[Demonstration]:
        """Standing demonstrations of everybody, oldest first."""
        found = [event for live in self._live.values() for event in live if isinstance(event, Demonstration)]
        return sorted(found, key=lambda event: event.number)

    def demonstration_rows(self) -> list[dict[str, Any]]:
        """Demonstrations as `verigrad sft --data` reads them."""
        rows = []
        for event in self.demonstrations():
            prompt = self.items[event.item].prompt
            said: dict[str, Any] = {"prompt": prompt[0].content, "completion": event.completion}
            if len(prompt) > 1 or prompt[0].role != "user":
                turns = [{"role": message.role, "content": message.content} for message in prompt]
                said = {"messages": [*turns, {"role": "assistant", "content": event.completion}]}
            meta = {"task_id": self.items[event.item].task_id, "annotator": event.annotator}
            rows.append({**said, "meta": meta})
        return rows

    def ratings(self) -> dict[str, dict[str, str]]:
        """item -> annotator -> `a`, `b` or `tie`; skips left out."""
        return {
            item: {name: choice.preferred for name, choice in choices.items() if choice.preferred != "skip"}
            for item, choices in self._choices.items()
        }


def _is_judgement(choice: Choice) -> bool:
    """Whether it counts towards the people an item wants."""
    return choice.annotator_kind == "person" and choice.preferred != "skip"
