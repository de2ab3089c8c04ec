"""Learned models in the place of the reward function's numbers: one for rewards, one for costs.

They score the same ids that the policy wrote. What the reward function says is then only measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from verigrad.errors import RunError
from verigrad.models.base import Batch
from verigrad.models.scalar import load_scalar
from verigrad.training.config import RLConfig
from verigrad.training.reward_model import score_batch

__all__ = ["Proxies"]


@dataclass(frozen=True)
class Proxies:
    """A reward model and a cost model, either of them None, and how they are run.

    Safe RLHF keeps the two apart, each trained on preferences of its own: Dai et al. 2023, arXiv:2310.12773.
    """

    reward: Any = None
    cost: Any = None
    token_budget: int = 1536
    dtype: torch.dtype = torch.float32

    @classmethod
    def open(cls, config: RLConfig, *, device: Any, dtype: torch.dtype) -> Proxies:
        """The models that the settings name, loaded.

        Raises:
            ConfigError: one of them cannot be loaded, or gives no scores.
        """
        reward, cost = (
            load_scalar(name, trained=True, device=device)[0] if name else None
            for name in (config.reward_model, config.cost.model)
        )
        return cls(reward, cost, config.token_budget, dtype)

    def score(self, batch: Batch, known: Mapping[str, Tensor]) -> tuple[Batch, dict[str, Tensor], dict[str, float]]:
        """The batch with the reward model's rewards, what is known with the cost model's `costs` (N,), and metrics.

        Raises:
            RunError: a model gives a score that is not finite.
        """
        known, row = dict(known), dict[str, float]()
        if self.reward is not None:
            rewards = self._scores(self.reward, batch, "reward_model")
            batch, row = replace(batch, rewards=rewards), {"proxy_reward": float(rewards.mean())}
        if self.cost is not None:
            known["costs"] = self._scores(self.cost, batch, "cost.model")
        return batch, known, row

    def _scores(self, model: Any, batch: Batch, what: str) -> Tensor:
        scores = score_batch(model, batch, token_budget=self.token_budget, dtype=self.dtype)
        if bad := int((~scores.isfinite()).sum()):
            raise RunError(
                f"{what} scored {bad} of {len(scores)} rollouts NaN or infinite: its weights are broken, or overflow "
                "in this dtype; look at its own report, or set dtype = 'float32'"
            )
        return scores
