"""Annotators that are programs: a model behind an endpoint, and a simulated one that follows the scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from verigrad.errors import ConfigError
from verigrad.preferences.model_judge import ModelJudge, Opinion, Preference, ask_all
from verigrad.seeds import derive_seed
from verigrad.ui.items import Item
from verigrad.ui.store import AnnotatorKind, Store

__all__ = ["Annotator", "EndpointJudge", "Simulated", "annotate", "orders_disagree"]


class Annotator(Protocol):
    """Anything that can judge an item without a person."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> AnnotatorKind: ...

    @property
    def rule(self) -> Mapping[str, Any]:
        """What its opinions go by; they repeat it in their `meta`."""
        ...

    async def judge(self, item: Item) -> Opinion:
        """Judge one item.

        Raises:
            EngineError: there is no answer; the item stays open.
        """
        ...


@dataclass(frozen=True)
class Simulated:
    """Prefers the answer with the higher score, and with probability `noise` the other one, by seed.

    Equal scores are a tie and unknown ones a skip, whatever the noise.
    """

    noise: float = 0.0
    seed: int = 0
    name: str = "simulated"
    kind: AnnotatorKind = "simulated"

    def __post_init__(self) -> None:
        if not 0 <= self.noise <= 1:
            raise ConfigError(f"noise is {self.noise}, wanted a probability between 0 and 1")

    @property
    def rule(self) -> Mapping[str, Any]:
        return {"noise": self.noise}

    async def judge(self, item: Item) -> Opinion:
        if item.a.score is None or item.b.score is None:
            return Opinion("skip", {"why": "the item has no scores"})
        if item.a.score == item.b.score:
            return Opinion("tie", {"noise": self.noise})
        flipped = derive_seed(self.seed, "noise", self.name, item.id) < self.noise * 2**63
        preferred: Preference = "a" if (item.a.score > item.b.score) != flipped else "b"
        return Opinion(preferred, {"noise": self.noise, "flipped": flipped})


@dataclass(frozen=True)
class EndpointJudge(ModelJudge):
    """A model as an annotator, under the model's name; its messages and raw replies go into the log."""

    kind: AnnotatorKind = "model"

    @property
    def rule(self) -> Mapping[str, Any]:
        return {"criteria": self.criteria, "temperature": self.temperature}

    async def judge(self, item: Item) -> Opinion:
        return await self.compare(item.prompt, item.a.shown, item.b.shown, key=item.id)


def orders_disagree(store: Store, annotator: str) -> tuple[int, int]:
    """Items on which a judge preferred another answer when the two were shown the other way round, and all it judged.

    Skipped items, of which one reply had no verdict, are in neither.
    """
    choices = (store.choices(item).get(annotator) for item in store.items)
    told = [choice.meta["orders_disagree"] for choice in choices if choice and "orders_disagree" in choice.meta]
    return sum(told), len(told)


async def annotate(
    store: Store,
    annotator: Annotator,
    *,
    items: Iterable[Item] | None = None,
    concurrency: int = 4,
    on_item: Callable[[], None] | None = None,
) -> Counter[str]:
    """Let a program judge every item it has not judged yet; returns how many it gave each preference, and `failed`.

    Each judgement is on the disk before the next one is asked for, so it may be stopped and started again. Items
    that failed stay open.

    Args:
        store: the folder.
        annotator: who judges.
        items: to judge, in this order; all of the folder where None.
        concurrency: items under way at once, each with one request in flight.
        on_item: called after each.

    Raises:
        ConfigError: it has judged items of this folder by another rule.
        EngineError: several items failed in a row, so the endpoint is not there; the last failure.
    """
    _check_rule(store, annotator)
    wanted = store.items.values() if items is None else items

    def keep(item: Item, opinion: Opinion) -> None:
        store.choose(item.id, annotator.name, opinion.preferred, kind=annotator.kind, meta=opinion.meta)

    return await ask_all(
        [item for item in wanted if annotator.name not in store.choices(item.id)],
        annotator.judge,
        keep,
        concurrency=concurrency,
        on_item=on_item,
    )


def _check_rule(store: Store, annotator: Annotator) -> None:
    """One name is one judge: with other noise or other criteria, what it says is not to be taken for the same voice."""
    for item in store.items:
        choice = store.choices(item).get(annotator.name)
        if choice is None:
            continue
        for name, value in annotator.rule.items():
            if (before := choice.meta.get(name, value)) != value:
                raise ConfigError(
                    f"{annotator.name!r} has judged items of {store.folder} with {name} {before!r}, and is asked to go "
                    f"on with {value!r}; go on as it began, or take another --folder (a simulated one may take another "
                    "--name)"
                )
