"""Hyper-parameters of an algorithm's pieces, set by name: `--options.tau_neg 1.1`.

Every keyword of an advantage, an objective or a choice of rollouts that holds a number is one, and bears the name that
its function gives it. What the loop gives by itself has its own setting.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from verigrad.algorithms.presets import Algorithm
from verigrad.errors import ConfigError
from verigrad.registry import did_you_mean

__all__ = ["hyper_parameters", "of_type", "with_options"]

_PIECES = ("advantage", "objective", "keep")
_SETTINGS = {
    "clip_low": "clip_low",
    "clip_high": "clip_high",
    "gamma": "critic.gamma",
    "gae_lambda": "critic.gae_lambda",
    "seed": "seed",
    "horizon": "sampling.max_tokens",
}
_TENSORS = {"rollout_index", "last_values", "weights"}


def hyper_parameters(function: Callable[..., Any]) -> dict[str, Any]:
    """Keywords of a function that options can set, with their defaults (`inspect.Parameter.empty` for none).

    >>> from verigrad.algorithms.objectives import sapo
    >>> hyper_parameters(sapo)
    {'tau_pos': 1.0, 'tau_neg': 1.05}
    """
    keywords = (p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY)
    return {
        p.name: p.default
        for p in keywords
        if p.name not in _SETTINGS and p.name not in _TENSORS and not isinstance(p.default, str)
    }


def with_options(algorithm: Algorithm, options: Mapping[str, float]) -> Algorithm:
    """The algorithm with these hyper-parameters; each is set in every piece that has it.

    Raises:
        ConfigError: no piece has one of this name, or it is a whole number and the value is not.
    """
    pieces = {name: function for name in _PIECES if (function := getattr(algorithm, name)) is not None}
    known = {name: hyper_parameters(function) for name, function in pieces.items()}
    for option in options:
        if option in _SETTINGS:
            raise ConfigError(f"options.{option}: this is the setting {_SETTINGS[option]}; set it there")
        if not any(option in keywords for keywords in known.values()):
            names = sorted({name for keywords in known.values() for name in keywords})
            raise ConfigError(
                f"algorithm {algorithm.name!r} has no option {option!r}{did_you_mean(option, names)}; it has "
                f"{', '.join(names) or 'none'}"
            )
    bound = {}
    for name, function in pieces.items():
        own = {
            key: of_type(value, known[name][key], f"options.{key}")
            for key, value in options.items()
            if key in known[name]
        }
        if own:
            bound[name] = partial(function, **own)
    return replace(algorithm, **bound)  # type: ignore[arg-type]  # the names are fields


def of_type(value: float, default: Any, setting: str) -> float | int | bool:
    """The value as what the default is: true or false, a whole number, or any number.

    Raises:
        ConfigError: it cannot be; names the setting.
    """
    if isinstance(default, bool):
        if value not in (0, 1):
            raise ConfigError(f"{setting} is {value}; wanted 1 for true or 0 for false")
        return bool(value)
    if isinstance(default, int):
        if value != int(value):
            raise ConfigError(f"{setting} is {value}; wanted a whole number")
        return int(value)
    if default is inspect.Parameter.empty and value == int(value):
        return int(value)  # it may be a count, which 8.0 is not
    return value
