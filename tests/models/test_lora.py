"""Adapters stand where trainer and sampler read the same weights."""

import pytest
from tiny import tiny_model

from verigrad.errors import ConfigError
from verigrad.models.lora import add_lora


@pytest.mark.parametrize(
    ("tied", "target", "says"),
    [
        (True, "embed_tokens", "'embed_tokens', which is the embedding, tied to the output head"),
        (True, "lm_head", "'lm_head', which is the output head"),
        (False, "lm_head", "'lm_head', which is the output head"),
    ],
)
def test_the_weight_that_log_probs_are_taken_by_has_no_adapter(tied, target, says):
    model, _ = tiny_model("llama", tie_word_embeddings=tied)
    with pytest.raises(ConfigError, match=says):
        add_lora(model, rank=2, alpha=4.0, targets=("q_proj", target))


@pytest.mark.parametrize("targets", [("embed_tokens",), ("q_proj",), ()])
def test_elsewhere_it_may_stand(targets):
    model, _ = tiny_model("llama", tie_word_embeddings=False)
    adapted = add_lora(model, rank=2, alpha=4.0, targets=targets)
    named = {name for name, _ in adapted.named_parameters() if ".lora_" in name}
    assert named and not any("lm_head" in name for name in named)


@pytest.mark.parametrize(
    ("targets", "says"),
    [
        (("nope",), "lora.targets has 'nope': no module has this name"),
        (("q_proj", "k-proj"), "lora.targets has 'k-proj': no module has this name"),  # peft alone would take the rest
        (("mlp",), "lora.targets has 'mlp': "),
    ],
)
def test_targets_that_are_no_layers_are_told_what_there_is(targets, says):
    model, _ = tiny_model("llama", tie_word_embeddings=False)
    with pytest.raises(
        ConfigError, match=f"{says}.*down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj here"
    ):
        add_lora(model, rank=2, alpha=4.0, targets=targets)
