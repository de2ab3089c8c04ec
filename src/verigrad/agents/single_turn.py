"""One prompt, one completion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from verigrad.agents.base import Attempt
from verigrad.engines.base import Completion, Engine, Request, SamplingParams
from verigrad.models.chat import prompt_ids
from verigrad.types import Message, RolloutStatus, Task, Turn

__all__ = ["SingleTurn", "completion_turn"]


@dataclass(frozen=True)
class SingleTurn:
    """Ask once; the completion is the answer.

    Attributes:
        tokenizer: whose chat template makes the prompt; None for engines that take messages.
        params: how completions are drawn.
        system: system message, or None for the template's own.
        policy: name of the weights asked for.
        prefill: gives the beginning of the answer, which the policy continues; None for no beginning.
    """

    tokenizer: Any
    params: SamplingParams
    system: str | None = None
    name: str = "coder"
    policy: str = "base"
    prefill: Callable[[Task], str] | None = None

    def messages(self, task: Task) -> tuple[Message, ...]:
        """The conversation the policy is given for a task."""
        user = Message("user", task.prompt)
        return (Message("system", self.system), user) if self.system else (user,)

    async def attempt(self, task: Task, engine: Engine, *, seed: int) -> Attempt:
        messages = self.messages(task)
        ids = prompt_ids(self.tokenizer, messages) if self.tokenizer is not None else ()
        begun = self.prefill(task) if self.prefill is not None else ""
        begun_ids = tuple(self.tokenizer.encode(begun, add_special_tokens=False)) if begun else ()
        ids += begun_ids
        request = Request(
            prompt_ids=ids,
            messages=messages,
            params=self.params,
            seed=seed,
            policy=self.policy,
            begun=len(begun_ids),
        )
        completion = await engine.sample(request)
        turn = completion_turn(ids, completion, self.params)
        status: RolloutStatus = "finished" if completion.stop_reason == "stop" else "truncated"
        return Attempt((turn,), begun + completion.text, status)


def completion_turn(ids: tuple[int, ...], completion: Completion, params: SamplingParams) -> Turn:
    """The record of one completion, with everything scoring it later needs."""
    return Turn(
        prompt_ids=ids,
        completion_ids=completion.ids,
        sampler_logprobs=completion.sampler_logprobs,
        # Greedy decoding reports log-probs of temperature 1 (engines/base.py), so it is scored at 1.
        temperature=params.temperature or 1.0,
        kept=completion.kept,
        policy_versions=((completion.policy_version, len(completion.ids)),),
        stop_reason=completion.stop_reason,
        text=completion.text,
        step_map=completion.step_map,
        tail=completion.tail,
    )
