"""Supervised fine-tuning learns its demonstrations, and says what is wrong with a file of them."""

import json
from pathlib import Path

import pytest
import torch
from devices import DEVICES
from loops import check_a_stopped_run_goes_on, check_the_best_is_kept
from tiny import tiny_tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from verigrad.errors import ConfigError, DataError
from verigrad.training.config import (
    LoraConfig,
    OptimConfig,
    ReportConfig,
    RewardModelConfig,
    SamplingConfig,
    SFTConfig,
)
from verigrad.training.sft import Demonstration, demonstration_rows, read_demonstrations, train
from verigrad.types import Message

KEYS = ("run", "model", "dtype", "device", "slots", "max_length", "checkpoint_every", "threads")


@pytest.fixture
def sft_settings(settings):
    return {key: settings[key] for key in KEYS}


def losses(folder):
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture
def few(sft_settings, workshop):
    """Settings with four demonstrations, in batches of two."""
    rows = [{"prompt": f"Say {n}.", "completion": f"It is {n}."} for n in range(4)]
    (workshop / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    optim = OptimConfig(learning_rate=1e-2, schedule="cosine")
    return {**sft_settings, "data": str(workshop / "data.jsonl"), "batch_size": 2, "optim": optim}


@pytest.mark.parametrize("device", DEVICES)
def test_it_memorises(few, device):
    config = SFTConfig(**{**few, "device": device}, epochs=60, sampling=SamplingConfig(max_tokens=16))
    seen = losses(train(config))
    assert len(seen) == 120
    assert seen[0] > 2 and seen[-1] < 0.1
    # All weights were trained; what was saved answers like that for anyone who loads it.
    folder = Path(config.run) / "model"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    asked = [{"role": "user", "content": "Say 2."}]
    ids = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    said = model.generate(**ids, max_new_tokens=16, do_sample=False)[0, ids["input_ids"].shape[1] :]
    assert tokenizer.decode(said, skip_special_tokens=True) == "It is 2."


def test_a_step_says_how_many_tokens_it_learned_in_a_second(few):
    """Both answers of a step are `It is N.` and an end token: 9 each."""
    folder = train(SFTConfig(**few, epochs=1, sampling=SamplingConfig(max_tokens=16)))
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        assert row["tokens_per_second"] * row["seconds"] == pytest.approx(18)


@pytest.mark.parametrize("device", DEVICES)
def test_a_stopped_run_goes_on_to_the_same_weights(few, device):
    check_a_stopped_run_goes_on(train, SFTConfig, {**few, "epochs": 3, "device": device})


def test_only_the_weights_named_are_trained(few):
    """They take the very step they take when all are trained; the others take none."""
    optim = OptimConfig(learning_rate=1e-2, warmup_steps=0, max_grad_norm=1e9)
    one_step = {**few, "optim": optim, "batch_size": 4, "epochs": 1}
    before = AutoModelForCausalLM.from_pretrained(few["model"]).state_dict()
    weights = {}
    for part in ("", "norm"):
        config = SFTConfig(**{**one_step, "run": f"{few['run']}-{part}"}, train_only=(part,) if part else ())
        weights[part] = AutoModelForCausalLM.from_pretrained(train(config) / "model").state_dict()
    assert sum("norm" in name for name in before) == 5  # two layers, and the last
    for name, old in before.items():
        assert not torch.equal(weights[""][name], old)
        assert torch.equal(weights["norm"][name], weights[""][name] if "norm" in name else old), name


def test_a_stopped_run_of_some_weights_goes_on(few):
    check_a_stopped_run_goes_on(train, SFTConfig, {**few, "epochs": 3, "train_only": ("norm", "q_proj")})


def test_weights_that_are_not_there_cannot_be_trained(few):
    with pytest.raises(ConfigError, match=r"no weight has 'nrom' in its name \(train_only\); there are .*q_proj"):
        train(SFTConfig(**few, train_only=("nrom",)))
    with pytest.raises(ConfigError, match="one of them"):
        train(SFTConfig(**few, train_only=("norm",), lora=LoraConfig(rank=2)))


def test_the_best_validated_weights_are_kept(few, workshop):
    check_the_best_is_kept(train, SFTConfig, {**few, "epochs": 2}, f"{workshop}/my.py:held_out")


def test_the_mask_covers_the_answer_and_its_end_alone():
    tokenizer = tiny_tokenizer()
    (row,) = demonstration_rows(tokenizer, [Demonstration((Message("user", "Hi"),), "Yo")], None, 100)
    trained = [id_ for id_, counts in zip(row.ids, row.mask, strict=True) if counts]
    assert trained == [*b"Yo", tokenizer.eos_token_id]
    assert tokenizer.decode(row.ids[: row.prompt_length]).endswith("<|im_start|>assistant\n")


def test_long_demonstrations_are_left_out(sft_settings, workshop):
    demonstration = Demonstration((Message("user", "Hi"),), "x" * 200)
    assert demonstration_rows(tiny_tokenizer(), [demonstration], None, 100) == []
    (workshop / "data.jsonl").write_text(json.dumps({"prompt": "Hi", "completion": "x" * 200}) + "\n")
    with pytest.raises(ConfigError, match="none of 1 demonstrations fits"):
        train(SFTConfig(**{**sft_settings, "max_length": 100}, data=str(workshop / "data.jsonl")))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("not json", "data.jsonl:2"),
        ('{"prompt": "x"}', "completion"),
        ('{"messages": [{"role": "user", "content": "x"}]}', "does not end with the assistant"),
        ('{"prompt": "a", "chosen": "b"}', "2: has 'prompt', 'chosen'; wanted prompt and completion, or messages"),
    ],
)
def test_a_malformed_row_is_named(tmp_path, line, says):
    file = tmp_path / "data.jsonl"
    file.write_text('{"prompt": "a", "completion": "b"}\n' + line + "\n")
    with pytest.raises(DataError, match=says):
        read_demonstrations(file)


def test_answers_that_are_all_labelled_false_teach_nothing(sft_settings, workshop):
    (workshop / "data.jsonl").write_text(json.dumps({"prompt": "Hi", "completion": "x", "label": False}) + "\n")
    with pytest.raises(ConfigError, match="holds nothing to learn from: every answer has the label false"):
        train(SFTConfig(**sft_settings, data=str(workshop / "data.jsonl")))


def test_a_malformed_row_is_told_before_the_model_is_loaded(sft_settings, workshop):
    (workshop / "data.jsonl").write_text("not json\n")
    with pytest.raises(DataError, match=r"data\.jsonl:1"):
        train(SFTConfig(**{**sft_settings, "model": str(workshop / "nowhere")}, data=str(workshop / "data.jsonl")))


def test_the_best_of_what():
    with pytest.raises(ConfigError, match="keep_best goes by validations"):
        ReportConfig(keep_best=True)
    with pytest.raises(ConfigError, match=r"report\.validate_every is 5, and report\.validation names no tasks"):
        ReportConfig(validate_every=5)
    validated = ReportConfig(keep_best=True, validation="builtin", validate_every=5)
    with pytest.raises(ConfigError, match="a reward model ends with the last step's weights"):
        RewardModelConfig(data="pairs.jsonl", report=validated)
