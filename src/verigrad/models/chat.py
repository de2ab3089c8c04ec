"""From messages to the exact ids a policy is given, and from an answer to the ids that would train it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from verigrad.errors import ConfigError
from verigrad.types import Message

__all__ = ["answer_ids", "prompt_ids"]


def prompt_ids(tokenizer: Any, messages: Sequence[Message]) -> tuple[int, ...]:
    """Ids of a conversation, ready for the assistant's answer.

    Uses the tokenizer's chat template; a base model without one gets the messages as plain paragraphs.
    """
    if not getattr(tokenizer, "chat_template", None):
        text = "\n\n".join(message.content for message in messages) + "\n\n"
        return tuple(tokenizer.encode(text))
    chat = [{"role": message.role, "content": message.content} for message in messages]
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    # The template writes every special token itself; adding them again would double the first.
    return tuple(tokenizer.encode(text, add_special_tokens=False))


def answer_ids(tokenizer: Any, text: str) -> tuple[int, ...]:
    """Ids of an assistant's answer, its end token included; they continue `prompt_ids` unchanged.

    Raises:
        ConfigError: the tokenizer has no end token, so a model trained on it would never learn to stop.
    """
    if tokenizer.eos_token_id is None:
        raise ConfigError("the tokenizer has no eos_token, so an answer has no end; set tokenizer.eos_token")
    return (*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id)
