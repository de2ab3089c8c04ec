"""Reductions: how much each token's loss counts in the loss of one optimizer step.

Every function maps `(mask (B, T), rollout_index (B,), group_ids (N,))` to float32 weights `(B, T)`, zero outside the
mask; the loss is `(per_token * weights).sum()`. Compute the weights once, over all rows of the step, and slice them for
micro-batches and ranks: their gradients then add up to the whole step's, whatever the slicing.

`N` is the number of rollouts the mean is over, rollouts without a token included (they add 0, as in the papers' 1/G).
A rollout that is to be left out altogether does not belong in `group_ids`. A rollout may own several rows;
cutting it into rows differently changes nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from verigrad.algorithms.shapes import check_shapes

__all__ = ["fixed_length", "prompt_mean", "sequence_mean", "sequence_sum", "token_mean", "token_sum"]


def token_mean(mask: Tensor, rollout_index: Tensor, group_ids: Tensor, *, horizon: int | None = None) -> Tensor:
    """Mean over all tokens of the step: w = 1 / (number of tokens). Long rollouts count more.

    Yu et al. 2025, DAPO, arXiv:2503.14476, eq. 8 (token-level loss).

    >>> token_mean(torch.tensor([[True, True], [True, False]]), torch.tensor([0, 1]), torch.tensor([0, 0]))
    tensor([[0.3333, 0.3333],
            [0.3333, 0.0000]])
    """
    _check(mask, rollout_index, group_ids)
    return mask.float() / mask.sum().clamp(min=1)


def token_sum(mask: Tensor, rollout_index: Tensor, group_ids: Tensor, *, horizon: int | None = None) -> Tensor:
    """Sum over all tokens of the step: w = 1. The step grows with the batch.

    verl's `token-sum`, and what Tinker does on its server; `sequence_sum` times the number of rollouts.

    >>> token_sum(torch.tensor([[True, False]]), torch.tensor([0]), torch.tensor([0]))
    tensor([[1., 0.]])
    """
    _check(mask, rollout_index, group_ids)
    return mask.float()


def sequence_mean(mask: Tensor, rollout_index: Tensor, group_ids: Tensor, *, horizon: int | None = None) -> Tensor:
    """Mean over rollouts of the mean over that rollout's tokens: w = 1 / (N L_i). Every rollout counts the same.

    Shao et al. 2024, "DeepSeekMath" (GRPO), arXiv:2402.03300, eq. 3.

    >>> sequence_mean(torch.tensor([[True, True], [True, False]]), torch.tensor([0, 1]), torch.tensor([0, 0]))
    tensor([[0.2500, 0.2500],
            [0.5000, 0.0000]])
    """
    _check(mask, rollout_index, group_ids)
    lengths = _tokens_per(rollout_index, mask, len(group_ids))
    return mask.float() / (lengths[rollout_index].unsqueeze(1).clamp(min=1) * max(len(group_ids), 1))


def sequence_sum(mask: Tensor, rollout_index: Tensor, group_ids: Tensor, *, horizon: int | None = None) -> Tensor:
    """Mean over rollouts of the sum over that rollout's tokens: w = 1 / N, the plain policy gradient.

    Ahmadian et al. 2024, RLOO, arXiv:2402.14740 (a whole completion is one action).

    >>> sequence_sum(torch.tensor([[True, True], [True, False]]), torch.tensor([0, 1]), torch.tensor([0, 0]))
    tensor([[0.5000, 0.5000],
            [0.5000, 0.0000]])
    """
    _check(mask, rollout_index, group_ids)
    return mask.float() / max(len(group_ids), 1)


def fixed_length(mask: Tensor, rollout_index: Tensor, group_ids: Tensor, *, horizon: int | None = None) -> Tensor:
    """Sum over tokens divided by a constant length, mean over rollouts: w = 1 / (N horizon).

    Liu et al. 2025, Dr. GRPO, arXiv:2503.20783, section 3.2. The constant is the budget of completion tokens, never the
    width of a padded batch, which would drift from step to step.

    Args:
        mask: (B, T) bool.
        rollout_index: (B,) int.
        group_ids: (N,) int.
        horizon: tokens; required.

    >>> fixed_length(torch.tensor([[True, True]]), torch.tensor([0]), torch.tensor([0]), horizon=8)
    tensor([[0.1250, 0.1250]])
    """
    _check(mask, rollout_index, group_ids)
    if horizon is None or horizon < 1:
        raise ValueError(f"fixed_length got horizon={horizon}, wanted the budget of completion tokens, at least 1")
    return mask.float() / (horizon * max(len(group_ids), 1))


def prompt_mean(mask: Tensor, rollout_index: Tensor, group_ids: Tensor, *, horizon: int | None = None) -> Tensor:
    """Mean over groups of the mean over all tokens of that group. Every prompt counts the same.

    The `prompt_mean` of SkyRL: DAPO's token mean taken inside each prompt, so that a prompt with long answers
    does not outweigh the others.

    >>> mask = torch.tensor([[True, True], [True, True], [True, False]])
    >>> prompt_mean(mask, torch.tensor([0, 1, 2]), torch.tensor([5, 5, 6]))
    tensor([[0.1250, 0.1250],
            [0.1250, 0.1250],
            [0.5000, 0.0000]])
    """
    _check(mask, rollout_index, group_ids)
    ids, group_index = torch.unique(group_ids, return_inverse=True)
    row_group = group_index[rollout_index]
    tokens = _tokens_per(row_group, mask, len(ids))
    return mask.float() / (tokens[row_group].unsqueeze(1).clamp(min=1) * max(len(ids), 1))


def _tokens_per(owner: Tensor, mask: Tensor, num_owners: int) -> Tensor:
    """Masked tokens (num_owners,) of each owner, rows given by owner (B,)."""
    return torch.zeros(num_owners, device=mask.device).index_add(0, owner, mask.sum(dim=1).float())


def _check(mask: Tensor, rollout_index: Tensor, group_ids: Tensor) -> None:
    if mask.dtype != torch.bool:
        raise TypeError(f"mask has dtype {mask.dtype}, wanted torch.bool (use mask.bool())")
    check_shapes("B T", mask=mask)
    check_shapes("B", rollout_index=rollout_index)
    check_shapes("N", group_ids=group_ids)
    if len(rollout_index) != len(mask):
        raise ValueError(f"rollout_index names {len(rollout_index)} rows, but mask has {len(mask)}")
    if rollout_index.numel() and int(rollout_index.max()) >= len(group_ids):
        raise ValueError(
            f"rollout_index names rollout {int(rollout_index.max())}, but group_ids has {len(group_ids)} rollouts"
        )
