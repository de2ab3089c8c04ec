"""Settings of supervised training: of causal and of masked-diffusion models."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from verigrad.engines.denoise_params import DenoiseParams
from verigrad.errors import ConfigError
from verigrad.training.config.stage import OptimConfig, StageConfig, check_steps
from verigrad.training.ranges import at_least, shares

__all__ = ["DiffusionConfig", "NoiseConfig", "SFTConfig"]


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
        check_steps(self.denoise, self.sampling, self.report)
