"""What multiplies or joins the objective of a policy update: corrections for the sampler, and the KL to a reference."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from verigrad.algorithms.penalties import kl_k1, kl_k2, kl_k3, masked_importance, opsm, truncated_importance
from verigrad.algorithms.presets import Algorithm, asks_for
from verigrad.errors import ConfigError
from verigrad.models.base import Batch
from verigrad.training.config import RLConfig

__all__ = ["WEIGHTED_KL", "correction", "kl_loss", "reads_rollouts"]

_PLAIN: dict[str, Callable[..., Tensor]] = {"k1": kl_k1, "k2": kl_k2, "k3": kl_k3, "k3+": partial(kl_k3, gradient="k2")}
WEIGHTED_KL: dict[str, Callable[..., Tensor]] = {"k1_weighted": kl_k1, "k3_weighted": kl_k3}


def reads_rollouts(algorithm: Algorithm, batch: Batch, config: RLConfig) -> bool:
    """Whether a token's loss goes by its whole rollout, so that packs that cut rollouts up cannot compute it."""
    importance = _importance(algorithm, batch, config) != "none" and config.importance_level != "token"
    return importance or config.opsm_delta is not None or asks_for(algorithm.objective, "rollout_index")


def correction(
    algorithm: Algorithm,
    logprobs: Tensor,
    anchor: Tensor,
    advantages: Tensor,
    mask: Tensor,
    batch: Batch,
    rows: list[int],
    config: RLConfig,
) -> Tensor | None:
    """Factors (B, T) of the per-token loss, without gradient; None where all are 1.

    Args:
        logprobs: (B, T) of these rows under the policy being trained.
        anchor: (B, T) under the policy that the ratio is taken against.
        advantages: (B, 1) or (B, T).
        mask: (B, T) bool.
        batch: that the rows are of.
        rows: B of them; whole rollouts where `reads_rollouts`.

    Raises:
        ConfigError: `opsm_delta` with scores that are no log-probabilities.
    """
    sampler, index = batch.sampler_logprobs[rows], batch.rollout_index[rows]
    factors: list[Tensor] = []
    importance, level = _importance(algorithm, batch, config), config.importance_level
    low, cap = config.importance_low, config.importance_cap
    if importance == "truncate":
        factors.append(truncated_importance(anchor, sampler, mask, index, cap=cap, level=level))
    elif importance == "mask":
        factors.append(masked_importance(anchor, sampler, mask, index, low=low, high=cap, level=level))
    if config.opsm_delta is not None:
        if batch.kind != "exact":
            raise ConfigError(
                f"opsm_delta = {config.opsm_delta}: needs exact log-probabilities, got scores of kind {batch.kind!r}; "
                "leave it unset, or take an exact estimator (left_to_right, trace)"
            )
        factors.append(opsm(logprobs, sampler, advantages, mask, index, delta=config.opsm_delta))
    return torch.stack(factors).prod(dim=0) if factors else None


def _importance(algorithm: Algorithm, batch: Batch, config: RLConfig) -> str:
    """The correction for the sampler that the loop makes; none where the objective makes its own."""
    if asks_for(algorithm.objective, "sampler_logprobs"):
        return "none"
    return config.importance or ("truncate" if batch.kind == "exact" else "none")


def kl_loss(logprobs: Tensor, ref_logprobs: Tensor, anchor: Tensor, mask: Tensor, form: str | None) -> Tensor:
    """The KL penalty of each token (B, T), in one of the forms that `penalties` tells apart; None is `k3`."""
    if form in WEIGHTED_KL:
        return WEIGHTED_KL[form](logprobs, ref_logprobs, mask, old_logprobs=anchor)
    return _PLAIN[form or "k3"](logprobs, ref_logprobs, mask)
