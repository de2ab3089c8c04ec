"""What a run will need, before it starts: memory and, roughly, time."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from verigrad.models.gguf import DEFAULT_MODEL, default_model_dir
from verigrad.training.config import RLConfig, StageConfig

__all__ = ["estimate", "parameter_count"]

# Floating-point operations a second of a whole step. bfloat16: the quickstart's first step on 2 cores (x86-64, AVX-512
# bf16), about 4,000 tokens in 20 s. float32 is a guess, a third of it. Elsewhere both are no more than a hint.
_RATE = {"bfloat16": 200e9, "float32": 70e9}


def estimate(config: StageConfig) -> str:
    """Lines that say how much memory a run takes and about how long, for a machine like the one measured."""
    parameters = parameter_count(config.model)
    if parameters is None:
        return f"no estimate: {config.model!r} is not on this machine yet"
    trained = parameters if config.lora.rank == 0 else parameters // 50
    sampler = parameters * (2 if config.dtype == "bfloat16" else 4)
    weights = 4 * parameters
    state = 12 * trained
    logits = 49152 * config.token_budget * (2 if config.dtype == "bfloat16" else 4)
    total = (weights + state + sampler + 2 * logits) / 2**30
    lines = [
        f"{parameters / 1e6:.0f}M parameters, {trained / 1e6:.0f}M trained",
        f"memory: about {total:.1f} GiB (weights {weights / 2**30:.1f}, gradients and optimizer {state / 2**30:.1f}, "
        f"sampler {sampler / 2**30:.1f}, logits {2 * logits / 2**30:.1f})",
    ]
    if isinstance(config, RLConfig):
        tokens = config.steps * config.tasks_per_step * config.group_size * config.sampling.max_tokens
        seconds = tokens * 8 * parameters / _RATE[config.dtype]
        lines.append(
            f"time: at most {tokens:,} completion tokens to train on, up to {seconds / 60:.0f} minutes of sampling and "
            f"training on 2 cores ({os.cpu_count()} here); completions usually end earlier; evaluations come on top"
        )
    return "\n".join(lines)


def parameter_count(model: str) -> int | None:
    """Weights of a model that is on this machine, from its config alone; None where it is not."""
    folder = default_model_dir() if model == DEFAULT_MODEL else Path(model).expanduser()
    if not (folder / "config.json").is_file():
        return None
    c: dict[str, Any] = json.loads((folder / "config.json").read_text())
    hidden, layers = c["hidden_size"], c["num_hidden_layers"]
    heads = c["num_attention_heads"]
    head_dim = c.get("head_dim") or hidden // heads
    kv = c.get("num_key_value_heads") or heads
    attention = hidden * head_dim * (2 * heads + 2 * kv)
    gated = 2 if c.get("model_type") == "gpt_neox" else 3
    embeddings = c["vocab_size"] * hidden * (1 if c.get("tie_word_embeddings") else 2)
    return int(layers * (attention + gated * hidden * c["intermediate_size"]) + embeddings)
