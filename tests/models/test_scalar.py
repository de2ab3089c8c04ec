"""Scalar models: values equal transformers' own classifier on every prefix, and saved ones load there."""

import copy

import pytest
import torch
from tiny import END, tiny_model, tiny_tokenizer
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    FalconConfig,
    GPTJConfig,
    GPTNeoConfig,
    JambaConfig,
    MistralConfig,
    MixtralConfig,
    Phi3Config,
    StableLmConfig,
    Starcoder2Config,
)

from verigrad.errors import ConfigError
from verigrad.models.base import Batch, View
from verigrad.models.checkpoint import save_model
from verigrad.models.packing import pack_views
from verigrad.models.scalar import last_values, load_scalar, pack_values, token_values
from verigrad.training.examples import completion_row, flat_rows
from verigrad.types import Message


@pytest.fixture
def language_model(tmp_path):
    model, tokenizer = tiny_model("llama")
    save_model(model, tokenizer, tmp_path / "lm")
    return tmp_path / "lm"


def with_head(folder, seed=0):
    model, tokenizer = load_scalar(str(folder))
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model.score.weight.normal_()
    return model, tokenizer


def ragged_batch(seed=0):
    """Two prompts, two completions each, of different lengths."""
    generator = torch.Generator().manual_seed(seed)
    prompts = [torch.randint(3, 250, (n,), generator=generator) for n in (5, 9)]
    rows = [
        torch.cat([prompt, torch.randint(3, 250, (n,), generator=generator)])
        for prompt, sizes in zip(prompts, ((3, 7), (4, 1)), strict=True)
        for n in sizes
    ]
    starts = [5, 5, 9, 9]
    mask = torch.zeros(4, max(len(row) for row in rows), dtype=torch.bool)
    for index, (row, start) in enumerate(zip(rows, starts, strict=True)):
        mask[index, start : len(row)] = True
    return Batch(
        views=tuple(View(i, row, mask[i, : len(row)].clone()) for i, row in enumerate(rows)),
        mask=mask,
        sampler_logprobs=torch.zeros(mask.shape),
        temperature=torch.ones(mask.shape),
        kept={},
        prompt_lengths=torch.tensor(starts),
        rollout_index=torch.arange(4),
        group_ids=torch.tensor([0, 0, 1, 1]),
        rewards=torch.zeros(4),
    )


_SIZES = {
    "vocab_size": 259,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_GPT_SIZES = {"vocab_size": 259, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64}


def other_family(config, folder):
    """A scalar model of a family that is not among the tiny ones."""
    save_model(AutoModelForCausalLM.from_config(config), tiny_tokenizer(), folder)
    return load_scalar(str(folder))[0]


@pytest.mark.parametrize(
    ("config", "extra"),
    [
        (MistralConfig, {"num_key_value_heads": 2}),
        (MixtralConfig, {"num_key_value_heads": 2, "num_local_experts": 2}),
        (Phi3Config, {}),
        (Starcoder2Config, {"num_key_value_heads": 2}),
    ],
)
def test_a_sliding_window_is_refused(tmp_path, config, extra):
    """Packed rows are attended to in full, so the values would not be the classifier's."""
    model = other_family(config(**_SIZES, **extra, sliding_window=4), tmp_path / "lm")
    with pytest.raises(ConfigError, match="sliding window of 4 cannot be trained on packed rows"):
        token_values(model, ragged_batch(), token_budget=64, dtype=torch.float32)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (FalconConfig(vocab_size=259, hidden_size=16, num_hidden_layers=2, num_attention_heads=2), "attention stays"),
        (GPTJConfig(**_GPT_SIZES, rotary_dim=4), "attention stays"),
        (
            GPTNeoConfig(vocab_size=259, hidden_size=16, num_layers=2, num_heads=2, attention_types=[[["global"], 2]]),
            "attention stays",
        ),
        (StableLmConfig(**_SIZES, num_key_value_heads=2), "0 of its 2 layers"),  # which hands no layout down
        (JambaConfig(**_SIZES, num_key_value_heads=2, attn_layer_period=2, attn_layer_offset=1), "1 of its 2"),
    ],
    ids=lambda value: getattr(value, "model_type", ""),
)
def test_a_family_whose_layers_do_not_attend_as_told_is_refused(tmp_path, config, reason):
    """Every position would see prompts, siblings and the future."""
    model = other_family(config, tmp_path / "lm")
    with pytest.raises(ConfigError, match=f"cannot be trained on packed rows: .*{reason}"):
        token_values(model, ragged_batch())


def test_values_are_the_classifiers_scores_of_each_prefix(language_model):
    model, _ = with_head(language_model)
    batch = ragged_batch()
    expected = torch.zeros(batch.mask.shape)
    for view in batch.views:
        for t in view.scored.nonzero().flatten().tolist():
            expected[view.row, t] = model(view.input_ids[None, :t]).logits[0, 0].detach()
    torch.testing.assert_close(token_values(model, batch), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(token_values(model, batch, token_budget=8), expected, rtol=1e-4, atol=1e-5)


def test_gradient_equals_that_of_plain_rows(language_model):
    model, _ = with_head(language_model)
    batch = ragged_batch()
    weights = torch.randn(batch.mask.shape, generator=torch.Generator().manual_seed(1)) * batch.mask
    for pack in pack_views(batch.views, token_budget=64):
        (pack_values(model, pack, batch) * weights).sum().backward()
    packed = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    for view in batch.views:
        for t in view.scored.nonzero().flatten().tolist():
            (model(view.input_ids[None, :t]).logits[0, 0] * weights[view.row, t]).backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(packed[name], parameter.grad, rtol=1e-3, atol=1e-4, msg=name)


def test_a_new_head_scores_zero_and_a_saved_one_is_kept(language_model, tmp_path):
    fresh, _ = load_scalar(str(language_model))
    batch = ragged_batch()
    assert torch.equal(token_values(fresh, batch), torch.zeros(batch.mask.shape))
    model, tokenizer = with_head(language_model)
    save_model(model, tokenizer, tmp_path / "rm")
    ours, _ = load_scalar(str(tmp_path / "rm"))
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path / "rm")
    ids = batch.views[1].input_ids[None]
    torch.testing.assert_close(theirs(ids).logits, model(ids).logits)
    torch.testing.assert_close(token_values(ours, batch), token_values(model, batch))


def test_a_saved_model_reads_answers_at_their_end_where_that_was_the_padding(tmp_path):
    """As in the default model: transformers takes the last token that is no padding, alone and in a padded batch."""
    model, tokenizer = tiny_model("llama", pad_token_id=END)
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.pad_token = "<|im_end|>"
    save_model(model, tokenizer, tmp_path / "lm")
    model, tokenizer = with_head(tmp_path / "lm")
    asked = (Message("user", "Say a."),)
    rows = [
        completion_row(tokenizer, asked, text, system=None, max_length=64, closing=True) for text in ("a", "aaaaaaaa")
    ]
    batch = flat_rows(rows)
    scores = last_values(token_values(model, batch), batch.mask)
    save_model(model, tokenizer, tmp_path / "rm")
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path / "rm")
    loaded = AutoTokenizer.from_pretrained(tmp_path / "rm")
    texts = [tokenizer.decode(row.ids[:-1]) for row in rows]  # the end token is there twice for us
    with torch.no_grad():
        alone = torch.cat([theirs(**loaded(text, return_tensors="pt")).logits[:, 0] for text in texts])
        together = theirs(**loaded(texts, padding=True, return_tensors="pt")).logits[:, 0]
    torch.testing.assert_close(alone, scores, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together, scores, rtol=1e-4, atol=1e-5)
    assert load_scalar(str(tmp_path / "rm"))[0].config.pad_token_id == theirs.config.pad_token_id


def test_no_model_there(tmp_path):
    with pytest.raises(ConfigError, match=r"config\.json"):
        load_scalar(str(tmp_path / "nothing"))


def test_tokenizer_comes_along(language_model):
    _, tokenizer = load_scalar(str(language_model))
    assert tokenizer("abc").input_ids == tiny_tokenizer()("abc").input_ids
