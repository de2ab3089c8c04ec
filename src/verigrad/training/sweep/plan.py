"""What a sweep runs: every combination of varied settings, each with every seed, and the grids tuned before.

OUT/algorithm-grpo--kl_coef-0.1/seed-0                      a run whose reported splits are evaluated
OUT/algorithm-grpo--kl_coef-0.1/grid/learning_rate-1e-5     a run of the grid: validation only
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from verigrad.errors import ConfigError
from verigrad.evaluation.sweeps.folder import short_keys
from verigrad.settings import load_config
from verigrad.training.config import StageConfig
from verigrad.training.loops import LOOPS, Loop

__all__ = ["Design", "Plan", "Trial", "slug"]

_Values = Mapping[str, str]
_CHOOSE_WEIGHTS = {"report.keep_best", "report.validate_every"}  # the settings of the report that training goes by
_ONLY_AT_THE_END = 1_000_000_000  # steps between validations: the last step is always one


@dataclass(frozen=True, kw_only=True)
class Design:
    """What a sweep varies; kept in `sweep.toml`.

    Attributes:
        command: the training loop.
        vary: setting -> its values, as one would write them on the command line.
        seeds: of every combination.
        grid: setting -> values of which each combination takes its best on the validation set.
        select_on: what a grid's value is chosen on.
        grid_seed: of the grid's runs.
        grid_steps: length of the grid's runs, as a share of the others'.
    """

    command: Literal["rl", "sft", "diffusion", "preference", "reward-model"] = "rl"
    vary: dict[str, tuple[str, ...]] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0, 1, 2)
    grid: dict[str, tuple[str, ...]] = field(default_factory=dict)
    select_on: Literal["validation"] = "validation"
    grid_seed: int = 0
    grid_steps: float = 1.0

    def __post_init__(self) -> None:
        axes: dict[str, tuple[Any, ...]] = {**self.vary, **self.grid, "seeds": self.seeds}
        for key, values in axes.items():
            if not values or len(set(values)) < len(values):
                raise ConfigError(f"{key} has the values {values}; wanted at least one, and each once")
        if both := set(self.vary) & set(self.grid):
            raise ConfigError(f"{min(both)} is both varied and tuned by a grid; wanted one of the two")
        if own := {"seed", "run"} & (set(self.vary) | set(self.grid)):
            raise ConfigError(f"{min(own)} cannot be varied: name the seeds with --seeds, and the folder with --out")
        if measured := {key for key in axes if key.startswith("report.")} - _CHOOSE_WEIGHTS:
            raise ConfigError(
                f"{min(measured)} cannot be varied: all runs must be measured alike to be compared. Set it for all of "
                f"them, as --{min(measured)} VALUE"
            )
        if not 0 < self.grid_steps <= 1:
            raise ConfigError(f"grid_steps is {self.grid_steps}, wanted a share of the steps: above 0, at most 1")
        if self.grid and self.command == "reward-model":
            raise ConfigError(
                "a grid is chosen on validation tasks, and a reward model is measured on its held-out records alone, "
                "which are what is reported; vary the setting instead"
            )


@dataclass(frozen=True)
class Trial:
    """One run of a sweep.

    Attributes:
        name: of its folder, below the sweep's.
        kind: `grid` for a run that serves the choice of a value, `run` for one that is reported.
        setting: varied settings.
        chosen: settings of the grid; those of a `run` are not known before the grid is done.
        seed: of the run.
    """

    name: str
    kind: Literal["grid", "run"]
    setting: _Values
    chosen: _Values
    seed: int


@dataclass(frozen=True)
class Plan:
    """A design with the recipe and overrides that every run shares, and the sweep's folder."""

    design: Design
    folder: Path
    recipe: Path | None = None
    overrides: Sequence[str] = ()

    def settings(self) -> list[_Values]:
        """Every combination of the varied settings."""
        return _product(self.design.vary)

    def grid_trials(self, setting: _Values) -> list[Trial]:
        """The runs that choose a combination's value; none without a grid."""
        if not self.design.grid:
            return []
        seed = self.design.grid_seed
        return [
            Trial(f"{slug(setting)}/grid/{slug(chosen)}", "grid", setting, chosen, seed)
            for chosen in _product(self.design.grid)
        ]

    def reported_trials(self, choices: Mapping[str, _Values]) -> Iterator[Trial]:
        """The runs with reported splits, seed by seed, so that what is done at any time can be compared.

        Args:
            choices: slug of a combination -> what its grid chose.
        """
        for seed in self.design.seeds:
            for setting in self.settings():
                chosen = choices.get(slug(setting), {})
                yield Trial(f"{slug(setting)}/seed-{seed}", "run", setting, chosen, seed)

    def config(self, trial: Trial) -> StageConfig:
        """All settings of a run.

        Raises:
            ConfigError: a value is none for its setting, or the settings contradict each other.
        """
        loop = LOOPS[self.design.command]
        own = {**trial.setting, **trial.chosen, "seed": str(trial.seed), "run": str(self.folder / trial.name)}
        words = [*self.overrides, *(f"--{key}={value}" for key, value in own.items())]
        config: StageConfig = load_config(loop.settings, self.recipe, words)
        return self._for_the_grid(config, loop) if trial.kind == "grid" else config

    def _for_the_grid(self, config: StageConfig, loop: Loop) -> StageConfig:
        """The same settings, shortened, with a validation at the end and without a reported split."""
        if not config.report.validation:
            raise ConfigError("a grid is chosen on the validation set, and there is none; set report.validation")
        every = config.report.validate_every or _ONLY_AT_THE_END
        longest = max(loop.length, key=lambda name: int(getattr(config, name)))
        length = math.ceil(round(getattr(config, longest) * self.design.grid_steps, 9))
        report = replace(config.report, splits={}, validate_every=every)
        return replace(config, report=report, **{longest: length})

    def check(self) -> None:
        """Raise a ConfigError where the settings of any run are wrong, or two combinations are the same."""
        if any(word.split("=")[0] in ("--seed", "--run") for word in self.overrides):
            raise ConfigError(
                "--seed and --run are the sweep's own; name the seeds with --seeds, the folder with --out"
            )
        trials = self._one_of_each()
        configs = [replace(self.config(trial), run="") for trial in trials]
        for config, trial in zip(configs, trials, strict=True):
            first = trials[configs.index(config)]
            if first is not trial:
                raise ConfigError(f"{dict(first.setting)} and {dict(trial.setting)} are the same settings")
            for candidate in self.grid_trials(trial.setting):
                self.config(candidate)

    def check_names(self) -> None:
        """Raise a ConfigError where the settings of a run name something that there is not; loads torch."""
        for trial in self._one_of_each():
            for each in (trial, *self.grid_trials(trial.setting)):
                LOOPS[self.design.command].check_names(self.config(each))

    def _one_of_each(self) -> list[Trial]:
        """A reported run of every combination."""
        return list(itertools.islice(self.reported_trials({}), len(self.settings())))


def _product(axes: Mapping[str, Sequence[str]]) -> list[_Values]:
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def slug(values: _Values) -> str:
    """A folder's name for some settings.

    Keys lose their section where that leaves them apart; a value with characters that do not suit a file name gets
    a digest, so that two never meet.

    >>> slug({"algorithm": "grpo", "optim.learning_rate": "1e-5"}), slug({})
    ('algorithm-grpo--learning_rate-1e-5', 'recipe')
    >>> slug({"tasks": "my.py:load"})
    'tasks-my.py-load-da19aa'
    """
    pairs = zip(short_keys(values), values.values(), strict=True)
    return "--".join(f"{name}-{_file_name(value)}" for name, value in pairs) or "recipe"


def _file_name(text: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9._+]+", "-", text).strip("-.")[:40]
    return plain if plain == text else f"{plain}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
