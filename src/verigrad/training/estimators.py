"""How a masked-diffusion model scores what it wrote: the views of a batch, drawn once from their own seed.

    left_to_right   each token given those before it, the later ones masked: one view a token. Ni et al. 2026,
                    "The Flexibility Trap" (JustGRPO), arXiv:2601.15165
    random_order    the states visited by a sampler that reveals one token at a time in random order
    trace           the states visited, by the step map: one view a step, or one for `shrink` neighbouring steps.
                    Wang et al. 2025, TraceRL, arXiv:2509.06949
    mean_field      everything masked: one view. Zhao et al. 2025, d1 (diffu-GRPO), arXiv:2504.12216
    coupled         everything masked, and pairs of complementary masks. Gong et al. 2025, DiffuCoder (coupled-GRPO),
                    arXiv:2506.20639, eq. 13
    elbo            pairs of complementary masks with fixed counts. ESPO, arXiv:2512.03759; Zhu et al. 2025, LLaDA 1.5
                    (VRPO), arXiv:2505.19223
    sandwich        masks with fixed counts, each in a row of its own, for the objective `spg`. Wang et al. 2025, SPG,
                    arXiv:2510.09541

What stood behind the completion on the canvas is masked in every view, except where the states visited are scored:
there it is shown as it was, and what was revealed of it counts as sampled. One draw serves current, old and reference
policy, so the noise of the draw cancels in their ratios.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from verigrad.algorithms.masking import draw_noise, noise_levels, segments_of
from verigrad.algorithms.presets import Algorithm, asks_for
from verigrad.engines.denoise_params import DenoiseParams
from verigrad.errors import ConfigError
from verigrad.models.base import Batch, ScoreKind, View
from verigrad.models.diffusion import DiffusionSpec
from verigrad.seeds import derive_seed
from verigrad.settings import diff
from verigrad.training.config import RLConfig, ScoringConfig
from verigrad.types import Row

__all__ = [
    "ESTIMATORS",
    "Estimator",
    "chosen_estimator",
    "drawn_batch",
    "filled_scoring",
    "order_warnings",
    "score_kind",
]


@dataclass(frozen=True)
class _Answer:
    """A row as estimators see it.

    Attributes:
        prompt: (L,) bool, given tokens.
        own: (L,) bool, the completion.
        steps: (L,) step each place was revealed in, -1 where it was given or stayed masked.
        block_length: of block attention, or 0.
    """

    prompt: Tensor
    own: Tensor
    steps: Tensor
    block_length: int

    @property
    def segments(self) -> Tensor:
        return segments_of(self.own, self.block_length)


@dataclass(frozen=True)
class _Look:
    """What one view hides and scores: (L,) each; the weight may be one for all."""

    hidden: Tensor
    scored: Tensor
    weight: Tensor | float = 1.0


@dataclass(frozen=True)
class _Drawn:
    """The views of one row of a batch; `loss_weight` (L,) of its tokens, outside the log-probs."""

    looks: Sequence[_Look]
    loss_weight: Tensor | None = None


_Draw = Callable[[_Answer, ScoringConfig, torch.Generator], list[_Drawn]]


@dataclass(frozen=True)
class Estimator:
    """One way to draw views.

    Attributes:
        kind: of the scores, where nothing else is against it; see `score_kind`.
        draw: the rows of a batch, mostly one, that a row becomes.
        reads: the settings it reads, beside its own name.
        samples: Monte Carlo draws where the settings leave it open.
        visited: whether it scores the states that were visited.
    """

    kind: ScoreKind
    draw: _Draw
    reads: tuple[str, ...] = ()
    samples: int = 1
    visited: bool = False


def _left_to_right(answer: _Answer, scoring: ScoringConfig, generator: torch.Generator) -> list[_Drawn]:
    return [_chain(torch.where(answer.own, torch.arange(len(answer.own)), -1), answer, 1)]


def _trace(answer: _Answer, scoring: ScoringConfig, generator: torch.Generator) -> list[_Drawn]:
    return [_chain(answer.steps, answer, scoring.shrink)]


def _chain(times: Tensor, answer: _Answer, shrink: int) -> _Drawn:
    """Each revealed token in the state its time (L,) found; those of different blocks in one view, as they do not see
    each other's masks."""
    segments = segments_of(times >= 0, answer.block_length)
    rank = torch.full(times.shape, -1)
    for segment in range(int(segments.max()) + 1):
        mine = segments == segment
        rank[mine] = times[mine].unique(return_inverse=True)[1] // shrink
    never = ~answer.prompt & (rank < 0)
    looks = [_Look(never | (rank >= at), rank == at) for at in range(int(rank.max()) + 1)]
    return _Drawn(looks)


def _mean_field(answer: _Answer, scoring: ScoringConfig, generator: torch.Generator) -> list[_Drawn]:
    dropped = torch.rand(answer.own.shape, generator=generator) < scoring.prompt_masking
    return [_Drawn([_Look(~answer.prompt | dropped, answer.own)])]


def _coupled(answer: _Answer, scoring: ScoringConfig, generator: torch.Generator) -> list[_Drawn]:
    """Every token is hidden in the full view and once in each pair. The exponent of a token's probability in the ratio
    is the sum of its weights: (1 + 1 / t) / 2 or (1 + 1 / (1 - t)) / 2 for `paper` and one pair, 1 for the others.
    """
    pairs = scoring.samples
    inside, outside = scoring.weighting == "paper", scoring.weighting == "outside_ratio"
    parts = pairs if outside else pairs + 1
    looks = [] if outside else [_Look(~answer.prompt, answer.own, 1 / parts)]
    factor = torch.zeros(answer.own.shape)
    segments = answer.segments
    levels = _levels(segments, pairs, generator, scoring.low, scoring.high)
    for pair in range(pairs):
        for noised in draw_noise(segments, levels[pair], generator, form="bernoulli", complementary=True):
            weight = 2 * noised.weight / parts if inside else 1 / parts  # the pair's weights come halved
            looks.append(_Look(noised.masked | _behind(answer), noised.masked, weight))
            factor += noised.weight
    return [_Drawn(looks, factor if outside else None)]  # with weights outside, there is one pair


def _elbo(answer: _Answer, scoring: ScoringConfig, generator: torch.Generator) -> list[_Drawn]:
    segments, looks = answer.segments, []
    levels = _levels(segments, scoring.samples, generator)
    for draw in range(scoring.samples):
        for noised in draw_noise(segments, levels[draw], generator, complementary=True):
            looks.append(_Look(noised.masked | _behind(answer), noised.masked, noised.weight / scoring.samples))
    return [_Drawn(looks)]


def _sandwich(answer: _Answer, scoring: ScoringConfig, generator: torch.Generator) -> list[_Drawn]:
    segments, rows = answer.segments, []
    levels = _levels(segments, scoring.samples, generator)
    for draw in range(scoring.samples):
        (noised,) = draw_noise(segments, levels[draw], generator)
        rows.append(_Drawn([_Look(noised.masked | _behind(answer), noised.masked)], noised.weight))
    return rows


def _behind(answer: _Answer) -> Tensor:
    return ~answer.prompt & ~answer.own


def _levels(segments: Tensor, draws: int, generator: torch.Generator, low: float = 0.0, high: float = 1.0) -> Tensor:
    """(draws, segments) noise levels, those of a segment spread evenly over the draws."""
    count = int(segments.max()) + 1
    return torch.stack([noise_levels(draws, generator, low=low, high=high) for _ in range(count)], dim=1)


ESTIMATORS: dict[str, Estimator] = {
    "left_to_right": Estimator("exact", _left_to_right),
    "random_order": Estimator("exact", _trace, ("shrink",), visited=True),
    "trace": Estimator("exact", _trace, ("shrink",), visited=True),
    "mean_field": Estimator("surrogate", _mean_field, ("prompt_masking",)),
    "coupled": Estimator("surrogate", _coupled, ("samples", "weighting", "low", "high")),
    "elbo": Estimator("bound", _elbo, ("samples",), samples=2),
    "sandwich": Estimator("bound", _sandwich, ("samples",), samples=2),
}


def score_kind(name: str, scoring: ScoringConfig, denoise: DenoiseParams) -> ScoreKind:
    """What an estimator's scores are, of completions written as `denoise` says.

    Exact are those of the states that were visited: from left to right only where the sampler went that way, one token
    at a time, and without merging steps.
    """
    if name == "left_to_right" and not _one_by_one(denoise, "left_to_right"):
        return "surrogate"
    if ESTIMATORS[name].visited and scoring.shrink > 1:
        return "surrogate"
    return ESTIMATORS[name].kind


def _one_by_one(denoise: DenoiseParams, order: str) -> bool:
    return denoise.order == order and denoise.schedule == "exact" and denoise.steps == 0


@dataclass(frozen=True)
class _Writing:
    """How completions would have to be written for scores that do not go by the states visited.

    Attributes:
        words: completes "as if written".
        remedy: what to set instead.
        is_of: whether a sampler writes so.
    """

    words: str
    remedy: str
    is_of: Callable[[DenoiseParams], bool]


_LEFT_TO_RIGHT = _Writing(
    "from left to right, one token at a time",
    "Set denoise.order = 'left_to_right' and denoise.steps = 0, or take estimator 'trace'",
    lambda denoise: _one_by_one(denoise, "left_to_right"),
)
_AT_RANDOM = _Writing(
    "one token at a time in random order",
    "Set denoise.order = 'random', denoise.steps = 0 and denoise.block_length = 0, or take estimator 'trace'",
    lambda denoise: _one_by_one(denoise, "random") and not denoise.block_length,
)
_AT_ONCE = _Writing(
    "in one step",
    "Take estimator 'trace', or 'elbo' with denoise.order = 'random'",
    lambda denoise: denoise.schedule == "exact" and denoise.steps == 1 and not denoise.block_length,
)
_IN_NO_ORDER = _Writing("in one step and in random order both", _AT_ONCE.remedy, lambda denoise: False)


def _writing(scoring: ScoringConfig) -> _Writing:
    if scoring.estimator == "coupled" and scoring.weighting != "outside_ratio":
        return _IN_NO_ORDER
    return {"left_to_right": _LEFT_TO_RIGHT, "mean_field": _AT_ONCE}.get(scoring.estimator or "", _AT_RANDOM)


def order_warnings(scoring: ScoringConfig, denoise: DenoiseParams) -> list[str]:
    """What makes the gradient of an estimator biased, for completions written as `denoise` says; see
    docs/diffusion_estimators.md.

    Args:
        scoring: with `estimator` set, see `chosen_estimator`.
    """
    name = scoring.estimator
    assert name is not None
    how = f"order {denoise.order!r}, schedule {denoise.schedule!r}, steps {denoise.steps}"
    if not ESTIMATORS[name].visited:
        writing = _writing(scoring)
        if writing.is_of(denoise):
            return []
        return [
            f"estimator {name!r} scores completions as if written {writing.words}, and the sampler has {how}, "
            f"block_length {denoise.block_length}: the gradient is biased. {writing.remedy}"
        ]
    found = []
    if denoise.order == "confidence":
        found.append(
            f"estimator {name!r} with {how}: places are chosen by the probability of the proposed tokens, so proposals "
            "that lost shaped the trace and are not scored; the gradient is biased. Take order 'entropy', 'margin', "
            "'random' or 'left_to_right'"
        )
    if scoring.shrink > 1:
        found.append(
            f"estimator {name!r} with shrink = {scoring.shrink}: tokens of merged steps are scored as if none knew of "
            "the others; the gradient is biased. Set diffusion.shrink = 1, and denoise.steps for fewer passes"
        )
    return found


def chosen_estimator(config: RLConfig, algorithm: Algorithm) -> ScoringConfig:
    """The scoring settings with those left open filled in.

    Raises:
        ConfigError: the estimator, the algorithm and the sampler cannot go together.
    """
    name = config.diffusion.estimator or algorithm.estimator or "trace"
    scoring = filled_scoring(name, config.diffusion)
    _check_sampler(name, config)
    _check_algorithm(name, score_kind(name, scoring, config.denoise), config, algorithm)
    return scoring


def filled_scoring(name: Any, scoring: ScoringConfig) -> ScoringConfig:
    """The settings for the estimator `name`, with its own number of samples where they leave it open.

    Raises:
        ConfigError: something is set that the estimator does not read.
    """
    estimator = ESTIMATORS[name]
    filled = replace(scoring, estimator=name, samples=scoring.samples or estimator.samples)
    idle = diff(ScoringConfig(estimator=name, samples=estimator.samples), filled).keys() - set(estimator.reads)
    if idle:
        read = f"only {', '.join(estimator.reads)}" if estimator.reads else "none of the section diffusion"
        raise ConfigError(
            f"{', '.join(f'diffusion.{key}' for key in sorted(idle))}: estimator {name!r} reads {read}; leave it unset"
        )
    return filled


def _check_sampler(name: str, config: RLConfig) -> None:
    if config.denoise.remask_rounds:
        raise ConfigError(
            f"denoise.remask_rounds is {config.denoise.remask_rounds}: what was written before it was masked again is "
            "not kept, so the states cannot be scored; set it to 0 for training"
        )
    if config.sampling.top_p < 1 or config.sampling.top_k:
        raise ConfigError("top_p and top_k with a masked-diffusion model: train with temperature alone")
    if name == "random_order" and not _one_by_one(config.denoise, "random"):
        raise ConfigError(
            "estimator 'random_order' needs a sampler that reveals one token at a time in random order: set "
            "denoise.order = 'random' and denoise.steps = 0, or take estimator 'trace', which scores any order"
        )


def _check_algorithm(name: str, kind: ScoreKind, config: RLConfig, algorithm: Algorithm) -> None:
    objective = algorithm.objective
    what = f"algorithm {algorithm.name!r} with estimator {name!r}"
    by_rollout = asks_for(objective, "rollout_index")
    if (name == "sandwich") != asks_for(objective, "loss_weights"):
        raise ConfigError(f"{what}: estimator 'sandwich' and objective 'spg' belong together; take both or neither")
    if kind == "bound" and asks_for(objective, "old_logprobs") and not by_rollout:
        raise ConfigError(
            f"{what}: a bound on the log-probability of a completion has no ratio for each token; take an algorithm "
            "whose ratio is the completion's ('espo', 'gspo') or that has none ('rloo', 'reinforce', 'spg')"
        )
    if kind == "exact":
        return
    exact = "need exact log-probabilities, which estimators 'trace', 'left_to_right' and 'random_order' give"
    if config.kl_coef:
        raise ConfigError(f"{what} and kl_coef = {config.kl_coef}: KL terms by token {exact}; set kl_coef = 0")
    if config.importance in ("truncate", "mask"):
        raise ConfigError(f"{what} and importance = {config.importance!r}: corrections {exact}; leave it unset")
    if asks_for(objective, "sampler_logprobs"):
        raise ConfigError(f"{what}: its ratio to the sampler's own log-probabilities would {exact}")


def drawn_batch(
    parts: Sequence[Row],
    rollout_index: Sequence[int],
    group_ids: Sequence[int],
    rewards: Sequence[float],
    *,
    spec: DiffusionSpec,
    scoring: ScoringConfig,
    kind: ScoreKind,
    seed: int,
    keys: Sequence[int] | None = None,
) -> Batch:
    """Rows with the views of an estimator; the counterpart of `batching.rows_batch`.

    What is drawn for a row depends on the seed and the row's key alone.

    Args:
        keys: of the rows; their numbers by default.
        scoring: with `estimator` and `samples` set, see `chosen_estimator`.
        kind: see `score_kind`.

    Raises:
        ValueError: a row has no step map where the states visited are to be scored.
    """
    assert scoring.estimator is not None
    estimator = ESTIMATORS[scoring.estimator]
    width = max(len(row.ids) for row in parts)
    views: list[View] = []
    owners: list[int] = []
    masks, weights = [], []
    for number, row in enumerate(parts):
        answer = _answer(row, spec, estimator.visited)
        ids = torch.tensor(row.ids)
        generator = torch.Generator().manual_seed(derive_seed(seed, "views", number if keys is None else keys[number]))
        for drawn in estimator.draw(answer, scoring, generator):
            for look in drawn.looks:
                hidden = ids.masked_fill(look.hidden, spec.mask_id)
                views.append(
                    View(len(owners), hidden, look.scored, look.weight, spec.attention, ids, row.prompt_length)
                )
            counts = answer.steps >= 0 if estimator.visited else answer.own
            if scoring.estimator == "sandwich":
                counts = drawn.looks[0].scored
            masks.append(_wide(counts, width, False))
            weights.append(None if drawn.loss_weight is None else _wide(drawn.loss_weight, width, 0.0))
            owners.append(number)
    mask = torch.stack(masks)
    rows = [parts[number] for number in owners]
    temperature = torch.stack([_wide(torch.tensor(row.temperature), width, 1.0) for row in rows])
    sampler = torch.stack([_wide(torch.tensor(row.sampler_logprobs), width, 0.0) for row in rows])
    return Batch(
        views=tuple(views),
        mask=mask,
        sampler_logprobs=sampler * mask,
        temperature=torch.where(mask, temperature, 1.0),
        kept={(index, t): ids for index, row in enumerate(rows) for t, ids in row.kept.items()},
        prompt_lengths=torch.tensor([row.prompt_length for row in rows]),
        rollout_index=torch.tensor([rollout_index[number] for number in owners]),
        group_ids=torch.tensor(group_ids),
        rewards=torch.tensor(rewards, dtype=torch.float32),
        kind=kind,
        loss_weights=torch.stack([w for w in weights if w is not None]) if weights[0] is not None else None,
    )


def _answer(row: Row, spec: DiffusionSpec, visited: bool) -> _Answer:
    own = torch.tensor(row.mask)
    prompt = torch.arange(len(own)) < len(own) - row.tail_length
    if row.step_map is None and visited:
        raise ValueError("a row without a step map has no visited states; take another estimator for it")
    steps = torch.full(own.shape, -1) if row.step_map is None else torch.tensor(row.step_map)
    return _Answer(prompt & ~own, own, steps, spec.block_length)


def _wide(values: Tensor, width: int, fill: float | bool) -> Tensor:
    return torch.nn.functional.pad(values, (0, width - len(values)), value=fill)
