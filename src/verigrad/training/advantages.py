"""From the scores of a step to its advantages: penalties that belong to the reward, then the algorithm's estimator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from verigrad.algorithms.penalties import kl_k1, overlong
from verigrad.algorithms.presets import Algorithm, call, leaves_open
from verigrad.errors import ConfigError
from verigrad.models.base import Batch
from verigrad.models.scoring import token_logprobs
from verigrad.training.batching import rewarded_tokens, terminal_rewards
from verigrad.training.config import CriticConfig, RLConfig
from verigrad.training.policy import reference_logprobs

__all__ = ["advantages_of", "shape_rewards"]


def shape_rewards(
    batch: Batch,
    known: Mapping[str, Tensor],
    config: RLConfig,
    algorithm: Algorithm,
    *,
    model: Any,
    reference: Any,
    dtype: torch.dtype,
) -> tuple[Batch, dict[str, Tensor], dict[str, float]]:
    """Penalties that belong to the reward: over-long completions, and the KL where the algorithm wants it there.

    Args:
        known: `lengths` (N,) of the completions, which the over-long penalty reads, and anything else.
        model: the policy, which with `reference` is scored for the KL.

    Returns:
        the batch with its new rewards; what was known with `token_rewards` (B, T) and, where there is a KL,
        `old_logprobs` (B, T); metrics.
    """
    rewards, known = batch.rewards, dict(known)
    if config.overlong:
        budget = config.sampling.max_tokens
        buffer = max(1, round(config.overlong * budget))
        rewards = rewards + overlong(known["lengths"], max_length=budget, buffer=buffer)
    batch = replace(batch, rewards=rewards)
    token_rewards = terminal_rewards(batch)
    found: dict[str, float] = {}
    if algorithm.kl_in_reward and config.kl_coef:
        old = token_logprobs(model, batch, token_budget=config.token_budget, dtype=dtype).values
        kl = kl_k1(old, reference_logprobs(reference, batch, config, dtype), batch.mask)
        token_rewards = token_rewards - config.kl_coef * kl
        per_rollout = torch.zeros(batch.num_rollouts).index_add(0, batch.rollout_index, kl.sum(1))
        batch = replace(batch, rewards=rewards - config.kl_coef * per_rollout)
        known["old_logprobs"] = old
        found["kl"] = float(kl[batch.mask].mean())
    return batch, {**known, "token_rewards": token_rewards}, found


def advantages_of(
    algorithm: Algorithm, batch: Batch, known: Mapping[str, Tensor], config: RLConfig
) -> tuple[Tensor, Tensor | None]:
    """Advantages (N,) or (B, T), and returns (B, T) where the estimator gives them too.

    Left-out rollouts (a reward of NaN) get advantage 0 under every estimator.
    """
    offered: dict[str, Any] = {
        **known,
        "rewards": batch.rewards,
        "group_ids": batch.group_ids,
        "mask": rewarded_tokens(batch),
        "sampler_logprobs": batch.sampler_logprobs,
        "rollout_index": batch.rollout_index,
        **_discounts(algorithm, config.critic),
    }
    try:
        result = call(algorithm.advantage, **offered)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"algorithm {algorithm.name!r}: {error}; parts of a reward's Score are offered too, as part_NAME, and its "
            "cost as costs"
        ) from error
    advantages, returns = result if isinstance(result, tuple) else (result, None)
    counts = known.get("counts", torch.ones(batch.num_rollouts)).masked_fill(batch.rewards.isnan(), 0.0)
    if "token_weights" in known or "token_bonus" in known:
        advantages = _by_token(advantages, batch, known)
    # Every objective is proportional to a positive factor on its advantage, so this counts a rollout several times.
    return advantages * (counts[batch.rollout_index][:, None] if advantages.ndim == 2 else counts), returns


def _discounts(algorithm: Algorithm, critic: CriticConfig) -> dict[str, float]:
    """`gamma` and `gae_lambda` as they are set; where they are not, the estimator's own, or 1 where it has none."""
    settings = {"gamma": critic.gamma, "gae_lambda": critic.gae_lambda}
    return {
        name: 1.0 if value is None else value
        for name, value in settings.items()
        if value is not None or leaves_open(algorithm.advantage, name)
    }


def _by_token(advantages: Tensor, batch: Batch, known: Mapping[str, Tensor]) -> Tensor:
    """Advantages (N,) or (B, T) -> (B, T): weighed token by token, with the rewards that single tokens have."""
    per_token = advantages if advantages.ndim == 2 else advantages[batch.rollout_index][:, None] * batch.mask
    return per_token * known.get("token_weights", 1.0) + known.get("token_bonus", 0.0)
