"""Masked-diffusion training: adapting a causal model on texts, tuning on demonstrations, the prompt never noised."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from verigrad.algorithms.supervised import NORMALISATIONS, bucketed_cross_entropy, masked_diffusion_loss
from verigrad.engines.base import Engine
from verigrad.engines.diffusion import DenoiseEngine
from verigrad.errors import ConfigError
from verigrad.evaluation.sources import load_source
from verigrad.models.diffusion import DiffusionSpec, convert, diffusion_spec, is_diffusion
from verigrad.models.masked import pack_masked_views, score_masked_pack
from verigrad.models.visibility import annealing_edges
from verigrad.seeds import derive_seed
from verigrad.tasks.base import TaskSet
from verigrad.training.canvases import Canvas, answer_canvas, noised_step, text_canvases
from verigrad.training.config import DiffusionConfig
from verigrad.training.epochs import num_steps, train_epochs
from verigrad.training.reporter import Reporter, Silent
from verigrad.training.sft import demonstration_rows, gold_demonstrations, read_demonstrations
from verigrad.training.stage import Stage, open_stage, settled, trained_tasks
from verigrad.types import Row

__all__ = ["chosen_spec", "step_attention", "train"]

_BUCKETS = 4


def train(config: DiffusionConfig, *, resume: bool = False, reporter: Reporter | None = None) -> Path:
    """Run a stage of masked-diffusion training; returns the run folder.

    Raises:
        ConfigError: settings contradict each other or the checkpoint, nothing fits `max_length`, an answer does not
            fit the canvas, or a warm-up is not over when the run is.
        RunError: the run folder cannot be used.
        DataError: a file of texts or demonstrations is malformed.
    """
    reporter = reporter or Silent()
    config = settled(config, resume=resume)
    tasks = load_source(config.tasks) if config.tasks else None

    def make_engine(model: Any, tokenizer: Any, **options: Any) -> Engine:
        convert(model, tokenizer, chosen_spec(model, tokenizer, config))
        return DenoiseEngine(model, tokenizer, params=config.denoise, **options)

    with ExitStack() as opened:
        stage = open_stage(config, reporter, trained_tasks(tasks, config.data), make_engine=make_engine)
        opened.callback(stage.close)
        spec = diffusion_spec(stage.model)
        canvases = _canvases(stage, config, spec, tasks)
        _check_warm_ups_end(config, num_steps(config, len(canvases)))
        reporter.message(f"{len(canvases)} rows; {spec}")

        def gradient(numbers: Sequence[int], step: int) -> dict[str, float]:
            return _gradient(stage, [canvases[number] for number in numbers], config, step)

        return train_epochs(stage, config, len(canvases), gradient, resume=resume, facts={"rows": len(canvases)})


def chosen_spec(model: Any, tokenizer: Any, config: DiffusionConfig) -> DiffusionSpec:
    """What the model is to be: the settings, where one is not set what the checkpoint says, and defaults for a causal
    one.

    Raises:
        ConfigError: a causal model without a mask id, a mask id or shift other than the diffusion model's own, a
            canvas said to be filled that is not, or a warm-up that ends at another attention.
    """
    fields = ("mask_id", "shift", "attention", "block_length", "pad_policy")
    asked = {name: value for name in fields if (value := getattr(config, name)) is not None}
    own = diffusion_spec(model) if is_diffusion(model) else None
    attention = asked.get("attention", own.attention if own else "full")
    if not config.text and (config.canvas or attention == "block"):
        asked.setdefault("pad_policy", "fill")
    elif asked.get("pad_policy") == "fill":
        raise ConfigError(
            "pad_policy is 'fill', but nothing puts end tokens behind an answer: set canvas to the places to fill up "
            "to, about sampling.max_tokens, with data or tasks; or leave pad_policy unset"
        )
    if own is not None:
        for name in ("mask_id", "shift"):
            if asked.get(name, getattr(own, name)) != getattr(own, name):
                raise ConfigError(
                    f"{name} is {asked[name]}, but the model was trained with {getattr(own, name)}; leave it unset"
                )
        if asked.get("attention", "block") != "block":
            asked.setdefault("block_length", 0)
        return _warmed_up(replace(own, **asked), config)
    if config.mask_id is None:
        raise ConfigError(
            "mask_id is not set, and the model is a causal one that has none; name an id that its vocabulary does not "
            "use (16, `<empty_output>`, for smollm2-135m-instruct)"
        )
    default = {"shift": True, "attention": "full", "block_length": 0, "pad_policy": "none"}
    return _warmed_up(DiffusionSpec(**{**default, **asked, "pad_id": tokenizer.eos_token_id}), config)


def _warmed_up(spec: DiffusionSpec, config: DiffusionConfig) -> DiffusionSpec:
    """`spec`, which the warm-ups of the settings end at."""
    for name, value, attention in (
        ("anneal_steps", config.anneal_steps, "full"),
        ("block_warmup", config.block_warmup, "block"),
    ):
        if value and spec.attention != attention:
            raise ConfigError(
                f"{name} is {value}, which ends at {attention!r} attention, but the model's is {spec.attention!r}; "
                f"leave it out, or set attention = {attention!r}"
            )
    return spec


def _check_warm_ups_end(config: DiffusionConfig, steps: int) -> None:
    """The checkpoint says what the model is after its warm-ups."""
    for name, length in (
        ("anneal_steps", config.anneal_steps),
        ("noise.warmup_steps", config.noise.warmup_steps),
        ("block_warmup x block_warmup_steps", len(config.block_warmup) * config.block_warmup_steps),
    ):
        if 0 < steps <= length:
            raise ConfigError(
                f"{name} is {length} steps, and the run has {steps}: the model saved would not be what its checkpoint "
                f"says; wanted fewer than {steps}, or more epochs, more rows or a smaller batch_size"
            )


def _canvases(stage: Stage, config: DiffusionConfig, spec: DiffusionSpec, tasks: TaskSet | None) -> list[Canvas]:
    if config.text:
        found = text_canvases(Path(config.text), stage.tokenizer, spec, config.max_length)
    else:
        shown = gold_demonstrations(tasks) if tasks else read_demonstrations(Path(config.data))
        rows = demonstration_rows(stage.tokenizer, shown, config.system or None, config.max_length)
        stage.reporter.message(f"{len(shown) - len(rows)} demonstrations longer than max_length left out")
        rows = _fitting(rows, config.canvas, stage.reporter)
        found = [
            answer_canvas(row, spec, canvas=config.canvas, eos_in_loss=config.eos_in_loss, pad_weight=config.pad_weight)
            for row in rows
        ]
    if not found:
        raise ConfigError(f"nothing to learn from fits max_length = {config.max_length}")
    return found


def _fitting(rows: Sequence[Row], canvas: int, reporter: Reporter) -> list[Row]:
    """Those whose answer a sampler could write: no longer than the canvas it is given."""
    lengths = [len(row.ids) - row.prompt_length for row in rows]
    found = [row for row, length in zip(rows, lengths, strict=True) if not canvas or length <= canvas]
    if rows and not found:
        raise ConfigError(
            f"canvas is {canvas}, and all of {len(rows)} answers have more tokens, the shortest {min(lengths)} with "
            "its end; wanted at least as many, or 0 for canvases as long as their answers"
        )
    if longer := len(rows) - len(found):
        reporter.message(f"{longer} answers longer than the canvas of {canvas} left out, the longest {max(lengths)}")
    return found


def step_attention(spec: DiffusionSpec, config: DiffusionConfig, step: int) -> tuple[DiffusionSpec, Tensor | None]:
    """What the model is in this step, and the edges it sees beside the causal ones: annealing and block warm-up."""
    if spec.attention == "full" and step + 1 < config.anneal_steps:
        generator = torch.Generator().manual_seed(derive_seed(config.seed, "edges", step))
        length = config.max_length + config.canvas
        return replace(spec, attention="causal"), annealing_edges(length, (step + 1) / config.anneal_steps, generator)
    if spec.attention == "block" and step < len(config.block_warmup) * config.block_warmup_steps:
        return replace(spec, block_length=config.block_warmup[step // config.block_warmup_steps]), None
    return spec, None


def _gradient(stage: Stage, canvases: Sequence[Canvas], config: DiffusionConfig, step: int) -> dict[str, float]:
    """Leave a step's gradient in the model; its metrics."""
    spec, edges = step_attention(diffusion_spec(stage.model), config, step)
    noised = noised_step(canvases, spec, config.noise, config.seed, step)
    packs = pack_masked_views(noised.views, spec, token_budget=config.token_budget)
    tokens = int(sum(canvas.eligible.sum() for canvas in canvases))
    if not packs:  # Bernoulli noise may mask nothing in a few short rows: then the estimate of the gradient is 0
        return {"loss": 0.0, "masked_tokens": 0, "completion_tokens_total": tokens}
    rows = torch.cat([pack.target_row for pack in packs])
    divisors = NORMALISATIONS[config.normalisation](rows, noised.tokens, noised.views_per_row)
    sums, counts, total = torch.zeros(_BUCKETS), torch.zeros(_BUCKETS), 0.0
    for pack, divisor in zip(packs, divisors.split([len(pack.line) for pack in packs]), strict=True):
        logprobs = score_masked_pack(stage.model, pack, spec, edges=edges, dtype=stage.dtype)[0].cpu()
        loss = masked_diffusion_loss(logprobs, pack.weight, divisor).sum()
        loss.backward()
        total += float(loss.detach())
        found = bucketed_cross_entropy(logprobs, noised.levels[pack.view, pack.target_token], _BUCKETS)
        sums, counts = sums + found[0], counts + found[1]
    return {
        "loss": total,
        **_bucket_metrics(sums, counts),
        "masked_tokens": int(counts.sum()),
        "completion_tokens_total": tokens,
    }


def _bucket_metrics(sums: Tensor, counts: Tensor) -> dict[str, float]:
    """Mean cross-entropy of masked tokens, all and by the share of tokens masked; an empty bucket is left out."""
    found = {"masked_ce": float(sums.sum() / counts.sum())}
    for bucket, (total, count) in enumerate(zip(sums.tolist(), counts.tolist(), strict=True)):
        if count:
            found[f"masked_ce_{bucket / _BUCKETS:.2f}_{(bucket + 1) / _BUCKETS:.2f}"] = total / count
    return found
