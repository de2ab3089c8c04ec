"""From messages to the exact ids a policy is given, and from an answer to the ids that would train it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from verigrad.errors import ConfigError
from verigrad.types import Message

__all__ = ["answer_ids", "end_id", "end_ids_of", "has_template", "prompt_ids", "special_ids"]

_ANSWER = "answer"


def prompt_ids(tokenizer: Any, messages: Sequence[Message]) -> tuple[int, ...]:
    """Ids of a conversation, ready for the assistant's answer.

    Uses the tokenizer's chat template; a base model without one is given a single user message as a plain paragraph.

    Raises:
        ConfigError: there are other messages and no template, or the template refuses them; names the model.
    """
    if not has_template(tokenizer):
        return tuple(tokenizer.encode(_paragraph(tokenizer, messages)))
    chat = [{"role": message.role, "content": message.content} for message in messages]
    try:
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    except Exception as error:  # a template is the model's own program, and refuses by raising
        raise ConfigError(
            f"the chat template of {_model(tokenizer)} refuses messages of {_roles(messages)}: {error}; leave the "
            "system message out, or take roles that it knows in its order"
        ) from error
    # The template writes every special token itself; adding them again would double the first.
    return tuple(tokenizer.encode(text, add_special_tokens=False))


def has_template(tokenizer: Any) -> bool:
    """Whether the tokenizer says how a conversation is written."""
    return bool(getattr(tokenizer, "chat_template", None))


def _paragraph(tokenizer: Any, messages: Sequence[Message]) -> str:
    if [message.role for message in messages] != ["user"]:
        raise ConfigError(
            f"{_model(tokenizer)} has no chat template, so nothing says how messages of {_roles(messages)} are told "
            "apart; write them into one user message, leave the system message out, or take a model with a template"
        )
    return messages[0].content + "\n\n"


def _model(tokenizer: Any) -> str:
    return repr(getattr(tokenizer, "name_or_path", "") or "the tokenizer")


def _roles(messages: Sequence[Message]) -> str:
    return ", ".join(message.role for message in messages)


def answer_ids(tokenizer: Any, text: str) -> tuple[int, ...]:
    """Ids of an assistant's answer, its end token included; they continue `prompt_ids` unchanged.

    Raises:
        ConfigError: the tokenizer has no end token, so a model trained on it would never learn to stop.
    """
    end = end_id(tokenizer)
    if end is None:
        raise ConfigError("the tokenizer has no eos_token, so an answer has no end; set tokenizer.eos_token")
    return (*tokenizer.encode(text, add_special_tokens=False), end)


def end_id(tokenizer: Any) -> int | None:
    """The token that ends an assistant's turn: the chat template's where it writes one, else the tokenizer's.

    They differ where a text and a turn end differently: Qwen's `<|endoftext|>` and `<|im_end|>`, Llama 3's
    `<|end_of_text|>` and `<|eot_id|>`.
    """
    closing = _closing(tokenizer)
    ids = tokenizer.encode(closing, add_special_tokens=False) if closing else []
    special = special_ids(tokenizer) if ids else frozenset()
    for place, id_ in enumerate(ids):
        if id_ in special and not tokenizer.decode(ids[:place]).strip():
            return int(id_)
    end: int | None = tokenizer.eos_token_id
    return end


def end_ids_of(model: Any, tokenizer: Any) -> frozenset[int]:
    """Ids that end a completion: the tokenizer's, the chat template's and those of the model's generation config."""
    found = {tokenizer.eos_token_id, end_id(tokenizer)}
    configured = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    found.update(configured if isinstance(configured, list | tuple) else [configured])
    return frozenset(found - {None})


def special_ids(tokenizer: Any) -> frozenset[int]:
    """Ids that decoding without special tokens leaves out: those a tokenizer has roles for, such as the end, and all
    others that were added as special."""
    added = {id_ for id_, token in tokenizer.added_tokens_decoder.items() if token.special}
    return frozenset(added | set(tokenizer.all_special_ids))


def _closing(tokenizer: Any) -> str:
    """What the chat template writes behind an assistant's answer; empty where there is no telling."""
    from jinja2 import TemplateError

    if not getattr(tokenizer, "chat_template", None):
        return ""
    chat = [{"role": "user", "content": "question"}, {"role": "assistant", "content": _ANSWER}]
    try:
        text: str = tokenizer.apply_chat_template(chat, tokenize=False)
    except TemplateError:  # one that wants other roles
        return ""
    return text.rpartition(_ANSWER)[2] if _ANSWER in text else ""
