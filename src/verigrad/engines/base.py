"""The contract of everything that generates: requests in, completions with exact ids and log-probs out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from verigrad.types import Message, StopReason, Tail

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Completion", "Engine", "Request", "SamplingParams", "generate"]


@dataclass(frozen=True, kw_only=True)
class SamplingParams:
    """How tokens are drawn.

    Attributes:
        max_tokens: completion tokens at most, the stop id included.
        temperature: logits are divided by it; 0 is greedy (the log-probs are then those of temperature 1).
        top_k: keep the k likeliest tokens; 0 keeps all.
        top_p: keep the smallest set of likeliest tokens whose probability reaches it; 1.0 keeps all.
        stop: texts that end a completion; the ids that hold them stay in the completion, `text` ends before them.
        stop_ids: ids that end a completion, besides the tokenizer's own end ids.
        kept: report the kept token set of every step (needed to train on truncated sampling).
    """

    max_tokens: int = 256
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    stop_ids: tuple[int, ...] = ()
    kept: bool = False

    @property
    def truncated(self) -> bool:
        """Whether some tokens that the model gives a probability cannot be drawn; greedy tokens are not drawn."""
        return self.temperature > 0 and (self.top_k > 0 or self.top_p < 1)


@dataclass(frozen=True, kw_only=True)
class Request:
    """One completion wanted.

    `prompt_ids` is what an exact engine continues; `messages` is what an endpoint that takes only text is
    sent. Requests with equal `prompt_ids` in flight together share one prefill. `seed` alone decides the
    random stream, so neither scheduling nor the rest of the batch changes what is drawn.

    The last `begun` of the prompt's ids are the beginning of the answer, which the completion goes on from: its text is
    decoded behind theirs, for SentencePiece tokenizers leave out the space that a text begins with.
    """

    prompt_ids: tuple[int, ...] = ()
    messages: tuple[Message, ...] = ()
    params: SamplingParams = SamplingParams()
    seed: int = 0
    policy: str = "base"
    begun: int = 0

    @property
    def begun_ids(self) -> tuple[int, ...]:
        return self.prompt_ids[len(self.prompt_ids) - self.begun :]


@dataclass(frozen=True, kw_only=True)
class Completion:
    """What a request gave.

    Attributes:
        ids: sampled ids, a stop id included; empty where the engine cannot report ids.
        sampler_logprobs: per id, under the distribution actually sampled from (temperature and truncation
            applied); for greedy decoding, of temperature 1 without truncation.
        text: ids decoded, special tokens and everything from a stop text on left out.
        kept: per id the sorted ids sampling was restricted to, where `params.kept` asked for it.
        policy_version: of the weights used.
        step_map: per id the step in which a denoising engine revealed it; None of engines that go left to right.
        passes: forward passes in which a denoising engine revealed something of its canvas, what was masked again
            included; None of engines that go left to right.
        tail: what stood behind the completion on a denoising engine's canvas.
    """

    ids: tuple[int, ...]
    sampler_logprobs: tuple[float, ...]
    text: str
    stop_reason: StopReason
    kept: tuple[tuple[int, ...], ...] | None = None
    policy_version: int = 0
    step_map: tuple[int, ...] | None = None
    passes: int | None = None
    tail: Tail = field(default_factory=Tail)


class Engine(Protocol):
    """Generates completions; every call may run beside any other."""

    @property
    def exact(self) -> bool:
        """True where ids and log-probs are the sampler's own; training takes no other (`open_stage`)."""
        ...

    async def sample(self, request: Request) -> Completion:
        """Join the running batch; return when this completion ends.

        Raises:
            EngineError: generation failed for reasons of ours.
        """
        ...

    async def update_weights(self, policy: str, version: int, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
        """Replace the weights of `policy` by full (merged) tensors, after the requests in flight."""
        ...

    async def close(self) -> None:
        """Free what the engine holds."""
        ...


async def _sample_all(engine: Engine, requests: Sequence[Request]) -> list[Completion]:
    return list(await asyncio.gather(*(engine.sample(request) for request in requests)))


def generate(engine: Engine, requests: Sequence[Request]) -> list[Completion]:
    """Sample a list of requests together, from synchronous code; results in the order of the requests."""
    return asyncio.run(_sample_all(engine, requests))
