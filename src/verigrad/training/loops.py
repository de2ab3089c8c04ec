"""The training loops by the name of their command; without torch, so that `--help` is fast."""

from __future__ import annotations

from typing import Any, NamedTuple

from verigrad.registry import load_attribute
from verigrad.training.config import DiffusionConfig, PreferenceConfig, RewardModelConfig, RLConfig, SFTConfig

__all__ = ["LOOPS", "Loop"]


class Loop(NamedTuple):
    """A training loop: its settings, its function, the settings whose product is its length, and the function that
    looks up what its settings name, if they name anything."""

    settings: type[Any]
    train: str
    length: tuple[str, ...]
    names: str = ""

    def check_names(self, config: Any) -> None:
        """Raise a ConfigError where settings name an algorithm, a reward, a loss or an option that there is not."""
        if self.names:
            load_attribute(self.names)(config)


LOOPS = {
    "rl": Loop(RLConfig, "verigrad.training.rl:train", ("steps",), "verigrad.training.rl_settings:chosen_parts"),
    "sft": Loop(SFTConfig, "verigrad.training.sft:train", ("epochs",)),
    "diffusion": Loop(DiffusionConfig, "verigrad.training.diffusion:train", ("epochs",)),
    "preference": Loop(
        PreferenceConfig,
        "verigrad.training.preference:train",
        ("rounds", "epochs"),
        "verigrad.training.preference:chosen_loss",
    ),
    "reward-model": Loop(RewardModelConfig, "verigrad.training.reward_model:train", ("epochs",)),
}
