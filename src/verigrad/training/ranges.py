"""Checks of numbers among settings, which say what was got and what is wanted."""

from __future__ import annotations

import math
from typing import Any

from verigrad.errors import ConfigError

__all__ = ["at_least", "shares"]


def at_least(least: int, config: Any, *names: str, section: str = "") -> None:
    """Raise a ConfigError where a setting is below `least`, NaN or infinite; one that is not set is fine.

    Args:
        least: allowed value.
        config: the dataclass that has the settings.
        names: of its fields.
        section: what they are called behind, such as `optim.`.
    """
    for name in names:
        value = getattr(config, name)
        if value is not None and not least <= value < math.inf:
            raise ConfigError(f"{section}{name} is {value}; wanted {least} or more")


def shares(config: Any, *names: str, section: str = "") -> None:
    """Raise a ConfigError where a setting is not within 0 and 1; one that is not set is fine."""
    for name in names:
        value = getattr(config, name)
        if value is not None and not 0 <= value <= 1:
            raise ConfigError(f"{section}{name} is {value}; wanted a share from 0 to 1")
