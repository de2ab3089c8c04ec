"""Settings of learning from preferences: of policies and of reward models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from verigrad.engines.denoise_params import DenoiseParams
from verigrad.errors import ConfigError
from verigrad.training.config.stage import OptimConfig, ScoringConfig, StageConfig, check_steps
from verigrad.training.ranges import at_least

__all__ = ["JudgeConfig", "PreferenceConfig", "RewardModelConfig"]


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
        check_steps(self.denoise, self.sampling, self.report)
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
