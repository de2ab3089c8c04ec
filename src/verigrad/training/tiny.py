"""A tiny model with random weights and what it learns from: the start of the tiny track."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
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
from verigrad.training.reporter import Reporter, Silent

__all__ = ["TinyConfig", "make_tiny"]

_SAMPLE = 2000  # documents the tokenizer is made of


@dataclass(frozen=True, kw_only=True)
class TinyConfig:
    """A tiny Llama with random weights, its tokenizer, and procedural texts and demonstrations to train it on.

    Attributes:
        run: folder to write.
        seed: decides weights and data.
        texts: documents to pre-train on.
        annealed: documents for the last part of pre-training: questions and answers in the tasks' form.
        demonstrations: prompts and answers.
        depth: operations of the longest chains, as in the task source `procedural`.
        vocabulary: tokens at most.
        hidden: width of the model.
        layers: of the model.
        heads: of its attention.
        feed_forward: width of its inner layers.
        max_length: positions at most.
    """

    run: str = "runs/tiny"
    seed: int = 0
    texts: int = 20_000
    annealed: int = 6_000
    demonstrations: int = 6_000
    depth: int = 2
    vocabulary: int = 512
    hidden: int = 160
    layers: int = 5
    heads: int = 5
    feed_forward: int = 432
    max_length: int = 256

    def __post_init__(self) -> None:
        for name in ("texts", "annealed", "demonstrations", "depth", "hidden", "layers", "heads", "feed_forward"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; wanted 1 or more")
        if self.vocabulary < LEAST_VOCABULARY:
            raise ConfigError(f"vocabulary is {self.vocabulary}; wanted at least {LEAST_VOCABULARY}: bytes come first")
        if self.hidden % (2 * self.heads):
            raise ConfigError(f"hidden is {self.hidden}, heads {self.heads}; wanted a multiple of twice the heads")


def make_tiny(config: TinyConfig, reporter: Reporter | None = None) -> Path:
    """Write `model/`, `texts.jsonl`, `annealed.jsonl`, `demonstrations.jsonl` and `summary.json`; returns the folder.

    Raises:
        RunError: the folder already holds a finished one.
    """
    reporter = reporter or Silent()
    folder = Path(config.run)
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
