"""The training loops by the name of their command; without torch, so that `--help` is fast."""

from __future__ import annotations

from typing import Any, NamedTuple

from verigrad.training.config import DiffusionConfig, PreferenceConfig, RewardModelConfig, RLConfig, SFTConfig

__all__ = ["LOOPS", "Loop"]


class Loop(NamedTuple):
    """A training loop: its settings, its function, and the settings whose product is its length."""

    settings: type[Any]
    train: str
    length: tuple[str, ...]


LOOPS = {
    "rl": Loop(RLConfig, "verigrad.training.rl:train", ("steps",)),
    "sft": Loop(SFTConfig, "verigrad.training.sft:train", ("epochs",)),
    "diffusion": Loop(DiffusionConfig, "verigrad.training.diffusion:train", ("epochs",)),
    "preference": Loop(PreferenceConfig, "verigrad.training.preference:train", ("rounds", "epochs")),
    "reward-model": Loop(RewardModelConfig, "verigrad.training.reward_model:train", ("epochs",)),
}
