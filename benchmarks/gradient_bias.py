"""How far is each estimator's expected gradient from the policy gradient? Computed exactly, without sampling.

    python benchmarks/gradient_bias.py --group-size 4

A softmax policy over three tokens (the third ends the text) writes at most two of them: seven completions of one or two
tokens. Two tasks share its parameters, one passed often, one seldom. Every possible group is enumerated and weighted by
its probability, which gives the expected gradient of one optimizer step to rounding error.

Columns: `cosine` with the exact gradient of the mean pass rate; `scale`, the expected gradient's component along it (an
unbiased estimator has 1); `aside`, the part that is not along it, as a share of the exact gradient's norm, after
dividing by the scale. Estimators of another goal (pass@k, the log pass rate, a price on costs) lie aside by design; for
them `own cosine` and `own aside` are the same against the exact gradient of their goal. In groups of 2 or 3
the standard deviation of mixed rewards of 0 and 1 is always the same, so that GRPO's preference for tasks passed seldom
or nearly always only shows from 4 on. Those that take statistics over the batch are shown for groups of 2.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from verigrad.algorithms import advantages as adv
from verigrad.algorithms.combined import constrained, outcome_and_process, parts_normalized
from verigrad.algorithms.gae import gae, turn_leave_one_out
from verigrad.algorithms.objectives import cispo, decoupled_ppo, dppo, ppo_clip, reinforce, sapo
from verigrad.algorithms.penalties import masked_importance, opsm, truncated_importance
from verigrad.algorithms.presets import call
from verigrad.algorithms.reductions import fixed_length, prompt_mean, sequence_mean, sequence_sum, token_mean
from verigrad.algorithms.selection import filtration_weights, has_signal, max_variance
from verigrad.algorithms.sequence_objectives import gspo, importance_reinforce

__all__ = [
    "COMPLETIONS",
    "ESTIMATORS",
    "Estimator",
    "World",
    "exact_gradient",
    "expected_gradient",
    "main",
    "table",
]

END = 2
COMPLETIONS = [(END,), *((first, second) for first in range(2) for second in range(3))]
MASK = torch.tensor([[True, len(completion) > 1] for completion in COMPLETIONS])
LENGTHS = MASK.sum(dim=1)
# What some estimators read beside the reward, by completion: a second reward, a cost, a process model's rewards.
SHORT = torch.tensor([1.0, 0, 0, 0, 0, 0, 0], dtype=torch.float64)
COSTS = torch.tensor([0.0, 1, 0, 0, 0, 1, 1], dtype=torch.float64)
PROCESS = torch.tensor(
    [[0.1, 0.0], [0.2, -0.1], [0.2, 0.3], [0.2, 0.0], [-0.3, 0.1], [-0.3, 0.4], [-0.3, 0.2]], dtype=torch.float64
)
PRICE = 0.5


@dataclass(frozen=True)
class World:
    """Parameters (9,), the sampler's where it is another policy, and per task logit shifts and rewards.

    Attributes:
        policy: logits of the first token (3), then of the second after a 0 (3) and after a 1 (3).
        sampler: the same of the policy that samples.
        proximal: the same of a policy between the two, which bounds the step (decoupled PPO).
        shifts: (tasks, 9) added to the parameters by the task, so that tasks differ and still share them.
        rewards: (tasks, 7) of each completion.
    """

    policy: Tensor
    sampler: Tensor
    proximal: Tensor
    shifts: Tensor
    rewards: Tensor

    @classmethod
    def default(cls) -> World:
        rng = torch.Generator().manual_seed(0)
        policy = 0.5 * torch.randn(9, generator=rng, dtype=torch.float64)
        sampler = policy + 0.3 * torch.randn(9, generator=rng, dtype=torch.float64)
        shifts = torch.randn(2, 9, generator=rng, dtype=torch.float64)
        proximal = policy + 0.15 * torch.randn(9, generator=rng, dtype=torch.float64)
        # The first task is passed by four of seven completions, the second by one of two tokens.
        passed = torch.tensor([[1, 0, 1, 0, 1, 0, 1], [0, 0, 0, 0, 0, 1, 0]])
        return cls(policy, sampler, proximal, shifts, passed.double())

    def logprobs(self, parameters: Tensor, task: int) -> Tensor:
        """(7, 2) of every completion's tokens; 0 where there is no second."""
        logits = parameters + self.shifts[task]
        first, second = logits[:3].log_softmax(-1), logits[3:].view(2, 3).log_softmax(-1)
        rows = [
            torch.stack([first[completion[0]], second[completion] if len(completion) > 1 else first.new_zeros(())])
            for completion in COMPLETIONS
        ]
        return torch.stack(rows)

    def probabilities(self, parameters: Tensor, task: int) -> Tensor:
        return self.logprobs(parameters, task).sum(dim=1).exp()

    def values(self, task: int) -> Tensor:
        """(7, 2) the expected reward before each token, given those before it."""
        chance = self.probabilities(self.policy, task)
        found = torch.zeros(7, 2, dtype=torch.float64)
        found[:, 0] = (chance * self.rewards[task]).sum()
        for first in range(2):
            own = [row for row, completion in enumerate(COMPLETIONS) if completion[0] == first]
            found[own, 1] = (chance[own] * self.rewards[task][own]).sum() / chance[own].sum()
        return found


@dataclass(frozen=True)
class Estimator:
    """Advantage, objective and reduction, as in `presets.Algorithm`.

    Attributes:
        keep: rollouts that train, or how much each counts, as in `presets.Algorithm`.
        factors: weights that the per-token loss is multiplied by, as the loop's `--importance`.
        coupled: groups of a step act on each other, so that both tasks' groups are enumerated together.
        off_policy: the samples are `World.sampler`'s.
        anchor: whose log-probs `old_logprobs` are: of the policy that sampled, of the policy being trained (the first
            update of a batch, where only the sampler is stale), or of the proximal policy.
        goal: what it climbs by design, (world, parameters, group size) -> (), where that is not the mean pass rate.
    """

    name: str
    advantage: Callable[..., Any]
    objective: Callable[..., Tensor] = reinforce
    reduction: Callable[..., Tensor] = sequence_sum
    keep: Callable[..., Tensor] | None = None
    factors: tuple[Callable[..., Tensor], ...] = ()
    coupled: bool = False
    off_policy: bool = False
    anchor: Literal["source", "policy", "proximal"] = "source"
    goal: Callable[[World, Tensor, int], Tensor] | None = None


def _rates(world: World, parameters: Tensor) -> Tensor:
    """(tasks,) pass rates."""
    tasks = range(len(world.rewards))
    return torch.stack([(world.probabilities(parameters, task) * world.rewards[task]).sum() for task in tasks])


def _pass_at(world: World, parameters: Tensor, size: int, *, k: int | None = None) -> Tensor:
    """Mean pass@k, k the group's size where None."""
    return (1 - (1 - _rates(world, parameters)) ** (k or size)).mean()


def _log_rate(world: World, parameters: Tensor, size: int) -> Tensor:
    """Mean log pass rate, cut off after size - 1 terms of its series: -sum over k of (1 - p)^k / k."""
    failed = 1 - _rates(world, parameters)
    return -torch.stack([failed**k / k for k in range(1, size)]).sum(dim=0).mean()


def _mean_of(world: World, parameters: Tensor, values: Tensor) -> Tensor:
    """Mean over tasks of the expectation of `values` (tasks, 7) or (7,)."""
    tasks = range(len(world.rewards))
    each = values.expand_as(world.rewards)
    return torch.stack([(world.probabilities(parameters, task) * each[task]).sum() for task in tasks]).mean()


def _both_rewards(world: World, parameters: Tensor, size: int) -> Tensor:
    return _mean_of(world, parameters, world.rewards + SHORT)


def _with_process(world: World, parameters: Tensor, size: int) -> Tensor:
    return _mean_of(world, parameters, world.rewards + (PROCESS * MASK).sum(dim=1))


def _lagrangian(world: World, parameters: Tensor, size: int) -> Tensor:
    return _mean_of(world, parameters, (world.rewards - PRICE * COSTS) / (1 + PRICE))


def _turn_advantages(rewards: Tensor, group_ids: Tensor, mask: Tensor) -> Tensor:
    """Each token a turn, the reward at the last one."""
    at_end = torch.zeros(mask.shape, dtype=rewards.dtype)
    at_end[torch.arange(len(mask)), mask.sum(dim=1) - 1] = rewards
    return turn_leave_one_out(at_end.masked_fill(~mask, torch.nan), group_ids, ended="zero")


def _misled(
    token_rewards: Tensor, values: Tensor, mask: Tensor, *, gae_lambda: float = 1.0, alpha: float | None = None
) -> tuple[Tensor, Tensor]:
    """GAE with a critic whose second value is wrong by a third."""
    wrong = values + torch.tensor([0.0, 1 / 3], dtype=values.dtype)
    return gae(token_rewards, wrong, mask, gae_lambda=gae_lambda, alpha=alpha)


ESTIMATORS = [
    Estimator("raw rewards (REINFORCE)", adv.raw_rewards),
    Estimator("leave one out (RLOO)", adv.leave_one_out),
    Estimator("greedy baseline (ReMax)", adv.greedy_baseline),
    Estimator("any constant baseline", adv.against_baseline),
    Estimator("turns, leave one out", _turn_advantages),
    Estimator("GAE, lambda 1, wrong critic", partial(_misled, gae_lambda=1.0)),
    Estimator("GAE, lambda 0, exact critic", partial(gae, gae_lambda=0.0)),
    Estimator("GAE, lambda 0, wrong critic", partial(_misled, gae_lambda=0.0)),
    Estimator("GAE, VAPO's lambda at alpha 0.8, exact critic", partial(gae, alpha=0.8)),
    Estimator("GAE, VAPO's lambda at alpha 0.8, wrong critic", partial(_misled, alpha=0.8)),
    Estimator("GAE, lambda 1, exact critic, whitened (PPO)", partial(gae, whiten=True), coupled=True),
    Estimator("length-weighted baseline (OPO)", adv.optimal_baseline),
    Estimator("centred", adv.group_centered),
    Estimator("centred, fixed length (Dr. GRPO)", adv.group_centered, ppo_clip, partial(fixed_length, horizon=2)),
    Estimator("centred, sequence mean", adv.group_centered, reduction=sequence_mean),
    Estimator("centred, prompt mean", adv.group_centered, reduction=prompt_mean),
    Estimator("centred, token mean", adv.group_centered, reduction=token_mean, coupled=True),
    Estimator("group std", partial(adv.group_normalized, eps=0.0)),
    Estimator("group std, sequence mean (GRPO)", partial(adv.group_normalized, eps=0.0), ppo_clip, sequence_mean),
    Estimator("batch std (REINFORCE++)", partial(adv.batch_whitened, eps=0.0), coupled=True),
    Estimator(
        "centred, batch std (REINFORCE++-baseline)",
        partial(adv.group_centered_batch_whitened, eps=0.0),
        coupled=True,
    ),
    Estimator("RLOO, two of the most spread (PODS)", adv.leave_one_out, keep=partial(max_variance, count=2)),
    Estimator("RLOO, groups with signal (DAPO)", adv.leave_one_out, keep=has_signal, coupled=True),
    Estimator(
        "constant baseline, PF-PPO max_min", adv.against_baseline, keep=partial(filtration_weights, rule="max_min")
    ),
    Estimator(
        "constant baseline, PF-PPO max_random",
        adv.against_baseline,
        keep=partial(filtration_weights, rule="max_random"),
    ),
    Estimator("constant baseline, PF-PPO power", adv.against_baseline, keep=filtration_weights),
    Estimator("over the mean (MaxRL)", adv.mean_normalized, goal=_log_rate),
    Estimator(
        "pass@2, not normalised",
        partial(adv.pass_at_k_advantage, k=2, normalize=False),
        goal=partial(_pass_at, k=2),
    ),
    Estimator("pass@2", partial(adv.pass_at_k_advantage, k=2), goal=partial(_pass_at, k=2)),
    Estimator("best minus second", partial(adv.best_minus_second, normalize=False), goal=_pass_at),
    Estimator("two rewards (GDPO)", parts_normalized, coupled=True, goal=_both_rewards),
    Estimator("a fixed process model (PRIME)", outcome_and_process, goal=_with_process),
    Estimator("a price of 0.5 on a cost (Safe RLHF)", constrained, goal=_lagrangian),
    Estimator("RLOO, CISPO", adv.leave_one_out, cispo),
    Estimator("RLOO, SAPO", adv.leave_one_out, sapo),
    Estimator("RLOO, GSPO", adv.leave_one_out, gspo),
    Estimator("RLOO, DPPO", adv.leave_one_out, dppo),
    Estimator("off policy: RLOO, uncorrected", adv.leave_one_out, off_policy=True),
    Estimator(
        "off policy: RLOO, sequence ratio",
        adv.leave_one_out,
        partial(importance_reinforce, level="sequence"),
        off_policy=True,
    ),
    Estimator("off policy: RLOO, token ratio", adv.leave_one_out, importance_reinforce, off_policy=True),
    Estimator("off policy: RLOO, PPO clip 0.2", adv.leave_one_out, ppo_clip, off_policy=True),
    Estimator("off policy: RLOO, decoupled PPO", adv.leave_one_out, decoupled_ppo, off_policy=True, anchor="proximal"),
    Estimator("off policy: RLOO, CISPO cap 1.2", adv.leave_one_out, partial(cispo, cap=1.2), off_policy=True),
    Estimator("off policy: RLOO, SAPO", adv.leave_one_out, sapo, off_policy=True),
    Estimator(
        "off policy: RLOO, GSPO 0.2", adv.leave_one_out, partial(gspo, clip_low=0.2, clip_high=0.2), off_policy=True
    ),
    Estimator("off policy: RLOO, DPPO 0.05", adv.leave_one_out, partial(dppo, threshold=0.05), off_policy=True),
    *(
        Estimator(
            f"off policy: RLOO, {words} weight, {level}",
            adv.leave_one_out,
            factors=(partial(factor, level=level, **bounds),),
            off_policy=True,
            anchor="policy",
        )
        for words, factor, bounds in (
            ("truncated", truncated_importance, {"cap": 1.2}),
            ("masked", masked_importance, {"low": 0.8, "high": 1.2}),
        )
        for level in ("token", "sequence", "geometric")
    ),
    Estimator("off policy: RLOO, OPSM 0.05", adv.leave_one_out, factors=(partial(opsm, delta=0.05),), off_policy=True),
]


def exact_gradient(world: World, goal: Callable[[World, Tensor, int], Tensor] | None = None, size: int = 1) -> Tensor:
    """(9,) of the mean pass rate over the tasks, or of another goal at this group size, from its definition."""
    parameters = world.policy.clone().requires_grad_()
    value = _rates(world, parameters).mean() if goal is None else goal(world, parameters, size)
    return torch.autograd.grad(value, parameters)[0]


def expected_gradient(estimator: Estimator, world: World, group_size: int) -> Tensor:
    """(9,) of minus the loss of one optimizer step, averaged over everything that may be sampled.

    Where groups do not act on each other, each task's are enumerated alone.
    """
    tasks = list(range(len(world.rewards)))
    steps = [tasks] if estimator.coupled else [[task] for task in tasks]
    source = world.sampler if estimator.off_policy else world.policy
    parameters = world.policy.clone().requires_grad_()
    logprobs = torch.stack([world.logprobs(parameters, task) for task in tasks])
    chance = torch.stack([world.probabilities(source, task) for task in tasks])
    known = _known(
        world, source, {"source": source, "policy": world.policy, "proximal": world.proximal}[estimator.anchor]
    )
    cotangents = torch.zeros_like(logprobs)
    for step in steps:
        owners = torch.tensor(step).repeat_interleave(group_size)
        for drawn in itertools.product(range(len(COMPLETIONS)), repeat=len(owners)):
            chosen = torch.tensor(drawn)
            leaves = logprobs.detach()[owners, chosen].requires_grad_()
            loss = _loss(estimator, {name: of_all[owners, chosen] for name, of_all in known.items()}, owners, leaves)
            if loss is None:
                continue
            weight = chance[owners, chosen].prod() / len(steps)
            found = torch.autograd.grad(loss, leaves)[0]
            cotangents.index_put_((owners, chosen), -weight * found, accumulate=True)
    return torch.autograd.grad(logprobs, parameters, cotangents)[0]


def _known(world: World, source: Tensor, old: Tensor) -> dict[str, Tensor]:
    """What a loop would know, for every (task, completion)."""
    tasks, rewards = range(len(world.rewards)), world.rewards
    greedy = torch.stack([rewards[task][world.probabilities(world.policy, task).argmax()] for task in tasks])
    at_end = torch.zeros(*rewards.shape, 2, dtype=rewards.dtype)
    at_end[:, torch.arange(len(COMPLETIONS)), LENGTHS - 1] = rewards
    return {
        "rewards": rewards,
        "lengths": LENGTHS.expand_as(rewards),
        "mask": MASK.expand(len(rewards), -1, -1),
        "token_rewards": at_end,
        "greedy_rewards": greedy.unsqueeze(1).expand_as(rewards),
        "baselines": torch.full_like(rewards, 0.37),
        "values": torch.stack([world.values(task) for task in tasks]),
        "old_logprobs": torch.stack([world.logprobs(old, task) for task in tasks]),
        "sampler_logprobs": torch.stack([world.logprobs(source, task) for task in tasks]),
        "part_rewards": torch.stack([rewards, SHORT.expand_as(rewards)], dim=2),
        "process_rewards": PROCESS.expand(len(rewards), -1, -1),
        "costs": COSTS.expand_as(rewards),
    }


def _loss(estimator: Estimator, known: dict[str, Tensor], group_ids: Tensor, logprobs: Tensor) -> Tensor | None:
    """Of one step; `known` at each of its rollouts. None where no rollout is kept."""
    known = {**known, "group_ids": group_ids, "logprobs": logprobs}
    counts = torch.ones(len(group_ids), dtype=logprobs.dtype)
    if estimator.keep is not None:
        keep = call(estimator.keep, **known)
        if keep.dtype != torch.bool:
            counts = keep
        elif not bool(keep.any()):
            return None
        else:
            known, counts = {name: values[keep] for name, values in known.items()}, counts[keep]
    index = torch.arange(len(known["group_ids"]))
    known |= {"rollout_index": index, "multiplier": torch.tensor(PRICE)}
    found = call(estimator.advantage, **known)
    advantages = found[0] if isinstance(found, tuple) else found
    known["advantages"] = advantages * (counts[:, None] if advantages.ndim == 2 else counts)
    per_token = call(estimator.objective, **known)
    for factor in estimator.factors:
        per_token = per_token * call(factor, **known)
    return (per_token * estimator.reduction(known["mask"], index, known["group_ids"])).sum()


def table(
    estimators: Sequence[Estimator] = ESTIMATORS, *, world: World | None = None, group_size: int = 4
) -> list[tuple[str, float, float, float, float | None, float | None]]:
    """(name, cosine, scale, aside, own cosine, own aside) of each estimator; the last two of those with a goal.

    Coupled ones have groups of 2, to bound the enumeration.
    """
    world = World.default() if world is None else world
    exact = exact_gradient(world)
    rows = []
    for estimator in estimators:
        size = min(group_size, 2) if estimator.coupled else group_size
        found = expected_gradient(estimator, world, size)
        own = (None, None)
        if estimator.goal is not None:
            cosine, _, aside = _against(found, exact_gradient(world, estimator.goal, size))
            own = (cosine, aside)
        rows.append((estimator.name, *_against(found, exact), *own))
    return rows


def _against(found: Tensor, exact: Tensor) -> tuple[float, float, float]:
    """Cosine, scale and aside."""
    scale = float(found @ exact / (exact @ exact))
    cosine = float(found @ exact / (found.norm() * exact.norm()))
    return cosine, scale, float((found / scale - exact).norm() / exact.norm())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--group-size", type=int, default=4, help="rollouts per task; 7**size groups are enumerated")
    rows = table(group_size=parser.parse_args().group_size)
    print("| estimator | cosine | scale | aside | own cosine | own aside |\n| --- | --- | --- | --- | --- | --- |")
    for name, cosine, scale, aside, own_cosine, own_aside in rows:
        own = "| | |" if own_cosine is None else f"| {own_cosine:.4f} | {own_aside:.1e} |"
        print(f"| {name} | {cosine:.4f} | {scale:.4f} | {aside:.1e} {own}")


if __name__ == "__main__":
    main()
