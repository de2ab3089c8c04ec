"""The local engine: continuous batching on the CPU, or on a GPU where there is one.

Requests that arrive together are admitted together, in order; each takes a slot, its prompt is computed once for
all requests that share it, and every step advances all slots by one token. The steps run in a thread that lives
while there is work; torch lets go of the interpreter lock, so judging goes on beside it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from verigrad.engines.base import Completion, Request
from verigrad.engines.decoder import Decoder
from verigrad.engines.lane import Job, Lane, Update
from verigrad.engines.layout import Rotations, duplicates, layout, read_architecture
from verigrad.engines.stopping import Stopping
from verigrad.engines.weights import Weights
from verigrad.errors import ConfigError, EngineError
from verigrad.models.chat import end_ids_of
from verigrad.models.diffusion import is_diffusion

__all__ = ["LocalEngine"]


class LocalEngine:
    """Generates with a copy of a Hugging Face decoder's weights.

    A completion depends on its request and the weights alone. On a CPU with oneDNN that holds bit for bit,
    whatever else is in the batch (the tests check it); elsewhere up to the rounding of sums.

    Args:
        model: a causal LM of a supported family (see `verigrad.engines.layout`); copied, not kept.
        tokenizer: for stop texts and `Completion.text`.
        dtype: to compute in; float32 or bfloat16.
        device: None takes a GPU where there is one.
        max_slots: completions advanced at once, per policy.
        max_length: of prompt and completion together; the model's own limit where that is smaller, or for None.
            Memory is taken for the longest in use, times the slots in use.
        end_ids: ids that end a completion; None takes the tokenizer's, the template's and the generation config's.

    Raises:
        ConfigError: a model, dtype or size that is not supported.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Any,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
        max_slots: int = 64,
        max_length: int | None = None,
        end_ids: tuple[int, ...] | None = None,
    ) -> None:
        if dtype not in (torch.float32, torch.bfloat16):
            raise ConfigError(f"dtype {dtype}; the local engine computes in torch.float32 or torch.bfloat16")
        if is_diffusion(model):
            raise ConfigError(
                "this checkpoint is a masked-diffusion model, which the local engine would run as a causal one; "
                "use the engine `denoise`"
            )
        if max_slots < 1 or (max_length is not None and max_length < 2):
            raise ConfigError(f"max_slots {max_slots}, max_length {max_length}; wanted at least 1 and 2")
        place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        architecture = read_architecture(model)
        self.max_length = min(max_length or architecture.max_positions, architecture.max_positions)
        state = model.state_dict()
        found = layout(architecture, state.keys())
        weights = Weights(found, ignore=duplicates(architecture), dtype=dtype, device=place)
        weights.load(state.items())
        self._rotations = Rotations(model, architecture, device=place)
        ends = end_ids_of(model, tokenizer) if end_ids is None else frozenset(end_ids)
        self._stopping = Stopping(tokenizer, ends)
        self._max_slots = max_slots
        self._vocab_size = architecture.vocab_size
        self._counts = dict.fromkeys(("steps", "prefilled_tokens", "copied_tokens", "completion_tokens"), 0)
        self._lanes = {"base": self._new_lane(Decoder(architecture, weights, self._rotations), ready=True)}
        self._arriving: list[tuple[str, Job | Update]] = []  # filled by event loops
        self._arrived: list[tuple[str, Job | Update]] = []  # emptied by the worker
        self._lock = threading.Lock()
        self._worker: threading.Thread | None = None
        self._closed = False

    @property
    def exact(self) -> bool:
        return True

    @property
    def counts(self) -> dict[str, int]:
        """`steps`, `prefilled_tokens`, `copied_tokens` (prompts shared) and `completion_tokens` so far."""
        return dict(self._counts)

    async def sample(self, request: Request) -> Completion:
        """Join the running batch; return when this completion ends.

        A prompt that leaves no room gives an empty completion with `context_overflow`.

        Raises:
            ConfigError: a sampling parameter is out of range.
            EngineError: generation failed, the policy is unknown, or the engine is closed.
        """
        if self._closed:
            raise EngineError("the engine is closed")
        _check(request, self._vocab_size)
        self._stopping.check(request.params.stop)
        ready = [policy for policy, lane in self._lanes.items() if lane.ready]
        if request.policy not in ready:
            raise EngineError(
                f"no weights for policy {request.policy!r}; ready: {', '.join(ready)}; add it with update_weights"
            )
        room = min(request.params.max_tokens, self.max_length - len(request.prompt_ids))
        if room < 1:
            version = self._lanes[request.policy].version
            return Completion(
                ids=(), sampler_logprobs=(), text="", stop_reason="context_overflow", policy_version=version
            )
        loop = asyncio.get_running_loop()
        job = Job(loop=loop, future=loop.create_future(), request=request, room=room)
        completion: Completion = await self._submit(request.policy, job)
        return completion

    async def update_weights(self, policy: str, version: int, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
        """Replace the weights of `policy` by full tensors under their Hugging Face names.

        Requests made before finish on the old weights; those made after wait for the new ones. Tensors left
        out stay as they are, and a failed update changes nothing. A policy not seen before is added, as a copy
        of `base`. The iterator runs in the engine's thread.

        Raises:
            EngineError: a name or shape does not fit, or the iterator failed.
        """
        if self._closed:
            raise EngineError("the engine is closed")
        if policy not in self._lanes:
            base = self._lanes["base"].decoder
            decoder = Decoder(base.architecture, base.weights.copy(), self._rotations)
            with self._lock:
                self._lanes.setdefault(policy, self._new_lane(decoder, ready=False))
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        await self._submit(policy, Update(loop=loop, future=future, version=version, named_tensors=named_tensors))

    async def close(self) -> None:
        """End the worker; requests in flight fail."""
        with self._lock:
            self._closed, worker = True, self._worker
        if worker is not None:
            await asyncio.to_thread(worker.join)
        self._lanes.clear()

    def _new_lane(self, decoder: Decoder, *, ready: bool) -> Lane:
        return Lane(decoder, self._stopping, max_slots=self._max_slots, counts=self._counts, ready=ready)

    async def _submit(self, policy: str, ticket: Job | Update) -> Any:
        with self._lock:
            self._arriving.append((policy, ticket))
        # Handed over only when the tasks that are ready now have run: those asked together start together,
        # in order, whatever the worker is doing.
        ticket.loop.call_soon(self._hand_over)
        return await ticket.future

    def _hand_over(self) -> None:
        with self._lock:
            arriving, self._arriving = self._arriving, []
            if self._closed:
                for _, ticket in arriving:
                    ticket.fail(EngineError("the engine is closed"))
                return
            if self._worker is None and arriving:
                worker = threading.Thread(target=self._work, name="verigrad-local-engine", daemon=True)
                try:
                    worker.start()
                except RuntimeError as error:  # no more threads are to be had
                    for _, ticket in arriving:
                        ticket.fail(
                            EngineError(f"the engine's thread did not start: {error}; `ulimit -u` is the limit")
                        )
                    return
                self._worker = worker
            self._arrived += arriving

    def _work(self) -> None:
        """The worker thread: steps until there is nothing left to do."""
        torch.get_num_threads()  # makes this thread take over the process's number of threads
        with torch.inference_mode():
            while self._collect():
                for lane in list(self._lanes.values()):
                    try:
                        if self._closed:
                            raise EngineError("the engine was closed")
                        lane.advance()
                    except Exception as error:
                        lane.abort(_failure(error))

    def _collect(self) -> bool:
        """Take what has arrived; False, and no worker, where nothing is left to do."""
        with self._lock:
            for policy, ticket in self._arrived:
                self._lanes[policy].waiting.append(ticket)
            self._arrived = []
            if all(lane.idle for lane in self._lanes.values()):
                self._worker = None
                return False
            return True


def _failure(error: Exception) -> EngineError:
    if isinstance(error, EngineError):
        return error
    failure = EngineError(f"generation failed: {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure


def _check(request: Request, vocab_size: int) -> None:
    params = request.params
    if not request.prompt_ids:
        raise ConfigError("prompt_ids are empty; the local engine continues ids, it takes no messages")
    low, high = min(request.prompt_ids), max(request.prompt_ids)
    if low < 0 or high >= vocab_size:
        raise ConfigError(f"prompt_ids run from {low} to {high}; the model has ids 0 to {vocab_size - 1}")
    wanted = {
        "max_tokens": (params.max_tokens >= 1, "at least 1"),
        "temperature": (params.temperature >= 0, "0 or more"),
        "top_k": (params.top_k >= 0, "0 (all) or more"),
        "top_p": (0 < params.top_p <= 1, "in (0, 1]"),
    }
    for name, (fits, range_) in wanted.items():
        if not fits:
            raise ConfigError(f"{name} is {getattr(params, name)}; wanted {range_}")
