"""A labelling folder on the disk.

items.jsonl           the comparisons
annotations.jsonl     every event, only ever added to: the one source of truth
settings.json         seed, order, share judged twice, comparisons of each task, digests of the files read
demonstrations.jsonl  programs that people wrote or corrected; made from the log, for `verigrad sft --data`
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, replace
from pathlib import Path

from verigrad.append_log import AppendLog, read_log
from verigrad.errors import ConfigError, DataError, RunError
from verigrad.ui.items import (
    Item,
    Margins,
    Order,
    item_from_row,
    item_row,
    limit_per_task,
    ordered,
    read_items,
    score_margins,
)
from verigrad.ui.store import Settings, Store
from verigrad.writing import write_or_tell

__all__ = ["open_store", "read_store"]


def open_store(
    folder: Path,
    samples: Path | None = None,
    *,
    seed: int | None = None,
    order: Order | None = None,
    overlap: float | None = None,
    pairs_per_task: int | None = None,
    margins: Margins = score_margins,
    clock: Callable[[], float] = time.time,
) -> Store:
    """Open a folder for labelling, made where it does not exist; nobody else can until it is closed.

    Args:
        folder: of an earlier time, or new.
        samples: file of answers to compare (see `items.read_items`); a new one adds its items. May be left out
            where the folder has items.
        seed: None keeps the folder's (0 in a new one); so do the next three (`active`, 0.2 and 4 in a new one).
        order: which item is asked first.
        overlap: share of the items that two people judge.
        pairs_per_task: take only so many comparisons of each task, the first in this order; 0 takes all. With another
            number a file is read anew: comparisons are added, or those that nobody has touched taken out.
        margins: how far the answers of each item are apart, for the order `active`.
        clock: seconds since 1970.

    Raises:
        ConfigError: there are no items, a file cannot be read, a setting is wrong, or `pairs_per_task` is another than
            before and no samples are there to be read anew.
        DataError: a file is malformed.
        RunError: the folder cannot be written, or is in use.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot make {folder}: {error}") from error
    log = AppendLog(folder / "annotations.jsonl")
    try:
        known = _settings(folder)
        settings = replace(
            known,
            seed=known.seed if seed is None else seed,
            order=order or known.order,
            overlap=known.overlap if overlap is None else overlap,
            pairs_per_task=known.pairs_per_task if pairs_per_task is None else pairs_per_task,
        )
        items = _items(folder)
        if samples is not None:
            touched = {row["item"] for row in log.rows if "item" in row}
            settings = _take_in(folder, settings, items, samples, touched, margins)
        elif items and settings.pairs_per_task != known.pairs_per_task:
            raise ConfigError(
                f"{folder} was made with {known.pairs_per_task} comparisons of each task; for "
                f"{settings.pairs_per_task} of them name the samples again: verigrad label SAMPLES --folder {folder}"
            )
        if not items:
            raise ConfigError(f"{folder} holds no items; say which samples to compare: verigrad label SAMPLES --folder")
        write_or_tell(folder / "settings.json", json.dumps(asdict(settings), indent=2) + "\n")
        asked = ordered(list(items.values()), settings.order, settings.seed, margins)
        store = Store(folder, settings, asked, log, log.rows, clock)
        if store.demonstrations() or (folder / "demonstrations.jsonl").exists():
            store.write_demonstrations()  # a crash may have come between the log and this file
    except BaseException:
        log.close()
        raise
    return store


def read_store(folder: Path) -> Store:
    """A folder as it is now, for reading, also while somebody labels.

    Raises:
        ConfigError: it is no labelling folder.
        DataError: a file is malformed.
    """
    items = _items(folder)
    if not items:
        raise ConfigError(f"{folder} is no labelling folder: it has no items.jsonl")
    rows, _ = read_log(folder / "annotations.jsonl")
    return Store(folder, _settings(folder), list(items.values()), None, rows)


def _settings(folder: Path) -> Settings:
    file = folder / "settings.json"
    if not file.exists():
        return Settings()
    try:
        row = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(row["sources"], list):  # as folders used to keep them: the digests alone
            row["sources"] = dict.fromkeys(row["sources"], row.setdefault("pairs_per_task", Settings.pairs_per_task))
        return Settings(**row)
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{file} is damaged ({error!r})") from error


def _items(folder: Path) -> dict[str, Item]:
    file = folder / "items.jsonl"
    rows, _ = read_log(file)
    try:
        return {row["id"]: item_from_row(row) for row in rows}
    except (KeyError, TypeError) as error:
        raise DataError(f"{file} is damaged ({error!r})") from error


def _take_in(
    folder: Path,
    settings: Settings,
    items: dict[str, Item],
    samples: Path,
    touched: Collection[str],
    margins: Margins,
) -> Settings:
    """Bring a file's items into `items` and the folder, once for each number of them; returns settings that say so.

    Read anew, it takes out what is beyond the number, but for items in `touched`, which the log speaks of.
    """
    found = read_items(samples)
    digest = hashlib.sha256(samples.read_bytes()).hexdigest()
    number = settings.pairs_per_task
    if settings.sources.get(digest) == number:
        return settings
    kept = {item.id for item in limit_per_task(ordered(found, settings.order, settings.seed, margins), number)}
    for item in found:  # as they came, so that the order `file` is the file's
        if item.id in kept:
            items.setdefault(item.id, item)
        elif digest in settings.sources and item.id not in touched:
            items.pop(item.id, None)
    write_or_tell(folder / "items.jsonl", "".join(json.dumps(item_row(item)) + "\n" for item in items.values()))
    return replace(settings, sources={**settings.sources, digest: number})
