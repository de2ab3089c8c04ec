"""The engine of masked-diffusion models: requests that arrive together are denoised together.

A prompt gets a canvas of masked places behind it, as long as the completion may become; what the model writes up to its
first end is the completion. The log-probs it reports are those at which tokens were revealed, and `step_map` says when.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from verigrad.engines.base import Completion, Request
from verigrad.engines.denoise import Denoised, canvases, denoise
from verigrad.engines.denoise_params import DenoiseParams
from verigrad.engines.stopping import Stopping
from verigrad.errors import ConfigError, EngineError
from verigrad.models.chat import end_ids_of
from verigrad.models.diffusion import DiffusionSpec, checked_spec
from verigrad.types import Tail

__all__ = ["DenoiseEngine", "check_room", "longest_row"]


def longest_row(model: Any, spec: DiffusionSpec | None, max_length: int | None) -> int:
    """Tokens of prompt and completion at most: as many as asked for and as the model has positions, in whole blocks
    where a diffusion model's canvas is made of them."""
    limit: int = model.config.max_position_embeddings
    longest = limit if max_length is None else min(max_length, limit)
    if spec is None or spec.canvas_length(longest) == longest:
        return longest
    return longest - longest % spec.block_length


def check_room(prompt: int, longest: int, whose: str = "the prompt") -> None:
    """Raise a ConfigError where a prompt of so many tokens leaves no place in a row of `longest_row` tokens."""
    if prompt >= longest:
        raise ConfigError(
            f"{whose} has {prompt} tokens, and prompt and canvas have {longest} together: no place is left to write "
            "in; shorten the prompt, or raise max_length, up to the positions that the model has"
        )


@dataclass(frozen=True)
class _Job:
    request: Request
    room: int
    future: asyncio.Future[Any]


@dataclass(frozen=True)
class _Update:
    policy: str
    version: int
    named_tensors: Iterable[tuple[str, Tensor]]
    future: asyncio.Future[Any]


class DenoiseEngine:
    """Generates with a copy of a masked-diffusion model.

    A completion depends on its request, the parameters and the weights; the rest of the batch changes only the rounding
    of sums, which can decide between places that are almost equally sure.

    Args:
        model: a masked-diffusion model (`verigrad.models.diffusion`); copied, not kept.
        tokenizer: for stop texts and `Completion.text`.
        params: how a canvas is filled. `steps` counts for a canvas of `max_tokens`.
        dtype: to compute in; the weights stay as they are.
        device: None takes a GPU where there is one.
        max_slots: canvases filled at once.
        max_length: of prompt and completion together, whole blocks of it where a canvas is made of them; the model's
            own limit where that is smaller, or for None.
        end_ids: ids that end a completion; None takes the tokenizer's, the template's and the generation config's.

    Raises:
        ConfigError: the model does not say that it is a masked-diffusion model, or not all of what it is, or names a
            mask that the tokenizer uses; `max_length` is less than a block.
    """

    exact: bool = True

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        params: DenoiseParams | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
        max_slots: int = 64,
        max_length: int | None = None,
        end_ids: tuple[int, ...] | None = None,
    ) -> None:
        self._spec = checked_spec(model, tokenizer)
        self._params = params or DenoiseParams()
        self._dtype, self._max_slots = dtype, max_slots
        place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._models = {"base": copy.deepcopy(model).to(place).eval().requires_grad_(False)}
        self._versions = {"base": 0}
        self._max_length = longest_row(model, self._spec, max_length)
        if not self._max_length:
            raise ConfigError(f"max_length is {max_length}; wanted at least a block, of {self._spec.block_length}")
        self._end_ids = end_ids_of(model, tokenizer) if end_ids is None else frozenset(end_ids)
        self._stopping = Stopping(tokenizer, self._end_ids)
        self._waiting: list[_Job | _Update] = []
        self._running: asyncio.Task[None] | None = None
        self._counts = dict.fromkeys(("forwards", "passes", "completion_tokens"), 0)
        self._closed = False

    @property
    def counts(self) -> dict[str, int]:
        """`forwards` run, `passes` that revealed something of a completion, and `completion_tokens`, so far."""
        return dict(self._counts)

    async def sample(self, request: Request) -> Completion:
        """Join the next batch; return when the canvas is filled.

        A prompt that leaves less room than `max_tokens` has a shorter canvas; filled to its end, the completion has
        `context_overflow`, and so has the empty one of a prompt that leaves no place.

        Raises:
            ConfigError: a sampling parameter is out of range, or the canvas has fewer places than there are steps.
            EngineError: generation failed, the policy is unknown, or the engine is closed.
        """
        self._check(request)
        room = min(request.params.max_tokens, self._max_length - len(request.prompt_ids))
        if room < 1:
            version = self._versions.get(request.policy, 0)  # of a policy whose first weights are on their way
            return Completion(
                ids=(), sampler_logprobs=(), text="", stop_reason="context_overflow", policy_version=version
            )
        job = _Job(request, room, asyncio.get_running_loop().create_future())
        completion: Completion = await self._submit(job)
        return completion

    async def update_weights(self, policy: str, version: int, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
        """Replace the weights of `policy` by full tensors under their Hugging Face names, after the requests made
        before.

        A policy not seen before is added, as a copy of `base`.

        Raises:
            EngineError: a name or shape does not fit, or the iterator failed.
        """
        if self._closed:
            raise EngineError("the engine is closed")
        await self._submit(_Update(policy, version, named_tensors, asyncio.get_running_loop().create_future()))

    async def close(self) -> None:
        """Let go of the weights; requests in flight fail."""
        self._closed = True
        if self._running is not None:
            await self._running
        self._models.clear()

    def _check(self, request: Request) -> None:
        if self._closed:
            raise EngineError("the engine is closed")
        params = request.params
        known = self._models.keys() | {ticket.policy for ticket in self._waiting if isinstance(ticket, _Update)}
        if request.policy not in known:
            raise EngineError(f"no weights for policy {request.policy!r}; ready: {', '.join(sorted(known))}")
        if not request.prompt_ids:
            raise ConfigError("prompt_ids are empty; a diffusion model fills a canvas behind a prompt of ids")
        if self._spec.mask_id in request.prompt_ids:
            raise ConfigError(f"the prompt holds the mask id {self._spec.mask_id}; `denoise` fills places in a text")
        self._params.check_places(params.max_tokens, "max_tokens")
        if params.max_tokens < 1 or params.temperature < 0 or params.top_k < 0 or not 0 < params.top_p <= 1:
            raise ConfigError(f"{params}; wanted max_tokens >= 1, temperature >= 0, top_k >= 0 and top_p in (0, 1]")
        self._stopping.check(params.stop)

    async def _submit(self, ticket: _Job | _Update) -> Any:
        self._waiting.append(ticket)
        # The batch begins when the tasks that are ready now have run, so that those asked together start together.
        asyncio.get_running_loop().call_soon(self._start)
        return await ticket.future

    def _start(self) -> None:
        if self._running is None and self._waiting:
            self._running = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        """Batch after batch until nobody waits."""
        try:
            while self._waiting:
                batch = self._next()
                try:
                    if self._closed:
                        raise EngineError("the engine is closed")
                    results = await asyncio.to_thread(self._serve, batch)
                except Exception as error:
                    _fail(batch, error)
                    continue
                for ticket, result in zip(batch, results, strict=True):
                    if not ticket.future.done():
                        ticket.future.set_result(result)
        finally:
            self._running = None

    def _next(self) -> list[_Job | _Update]:
        """The first that waits, with those behind it that can go along: jobs of one policy, up to the next update."""
        first = self._waiting[0]
        if isinstance(first, _Update):
            return [self._waiting.pop(0)]
        batch: list[_Job | _Update] = []
        for ticket in self._waiting:
            if isinstance(ticket, _Update) or len(batch) == self._max_slots:
                break
            if ticket.request.policy == first.request.policy:
                batch.append(ticket)
        self._waiting = [ticket for ticket in self._waiting if ticket not in batch]
        return batch

    def _serve(self, batch: Sequence[_Job | _Update]) -> list[Any]:
        torch.get_num_threads()  # makes this thread take over the process's number of threads
        if isinstance(batch[0], _Update):
            self._load(batch[0])
            return [None]
        return self._fill([ticket for ticket in batch if isinstance(ticket, _Job)])

    def _load(self, update: _Update) -> None:
        base = self._models["base"]
        model = self._models.get(update.policy) or copy.deepcopy(base)
        parameters = dict(model.named_parameters())
        fresh = {}
        for name, tensor in update.named_tensors:
            if name not in parameters or parameters[name].shape != tensor.shape:
                raise EngineError(f"no tensor {name!r} of shape {tuple(tensor.shape)} in this model")
            fresh[name] = tensor.to(parameters[name], copy=True)
        for name, tensor in fresh.items():
            parameters[name].data.copy_(tensor)
        self._models[update.policy], self._versions[update.policy] = model, update.version

    def _fill(self, jobs: Sequence[_Job]) -> list[Completion]:
        rows = [self._canvas(job) for job in jobs]
        prompts = [len(job.request.prompt_ids) for job in jobs]
        ids, real = canvases(rows, self._spec, prompts)
        policy = jobs[0].request.policy
        # Prompts can leave less room than max_tokens; such canvases take a step for each place.
        steps = min(self._params.steps, max(len(row) - prompt for row, prompt in zip(rows, prompts, strict=True)))
        found = denoise(
            self._models[policy],
            ids,
            self._spec,
            replace(self._params, steps=steps),
            sampling=[job.request.params for job in jobs],
            seeds=[job.request.seed for job in jobs],
            real=real,
            prompt_lengths=prompts,
            end_ids=self._end_ids,  # stop ids are a single request's, and cut its completion afterwards
            dtype=self._dtype,
        )
        self._counts["forwards"] += found.forwards
        self._counts["passes"] += int(found.passes.sum())
        starts = [int(real[row].long().argmax()) + prompt for row, prompt in enumerate(prompts)]
        return [self._completion(found, row, starts[row], job) for row, job in enumerate(jobs)]

    def _canvas(self, job: _Job) -> list[int]:
        """The prompt and its masked places, up to the end of a block where training filled blocks too."""
        prompt = job.request.prompt_ids
        total = self._spec.canvas_length(len(prompt) + job.room)
        return [*prompt, *[self._spec.mask_id] * (total - len(prompt))]

    def _completion(self, found: Denoised, row: int, start: int, job: _Job) -> Completion:
        written = found.ids[row, start : start + job.room].tolist()
        ids, reason = written, self._stopping.reason(written, job.request, job.room)
        for length in range(1, len(written) + 1):
            if (reason := self._stopping.reason(written[:length], job.request, job.room)) is not None:
                ids = written[:length]
                break
        assert reason is not None  # a full canvas ends by its length
        end = start + len(self._canvas(job)) - len(job.request.prompt_ids)
        kept = tuple(found.kept[row, start + at] for at in range(len(ids)) if (row, start + at) in found.kept)
        self._counts["completion_tokens"] += len(ids)
        return Completion(
            ids=tuple(ids),
            sampler_logprobs=tuple(found.logprobs[row, start : start + len(ids)].tolist()),
            text=self._stopping.text(ids, job.request),
            stop_reason=reason,
            kept=kept or None,
            policy_version=self._versions[job.request.policy],
            step_map=tuple(found.step_map[row, start : start + len(ids)].tolist()),
            passes=int(found.passes[row]),
            tail=Tail(
                ids=tuple(found.ids[row, start + len(ids) : end].tolist()),
                step_map=tuple(found.step_map[row, start + len(ids) : end].tolist()),
                logprobs=tuple(found.logprobs[row, start + len(ids) : end].tolist()),
            ),
        )


def _fail(batch: Sequence[_Job | _Update], error: Exception) -> None:
    known = isinstance(error, EngineError | ConfigError)
    failure = error if known else EngineError(f"generation failed: {type(error).__name__}: {error}")
    for ticket in batch:
        if not ticket.future.done():
            ticket.future.set_exception(failure)
