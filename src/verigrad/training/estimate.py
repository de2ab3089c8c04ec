"""What a run will need, before it starts: memory, disk and, roughly, time.

Memory is counted from the sizes in the model's config.json; tests/training/test_estimate.py holds it against the peaks
in docs/results.md. Time is the work in floating-point operations over the rates of the machine those were measured on,
by as much more as matrix products take longer here. Of masked-diffusion models no time is estimated.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from verigrad.algorithms.diffusion_presets import DIFFUSION_PRESETS
from verigrad.algorithms.preference_presets import PREFERENCE_LOSSES
from verigrad.algorithms.presets import PRESETS, Algorithm
from verigrad.errors import ConfigError, VerigradError
from verigrad.models.causal import pick_device
from verigrad.models.diffusion import ENTRY
from verigrad.models.gguf import DEFAULT_MODEL, default_model_dir
from verigrad.models.linear import product
from verigrad.registry import resolve
from verigrad.training.config import (
    DiffusionConfig,
    PreferenceConfig,
    RewardModelConfig,
    RLConfig,
    StageConfig,
)
from verigrad.training.rl_settings import with_loop_settings

__all__ = ["Shape", "Work", "estimate", "memory", "model_shape", "work"]

_GIB = 2**30
_PROCESS = 0.9 * _GIB  # Python, torch, transformers, compiled kernels
_PROMPT = 128  # tokens of a prompt; the built-in tasks have about as many
_KEYS = 256  # that a token attends to in training
_BYTES_PER_TOKEN = 3  # of code and JSON, in text
_TEMPLATE = 40  # tokens of the chat template around a demonstration
_ROW = 3000  # bytes of a kept rollout: prompt, program, every test's result

# Floating-point operations a second on 2 cores (docs/results.md, "Speed"): 880 and 592 tokens a second sampled, an
# update of 3,400 positions in 6.0 and 11.1 s.
_SAMPLING = {"bfloat16": 240e9, "float32": 160e9}
_TRAINING = {"bfloat16": 450e9, "float32": 245e9}
# Matrix products of this shape there, 2 threads (docs/log.md).
_PRODUCTS = {"bfloat16": 830e9, "float32": 445e9}
_PRODUCT = (1344, 576, 1536)


@dataclass(frozen=True)
class _Companion:
    """A model beside the policy: bytes a weight (4 where it is frozen, 16 where it learns), and how often it passes
    over a step's rollouts without and with gradient."""

    size: int
    scores: int
    trains: int


_COMPANIONS = {
    "critic": _Companion(16, 1, 1),
    "outcome_critic": _Companion(16, 1, 1),
    "prm": _Companion(20, 2, 1),  # under itself and where it started
    "average": _Companion(4, 1, 0),
    "teacher": _Companion(4, 1, 0),
}


@dataclass(frozen=True)
class Shape:
    """Sizes of a decoder; `inner` is the width of its feed-forward part, which has `gates` + 1 matrices; `diffusion`
    tells whether it is a masked-diffusion model."""

    vocabulary: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    inner: int
    gates: int
    tied: bool
    diffusion: bool = False

    @property
    def parameters(self) -> int:
        attention = self.hidden * self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        embeddings = self.vocabulary * self.hidden * (1 if self.tied else 2)
        return self.layers * (attention + (self.gates + 1) * self.hidden * self.inner) + embeddings

    def adapters(self, rank: int) -> int:
        """Weights of adapters on every linear layer but the head."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        attention = 2 * (self.hidden + queries) + 2 * (self.hidden + keys)
        return rank * self.layers * (attention + (self.gates + 1) * (self.hidden + self.inner))


@dataclass(frozen=True)
class Work:
    """Positions a run passes over: `sampled` (prompts and completions), `scored` without gradient, `trained`.

    `completions` are those sampled to train on, `evaluations` those of reported splits and validations.
    """

    sampled: int
    trained: int
    scored: int = 0
    completions: int = 0
    evaluations: int = 0


def model_shape(model: str) -> Shape | None:
    """Sizes of a model that is on this machine, from its config alone; None where it is not.

    Raises:
        ConfigError: the config does not tell its sizes as decoders that can be trained here do.
    """
    folder = default_model_dir() if model == DEFAULT_MODEL else Path(model).expanduser()
    if not (folder / "config.json").is_file():
        return None
    try:
        c: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        heads = c["num_attention_heads"]
        return Shape(
            vocabulary=c["vocab_size"],
            hidden=c["hidden_size"],
            layers=c["num_hidden_layers"],
            heads=heads,
            kv_heads=c.get("num_key_value_heads") or heads,
            head_dim=c.get("head_dim") or c["hidden_size"] // heads,
            inner=c["intermediate_size"],
            gates=1 if c.get("model_type") == "gpt_neox" else 2,
            tied=bool(c.get("tie_word_embeddings")),
            diffusion=ENTRY in c,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{folder / 'config.json'} does not tell the sizes of a decoder: {type(error).__name__} {error}"
        ) from error


def estimate(config: StageConfig) -> str:
    """Lines that say how much memory, disk and time a run takes; for the time, a few matrix products are measured."""
    try:
        shape = model_shape(config.model)
    except ConfigError as error:
        return f"no estimate: {error}"
    if shape is None:
        return f"no estimate: {config.model!r} is not on this machine yet"
    parts = memory(config, shape)
    lines = [
        f"{shape.parameters / 1e6:.0f}M parameters, {_told_trained(config, shape)} trained",
        f"memory: about {sum(parts.values()) / _GIB:.1f} GiB{_named(parts)}",
    ]
    try:
        planned = work(config)
    except (VerigradError, OSError) as error:
        return "\n".join([*lines, f"no estimate of disk and time: {error}"])
    stored = _disk(config, shape, planned)
    lines.append(f"disk: about {sum(stored.values()) / _GIB:.1f} GiB below {config.run}{_named(stored)}")
    return "\n".join([*lines, _time_line(config, shape, planned)])


def _named(parts: Mapping[str, float]) -> str:
    """The parts that a figure of one decimal shows, in brackets; nothing where there are none."""
    named = ", ".join(f"{name} {size / _GIB:.1f}" for name, size in parts.items() if size > 0.05 * _GIB)
    return f" ({named})" if named else ""


def _told_trained(config: StageConfig, shape: Shape) -> str:
    if config.train_only:
        return f"those with {' or '.join(map(repr, config.train_only))} in their names"
    return f"{_trained(config, shape) / 1e6:.0f}M"


def _trained(config: StageConfig, shape: Shape) -> int:
    """At most: which weights `train_only` leaves is not known from a model's shape."""
    return shape.adapters(config.lora.rank) if config.lora.rank else shape.parameters


def _dtype(config: StageConfig) -> str:
    return "float32" if config.dtype == "float32" else "bfloat16"


# --------------------------------------------------------------------------------------------------------- memory


def memory(config: StageConfig, shape: Shape) -> dict[str, float]:
    """Bytes at the peak, by what they are for."""
    width = 4 if _dtype(config) == "float32" else 2
    # Mixed precision converts every weight for a pass and keeps it until the pass has gone back.
    converted = width * shape.parameters if width < 4 else 0
    found = {
        "process": _PROCESS,
        "weights": 4 * shape.parameters + converted,
        "gradients and optimizer": 12 * _trained(config, shape),
        "activations": _activations(config, shape, width),
    }
    if not isinstance(config, RewardModelConfig):
        # The sampler's old weights stay until the new ones are complete; that of diffusion models has them in float32.
        own = 4 if shape.diffusion or isinstance(config, DiffusionConfig) else width
        found["sampler"] = 2 * own * shape.parameters + _cache(config, shape, width)
        # Probabilities of every scored position, and the head's gradient in both precisions.
        found["head"] = config.token_budget * shape.vocabulary * width + (width + 4) * shape.vocabulary * shape.hidden
    if isinstance(config, RLConfig):
        found["other models"] = _others(config) * shape.parameters
    elif isinstance(config, PreferenceConfig) and _keeps_start(config):
        found["other models"] = 4 * shape.parameters
    return found


def _keeps_start(config: PreferenceConfig) -> bool:
    """Whether the starting model stays beside the policy; in a single round it has spoken before the first update."""
    row = resolve(config.loss, PREFERENCE_LOSSES, what="preference loss")
    return bool(config.rounds > 1 and config.reference == "start" and row.reference and not config.lora.rank)


def _activations(config: StageConfig, shape: Shape, width: int) -> float:
    """What the backward pass of one forward pass needs: of `token_budget` positions, in every layer."""
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    residual = 4 * 2 * shape.hidden
    normed, projected, rotated, mixed = 2 * shape.hidden, queries + 2 * keys, queries + keys, queries
    inner = (shape.gates + 2) * shape.inner
    layer = residual + width * (normed + projected + rotated + mixed + inner + shape.heads * _KEYS)
    if config.gradient_checkpointing:
        return config.token_budget * (shape.layers * 4 * shape.hidden + layer)
    return config.token_budget * shape.layers * layer


def _cache(config: StageConfig, shape: Shape, width: int) -> float:
    """Keys and values of all slots."""
    length = min(config.max_length, _PROMPT + _most_tokens(config))
    return config.slots * length * shape.layers * 2 * shape.kv_heads * shape.head_dim * width


def _most_tokens(config: StageConfig) -> int:
    return max(config.sampling.max_tokens, config.report.max_tokens)


def _others(config: RLConfig) -> int:
    """Bytes a weight of the models beside the policy."""
    algorithm = _algorithm(config)
    reference = 4 if config.kl_coef and not config.lora.rank else 0
    frozen = 4 * (bool(config.reward_model) + bool(config.cost.model))
    return reference + frozen + sum(companion.size for companion in _companions(algorithm))


def _algorithm(config: RLConfig) -> Algorithm:
    found: Algorithm = resolve(config.algorithm, {**PRESETS, **DIFFUSION_PRESETS}, what="algorithm")
    return found


def _companions(algorithm: Algorithm) -> list[_Companion]:
    return [_COMPANIONS[need] for need in algorithm.needs if need in _COMPANIONS]


# ----------------------------------------------------------------------------------------------------------- work


def work(config: StageConfig) -> Work:
    """What a run of a causal model passes over at most: completions count as long as they may become, prompts are a
    guess; the models beside the policy count as if they were of its size. A masked-diffusion model's rows are passed
    over more often than is counted here.

    Raises:
        VerigradError: a task source cannot be loaded.
        OSError: a file cannot be read.
    """
    if isinstance(config, RLConfig):
        return _rl_work(config)
    if isinstance(config, PreferenceConfig) and config.tasks:
        return _mined_work(config)
    settings: Any = config  # of the loops that read examples, each with its own epochs and batch_size
    count, tokens = _examples(settings)
    steps = settings.epochs * -(-count // settings.batch_size)
    trained = settings.epochs * tokens
    scored = tokens if isinstance(config, PreferenceConfig) else 0  # under the reference
    evaluated = _evaluated(config, steps)
    return Work(_asked(config, evaluated), trained, scored, evaluations=evaluated)


def _rl_work(config: RLConfig) -> Work:
    algorithm = _algorithm(config)
    config = with_loop_settings(config, algorithm)
    groups = config.steps * config.tasks_per_step
    answer = config.sampling.max_tokens
    positions = groups * (_PROMPT + config.group_size * answer)
    asked = positions * (1 + (config.resample or 0))
    if "greedy" in algorithm.needs:
        asked += groups * (_PROMPT + answer)
    learned = positions * (2 if config.replay else 1)
    companions = _companions(algorithm)
    updates = config.passes * config.minibatches
    # The reference of a penalty in the loss is asked at every update, that of one in the reward once.
    reference = 0 if not config.kl_coef else 1 if algorithm.kl_in_reward else config.passes
    anchor = updates > 1 or bool(config.kl_coef and algorithm.kl_in_reward)
    fixed = anchor + bool(config.reward_model) + bool(config.cost.model)
    prm_again = "prm" in algorithm.needs and config.process.update == "before"
    shown = groups * (_PROMPT + answer) * updates if config.gold_coef else 0
    evaluated = _evaluated(config, config.steps)
    return Work(
        sampled=asked + _probed(config) + _asked(config, evaluated),
        trained=learned * (config.passes + sum(companion.trains for companion in companions)) + shown,
        scored=learned * (reference + fixed + prm_again + sum(companion.scores for companion in companions)),
        completions=groups * config.group_size,
        evaluations=evaluated,
    )


def _probed(config: RLConfig) -> int:
    """Positions of the audit's probes with impossible tasks."""
    audit = config.audit
    probes = -(-config.steps // audit.probe_every) if audit.probe_every else 0
    return probes * audit.probe_tasks * (_PROMPT + audit.probe_samples * config.sampling.max_tokens)


def _mined_work(config: PreferenceConfig) -> Work:
    groups = config.rounds * config.tasks_per_round
    completions = groups * config.group_size
    records = config.rounds * config.records_per_round
    pairs = records * (_PROMPT + 2 * config.sampling.max_tokens)
    steps = config.epochs * -(-records // config.batch_size)
    evaluated = _evaluated(config, steps)
    return Work(
        sampled=groups * _PROMPT + completions * config.sampling.max_tokens + _asked(config, evaluated),
        trained=config.epochs * pairs,
        scored=pairs,
        completions=completions,
        evaluations=evaluated,
    )


def _asked(config: StageConfig, completions: int) -> int:
    """Positions of evaluation completions, one a task."""
    return completions * (_PROMPT + (config.report.max_tokens or config.sampling.max_tokens))


def _evaluated(config: StageConfig, steps: int) -> int:
    """Completions of the reported splits, before and after, and of all validations."""
    from verigrad.tasks import load_tasks

    report = config.report
    if isinstance(config, RewardModelConfig):  # measures on records, and samples nothing
        return 0
    reported = {task.id for source in report.splits.values() for task in load_tasks(source).tasks}
    found = 2 * len(reported) * report.samples
    if report.validation and report.validate_every:
        times = -(-steps // report.validate_every)
        found += times * _num_tasks(report.validation) * report.validation_samples
    return found


def _num_tasks(source: str) -> int:
    from verigrad.tasks import load_tasks

    return len(load_tasks(source))


def _examples(config: Any) -> tuple[int, int]:
    """How many demonstrations or records there are, and about how many tokens they have."""
    from verigrad.tasks import load_tasks

    if source := getattr(config, "tasks", ""):
        tasks = load_tasks(source)
        golds = [(task.prompt, tasks.oracle(task).gold or "") for task in tasks.tasks]
        sizes = [len(prompt) + len(gold) for prompt, gold in golds if gold]
        return len(sizes), sum(sizes) // _BYTES_PER_TOKEN + _TEMPLATE * len(sizes)
    file = Path(getattr(config, "text", "") or config.data)
    with file.open("rb") as stream:
        count = sum(1 for line in stream if line.strip())
    return count, file.stat().st_size // _BYTES_PER_TOKEN


# -------------------------------------------------------------------------------------------------- disk and time


def _disk(config: StageConfig, shape: Shape, planned: Work) -> dict[str, float]:
    """Bytes of the run folder at its fullest, while the newest checkpoint is being written."""
    held = config.keep_checkpoints if config.checkpoint_every else 1
    return {
        "checkpoints": (max(1, held) + 1 + config.report.keep_best) * 12 * _trained(config, shape),
        "model": 4 * shape.parameters,
        "rollouts": _ROW * (_kept(config, planned) + planned.evaluations),
    }


def _kept(config: StageConfig, planned: Work) -> int:
    if not isinstance(config, RLConfig):
        return planned.completions
    if not config.rollouts_kept:
        return 0
    rounds = 1 + (with_loop_settings(config, _algorithm(config)).resample or 0)
    return rounds * planned.completions // config.rollouts_kept


def _time_line(config: StageConfig, shape: Shape, planned: Work) -> str:
    done = f"{planned.evaluations:,} completions to evaluate"
    if planned.completions:
        done = f"{planned.completions:,} completions to train on, {done}"
    if shape.diffusion or isinstance(config, DiffusionConfig):
        return (
            f"time: {done}; no estimate for masked-diffusion models: how often a row is passed over depends on the "
            "canvas, the sampler's steps and the views it is scored through, and often is many times"
        )
    positions = f"{planned.trained:,} positions to train on and {done}"
    if pick_device(config.device).type != "cpu":
        return f"time: {positions}; how long that takes on a GPU was not measured"
    threads = config.threads or os.cpu_count() or 1
    pace = _products_per_second(_dtype(config), threads) / _PRODUCTS[_dtype(config)]
    seconds = _seconds(_dtype(config), shape, planned) / pace
    return (
        f"time: up to {seconds / 60:.0f} minutes on {threads} threads, by the speed of matrix products just now, for "
        f"at most {positions}; completions usually end earlier, judging comes on top"
    )


def _products_per_second(dtype: str, threads: int) -> float:
    """Floating-point operations a second of matrix products here: the best of a few."""
    rows, inner, columns = _PRODUCT
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        x, w = (torch.ones(size, inner, dtype=getattr(torch, dtype)) for size in (rows, columns))
        taken = []
        for _ in range(6):
            started = time.perf_counter()
            torch.nn.functional.linear(x, w) if dtype == "bfloat16" else product(x, w)
            taken.append(time.perf_counter() - started)
    finally:
        torch.set_num_threads(before)
    return 2 * rows * inner * columns / min(taken)


def _seconds(dtype: str, shape: Shape, planned: Work) -> float:
    """On the threads of the machine measured: 2 operations a weight and position forwards, 4 backwards."""
    forward = 2 * shape.parameters
    rates: Mapping[str, float] = _SAMPLING
    return forward * (planned.sampled / rates[dtype] + (planned.scored + 3 * planned.trained) / _TRAINING[dtype])
