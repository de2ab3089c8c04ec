"""What every training loop is told."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from verigrad.engines.denoise_params import DenoiseParams
from verigrad.errors import ConfigError
from verigrad.settings import diff
from verigrad.training.ranges import at_least

__all__ = [
    "Dtype",
    "LoraConfig",
    "OptimConfig",
    "ReportConfig",
    "SamplingConfig",
    "ScoringConfig",
    "StageConfig",
    "changed_settings",
    "check_steps",
    "start_alike",
]

Dtype = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How completions are drawn.

    Attributes:
        temperature: logits are divided by it; 0 is greedy.
        top_p: keep the smallest set of likeliest tokens whose probability reaches it.
        top_k: keep this many likeliest tokens; 0 keeps all.
        max_tokens: completion tokens at most.
        stop: texts that end a completion.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 96
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        at_least(0, self, "temperature", "top_k", section="sampling.")
        at_least(1, self, "max_tokens", section="sampling.")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"sampling.top_p is {self.top_p}; wanted above 0, at most 1")


@dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """Low-rank adapters instead of full fine-tuning.

    Attributes:
        rank: of the adapters; 0 trains all weights.
        alpha: the adapters' product is scaled by alpha / rank.
        targets: names of the modules adapted; empty means every linear layer but the head.
    """

    rank: int = 0
    alpha: float = 32.0
    targets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        at_least(0, self, "rank", section="lora.")
        if not 0 < self.alpha < math.inf:
            raise ConfigError(f"lora.alpha is {self.alpha}; wanted above 0: adapters are scaled by it")


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """AdamW and its schedule.

    Attributes:
        learning_rate: at its highest.
        schedule: after the warm-up: `constant`, `linear` or `cosine` down to zero, due one step after the last.
        warmup_steps: optimizer steps of linear warm-up.
        weight_decay: decoupled, on matrices only.
        beta1: decay of the gradient average.
        beta2: decay of the squared gradient average.
        max_grad_norm: the gradient is scaled down to this norm; inf for no bound.
    """

    learning_rate: float = 1e-5
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup_steps: int = 3
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.99
    max_grad_norm: float = 1.0

    def __post_init__(self) -> None:
        at_least(0, self, "learning_rate", "warmup_steps", "weight_decay", section="optim.")
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1):
            raise ConfigError(f"optim.beta1 is {self.beta1} and optim.beta2 {self.beta2}; wanted 0 or more, below 1")
        if not self.max_grad_norm > 0:
            raise ConfigError(f"optim.max_grad_norm is {self.max_grad_norm}; wanted above 0, or inf for no bound")


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """What is evaluated, how often, and with how many samples.

    Attributes:
        validation: task source for periodic evaluation and the choice of checkpoint; empty for none.
        validate_every: steps between validations; 0 for none.
        validation_samples: completions per validation task.
        splits: reported splits by name, read only at the start and the end.
        samples: completions per task of a reported split.
        temperature: of every evaluation; 0 is greedy.
        max_tokens: completion tokens at most; 0 takes the training's.
        keep_best: end with the weights of the best validation instead of the last step's.
    """

    validation: str = ""
    validate_every: int = 0
    validation_samples: int = 1
    splits: dict[str, str] = field(default_factory=dict)
    samples: int = 1
    temperature: float = 0.0
    max_tokens: int = 0
    keep_best: bool = False

    def __post_init__(self) -> None:
        at_least(0, self, "validate_every", "temperature", "max_tokens", section="report.")
        at_least(1, self, "validation_samples", "samples", section="report.")
        if wrong := [name for name in self.splits if not name or "/" in name]:
            raise ConfigError(f"report.splits has {wrong[0]!r}; wanted a name without `/`: files are named after it")
        if self.keep_best and not (self.validation and self.validate_every):
            raise ConfigError("keep_best goes by validations: set report.validation and report.validate_every")
        if self.validate_every and not self.validation:
            raise ConfigError(
                f"report.validate_every is {self.validate_every}, and report.validation names no tasks; wanted both or "
                "neither"
            )


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """What every training loop is told.

    Attributes:
        run: folder of the run.
        model: `smollm2-135m-instruct`, a folder or a hub id.
        seed: decides tasks, order, draws and everything else.
        system: system message; empty for the chat template's own.
        dtype: of the forward and backward pass and of the sampler; weights and optimizer stay float32. `auto` is
            bfloat16 where the device computes in it, else float32; a run keeps what it began with.
        device: `auto`, `cpu`, `cuda`.
        max_length: prompt and completion tokens at most.
        token_budget: positions in one forward pass of training.
        gradient_checkpointing: recompute activations in the backward pass, for less memory.
        checkpoint_every: steps between checkpoints, from which `--resume` goes on; 0 for the last only.
        keep_checkpoints: older ones are deleted.
        workers: sandboxed programs at once.
        threads: CPU threads of torch; 0 for one per core.
        slots: completions decoded at once.
        min_level: the weakest sandbox that will do.
        sampling: see the section.
        optim: see the section.
        lora: see the section.
        train_only: parts of names of weights, such as `norm`: only weights with one of them in their names are trained.
            Empty for all of them.
        report: see the section.
    """

    run: str = "runs/stage"
    model: str = "smollm2-135m-instruct"
    seed: int = 0
    system: str = ""
    dtype: Dtype = "auto"
    device: str = "auto"
    max_length: int = 1024
    token_budget: int = 1536
    gradient_checkpointing: bool = False
    checkpoint_every: int = 100
    keep_checkpoints: int = 2
    workers: int = 2
    threads: int = 0
    slots: int = 64
    min_level: Literal["process", "landlock", "namespaces", "full"] = "process"
    sampling: SamplingConfig = SamplingConfig()
    optim: OptimConfig = OptimConfig()
    lora: LoraConfig = LoraConfig()
    train_only: tuple[str, ...] = ()
    report: ReportConfig = ReportConfig()

    def __post_init__(self) -> None:
        at_least(0, self, "checkpoint_every", "threads")
        at_least(1, self, "token_budget", "keep_checkpoints", "workers", "slots")
        at_least(2, self, "max_length")
        if self.run.startswith("~"):
            raise ConfigError(f"run is {self.run!r}, which no shell has replaced by your home folder; write its path")
        if self.report.splits or self.report.validation:
            own = self.report.max_tokens
            self._check_room(own or self.sampling.max_tokens, "report.max_tokens" if own else "sampling.max_tokens")

    def _check_room(self, tokens: int, setting: str) -> None:
        """Refuse a bound on completions that none can come to: they would be cut off before, without a word."""
        if tokens >= self.max_length:
            raise ConfigError(
                f"{setting} is {tokens} and max_length {self.max_length}, of prompt and completion together: no "
                f"completion can have as many; raise max_length by what prompts need, or lower {setting}"
            )


def changed_settings(begun: Any, config: Any) -> dict[str, tuple[Any, Any]]:
    """What a run, or a sweep, that was begun with some settings would have to change: key -> (old, new).

    `dtype = "auto"` asks for no change: it is what was begun with. Where the judge's model is reached, and how long and
    by how many requests at once it is waited for, is free to change: a run may have stopped over it.
    """
    changed = diff(begun, config)
    for key in ("judge.url", "judge.concurrency", "judge.timeout_s"):
        changed.pop(key, None)
    if changed.get("dtype", ("", ""))[1] == "auto":
        del changed["dtype"]
    return changed


# Settings that cannot change what a model answers before it is trained.
_OF_TRAINING = {"run", "algorithm", "loss", "reward", "options", "optim", "steps", "epochs", "rounds", "kl_coef"}
_OF_TRAINING |= {"tasks_per_step", "group_size", "minibatches", "passes", "clip_low", "clip_high", "batch_size"}


def start_alike(one: StageConfig, other: StageConfig) -> bool:
    """Whether two runs are sure to answer the reported splits alike before training, because they differ in settings
    of training alone; also in the seed, where chance has no part in the answers."""
    denoise: DenoiseParams | None = getattr(one, "denoise", None)
    drawn = one.report.temperature > 0 or (denoise is not None and denoise.order == "random")
    free = _OF_TRAINING if drawn else _OF_TRAINING | {"seed"}
    return type(one) is type(other) and {key.split(".")[0] for key in diff(one, other)} <= free


@dataclass(frozen=True, kw_only=True)
class ScoringConfig:
    """How a masked-diffusion model scores what it wrote (docs/diffusion.md, "Reinforcement learning").

    Attributes:
        estimator: of log-probabilities; not set: the algorithm's own, else `trace`.
        samples: Monte Carlo draws of `coupled`, `elbo` and `sandwich`; 0 for the estimator's own number.
        weighting: of `coupled`: `paper` has the noise weights inside the ratio, `normalised` has none, `outside_ratio`
            has them as factors of the loss, of one pair of masks.
        low: least noise level of `coupled`.
        high: greatest noise level of `coupled`.
        prompt_masking: share of the prompt's tokens that `mean_field` masks too.
        shrink: neighbouring steps that `trace` scores as one.
    """

    estimator: Literal["left_to_right", "random_order", "trace", "mean_field", "coupled", "elbo", "sandwich"] | None = (
        None
    )
    samples: int = 0
    weighting: Literal["paper", "normalised", "outside_ratio"] = "paper"
    low: float = 0.2
    high: float = 0.8
    prompt_masking: float = 0.0
    shrink: int = 1

    def __post_init__(self) -> None:
        if self.samples < 0 or self.shrink < 1:
            raise ConfigError(f"samples is {self.samples} and shrink {self.shrink}; wanted 0 or more and 1 or more")
        if not 0 <= self.low < self.high <= 1:
            raise ConfigError(f"noise levels from {self.low} to {self.high}; wanted 0 <= low < high <= 1")
        if self.weighting == "outside_ratio" and self.samples > 1:
            raise ConfigError(
                f"weighting 'outside_ratio' with samples = {self.samples}: the weights of a pair of masks are factors "
                "of its own log-probs, and those of several pairs are added up before; leave samples unset, or take "
                "'paper' or 'normalised'"
            )
        if not 0 <= self.prompt_masking < 1:
            raise ConfigError(f"prompt_masking is {self.prompt_masking}; wanted 0 or more, below 1")


def check_steps(denoise: DenoiseParams, sampling: SamplingConfig, report: ReportConfig) -> None:
    """Refuse more steps than places of the canvases that are sampled."""
    denoise.check_places(sampling.max_tokens, "sampling.max_tokens")
    denoise.check_places(report.max_tokens or sampling.max_tokens, "report.max_tokens")
