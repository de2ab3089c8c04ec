"""How a canvas is filled: the settings of the denoising sampler, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from verigrad.errors import ConfigError

__all__ = ["DenoiseParams", "Order", "Schedule"]

Order = Literal["confidence", "margin", "entropy", "random", "left_to_right"]
Schedule = Literal["exact", "timestep", "threshold"]


@dataclass(frozen=True, kw_only=True)
class DenoiseParams:
    """How a canvas is filled.

    Attributes:
        order: what is revealed first: the proposed token of highest probability (`confidence`), the place where the
            likeliest token leads most (`margin`), where the distribution has the least `entropy`, `random`,
            `left_to_right`.
        order_uses_temperature: take probabilities for the order, and for the threshold, after the temperature, as Dream
            does; then the temperature changes the order too.
        schedule: `exact` spreads the tokens evenly over the steps; `timestep` is Dream's, which may reveal none in the
            first step and the rest in the last; `threshold` reveals all places whose likeliest token has at least that
            probability, and where there is none the first in order.
        steps: forward passes a row is to be filled in, over all its blocks, each of which takes one at least; 0 for one
            per masked token. Not for `threshold`.
        threshold: see there; 0 to 1, and for that schedule alone.
        block_length: masked places, from the first one on, that are filled before those behind them
            (semi-autoregressive); 0 for all at once. Models of block attention go by their own blocks.
        remask_rounds: times a filled block's least probable tokens are masked and filled again.
        remask_share: of the block's tokens, in each of these rounds.
    """

    order: Order = "entropy"
    order_uses_temperature: bool = False
    schedule: Schedule = "exact"
    steps: int = 0
    threshold: float = 0.9
    block_length: int = 0
    remask_rounds: int = 0
    remask_share: float = 0.25

    def __post_init__(self) -> None:
        for name, kinds in (("order", Order), ("schedule", Schedule)):
            if getattr(self, name) not in get_args(kinds):
                raise ConfigError(f"{name} is {getattr(self, name)!r}; wanted one of: {', '.join(get_args(kinds))}")
        for name in ("steps", "block_length", "remask_rounds"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; wanted 0 or more")
        if self.schedule == "threshold" and self.steps:
            raise ConfigError(f"steps is {self.steps}, but with schedule `threshold` probabilities decide; wanted 0")
        if not 0 <= self.threshold <= 1:
            raise ConfigError(f"threshold is {self.threshold}; wanted a probability, 0 to 1")
        if self.schedule != "threshold" and self.threshold != DenoiseParams.threshold:
            raise ConfigError(
                f"threshold is {self.threshold}, but schedule `{self.schedule}` does not look at it; set schedule to "
                "`threshold`, or leave threshold out"
            )
        if not 0 < self.remask_share <= 1:
            raise ConfigError(f"remask_share is {self.remask_share}; wanted above 0, up to 1")

    def check_places(self, places: int, source: str = "") -> None:
        """Raise a ConfigError where there are more steps than masked `places`, which `source` names a setting of."""
        if self.steps > places:
            told = f" ({source})" if source else ""
            raise ConfigError(
                f"{self.steps} steps for at most {places} masked tokens{told}; wanted at most as many, or 0"
            )
