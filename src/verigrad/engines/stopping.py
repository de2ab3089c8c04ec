"""When a completion ends, and the text it gives."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from verigrad.engines.base import Request
from verigrad.errors import ConfigError
from verigrad.models.chat import special_ids
from verigrad.types import StopReason

__all__ = ["Stopping"]

_CONTEXT_TOKENS = 8  # decoded before the stretch searched, so that no character there starts half way


class Stopping:
    """Decides after each token; a tokenizer of its own, since fast tokenizers are not safe across threads."""

    def __init__(self, tokenizer: Any, end_ids: frozenset[int]) -> None:
        self._tokenizer = copy.deepcopy(tokenizer)
        self._end_ids = end_ids
        self._special = {str(tokenizer.convert_ids_to_tokens(id_)): id_ for id_ in special_ids(tokenizer)}

    def check(self, stops: Sequence[str]) -> None:
        """Raise a ConfigError for a stop text that ends everything, or never anything."""
        for stop in stops:
            if not stop:
                raise ConfigError("a stop text is empty, which every text holds; leave it out")
            for special, id_ in self._special.items():
                if special in stop:
                    raise ConfigError(
                        f"stop text {stop!r} holds the special token {special!r}, which texts are decoded without, so "
                        f"it would never be found; wanted text alone, or stop_ids with {id_}"
                    )

    def reason(self, ids: Sequence[int], request: Request, room: int) -> StopReason | None:
        """Why a completion of `ids` ends here, or None.

        Args:
            room: tokens it may have at most; less than `max_tokens` where the context is too short for that.
        """
        params = request.params
        if ids[-1] in self._end_ids or ids[-1] in params.stop_ids:
            return "stop"
        if params.stop and self._holds_stop(ids, request):
            return "stop"
        if len(ids) < room:
            return None
        return "length" if room == params.max_tokens else "context_overflow"

    def text(self, ids: Sequence[int], request: Request) -> str:
        """The ids decoded, without special tokens, a stop id, and everything from the first stop text on."""
        params = request.params
        if ids and (ids[-1] in self._end_ids or ids[-1] in params.stop_ids):
            ids = ids[:-1]
        text = self._decode(ids, request.begun_ids)
        found = [at for at in (text.find(stop) for stop in params.stop) if at >= 0]
        return text[: min(found)] if found else text

    def _holds_stop(self, ids: Sequence[int], request: Request) -> bool:
        # A token is a byte of text or more, so the last tokens hold any stop text that ends in the newest one;
        # the full text is decoded only to confirm it.
        stops = request.params.stop
        reach = _CONTEXT_TOKENS + max(len(stop.encode()) for stop in stops)
        recent = self._decode(ids[-reach:], request.begun_ids if len(ids) <= reach else ())
        if not any(stop in recent for stop in stops):
            return False
        # Without the end of a character that is not yet complete.
        text = self._decode(ids, request.begun_ids).rstrip("\N{REPLACEMENT CHARACTER}")
        return any(stop in text for stop in stops)

    def _decode(self, ids: Sequence[int], begun: Sequence[int]) -> str:
        """The text of `ids` behind that of `begun`."""
        return self._plain((*begun, *ids))[len(self._plain(begun)) :] if begun else self._plain(ids)

    def _plain(self, ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text
