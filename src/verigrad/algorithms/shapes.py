"""Named axes, masks, and the step from rollouts to rows and tokens.

Axes: `N` rollouts, `B` rows, `T` tokens, `V` vocabulary. A rollout owns one or more rows.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["check_shapes", "expand_to_rows", "masked", "per_token"]


def check_shapes(axes: str, /, **tensors: Tensor) -> None:
    """Raise unless every tensor has exactly these axes and all agree on their lengths.

    A `(B,)` that meets a `(B, T)` broadcasts silently whenever `B == T`, so every function checks first.

    Args:
        axes: names separated by blanks, such as `"B T"`.
        tensors: by the name the caller's user knows them under.

    Raises:
        ValueError: a tensor has another number of axes, or a length that disagrees with the first tensor's.

    >>> check_shapes("B T", logprobs=torch.zeros(2, 3), mask=torch.ones(2, 3))
    >>> check_shapes("B T", logprobs=torch.zeros(2, 3), mask=torch.ones(2))
    Traceback (most recent call last):
    ...
    ValueError: mask has shape (2,), wanted (B, T) = (2, 3), the shape of logprobs
    """
    names = axes.split()
    first: tuple[str, tuple[int, ...]] | None = None
    for name, tensor in tensors.items():
        got = tuple(tensor.shape)
        if first is None and len(got) == len(names):
            first = (name, got)
        elif first is None:
            raise ValueError(f"{name} has shape {got}, wanted {len(names)} axes ({', '.join(names)})")
        elif got != first[1]:
            wanted = f"({', '.join(names)}) = {first[1]}, the shape of {first[0]}"
            raise ValueError(f"{name} has shape {got}, wanted {wanted}")


def masked(x: Tensor, mask: Tensor) -> Tensor:
    """`x` where the mask is True, 0 elsewhere; no gradient, NaN or infinity leaves the masked entries.

    Args:
        x: any shape.
        mask: bool, same shape, True where the entry counts.

    Raises:
        TypeError: the mask is not bool (a 0/1 mask would multiply, and 0 * NaN is NaN).

    >>> masked(torch.tensor([1.0, float("nan")]), torch.tensor([True, False]))
    tensor([1., 0.])
    """
    if mask.dtype != torch.bool:
        raise TypeError(f"mask has dtype {mask.dtype}, wanted torch.bool (use mask.bool())")
    return x.masked_fill(~mask, 0.0)


def expand_to_rows(per_rollout: Tensor, rollout_index: Tensor) -> Tensor:
    """One value per row from one value per rollout: `per_rollout[rollout_index]`.

    Args:
        per_rollout: (N,).
        rollout_index: (B,) int, which rollout each row belongs to.

    Returns:
        (B,).

    >>> expand_to_rows(torch.tensor([0.5, -0.5]), torch.tensor([0, 1, 1]))
    tensor([ 0.5000, -0.5000, -0.5000])
    """
    check_shapes("N", per_rollout=per_rollout)
    check_shapes("B", rollout_index=rollout_index)
    return per_rollout[rollout_index]


def per_token(values: Tensor, like: Tensor, *, name: str = "advantages") -> Tensor:
    """View `(B,)`, `(B, 1)` or `(B, T)` values as something that multiplies the `(B, T)` tensor `like`.

    `(B,)` is one value per row and never one per token, also where `B == T`.

    >>> per_token(torch.tensor([1.0, 2.0]), torch.zeros(2, 2)) * torch.ones(2, 2)
    tensor([[1., 1.],
            [2., 2.]])
    """
    rows, tokens = like.shape
    if values.shape == (rows,):
        return values.unsqueeze(1)
    if values.shape in ((rows, 1), (rows, tokens)):
        return values
    raise ValueError(
        f"{name} has shape {tuple(values.shape)}, wanted (B,) = ({rows},), (B, 1) or (B, T) = ({rows}, {tokens}); "
        f"values per rollout become values per row by expand_to_rows"
    )
