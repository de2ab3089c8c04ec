"""The engine's own forward pass against Hugging Face's, over families, rotary kinds and weight updates."""

import pytest
import torch
from devices import DEVICES
from tiny import FAMILIES, VOCABULARY, tiny_model
from transformers import GPT2Config, GPT2LMHeadModel, MistralConfig, MistralForCausalLM

from verigrad.engines.decoder import Decoder, Segment
from verigrad.engines.layout import Rotations, duplicates, layout, read_architecture
from verigrad.engines.weights import Weights
from verigrad.errors import ConfigError, EngineError

VARIANTS = {
    **{family: (family, {}) for family in FAMILIES},
    "llama with biases": ("llama", {"attention_bias": True, "mlp_bias": True}),
    "llama, one key head": ("llama", {"num_key_value_heads": 1}),
    "llama, three queries a key": ("llama", {"num_attention_heads": 6, "num_key_value_heads": 2}),
    "llama3 rotary": (
        "llama",
        {
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 10000.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            }
        },
    ),
    "yarn rotary": (
        "qwen3",
        {
            "rope_parameters": {
                "rope_type": "yarn",
                "rope_theta": 10000.0,
                "factor": 4.0,
                "original_max_position_embeddings": 128,
            }
        },
    ),
    "linear rotary": ("qwen2", {"rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}}),
    "gpt_neox, one after the other": ("gpt_neox", {"use_parallel_residual": False, "tie_word_embeddings": True}),
    "gpt_neox, tanh": ("gpt_neox", {"hidden_act": "gelu_new", "attention_bias": False}),
}


def make_decoder(model, *, dtype=torch.float32, device="cpu"):
    architecture = read_architecture(model)
    state = model.state_dict()
    weights = Weights(
        layout(architecture, state.keys()),
        ignore=duplicates(architecture),
        dtype=dtype,
        device=torch.device(device),
    )
    weights.load(state.items())
    return Decoder(architecture, weights, Rotations(model, architecture, device=device))


def random_ids(*lengths, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(VOCABULARY, (length,), generator=generator).tolist() for length in lengths]


@torch.inference_mode()
def decoder_logits(decoder, sequences, prompt_lengths):
    """Per sequence the logits after each position from its prompt's last on, all sequences in one batch."""
    cache = decoder.new_cache()
    cache.reserve(len(sequences), max(map(len, sequences)), keep=0)
    prompts = zip(sequences, prompt_lengths, strict=True)
    decoder.prefill([Segment(slot, ids[: n - 1]) for slot, (ids, n) in enumerate(prompts) if n > 1], cache)
    gathered = [[] for _ in sequences]
    at = [n - 1 for n in prompt_lengths]
    # Short ones stay on their last position, so that the batch keeps its size.
    while any(position < len(ids) for position, ids in zip(at, sequences, strict=True)):
        now = [min(position, len(ids) - 1) for position, ids in zip(at, sequences, strict=True)]
        logits = decoder.decode([ids[n] for ids, n in zip(sequences, now, strict=True)], now, cache)
        for row, (position, ids) in enumerate(zip(at, sequences, strict=True)):
            if position < len(ids):
                gathered[row].append(logits[row])
        at = [position + 1 for position in at]
    return [torch.stack(rows).float().cpu() for rows in gathered]


@torch.inference_mode()
def model_logits(model, ids, prompt_length):
    return model(torch.tensor([ids])).logits[0, prompt_length - 1 :]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_equal_hugging_face(variant, device):
    """Prompts of 1, 9 and 40 ids together; the cache grows past one step of its length on the way."""
    family, overrides = VARIANTS[variant]
    model, _ = tiny_model(family, **overrides)
    sequences, prompts = random_ids(20, 30, 70), [1, 9, 40]
    got = decoder_logits(make_decoder(model, device=device), sequences, prompts)
    for logits, ids, prompt in zip(got, sequences, prompts, strict=True):
        expected = model_logits(model, ids, prompt)
        torch.testing.assert_close(logits, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("family", FAMILIES)
def test_bfloat16_is_as_close_as_hugging_face_in_bfloat16(family, device):
    model, _ = tiny_model(family)
    sequences, prompts = random_ids(40, 60), [10, 30]
    exact = torch.cat([model_logits(model, ids, n) for ids, n in zip(sequences, prompts, strict=True)]).log_softmax(-1)
    got = torch.cat(decoder_logits(make_decoder(model, dtype=torch.bfloat16, device=device), sequences, prompts))
    rounded = model.bfloat16()
    theirs = torch.cat([model_logits(rounded, ids, n) for ids, n in zip(sequences, prompts, strict=True)])

    def divergence(logits):
        return float((exact.exp() * (exact - logits.float().log_softmax(-1))).sum(-1).mean())

    assert divergence(got) < 2 * divergence(theirs) + 1e-4


def test_a_row_does_not_feel_the_others():
    """Up to rounding everywhere; bit for bit where it was found to be so, packed products on AVX-512."""
    model, _ = tiny_model("llama", hidden_size=64, intermediate_size=96)
    decoder = make_decoder(model)
    sequences, prompts = random_ids(50, 33, 80, 12, 64, seed=5), [20, 8, 60, 3, 30]
    together = decoder_logits(decoder, sequences, prompts)
    for row in range(len(sequences)):
        (alone,) = decoder_logits(decoder, [sequences[row]], [prompts[row]])
        torch.testing.assert_close(together[row], alone, rtol=0, atol=1e-6)
        if decoder.weights.packs and torch.backends.cpu.get_cpu_capability() == "AVX512":
            assert torch.equal(together[row], alone)


def test_the_cache_keeps_what_it_holds_when_it_grows_and_shrinks():
    model, _ = tiny_model("llama")
    decoder = make_decoder(model)
    (ids,) = random_ids(31)
    expected = model_logits(model, ids, 31)[0]
    with torch.inference_mode():
        cache = decoder.new_cache()
        cache.reserve(1, 31, keep=0)
        decoder.prefill([Segment(0, ids[:30])], cache)
        for num_slots, length in [(1, 200), (20, 200), (20, 31), (20, 33)]:
            cache.reserve(num_slots, length, keep=1)
            assert cache.length < length + 32 and cache.num_slots >= num_slots
            cache.copy(0, 1, 30)
            logits = decoder.decode([ids[30]] * 2, [30] * 2, cache)
            torch.testing.assert_close(logits, expected.expand(2, -1), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", FAMILIES)
def test_part_of_the_weights_can_be_replaced(family, dtype):
    """A few tensors, among them parts of fused ones, from another model: as if that model had been loaded whole."""
    model, _ = tiny_model(family)
    other = tiny_model(family, seed=1)[0].state_dict()
    state = model.state_dict()
    tied = {"lm_head.weight", "embed_out.weight"} if model.config.tie_word_embeddings else set()
    names = [name for name in state if name not in tied][::2]
    decoder = make_decoder(model, dtype=dtype)
    decoder.weights.load((name, other[name]) for name in names)
    decoder.refresh()
    model.load_state_dict({**state, **{name: other[name] for name in names}}, strict=not tied)
    sequences = random_ids(12, 9)
    expected = decoder_logits(make_decoder(model, dtype=dtype), sequences, [4, 6])
    got = decoder_logits(decoder, sequences, [4, 6])
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


def test_weights_are_copies():
    model, _ = tiny_model("llama")
    decoder = make_decoder(model)
    sequences = random_ids(12)
    before = decoder_logits(decoder, sequences, [4])[0]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    assert torch.equal(decoder_logits(decoder, sequences, [4])[0], before)


def test_a_failed_load_changes_nothing():
    model, _ = tiny_model("llama")
    decoder = make_decoder(model)
    sequences = random_ids(12)
    before = decoder_logits(decoder, sequences, [4])[0]
    good = ("model.norm.weight", torch.zeros(48))
    with pytest.raises(EngineError, match=r"no tensor 'model.nrm.weight'.*did you mean 'model.norm.weight'"):
        decoder.weights.load([good, ("model.nrm.weight", torch.zeros(48))])
    with pytest.raises(EngineError, match=r"q_proj.weight' has shape \(2, 48\), wanted \(48, 48\)"):
        decoder.weights.load([good, ("model.layers.0.self_attn.q_proj.weight", torch.zeros(2, 48))])
    decoder.refresh()
    assert torch.equal(decoder_logits(decoder, sequences, [4])[0], before)


def test_what_is_not_supported_says_so():
    gpt2 = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=8, n_head=2, vocab_size=16))
    with pytest.raises(ConfigError, match=r"model_type 'gpt2'; it supports: llama, mistral, qwen2, qwen3, gpt_neox"):
        read_architecture(gpt2)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "vocab_size": 16}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1}
    with pytest.raises(ConfigError, match="sliding window of 8"):
        read_architecture(MistralForCausalLM(MistralConfig(**sizes, **heads, sliding_window=8)))
    with pytest.raises(ConfigError, match="kind 'dynamic'; supported: default, linear, llama3, yarn"):
        read_architecture(
            tiny_model("llama", rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0})[0]
        )
    with pytest.raises(ConfigError, match="hidden_act 'relu'"):
        read_architecture(tiny_model("llama", hidden_act="relu")[0])


def test_mistral_without_a_window():
    sizes = {"hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "vocab_size": VOCABULARY}
    config = MistralConfig(**sizes, num_attention_heads=4, num_key_value_heads=2, sliding_window=None)
    model = MistralForCausalLM(config).eval()
    sequences = random_ids(20, 9)
    got = decoder_logits(make_decoder(model), sequences, [5, 5])
    for logits, ids in zip(got, sequences, strict=True):
        torch.testing.assert_close(logits, model_logits(model, ids, 5), rtol=1e-4, atol=2e-5)
