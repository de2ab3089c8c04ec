"""Bytes of tokens against what the tokenizer decodes."""

import copy

import pytest
from tiny import tiny_model
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
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


def test_every_special_token_prints_nothing():
    """Those without a role too, which decoding leaves out like the end of a text."""
    tokenizer = copy.deepcopy(tiny_model("llama")[1])
    tokenizer.add_tokens([AddedToken("<file_sep>", special=True), AddedToken("<plain>", special=False)])
    separator, plain = tokenizer.convert_tokens_to_ids(["<file_sep>", "<plain>"])
    assert separator not in tokenizer.all_special_ids
    ids = [*b"x = 1", separator, *b"y", plain, tokenizer.eos_token_id]
    text = b"".join(token_bytes(tokenizer, ids)).decode()
    assert text == tokenizer.decode(ids, skip_special_tokens=True) == "x = 1y<plain>"


def test_ids_that_only_the_model_has_print_nothing():
    """Models round their vocabulary up, and sampling may draw such an id."""
    tokenizer = tiny_model("llama")[1]
    beyond = len(tokenizer) + 3
    assert token_bytes(tokenizer, [97, beyond, 98]) == [b"a", b"", b"b"]
    assert tokenizer.decode([97, beyond, 98], skip_special_tokens=True) == "ab"
