"""Settings of the tiny track's start."""

from __future__ import annotations

from dataclasses import dataclass

from verigrad.errors import ConfigError
from verigrad.training.ranges import at_least

__all__ = ["TinyConfig"]


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
        at_least(1, self, "texts", "annealed", "demonstrations", "depth", "hidden", "layers", "heads", "feed_forward")
        if self.hidden % (2 * self.heads):
            raise ConfigError(f"hidden is {self.hidden}, heads {self.heads}; wanted a multiple of twice the heads")
