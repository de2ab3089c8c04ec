"""Bytes of tokens against what the tokenizer decodes."""

import pytest
from tiny import tiny_model
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from verigrad.models.pieces import token_bytes

TEXTS = ["def f(x):\n    return x\n", "  tabs\tand\r\nbreaks", "naïve café — ≤ 😀", "", "a" * 40]


@pytest.mark.parametrize("text", TEXTS)
def test_byte_level(text):
    _, tokenizer = tiny_model("llama")
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert b"".join(token_bytes(tokenizer, ids)) == text.encode()


def test_half_characters_stay_apart():
    _, tokenizer = tiny_model("llama")
    ids = tokenizer.encode("😀", add_special_tokens=False)
    pieces = token_bytes(tokenizer, ids)
    assert len(pieces) == len(ids)
    assert b"".join(pieces) == "😀".encode()


def test_special_tokens_print_nothing():
    _, tokenizer = tiny_model("llama")
    assert token_bytes(tokenizer, [tokenizer.eos_token_id]) == [b""]


def test_sentence_piece():
    """Llama 2's form: words begin with ▁, and bytes without a token are written <0x..>."""
    words = ["<unk>", "▁def", "▁x", ":", "<0xF0>", "<0x9F>", "<0x98>", "<0x80>", "▁"]
    backend = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unk>"))
    backend.normalizer = normalizers.Replace(" ", "▁")
    backend.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    backend.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")
    assert token_bytes(tokenizer, [1, 2, 3]) == [b" def", b" x", b":"]
    assert b"".join(token_bytes(tokenizer, [4, 5, 6, 7])) == "😀".encode()
