"""What loading refuses: weights that are not there, logits that are not the head's product; and dropout is off."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import END, tiny_model, tiny_tokenizer
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    CohereConfig,
    Gemma2Config,
    GPT2Config,
    GraniteConfig,
    OPTConfig,
)

from verigrad.errors import ConfigError
from verigrad.models.base import Batch, View
from verigrad.models.causal import load_causal
from verigrad.models.checkpoint import save_model
from verigrad.models.packing import pack_views
from verigrad.models.scalar import load_scalar, pack_values
from verigrad.training.answer_scores import answer_scores
from verigrad.types import Message


def saved(family, folder):
    model, tokenizer = tiny_model(family)
    save_model(model, tokenizer, folder)
    return str(folder)


def without(folder, part):
    """Take the weights with `part` in their name out of a folder; how many they were."""
    file = folder / "model.safetensors"
    state = load_file(file)
    left = {name: tensor for name, tensor in state.items() if part not in name}
    save_file(left, file, metadata={"format": "pt"})
    return len(state) - len(left)


def test_a_model_without_a_tokenizer_is_told_so(tmp_path):
    tiny_model("llama")[0].save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=r"has no tokenizer beside it; save that of .*tokenizer\.save_pretrained"):
        load_causal(str(tmp_path))


@pytest.mark.parametrize(
    ("tied", "says"),
    [
        (False, r"lacks 1 of its weights, such as 'lm_head\.weight'.* reward model"),
        (True, r"rm' is a reward model, and no language model"),
    ],
)
def test_a_reward_model_is_no_language_model(tmp_path, tied, says):
    """One whose embeddings are its output head as well lacks nothing, and would write nonsense."""
    language_model, tokenizer = tiny_model("qwen2", tie_word_embeddings=tied)
    save_model(language_model, tokenizer, tmp_path / "lm")
    load_causal(str(tmp_path / "lm"))
    save_model(load_scalar(str(tmp_path / "lm"))[0], tokenizer, tmp_path / "rm")
    with pytest.raises(ConfigError, match=says):
        load_causal(str(tmp_path / "rm"))


def test_a_language_model_is_no_reward_model(tmp_path):
    """As a start it is one, with a new head; to those who only read scores, a head of zeros says nothing."""
    name = saved("llama", tmp_path / "lm")
    save_model(*load_scalar(name), tmp_path / "rm")
    load_scalar(str(tmp_path / "rm"), trained=True)
    with pytest.raises(ConfigError, match=r"lm' is no reward model: .* wanted the folder model/"):
        load_scalar(name, trained=True)
    with pytest.raises(ConfigError, match="is no reward model"):
        answer_scores(name, [((Message("user", "f"),), "g")])


@pytest.mark.parametrize("load", [load_causal, load_scalar])
def test_missing_weights_are_not_made_up(tmp_path, load):
    """A layer of the tiny Llama has three matrices with `mlp` in their names."""
    name = saved("llama", tmp_path / "lm")
    load(name)
    assert without(tmp_path / "lm", "layers.1.mlp") == 3
    with pytest.raises(ConfigError, match=r"lacks 3 of its weights, such as 'model\.layers\.1\.mlp"):
        load(name)


def test_a_trained_head_outlives_no_damage_to_the_body(tmp_path):
    model, tokenizer = load_scalar(saved("llama", tmp_path / "lm"))
    with torch.no_grad():
        model.score.weight.normal_()
    save_model(model, tokenizer, tmp_path / "rm")
    without(tmp_path / "rm", "layers.1.mlp.up_proj")
    with pytest.raises(ConfigError, match="lacks 1 of its weights"):
        load_scalar(str(tmp_path / "rm"))


def test_a_head_of_another_size_is_named(tmp_path):
    model, tokenizer = load_scalar(saved("llama", tmp_path / "lm"))
    save_model(model, tokenizer, tmp_path / "rm")
    with pytest.raises(ConfigError, match=r"score\.weight is 1 x 48 there, wanted 3 x 48"):
        load_scalar(str(tmp_path / "rm"), outputs=3)


@pytest.mark.parametrize("load", [load_causal, load_scalar])
def test_a_file_cut_short_is_a_config_error(tmp_path, load):
    name = saved("llama", tmp_path / "lm")
    file = tmp_path / "lm" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(ConfigError, match=f"cannot load '{name}' as a "):
        load(name)


_SIZES = {
    "vocab_size": 259,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "initializer_range": 0.3,
}


@pytest.mark.parametrize(
    "config",
    [
        GraniteConfig(**_SIZES, logits_scaling=8.0),
        CohereConfig(**_SIZES, logit_scale=0.0625),
        Gemma2Config(**_SIZES, head_dim=16, final_logit_softcapping=3.0),
    ],
    ids=lambda config: config.model_type,
)
def test_logits_that_are_scaled_or_capped_are_refused(tmp_path, config):
    """Log-probs are taken of the head's product, and would be other than the model's."""
    save_model(AutoModelForCausalLM.from_config(config), tiny_tokenizer(), tmp_path / "lm")
    with pytest.raises(ConfigError, match="scales or caps its logits"):
        load_causal(str(tmp_path / "lm"))


def test_a_granite_without_scaling_is_welcome(tmp_path):
    model = AutoModelForCausalLM.from_config(GraniteConfig(**_SIZES, logits_scaling=1.0))
    save_model(model, tiny_tokenizer(), tmp_path / "lm")
    loaded, _ = load_causal(str(tmp_path / "lm"))
    ids = torch.arange(3, 20)[None]
    torch.testing.assert_close(loaded(ids).logits, model(ids).logits)


@pytest.mark.parametrize(
    "config",
    [
        GPT2Config(
            vocab_size=259,
            n_embd=32,
            n_layer=2,
            n_head=4,
            n_positions=128,
            bos_token_id=1,
            eos_token_id=2,
            num_labels=1,
        ),
        OPTConfig(
            vocab_size=259,
            hidden_size=32,
            ffn_dim=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=128,
            word_embed_proj_dim=32,
            num_labels=1,
        ),
    ],
    ids=lambda config: config.model_type,
)
def test_training_computes_what_evaluation_does(tmp_path, config):
    """Both families drop a tenth by default, GPT-2 in modules and OPT in its functions."""
    model = AutoModelForSequenceClassification.from_config(config)
    save_model(model, tiny_tokenizer(), tmp_path / "lm")
    model, _ = load_scalar(str(tmp_path / "lm"))
    with torch.no_grad():
        model.score.weight.normal_()
    mask = torch.arange(12) >= torch.tensor([[6], [6]])
    rows = torch.arange(3, 27).view(2, 12)
    batch = Batch(
        views=tuple(View(row, ids, scored) for row, (ids, scored) in enumerate(zip(rows, mask, strict=True))),
        mask=mask,
        sampler_logprobs=torch.zeros(2, 12),
        temperature=torch.ones(2, 12),
        kept={},
        prompt_lengths=torch.tensor([6, 6]),
        rollout_index=torch.arange(2),
        group_ids=torch.arange(2),
        rewards=torch.zeros(2),
    )
    (pack,) = pack_views(batch.views, token_budget=100)
    still = pack_values(model, pack, batch)
    assert torch.equal(pack_values(model.train(), pack, batch), still) and bool(still.any())


def test_the_padding_token_has_a_gradient_by_finite_differences(tmp_path):
    """It is the end of a turn in the default model, and stands in every prompt; torch leaves padding as it is."""
    model, tokenizer = tiny_model("qwen2", pad_token_id=END)
    save_model(model, tokenizer, tmp_path / "lm")
    model, _ = load_causal(str(tmp_path / "lm"), dtype=torch.float64, device="cpu")
    row = model.get_input_embeddings().weight[END]
    with torch.no_grad():
        row.copy_(model.get_input_embeddings().weight[8])  # a new model has zeros there

    def logprob(shift):
        with torch.no_grad():
            row.add_(shift)
        found = model(torch.tensor([[5, END, 7]])).logits.log_softmax(-1)[0, -1, 9]
        with torch.no_grad():
            row.sub_(shift)
        return found

    logprob(0.0).backward()
    slope = float(model.get_input_embeddings().weight.grad[END].sum())
    wanted = float((logprob(1e-5) - logprob(-1e-5)).detach()) / 2e-5
    assert slope == pytest.approx(wanted, rel=1e-5) and abs(wanted) > 1e-3
