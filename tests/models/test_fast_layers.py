"""A loaded model, whose layers are exchanged for faster ones, computes what transformers' own does."""

import pytest
import torch
from tiny import FAMILIES, tiny_model
from transformers import AutoModelForCausalLM

from verigrad.models.causal import body_of, cast_once, load_causal
from verigrad.models.linear import FastLinear
from verigrad.models.lora import add_lora


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


@pytest.mark.parametrize("rank", [0, 4])
def test_weights_cast_once_give_what_autocast_gives(rank):
    """To the last bit, with and without adapters; afterwards the weights are what they were, also after a failure."""
    model, _ = tiny_model("llama")
    model = add_lora(model, rank=rank, alpha=8, targets=("q_proj", "down_proj"), seed=0) if rank else model
    kept = {name: parameter.clone() for name, parameter in model.named_parameters()}
    ids = torch.randint(3, 250, (2, 17), generator=torch.Generator().manual_seed(0))

    def run():
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            return body_of(model)(ids).last_hidden_state

    expected = run()
    with pytest.raises(ZeroDivisionError), cast_once(model, torch.bfloat16):
        linear = [module.weight.dtype for module in body_of(model).modules() if isinstance(module, torch.nn.Linear)]
        assert set(linear) == {torch.bfloat16}
        assert torch.equal(run(), expected)
        1 / 0  # noqa: B018
    for name, parameter in model.named_parameters():
        assert parameter.dtype == torch.float32 and torch.equal(parameter, kept[name])
    model(ids).logits.sum().backward()  # nothing of inference mode is left in them


def test_a_wide_type_is_not_cast():
    model, _ = tiny_model("llama")
    held = [parameter.data_ptr() for parameter in model.parameters()]
    with cast_once(model, torch.float32):
        assert [parameter.data_ptr() for parameter in model.parameters()] == held
