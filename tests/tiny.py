"""Tiny random models of every family the local engine runs, and a tokenizer whose ids are bytes; all made offline."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from verigrad.models.diffusion import DiffusionSpec, convert

__all__ = ["END", "FAMILIES", "MASK", "VOCABULARY", "tiny_diffusion", "tiny_model", "tiny_tokenizer"]

PAD, START, END = 256, 257, 258
VOCABULARY = 259
MASK = VOCABULARY  # of diffusion models, whose vocabulary has one id more

_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "initializer_range": 0.15,  # wide enough that the next token is far from uniform
    "bos_token_id": START,
    "eos_token_id": END,
    "pad_token_id": PAD,
}
_GROUPED: dict[str, Any] = {**_SIZES, "num_key_value_heads": 2}

FAMILIES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "llama": (LlamaConfig, LlamaForCausalLM, {**_GROUPED, "tie_word_embeddings": True}),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM, {**_GROUPED, "tie_word_embeddings": False}),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM, {**_GROUPED, "head_dim": 16, "tie_word_embeddings": True}),
    "gpt_neox": (GPTNeoXConfig, GPTNeoXForCausalLM, {**_SIZES, "rotary_pct": 0.5, "tie_word_embeddings": False}),
}


def tiny_model(family: str = "llama", *, seed: int = 0, **overrides: Any) -> tuple[Any, Any]:
    """A causal LM with two layers and random weights, in eval mode, and its tokenizer.

    `overrides` are fields of its config. Equal arguments give equal weights in separate models. Biases and norms
    are random too, so that leaving one out shows.
    """
    config_type, model_type, fields = FAMILIES[family]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = model_type(config_type(**{**fields, **overrides})).eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.endswith(".bias") or "norm" in name:
                    parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model, tiny_tokenizer()


def tiny_diffusion(
    attention: str = "full", *, shift: bool = True, block_length: int = 0, **overrides: Any
) -> tuple[Any, DiffusionSpec]:
    """The tiny causal model converted to masked diffusion, its head free for one more id, the mask."""
    model, tokenizer = tiny_model(overrides.pop("family", "llama"), vocab_size=VOCABULARY + 1, **overrides)
    spec = DiffusionSpec(
        mask_id=MASK, shift=shift, attention=attention, block_length=block_length, pad_policy="fill", pad_id=END
    )
    convert(model, tokenizer, spec)
    return model, spec


@cache
def tiny_tokenizer() -> Any:
    """Ids 0..255 are bytes, then `<|pad|>`, `<|im_start|>` and `<|im_end|>` (which ends a completion)."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: _byte_of(letter) for letter in letters}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|pad|>", "<|im_start|>", "<|im_end|>"])  # ids in this order, from 256 on
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
    )
    fast.chat_template = (
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + "
        "'<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
    )
    return fast


def _byte_of(letter: str) -> int:
    """The byte that byte-level BPE writes as `letter`: printable Latin-1 as itself, the others from 256 on."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return ord(letter) if ord(letter) < 256 else hidden[ord(letter) - 256]
