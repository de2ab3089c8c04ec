"""How far is each estimator's expected gradient from the policy gradient? Computed exactly, without sampling.

    python benchmarks/gradient_bias.py --group-size 4

A softmax policy over three tokens (the third ends the text) writes at most two of them: seven completions of one or two
tokens. Two tasks share its parameters, one passed often, one seldom. Every possible group is enumerated and weighted by
its probability, which gives the expected gradient of one optimizer step to rounding error.

Columns: `cosine` with the exact gradient of the mean pass rate; `scale`, the expected gradient's component along it (an
unbiased estimator has 1); `aside`, the part that is not along it, as a share of the exact gradient's norm, after
dividing by the scale. Estimators of another goal (pass@k, the log pass rate) lie aside by design. In groups of 2 or 3
the standard deviation of mixed rewards of 0 and 1 is always the same, so that GRPO's preference for tasks passed seldom
or nearly always only shows from 4 on. Those that take statistics over the batch are shown for groups of 2.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from verigrad.algorithms import advantages as adv
from verigrad.algorithms.gae import gae, turn_leave_one_out
from verigrad.algorithms.objectives import cispo, decoupled_ppo, dppo, ppo_clip, reinforce, sapo
from verigrad.algorithms.presets import call
from verigrad.algorithms.reductions import fixed_length, prompt_mean, sequence_mean, sequence_sum, token_mean
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


@dataclass(frozen=True)
class World:
    """Parameters (9,), the sampler's where it is another policy, and per task logit shifts and rewards.

    Attributes:
        policy: logits of the first token (3), then of the second after a 0 (3) and after a 1 (3).
        sampler: the same of the policy that samples.
        shifts: (tasks, 9) added to the parameters by the task, so that tasks differ and still share them.
        rewards: (tasks, 7) of each completion.
    """

    policy: Tensor
    sampler: Tensor
    shifts: Tensor
    rewards: Tensor

    @classmethod
    def default(cls) -> World:
        rng = torch.Generator().manual_seed(0)
        policy = 0.5 * torch.randn(9, generator=rng, dtype=torch.float64)
        sampler = policy + 0.3 * torch.randn(9, generator=rng, dtype=torch.float64)
        shifts = torch.randn(2, 9, generator=rng, dtype=torch.float64)
        # The first task is passed by four of seven completions, the second by one of two tokens.
        passed = torch.tensor([[1, 0, 1, 0, 1, 0, 1], [0, 0, 0, 0, 0, 1, 0]])
        return cls(policy, sampler, shifts, passed.double())

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
        coupled: groups of a step act on each other, so that both tasks' groups are enumerated together.
        off_policy: the samples are `World.sampler`'s.
    """

    name: str
    advantage: Callable[..., Any]
    objective: Callable[..., Tensor] = reinforce
    reduction: Callable[..., Tensor] = sequence_sum
    coupled: bool = False
    off_policy: bool = False


def _turn_advantages(rewards: Tensor, group_ids: Tensor, mask: Tensor) -> Tensor:
    """Each token a turn, the reward at the last one."""
    at_end = torch.zeros(mask.shape, dtype=rewards.dtype)
    at_end[torch.arange(len(mask)), mask.sum(dim=1) - 1] = rewards
    return turn_leave_one_out(at_end.masked_fill(~mask, torch.nan), group_ids, ended="zero")


def _misled(token_rewards: Tensor, values: Tensor, mask: Tensor, *, gae_lambda: float) -> tuple[Tensor, Tensor]:
    """GAE with a critic whose second value is wrong by a third."""
    wrong = values + torch.tensor([0.0, 1 / 3], dtype=values.dtype)
    return gae(token_rewards, wrong, mask, gae_lambda=gae_lambda)


ESTIMATORS = [
    Estimator("raw rewards (REINFORCE)", adv.raw_rewards),
    Estimator("leave one out (RLOO)", adv.leave_one_out),
    Estimator("greedy baseline (ReMax)", adv.greedy_baseline),
    Estimator("any constant baseline", adv.against_baseline),
    Estimator("turns, leave one out", _turn_advantages),
    Estimator("GAE, lambda 1, wrong critic", partial(_misled, gae_lambda=1.0)),
    Estimator("GAE, lambda 0, exact critic", partial(gae, gae_lambda=0.0)),
    Estimator("GAE, lambda 0, wrong critic", partial(_misled, gae_lambda=0.0)),
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
    Estimator("over the mean (MaxRL)", adv.mean_normalized),
    Estimator("pass@2, not normalised", partial(adv.pass_at_k_advantage, k=2, normalize=False)),
    Estimator("pass@2", partial(adv.pass_at_k_advantage, k=2)),
    Estimator("best minus second", partial(adv.best_minus_second, normalize=False)),
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
    Estimator("off policy: RLOO, decoupled PPO", adv.leave_one_out, decoupled_ppo, off_policy=True),
    Estimator("off policy: RLOO, CISPO cap 1.2", adv.leave_one_out, partial(cispo, cap=1.2), off_policy=True),
    Estimator("off policy: RLOO, SAPO", adv.leave_one_out, sapo, off_policy=True),
    Estimator(
        "off policy: RLOO, GSPO 0.2", adv.leave_one_out, partial(gspo, clip_low=0.2, clip_high=0.2), off_policy=True
    ),
    Estimator("off policy: RLOO, DPPO 0.05", adv.leave_one_out, partial(dppo, threshold=0.05), off_policy=True),
]


def exact_gradient(world: World) -> Tensor:
    """(9,) of the mean pass rate over the tasks, from its definition."""
    parameters = world.policy.clone().requires_grad_()
    tasks = range(len(world.rewards))
    rate = torch.stack([(world.probabilities(parameters, task) * world.rewards[task]).sum() for task in tasks]).mean()
    return torch.autograd.grad(rate, parameters)[0]


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
    known = _known(world, source)
    cotangents = torch.zeros_like(logprobs)
    for step in steps:
        owners = torch.tensor(step).repeat_interleave(group_size)
        for drawn in itertools.product(range(len(COMPLETIONS)), repeat=len(owners)):
            chosen = torch.tensor(drawn)
            leaves = logprobs.detach()[owners, chosen].requires_grad_()
            loss = _loss(estimator, {name: of_all[owners, chosen] for name, of_all in known.items()}, owners, leaves)
            weight = chance[owners, chosen].prod() / len(steps)
            found = torch.autograd.grad(loss, leaves)[0]
            cotangents.index_put_((owners, chosen), -weight * found, accumulate=True)
    return torch.autograd.grad(logprobs, parameters, cotangents)[0]


def _known(world: World, source: Tensor) -> dict[str, Tensor]:
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
        "old_logprobs": torch.stack([world.logprobs(source, task) for task in tasks]),
    }


def _loss(estimator: Estimator, known: dict[str, Tensor], group_ids: Tensor, logprobs: Tensor) -> Tensor:
    """Of one step; `known` at each of its rollouts."""
    index = torch.arange(len(group_ids))
    known = {**known, "group_ids": group_ids, "rollout_index": index, "sampler_logprobs": known["old_logprobs"]}
    found = call(estimator.advantage, **known)
    advantages = found[0] if isinstance(found, tuple) else found
    per_token = call(estimator.objective, logprobs=logprobs, advantages=advantages, **known)
    return (per_token * estimator.reduction(known["mask"], index, group_ids)).sum()


def table(
    estimators: Sequence[Estimator] = ESTIMATORS, *, world: World | None = None, group_size: int = 4
) -> list[tuple[str, float, float, float]]:
    """(name, cosine, scale, aside) of each estimator; coupled ones with groups of 2, to bound the enumeration."""
    world = World.default() if world is None else world
    exact = exact_gradient(world)
    rows = []
    for estimator in estimators:
        found = expected_gradient(estimator, world, min(group_size, 2) if estimator.coupled else group_size)
        scale = float(found @ exact / (exact @ exact))
        cosine = float(found @ exact / (found.norm() * exact.norm()))
        rows.append((estimator.name, cosine, scale, float((found / scale - exact).norm() / exact.norm())))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--group-size", type=int, default=4, help="rollouts per task; 7**size groups are enumerated")
    rows = table(group_size=parser.parse_args().group_size)
    print("| estimator | cosine | scale | aside |\n| --- | --- | --- | --- |")
    for name, cosine, scale, aside in rows:
        print(f"| {name} | {cosine:.4f} | {scale:.4f} | {aside:.1e} |")


if __name__ == "__main__":
    main()
