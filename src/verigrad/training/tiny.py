"""A tiny model with random weights and what it learns from: the start of the tiny track."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from verigrad.errors import ConfigError, RunError
from verigrad.jsonl import write_rows
from verigrad.models.checkpoint import save_model
from verigrad.models.fresh import LEAST_VOCABULARY, MASK_TOKEN, fresh_model, fresh_tokenizer
from verigrad.seeds import derive_seed
from verigrad.settings import to_toml
from verigrad.tasks.procedural.corpus import annealed_texts, demonstrations, texts
from verigrad.training.config import TinyConfig
from verigrad.training.reporter import Reporter, Silent

__all__ = ["make_tiny"]

_SAMPLE = 2000  # documents the tokenizer is made of


def make_tiny(config: TinyConfig, reporter: Reporter | None = None) -> Path:
    """Write `model/`, `texts.jsonl`, `annealed.jsonl`, `demonstrations.jsonl` and `summary.json`; returns the folder.

    Raises:
        ConfigError: the vocabulary has no room for all bytes.
        RunError: the folder already holds a finished one.
    """
    reporter = reporter or Silent()
    folder = Path(config.run)
    if config.vocabulary < LEAST_VOCABULARY:
        raise ConfigError(f"vocabulary is {config.vocabulary}; wanted at least {LEAST_VOCABULARY}: bytes come first")
    if (folder / "summary.json").exists():
        raise RunError(f"{folder} already holds a tiny model and its data; choose another folder with --run")
    sources: dict[str, tuple[int, Callable[..., Iterator[Any]]]] = {
        "texts": (config.texts, texts),
        "annealed": (config.annealed, annealed_texts),
        "demonstrations": (config.demonstrations, demonstrations),
    }
    rows = {}
    for name, (count, make) in sources.items():
        reporter.message(f"{count} {name}")
        found = make(count, depth=config.depth, seed=derive_seed(config.seed, name))
        rows[name] = list(_rows(found))
        write_rows(folder / f"{name}.jsonl", rows[name])
    sample = chain(islice(rows["texts"], _SAMPLE), islice(rows["annealed"], _SAMPLE))
    tokenizer = fresh_tokenizer((row["text"] for row in sample), vocabulary=config.vocabulary)
    model = fresh_model(
        tokenizer,
        hidden=config.hidden,
        layers=config.layers,
        heads=config.heads,
        feed_forward=config.feed_forward,
        max_length=config.max_length,
        seed=derive_seed(config.seed, "weights"),
    )
    save_model(model, tokenizer, folder / "model")
    (folder / "config.toml").write_text(to_toml(config), encoding="utf-8")
    summary = {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "vocabulary": len(tokenizer),
        "mask_id": tokenizer.convert_tokens_to_ids(MASK_TOKEN),
        **{f"{name}_tokens": _tokens(tokenizer, own) for name, own in rows.items()},
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return folder


def _rows(found: Iterable[Any]) -> Iterator[dict[str, str]]:
    for item in found:
        yield {"text": item} if isinstance(item, str) else {"prompt": item[0], "completion": item[1]}


def _tokens(tokenizer: Any, rows: list[dict[str, str]]) -> int:
    encoded = tokenizer(["".join(row.values()) for row in rows], add_special_tokens=False)["input_ids"]
    return sum(map(len, encoded))
