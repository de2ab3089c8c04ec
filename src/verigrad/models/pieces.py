"""The bytes each token stands for, so that characters of a text find their tokens without tokenising it again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from verigrad.models.chat import special_ids

__all__ = ["token_bytes"]

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def token_bytes(tokenizer: Any, ids: Sequence[int]) -> list[bytes]:
    """Bytes of each token; empty for special tokens and for ids beyond the tokenizer's, which print nothing.

    Models have rows for ids that their tokenizers do not know, to round the vocabulary up; sampling may draw them.

    Knows byte-level vocabularies (GPT-2, Llama 3, Qwen, SmolLM) and SentencePiece's (Llama 2, Mistral, Gemma), whose
    first word begins with a space that decoding leaves out.
    """
    special = special_ids(tokenizer)
    names = tokenizer.convert_ids_to_tokens(list(ids))
    bytes_of = _byte_level if _is_byte_level(tokenizer) else _sentence_piece
    return [b"" if token in special or name is None else bytes_of(name) for token, name in zip(ids, names, strict=True)]


def _is_byte_level(tokenizer: Any) -> bool:
    """Byte-level vocabularies hold a token for every byte, that of the space written Ġ."""
    space = tokenizer.convert_tokens_to_ids("Ġ")
    return space is not None and space != tokenizer.unk_token_id


def _byte_level(name: str) -> bytes:
    table = _byte_of_character()
    if all(character in table for character in name):
        return bytes(table[character] for character in name)
    return name.encode()  # added to the vocabulary as plain text


def _sentence_piece(name: str) -> bytes:
    found = _BYTE_TOKEN.fullmatch(name)
    return bytes([int(found.group(1), 16)]) if found else name.replace("▁", " ").encode()


@cache
def _byte_of_character() -> dict[str, int]:
    """GPT-2's way of writing bytes: printable ones stand for themselves, the others follow character 255."""
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in set(visible)]
    return {chr(byte): byte for byte in visible} | {chr(256 + index): byte for index, byte in enumerate(hidden)}
