"""An engine that plays given completions: the seam through which everything above engines is tested."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from verigrad.engines.base import Completion, Request
from verigrad.errors import EngineError
from verigrad.types import StopReason

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Answers", "ScriptedEngine", "made_up_logprob"]

Answers = Mapping[tuple[int, ...] | str, Sequence[str]] | Callable[[Request], str]
"""Completions by prompt, or a function of the request; see `ScriptedEngine`."""


def made_up_logprob(position: int, token: int) -> float:
    """The log-prob a scripted engine reports for `token` at `position` of a completion: -0.1 down to -1.1.

    >>> made_up_logprob(0, 0), made_up_logprob(2, 5)
    (-0.1, -0.9)
    """
    return -(1 + (7 * token + 3 * position) % 11) / 10


class ScriptedEngine:
    """Plays given completions with their ids and made-up log-probs; the same requests always give the same.

    Args:
        answers: either a function of the request, or completions by prompt: keys are prompt ids, the prompt's
            text, or the text of the last message (looked up in this order). The completions of one prompt are
            played in order of arrival, over and over.
        tokenizer: turns completions into ids; its `eos_token_id`, where it has one, ends every completion that
            neither a stop text nor `max_tokens` ends first.

    Attributes:
        requests: every request so far, in order of arrival.
        versions: of the weights last given, by policy; the version a completion carries.
    """

    exact: bool = True

    def __init__(self, answers: Answers, tokenizer: Any) -> None:
        self.requests: list[Request] = []
        self.versions: dict[str, int] = {}
        self._answers = answers
        self._tokenizer = tokenizer
        self._played: Counter[tuple[int, ...] | str] = Counter()

    async def sample(self, request: Request) -> Completion:
        self.requests.append(request)
        ids, text, stop_reason = self._cut(self._answer(request), request)
        return Completion(
            ids=tuple(ids),
            sampler_logprobs=tuple(made_up_logprob(position, token) for position, token in enumerate(ids)),
            text=text,
            stop_reason=stop_reason,
            policy_version=self.versions.get(request.policy, 0),
        )

    async def update_weights(self, policy: str, version: int, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
        for _ in named_tensors:  # a sender may stream, and expects to be read to the end
            pass
        self.versions[policy] = version

    async def close(self) -> None:
        pass

    def _answer(self, request: Request) -> str:
        if not isinstance(self._answers, Mapping):
            return self._answers(request)
        text = self._tokenizer.decode(list(request.prompt_ids))
        keys: list[tuple[int, ...] | str] = [request.prompt_ids, text]
        keys += [message.content for message in request.messages[-1:]]
        key = next((key for key in keys if key in self._answers), None)
        if key is None or not self._answers[key]:
            raise EngineError(
                f"no scripted answer for the prompt {text!r}; there are answers for {len(self._answers)} prompts: "
                f"add one under these ids, this text or the text of the last message"
            )
        completions = self._answers[key]
        self._played[key] += 1
        return completions[(self._played[key] - 1) % len(completions)]

    def _cut(self, answer: str, request: Request) -> tuple[list[int], str, StopReason]:
        """Ids, text and stop reason after stop texts, stop ids and `max_tokens` have had their say."""
        text, with_stop = _before_stop(answer, request.params.stop)
        ids = list(self._tokenizer.encode(with_stop, add_special_tokens=False))
        if with_stop == text and self._tokenizer.eos_token_id is not None:
            ids.append(self._tokenizer.eos_token_id)
        ends = [ids.index(stop) for stop in request.params.stop_ids if stop in ids]
        if ends and min(ends) + 1 < len(ids):
            ids = ids[: min(ends) + 1]
            text = self._tokenizer.decode(ids[:-1], skip_special_tokens=True)
        if len(ids) > request.params.max_tokens:
            ids = ids[: request.params.max_tokens]
            return ids, self._tokenizer.decode(ids, skip_special_tokens=True), "length"
        return ids, text, "stop"


def _before_stop(text: str, stops: Sequence[str]) -> tuple[str, str]:
    """The text before the first stop text, and the text up to its end; twice the text where there is none."""
    starts = [(text.index(stop), stop) for stop in stops if stop in text]
    if not starts:
        return text, text
    start, stop = min(starts)
    return text[:start], text[: start + len(stop)]
