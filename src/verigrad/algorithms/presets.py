"""THE TABLE: what each named algorithm is made of.

An algorithm is an advantage, an objective and a reduction, and what it asks of the loop; nothing else about it is
hidden anywhere. To make your own:

    from dataclasses import replace
    from functools import partial

    CLIP_HIGHER = replace(GRPO, name="clip_higher", objective=partial(ppo_clip, clip_high=0.28))

A KL penalty to a reference is a setting of the loop (`kl_coef`), not part of a row: GRPO's paper uses 0.04, and work
with verified rewards since then mostly 0.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from torch import Tensor

from verigrad.algorithms import advantages as adv
from verigrad.algorithms.combined import (
    against_past_mean,
    constrained,
    outcome_and_process,
    parts_normalized,
    towards_teacher,
    turn_returns,
    whitened_returns,
)
from verigrad.algorithms.gae import gae
from verigrad.algorithms.objectives import cispo, decoupled_ppo, dppo, ppo_clip, reinforce, sapo
from verigrad.algorithms.reductions import fixed_length, sequence_mean, sequence_sum, token_mean
from verigrad.algorithms.selection import accuracy_between, filtration_weights, has_signal, max_variance
from verigrad.algorithms.sequence_objectives import gspo

__all__ = [
    "CISPO",
    "CODERL",
    "DAPO",
    "DECOUPLED",
    "DISTILL",
    "DPPO",
    "DR_GRPO",
    "GDPO",
    "GRPO",
    "GSPO",
    "MAXRL",
    "OPO",
    "PASS_AT_K",
    "PF_PPO",
    "PODS",
    "PPO",
    "PPOCODER",
    "PPO_EWMA",
    "PRESETS",
    "PRIME",
    "REINFORCE",
    "REINFORCE_PP",
    "REINFORCE_PP_BASELINE",
    "REMAX",
    "RLEF",
    "RLOO",
    "RLTF",
    "RUNNING",
    "SAFE_RLHF",
    "SAPO",
    "STEPCODER",
    "VAPO",
    "Algorithm",
    "Need",
    "asks_for",
    "call",
    "leaves_open",
]

Need = Literal["critic", "outcome_critic", "prm", "cost", "greedy", "baseline", "average", "teacher"]


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """One row of the table.

    Attributes:
        name: as written in recipes and logs.
        advantage: (N,) per rollout, (B, T) per token, or a pair of advantages and returns (B, T); called by name with
            `rewards`, `group_ids` and whatever else of the step its parameters ask for.
        objective: per-token loss `(B, T)`; its parameters are called by name, see `call`. One that asks for
            `sampler_logprobs` corrects for the sampler itself, so the loop does not.
        reduction: weights (B, T) of `mask` (B, T), `rollout_index` (B,), `group_ids` (N,) and `horizon`, the budget of
            completion tokens; called by name.
        paper: where it comes from.
        needs: what the loop must provide beyond the policy: a `critic`, a classifier of how programs end
            (`outcome_critic`), an implicit process reward model (`prm`), the price of costs (`cost`), a `greedy`
            completion of each task, a running `baseline`, the `average` of past weights, a `teacher`.
        keep: which rollouts train, bool (N,), chosen before anything is averaged; or how much each counts, float (N,).
            Called by name. None keeps all.
        kl_in_reward: the KL penalty is taken off the reward (k1, token by token) instead of added to the loss.
        estimator: how a masked-diffusion model scores completions for it; such methods are for these models alone.
            None for methods of any model.
        loop: settings of the loop that belong to the method, used where the user sets none.
    """

    name: str
    advantage: Callable[..., Any]
    objective: Callable[..., Tensor]
    reduction: Callable[..., Tensor]
    paper: str
    needs: tuple[Need, ...] = ()
    keep: Callable[..., Tensor] | None = None
    kl_in_reward: bool = False
    estimator: str | None = None
    loop: Mapping[str, Any] = field(default_factory=dict)


# fmt: off
REINFORCE = Algorithm(name="reinforce", paper="Williams 1992", advantage=adv.raw_rewards,
    objective=reinforce, reduction=sequence_sum)
RLOO = Algorithm(name="rloo", paper="arXiv:2402.14740", advantage=adv.leave_one_out,
    objective=reinforce, reduction=sequence_sum)
REMAX = Algorithm(name="remax", paper="arXiv:2310.10505", advantage=adv.greedy_baseline,
    objective=reinforce, reduction=sequence_sum, needs=("greedy",))
OPO = Algorithm(name="opo", paper="arXiv:2505.23585", advantage=adv.optimal_baseline,
    objective=reinforce, reduction=sequence_sum)
RUNNING = Algorithm(name="running_baseline", paper="Williams 1992", advantage=against_past_mean,
    objective=reinforce, reduction=sequence_sum, needs=("baseline",))
REINFORCE_PP = Algorithm(name="reinforce++", paper="arXiv:2501.03262", advantage=whitened_returns,
    objective=ppo_clip, reduction=token_mean, kl_in_reward=True)
REINFORCE_PP_BASELINE = Algorithm(name="reinforce++baseline", paper="arXiv:2501.03262",
    advantage=adv.group_centered_batch_whitened, objective=ppo_clip, reduction=token_mean)
PPO = Algorithm(name="ppo", paper="arXiv:1707.06347", advantage=partial(gae, whiten=True),
    objective=ppo_clip, reduction=token_mean, needs=("critic",), kl_in_reward=True)
VAPO = Algorithm(name="vapo", paper="arXiv:2504.05118", needs=("critic",), loop={"nll_coef": 0.1},
    advantage=partial(gae, critic_lambda=1.0, alpha=0.05, whiten=True),
    objective=partial(ppo_clip, clip_high=0.28), reduction=token_mean)
GRPO = Algorithm(name="grpo", paper="arXiv:2402.03300", advantage=adv.group_normalized,
    objective=ppo_clip, reduction=sequence_mean)
DR_GRPO = Algorithm(name="dr_grpo", paper="arXiv:2503.20783", advantage=adv.group_centered,
    objective=ppo_clip, reduction=fixed_length)
DAPO = Algorithm(name="dapo", paper="arXiv:2503.14476", advantage=adv.group_normalized,
    objective=partial(ppo_clip, clip_high=0.28), reduction=token_mean, keep=has_signal,
    loop={"resample": 3, "overlong": 0.2})
GSPO = Algorithm(name="gspo", paper="arXiv:2507.18071", advantage=adv.group_normalized,
    objective=gspo, reduction=sequence_mean)
CISPO = Algorithm(name="cispo", paper="arXiv:2506.13585", advantage=adv.group_normalized,
    objective=cispo, reduction=token_mean)
SAPO = Algorithm(name="sapo", paper="arXiv:2511.20347", advantage=adv.group_normalized,
    objective=sapo, reduction=sequence_mean)
DPPO = Algorithm(name="dppo", paper="arXiv:2602.04879", advantage=adv.group_centered,
    objective=dppo, reduction=token_mean)
MAXRL = Algorithm(name="maxrl", paper="arXiv:2602.02710", advantage=adv.mean_normalized,
    objective=reinforce, reduction=sequence_sum)
PASS_AT_K = Algorithm(name="pass_at_k", paper="arXiv:2508.10751", advantage=partial(adv.pass_at_k_advantage, k=4),
    objective=ppo_clip, reduction=sequence_mean)
GDPO = Algorithm(name="gdpo", paper="arXiv:2601.05242", advantage=parts_normalized,
    objective=ppo_clip, reduction=sequence_mean)
PODS = Algorithm(name="pods", paper="arXiv:2504.13818", advantage=adv.group_normalized,
    objective=ppo_clip, reduction=sequence_mean, keep=partial(max_variance, count=4))
PF_PPO = Algorithm(name="pf_ppo", paper="arXiv:2409.06957", advantage=partial(gae, whiten=True),
    objective=ppo_clip, reduction=token_mean, needs=("critic",), kl_in_reward=True,
    keep=partial(filtration_weights, rule="max_min"))
PRIME = Algorithm(name="prime", paper="arXiv:2502.01456", advantage=outcome_and_process,
    objective=ppo_clip, reduction=token_mean, needs=("prm",), keep=accuracy_between)
SAFE_RLHF = Algorithm(name="safe_rlhf", paper="arXiv:2310.12773", advantage=constrained,
    objective=ppo_clip, reduction=sequence_mean, needs=("cost",))
DECOUPLED = Algorithm(name="decoupled_ppo", paper="arXiv:2505.24298", advantage=adv.group_normalized,
    objective=decoupled_ppo, reduction=token_mean)
PPO_EWMA = Algorithm(name="ppo_ewma", paper="arXiv:2110.00641", advantage=adv.group_normalized,
    objective=decoupled_ppo, reduction=token_mean, needs=("average",))
DISTILL = Algorithm(name="distill", paper="arXiv:2306.13649", advantage=towards_teacher,
    objective=ppo_clip, reduction=token_mean, needs=("teacher",))
CODERL = Algorithm(name="coderl", paper="arXiv:2207.01780", needs=("greedy", "outcome_critic"),
    advantage=adv.greedy_baseline, objective=reinforce, reduction=sequence_mean,
    loop={"reward": "ladder", "gold_coef": 1.0})
RLTF = Algorithm(name="rltf", paper="arXiv:2307.04349", needs=("greedy",),
    advantage=adv.greedy_baseline, objective=reinforce, reduction=sequence_mean,
    loop={"reward": "adaptive", "gold_coef": 1.0, "error_penalty": -0.3, "replay": 640})
STEPCODER = Algorithm(name="stepcoder", paper="arXiv:2402.01391", needs=("critic",), kl_in_reward=True,
    advantage=partial(gae, whiten=True), objective=ppo_clip, reduction=token_mean,
    loop={"reward": "ladder", "executed_only": True, "curriculum": True})
RLEF = Algorithm(name="rlef", paper="arXiv:2410.02089", advantage=turn_returns,
    objective=ppo_clip, reduction=token_mean, kl_in_reward=True)
PPOCODER = Algorithm(name="ppocoder", paper="arXiv:2301.13816", needs=("critic",), kl_in_reward=True,
    advantage=partial(gae, whiten=True), objective=ppo_clip, reduction=token_mean,
    loop={"reward": "ppocoder"})
# fmt: on

PRESETS: dict[str, Algorithm] = {
    row.name: row
    for row in (
        *(REINFORCE, RLOO, REMAX, OPO, RUNNING, REINFORCE_PP, REINFORCE_PP_BASELINE, PPO, VAPO),
        *(GRPO, DR_GRPO, DAPO, GSPO, CISPO, SAPO, DPPO, MAXRL, PASS_AT_K, GDPO, PODS, PF_PPO),
        *(PRIME, SAFE_RLHF, DECOUPLED, PPO_EWMA, DISTILL),
        *(CODERL, RLTF, STEPCODER, PPOCODER, RLEF),
    )
}


def asks_for(function: Callable[..., Any], name: str) -> bool:
    """Whether a function has a parameter of this name.

    >>> asks_for(reinforce, "advantages"), asks_for(reinforce, "sampler_logprobs")
    (True, False)
    """
    return name in inspect.signature(function).parameters


def leaves_open(function: Callable[..., Any], name: str) -> bool:
    """Whether a function has no value of its own for a parameter: no default but None, and none bound by `partial`.

    >>> leaves_open(fixed_length, "horizon"), leaves_open(partial(fixed_length, horizon=64), "horizon")
    (True, False)
    """
    own = inspect.signature(function).parameters.get(name)
    return own is None or own.default is own.empty or own.default is None


def call(function: Callable[..., Any], /, **available: Any) -> Any:
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
