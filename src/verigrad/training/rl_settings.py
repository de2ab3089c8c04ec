"""Settings of reinforcement learning that depend on the algorithm and the model: filled in, and refused where they
contradict each other."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from verigrad.algorithms.diffusion_presets import DIFFUSION_PRESETS
from verigrad.algorithms.presets import PRESETS, Algorithm, asks_for
from verigrad.engines.base import SamplingParams
from verigrad.engines.diffusion import check_room, longest_row
from verigrad.errors import ConfigError
from verigrad.evaluation.fresh import can_draw
from verigrad.models.chat import prompt_ids
from verigrad.models.diffusion import diffusion_spec, is_diffusion
from verigrad.registry import resolve
from verigrad.rewards import REWARDS
from verigrad.rewards.base import Reward
from verigrad.tasks.base import TaskSet
from verigrad.training.config import RLConfig, ScoringConfig
from verigrad.training.corrections import WEIGHTED_KL
from verigrad.training.estimators import chosen_estimator, order_warnings
from verigrad.training.options import with_options
from verigrad.training.stage import Stage, check_trust

__all__ = ["check_settings", "chosen_parts", "with_loop_settings", "with_scoring"]


def chosen_parts(config: RLConfig) -> tuple[RLConfig, Algorithm, Reward]:
    """The settings with those left open filled in, and the algorithm and the reward that they name.

    Raises:
        ConfigError: there is no such algorithm, option or reward, or its file cannot be loaded.
    """
    algorithm: Algorithm = resolve(config.algorithm, {**PRESETS, **DIFFUSION_PRESETS}, what="algorithm")
    algorithm = with_options(algorithm, config.options)
    config = with_loop_settings(config, algorithm)
    assert config.reward is not None
    return config, algorithm, resolve(config.reward, REWARDS, what="reward")


def with_loop_settings(config: RLConfig, algorithm: Algorithm) -> RLConfig:
    """The settings with those left open filled in: by the algorithm where it has them, else switched off.

    Raises:
        ConfigError: the algorithm brings a setting that is never left open, so that it would have no effect.
    """
    left_open = {field.name for field in fields(RLConfig) if field.default is None}
    if closed := sorted(set(algorithm.loop) - left_open):
        raise ConfigError(
            f"algorithm {algorithm.name!r} brings {', '.join(closed)} in its loop, which it cannot set; it can set "
            f"{', '.join(sorted(left_open))}"
        )
    off: dict[str, Any] = {
        "reward": "tests",
        "resample": 0,
        "replay": 0,
        "nll_coef": 0.0,
        "gold_coef": 0.0,
        "overlong": 0.0,
        "error_penalty": 0.0,
        "executed_only": False,
        "curriculum": False,
    }
    chosen = {**off, **algorithm.loop}
    return replace(config, **{name: value for name, value in chosen.items() if getattr(config, name) is None})


def with_scoring(config: RLConfig, algorithm: Algorithm, stage: Stage, tasks: TaskSet) -> RLConfig:
    """The settings with the estimator of a masked-diffusion model filled in, and warnings told.

    Raises:
        ConfigError: the model, the algorithm, the estimator, the sampler and the tasks cannot go together.
    """
    if not is_diffusion(stage.model):
        if algorithm.estimator or config.diffusion != ScoringConfig():
            raise ConfigError(
                f"algorithm {algorithm.name!r} and the section diffusion are for masked-diffusion models, and "
                f"{config.model!r} is a causal one; convert it with `verigrad diffusion`, or take another algorithm"
            )
        return config
    _check_masked(config, algorithm)
    _check_prompts(config, stage, tasks)
    scoring = chosen_estimator(config, algorithm)
    for warning in order_warnings(scoring, config.denoise):
        stage.reporter.message(f"warning: {warning}")
    return replace(config, diffusion=scoring)


def _check_masked(config: RLConfig, algorithm: Algorithm) -> None:
    """Refuse what reads a completion from left to right, as masked-diffusion models do not."""
    if wrong := set(algorithm.needs) & {"critic", "outcome_critic", "prm", "teacher"}:
        raise ConfigError(
            f"algorithm {algorithm.name!r} needs {', '.join(sorted(wrong))}, which score causal rows; not for a "
            "masked-diffusion model"
        )
    if config.kl_coef and algorithm.kl_in_reward and asks_for(algorithm.advantage, "token_rewards"):
        raise ConfigError(
            f"algorithm {algorithm.name!r} and kl_coef = {config.kl_coef}: a token's return has the KL of the places "
            "behind it, which a masked-diffusion model may have written before; set kl_coef = 0, or take an algorithm "
            "with the KL in its loss, such as grpo or rloo"
        )
    asked = ("gold_coef", "error_penalty", "executed_only", "reward_model")
    on = [name for name in asked if getattr(config, name)] + (["cost.model"] if config.cost.model else [])
    if on:
        raise ConfigError(f"{', '.join(on)}: works on causal rows; leave it unset for a masked-diffusion model")


def _check_prompts(config: RLConfig, stage: Stage, tasks: TaskSet) -> None:
    """Refuse a task whose prompt leaves no place to write in before its turn comes."""
    longest = longest_row(stage.model, diffusion_spec(stage.model), config.max_length)
    agent = stage.agent(SamplingParams())
    for task in tasks.tasks:
        check_room(len(prompt_ids(stage.tokenizer, agent.messages(task))), longest, f"the prompt of {task.id}")


def check_settings(config: RLConfig, algorithm: Algorithm, tasks: TaskSet) -> None:
    """Raise a ConfigError where settings, algorithm and tasks cannot go together."""
    if config.reward_model and ("greedy" in algorithm.needs or config.resample):
        raise ConfigError(
            f"algorithm {algorithm.name!r} with a reward_model: a greedy baseline and resample go by the verified "
            "reward; take another algorithm, or set resample = 0"
        )
    if config.kl and algorithm.kl_in_reward:
        raise ConfigError(
            f"kl = {config.kl!r} is a form of the KL in the loss, and algorithm {algorithm.name!r} takes k1 off the "
            "reward; leave kl unset"
        )
    if config.kl in WEIGHTED_KL and (config.replay or "average" in algorithm.needs):
        raise ConfigError(
            f"kl = {config.kl!r} weighs by pi over the policy that sampled, which with replay, or beside an averaged "
            "policy, is not the one that ratios are taken to; take k1, k2 or k3, or set replay = 0"
        )
    _check_read(config, algorithm)
    if config.cost.model and not asks_for(algorithm.advantage, "costs"):
        raise ConfigError(f"algorithm {algorithm.name!r} reads no costs; leave cost.model unset, or take safe_rlhf")
    if config.teacher and "teacher" not in algorithm.needs:
        raise ConfigError(f"algorithm {algorithm.name!r} has no teacher; leave teacher unset, or take distill")
    corrected = {
        "importance": config.importance in ("truncate", "mask"),
        "importance_level": config.importance_level != "token",
    }
    asked = " and ".join(name for name, on in corrected.items() if on)
    if asked and asks_for(algorithm.objective, "sampler_logprobs"):
        raise ConfigError(
            f"{asked}: algorithm {algorithm.name!r} reads the sampler's log-probabilities and corrects for it by "
            f"itself; leave {asked} unset"
        )
    if config.replay and config.replay < config.group_size:
        raise ConfigError(
            f"replay = {config.replay} keeps not even one group of group_size = {config.group_size}; wanted as many "
            "rollouts or more, or 0"
        )
    if config.replay and "teacher" in algorithm.needs:
        raise ConfigError(
            f"replay = {config.replay}: algorithm {algorithm.name!r} compares the teacher with the policy that "
            "sampled, which of kept rollouts is an earlier one; set replay = 0"
        )
    if config.replay and config.curriculum:
        raise ConfigError("replay and curriculum: what was given of a kept rollout's answer is not kept; set one to 0")
    if (config.gold_coef or config.curriculum) and all(tasks.oracle(task).gold is None for task in tasks.tasks):
        raise ConfigError(
            f"algorithm {config.algorithm!r} reads gold programs (gold_coef, curriculum), and task source "
            f"{config.tasks!r} has none; set gold_coef = 0 and curriculum = false, or take other tasks"
        )
    check_trust(tasks, allow_scripts=config.allow_scripts)
    if config.audit.flagged == "penalise" and asks_for(algorithm.advantage, "part_rewards"):
        raise ConfigError(
            f"algorithm {config.algorithm!r} trains on the parts of a score, which audit.flagged = 'penalise' leaves "
            "as they are; take 'screen' or 'stop'"
        )
    if config.fresh_tests and not any(can_draw(task, tasks.oracle(task)) for task in tasks.tasks):
        raise ConfigError(
            f"fresh_tests = true, and no task of {config.tasks!r} has a generator to draw tests from; give them one "
            "(docs/tasks.md), or set fresh_tests = false"
        )


def _check_read(config: RLConfig, algorithm: Algorithm) -> None:
    """Refuse what the algorithm would not read: a setting without effect is a mistake nobody sees."""
    bounds = [(name, getattr(config, name), algorithm.objective) for name in ("clip_low", "clip_high")]
    discounts = [
        (f"critic.{name}", getattr(config.critic, name), algorithm.advantage) for name in ("gamma", "gae_lambda")
    ]
    for name, value, piece in bounds + discounts:
        if value is not None and not _reads(piece, name.removeprefix("critic.")):
            raise ConfigError(f"{name} = {value}: algorithm {algorithm.name!r} has nothing to read it; leave it unset")
    if _reads(algorithm.advantage, "rewards", "token_rewards"):
        return
    shaped = {
        "reward_model": bool(config.reward_model),
        "overlong": bool(config.overlong),
        "kl_coef": algorithm.kl_in_reward and bool(config.kl_coef),
    }
    if on := [name for name, is_on in shaped.items() if is_on]:
        raise ConfigError(
            f"{', '.join(on)}: changes the reward, which algorithm {algorithm.name!r} does not read; switch it off, "
            "or take another algorithm"
        )


def _reads(function: Callable[..., Any], *names: str) -> bool:
    """Whether a function has a parameter of one of these names, or takes whatever there is."""
    own = inspect.signature(function).parameters.values()
    return any(p.name in names or p.kind is p.VAR_KEYWORD for p in own)
