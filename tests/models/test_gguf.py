"""A GGUF file becomes an ordinary model folder with the weights that its quantised blocks stand for."""

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from gguf.quants import dequantize, quantize
from tiny import END, PAD, START, VOCABULARY, tiny_model, tiny_tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from verigrad.models.gguf import convert_gguf

# transformers' name -> llama.cpp's; docs/gguf.md of ggml, "Standardized tensor names".
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def gguf_name(name):
    for theirs, ours in (("model.embed_tokens", "token_embd"), ("model.norm", "output_norm")):
        if name.startswith(theirs):
            return ours + ".weight"
    _, _, layer, part = name.split(".", 3)
    return f"blk.{layer}.{NAMES[part.removesuffix('.weight')]}.weight"


def interleaved(weight, heads):
    """llama.cpp turns neighbouring pairs of a head's rows, transformers one half against the other."""
    return weight.reshape(heads, 2, -1, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def write_gguf(file, model):
    """Matrices in Q4_1, vectors as they are; returns what each matrix becomes, under transformers' names."""
    config, tokenizer = model.config, tiny_tokenizer()
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([*(tokenizer.convert_ids_to_tokens(id_) for id_ in range(VOCABULARY)), "ab"])
    writer.add_token_types([1] * 256 + [3] * 3 + [1])  # 3: a special token
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(START)
    writer.add_eos_token_id(END)
    writer.add_pad_token_id(PAD)
    expected = {}
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight":  # tied
            continue
        weight = tensor.numpy().astype(np.float32)
        if weight.ndim == 1:
            writer.add_tensor(gguf_name(name), weight)
            expected[name] = weight
            continue
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(name.split(".")[-2])
        blocks = quantize(interleaved(weight, heads) if heads else weight, Kind.Q4_1)
        writer.add_tensor(gguf_name(name), blocks, raw_dtype=Kind.Q4_1)
        # Rows are quantised on their own, so their order makes no difference.
        expected[name] = dequantize(quantize(weight, Kind.Q4_1), Kind.Q4_1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return expected


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_quantised_file_becomes_its_weights_once(tmp_path, monkeypatch):
    monkeypatch.setenv("VERIGRAD_CACHE", str(tmp_path / "cache"))
    model, tokenizer = tiny_model("llama", vocab_size=VOCABULARY + 1, hidden_size=64, intermediate_size=96)
    expected = write_gguf(tmp_path / "tiny.gguf", model)
    folder = convert_gguf(tmp_path / "tiny.gguf")
    assert folder.parent == tmp_path / "cache" / "models"
    found = AutoModelForCausalLM.from_pretrained(folder)
    state = found.state_dict()
    for name, weight in expected.items():
        torch.testing.assert_close(state[name], torch.from_numpy(weight), rtol=0, atol=1e-6, msg=name)
    model.load_state_dict({**{name: torch.from_numpy(x) for name, x in expected.items()}, **tied(expected)})
    ids = torch.tensor([tokenizer.encode("def f(x):")])
    with torch.no_grad():
        torch.testing.assert_close(found(ids).logits, model(ids).logits, rtol=1e-4, atol=1e-4)
    encoded = AutoTokenizer.from_pretrained(folder).encode("cab<|im_end|>", add_special_tokens=False)
    assert encoded == [ord("c"), VOCABULARY, END]
    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert convert_gguf(tmp_path / "tiny.gguf") == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == written


def tied(weights):
    return {"lm_head.weight": torch.from_numpy(weights["model.embed_tokens.weight"])}
