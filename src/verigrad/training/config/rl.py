"""Settings of reinforcement learning."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from verigrad.engines.denoise_params import DenoiseParams
from verigrad.errors import ConfigError
from verigrad.training.config.stage import ScoringConfig, StageConfig, check_steps
from verigrad.training.ranges import at_least, shares

__all__ = ["AuditConfig", "CostConfig", "CriticConfig", "ProcessConfig", "RLConfig"]


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
        at_least(0, self, "clip_low", "clip_high")
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
        check_steps(self.denoise, self.sampling, self.report)
