"""Scores of answers under a reward model, for whoever has texts and no rollouts: to choose what people judge, say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from verigrad.models.scalar import load_scalar
from verigrad.preferences.records import Prompt, Rated
from verigrad.training.examples import examples_of
from verigrad.training.held_out import score_examples

__all__ = ["answer_scores"]


def answer_scores(
    folder: Path | str,
    answers: Sequence[tuple[Prompt, str]],
    *,
    system: str | None = None,
    max_length: int = 2048,
    token_budget: int = 4096,
) -> list[float | None]:
    """Of every prompt and answer the model's score, a logit; None where the two are too long.

    Args:
        folder: of the model, as `verigrad reward-model` saves it.
        answers: prompt and text.
        system: prompt that the model was trained with.
        max_length: tokens of prompt and answer.
        token_budget: positions of one forward pass.

    Raises:
        ConfigError: there is no reward model in the folder.
    """
    model, tokenizer = load_scalar(str(folder), trained=True)
    records = [Rated(prompt=prompt, completion=text, desirable=True) for prompt, text in answers]
    examples = examples_of(tokenizer, records, system=system, max_length=max_length, closing=True)
    found: list[float | None] = [None] * len(answers)
    if examples:
        scores = score_examples(model.eval(), examples, token_budget, model.dtype)
        for example, score in zip(examples, scores.tolist(), strict=True):
            found[example.number] = score
    return found
