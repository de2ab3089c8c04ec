"""The scoring contract: rows, the views through which a policy scores them, and what scoring gives.

Entry `t` of every `(B, T)` tensor is about token `t` of its row: whether it counts, what the sampler gave it,
what a policy gives it now. The shift between logits and labels is made in one place, where a view's positions
are turned into `(row, t)` pairs, and nowhere else.

Axes: `N` rollouts, `B` rows, `T` tokens, `V` vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from verigrad.models.visibility import AttentionKind

__all__ = ["Batch", "ScoreKind", "Scores", "View"]

ScoreKind = Literal["exact", "bound", "surrogate"]


@dataclass(frozen=True)
class View:
    """One way a policy looks at a row in order to score some of its tokens.

    A causal row has one view: its ids as they are, every sampled token scored. Diffusion routes draw several,
    with masked inputs. Views are drawn once per batch and used by current, old and reference policy alike.

    Attributes:
        row: index of the row, 0 <= row < B.
        input_ids: (L,) what the model is shown; position `i` is token `i` of the row.
        scored: (L,) bool, the tokens whose log-probability this view gives.
        weight: factor on this view's log-probabilities where several views add up to one estimate; (L,) where it
            differs from token to token.
        attention: who sees whom, see `verigrad.models.visibility`.
        clean_ids: (L,) the row as it is, where `input_ids` hides tokens; None where it hides none.
        prompt_length: tokens given before the canvas; `prefix` attention asks for it, and so does `block` attention,
            where what is hidden of them is hidden in both copies.
    """

    row: int
    input_ids: Tensor
    scored: Tensor
    weight: float | Tensor = 1.0
    attention: AttentionKind = "causal"
    clean_ids: Tensor | None = None
    prompt_length: int = 0


@dataclass(frozen=True)
class Batch:
    """What one optimizer step trains on.

    Attributes:
        views: see `View`; in row order.
        mask: (B, T) bool, True where the policy sampled the token and it counts.
        sampler_logprobs: (B, T) as the engine reported, 0 outside the mask.
        temperature: (B, T) the logits are divided by it, 1 outside the mask.
        kept: (row, t) -> ids that sampling was restricted to, where it was truncated.
        prompt_lengths: (B,) tokens before the first sampled one.
        rollout_index: (B,) the rollout each row belongs to.
        group_ids: (N,) the group each rollout is compared in.
        rewards: (N,) NaN where the rollout is left out.
        kind: what adding up the views gives, see `Scores`; known to who drew them.
        loss_weights: (B, T) what each token's loss counts, where an estimator's weights are not factors of
            log-probabilities; None for 1.
    """

    views: tuple[View, ...]
    mask: Tensor
    sampler_logprobs: Tensor
    temperature: Tensor
    kept: Mapping[tuple[int, int], tuple[int, ...]]
    prompt_lengths: Tensor
    rollout_index: Tensor
    group_ids: Tensor
    rewards: Tensor
    kind: ScoreKind = "exact"
    loss_weights: Tensor | None = None

    @property
    def num_rows(self) -> int:
        return self.mask.shape[0]

    @property
    def num_rollouts(self) -> int:
        return self.group_ids.shape[0]

    def select_rows(self, keep: Tensor) -> Batch:
        """The same step with only the rows where `keep` (B,) is True; rollouts and groups keep their numbers."""
        old_rows = keep.nonzero().flatten().tolist()
        new_index = {old: new for new, old in enumerate(old_rows)}
        return replace(
            self,
            views=tuple(replace(view, row=new_index[view.row]) for view in self.views if view.row in new_index),
            mask=self.mask[keep],
            sampler_logprobs=self.sampler_logprobs[keep],
            temperature=self.temperature[keep],
            kept={(new_index[row], t): ids for (row, t), ids in self.kept.items() if row in new_index},
            prompt_lengths=self.prompt_lengths[keep],
            rollout_index=self.rollout_index[keep],
            loss_weights=None if self.loss_weights is None else self.loss_weights[keep],
        )


@dataclass(frozen=True)
class Scores:
    """Log-probabilities of a batch's tokens.

    Attributes:
        values: (B, T), 0 outside the mask.
        kind: `exact` log-probabilities, a `bound`, or a `surrogate`; importance correction, sampler parity and
            per-token KL require `exact`.
        entropy: (B, T) of the distribution each token was drawn from, in nats, without gradient; or None.
    """

    values: Tensor
    kind: ScoreKind
    entropy: Tensor | None = None
