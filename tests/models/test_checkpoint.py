"""What is saved is what was trained, for transformers as for us."""

import json

import pytest
import torch
from devices import DEVICES
from tiny import END, FAMILIES, tiny_model
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from verigrad.models.causal import load_causal
from verigrad.models.checkpoint import save_model
from verigrad.models.lora import add_lora

IDS = torch.tensor([[5, 100, 7, 31, 200]])


def trained(family, device, rank=0):
    """A model after two large steps, so that it is far from how it was made."""
    model, tokenizer = tiny_model(family)
    model = model.to(device)
    if rank:
        model = add_lora(model, rank=rank, alpha=8.0)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    for _ in range(2):
        model(IDS.to(device), labels=IDS.to(device)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model, tokenizer


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("rank", [0, 4])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_model_gives_the_logits_it_had(family, rank, device, tmp_path):
    model, tokenizer = trained(family, device, rank)
    with torch.no_grad():
        expected = model(IDS.to(device)).logits.cpu()
        before = tiny_model(family)[0](IDS).logits
    assert float((expected - before).abs().max()) > 0.05
    save_model(model, tokenizer, tmp_path / "model")
    theirs, ours = AutoModelForCausalLM.from_pretrained(tmp_path / "model"), load_causal(str(tmp_path / "model"))[0]
    with torch.no_grad():
        torch.testing.assert_close(theirs(IDS).logits, expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(ours(IDS.to(ours.device)).logits.cpu(), expected, rtol=1e-4, atol=1e-4)
    assert AutoTokenizer.from_pretrained(tmp_path / "model").chat_template == tokenizer.chat_template


def test_a_saved_model_says_all_ends_of_its_answers(tmp_path):
    """The template's, which answers are trained to end with, stands in no published config of a base model; one that
    contradicts itself, so that transformers takes no change of it, is gone on from as well."""
    model, tokenizer = tiny_model("llama", vocab_size=260)
    save_model(model, tokenizer, tmp_path / "base")
    published = tmp_path / "base" / "generation_config.json"
    published.write_text(json.dumps({"eos_token_id": END, "temperature": 0.6, "do_sample": False}))
    model, tokenizer = load_causal(str(tmp_path / "base"))
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|turn|>"]})
    tokenizer.chat_template = "{% for m in messages %}{{ m.content + '<|turn|>' }}{% endfor %}"
    save_model(model, tokenizer, tmp_path / "model")
    found = GenerationConfig.from_pretrained(tmp_path / "model")
    assert (found.eos_token_id, found.temperature) == ([END, tokenizer.convert_tokens_to_ids("<|turn|>")], 0.6)
