"""Settings of the training loops: frozen dataclasses without torch, so that `--help` is fast.

Defaults are the settings we would start with on a laptop CPU and the default model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from verigrad.engines.denoise_params import DenoiseParams
from verigrad.errors import ConfigError
from verigrad.settings import diff
from verigrad.training.ranges import at_least, shares

__all__ = [
    "AuditConfig",
    "CostConfig",
    "CriticConfig",
    "DiffusionConfig",
    "Dtype",
    "JudgeConfig",
    "LoraConfig",
    "NoiseConfig",
    "OptimConfig",
    "PreferenceConfig",
    "ProcessConfig",
    "RLConfig",
    "ReportConfig",
    "RewardModelConfig",
    "SFTConfig",
    "SamplingConfig",
    "ScoringConfig",
    "StageConfig",
    "TinyConfig",
    "changed_settings",
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


@dataclass(frozen=True, kw_only=True)
class CriticConfig:
    """The model some algorithms train beside the policy: a critic, or an implicit process reward model.

    Attributes:
        model: it starts from; empty for the policy's.
        learning_rate: of its own optimizer; the schedule is the policy's.
        clip: how far a value may move from its old one in a step; 0 for no bound.
        gamma: discount per token, or per turn where advantages are by turn; not set: the algorithm's own, mostly 1.
        gae_lambda: 1 waits for the whole return, 0 trusts the next value; not set: the algorithm's own, mostly 1.
        warmup_steps: first steps in which only the critic learns.
    """

    model: str = ""
    learning_rate: float = 1e-5
    clip: float = 0.2
    gamma: float | None = None
    gae_lambda: float | None = None
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        at_least(0, self, "learning_rate", "clip", "warmup_steps", section="critic.")
        shares(self, "gamma", "gae_lambda", section="critic.")


@dataclass(frozen=True, kw_only=True)
class CostConfig:
    """A constraint on costs (Safe RLHF): their mean is to stay below a limit.

    Attributes:
        model: folder of a cost model (a reward model that scores what is bad) whose scores are the costs; empty for
            the reward function's `Score.parts["cost"]`.
        limit: mean cost allowed.
        multiplier: price of a unit of cost at the start.
        learning_rate: of the logarithm of the price.
    """

    model: str = ""
    limit: float = 0.0
    multiplier: float = 1.0
    learning_rate: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.multiplier <= 100:
            raise ConfigError(f"cost.multiplier is {self.multiplier}; wanted above 0, at most 100")


@dataclass(frozen=True, kw_only=True)
class ProcessConfig:
    """The implicit process reward model of PRIME; it starts as `critic.model` and learns at `critic.learning_rate`.

    Attributes:
        beta: its reward is so many times the log-ratio of a token.
        update: it learns from a step's rollouts `after` it has judged them, or `before`.
    """

    beta: float = 0.05
    update: Literal["after", "before"] = "after"

    def __post_init__(self) -> None:
        if self.beta <= 0:
            raise ConfigError(f"process.beta is {self.beta}; wanted above 0")


@dataclass(frozen=True, kw_only=True)
class AuditConfig:
    """Watching for cheating while training (docs/rewards.md, "The audit").

    Attributes:
        flagged: what becomes of rollouts with a violation, with two shown tests known by heart, or that `flag` names:
            `keep` counts them, `penalise` takes their reward down to `floor`, `screen` leaves them out of the
            group's statistics and of the loss, `stop` ends the run.
        floor: see `penalise`; at most what an honest failure earns.
        flag: `file.py:function` of (task, rollout) that says whether to flag a rollout too, or why; empty for none.
        probe_every: steps between probes with impossible tasks; 0 for none.
        probe_tasks: tasks of a probe.
        probe_samples: completions of each.
        window: steps, or probes, over which a metric is averaged before it is compared with its limit.
        above: metrics that raise an alarm where their mean is above this.
        below: metrics that raise an alarm where their mean is below this.
    """

    flagged: Literal["keep", "penalise", "screen", "stop"] = "keep"
    floor: float = 0.0
    flag: str = ""
    probe_every: int = 0
    probe_tasks: int = 4
    probe_samples: int = 4
    window: int = 5
    above: dict[str, float] = field(
        default_factory=lambda: {
            "public_gap": 0.2,
            "special_cased": 0.1,
            "violations": 0.05,
            "impossible_passed": 0.0,
        }
    )
    below: dict[str, float] = field(default_factory=lambda: {"corr_reward": 0.0})

    def __post_init__(self) -> None:
        at_least(0, self, "probe_every", section="audit.")
        at_least(1, self, "window", "probe_tasks", "probe_samples", section="audit.")


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


def _check_steps(denoise: DenoiseParams, sampling: SamplingConfig, report: ReportConfig) -> None:
    """Refuse more steps than places of the canvases that are sampled."""
    denoise.check_places(sampling.max_tokens, "sampling.max_tokens")
    denoise.check_places(report.max_tokens or sampling.max_tokens, "report.max_tokens")


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


@dataclass(frozen=True, kw_only=True)
class RLConfig(StageConfig):
    """Reinforcement learning from verified rewards.

    Attributes:
        tasks: task source to train on.
        word_dropout: of each prompt's words a share up to this is left out, so that its examples have to be read.
        rename: share of the tasks whose function gets a name that says nothing, so that names are not relied on.
        fresh_tests: hidden tests are drawn anew each time a task comes up, where it has something to draw from.
        algorithm: preset name, or `file.py:attr`.
        options: hyper-parameters of the algorithm by name, such as tau_neg or process_weight; its own where not set.
        reward: reward name, or `file.py:function`; not set: the algorithm's own, else `tests`.
        reward_model: folder of a reward model to train against; `reward` is then only measured, as the gold standard.
        teacher: model to distil from, where the algorithm has one; of the same vocabulary.
        steps: of sampling and updating.
        tasks_per_step: groups sampled in a step.
        group_size: completions of one task that are compared.
        resample: rounds of further tasks in place of groups whose scores are all alike; not set: the algorithm's own.
        minibatches: optimizer steps made of one step's rollouts.
        passes: times each of them is taken.
        kl_coef: weight of the KL penalty against the starting model: in the loss, or k1 in the reward where the
            algorithm has it there.
        kl: form of the penalty in the loss: `k1`, `k2`, `k3`, `k3+` (the value of k3, the gradient of k2), or
            `k1_weighted` and `k3_weighted` (times the ratio); not set: `k3`.
        nll_coef: weight of the likelihood of rollouts that pass every test; not set: the algorithm's own.
        gold_coef: weight of the cross-entropy of the tasks' gold programs; not set: the algorithm's own.
        overlong: last share of the token budget over which the reward falls by 1; not set: the algorithm's own.
        error_penalty: reward, below 0, of the tokens of the line that failed; not set: the algorithm's own.
        executed_only: code that no test ran is not trained on; not set: the algorithm's own.
        curriculum: answers are begun with the gold program, less and less of it; not set: the algorithm's own.
        replay: rollouts of past steps kept, of which each step trains on as many groups again; not set: the
            algorithm's own.
        clip_low: lower bound of the ratio is 1 - clip_low; the algorithm's own where not set.
        clip_high: upper bound of the ratio is 1 + clip_high; the algorithm's own where not set.
        importance: correction of tokens that sampler and trainer disagree on: `truncate` their weight at
            importance_cap, `mask` those above it or below importance_low, or `none`; not set: `truncate` where the
            scores are exact log-probabilities, else `none`.
        importance_cap: see there.
        importance_low: see there.
        importance_level: the weight is the ratio of the `token`, of the whole rollout (`sequence`), or the rollout's
            geometric mean (`geometric`).
        opsm_delta: rollouts with a negative advantage are dropped where the policy has moved off them by more than so
            many nats per token; not set: none are.
        ewma_decay: of the averaged policy, where the algorithm has one.
        engine: that samples: `local`, the model's own (`denoise` of a masked-diffusion model); there is no other yet.
        share_prompts: run the prompt of a group once.
        allow_scripts: train on tasks whose tests share the program's process.
        rollouts_kept: steps between saved rollouts; 0 for none.
        critic: see the section.
        cost: see the section.
        process: see the section.
        audit: see the section.
        denoise: how a masked-diffusion model samples, see the section.
        diffusion: how it scores what it sampled, see the section.
    """

    run: str = "runs/rl"
    tasks: str = "builtin-easy@1?split=train"
    word_dropout: float = 0.0
    rename: float = 0.0
    fresh_tests: bool = False
    algorithm: str = "grpo"
    options: dict[str, float] = field(default_factory=dict)
    reward: str | None = None
    reward_model: str = ""
    teacher: str = ""
    steps: int = 50
    tasks_per_step: int = 8
    group_size: int = 8
    resample: int | None = None
    minibatches: int = 1
    passes: int = 1
    kl_coef: float = 0.0
    kl: Literal["k1", "k2", "k3", "k3+", "k1_weighted", "k3_weighted"] | None = None
    nll_coef: float | None = None
    overlong: float | None = None
    gold_coef: float | None = None
    error_penalty: float | None = None
    executed_only: bool | None = None
    curriculum: bool | None = None
    replay: int | None = None
    clip_low: float | None = None
    clip_high: float | None = None
    importance: Literal["truncate", "mask", "none"] | None = None
    importance_cap: float = 2.0
    importance_low: float = 0.5
    importance_level: Literal["token", "sequence", "geometric"] = "token"
    opsm_delta: float | None = None
    ewma_decay: float = 0.9
    engine: str = "local"
    share_prompts: bool = True
    checkpoint_every: int = 25
    allow_scripts: bool = False
    rollouts_kept: int = 1
    critic: CriticConfig = CriticConfig()
    cost: CostConfig = CostConfig()
    process: ProcessConfig = ProcessConfig()
    audit: AuditConfig = AuditConfig()
    denoise: DenoiseParams = field(default_factory=DenoiseParams)
    diffusion: ScoringConfig = field(default_factory=ScoringConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(0, self, "steps", "resample", "replay", "rollouts_kept", "kl_coef", "nll_coef", "gold_coef")
        at_least(1, self, "tasks_per_step", "minibatches", "passes")
        shares(self, "word_dropout", "rename", "overlong", "ewma_decay")
        self._check_room(self.sampling.max_tokens, "sampling.max_tokens")
        if self.engine != "local":
            raise ConfigError(
                f"engine is {self.engine!r}, and rl samples with 'local' alone, which takes the new weights after "
                "every step; leave engine out. vllm and openai sample for `verigrad eval --engine ...`"
            )
        if self.error_penalty is not None and self.error_penalty > 0:
            raise ConfigError(f"error_penalty is {self.error_penalty}, which pays for errors; wanted 0 or less")
        if self.importance_cap <= 0:
            raise ConfigError(f"importance_cap is {self.importance_cap}: every weight would be 0; wanted above 0")
        if self.sampling.temperature <= 0:
            raise ConfigError("sampling.temperature is 0: greedy completions of a group are all alike; want > 0")
        if self.reward_model and self.audit.flagged in ("penalise", "screen"):
            raise ConfigError(
                f"audit.flagged is {self.audit.flagged!r}, which changes the verified reward, and the run trains on "
                "the scores of reward_model instead; take audit.flagged = 'keep' or 'stop'"
            )
        if self.importance == "mask" and not 0 <= self.importance_low <= self.importance_cap:
            raise ConfigError(
                f"importance_low is {self.importance_low} and importance_cap {self.importance_cap}; wanted "
                "0 <= importance_low <= importance_cap"
            )
        if self.group_size < 2:
            raise ConfigError(f"group_size is {self.group_size}; group estimators compare at least 2 completions")
        if self.minibatches > self.tasks_per_step:
            raise ConfigError(f"minibatches ({self.minibatches}) exceed tasks_per_step ({self.tasks_per_step})")
        _check_steps(self.denoise, self.sampling, self.report)


@dataclass(frozen=True, kw_only=True)
class SFTConfig(StageConfig):
    """Supervised fine-tuning on demonstrations, those longer than `max_length` left out and counted, or on texts.

    Attributes:
        text: JSONL of `{"text"}` to continue pre-training on, cut into rows of `max_length`; or use `tasks` or `data`.
        tasks: task source whose gold programs are the demonstrations.
        data: JSONL of `{"prompt", "completion"}` or `{"messages"}`.
        fim: share of the texts, or answers, that are turned round: what stands before and behind a gap, then the gap.
        fim_ids: prefix, suffix and middle token, unused ids of the vocabulary; empty for those made for it.
        epochs: passes over the demonstrations or texts.
        batch_size: demonstrations or texts per optimizer step.
        word_dropout: of each prompt's words a share up to this is left out, for wordings never seen; code stays.
        rename: share of the tasks whose function gets a name that says nothing, so that names are not relied on.
    """

    run: str = "runs/sft"
    text: str = ""
    tasks: str = ""
    data: str = ""
    fim: float = 0.0
    fim_ids: tuple[int, ...] = ()
    epochs: int = 2
    batch_size: int = 16
    word_dropout: float = 0.0
    rename: float = 0.0
    optim: OptimConfig = OptimConfig(learning_rate=2e-5, schedule="cosine")

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, self, "epochs", "batch_size")
        shares(self, "fim", "word_dropout", "rename")
        if sum(map(bool, (self.text, self.tasks, self.data))) != 1:
            raise ConfigError(
                "set exactly one of tasks (gold programs as demonstrations), data (a JSONL file of them) and text"
            )
        if self.rename and not self.tasks:
            raise ConfigError("rename needs tasks: a file does not say which function is asked for")
        if self.word_dropout and self.text:
            raise ConfigError("word_dropout thins questions, which texts do not have; leave it 0")


@dataclass(frozen=True, kw_only=True)
class NoiseConfig:
    """How answers are noised for masked-diffusion training.

    Attributes:
        form: `fixed_count` masks so many tokens that every count is as likely, and weighs by one over the share;
            `bernoulli` masks each token with probability t and weighs by 1 / t.
        complementary: mask in a second view what the first left, so that every token is learned from in each step.
        draws: of noise for a row in a step; the loss is their mean. With prefix attention they share the prompt.
        stratified: spread the noise levels of a step evenly.
        low: least noise level.
        high: greatest noise level.
        warmup_steps: first steps, in which the greatest level grows from `low` and tokens are not weighted.
    """

    form: Literal["fixed_count", "bernoulli"] = "fixed_count"
    complementary: bool = False
    draws: int = 1
    stratified: bool = True
    low: float = 0.0
    high: float = 1.0
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        at_least(0, self, "warmup_steps", section="noise.")
        at_least(1, self, "draws", section="noise.")
        if not 0 <= self.low < self.high <= 1:
            raise ConfigError(f"noise levels from {self.low} to {self.high}; wanted 0 <= low < high <= 1")


@dataclass(frozen=True, kw_only=True)
class DiffusionConfig(StageConfig):
    """Masked-diffusion training: a causal model adapted on texts, or a diffusion model tuned on demonstrations.

    Attributes:
        text: JSONL of `{"text"}` to adapt on, cut into rows of `max_length`; or use `tasks` or `data`.
        tasks: task source whose gold programs are the demonstrations.
        data: JSONL of `{"prompt", "completion"}` or `{"messages"}`.
        mask_id: an unused id of the vocabulary; not set: as the checkpoint says.
        shift: the output before a token predicts it, as in a causal model; not set: as the checkpoint says, else true.
        attention: `full`, `block`, `prefix` or `causal`; not set: as the checkpoint says, else full.
        block_length: positions of a block; not set: as the checkpoint says, else 0.
        pad_policy: `fill` puts end tokens behind the answer, up to `canvas` and the end of its block; `none` ends the
            row with the answer; not set: `fill` for demonstrations with a canvas or blocks, else as the checkpoint
            says, else `none`.
        canvas: places of an answer and the end tokens behind it; 0 for as many as it has.
        eos_in_loss: the first end token is learned.
        pad_weight: of the end tokens behind the first, in the loss.
        normalisation: what the loss is divided by: tokens of the step that could have been masked (`batch_tokens`,
            the ELBO per token), those of each `answer`, or those `masked`.
        anneal_steps: first steps, in which full attention grows out of causal attention.
        block_warmup: block lengths to begin with, one after the other.
        block_warmup_steps: steps of each of them.
        epochs: passes over the rows.
        batch_size: rows per optimizer step.
        noise: see the section.
        denoise: how evaluations sample, see the section.
    """

    run: str = "runs/diffusion"
    text: str = ""
    tasks: str = ""
    data: str = ""
    mask_id: int | None = None
    shift: bool | None = None
    attention: Literal["full", "block", "prefix", "causal"] | None = None
    block_length: int | None = None
    pad_policy: Literal["fill", "none"] | None = None
    canvas: int = 0
    eos_in_loss: bool = True
    pad_weight: float = 0.1
    normalisation: Literal["batch_tokens", "answer", "masked"] = "batch_tokens"
    anneal_steps: int = 0
    block_warmup: tuple[int, ...] = ()
    block_warmup_steps: int = 0
    epochs: int = 2
    batch_size: int = 16
    noise: NoiseConfig = NoiseConfig()
    denoise: DenoiseParams = field(default_factory=DenoiseParams)
    optim: OptimConfig = OptimConfig(learning_rate=1e-4, schedule="cosine")

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(0, self, "block_length", "canvas", "pad_weight", "anneal_steps", "block_warmup_steps")
        at_least(1, self, "epochs", "batch_size")
        if sum(map(bool, (self.text, self.tasks, self.data))) != 1:
            raise ConfigError("set exactly one of text (to adapt on), tasks (gold programs) and data (demonstrations)")
        if bool(self.block_warmup) != bool(self.block_warmup_steps):
            raise ConfigError("block_warmup and block_warmup_steps go together: which lengths, and for how many steps")
        if self.canvas and self.pad_policy == "none":
            raise ConfigError("canvas is filled with end tokens, which pad_policy `none` forbids")
        _check_steps(self.denoise, self.sampling, self.report)


@dataclass(frozen=True, kw_only=True)
class JudgeConfig:
    """A language model that says which of two sampled answers is better (RLAIF); docs/preferences.md.

    Attributes:
        url: of an OpenAI-compatible endpoint, such as http://localhost:8000/v1; empty for none. Its key in
            $OPENAI_API_KEY.
        model: as the endpoint names it.
        when: it is asked about `every` task and the miner never, or about those where the miner finds `no_record`.
        pairs_per_task: pairs of answers it is asked about, drawn by the seed; 0 for all.
        criteria: what makes an answer better; empty for: correct, then clear, then fast.
        temperature: of a reply.
        max_tokens: of a reply.
        concurrency: requests in flight at most.
        timeout_s: seconds for one reply, all tries together.
    """

    url: str = ""
    model: str = ""
    when: Literal["every", "no_record"] = "every"
    pairs_per_task: int = 2
    criteria: str = ""
    temperature: float = 0.0
    max_tokens: int = 1024
    concurrency: int = 4
    timeout_s: float = 120.0

    def __post_init__(self) -> None:
        if bool(self.url) != bool(self.model):
            raise ConfigError(
                f"judge.url is {self.url!r} and judge.model {self.model!r}; wanted both: an endpoint, such as "
                "http://localhost:8000/v1, and the model as it names it"
            )
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ConfigError(f"judge.url is {self.url!r}; wanted an address such as http://localhost:8000/v1")
        if self.pairs_per_task < 0:
            raise ConfigError(f"judge.pairs_per_task is {self.pairs_per_task}, wanted 1 or more, or 0 for all")
        if self.concurrency < 1 or self.max_tokens < 1 or self.timeout_s <= 0:
            raise ConfigError(
                f"judge.concurrency is {self.concurrency}, judge.max_tokens {self.max_tokens} and judge.timeout_s "
                f"{self.timeout_s:g}; wanted all above 0"
            )


@dataclass(frozen=True, kw_only=True)
class PreferenceConfig(StageConfig):
    """Preference optimisation: offline on a file, or round by round on pairs mined from the policy's own rollouts.

    Attributes:
        data: JSONL of preferences (docs/preferences.md); or use `tasks`.
        tasks: task source to sample, judge and mine pairs from; one round is iterative DPO, many short ones online.
        loss: name of a preference loss, or `file.py:attr`.
        options: hyper-parameters of the loss by name, such as beta; its paper's where not set.
        token_weights: of losses that weigh tokens: `diff` (what differs counts double), `edits` (Target-DPO), `length`
            (LD-DPO), `security` (LPO), `none`, or `file.py:function`.
        epochs: passes over the records (of each round).
        batch_size: records per optimizer step.
        reference: frozen policy that losses compare with: of the `start`, or of the start of each `round`.
        rounds: of sampling and training, with `tasks`.
        tasks_per_round: tasks sampled in a round.
        group_size: completions sampled of each.
        miner: of pairs from verdicts, or `file.py:function`.
        miner_options: its options by name, such as gap (docs/preferences.md); 1 and 0 for true and false.
        records_per_task: at most; 0 for all.
        records_per_round: at most; the schedule counts on as many.
        allow_scripts: sample tasks whose tests share the program's process.
        judge: a language model that finds pairs instead of the miner, or behind it, see the section.
        denoise: how a masked-diffusion model samples, see the section.
        diffusion: how it scores answers: `elbo` (VRPO) where not set, `left_to_right` or `mean_field`.
    """

    run: str = "runs/preference"
    data: str = ""
    tasks: str = ""
    loss: str = "dpo"
    options: dict[str, float] = field(default_factory=dict)
    token_weights: str = "none"
    epochs: int = 1
    batch_size: int = 16
    reference: Literal["start", "round"] = "start"
    rounds: int = 1
    tasks_per_round: int = 64
    group_size: int = 8
    miner: str = "pass_fail"
    miner_options: dict[str, float] = field(default_factory=dict)
    records_per_task: int = 2
    records_per_round: int = 64
    allow_scripts: bool = False
    judge: JudgeConfig = JudgeConfig()
    denoise: DenoiseParams = field(default_factory=DenoiseParams)
    diffusion: ScoringConfig = field(default_factory=ScoringConfig)
    optim: OptimConfig = OptimConfig(learning_rate=5e-6, schedule="linear")

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(0, self, "records_per_task")
        at_least(1, self, "epochs", "batch_size", "rounds", "tasks_per_round", "group_size")
        if bool(self.tasks) == bool(self.data):
            raise ConfigError("set exactly one of data (a file of preferences) and tasks (to sample and mine from)")
        if self.data and self.rounds > 1:
            raise ConfigError(f"rounds is {self.rounds}; a file is read in one round, epochs repeats it")
        if self.tasks and self.sampling.temperature <= 0:
            raise ConfigError("sampling.temperature is 0: greedy completions of a task are all alike; want > 0")
        if self.tasks:
            self._check_room(self.sampling.max_tokens, "sampling.max_tokens")
        if self.tasks and self.records_per_round < 1:
            raise ConfigError(
                f"records_per_round is {self.records_per_round}: the schedule counts on as many, so nothing would be "
                "trained; wanted 1 or more, such as tasks_per_round times records_per_task"
            )
        _check_steps(self.denoise, self.sampling, self.report)
        self._check_judge()

    def _check_judge(self) -> None:
        judge = self.judge
        if judge != JudgeConfig() and not judge.url:
            raise ConfigError("there are settings of the judge, but no judge.url; name an endpoint, or leave them out")
        if judge.url and not self.tasks:
            raise ConfigError("judge.url is for sampled answers: set tasks; a file is judged by verigrad label --judge")
        if judge.url and judge.when == "every" and (self.miner != PreferenceConfig.miner or self.miner_options):
            raise ConfigError(
                f"miner is {self.miner!r} with {self.miner_options or 'no options'}, but the judge decides about every "
                "task; leave the miner out, or set judge.when to no_record"
            )


@dataclass(frozen=True, kw_only=True)
class RewardModelConfig(StageConfig):
    """Training a reward model: one number for a prompt and an answer.

    Attributes:
        data: JSONL of preferences, rated answers or rankings (docs/preferences.md).
        held_out: JSONL to measure on; empty to set part of the data's prompts aside.
        held_out_share: of the prompts, where `held_out` is empty.
        objective: `bradley_terry` on pairs, `verdict` (pass or fail), `regression` on rewards.
        use_margin: let Bradley-Terry ask for the pairs' margins.
        centering: weight of the squared sum of a pair's scores, which keeps scores around 0.
        epochs: passes over the records.
        batch_size: records per optimizer step; for Bradley-Terry prompts, each with all its comparisons.
        head_factor: the head, which starts at zero, learns at so many times the rate.
    """

    run: str = "runs/reward-model"
    data: str = ""
    held_out: str = ""
    held_out_share: float = 0.1
    objective: Literal["bradley_terry", "verdict", "regression"] = "bradley_terry"
    use_margin: bool = False
    centering: float = 0.01
    epochs: int = 1
    batch_size: int = 16
    head_factor: float = 100.0
    optim: OptimConfig = OptimConfig(learning_rate=1e-5, schedule="linear")

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, self, "epochs", "batch_size")
        if not self.data:
            raise ConfigError("data is not set: wanted a JSONL file of preferences")
        if self.report.keep_best:
            raise ConfigError("a reward model ends with the last step's weights; report.keep_best is for policies")
        if not 0 < self.held_out_share < 1:
            raise ConfigError(f"held_out_share is {self.held_out_share}, wanted between 0 and 1")


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
