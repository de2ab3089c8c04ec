"""Which rollouts are worth training on: `(rewards (N,), group_ids (N,), ...)` -> bool `(N,)`, True to keep.

Rollouts left out (reward NaN) are never kept. Equal rewards are told apart by position, the first first; the samples of
a group are exchangeable, so that prefers nobody. Choose before advantages are taken, unless the baseline is meant to
know of the rollouts that do not train.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from verigrad.algorithms.shapes import check_shapes

__all__ = [
    "accuracy_between",
    "best_and_random",
    "best_and_worst",
    "dedup",
    "filtration_weights",
    "has_signal",
    "max_variance",
    "resample",
]


def has_signal(rewards: Tensor, group_ids: Tensor, *, eps: float = 1e-8) -> Tensor:
    """True for rollouts of a group whose rewards differ; in any other group every advantage is 0.

    Yu et al. 2025, DAPO, arXiv:2503.14476, eq. 11 (dynamic sampling keeps prompts with accuracy strictly between 0 and
    1). Give it the raw task reward: a length penalty added first would make groups look as if they had something to
    learn from.

    Args:
        rewards: (N,) float, NaN where left out.
        group_ids: (N,) int.
        eps: smallest range of rewards, in units of reward, that counts as a difference (exclusive).

    Returns:
        (N,) bool; False for rollouts left out.

    >>> has_signal(torch.tensor([1.0, 0.0, 1.0, 1.0]), torch.tensor([0, 0, 1, 1]))
    tensor([ True,  True, False, False])
    """
    check_shapes("N", rewards=rewards, group_ids=group_ids)
    index = torch.unique(group_ids, return_inverse=True)[1]
    highest = _reduce(rewards.nan_to_num(nan=-torch.inf), index, "amax")
    lowest = _reduce(rewards.nan_to_num(nan=torch.inf), index, "amin")
    return (highest - lowest > eps) & ~rewards.isnan()


def accuracy_between(
    rewards: Tensor,
    group_ids: Tensor,
    succeeded: Tensor,
    *,
    accuracy_low: float = 0.0,
    accuracy_high: float = 1.0,
) -> Tensor:
    """True for rollouts of a group of which a share of `accuracy_low` to `accuracy_high` succeeded; all by default.

    Cui et al. 2025, PRIME, arXiv:2502.01456 (online prompt filtering), whose code keeps 0.2 to 0.8.

    Args:
        rewards: (N,) float, NaN where left out.
        group_ids: (N,) int.
        succeeded: (N,) bool, rollouts that pass every test.
        accuracy_low: least share, itself included.
        accuracy_high: greatest share, itself included.

    Returns:
        (N,) bool; False for rollouts left out.

    >>> outcomes, groups = torch.tensor([1.0, 0.0, 1.0, 1.0]), torch.tensor([0, 0, 1, 1])
    >>> accuracy_between(outcomes, groups, outcomes > 0, accuracy_low=0.2, accuracy_high=0.8)
    tensor([ True,  True, False, False])
    """
    check_shapes("N", rewards=rewards, group_ids=group_ids, succeeded=succeeded)
    index = torch.unique(group_ids, return_inverse=True)[1]
    scored = ~rewards.isnan()
    passed, size = (_reduce(kept.to(rewards.dtype), index, "sum") for kept in (succeeded & scored, scored))
    # Shares of few rollouts are multiples of their number's inverse, which are not exact.
    inside = (passed >= accuracy_low * size - 1e-4) & (passed <= accuracy_high * size + 1e-4)
    return inside & scored


def max_variance(rewards: Tensor, group_ids: Tensor, *, count: int) -> Tensor:
    """True for the `count` rollouts of each group whose rewards vary most: some highest together with some lowest.

    Xu et al. 2025, "Not All Rollouts are Useful" (PODS), arXiv:2504.13818, theorem 1: the best subset is always the i
    highest and the count - i lowest, so trying every i finds it.

    Args:
        rewards: (N,) float, NaN where left out.
        group_ids: (N,) int.
        count: rollouts to keep of each group; of a smaller group, all.

    Returns:
        (N,) bool.

    >>> max_variance(torch.tensor([0.0, 0.4, 0.5, 1.0]), torch.tensor([0, 0, 0, 0]), count=2)
    tensor([ True, False, False,  True])
    """
    _check(rewards, group_ids, count, "max_variance")
    keep = torch.zeros_like(rewards, dtype=torch.bool)
    for ranked in _ranked(rewards, group_ids):
        size = min(count, len(ranked))
        # Shifted, lest a large common reward drown the difference.
        r = rewards[ranked] - rewards[ranked[-1]]
        chosen = [torch.cat([ranked[:i], ranked[len(ranked) - size + i :]]) for i in range(size + 1)]
        picked = [torch.cat([r[:i], r[len(r) - size + i :]]) for i in range(size + 1)]
        spread = torch.stack([values.var(correction=0) for values in picked])
        # Of equally varied choices the balanced one, then the one with more of the best.
        best = max(range(size + 1), key=lambda i: (float(spread[i]), -abs(2 * i - size), i))
        keep[chosen[best]] = True
    return keep


def best_and_worst(rewards: Tensor, group_ids: Tensor, *, count: int = 2) -> Tensor:
    """True for the count / 2 best and the count / 2 worst of each group; an odd one goes to the best.

    Zhang et al. 2024, "Policy Filtration" (PF-PPO), arXiv:2409.06957 (best-worst, count 2); the max-min rule that PODS,
    arXiv:2504.13818, compares with.

    Args:
        rewards: (N,) float, NaN where left out.
        group_ids: (N,) int.
        count: rollouts to keep of each group; of a smaller group, all.

    Returns:
        (N,) bool.

    >>> best_and_worst(torch.tensor([0.2, 0.9, 0.1, 0.5]), torch.tensor([0, 0, 0, 0]))
    tensor([False,  True,  True, False])
    """
    _check(rewards, group_ids, count, "best_and_worst")
    keep = torch.zeros_like(rewards, dtype=torch.bool)
    for ranked in _ranked(rewards, group_ids):
        size = min(count, len(ranked))
        keep[ranked[: size - size // 2]] = True
        keep[ranked[len(ranked) - size // 2 :]] = True
    return keep


def best_and_random(rewards: Tensor, group_ids: Tensor, *, count: int = 2, seed: int = 0) -> Tensor:
    """True for the best rollout of each group and count - 1 others drawn at random.

    Zhang et al. 2024, "Policy Filtration" (PF-PPO), arXiv:2409.06957 (best-random).

    Args:
        rewards: (N,) float, NaN where left out.
        group_ids: (N,) int.
        count: rollouts to keep of each group; of a smaller group, all.
        seed: of the draw, which depends on nothing else than it and N.

    Returns:
        (N,) bool.

    >>> kept = best_and_random(torch.tensor([0.2, 0.9, 0.1, 0.5]), torch.tensor([0, 0, 0, 0]), count=3)
    >>> bool(kept[1]), int(kept.sum())
    (True, 3)
    """
    _check(rewards, group_ids, count, "best_and_random")
    draw = torch.rand(len(rewards), generator=torch.Generator().manual_seed(seed)).to(rewards.device)
    keep = torch.zeros_like(rewards, dtype=torch.bool)
    for ranked in _ranked(rewards, group_ids):
        others = ranked[1:]
        keep[ranked[:1]] = True
        keep[others[torch.argsort(draw[others])][: count - 1]] = True
    return keep


def dedup(rewards: Tensor, group_ids: Tensor, keys: Tensor) -> Tensor:
    """True for the first scored rollout of each key in a group: copies of one program teach it once.

    Args:
        rewards: (N,) float, NaN where left out.
        group_ids: (N,) int.
        keys: (N,) int, equal where rollouts count as the same (a hash of the program, say).

    Returns:
        (N,) bool.

    >>> dedup(torch.tensor([1.0, 1.0, 0.0, 1.0]), torch.tensor([0, 0, 0, 1]), torch.tensor([7, 7, 8, 7]))
    tensor([ True, False,  True,  True])
    """
    check_shapes("N", rewards=rewards, group_ids=group_ids, keys=keys)
    keep = torch.zeros_like(rewards, dtype=torch.bool)
    seen: set[tuple[int, int]] = set()
    scored = (~rewards.isnan()).tolist()
    for i, pair in enumerate(zip(group_ids.tolist(), keys.tolist(), strict=True)):
        if scored[i] and pair not in seen:
            seen.add(pair)
            keep[i] = True
    return keep


def filtration_weights(
    rewards: Tensor,
    group_ids: Tensor,
    *,
    rule: Literal["power", "max_min", "max_random"] = "power",
    power: float = 2.0,
) -> Tensor:
    """How many copies of each rollout to expect when its group is resampled to its own size: n_group p_i.

    Zhang et al. 2024, "Policy Filtration" (PF-PPO), arXiv:2409.06957: a reward model can be trusted at the extremes, so
    p_i is in proportion to |r_i|^power (`power`); to 1 for the highest and lowest and 0 for the rest (`max_min`); or
    to 0.4 for the highest and 0.1 for the rest (`max_random`). Use them as weights of the loss, or draw by `resample`.

    `power` supposes scores spread around 0, as of a normalised reward model: with rewards of 0 and 1 it keeps the
    successes alone. Centre them first where that is not meant. A group of zeros keeps weight 1.

    Args:
        rewards: (N,) float, NaN where left out.
        group_ids: (N,) int.
        rule: which.
        power: exponent of the first rule.

    Returns:
        (N,), their sum in each group the number of its scored rollouts; 0 where left out.

    >>> filtration_weights(torch.tensor([2.0, 1.0, -1.0]), torch.tensor([0, 0, 0]))
    tensor([2.0000, 0.5000, 0.5000])
    """
    check_shapes("N", rewards=rewards, group_ids=group_ids)
    index = torch.unique(group_ids, return_inverse=True)[1]
    scored = ~rewards.isnan()
    at_top = rewards == _reduce(rewards.nan_to_num(nan=-torch.inf), index, "amax")
    at_bottom = rewards == _reduce(rewards.nan_to_num(nan=torch.inf), index, "amin")
    if rule == "power":
        share = rewards.abs().pow(power)
    elif rule == "max_min":
        share = (at_top | at_bottom).to(rewards.dtype)
    else:
        share = torch.where(at_top, 0.4, 0.1).to(rewards.dtype)
    share = torch.where(scored, share, 0.0)
    total, size = _reduce(share, index, "sum"), _reduce(scored.to(rewards.dtype), index, "sum")
    weights = torch.where(total > 0, size * share / torch.where(total > 0, total, 1.0), 1.0)
    return torch.where(scored, weights, 0.0)


def resample(weights: Tensor, group_ids: Tensor, *, seed: int) -> Tensor:
    """Draw rollouts of each group with replacement, in proportion to their weights, as many as the weights add up to.

    Args:
        weights: (N,) not negative, see `filtration_weights`.
        group_ids: (N,) int.
        seed: of the draw.

    Returns:
        (M,) int, indices of the rollouts drawn, group by group; M is the sum of the weights, rounded in each group.

    >>> resample(torch.tensor([2.0, 0.0, 1.0]), torch.tensor([0, 0, 1]), seed=0)
    tensor([0, 0, 2])
    """
    check_shapes("N", weights=weights, group_ids=group_ids)
    if bool((weights < 0).any()):
        raise ValueError(f"resample got a weight of {weights.min().item()}, wanted none below 0")
    generator = torch.Generator().manual_seed(seed)
    drawn = [torch.zeros(0, dtype=torch.long)]
    for group in torch.unique(group_ids):
        own = (group_ids == group).nonzero().flatten().cpu()
        shares = weights.cpu()[own].double()
        size = round(float(shares.sum()))
        if size:
            drawn.append(own[torch.multinomial(shares, size, replacement=True, generator=generator)])
    return torch.cat(drawn).to(weights.device)


def _ranked(rewards: Tensor, group_ids: Tensor) -> Iterator[Tensor]:
    """Of each group with a scored rollout, the indices of those, best first."""
    for group in torch.unique(group_ids):
        own = ((group_ids == group) & ~rewards.isnan()).nonzero().flatten()
        if len(own):
            yield own[torch.argsort(rewards[own], descending=True, stable=True)]


def _check(rewards: Tensor, group_ids: Tensor, count: int, name: str) -> None:
    check_shapes("N", rewards=rewards, group_ids=group_ids)
    if count < 1:
        raise ValueError(f"{name} got count={count}, wanted at least 1")


def _reduce(values: Tensor, index: Tensor, how: str) -> Tensor:
    return torch.zeros_like(values).scatter_reduce(0, index, values, how, include_self=False)[index]
