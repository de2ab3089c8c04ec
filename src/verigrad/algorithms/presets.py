"""THE TABLE: what each named algorithm is made of.

An algorithm is an advantage, an objective and a reduction; nothing else about it is hidden in a loop. To make your own:

    from dataclasses import replace
    from functools import partial

    CLIP_HIGHER = replace(GRPO, name="clip_higher", objective=partial(ppo_clip, clip_high=0.28))

A KL penalty to a reference is a setting of the loop (`kl_coef`), not part of a row: GRPO's paper uses 0.04, and work
with verified rewards since then mostly 0.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from verigrad.algorithms.advantages import group_centered, group_normalized, leave_one_out, raw_rewards
from verigrad.algorithms.objectives import ppo_clip, reinforce
from verigrad.algorithms.reductions import fixed_length, sequence_mean, sequence_sum

__all__ = ["DR_GRPO", "GRPO", "PRESETS", "REINFORCE", "RLOO", "Algorithm", "Need", "call"]

Need = Literal["critic", "prm", "cost", "reference"]


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """One row of the table.

    Attributes:
        name: as written in recipes and logs.
        advantage: `(rewards (N,), group_ids (N,)) -> (N,)`.
        objective: per-token loss `(B, T)`; its parameters are called by name, see `call`.
        reduction: `(mask (B, T), rollout_index (B,), group_ids (N,), *, horizon) -> weights (B, T)`.
        paper: where it comes from.
        needs: models beyond the policy that the loop must provide.
        keep: `(rewards (N,), group_ids (N,)) -> bool (N,)`, which rollouts train; None keeps all.
    """

    name: str
    advantage: Callable[..., Tensor]
    objective: Callable[..., Tensor]
    reduction: Callable[..., Tensor]
    paper: str
    needs: tuple[Need, ...] = ()
    keep: Callable[..., Tensor] | None = None


# fmt: off
REINFORCE = Algorithm(name="reinforce", advantage=raw_rewards,      objective=reinforce, reduction=sequence_sum,
                      paper="Williams 1992")
RLOO      = Algorithm(name="rloo",      advantage=leave_one_out,    objective=reinforce, reduction=sequence_sum,
                      paper="arXiv:2402.14740")
GRPO      = Algorithm(name="grpo",      advantage=group_normalized, objective=ppo_clip,  reduction=sequence_mean,
                      paper="arXiv:2402.03300")
DR_GRPO   = Algorithm(name="dr_grpo",   advantage=group_centered,   objective=ppo_clip,  reduction=fixed_length,
                      paper="arXiv:2503.20783")
# fmt: on

PRESETS: dict[str, Algorithm] = {row.name: row for row in (REINFORCE, RLOO, GRPO, DR_GRPO)}


def call(function: Callable[..., Tensor], /, **available: Any) -> Tensor:
    """Call `function` with those of the available arguments it has parameters for.

    The loop offers all it knows (`logprobs`, `old_logprobs`, `advantages`, `mask`, `clip_low`, ...); each objective
    takes what its signature names, so a new one needs no change to the loop.

    Raises:
        TypeError: the function asks for something that is not available.

    >>> import torch
    >>> one = torch.ones(1, 2)
    >>> call(reinforce, logprobs=-one, old_logprobs=-one, advantages=one, mask=one.bool(), clip_low=0.2)
    tensor([[1., 1.]])
    """
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return function(**available)
    named = [parameter for parameter in parameters if parameter.kind is not parameter.VAR_POSITIONAL]
    missing = [p.name for p in named if p.default is p.empty and p.name not in available]
    if missing:
        name = getattr(function, "__name__", repr(function))
        raise TypeError(f"{name} asks for {', '.join(missing)}; available: {', '.join(sorted(available))}")
    return function(**{parameter.name: available[parameter.name] for parameter in named if parameter.name in available})
