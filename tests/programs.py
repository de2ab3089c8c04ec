"""A tiny model whose tokens are pieces of programs, so that reinforcement learning writes programs in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

__all__ = ["program_model"]

_SPECIAL = ("<|unk|>", "<|pad|>", "<|im_start|>", "<|im_end|>")


def program_model(pieces: Sequence[str], words: Sequence[str], *, seed: int) -> tuple[Any, Any]:
    """A two-layer model with random weights, and the tokenizer whose ids are these pieces of programs.

    Args:
        pieces: texts that a completion is made of, put together as they are.
        words: of prompts, which the model can tell apart; all others are one unknown word to it.
    """
    names = [*_SPECIAL, *words, *pieces]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(names),
                hidden_size=48,
                intermediate_size=80,
                num_hidden_layers=2,
                num_attention_heads=4,
                max_position_embeddings=128,
                bos_token_id=names.index("<|im_start|>"),
                eos_token_id=names.index("<|im_end|>"),
                pad_token_id=names.index("<|pad|>"),
            )
        ).eval()
    return model, _tokenizer(names)


def _tokenizer(names: Sequence[str]) -> Any:
    tokenizer = Tokenizer(models.WordLevel({name: number for number, name in enumerate(names)}, unk_token="<|unk|>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([name for name in _SPECIAL if name != "<|unk|>"])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<|unk|>",
        pad_token="<|pad|>",
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
    )
    fast.chat_template = (
        "{% for message in messages %}{{ '<|im_start|> ' + message['content'] + ' <|im_end|> ' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|> ' }}{% endif %}"
    )
    return fast
