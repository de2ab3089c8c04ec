"""Texts and answers turned round: the gap last, everything there once, and a model that learns to fill it."""

import json
from random import Random
from types import SimpleNamespace

import pytest
import torch
from tiny import END, VOCABULARY, tiny_model, tiny_tokenizer

from verigrad.errors import ConfigError
from verigrad.models.checkpoint import save_model
from verigrad.models.fim import FimSpec, fim_prompt, fim_spec, mark_fim
from verigrad.training.config import LoraConfig, OptimConfig, SFTConfig
from verigrad.training.sft import train
from verigrad.training.texts import can_turn, text_pieces, text_row, turned_round
from verigrad.types import Row

SPEC = FimSpec(prefix_id=100, suffix_id=101, middle_id=102)


def parts_of(ids):
    """What stands between the announcing ids."""
    before, after, middle = (ids.index(own) for own in (100, 101, 102))
    return ids[:before], ids[before + 1 : after], ids[after + 1 : middle], ids[middle + 1 :]


def test_a_text_turned_round_by_hand():
    """Of (1, 2, end) two cuts can leave the gaps (1), (2) and (1, 2)."""
    found = [turned_round(text_row((1, 2, END)), SPEC, {END}, 99, Random(seed)) for seed in range(40)]
    assert {row.ids: row.mask for row in found} == {
        (100, 101, 2, 102, 1, END): (False, False, True, False, True, True),
        (100, 1, 101, 102, 2, END): (False, True, False, False, True, True),
        (100, 101, 102, 1, 2, END): (False, False, False, True, True, True),
    }


def test_every_token_is_there_once_and_the_gap_is_never_empty():
    ids = (*range(1, 20), END)
    gaps = set()
    for seed in range(300):
        row = turned_round(text_row(ids), SPEC, {END}, 99, Random(seed))
        given, prefix, suffix, middle = parts_of(row.ids)
        assert given == () and prefix + middle[:-1] + suffix == ids[:-1] and middle[-1] == END and len(middle) > 1
        gaps.add((len(prefix), len(middle) - 1))
    assert len(gaps) > 100  # of the 190 there are


def test_of_an_answer_only_the_gap_is_learned_and_the_prompt_stays_in_front():
    answer = Row((7, 8, 1, 2, 3, END), (False, False, True, True, True, True), (0.0,) * 6, (1.0,) * 6, {}, 2)
    for seed in range(20):
        row = turned_round(answer, SPEC, {END}, 99, Random(seed))
        given, prefix, suffix, middle = parts_of(row.ids)
        assert given == (7, 8) and prefix + middle[:-1] + suffix == (1, 2, 3)
        assert sum(row.mask) == len(middle) and all(row.mask[-len(middle) :])
        assert row.prompt_length == len(row.ids) - len(middle)


def test_an_answer_ends_as_its_chat_template_says_turned_round_or_not():
    """The tokenizer's own end is that of texts, 9; the answer's is END, which must not be taken for a part of it."""
    answer = Row((7, 1, 2, 3, END), (False, True, True, True, True), (0.0,) * 5, (1.0,) * 5, {}, 1)
    for seed in range(20):
        row = turned_round(answer, SPEC, {9, END}, 99, Random(seed))
        assert row.ids[-1] == END and row.ids.count(END) == 1 and row.mask[-1]
        assert turned_round(text_row((1, 2, 9)), SPEC, {9, END}, 99, Random(seed)).ids[-1] == 9


def test_what_is_too_long_or_too_short_stays_as_it_is():
    long, short = text_row((1, 2, 3, END)), text_row((1, END))
    assert turned_round(long, SPEC, {END}, 6, Random(0)) is long and not can_turn(long, 6)
    assert turned_round(long, SPEC, {END}, 7, Random(0)) is not long and can_turn(long, 7)
    assert turned_round(short, SPEC, {END}, 99, Random(0)) is short


def test_the_ids_are_the_checkpoints_or_named_or_refused(tmp_path):
    model, tokenizer = tiny_model(vocab_size=VOCABULARY + 4)
    with pytest.raises(ConfigError, match="name three unused ids"):
        mark_fim(model, tokenizer)
    with pytest.raises(ConfigError, match="three different ids"):
        mark_fim(model, tokenizer, (65, VOCABULARY, VOCABULARY + 1))
    spec = mark_fim(model, tokenizer, (VOCABULARY, VOCABULARY + 1, VOCABULARY + 2))
    save_model(model, tokenizer, tmp_path / "model")
    again = type(model).from_pretrained(tmp_path / "model")
    assert fim_spec(again) == mark_fim(again, tokenizer) == spec
    assert fim_spec(tiny_model()[0]) is None


def test_pieces_of_a_text_are_those_of_its_ids(tmp_path):
    (tmp_path / "texts.jsonl").write_text(json.dumps({"text": "abcdefg"}) + "\n")
    pieces = text_pieces(tmp_path / "texts.jsonl", tiny_tokenizer(), 3)
    assert pieces == [(97, 98, 99), (100, 101, 102), (103, END)]


def test_a_text_needs_an_end(tmp_path):
    (tmp_path / "texts.jsonl").write_text(json.dumps({"text": "abc"}) + "\n")
    with pytest.raises(ConfigError, match="no eos_token, so a text has no end"):
        text_pieces(tmp_path / "texts.jsonl", SimpleNamespace(eos_token_id=None), 3)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"text": "x", "data": "y"}, "exactly one"),
        ({"text": "x", "word_dropout": 0.1}, "word_dropout"),
        ({"text": "x", "rename": 0.1}, "rename needs tasks"),
        ({"text": "x", "fim": 1.5}, "fim is 1.5"),
    ],
)
def test_settings_that_do_not_fit(settings, complaint):
    with pytest.raises(ConfigError, match=complaint):
        SFTConfig(**settings)


def test_a_model_learns_to_fill_a_gap_from_both_sides_and_texts_as_they_are(tmp_path):
    """Texts are `xAAx` or `yBBy`: the middle follows from either side, and is wrong if the suffix is not read.

    The prefix is cut away half of the time, so that only the suffix tells; the control sees the same texts.
    """
    model, tokenizer = tiny_model(vocab_size=VOCABULARY + 3)
    save_model(model, tokenizer, tmp_path / "start")
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in ("xAAx", "yBBy") * 8))
    config = SFTConfig(
        run=str(tmp_path / "run"),
        model=str(tmp_path / "start"),
        text=str(tmp_path / "texts.jsonl"),
        fim=0.5,
        fim_ids=(VOCABULARY, VOCABULARY + 1, VOCABULARY + 2),
        dtype="float32",
        epochs=50,
        batch_size=8,
        max_length=32,
        optim=OptimConfig(learning_rate=5e-3),
        lora=LoraConfig(),
        threads=1,
    )
    folder = train(config)
    trained = type(model).from_pretrained(folder / "model").eval()
    spec = fim_spec(trained)
    assert spec is not None

    def next_token(ids):
        with torch.no_grad():
            return int(trained(torch.tensor([ids])).logits[0, -1].argmax())

    for text in (b"xAAx", b"yBBy"):
        assert next_token(fim_prompt([], text[2:], spec)) == text[0]
        assert next_token(fim_prompt(text[:1], text[3:], spec)) == text[1]
        assert next_token(list(text[:1])) == text[1]
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["steps"] == 100 and summary["rows"] == 16
