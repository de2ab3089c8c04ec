"""From demonstrations and texts to what a masked-diffusion model learns from: canvases, and their noised views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from verigrad.algorithms.masking import Noised, draw_noise, noise_levels, segments_of
from verigrad.models.base import View
from verigrad.models.diffusion import DiffusionSpec
from verigrad.seeds import derive_seed
from verigrad.training.config import NoiseConfig
from verigrad.training.texts import text_pieces
from verigrad.types import Row

__all__ = ["Canvas", "NoisedStep", "answer_canvas", "noised_step", "text_canvases"]


@dataclass(frozen=True)
class Canvas:
    """A row as it is to be restored.

    Attributes:
        ids: (L,).
        eligible: (L,) bool, tokens that may be masked.
        weight: (L,) of each in the loss.
        prompt_length: tokens before the first that may be masked.
    """

    ids: Tensor
    eligible: Tensor
    weight: Tensor
    prompt_length: int


@dataclass(frozen=True)
class NoisedStep:
    """The views one optimizer step learns from.

    Attributes:
        views: `weight` holds the noise's weights times the tokens' own.
        levels: (views, L) share of its segment that is masked with each masked token.
        tokens: (N,) weight of each row's tokens that could have been masked.
        views_per_row: draws of noise, twice as many where each is complementary.
    """

    views: tuple[View, ...]
    levels: Tensor
    tokens: Tensor
    views_per_row: int


def answer_canvas(row: Row, spec: DiffusionSpec, *, canvas: int, eos_in_loss: bool, pad_weight: float) -> Canvas:
    """A demonstration with its answer to restore; the prompt is never masked.

    With the pad policy `fill` pads stand behind the answer's end, up to `canvas` places from the prompt on and, for
    block attention, up to the end of a block. They are masked like the answer, since a sampler's canvas begins as
    masks only.
    """
    total = length = len(row.ids)
    if spec.pad_policy == "fill":
        total = spec.canvas_length(max(length, row.prompt_length + canvas))
    ids = torch.full((total,), spec.pad_id)
    ids[:length] = torch.tensor(row.ids)
    eligible = torch.arange(total) >= row.prompt_length
    weight = eligible.float()
    weight[length - 1] = float(eos_in_loss)
    weight[length:] = pad_weight
    return Canvas(ids, eligible, weight, row.prompt_length)


def text_canvases(file: Path, tokenizer: Any, spec: DiffusionSpec, max_length: int) -> list[Canvas]:
    """Texts of a JSONL file of `{"text"}`, each with an end token, cut into rows of at most `max_length`; all is
    masked, but the first token of a row, which a model with shift cannot predict.

    Raises:
        ConfigError: the file cannot be read.
        DataError: a row is malformed.
    """
    found = []
    for piece in text_pieces(file, tokenizer, max_length):
        eligible = torch.arange(len(piece)) >= int(spec.shift)
        found.append(Canvas(torch.tensor(piece), eligible, eligible.float(), int(spec.shift)))
    return found


def noised_step(
    canvases: Sequence[Canvas], spec: DiffusionSpec, noise: NoiseConfig, seed: int, step: int
) -> NoisedStep:
    """Noise a step's rows; what is drawn depends on (seed, step, number of the row) alone.

    Block attention has a noise level for each block, the others one for each row.
    """
    segments = [segments_of(canvas.eligible, spec.block_length) for canvas in canvases]
    counts = [int(own.max()) + 1 for own in segments]
    warm = step < noise.warmup_steps
    high = noise.low + (noise.high - noise.low) * (step + 1) / noise.warmup_steps if warm else noise.high
    levels = noise_levels(
        sum(counts) * noise.draws,
        _generator(seed, "levels", step),
        low=noise.low,
        high=high,
        stratified=noise.stratified,
    ).split(counts * noise.draws)
    views: list[View] = []
    shares: list[Tensor] = []
    for row, canvas in enumerate(canvases):
        generator = _generator(seed, "noise", step, row)
        for one in _noised(segments[row], levels[row :: len(canvases)], generator, noise, weighted=not warm):
            hidden = canvas.ids.masked_fill(one.masked, spec.mask_id)
            weight = one.weight * canvas.weight / noise.draws
            views.append(
                View(row, hidden, one.masked, weight, spec.attention, canvas.ids, prompt_length=canvas.prompt_length)
            )
            shares.append(one.level)
    tokens = torch.stack([canvas.weight.sum() for canvas in canvases])
    padded = torch.nn.utils.rnn.pad_sequence(shares, batch_first=True)
    return NoisedStep(tuple(views), padded, tokens, len(views) // len(canvases))


def _noised(
    segments: Tensor, levels: Sequence[Tensor], generator: torch.Generator, noise: NoiseConfig, *, weighted: bool
) -> list[Noised]:
    """The views of a row, draw by draw."""
    return [
        one
        for level in levels
        for one in draw_noise(
            segments, level, generator, form=noise.form, complementary=noise.complementary, weighted=weighted
        )
    ]


def _generator(*parts: int | str) -> torch.Generator:
    return torch.Generator().manual_seed(derive_seed(*parts))
