"""The optimizer and its schedule."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

from verigrad.errors import RunError
from verigrad.training.config import OptimConfig

__all__ = ["clip_gradients", "learning_rate", "make_optimizer", "set_learning_rate"]


def make_optimizer(
    model: nn.Module, config: OptimConfig, *, faster: Sequence[nn.Parameter] = (), factor: float = 1.0
) -> torch.optim.Optimizer:
    """AdamW over the trainable weights; decay on matrices only, norms and biases are left alone.

    Args:
        faster: weights whose rate is `factor` times that of the others, without decay.
    """
    apart = {id(parameter) for parameter in faster}
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    others = [parameter for parameter in trainable if id(parameter) not in apart]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in others if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0},
        {"params": [p for p in trainable if id(p) in apart], "weight_decay": 0.0, "factor": factor},
    ]
    groups = [group for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(config.beta1, config.beta2), fused=True)


def learning_rate(config: OptimConfig, step: int, steps: int) -> float:
    """Rate of optimizer step `step` (from 0) of `steps`: linear warm-up, then the schedule. A pure function."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return config.learning_rate
    done = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
    left = 1 - min(1.0, done)
    if config.schedule == "linear":
        return config.learning_rate * left
    return config.learning_rate * 0.5 * (1 - math.cos(math.pi * left))


def set_learning_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    """The rate of all weights, times the factor of those that have one."""
    for group in optimizer.param_groups:
        group["lr"] = value * group.get("factor", 1.0)


def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float) -> float:
    """Scale all gradients so that their joint norm is at most `max_norm`; returns the norm before.

    Raises:
        RunError: it is not finite, so that a step would leave no weight a number.
    """
    norm = float(torch.nn.utils.clip_grad_norm_(list(parameters), max_norm))
    if not math.isfinite(norm):
        raise RunError(
            f"training diverged: the gradient's norm is {norm}, and a step by it would break every weight. To resume "
            "repeats it; begin another run with a lower optim.learning_rate, or warm it up (optim.warmup_steps)"
        )
    return norm
