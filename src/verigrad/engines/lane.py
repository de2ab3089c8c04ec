"""The running batch of one policy: who is in which slot, what one step does.

Job i of a step sits in slot i, so finished jobs cost nothing: freed slots are refilled, or closed by moving the
last job down. A slot remembers whose prompt its cache holds, also after it was freed, so that equal prompts are
computed once however they come in. A job's first step reads the last prompt token, whether the rest of its
prompt was computed or copied.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from verigrad.engines.base import Completion, Request
from verigrad.engines.decoder import Decoder, Segment
from verigrad.engines.sampler import draw, uniform
from verigrad.engines.stopping import Stopping
from verigrad.errors import EngineError
from verigrad.types import StopReason

__all__ = ["Job", "Lane", "Ticket", "Update"]

_PREFILL_TOKENS = 1024  # prompt tokens computed in one forward pass; a longer prompt goes alone


@dataclass(eq=False, kw_only=True)
class Ticket:
    """Something asked of the engine from an event loop, and the future that waits for it."""

    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]

    def resolve(self, value: Any) -> None:
        self._settle(self.future.set_result, value)

    def fail(self, error: Exception) -> None:
        self._settle(self.future.set_exception, error)

    def _settle(self, setter: Callable[[Any], None], value: Any) -> None:
        def settle_if_waiting() -> None:
            if not self.future.done():
                setter(value)

        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self.loop.call_soon_threadsafe(settle_if_waiting)


@dataclass(eq=False, kw_only=True)
class Job(Ticket):
    """A request on its way; `room` is how many tokens it may have."""

    request: Request
    room: int
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    kept: list[tuple[int, ...]] = field(default_factory=list)

    @property
    def position(self) -> int:
        """Of the token read next."""
        return len(self.request.prompt_ids) + len(self.ids) - 1

    @property
    def token(self) -> int:
        """The token read next."""
        return self.ids[-1] if self.ids else self.request.prompt_ids[-1]


@dataclass(eq=False, kw_only=True)
class Update(Ticket):
    """New weights, taken once all that was asked before has ended."""

    version: int
    named_tensors: Iterable[tuple[str, Tensor]]


class Lane:
    """The batch of one policy; only the worker thread touches it.

    Attributes:
        waiting: what was asked for and has not begun, in order.
        counts: `steps`, `prefilled_tokens`, `copied_tokens`, `completion_tokens` so far.
        ready: it has weights of its own to sample with.
        version: of these weights.
    """

    def __init__(
        self, decoder: Decoder, stopping: Stopping, *, max_slots: int, counts: dict[str, int], ready: bool
    ) -> None:
        self.waiting: deque[Job | Update] = deque()
        self.counts = counts
        self.decoder = decoder
        self.ready = ready
        self._stopping = stopping
        self._cache = decoder.new_cache()
        self._slots: list[Job | None] = [None] * max_slots
        self._residents: list[tuple[int, ...] | None] = [None] * max_slots
        self.version = 0

    @property
    def idle(self) -> bool:
        return not self.waiting and not any(self._slots)

    def advance(self) -> None:
        """One step: leave, update, enter, close ranks, decode, deliver."""
        self._slots = [job if job and not job.future.done() else None for job in self._slots]
        while self.waiting and isinstance(self.waiting[0], Update) and not any(self._slots):
            update = self.waiting.popleft()
            assert isinstance(update, Update)
            self._take(update)
        self._admit()
        self._close_ranks()
        active = [job for job in self._slots if job is not None]
        if active:
            self._decode(active)

    def abort(self, error: Exception) -> None:
        """Fail everything; the lane is empty afterwards, and goes on with what is asked next."""
        for ticket in [*self._slots, *self.waiting]:
            if ticket is not None:
                ticket.fail(error)
        self.waiting.clear()
        self._forget()
        self._slots = [None] * len(self._slots)

    def _forget(self) -> None:
        """A new cache: the old one may hold NaN, which enters products also where it is masked, or be half resized."""
        self._residents = [None] * len(self._residents)
        self._cache = self.decoder.new_cache()

    def _take(self, update: Update) -> None:
        try:
            # Plain no_grad: the iterator may compute on tensors that training goes on with.
            with torch.inference_mode(False), torch.no_grad():
                self.decoder.weights.load(update.named_tensors)
                self.decoder.refresh()
        except EngineError as error:
            update.fail(error)
            return
        except Exception as error:
            update.fail(EngineError(f"weights were not updated: {type(error).__name__}: {error}"))
            return
        self.version = update.version
        self.ready = True
        self._forget()
        update.resolve(None)

    # ------------------------------------------------------------------------------------ entering

    def _admit(self) -> None:
        """Give waiting jobs, in order, the free slots; compute each new prompt once and copy it to the others."""
        fresh: list[Segment] = []
        copies: list[tuple[int, int, int]] = []
        while self.waiting and not isinstance(self.waiting[0], Update) and None in self._slots:
            job = self.waiting.popleft()
            assert isinstance(job, Job)
            if job.future.done():
                continue
            prompt = job.request.prompt_ids
            slot = self._free_slot(prompt)
            if self._residents[slot] != prompt:
                if prompt in self._residents:
                    copies.append((self._residents.index(prompt), slot, len(prompt) - 1))
                else:
                    fresh.append(Segment(slot, prompt[:-1]))
                self._residents[slot] = prompt
            self._slots[slot] = job
        self._reserve()
        self._prefill([segment for segment in fresh if segment.ids])
        for source, slot, length in copies:
            self._cache.copy(source, slot, length)
            self.counts["copied_tokens"] += length

    def _free_slot(self, prompt: tuple[int, ...]) -> int:
        """A free slot, one that holds this prompt already if there is one."""
        free = [slot for slot, job in enumerate(self._slots) if job is None]
        return next((slot for slot in free if self._residents[slot] == prompt), free[0])

    def _reserve(self) -> None:
        length = max((job.position + 1 for job in self._slots if job is not None), default=0)
        used = max((slot + 1 for slot, job in enumerate(self._slots) if job is not None), default=0)
        if not length:
            return
        keep = self._cache.num_slots
        self._cache.reserve(used, length, keep=keep)
        for slot, prompt in enumerate(self._residents):
            if prompt is not None and len(prompt) > self._cache.length:
                self._residents[slot] = None

    def _prefill(self, segments: list[Segment]) -> None:
        while segments:
            tokens, count = len(segments[0].ids), 1
            while count < len(segments) and tokens + len(segments[count].ids) <= _PREFILL_TOKENS:
                tokens += len(segments[count].ids)
                count += 1
            self.decoder.prefill(segments[:count], self._cache)
            self.counts["prefilled_tokens"] += tokens
            segments = segments[count:]

    def _close_ranks(self) -> None:
        """Move the last jobs into the gaps, so that jobs are in the first slots."""
        count = sum(job is not None for job in self._slots)
        gaps = [slot for slot in range(count) if self._slots[slot] is None]
        movers = [slot for slot in range(count, len(self._slots)) if self._slots[slot] is not None]
        for gap, mover in zip(gaps, movers, strict=True):
            job = self._slots[mover]
            assert job is not None
            self._cache.copy(mover, gap, job.position)
            self._slots[gap], self._slots[mover] = job, None
            self._residents[gap] = self._residents[mover]

    # ------------------------------------------------------------------------------------ stepping

    def _decode(self, active: list[Job]) -> None:
        self._reserve()
        logits = self.decoder.decode([job.token for job in active], [job.position for job in active], self._cache)
        numbers = uniform([job.request.seed for job in active], [len(job.ids) for job in active])
        drawn = draw(logits, [job.request.params for job in active], numbers)
        self.counts["steps"] += 1
        self.counts["completion_tokens"] += len(active)
        for row, job in enumerate(active):
            job.ids.append(drawn.ids[row])
            job.logprobs.append(drawn.logprobs[row])
            allowed = drawn.kept[row]
            if allowed is not None:
                job.kept.append(allowed)
            reason = self._stopping.reason(job.ids, job.request, job.room)
            if reason is not None:
                job.resolve(self._completion(job, reason))
                self._slots[row] = None

    def _completion(self, job: Job, reason: StopReason) -> Completion:
        return Completion(
            ids=tuple(job.ids),
            sampler_logprobs=tuple(job.logprobs),
            text=self._stopping.text(job.ids, job.request),
            stop_reason=reason,
            kept=tuple(job.kept) if job.kept else None,
            policy_version=self.version,
        )
