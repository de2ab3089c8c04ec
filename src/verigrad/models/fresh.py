"""A small model from nothing: a tokenizer made for some texts, and a Llama with random weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

__all__ = ["LEAST_VOCABULARY", "MASK_TOKEN", "fresh_model", "fresh_tokenizer"]

_END, _SYSTEM, _USER, _ASSISTANT = "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"
MASK_TOKEN = "<|mask|>"
_SPECIAL = (_END, _SYSTEM, _USER, _ASSISTANT, "<fim_prefix>", "<fim_suffix>", "<fim_middle>", MASK_TOKEN)
LEAST_VOCABULARY = 256 + len(_SPECIAL)
_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def fresh_tokenizer(texts: Iterable[str], *, vocabulary: int) -> Any:
    """A byte-level BPE of at most `vocabulary` tokens, which writes any text and splits lines and digits always
    (a digit keeps the space before it).

    It has an end token, the words of a chat template, three tokens for filling in the middle, and a spare one that can
    be a mask.

    Raises:
        ValueError: `vocabulary` has no room for all bytes and these eight.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    if vocabulary < LEAST_VOCABULARY:
        raise ValueError(f"vocabulary is {vocabulary}; wanted at least {LEAST_VOCABULARY}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex("\n"), "isolated"),
            pre_tokenizers.Split(Regex(" ?[0-9]"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=_END, pad_token=_END)
    fast.chat_template = _TEMPLATE
    return fast


def fresh_model(
    tokenizer: Any, *, hidden: int, layers: int, heads: int, feed_forward: int, max_length: int, seed: int
) -> Any:
    """A Llama of these sizes whose weights `seed` alone decides; embedding and head are one matrix."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=feed_forward,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=max_length,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config).eval()
