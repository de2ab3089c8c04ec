"""`verigrad rl`, `verigrad sft`, `verigrad diffusion`, `verigrad preference`, ...: recipes and overrides."""

from __future__ import annotations

import dataclasses
import shlex
import tomllib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from verigrad.cli.options import Work, going_on, option_line, option_lines, printing
from verigrad.errors import ConfigError
from verigrad.registry import did_you_mean, load_attribute
from verigrad.settings import load_config, to_toml
from verigrad.training.begun import check_begun, holds_run
from verigrad.training.loops import LOOPS

__all__ = ["diffusion", "preference", "quickstart", "recipe_of", "recipe_path", "reward_model", "rl", "sft"]

_SWITCHES = {
    "--resume": "go on from the run's last checkpoint",
    "--dry-run": "print the resolved settings and an estimate of memory and time, and stop",
}
_HELP = ("-h", "--help")


def rl(argv: list[str]) -> Work:
    """Reinforcement learning from a recipe and overrides."""
    return _train("rl", argv)


def sft(argv: list[str]) -> Work:
    """Supervised fine-tuning from a recipe and overrides."""
    return _train("sft", argv)


def diffusion(argv: list[str]) -> Work:
    """Masked-diffusion training from a recipe and overrides."""
    return _train("diffusion", argv)


def preference(argv: list[str]) -> Work:
    """Preference optimisation from a recipe and overrides."""
    return _train("preference", argv)


def reward_model(argv: list[str]) -> Work:
    """Reward model training from a recipe and overrides."""
    return _train("reward-model", argv)


def quickstart(argv: list[str]) -> Work:
    """`verigrad rl quickstart`, with the same overrides."""
    return _train("rl", ["quickstart", *argv], shown="quickstart")


def _train(command: str, argv: list[str], *, shown: str | None = None) -> Work:
    """The loop of a command with its settings; `shown` is what the user typed, where that is another."""
    cls = LOOPS[command].settings
    switches = {switch for switch in _SWITCHES if switch in argv}
    words = [word for word in argv if word not in (*_SWITCHES, *_HELP)]
    recipe = recipe_of(command, words.pop(0)) if words and not words[0].startswith("--") else None
    if not set(_HELP).isdisjoint(argv):
        return printing(_help(shown or f"{command} [RECIPE]", cls, recipe))
    resume = "--resume" in switches
    config = load_config(cls, recipe or (_stored_config(words) if resume else None), words)
    if "--dry-run" in switches:
        return partial(_dry_run, command, config, resume=resume)
    return partial(_run, command, config, resume=resume)


def _dry_run(command: str, config: Any, *, resume: bool) -> int:
    from verigrad.training.estimate import estimate
    from verigrad.training.stage import settled

    LOOPS[command].check_names(config)
    config = settled(config, resume=resume)
    print(to_toml(config))
    print(estimate(config))
    return 0


def _run(command: str, config: Any, *, resume: bool) -> int:
    folder = Path(config.run)
    check_begun(folder, resume=resume)  # torch and the model take a while
    with going_on(lambda: _how_to_go_on(command, folder)):
        from verigrad.cli.progress import TerminalReporter

        train: Callable[..., Path] = load_attribute(LOOPS[command].train)
        reporter = TerminalReporter()
        try:
            train(config, resume=resume, reporter=reporter)
        finally:
            reporter.close()
    reporter.message(f"wrote {folder}: the model is in {folder / 'model'}, figures in {folder / 'summary.json'}")
    return 0


def _how_to_go_on(command: str, folder: Path) -> str:
    if not holds_run(folder):
        return "nothing was begun"
    return f"to go on: verigrad {command} --resume --run {shlex.quote(str(folder))}"


def recipe_path(name: str) -> Path:
    """The file of a recipe: a path, or the name of one that comes with verigrad.

    Raises:
        ConfigError: there is no such recipe.
    """
    if Path(name).is_file():
        return Path(name)
    package = Path(__file__).parents[1] / "recipes"
    folder = package if package.is_dir() else Path(__file__).parents[3] / "recipes"
    known = {path.stem: path for path in sorted(folder.glob("*.toml"))}
    if name in known:
        return known[name]
    raise ConfigError(
        f"no recipe {name!r}{did_you_mean(name, known)}: wanted a TOML file, or one of: {', '.join(known) or '(none)'}"
    )


def recipe_of(command: str, name: str) -> Path:
    """The file of a recipe for one of the loops.

    Raises:
        ConfigError: there is no such recipe, or it is one for another command.
    """
    recipe = recipe_path(name)
    try:
        keys = tomllib.loads(recipe.read_text(encoding="utf-8")).keys()
    except (OSError, ValueError):  # told where it is read for its settings
        return recipe
    if keys <= _fields(command):
        return recipe
    if "stage" in keys:
        raise ConfigError(f"{recipe} is a pipeline of several commands; run it with `verigrad pipeline {name}`")
    if fitting := [f"`verigrad {other}`" for other in LOOPS if keys <= _fields(other)]:
        foreign = ", ".join(sorted(keys - _fields(command)))
        raise ConfigError(f"{recipe} sets {foreign}, which {command} does not have; it is for {' or '.join(fitting)}")
    return recipe


def _fields(command: str) -> set[str]:
    return {field.name for field in dataclasses.fields(LOOPS[command].settings)}


def _stored_config(words: Sequence[str]) -> Path | None:
    """The settings of the run to resume, where `--run` names one and no recipe was given."""
    for index, word in enumerate(words):
        folder = word.removeprefix("--run=") if word.startswith("--run=") else None
        if word == "--run" and index + 1 < len(words):
            folder = words[index + 1]
        if folder and (Path(folder) / "config.toml").exists():
            return Path(folder) / "config.toml"
    return None


def _help(usage: str, cls: type[Any], recipe: Path | None) -> str:
    """Every setting, with its default or what the recipe sets."""
    lines = [
        f"usage: verigrad {usage} [--key value ...] [--resume] [--dry-run]",
        "",
        (cls.__doc__ or "").splitlines()[0],
        f"Settings are those of {recipe.name}; each can be overridden."
        if recipe
        else "RECIPE is a TOML file or the name of one that comes with verigrad; every setting can be overridden.",
        "",
        *(option_line(switch, text) for switch, text in _SWITCHES.items()),
        "",
        *option_lines(load_config(cls, recipe) if recipe else cls),
    ]
    return "\n".join(lines)
