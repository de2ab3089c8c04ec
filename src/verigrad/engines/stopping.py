"""When a completion ends, and the text it gives."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from verigrad.engines.base import SamplingParams
from verigrad.models.chat import end_id
from verigrad.types import StopReason

__all__ = ["Stopping", "end_ids_of"]

_CONTEXT_TOKENS = 8  # decoded before the stretch searched, so that no character there starts half way


def end_ids_of(model: Any, tokenizer: Any) -> frozenset[int]:
    """Ids that end a completion: the tokenizer's, the chat template's and those of the model's generation config."""
    found = {tokenizer.eos_token_id, end_id(tokenizer)}
    configured = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    found.update(configured if isinstance(configured, list | tuple) else [configured])
    return frozenset(found - {None})


class Stopping:
    """Decides after each token; a tokenizer of its own, since fast tokenizers are not safe across threads."""

    def __init__(self, tokenizer: Any, end_ids: frozenset[int]) -> None:
        self._tokenizer = copy.deepcopy(tokenizer)
        self._end_ids = end_ids

    def reason(self, ids: Sequence[int], params: SamplingParams, room: int) -> StopReason | None:
        """Why a completion of `ids` ends here, or None.

        Args:
            room: tokens it may have at most; less than `max_tokens` where the context is too short for that.
        """
        if ids[-1] in self._end_ids or ids[-1] in params.stop_ids:
            return "stop"
        if params.stop and self._holds_stop(ids, params.stop):
            return "stop"
        if len(ids) < room:
            return None
        return "length" if room == params.max_tokens else "context_overflow"

    def text(self, ids: Sequence[int], params: SamplingParams) -> str:
        """The ids decoded, without special tokens, a stop id, and everything from the first stop text on."""
        if ids and (ids[-1] in self._end_ids or ids[-1] in params.stop_ids):
            ids = ids[:-1]
        text = self._decode(ids)
        found = [at for at in (text.find(stop) for stop in params.stop) if at >= 0]
        return text[: min(found)] if found else text

    def _holds_stop(self, ids: Sequence[int], stops: tuple[str, ...]) -> bool:
        # A token is a byte of text or more, so the last tokens hold any stop text that ends in the newest one;
        # the full text is decoded only to confirm it.
        reach = _CONTEXT_TOKENS + max(len(stop.encode()) for stop in stops)
        recent = self._decode(ids[-reach:])
        if not any(stop in recent for stop in stops):
            return False
        text = self._decode(ids).rstrip("\N{REPLACEMENT CHARACTER}")  # a character not yet complete
        return any(stop in text for stop in stops)

    def _decode(self, ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text
