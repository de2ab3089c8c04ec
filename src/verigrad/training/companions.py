"""What some algorithms learn beside the policy: a critic, a process reward model, a price of costs, averaged weights.

A companion gives tensors by name, which advantages and objectives ask for by the names of their parameters, and
learns from the same rollouts after the policy did. The loop knows no more about it than `Companion` says.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor

from verigrad.algorithms.advantages import running_baseline
from verigrad.algorithms.objectives import value_clip
from verigrad.algorithms.presets import Need
from verigrad.algorithms.reductions import token_mean
from verigrad.algorithms.reward_model import implicit_prm, update_multiplier, verdict_cross_entropy
from verigrad.algorithms.shaping import critic_weight
from verigrad.errors import ConfigError
from verigrad.models.base import Batch
from verigrad.models.causal import load_causal, score_pack
from verigrad.models.packing import pack_views
from verigrad.models.scalar import load_scalar, pack_outputs, pack_values, token_outputs, token_values
from verigrad.models.scoring import token_logprobs
from verigrad.rewards.outcome import LADDER
from verigrad.training.batching import rewarded_tokens
from verigrad.training.config import RLConfig
from verigrad.training.optim import clip_gradients, learning_rate, make_optimizer, set_learning_rate
from verigrad.training.run import Learner
from verigrad.training.stage import Stage

__all__ = [
    "AveragedPolicy",
    "Companion",
    "CostMultiplier",
    "Critic",
    "OutcomeCritic",
    "ProcessModel",
    "RunningBaseline",
    "Teacher",
    "open_companions",
]

_Signals = Mapping[str, Tensor]


class Companion(Protocol):
    """One model or number that an algorithm needs beside the policy."""

    @property
    def learner(self) -> Learner | None:
        """What checkpoints must hold of it; None where `notes` say it all."""
        ...

    def signals(self, batch: Batch, known: _Signals, step: int) -> dict[str, Tensor]:
        """Tensors it adds to those known, before the policy learns: (N,) per rollout or (B, T), without gradient."""
        ...

    def learn(self, batch: Batch, known: _Signals, step: int) -> dict[str, float]:
        """Train on the step's rollouts, after the policy did; returns metrics."""
        ...

    def notes(self) -> dict[str, Any]:
        """State beside weights, as JSON."""
        ...

    def restore(self, notes: Mapping[str, Any]) -> None: ...


class _Stateless:
    def notes(self) -> dict[str, Any]:
        return {}

    def restore(self, notes: Mapping[str, Any]) -> None:
        pass


class Critic(_Stateless):
    """Predicts the return from each token on: `values` (B, T). Schulman et al. 2017, arXiv:1707.06347.

    A model of its own, with a scalar head that starts at zero.
    """

    def __init__(self, config: RLConfig, stage: Stage) -> None:
        self._config, self._dtype = config, stage.dtype
        model, _ = load_scalar(config.critic.model or config.model, device=stage.device)
        self._optim = replace(config.optim, learning_rate=config.critic.learning_rate)
        self._learner = Learner(model, make_optimizer(model, self._optim))

    @property
    def learner(self) -> Learner:
        return self._learner

    def signals(self, batch: Batch, known: _Signals, step: int) -> dict[str, Tensor]:
        budget = self._config.token_budget
        return {"values": token_values(self._learner.model, batch, token_budget=budget, dtype=self._dtype)}

    def learn(self, batch: Batch, known: _Signals, step: int) -> dict[str, float]:
        mask = rewarded_tokens(batch)
        if not bool(mask.any()):
            return {}
        weights = token_mean(mask, batch.rollout_index, batch.group_ids)
        returns, old = known["returns"], known["values"]
        model, total, new = self._learner.model, 0.0, torch.zeros_like(returns)
        for pack in pack_views(batch.views, token_budget=self._config.token_budget):
            rows = sorted(set(pack.rows))
            values = pack_values(model, pack, batch, dtype=self._dtype)[rows].cpu()
            clip = self._config.critic.clip or None
            per_token = value_clip(values, old[rows], returns[rows], mask[rows], clip=clip)
            loss = (per_token * weights[rows]).sum()
            loss.backward()
            total += float(loss.detach())
            new[rows] = values.detach()
        norm = _optimizer_step(self._learner, self._config, self._optim.learning_rate, step)
        spread = returns[mask].var(unbiased=False)
        unexplained = (returns - old)[mask].var(unbiased=False)
        explained = float(1 - unexplained / spread) if float(spread) > 0 else 0.0
        return {"critic_loss": total, "critic_grad_norm": norm, "critic_explained_variance": explained}


class OutcomeCritic(_Stateless):
    """CodeRL's critic: `token_weights` (B, T), how sure it is after each token of how the program will end.

    Le et al. 2022, arXiv:2207.01780, section 3.3.2: a classifier of the four outcomes, read at every token. It learns
    by the cross-entropy of all tokens of a rollout, where the paper's pools the states of a program first.
    """

    def __init__(self, config: RLConfig, stage: Stage) -> None:
        self._config, self._dtype = config, stage.dtype
        name = config.critic.model or config.model
        model, _ = load_scalar(name, outputs=len(LADDER), device=stage.device)
        self._optim = replace(config.optim, learning_rate=config.critic.learning_rate)
        self._learner = Learner(model, make_optimizer(model, self._optim))

    @property
    def learner(self) -> Learner:
        return self._learner

    def signals(self, batch: Batch, known: _Signals, step: int) -> dict[str, Tensor]:
        budget = self._config.token_budget
        logits = token_outputs(self._learner.model, batch, token_budget=budget, dtype=self._dtype)
        outcomes = known["outcomes"][batch.rollout_index]
        weights = critic_weight(_after_each_token(logits, batch.mask), outcomes, batch.mask)
        return {"token_weights": weights * known.get("token_weights", 1.0)}

    def learn(self, batch: Batch, known: _Signals, step: int) -> dict[str, float]:
        weights = token_mean(batch.mask, batch.rollout_index, batch.group_ids)
        outcomes = known["outcomes"][batch.rollout_index]
        total, right = 0.0, 0.0
        for pack in pack_views(batch.views, token_budget=self._config.token_budget):
            rows = sorted(set(pack.rows))
            logits = pack_outputs(self._learner.model, pack, batch, dtype=self._dtype)[rows].cpu()
            chances = logits.log_softmax(dim=-1)
            wanted = outcomes[rows][:, None, None].expand(-1, logits.shape[1], 1)
            loss = -(chances.gather(2, wanted)[..., 0] * weights[rows]).sum()
            loss.backward()
            total += float(loss.detach())
            right += float(((logits.argmax(dim=-1) == wanted[..., 0]) * weights[rows]).sum())
        norm = _optimizer_step(self._learner, self._config, self._optim.learning_rate, step)
        return {"outcome_loss": total, "outcome_accuracy": right, "outcome_grad_norm": norm}


def _after_each_token(outputs: Tensor, mask: Tensor) -> Tensor:
    """From outputs before each token (B, T, C) to those after it; the last token of a stretch keeps its own."""
    following = torch.cat([outputs[:, 1:], outputs[:, -1:]], dim=1)
    goes_on = torch.cat([mask[:, 1:], torch.zeros_like(mask[:, :1])], dim=1)
    return torch.where(goes_on[..., None], following, outputs)


class ProcessModel(_Stateless):
    """PRIME's implicit process rewards: `process_rewards` (B, T) = beta (log prm - log ref) of each token.

    Cui et al. 2025, arXiv:2502.01456. A language model that starts as the policy does and learns from the outcome
    of whole rollouts alone: whether they pass every test, whatever the reward makes of that. With `update` "before" it
    judges a step's rollouts after it has learned from them.
    """

    def __init__(self, config: RLConfig, stage: Stage) -> None:
        self._config, self._dtype = config, stage.dtype
        model, _ = load_causal(config.critic.model or config.model, device=stage.device)
        self._reference = copy.deepcopy(model).requires_grad_(False)
        self._optim = replace(config.optim, learning_rate=config.critic.learning_rate)
        self._learner = Learner(model, make_optimizer(model, self._optim))
        self._beta = config.process.beta
        self._found: dict[str, float] = {}

    @property
    def learner(self) -> Learner:
        return self._learner

    def signals(self, batch: Batch, known: _Signals, step: int) -> dict[str, Tensor]:
        reference, own = (self._logprobs(model, batch) for model in (self._reference, self._learner.model))
        if self._config.process.update == "before":
            self._found = self._fit(batch, own, reference, known["succeeded"], step)
            own = self._logprobs(self._learner.model, batch)
        process = implicit_prm(own, reference, batch.mask, beta=self._beta)
        return {"process_rewards": process, "process_logprobs": own, "process_reference": reference}

    def _logprobs(self, model: Any, batch: Batch) -> Tensor:
        return token_logprobs(model, batch, token_budget=self._config.token_budget, dtype=self._dtype).values

    def learn(self, batch: Batch, known: _Signals, step: int) -> dict[str, float]:
        if self._config.process.update == "before":
            return self._found
        return self._fit(batch, known["process_logprobs"], known["process_reference"], known["succeeded"], step)

    def _fit(self, batch: Batch, logprobs: Tensor, reference: Tensor, succeeded: Tensor, step: int) -> dict[str, float]:
        """One optimizer step towards the outcomes (N,), bool; log-probs (B, T) are those before it."""
        # The logit is a sum over all rows of a rollout, which packs may cut up: its slopes first, then pack by pack.
        own = logprobs.clone().requires_grad_()
        rewards = implicit_prm(own, reference, batch.mask, beta=self._beta).sum(dim=1)
        logits = torch.zeros(batch.num_rollouts).index_add(0, batch.rollout_index, rewards)
        loss = verdict_cross_entropy(logits, succeeded).mean()
        loss.backward()
        assert own.grad is not None
        for pack in pack_views(batch.views, token_budget=self._config.token_budget):
            rows = sorted(set(pack.rows))
            values = score_pack(self._learner.model, pack, batch, dtype=self._dtype).values[rows].cpu()
            (values * own.grad[rows]).sum().backward()
        norm = _optimizer_step(self._learner, self._config, self._optim.learning_rate, step)
        return {"process_loss": float(loss.detach()), "process_grad_norm": norm}


class CostMultiplier:
    """Safe RLHF's price of cost: `multiplier`, a number that rises while the mean cost is above its limit.

    Dai et al. 2023, arXiv:2310.12773, section 3.3. The costs are a cost model's, or `Score.parts["cost"]`.
    """

    learner: Learner | None = None

    def __init__(self, config: RLConfig, stage: Stage) -> None:
        self._config = config
        self._multiplier = config.cost.multiplier

    def signals(self, batch: Batch, known: _Signals, step: int) -> dict[str, Tensor]:
        return {"multiplier": torch.tensor(self._multiplier)}

    def learn(self, batch: Batch, known: _Signals, step: int) -> dict[str, float]:
        mean = float(known["costs"].mean())
        cost = self._config.cost
        self._multiplier = update_multiplier(self._multiplier, mean, limit=cost.limit, learning_rate=cost.learning_rate)
        return {"cost": mean, "multiplier": self._multiplier}

    def notes(self) -> dict[str, Any]:
        return {"multiplier": self._multiplier}

    def restore(self, notes: Mapping[str, Any]) -> None:
        self._multiplier = float(notes["multiplier"])


class AveragedPolicy(_Stateless):
    """The proximal policy of PPO-EWMA: `old_logprobs` (B, T) are those of exponentially averaged weights.

    Hilton, Cobbe and Schulman 2022, "Batch size-invariance for policy optimization", arXiv:2110.00641.
    """

    def __init__(self, config: RLConfig, stage: Stage) -> None:
        self._config, self._stage = config, stage
        self._average = copy.deepcopy(stage.model).requires_grad_(False)
        self._weight = 1.0
        # An optimizer without parameters to move: checkpoints hold the averaged weights like any learner's.
        self._average.requires_grad_(True)
        self._learner = Learner(self._average, torch.optim.SGD(self._average.parameters(), lr=0.0))

    @property
    def learner(self) -> Learner:
        return self._learner

    def signals(self, batch: Batch, known: _Signals, step: int) -> dict[str, Tensor]:
        budget = self._config.token_budget
        scores = token_logprobs(self._average, batch, token_budget=budget, dtype=self._stage.dtype)
        return {"old_logprobs": scores.values}

    def learn(self, batch: Batch, known: _Signals, step: int) -> dict[str, float]:
        """avg <- avg + (new - avg) / w with w the running weight 1 + decay w, so that early steps are not biased."""
        decay = self._config.ewma_decay
        self._weight = 1.0 + decay * self._weight
        with torch.no_grad():
            for average, new in zip(self._average.parameters(), self._stage.model.parameters(), strict=True):
                average.lerp_(new, 1.0 / self._weight)
        return {}

    def notes(self) -> dict[str, Any]:
        return {"weight": self._weight}

    def restore(self, notes: Mapping[str, Any]) -> None:
        self._weight = float(notes["weight"])


class RunningBaseline:
    """The mean reward of past steps: `baseline` (1,), moved on after the step it was used in."""

    learner: Learner | None = None

    def __init__(self, config: RLConfig, stage: Stage) -> None:
        self._baseline = torch.zeros(1)

    def signals(self, batch: Batch, known: _Signals, step: int) -> dict[str, Tensor]:
        return {"baseline": self._baseline}

    def learn(self, batch: Batch, known: _Signals, step: int) -> dict[str, float]:
        everywhere = torch.zeros(batch.num_rollouts, dtype=torch.long)
        self._baseline = running_baseline(batch.rewards, everywhere, self._baseline)[1]
        return {"baseline": float(self._baseline)}

    def notes(self) -> dict[str, Any]:
        return {"mean": float(self._baseline)}

    def restore(self, notes: Mapping[str, Any]) -> None:
        self._baseline = torch.tensor([notes["mean"]])


class Teacher(_Stateless):
    """A frozen model that says how likely the policy's tokens are to it: `teacher_logprobs` (B, T)."""

    learner: Learner | None = None

    def __init__(self, config: RLConfig, stage: Stage) -> None:
        if not config.teacher:
            raise ConfigError(f"algorithm {config.algorithm!r} needs a teacher: set teacher to a model")
        self._config, self._dtype = config, stage.dtype
        self._model, tokenizer = load_causal(config.teacher, device=stage.device)
        # Tokens, not sizes: models of one family pad the same vocabulary to several, and others may have as many ids.
        other = tokenizer.get_vocab()
        if apart := [token for token, id_ in stage.tokenizer.get_vocab().items() if other.get(token) != id_]:
            raise ConfigError(
                f"{config.teacher!r} has other ids for {len(apart)} of the policy's tokens, such as {min(apart)!r}; "
                "wanted a teacher with the policy's vocabulary"
            )

    def signals(self, batch: Batch, known: _Signals, step: int) -> dict[str, Tensor]:
        budget = self._config.token_budget
        scores = token_logprobs(self._model, batch, token_budget=budget, dtype=self._dtype)
        return {"teacher_logprobs": scores.values}

    def learn(self, batch: Batch, known: _Signals, step: int) -> dict[str, float]:
        gap = (batch.sampler_logprobs - known["teacher_logprobs"])[batch.mask]
        return {"teacher_kl": float(gap.mean())}


_COMPANIONS: dict[Need, Callable[[RLConfig, Stage], Companion]] = {
    "critic": Critic,
    "outcome_critic": OutcomeCritic,
    "prm": ProcessModel,
    "cost": CostMultiplier,
    "average": AveragedPolicy,
    "baseline": RunningBaseline,
    "teacher": Teacher,
}


def open_companions(needs: tuple[Need, ...], config: RLConfig, stage: Stage) -> dict[str, Companion]:
    """The companions an algorithm names in `needs`."""
    return {need: _COMPANIONS[need](config, stage) for need in needs if need in _COMPANIONS}


def _optimizer_step(learner: Learner, config: RLConfig, rate: float, step: int) -> float:
    optim = replace(config.optim, learning_rate=rate)
    set_learning_rate(learner.optimizer, learning_rate(optim, step, config.steps))
    norm = clip_gradients((p for p in learner.model.parameters() if p.requires_grad), config.optim.max_grad_norm)
    learner.optimizer.step()
    learner.optimizer.zero_grad()
    return norm
