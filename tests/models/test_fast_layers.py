"""A loaded model, whose layers are exchanged for faster ones, computes what transformers' own does."""

import pytest
import torch
from tiny import FAMILIES, tiny_model
from transformers import AutoModelForCausalLM

from verigrad.models.causal import load_causal
from verigrad.models.linear import FastLinear


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("mixed", [False, True])
def test_same_logits_and_gradients(family, mixed, tmp_path):
    model, tokenizer = tiny_model(family)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    fast, _ = load_causal(str(tmp_path), device="cpu")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert any(type(module) is FastLinear for module in fast.modules())
    ids = torch.randint(3, 250, (2, 17), generator=torch.Generator().manual_seed(0))

    def run(model):
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            logits = model(ids).logits
        logits.float().log_softmax(-1).gather(2, ids[..., None]).sum().backward()
        return logits.detach().float(), {name: p.grad for name, p in model.named_parameters()}

    (logits, grads), (expected, wanted) = run(fast), run(plain)
    # In bfloat16 the gradients of a norm's output are added up after they were rounded, in transformers before.
    tolerance = 0.05 if mixed else 1e-4
    assert (logits - expected).norm() <= tolerance * expected.norm()
    assert grads.keys() == wanted.keys()
    for name in wanted:
        assert (grads[name] - wanted[name]).norm() <= tolerance * wanted[name].norm(), name
