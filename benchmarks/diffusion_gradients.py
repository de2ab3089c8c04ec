"""How far is each estimator for masked-diffusion models from the policy gradient? Held against exact enumeration.

    python benchmarks/diffusion_gradients.py --worlds 8 --draws 200

A toy transformer (two layers of 16) writes a canvas of `length` places over `tokens` tokens behind a prompt of one, in
one of six orders, a token a step but for the threshold. Every trace the sampler can take is enumerated with its
probability, which gives the exact gradient of the expected reward, and the expectation of each estimator over
completions; over its own masks (`coupled`, `elbo`, `sandwich`) the expectation is a mean over draws. Views come from
`training.estimators`, losses from the presets' objectives: the code that trains. Advantages are reward minus expected
reward, the ratio is 1.

Rewards are random, 0 or 1, in each world another. `random` networks have random weights, `trained` ones have learned a
random distribution over completions as masked-diffusion models do, so that their conditionals nearly belong to one
distribution.

Each order has a cell: the cosine with the exact gradient, its median over the worlds and (in brackets) the least, and
the median component along it (1 where unbiased). `noise`: the standard deviation of one completion's estimate in units
of the exact gradient's norm, in random order; `passes`: forward passes a completion takes; `error`: the largest
standard error of a cosine (a jackknife over draws).
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from verigrad.algorithms.diffusion_objectives import spg
from verigrad.algorithms.masking import draw_noise, noise_levels, segments_of
from verigrad.algorithms.objectives import ppo_clip, reinforce
from verigrad.algorithms.presets import asks_for, call
from verigrad.algorithms.sequence_objectives import gspo
from verigrad.engines.order import ORDERS
from verigrad.models.base import Batch
from verigrad.models.diffusion import DiffusionSpec, head_bias, hidden_states
from verigrad.models.visibility import Places
from verigrad.training.config import ScoringConfig
from verigrad.training.estimators import ESTIMATORS, drawn_batch
from verigrad.types import Row

__all__ = [
    "ORDER_NAMES",
    "SCORINGS",
    "THRESHOLD",
    "Figures",
    "Scoring",
    "World",
    "expected_reward",
    "main",
    "measure",
    "table",
    "traces",
]

ORDER_NAMES = ("left_to_right", "random", "entropy", "margin", "threshold", "confidence")
THRESHOLD = 0.7  # of the likeliest token of a place; in order `entropy` where no place reaches it
_JACKKNIFE = 10


@dataclass(frozen=True)
class World:
    """A model, who wrote what with which probability, and what it was worth.

    Attributes:
        model: in float64.
        length: places of the canvas; the prompt is token 0.
        tokens: ids that can be written; the next one is the mask.
        rewards: (tokens ** length,) of each completion, the first place most significant.
        logprobs: ((tokens + 1) ** length, length, tokens) of each state, the mask being the last digit; with gradient.
    """

    model: Any
    length: int
    tokens: int
    rewards: Tensor
    logprobs: Tensor

    @classmethod
    def make(cls, seed: int, *, length: int = 3, tokens: int = 3, fit: int = 0) -> World:
        """A random network and random rewards; `fit` steps of training on a random distribution."""
        rng = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = LlamaForCausalLM(
                LlamaConfig(
                    vocab_size=tokens + 1,
                    hidden_size=16,
                    intermediate_size=32,
                    num_hidden_layers=2,
                    num_attention_heads=2,
                    initializer_range=0.4,
                    tie_word_embeddings=False,
                )
            ).double()
        if fit:
            _fit(model, length, tokens, fit, rng)
        rewards = torch.zeros(0)
        while not 0 < rewards.sum() < len(rewards):
            rewards = (torch.rand(tokens**length, generator=rng) < 0.4).double()
        return cls(model, length, tokens, rewards, _table(model, length, tokens))

    @property
    def spec(self) -> DiffusionSpec:
        return _spec(self.tokens)

    @property
    def parameters(self) -> list[Tensor]:
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def state(self, canvas: Sequence[int]) -> int:
        """Number of a canvas of ids."""
        number = 0
        for id_ in canvas:
            number = number * (self.tokens + 1) + id_
        return number

    def completion(self, canvas: Sequence[int]) -> int:
        """Number of a full canvas among the completions."""
        number = 0
        for id_ in canvas:
            number = number * self.tokens + id_
        return number


def _spec(tokens: int) -> DiffusionSpec:
    return DiffusionSpec(
        mask_id=tokens, shift=True, attention="full", block_length=0, pad_policy="fill", pad_id=tokens - 1
    )


def _table(model: Any, length: int, tokens: int) -> Tensor:
    """Log-probabilities of every token at every place in every state."""
    canvases = torch.tensor(list(itertools.product(range(tokens + 1), repeat=length)))
    return _logprobs(model, canvases, tokens)


def _logprobs(model: Any, canvases: Tensor, tokens: int) -> Tensor:
    spec = _spec(tokens)
    ids = torch.cat([torch.zeros(len(canvases), 1, dtype=torch.long), canvases], dim=1)
    states = hidden_states(model, ids, Places.of(torch.ones_like(ids, dtype=torch.bool)), spec, dtype=torch.float64)
    logits = states[:, :-1] @ model.lm_head.weight.T + head_bias(model, spec).double()
    found: Tensor = logits.log_softmax(-1)[..., :tokens]
    return found


def _fit(model: Any, length: int, tokens: int, steps: int, rng: torch.Generator) -> None:
    """Masked-diffusion training on a random distribution over completions."""
    full = torch.tensor(list(itertools.product(range(tokens), repeat=length)))
    chances = (2.0 * torch.randn(len(full), generator=rng)).softmax(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    segments = segments_of(torch.ones(length, dtype=torch.bool))
    for _ in range(steps):
        rows = full[torch.multinomial(chances, 64, replacement=True, generator=rng)]
        noised = [draw_noise(segments, level[None], rng)[0] for level in noise_levels(64, rng)]
        masked, weight = (torch.stack([getattr(one, name) for one in noised]) for name in ("masked", "weight"))
        logprobs = _logprobs(model, rows.masked_fill(masked, tokens), tokens)
        loss = -(weight * logprobs.gather(2, rows[..., None])[..., 0]).sum() / rows.numel()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


# ------------------------------------------------------------------------------------------ what the sampler does


def _moves(world: World, order: str, canvas: Sequence[int]) -> Iterator[tuple[tuple[int, ...], Tensor]]:
    """(canvas after it, probability) of every next step from a canvas; differentiable."""
    places = [place for place, id_ in enumerate(canvas) if id_ == world.tokens]
    chances = world.logprobs[world.state(canvas)][places].exp()
    if order == "confidence":
        found = _contest(places, chances)
    else:
        found = _drawn_at(places, chances, _turns(order, chances.detach()))
    for written, chance in found:
        yield tuple(written.get(place, id_) for place, id_ in enumerate(canvas)), chance


def _turns(order: str, chances: Tensor) -> list[tuple[int, ...]]:
    """The masked places that may be next, one set as likely as another; (M, V) distributions of the proposals."""
    count = len(chances)
    if order == "random":
        return [(place,) for place in range(count)]
    if order == "left_to_right":
        return [(0,)]
    rate = ORDERS["entropy" if order == "threshold" else order]
    first = int(rate(chances, torch.zeros(count, dtype=torch.long)).argmax())
    sure = (chances.max(1).values >= THRESHOLD).nonzero().flatten().tolist() if order == "threshold" else []
    return [tuple(sure or [first])]


def _drawn_at(
    places: Sequence[int], chances: Tensor, turns: Sequence[Sequence[int]]
) -> Iterator[tuple[dict[int, int], Tensor]]:
    for turn in turns:
        for drawn in itertools.product(range(chances.shape[1]), repeat=len(turn)):
            written = {places[index]: token for index, token in zip(turn, drawn, strict=True)}
            yield written, chances[list(turn), list(drawn)].prod() / len(turns)


def _contest(places: Sequence[int], chances: Tensor) -> Iterator[tuple[dict[int, int], Tensor]]:
    """Each place proposes a token, the proposal of highest probability is kept: sums over all sets of proposals."""
    fixed, found = chances.detach().tolist(), dict[tuple[int, int], Tensor]()
    for drawn in itertools.product(range(chances.shape[1]), repeat=len(places)):
        rated = [fixed[index][token] for index, token in enumerate(drawn)]
        winner = rated.index(max(rated))
        together = chances[range(len(places)), list(drawn)].prod()
        key = (places[winner], drawn[winner])
        found[key] = found[key] + together if key in found else together
    for (place, token), chance in found.items():
        yield {place: token}, chance


class _Trace(NamedTuple):
    canvas: tuple[int, ...]
    steps: tuple[int, ...]
    chance: float


def traces(world: World, order: str) -> list[_Trace]:
    """Every way a canvas can come about, with its probability."""
    start = _Trace((world.tokens,) * world.length, (-1,) * world.length, 1.0)
    known: dict[tuple[int, ...], list[tuple[tuple[int, ...], float]]] = {}
    found = [start]
    for step in range(world.length):
        following = [trace for trace in found if world.tokens not in trace.canvas]
        for canvas, steps, chance in found:
            if world.tokens not in canvas:
                continue
            if canvas not in known:
                known[canvas] = [(new, float(own.detach())) for new, own in _moves(world, order, canvas)]
            for new, own in known[canvas]:
                changed = zip(canvas, new, steps, strict=True)
                now = tuple(step if before != after else at for before, after, at in changed)
                following.append(_Trace(new, now, chance * own))
        found = following
    return found


def expected_reward(world: World, order: str) -> Tensor:
    """E[R], differentiable: from full canvases backwards."""
    values: dict[tuple[int, ...], Tensor] = {}
    canvases = list(itertools.product(range(world.tokens + 1), repeat=world.length))
    for canvas in sorted(canvases, key=lambda canvas: canvas.count(world.tokens)):
        if world.tokens not in canvas:
            values[canvas] = world.rewards[world.completion(canvas)]
            continue
        parts = [own * values[new] for new, own in _moves(world, order, canvas)]
        values[canvas] = torch.stack(parts).sum()
    return values[(world.tokens,) * world.length]


# ------------------------------------------------------------------------------------------------ the estimators


@dataclass(frozen=True)
class Scoring:
    """An estimator with its settings, the objective its scores go to, and the orders that it may be trained in."""

    name: str
    settings: ScoringConfig
    objective: Callable[..., Tensor] = reinforce
    orders: tuple[str, ...] = ORDER_NAMES


def _scoring(name: str, estimator: Any, objective: Callable[..., Tensor] = reinforce, **options: Any) -> Scoring:
    orders = ("random",) if estimator == "random_order" else ORDER_NAMES  # refused in any other
    return Scoring(name, ScoringConfig(estimator=estimator, **{"samples": 1, **options}), objective, orders)


SCORINGS = [
    _scoring("trace", "trace", ppo_clip),
    _scoring("trace, shrink 2", "trace", ppo_clip, shrink=2),
    _scoring("random order", "random_order", ppo_clip),
    _scoring("left to right", "left_to_right", ppo_clip),
    _scoring("mean field (diffu-GRPO, wd1)", "mean_field", ppo_clip),
    _scoring("coupled, paper", "coupled", ppo_clip),
    _scoring("coupled, normalised", "coupled", ppo_clip, weighting="normalised"),
    _scoring("coupled, outside the ratio", "coupled", ppo_clip, weighting="outside_ratio"),
    _scoring("ELBO, 2 pairs (ESPO)", "elbo", gspo, samples=2),
    _scoring("sandwich, 2 masks (SPG)", "sandwich", spg, samples=2),
    _scoring("sandwich, 8 masks (SPG)", "sandwich", spg, samples=8),
]


class Figures(NamedTuple):
    """See the columns above."""

    cosine: float
    scale: float
    noise: float
    error: float
    passes: float


@dataclass(frozen=True)
class _Slopes:
    """d log p / d parameters of every entry of the table that is a guess, (E, P); their products (E, E), by which the
    squared length of any mix of them is known; and where each entry is.
    """

    rows: Tensor
    products: Tensor
    index: Tensor

    @classmethod
    def of(cls, world: World) -> _Slopes:
        canvases = torch.tensor(list(itertools.product(range(world.tokens + 1), repeat=world.length)))
        open_ = (canvases == world.tokens)[..., None].expand_as(world.logprobs)
        values = world.logprobs[open_]
        eye = torch.eye(len(values), dtype=torch.float64)
        found = torch.autograd.grad(values, world.parameters, eye, retain_graph=True, is_grads_batched=True)
        index = torch.full(world.logprobs.shape, -1)
        index[open_] = torch.arange(len(values))
        rows = torch.cat([part.flatten(1) for part in found], dim=1)
        return cls(rows, rows @ rows.T, index)


def _rows(world: World, found: Sequence[_Trace]) -> list[Row]:
    nothing = (0.0,) * (world.length + 1)
    mask = (False,) + (True,) * world.length
    heat = (1.0,) * (world.length + 1)
    return [Row((0, *trace.canvas), mask, nothing, heat, {}, 1, (-1, *trace.steps)) for trace in found]


def _drawn(world: World, rows: Sequence[Row], scoring: Scoring, seed: int) -> Batch:
    estimator = ESTIMATORS[scoring.settings.estimator or "trace"]
    numbers = range(len(rows))
    return drawn_batch(
        rows, numbers, list(numbers), [0.0] * len(rows), spec=world.spec, scoring=scoring.settings, kind=estimator.kind,
        seed=seed,
    )  # fmt: skip


class _Scored(NamedTuple):
    """A batch's log-probs (B, T), and what they are made of: (row, token, entry, weight) of each term."""

    logprobs: Tensor
    rows: Tensor
    tokens: Tensor
    entries: Tensor
    weights: Tensor


def _score(world: World, slopes: _Slopes, batch: Batch) -> _Scored:
    """What `models.scoring` computes, out of the table."""
    table, terms = world.logprobs.detach(), []
    for view in batch.views:
        state = world.state(view.input_ids[1:].tolist())
        assert view.clean_ids is not None
        for token in view.scored.nonzero().flatten().tolist():
            weight = float(view.weight[token]) if isinstance(view.weight, Tensor) else view.weight
            terms.append((view.row, token, state, token - 1, int(view.clean_ids[token]), weight))
    rows, tokens, states, places, ids = (torch.tensor([term[at] for term in terms]) for at in range(5))
    weights = torch.tensor([term[5] for term in terms], dtype=torch.float64)
    logprobs = torch.zeros(batch.mask.shape, dtype=torch.float64)
    logprobs.index_put_((rows, tokens), weights * table[states, places, ids], accumulate=True)
    return _Scored(logprobs, rows, tokens, slopes.index[states, places, ids], weights)


def _estimates(slopes: _Slopes, scoring: Scoring, batch: Batch, scored: _Scored, advantages: Tensor) -> Tensor:
    """(N, E) the estimate of the gradient that each completion gives, minus its loss's, as a mix of the slopes."""
    leaves = scored.logprobs.clone().requires_grad_()
    extra = {} if batch.loss_weights is None else {"loss_weights": batch.loss_weights.double()}
    per_token = call(
        scoring.objective,
        logprobs=leaves,
        old_logprobs=scored.logprobs,
        advantages=advantages[batch.rollout_index],
        mask=batch.mask,
        rollout_index=batch.rollout_index,
        **extra,
    )
    if extra and not asks_for(scoring.objective, "loss_weights"):
        per_token = per_token * extra["loss_weights"]
    (grad,) = torch.autograd.grad(per_token.sum(), leaves)
    coefficients = torch.zeros(batch.num_rollouts, len(slopes.rows), dtype=torch.float64)
    owner = batch.rollout_index[scored.rows]
    values = -grad[scored.rows, scored.tokens] * scored.weights
    return coefficients.index_put_((owner, scored.entries), values, accumulate=True)


def measure(world: World, scorings: Sequence[Scoring], orders: Sequence[str], draws: int) -> dict[Any, Figures]:
    """(order, name of the scoring) -> its figures in this world."""
    slopes, found = _Slopes.of(world), {}
    exact, chances, rewards = {}, {}, {}
    for order in orders:
        reward = expected_reward(world, order)
        gradient = torch.autograd.grad(reward, world.parameters, retain_graph=True)
        exact[order] = torch.cat([part.flatten() for part in gradient])
        rewards[order] = float(reward.detach())
        chances[order] = {(trace.canvas, trace.steps): trace.chance for trace in traces(world, order)}
    for scoring in scorings:
        visited = ESTIMATORS[scoring.settings.estimator or "trace"].visited
        own = [order for order in orders if order in scoring.orders]
        for group in [[order] for order in own] if visited else [own]:
            ways = _ways(chances, group, visited)
            rows = _rows(world, ways)
            value = world.rewards[[world.completion(way.canvas) for way in ways]]
            random = scoring.settings.estimator in ("coupled", "elbo", "sandwich")
            sums = {order: _Sums([], []) for order in group}
            for draw in range(draws if random else 1):
                batch = _drawn(world, rows, scoring, draw)
                scored = _score(world, slopes, batch)
                for order in group:
                    chance = _chance(chances[order], ways, visited)
                    each = _estimates(slopes, scoring, batch, scored, value - rewards[order])
                    sums[order].add(chance, each, slopes)
            passes = sum(bool(view.scored.any()) for view in batch.views) / len(rows)
            for order in group:
                found[order, scoring.name] = sums[order].figures(exact[order], passes, slopes)
    return found


def _ways(chances: dict[str, dict[Any, float]], group: Sequence[str], visited: bool) -> list[_Trace]:
    """What is scored: every trace where the estimator goes by it, else every completion."""
    keys = {key if visited else (key[0], (0,) * len(key[0])) for order in group for key in chances[order]}
    return [_Trace(canvas, steps, 0.0) for canvas, steps in sorted(keys)]


def _chance(known: dict[Any, float], ways: Sequence[_Trace], visited: bool) -> Tensor:
    if visited:
        return torch.tensor([known[way.canvas, way.steps] for way in ways], dtype=torch.float64)
    total: dict[tuple[int, ...], float] = {}
    for (canvas, _), chance in known.items():
        total[canvas] = total.get(canvas, 0.0) + chance
    return torch.tensor([total.get(way.canvas, 0.0) for way in ways], dtype=torch.float64)


@dataclass
class _Sums:
    means: list[Tensor]
    squares: list[float]

    def add(self, chance: Tensor, each: Tensor, slopes: _Slopes) -> None:
        self.means.append(chance @ each)
        self.squares.append(float(chance @ ((each @ slopes.products) * each).sum(1)))

    def figures(self, exact: Tensor, passes: float, slopes: _Slopes) -> Figures:
        means = torch.stack(self.means) @ slopes.rows
        mean = means.mean(0)
        variance = max(sum(self.squares) / len(self.squares) - float(mean @ mean), 0.0)
        scale = float(mean @ exact / (exact @ exact))
        return Figures(_cosine(mean, exact), scale, variance**0.5 / float(exact.norm()), _error(means, exact), passes)


def _cosine(one: Tensor, other: Tensor) -> float:
    return float(one @ other / (one.norm() * other.norm()))


def _error(means: Tensor, exact: Tensor) -> float:
    """Standard error of the cosine of the mean: a jackknife over blocks of draws."""
    if len(means) < 2:
        return 0.0
    blocks = means.chunk(_JACKKNIFE)
    total, count = means.sum(0), len(means)
    left = torch.tensor([_cosine((total - block.sum(0)) / (count - len(block)), exact) for block in blocks])
    return float(((len(left) - 1) * left.var(unbiased=False)) ** 0.5)


def table(
    *, worlds: int, draws: int, length: int = 3, tokens: int = 3, fit: int = 0, orders: Sequence[str] = ORDER_NAMES
) -> dict[Any, list[Figures]]:
    """(order, name of the scoring) -> figures of each world."""
    found: dict[Any, list[Figures]] = {}
    for seed in range(worlds):
        world = World.make(seed, length=length, tokens=tokens, fit=fit)
        for key, figures in measure(world, SCORINGS, orders, draws).items():
            found.setdefault(key, []).append(figures)
    return found


def _line(name: str, by_order: Mapping[str, Sequence[Figures]]) -> str:
    """A row of the table: for each order cosine, the least cosine and scale, or a dash; then noise, passes, error."""
    columns = {order: [torch.tensor(column) for column in zip(*own, strict=True)] for order, own in by_order.items()}
    cells = {order: f"{c.median():.3f} ({c.min():.2f}), {s.median():.2f}" for order, (c, s, *_) in columns.items()}
    error = max(float(column[3].max()) for column in columns.values())
    _, _, noise, _, passes = columns["random"]
    told = " | ".join(cells.get(order, "-") for order in ORDER_NAMES)
    return f"| {name} | {told} | {noise.median():.1f} | {passes.mean():.1f} | {error:.3f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=8, help="networks and rewards")
    parser.add_argument("--draws", type=int, default=200, help="draws of masks for each completion")
    parser.add_argument("--length", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=3)
    parser.add_argument("--fit", type=int, default=0, help="steps of training; 0 for random weights")
    options = parser.parse_args()
    found = table(**vars(options))
    columns = ["estimator", *ORDER_NAMES, "noise", "passes", "error"]
    print(f"| {' | '.join(columns)} |\n" + "| --- " * len(columns) + "|")
    for scoring in SCORINGS:
        print(_line(scoring.name, {order: found[order, scoring.name] for order in scoring.orders}))


if __name__ == "__main__":
    main()
