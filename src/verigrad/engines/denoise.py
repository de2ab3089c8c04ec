"""Iterative denoising: a canvas with masked places is filled, some places with each forward pass.

What a row becomes depends on its own canvas, seed and parameters and on the weights; the rest of the batch and padding
change nothing but the rounding of sums. Numbers come from counters keyed by (seed, step, position), never from a
shared generator. The mask token is never proposed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from verigrad.engines.base import SamplingParams
from verigrad.engines.block_cache import BlockCache
from verigrad.engines.denoise_params import DenoiseParams
from verigrad.engines.order import ORDERS, SCHEDULES, chosen_places
from verigrad.engines.sampler import draw, uniform
from verigrad.errors import ConfigError
from verigrad.models.base import View
from verigrad.models.causal import cast_once, plain_model
from verigrad.models.diffusion import DiffusionSpec, head_bias, hidden_states
from verigrad.models.masked import masked_logprobs
from verigrad.models.visibility import Places
from verigrad.seeds import derive_seed

__all__ = ["Denoised", "canvases", "denoise", "doubts", "refine"]

_CHUNK = 64  # places that have logits at one time: few enough that their tables stay in the processor's cache
_POSITIONS = 1 << 20  # more than a row has; keeps the counters of different steps apart
_ORDER_STREAM = 1 << 50  # random orders count from here, apart from proposals


@dataclass(frozen=True)
class Denoised:
    """A filled canvas and how it came about.

    Attributes:
        ids: (B, L).
        step_map: (B, L) the row's step, from 0, in which each place was revealed (the last time); -1 where it was
            given, or left to padding behind an end.
        logprobs: (B, L) of each revealed token under the distribution it was drawn from when it was revealed; 0
            elsewhere.
        passes: (B,) forward passes that revealed something of the row.
        forwards: forward passes of the batch, those that put finished blocks into the cache included.
        kept: (row, column) -> ids that drawing was restricted to, where it was truncated and asked for.
    """

    ids: Tensor
    step_map: Tensor
    logprobs: Tensor
    passes: Tensor
    forwards: int
    kept: dict[tuple[int, int], tuple[int, ...]]


def canvases(
    rows: Sequence[Sequence[int]], spec: DiffusionSpec, prompt_lengths: Sequence[int] | None = None
) -> tuple[Tensor, Tensor]:
    """Pad rows that hold the mask id to one width: (B, L) ids and (B, L) bool, True where they are real.

    For block attention rows are padded on the left by whole blocks, so that the first blocks to fill stand in the
    same columns, and on the right up to a whole block; for prefix attention on the left, so that canvases begin in the
    same column.

    Args:
        prompt_lengths: tokens of each row before its canvas; by default those before its first masked place.
    """
    block = spec.block_length or 1
    before = [row.index(spec.mask_id) if spec.mask_id in row else 0 for row in map(list, rows)]
    if spec.attention == "prefix":
        first = list(before if prompt_lengths is None else prompt_lengths)
    else:
        first = [own // block for own in before]
    aligned = spec.attention in ("block", "prefix")
    left = [(max(first) - own) * block if aligned else 0 for own in first]
    width = -(-max(pad + len(row) for pad, row in zip(left, rows, strict=True)) // block) * block
    ids = torch.full((len(rows), width), spec.pad_id)
    real = torch.zeros(len(rows), width, dtype=torch.bool)
    for index, (pad, row) in enumerate(zip(left, rows, strict=True)):
        ids[index, pad : pad + len(row)] = torch.tensor(row)
        real[index, pad : pad + len(row)] = True
    return ids, real


def denoise(
    model: Any,
    canvas: Tensor,
    spec: DiffusionSpec,
    params: DenoiseParams,
    *,
    sampling: Sequence[SamplingParams],
    seeds: Sequence[int],
    real: Tensor | None = None,
    prompt_lengths: Sequence[int] | None = None,
    end_ids: frozenset[int] = frozenset(),
    use_cache: bool = True,
    dtype: torch.dtype = torch.float32,
) -> Denoised:
    """Fill the places of `canvas` (B, L) that hold the mask id; all others are context, before, between and behind.

    Args:
        sampling: temperature and truncation of each row.
        seeds: of each row.
        real: (B, L) bool, False for padding; see `canvases`.
        prompt_lengths: tokens of each row before its canvas, for prefix attention; by default those before its first
            masked place.
        end_ids: once one is revealed with nothing masked before it, the rest of the row is padding. Leave it empty for
            infilling.
        use_cache: keep keys and values of finished blocks, for block attention, and of the prompt, for prefix
            attention.

    Raises:
        ConfigError: more steps than masked places, or a sampler's block length on a model of block attention.
        ValueError: a first token is masked for a model with shift, or columns of a block model, or those where
            canvases of a prefix model begin, are not aligned.
    """
    canvas = canvas.clone()
    real = torch.ones_like(canvas, dtype=torch.bool) if real is None else real
    masked = (canvas == spec.mask_id) & real
    places = Places.of(real)
    if spec.attention == "prefix":
        places = replace(places, noisy=_canvas_places(places, masked, spec, prompt_lengths))
    _check(masked, places, spec, params)
    filling = _Filling(model, canvas, places, masked, spec, params, sampling, seeds, end_ids, use_cache, dtype)
    windows = _windows(masked, spec, params)
    with cast_once(model, dtype), torch.inference_mode():
        for number, passes in enumerate(_passes(windows, params.steps).unbind(1)):
            filling.fill(windows == number, passes)
    return filling.result()


def _check(masked: Tensor, places: Places, spec: DiffusionSpec, params: DenoiseParams) -> None:
    params.check_places(int(masked.sum(1).max()))
    if spec.shift and bool((masked & (places.positions == 0)).any()):
        raise ValueError("the first token of a row is masked, which a model with shift cannot predict; give a prompt")
    if spec.attention == "prefix":
        _check_prompts(masked, places)
    if spec.attention != "block":
        return
    if params.block_length not in (0, spec.block_length):
        raise ConfigError(
            f"block_length {params.block_length} for a model whose own blocks have {spec.block_length} positions; "
            "leave it 0"
        )
    columns = torch.arange(masked.shape[1]) % spec.block_length
    if bool(((places.positions % spec.block_length != columns) & places.real).any()):
        raise ValueError("blocks of the rows do not begin in the same columns; pad the rows with `canvases`")


def _check_prompts(masked: Tensor, places: Places) -> None:
    if bool((masked & ~places.noisy).any()):
        raise ValueError("a place of a prompt is masked; its attention was read for given prompts only")
    if bool((places.noisy.any(0) & (~places.noisy & places.real).any(0)).any()):
        raise ValueError("canvases do not begin in the same column; pad the rows with `canvases`")


def _canvas_places(places: Places, masked: Tensor, spec: DiffusionSpec, prompt_lengths: Sequence[int] | None) -> Tensor:
    """(B, L) bool, the places that see all of their row, for prefix attention."""
    if prompt_lengths is None:
        prompt_lengths = _prompts_before(masked, places.real)
    starts = torch.tensor([spec.prefix_length(length) for length in prompt_lengths])
    return (places.positions >= starts[:, None]) & places.real


def _prompts_before(marked: Tensor, real: Tensor | None) -> list[int]:
    """Real places of each row before its first marked one, (B, L); all of them where none is marked."""
    real = torch.ones_like(marked) if real is None else real
    return (real & (marked.cumsum(1) == 0)).sum(1).tolist()


def _windows(masked: Tensor, spec: DiffusionSpec, params: DenoiseParams) -> Tensor:
    """(B, L) number of the window each masked place is filled in, -1 elsewhere."""
    columns = torch.arange(masked.shape[1]).expand_as(masked)
    if spec.attention == "block":
        number = columns // spec.block_length
    elif params.block_length:
        first = torch.where(masked, columns, masked.shape[1]).amin(1, keepdim=True)
        number = (columns - first).clamp(min=0) // params.block_length
    else:
        number = torch.zeros_like(columns)
    return torch.where(masked, number, -1)


def _passes(windows: Tensor, steps: int) -> Tensor:
    """(B, N) passes for each of a row's N windows, of which (B, L) has the numbers: one for each that has places, and
    what `steps` has left spread evenly over their other places; with 0 one for each place.

    >>> _passes(torch.tensor([[-1, 0, 0, 1, 1, 1, 1, 2]]), 5).tolist()
    [[1, 3, 1]]
    """
    counts = torch.zeros(len(windows), int(windows.max()) + 2, dtype=torch.long)
    counts = counts.scatter_add(1, windows + 1, torch.ones_like(windows))[:, 1:]
    if not steps:
        return counts
    first = counts.clamp(max=1)
    others = (counts - first).cumsum(1)
    spare = torch.minimum((steps - first.sum(1, keepdim=True)).clamp(min=0), others[:, -1:])
    given = others * spare // others[:, -1:].clamp(min=1)
    return first + given.diff(dim=1, prepend=torch.zeros_like(spare))


class _Filling:
    """The state of a batch that is being filled."""

    def __init__(
        self,
        model: Any,
        ids: Tensor,
        places: Places,
        masked: Tensor,
        spec: DiffusionSpec,
        params: DenoiseParams,
        sampling: Sequence[SamplingParams],
        seeds: Sequence[int],
        end_ids: frozenset[int],
        use_cache: bool,
        dtype: torch.dtype,
    ) -> None:
        self._spec, self._params = spec, params
        self._sampling, self._seeds = sampling, seeds
        self._ids, self._masked, self._places = ids, masked, places
        self._wanted = masked.clone()
        self._ends = torch.tensor(sorted(end_ids), dtype=torch.long)
        self._clock = torch.zeros(len(ids), dtype=torch.long)
        self._step_map = torch.full_like(ids, -1)
        self._logprobs = torch.zeros(ids.shape)
        self._passes = torch.zeros(len(ids), dtype=torch.long)
        self._kept: dict[tuple[int, int], tuple[int, ...]] = {}
        self._head = _Head(model, spec, dtype)
        run = _CachedRun if use_cache and spec.attention in ("block", "prefix") else _PlainRun
        self._run = run(model, places, spec, dtype)

    def result(self) -> Denoised:
        return Denoised(self._ids, self._step_map, self._logprobs, self._passes, self._run.forwards, self._kept)

    def fill(self, window: Tensor, passes: Tensor) -> None:
        """Reveal a window's masked places (B, L) in `passes` (B,), then as often as asked mask the least probable and
        fill again, as many with each pass."""
        self._fill_once(window, passes)
        for _ in range(self._params.remask_rounds):
            filled = window & (self._step_map >= 0)
            counts = (filled.sum(1) * self._params.remask_share).ceil().long()
            again = chosen_places(-self._logprobs, filled, counts)
            self._masked |= again
            self._ids[again] = self._spec.mask_id
            self._fill_once(window, (counts * passes / window.sum(1).clamp(min=1)).ceil().long())

    def _fill_once(self, window: Tensor, passes: Tensor) -> None:
        if not bool((window & self._masked).any()):
            return
        columns = (window & self._masked).any(0).nonzero().flatten()
        start, stop = self._span(int(columns[0]), int(columns[-1]) + 1)
        at_start = (window & self._masked).sum(1)
        step = 0
        while bool((window & self._masked).any()):
            open_ = (window & self._masked)[:, start:stop]
            counts = self._counts(step, passes.tolist(), at_start, open_.sum(1))
            if bool((counts > 0).any()):
                self._reveal(open_, counts, start)
            self._clock += open_.any(1)
            self._finish()
            step += 1

    def _span(self, start: int, stop: int) -> tuple[int, int]:
        """The columns a pass must give the predictions of: those of the window, its whole block, or all canvases."""
        if self._spec.attention == "prefix":
            return int(self._places.noisy.any(0).long().argmax()), self._places.noisy.shape[1]
        if self._spec.attention != "block":
            return start, stop
        block = self._spec.block_length
        return start // block * block, -(-stop // block) * block

    def _counts(self, step: int, steps: Sequence[int], at_start: Tensor, left: Tensor) -> Tensor:
        """(B,) tokens to reveal now; at least one where a threshold decides."""
        if self._params.schedule == "threshold":
            return left.clamp(max=1)
        schedule = SCHEDULES[self._params.schedule]
        rows = zip(steps, at_start.tolist(), left.tolist(), strict=True)
        return torch.tensor([min(now, schedule(step, n, total, now)) if now else 0 for n, total, now in rows])

    def _reveal(self, open_: Tensor, counts: Tensor, start: int) -> None:
        """One forward pass: propose tokens for the open places (B, W) and keep those the order puts first.

        Rows of which nothing is to be revealed are left out of it, so that a batch costs what its rows need and not
        what the slowest needs for all. An order that looks at no proposal chooses before there are any: then those it
        does not take are not made, unless a threshold asks how sure they are.
        """
        running = (counts > 0).nonzero().flatten()
        states = self._run.predictors(self._ids, start, start + open_.shape[1], running)
        by_threshold = self._params.schedule == "threshold"
        chosen = self._chosen_blindly(open_, counts, start)
        numbers, columns = (open_ if chosen is None or by_threshold else chosen)[running].nonzero().unbind(1)
        rows = running[numbers]
        proposed = self._head.propose(
            states[numbers.to(states.device), columns.to(states.device)],
            [self._sampling[row] for row in rows.tolist()],
            self._numbers(rows, columns + start),
            self._params,
        )
        if chosen is None:
            chosen = chosen_places(torch.zeros(open_.shape).index_put((rows, columns), proposed.scores), open_, counts)
        taken = chosen[rows, columns]
        if by_threshold:  # the first in order only where no place of its row is sure
            sure = proposed.surety >= self._params.threshold
            some = torch.zeros(len(open_)).index_add(0, rows, sure.float()) > 0
            taken = torch.where(some[rows], sure, taken)
        self._write(rows, columns + start, proposed, taken)
        self._passes += counts > 0

    def _write(self, rows: Tensor, columns: Tensor, proposed: _Proposed, taken: Tensor) -> None:
        """Put what was `taken` (S,) bool of what was proposed for places in its place."""
        where = (rows[taken], columns[taken])
        self._ids[where] = proposed.ids[taken]
        self._logprobs[where] = proposed.logprobs[taken]
        self._step_map[where] = self._clock[where[0]]
        self._masked[where] = False
        for row, column, kept, own in zip(rows.tolist(), columns.tolist(), proposed.kept, taken.tolist(), strict=True):
            if own and kept is not None:
                self._kept[row, column] = kept

    def _chosen_blindly(self, open_: Tensor, counts: Tensor, start: int) -> Tensor | None:
        """(B, W) bool, what an order puts first that looks at no proposal; None for the orders that do."""
        if self._params.order in ORDERS:
            return None
        rows, columns = open_.nonzero().unbind(1)
        random = self._params.order == "random"
        ranks = self._numbers(rows, columns + start, _ORDER_STREAM) if random else -columns
        return chosen_places(torch.zeros(open_.shape).index_put((rows, columns), ranks.float()), open_, counts)

    def _numbers(self, rows: Tensor, columns: Tensor, stream: int = 0) -> Tensor:
        """(S,) numbers in [0, 1) for places in this step of their rows."""
        index = stream + self._clock[rows] * _POSITIONS + self._places.positions[rows, columns]
        return uniform([self._seeds[row] for row in rows.tolist()], index.tolist())

    def _finish(self) -> None:
        """Rows with an end and nothing masked before it: what is still masked behind it becomes padding."""
        if not len(self._ends):
            return
        at_end = torch.isin(self._ids, self._ends) & self._wanted & ~self._masked
        columns = torch.arange(self._ids.shape[1]).expand_as(self._ids)
        end = torch.where(at_end, columns, self._ids.shape[1]).amin(1)
        first_masked = torch.where(self._masked, columns, self._ids.shape[1]).amin(1)
        behind = self._masked & (end < first_masked)[:, None]
        self._ids[behind] = self._spec.pad_id
        self._masked &= ~behind


@dataclass
class _Proposed:
    """Tokens proposed for S places; `surety` is the probability of the likeliest one, whatever was drawn."""

    kept: list[tuple[int, ...] | None]
    ids: Tensor
    logprobs: Tensor
    surety: Tensor
    scores: Tensor

    @classmethod
    def joined(cls, parts: Sequence[_Proposed]) -> _Proposed:
        kept = [kept for part in parts for kept in part.kept]
        names = ("ids", "logprobs", "surety", "scores")
        return cls(kept, *(torch.cat([getattr(part, name) for part in parts]) for name in names))


class _Head:
    """From states to proposals, some places at a time."""

    def __init__(self, model: Any, spec: DiffusionSpec, dtype: torch.dtype) -> None:
        self._weight = plain_model(model).get_output_embeddings().weight.to(dtype)
        self._bias = head_bias(model, spec)
        self._dtype = dtype

    def propose(
        self, states: Tensor, sampling: Sequence[SamplingParams], numbers: Tensor, params: DenoiseParams
    ) -> _Proposed:
        """(S, H) states and (S,) uniform numbers -> what is drawn, and how the order rates it."""
        parts = []
        for start in range(0, len(states), _CHUNK):
            part = slice(start, start + _CHUNK)
            parts.append(self._propose(states[part], sampling[part], numbers[part], params))
        return _Proposed.joined(parts)

    def _propose(
        self, states: Tensor, sampling: Sequence[SamplingParams], numbers: Tensor, params: DenoiseParams
    ) -> _Proposed:
        logits = (states.to(self._dtype) @ self._weight.T).float().add_(self._bias)
        drawn = draw(logits, sampling, numbers)
        ids = torch.tensor(drawn.ids, device=logits.device)
        probabilities = drawn.probabilities
        if not _drawn_from_what_is_rated(sampling, params):
            heat = [own.temperature or 1.0 if params.order_uses_temperature else 1.0 for own in sampling]
            probabilities = torch.softmax(logits / torch.tensor(heat, device=logits.device)[:, None], dim=-1)
        surety = probabilities.max(dim=1).values
        rate = ORDERS.get(params.order)  # the others do not look at the distributions
        scores = rate(probabilities, ids) if rate else surety
        return _Proposed(drawn.kept, ids.cpu(), torch.tensor(drawn.logprobs), surety.cpu(), scores.cpu())


def _drawn_from_what_is_rated(sampling: Sequence[SamplingParams], params: DenoiseParams) -> bool:
    """Whether tokens are drawn from the distributions that the order looks at: without truncation, and at temperature
    1 where it does not use theirs."""
    same_heat = params.order_uses_temperature or all(own.temperature in (0, 1) for own in sampling)
    return same_heat and not any(own.truncated for own in sampling)


class _PlainRun:
    """Runs all that the places of a window may see, each time."""

    def __init__(self, model: Any, places: Places, spec: DiffusionSpec, dtype: torch.dtype) -> None:
        self.forwards = 0
        self._model, self._spec, self._dtype = model, spec, dtype
        self._device = next(model.parameters()).device
        self._places = Places(*(x.to(self._device) for x in (places.positions, places.real, places.noisy)))

    def predictors(self, ids: Tensor, start: int, stop: int, rows: Tensor) -> Tensor:
        """(R, stop - start, H) states whose output predicts the columns from `start` to `stop` of these rows (R,)."""
        seen = stop if self._spec.attention == "block" else ids.shape[1]
        states = self._states(ids, 0, seen, rows)
        columns = torch.arange(start, stop) - int(self._spec.shift)
        return states[:, columns.clamp(min=0)]

    def _states(self, ids: Tensor, start: int, stop: int, rows: Tensor, cache: BlockCache | None = None) -> Tensor:
        self.forwards += 1
        rows = rows.to(self._device)
        places = self._places.rows(rows)
        return hidden_states(
            self._model,
            ids[:, start:stop].to(self._device)[rows],
            places.columns(start, stop),
            self._spec,
            keys=places.columns(0, stop),
            cache=cache,
            dtype=self._dtype,
        )


class _CachedRun(_PlainRun):
    """Runs the window's block, or the canvas, alone, behind the keys and values of what stands before it."""

    def __init__(self, model: Any, places: Places, spec: DiffusionSpec, dtype: torch.dtype) -> None:
        super().__init__(model, places, spec, dtype)
        self._cache = BlockCache(places.real.shape[1])
        self._last: Tensor | None = None  # (B, 1, H) of the last finished column, which predicts the next with a shift

    def predictors(self, ids: Tensor, start: int, stop: int, rows: Tensor) -> Tensor:
        if self._cache.length < start:
            self._keep(ids, start)
        cache = self._cache if len(rows) == len(ids) else self._cache.rows(rows.to(self._device))
        states = self._states(ids, start, stop, rows, cache)
        if not self._spec.shift:
            return states
        before = states[:, :1] if self._last is None else self._last[rows.to(self._device)]
        return torch.cat([before, states[:, :-1]], dim=1)

    def _keep(self, ids: Tensor, stop: int) -> None:
        """Keep keys and values of the columns up to `stop`. Prompts that rows share, as a group's do, are run once."""
        if self._cache.length:
            self._last = self._states(ids, self._cache.length, stop, torch.arange(len(ids)), self._cache)[:, -1:]
            self._cache.length = stop
            return
        rows, of_row = _distinct(ids[:, :stop].to(self._device), self._places.real[:, :stop])
        cache = BlockCache(self._places.real.shape[1])  # where the first block was filled, the other has room for B
        self._last = self._states(ids, 0, stop, rows, cache)[of_row, -1:]
        cache.length = stop
        self._cache = cache.rows(of_row)


def _distinct(ids: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """The first of each kind of row of two (B, L), and for each of the B rows the number of its kind."""
    _, of_row = torch.unique(torch.cat([ids, real.long()], dim=1), dim=0, return_inverse=True)
    numbers = torch.arange(len(ids), device=ids.device)
    first = torch.full((int(of_row.max()) + 1,), len(ids), device=ids.device)
    return first.scatter_reduce(0, of_row, numbers, "amin"), of_row


def doubts(
    model: Any,
    ids: Tensor,
    editable: Tensor,
    spec: DiffusionSpec,
    *,
    real: Tensor | None = None,
    prompt_lengths: Sequence[int] | None = None,
    groups: int = 4,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """(B, L) log-probability of each editable token when it and every `groups`-th editable token are masked; 0
    elsewhere.

    A pseudo-likelihood: each token is scored once, given what is left of the rest of its row. It takes `groups` views
    a row.

    Args:
        prompt_lengths: tokens of each row before its canvas; by default those before its first editable one.
    """
    real = torch.ones_like(editable) if real is None else real
    prompts = _prompts_before(editable, real) if prompt_lengths is None else prompt_lengths
    views = []
    for row in range(len(ids)):
        clean, open_ = ids[row][real[row]], editable[row][real[row]]
        number = torch.where(open_, open_.long().cumsum(0) - 1, -1)
        for group in range(groups):
            hidden = open_ & (number % groups == group)
            noisy = clean.masked_fill(hidden, spec.mask_id)
            views.append(
                View(row, noisy, hidden, attention=spec.attention, clean_ids=clean, prompt_length=prompts[row])
            )
    scores = masked_logprobs(model, views, spec, (len(ids), ids.shape[1]), "surrogate", dtype=dtype)
    found = torch.zeros(ids.shape)
    for row in range(len(ids)):
        found[row, real[row]] = scores.values[row, : int(real[row].sum())]
    return found


def refine(
    model: Any,
    ids: Tensor,
    editable: Tensor,
    spec: DiffusionSpec,
    params: DenoiseParams,
    *,
    sampling: Sequence[SamplingParams],
    seeds: Sequence[int],
    real: Tensor | None = None,
    prompt_lengths: Sequence[int] | None = None,
    rounds: int = 4,
    share: float = 0.25,
    groups: int = 4,
    dtype: torch.dtype = torch.float32,
) -> list[Denoised]:
    """Revise filled rows (B, L): in each round the `share` of the editable tokens that the model doubts most is
    masked and filled again; returns every round's result, the last one last.

    Args:
        editable: (B, L) bool, the tokens that may change.
        prompt_lengths: see `doubts`.
        groups: see `doubts`.
    """
    found: list[Denoised] = []
    prompt_lengths = _prompts_before(editable, real) if prompt_lengths is None else prompt_lengths
    for number in range(rounds):
        doubt = doubts(model, ids, editable, spec, real=real, prompt_lengths=prompt_lengths, groups=groups, dtype=dtype)
        counts = (editable.sum(1) * share).ceil().long()
        canvas = ids.masked_fill(chosen_places(-doubt, editable, counts), spec.mask_id)
        fresh = [derive_seed(seed, "refine", number) for seed in seeds]
        found.append(
            denoise(
                model,
                canvas,
                spec,
                params,
                sampling=sampling,
                seeds=fresh,
                real=real,
                prompt_lengths=prompt_lengths,
                dtype=dtype,
            )
        )
        ids = found[-1].ids
    return found
