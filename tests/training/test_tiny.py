"""The tiny track's start: a tokenizer and model that every other command can load, and data of the train split."""

import json

import pytest
from loops import check_the_page_explains_the_summary
from transformers import AutoModelForCausalLM, AutoTokenizer

from verigrad.cli.main import main
from verigrad.errors import RunError
from verigrad.models.chat import answer_ids, prompt_ids
from verigrad.models.diffusion import unused_ids
from verigrad.models.fresh import fresh_tokenizer
from verigrad.training.config import TinyConfig
from verigrad.training.tiny import make_tiny
from verigrad.types import Message

SMALL = {"texts": 60, "annealed": 20, "demonstrations": 20, "hidden": 32, "layers": 2, "heads": 2, "feed_forward": 48}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_tiny(TinyConfig(run=str(tmp_path_factory.mktemp("tiny") / "data"), **SMALL))


def test_any_tool_can_load_the_model_and_its_spare_token_is_unused(folder):
    model = AutoModelForCausalLM.from_pretrained(folder / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["mask_id"] in unused_ids(tokenizer, model.config.vocab_size)
    assert tokenizer.decode([summary["mask_id"]]) == "<|mask|>"
    assert summary["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    check_the_page_explains_the_summary(folder)


def test_texts_come_back_from_their_ids_and_lines_and_digits_are_always_split(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    for line in (folder / "texts.jsonl").read_text().splitlines():
        text = json.loads(line)["text"]
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        pieces = [tokenizer.decode([id_]) for id_ in ids]
        assert all(piece == "\n" or "\n" not in piece for piece in pieces)
        assert all(sum(map(str.isdigit, piece)) <= 1 for piece in pieces)
    assert tokenizer.decode(tokenizer.encode("ünïcödé \x00")) == "ünïcödé \x00"


def test_a_gap_of_whole_lines_has_the_tokens_it_has_in_the_whole_program(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    prefix, middle, suffix = "def f(n):\n", "    if n % 2 == 0:\n", "        return n + 3\n    return -n\n"
    parts = [id_ for part in (prefix, middle, suffix) for id_ in tokenizer.encode(part)]
    assert parts == tokenizer.encode(prefix + middle + suffix)


def test_the_chat_template_marks_turns_and_an_answer_ends(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    ids = prompt_ids(tokenizer, [Message("user", "Hi"), Message("assistant", "Yo"), Message("user", "Hm")])
    assert tokenizer.decode(ids) == "<|user|>Hi<|assistant|>Yo<|end|><|user|>Hm<|assistant|>"
    assert answer_ids(tokenizer, "Yo")[-1] == tokenizer.eos_token_id == tokenizer.pad_token_id


def test_the_same_seed_makes_the_same_files(folder, tmp_path):
    again = make_tiny(TinyConfig(run=str(tmp_path / "again"), **SMALL))
    other = make_tiny(TinyConfig(run=str(tmp_path / "other"), seed=1, **SMALL))
    for name in ("texts.jsonl", "annealed.jsonl", "demonstrations.jsonl", "model/model.safetensors"):
        assert (folder / name).read_bytes() == (again / name).read_bytes()
        assert (folder / name).read_bytes() != (other / name).read_bytes()
    with pytest.raises(RunError, match="already holds"):
        make_tiny(TinyConfig(run=str(again), **SMALL))


def test_a_vocabulary_without_room_for_bytes_is_refused(tmp_path, capsys):
    with pytest.raises(ValueError, match="at least 264"):
        fresh_tokenizer(["x"], vocabulary=200)
    words = ["--vocabulary", "200", "--texts", "2", "--annealed", "2", "--demonstrations", "4"]
    assert main(["tiny", "--run", str(tmp_path / "x"), *words]) == 1
    assert "vocabulary is 200" in capsys.readouterr().err
