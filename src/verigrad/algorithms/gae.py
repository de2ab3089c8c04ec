"""Advantages per token and per turn, where a critic or rewards on the way say more than the outcome alone.

`(B, T)` in and out. Tokens outside the mask (prompt, tool output, padding) are stepped over: after a rollout's
masked token comes its next masked token, in the same row or in the rollout's next row.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from verigrad.algorithms.advantages import leave_one_out
from verigrad.algorithms.shapes import check_shapes, masked

__all__ = ["expand_turns", "gae", "length_adaptive_lambda", "turn_leave_one_out", "whiten_tokens"]


def gae(
    token_rewards: Tensor,
    values: Tensor,
    mask: Tensor,
    *,
    gamma: float = 1.0,
    gae_lambda: float | Tensor = 1.0,
    critic_lambda: float | Tensor | None = None,
    rollout_index: Tensor | None = None,
    last_values: Tensor | None = None,
    alpha: float | None = None,
    whiten: bool = False,
) -> tuple[Tensor, Tensor]:
    """A_t = d_t + gamma lambda A_{t+1}, d_t = r_t + gamma v_{t+1} - v_t; returns R_t = A_t + v_t.

    Schulman et al. 2016, "High-Dimensional Continuous Control Using Generalized Advantage Estimation",
    arXiv:1506.02438, eq. 16; gamma = lambda = 1 is what language models are trained with: A_t = return - v_t.
    "Decoupled GAE", the critic's target under a lambda of its own: Yuan et al. 2025, VC-PPO, arXiv:2503.01491. Both
    `critic_lambda=1.0` and `alpha=0.05`: Yue et al. 2025, VAPO, arXiv:2504.05118.

    t + 1 is the rollout's next masked token, so tool output costs no discount (as verl; SkyRL counts it). Rewards
    must lie on masked tokens, the outcome on the last one; what lies elsewhere is not read.

    Args:
        token_rewards: (B, T).
        values: (B, T), the critic's value before token t is taken; no gradient flows.
        mask: (B, T) bool, True where the policy sampled the token.
        gamma: discount per masked token.
        gae_lambda: 1 for the whole return, 0 for one step; or (B,), the same in all rows of a rollout.
        critic_lambda: lambda of the returns; None for the same.
        rollout_index: (B,) int, rows of a rollout in their order; None where each row is a rollout.
        last_values: (B,) the value after a row's last token, read where the row ends its rollout; None for 0, which is
            right for finished rollouts. For truncated ones, the value of going on.
        alpha: take lambda from `length_adaptive_lambda` with this alpha, in place of `gae_lambda`.
        whiten: put the advantages (not the returns) through `whiten_tokens`.

    Returns:
        advantages and returns, (B, T) each, zero outside the mask.

    >>> rewards, values = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[0.5, 9.0, 0.75]])
    >>> gae(rewards, values, torch.tensor([[True, False, True]]))
    (tensor([[0.5000, 0.0000, 0.2500]]), tensor([[1., 0., 1.]]))
    """
    check_shapes("B T", values=values, token_rewards=token_rewards, mask=mask)
    values = masked(values, mask).detach()
    rewards = masked(token_rewards, mask).detach()
    chains = _Chains.of(mask, rollout_index)
    after = torch.zeros_like(values[:, 0]) if last_values is None else last_values.detach()
    check_shapes("B", mask=mask.any(dim=1), last_values=after)
    v, end = chains.gather(values), after[chains.last_row]
    following = torch.cat([v[:, 1:], torch.zeros_like(v[:, :1])], dim=1)
    following = torch.where(chains.is_last, end.unsqueeze(1), following)
    delta = torch.where(chains.used, chains.gather(rewards) + gamma * following - v, 0.0)

    def accumulated(lam: float | Tensor) -> Tensor:
        if isinstance(lam, Tensor):
            check_shapes("B", mask=mask.any(dim=1), gae_lambda=lam)
            lam = lam[chains.last_row].to(v.dtype)
        running = torch.zeros_like(end)
        found = torch.empty_like(delta)
        for t in reversed(range(delta.shape[1])):
            # Past a chain's end delta is 0 and so is what has accumulated.
            running = delta[:, t] + gamma * lam * running
            found[:, t] = running
        return chains.scatter(found, mask)

    advantages = accumulated(gae_lambda if alpha is None else length_adaptive_lambda(mask, rollout_index, alpha=alpha))
    target = advantages if critic_lambda is None else accumulated(critic_lambda)
    return whiten_tokens(advantages, mask) if whiten else advantages, masked(target + values, mask)


def length_adaptive_lambda(mask: Tensor, rollout_index: Tensor | None = None, *, alpha: float = 0.05) -> Tensor:
    """lambda = 1 - 1 / (alpha l), l the rollout's masked tokens: long rollouts look further ahead.

    Yue et al. 2025, VAPO, arXiv:2504.05118 (length-adaptive GAE): the weights of the TD errors, 1 / (1 - lambda) in
    all, grow in proportion to the length. Below 1 / alpha tokens, where the formula falls under 0, it is 0.

    Args:
        mask: (B, T) bool.
        rollout_index: (B,) int; None where each row is a rollout.
        alpha: the share of the length that 1 / (1 - lambda) amounts to.

    Returns:
        (B,), for `gae`.

    >>> length_adaptive_lambda(torch.ones(2, 100).bool(), torch.tensor([0, 0]))
    tensor([0.9000, 0.9000])
    """
    check_shapes("B T", mask=mask)
    if alpha <= 0:
        raise ValueError(f"length_adaptive_lambda got alpha={alpha}, wanted more than 0")
    lengths = masked(torch.ones_like(mask, dtype=torch.get_default_dtype()), mask).sum(dim=1)
    if rollout_index is not None:
        check_shapes("B", mask=lengths, rollout_index=rollout_index)
        owners, index = torch.unique(rollout_index, return_inverse=True)
        lengths = torch.zeros(len(owners), device=mask.device).index_add(0, index, lengths)[index]
    return (1 - 1 / (alpha * lengths.clamp(min=1))).clamp(min=0.0)


def whiten_tokens(values: Tensor, mask: Tensor, *, eps: float = 1e-8, ddof: int = 1, keep_mean: bool = False) -> Tensor:
    """(x - mean) / (std + eps) over all masked tokens, which should be those of the whole step.

    PPO's advantage normalisation (Engstrom et al. 2020, arXiv:2005.12729). Values are shifted by the smallest first, so
    that equal ones give exactly 0.

    Args:
        values: (B, T); no gradient flows.
        mask: (B, T) bool.
        eps: added to the standard deviation.
        ddof: 1 divides the sum of squares by n - 1, 0 by n.
        keep_mean: scale about the mean and leave it in place, which is what torchtune's `shift_mean=True` does.

    Returns:
        (B, T), zero outside the mask.

    >>> whiten_tokens(torch.tensor([[1.0, 3.0, 9.0]]), torch.tensor([[True, True, False]]), ddof=0)
    tensor([[-1.,  1.,  0.]])
    """
    check_shapes("B T", values=values, mask=mask)
    kept = masked(values, mask).detach()
    count = mask.sum().clamp(min=1)
    lowest = kept.masked_fill(~mask, torch.inf).min() if bool(mask.any()) else kept.new_zeros(())
    above = masked(kept - lowest, mask)
    centered = masked(above - above.sum() / count, mask)
    std = (centered.square().sum() / (count - ddof).clamp(min=1)).sqrt()
    white = torch.where(std > 0, centered / (std + eps), 0.0)
    return masked(white + kept.sum() / count, mask) if keep_mean else white


def turn_leave_one_out(
    turn_rewards: Tensor, group_ids: Tensor, *, gamma: float = 1.0, ended: Literal["left_out", "zero"] = "left_out"
) -> Tensor:
    """A_ik = G_ik - mean of the other rollouts' G_jk, G_ik = sum_{j >= k} gamma^(j - k) r_ij the return from turn k on.

    Advantages per turn as in RLEF (Gehring et al. 2024, arXiv:2410.02089), with RLOO's baseline (arXiv:2402.14740) in
    place of the critic: turn k is compared with the group's other turns k. The baseline is the same whatever the
    rollout does, but a turn that no other rollout reached has advantage 0, which weakens late turns;
    `ended="zero"` counts a rollout that is over as one with return 0 and keeps the gradient unbiased.

    Args:
        turn_rewards: (N, K), rewards of each rollout's turns, NaN after its last turn, NaN throughout where left out.
        group_ids: (N,) int.
        gamma: discount per turn.
        ended: `left_out` or `zero`: what rollouts that are over count as.

    Returns:
        (N, K), zero where there is no turn; see `expand_turns`.

    >>> rewards = torch.tensor([[0.0, 1.0], [0.5, float("nan")], [0.0, 0.0]])
    >>> turn_leave_one_out(rewards, torch.tensor([0, 0, 0]))
    tensor([[ 0.7500,  1.0000],
            [ 0.0000,  0.0000],
            [-0.7500, -1.0000]])
    """
    check_shapes("N K", turn_rewards=turn_rewards)
    present = ~turn_rewards.isnan()
    rewards = turn_rewards.nan_to_num(nan=0.0)
    turns = turn_rewards.shape[1]
    going = rewards.new_zeros(len(rewards))
    following = torch.empty_like(rewards)
    for k in reversed(range(turns)):
        going = rewards[:, k] + gamma * going
        following[:, k] = going
    counted = present if ended == "left_out" else present.any(dim=1, keepdim=True).expand_as(present)
    following = following.masked_fill(~counted, torch.nan)
    columns = [leave_one_out(column, group_ids) for column in following.unbind(dim=1)]
    return masked(torch.stack(columns, dim=1), present) if columns else rewards


def expand_turns(per_turn: Tensor, rollout_index: Tensor, turn_index: Tensor, mask: Tensor) -> Tensor:
    """One value per token from one value per turn: `per_turn[rollout_index_b, turn_index_bt]`.

    Args:
        per_turn: (N, K).
        rollout_index: (B,) int.
        turn_index: (B, T) int, the turn each token belongs to; any number outside the mask.
        mask: (B, T) bool.

    Returns:
        (B, T), zero outside the mask.

    >>> turns, mask = torch.tensor([[0, -1, 1]]), torch.tensor([[True, False, True]])
    >>> expand_turns(torch.tensor([[0.5, -0.5]]), torch.tensor([0]), turns, mask)
    tensor([[ 0.5000,  0.0000, -0.5000]])
    """
    check_shapes("N K", per_turn=per_turn)
    check_shapes("B T", mask=mask, turn_index=turn_index)
    check_shapes("B", mask=mask.any(dim=1), rollout_index=rollout_index)
    turns = masked(turn_index, mask)
    if turns.numel() and not 0 <= int(turns.min()) <= int(turns.max()) < per_turn.shape[1]:
        found = f"{int(turns.min())} to {int(turns.max())}"
        raise ValueError(f"turn_index names turns {found}, wanted 0 to {per_turn.shape[1] - 1}, its columns")
    return masked(per_turn[rollout_index.unsqueeze(1), turns], mask)


class _Chains:
    """Each rollout's masked tokens in a row of their own, left to right: (R, L), L the longest rollout's tokens."""

    def __init__(self, position: Tensor, last_row: Tensor) -> None:
        self.used = position >= 0
        self.position = position.clamp(min=0)
        self.last_row = last_row
        lengths = self.used.sum(dim=1, keepdim=True)
        self.is_last = torch.arange(position.shape[1], device=position.device) == lengths - 1

    @staticmethod
    def of(mask: Tensor, rollout_index: Tensor | None) -> _Chains:
        rows, width = mask.shape
        if rollout_index is None:
            rollout_index = torch.arange(rows, device=mask.device)
        check_shapes("B", mask=mask.any(dim=1), rollout_index=rollout_index)
        owners, owner = torch.unique(rollout_index, return_inverse=True)
        # Sorting is stable: rows of a rollout keep their order.
        order = torch.argsort(owner, stable=True)
        token_row, token_column = mask[order].nonzero(as_tuple=True)
        token_owner = owner[order][token_row]
        lengths = torch.bincount(token_owner, minlength=len(owners))
        before = lengths.cumsum(0) - lengths
        place = torch.arange(len(token_owner), device=mask.device) - before[token_owner]
        position = torch.full((len(owners), int(lengths.max()) if rows else 0), -1, device=mask.device)
        position[token_owner, place] = order[token_row] * width + token_column
        last_row = torch.zeros(len(owners), dtype=torch.long, device=mask.device)
        last_row.scatter_reduce_(0, owner, torch.arange(rows, device=mask.device), "amax", include_self=False)
        return _Chains(position, last_row)

    def gather(self, values: Tensor) -> Tensor:
        return torch.where(self.used, values.flatten()[self.position], 0.0)

    def scatter(self, chained: Tensor, mask: Tensor) -> Tensor:
        flat = chained.new_zeros(mask.numel())
        flat[self.position[self.used]] = chained[self.used]
        return flat.view(mask.shape)
