"""From a Hugging Face decoder's config and tensor names to the fused tensors the local engine computes with.

Supported: `llama` (and `mistral` without a sliding window), `qwen2`, `qwen3`, `gpt_neox`. Rotary kinds whose
frequencies do not depend on the length of the sequence: default, linear, llama3, yarn.

Rotary embedding here turns neighbouring pairs (2j, 2j + 1), which is one complex product; Hugging Face turns
(j, j + half). Permuting the rows of the query and key projections alike makes the two the same, because
attention sees only their dot product.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from verigrad.errors import ConfigError
from verigrad.models.attention import slides

__all__ = ["Architecture", "Rotations", "Source", "duplicates", "layout", "placements", "read_architecture"]

_ACTIVATIONS = {"silu": "silu", "gelu": "gelu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh"}
_LLAMA_LIKE = ("llama", "mistral", "qwen2", "qwen3")
_FAMILIES = (*_LLAMA_LIKE, "gpt_neox")
_HEADS = ("lm_head.weight", "embed_out.weight")  # GPT-NeoX called it `embed_out` before transformers 5
_ROTARY = ("default", "linear", "llama3", "yarn")
_STRETCH = 2048  # positions whose rotations are worked out together


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """What the forward pass must know.

    Attributes:
        family: the config's `model_type`.
        norm: `rms` or `layer`.
        activation: `silu`, `gelu` or `gelu_tanh`.
        gated: the feed-forward part multiplies by a gate.
        parallel_residual: attention and feed-forward read the same residual stream.
        rotary_dim: leading dimensions of each head that are rotated.
        max_positions: longest sequence the model was made for.
    """

    family: str
    num_layers: int
    hidden_size: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    rotary_dim: int
    vocab_size: int
    norm: str
    norm_eps: float
    activation: str
    gated: bool
    parallel_residual: bool
    tied: bool
    max_positions: int


@dataclass(frozen=True)
class Source:
    """A Hugging Face tensor that fills consecutive rows of one of ours; `order` permutes its rows first."""

    name: str
    order: Tensor | None = None

    def rows(self, tensor: Tensor) -> Tensor:
        return tensor if self.order is None else tensor[self.order.to(tensor.device)]


def read_architecture(model: nn.Module) -> Architecture:
    """Read a Hugging Face causal LM's config.

    Raises:
        ConfigError: the model is of a kind the local engine does not compute.
    """
    config: Any = model.config
    family = getattr(config, "model_type", type(model).__name__)
    if family not in _FAMILIES:
        raise ConfigError(f"the local engine cannot run model_type {family!r}; it supports: {', '.join(_FAMILIES)}")
    if config.hidden_act not in _ACTIVATIONS:
        raise ConfigError(f"{family} with hidden_act {config.hidden_act!r}; supported: {', '.join(_ACTIVATIONS)}")
    if slides(config):
        raise ConfigError(
            f"{family} with a sliding window of {config.sliding_window}; only full attention is supported"
        )
    if any(not parameter.is_floating_point() for parameter in model.parameters()):
        raise ConfigError(f"{family} with quantised weights; load it in float32 or bfloat16 instead")
    neox = family == "gpt_neox"
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return Architecture(
        family=family,
        num_layers=config.num_hidden_layers,
        hidden_size=config.hidden_size,
        num_heads=config.num_attention_heads,
        num_kv_heads=config.num_attention_heads if neox else config.num_key_value_heads,
        head_dim=head_dim,
        rotary_dim=2 * len(_rotary(model).inv_freq),
        vocab_size=config.vocab_size,
        norm="layer" if neox else "rms",
        norm_eps=config.layer_norm_eps if neox else config.rms_norm_eps,
        activation=_ACTIVATIONS[config.hidden_act],
        gated=not neox,
        parallel_residual=neox and config.use_parallel_residual,
        tied=bool(config.tie_word_embeddings),
        max_positions=config.max_position_embeddings,
    )


def _rotary(model: nn.Module) -> Any:
    """The model's rotary module, made again: casting a model to bfloat16 also rounds its frequencies."""
    module: Any = next((part for name, part in model.named_modules() if name.endswith("rotary_emb")), None)
    kind = getattr(module, "rope_type", None)
    if kind not in _ROTARY:
        raise ConfigError(f"rotary embedding of kind {kind!r}; supported: {', '.join(_ROTARY)}")
    return type(module)(model.config)


class Rotations:
    """Rotations by position, worked out when they are first asked for: the model's longest sequence may be a hundred
    times as long as any that comes."""

    def __init__(self, model: nn.Module, architecture: Architecture, *, device: torch.device | str) -> None:
        module = _rotary(model)
        self._frequencies = module.inv_freq.float()
        self._scaling = float(module.attention_scaling)
        self._still = (architecture.head_dim - architecture.rotary_dim) // 2
        self._table = self._stretch(0).to(device)

    def upto(self, length: int) -> Tensor:
        """Of the first `length` positions or more, (L, head_dim / 2) complex64; 1 where a dimension is not rotated."""
        while len(self._table) < length:
            self._table = torch.cat([self._table, self._stretch(len(self._table)).to(self._table.device)])
        return self._table

    def _stretch(self, start: int) -> Tensor:
        angles = torch.arange(start, start + _STRETCH).float()[:, None] * self._frequencies  # (T, rotary_dim / 2)
        turned = torch.polar(torch.full_like(angles, self._scaling), angles)
        return torch.cat([turned, torch.ones(_STRETCH, self._still, dtype=torch.complex64)], dim=1)


def layout(architecture: Architecture, names: Collection[str]) -> dict[str, tuple[Source, ...]]:
    """Our tensors and the Hugging Face tensors stacked in each.

    Args:
        names: of the model's state dict; biases and norms the model does not have are left out.

    Raises:
        ConfigError: the model lacks a tensor it cannot do without.
    """
    build = _neox if architecture.family == "gpt_neox" else _llama
    embedding = "gpt_neox.embed_in.weight" if architecture.family == "gpt_neox" else "model.embed_tokens.weight"
    head = embedding if architecture.tied else next((name for name in _HEADS if name in names), _HEADS[0])
    wanted = {"embed": (Source(embedding),), "head.weight": (Source(head),), **build(architecture)}
    for target, sources in wanted.items():
        missing = [source.name for source in sources if source.name not in names]
        if missing and not _optional(target):
            raise ConfigError(f"{architecture.family} model without {missing[0]!r}; is it a causal language model?")
    return {target: sources for target, sources in wanted.items() if all(source.name in names for source in sources)}


def duplicates(architecture: Architecture) -> frozenset[str]:
    """Tensors that repeat another one and are not read: the output head, where it is the embedding."""
    return frozenset(_HEADS) if architecture.tied else frozenset()


def _optional(target: str) -> bool:
    return target.endswith((".bias", "_norm.weight"))


def _pairs(num_heads: int, architecture: Architecture) -> Tensor:
    """Row order that puts the two halves of each head's rotated dimensions side by side."""
    half = architecture.rotary_dim // 2
    inside = torch.arange(architecture.head_dim)
    inside[: 2 * half] = torch.arange(2 * half).view(2, half).t().flatten()
    return (torch.arange(num_heads)[:, None] * architecture.head_dim + inside).flatten()


def _llama(architecture: Architecture) -> dict[str, tuple[Source, ...]]:
    queries = _pairs(architecture.num_heads, architecture)
    keys = _pairs(architecture.num_kv_heads, architecture)
    one_head = _pairs(1, architecture)
    found: dict[str, tuple[Source, ...]] = {"norm.weight": (Source("model.norm.weight"),)}
    for i in range(architecture.num_layers):
        theirs = f"model.layers.{i}"
        attention, mlp = f"{theirs}.self_attn", f"{theirs}.mlp"
        for kind in ("weight", "bias"):
            found |= {
                f"{i}.qkv.{kind}": (
                    Source(f"{attention}.q_proj.{kind}", queries),
                    Source(f"{attention}.k_proj.{kind}", keys),
                    Source(f"{attention}.v_proj.{kind}"),
                ),
                f"{i}.out.{kind}": (Source(f"{attention}.o_proj.{kind}"),),
                f"{i}.up.{kind}": (Source(f"{mlp}.gate_proj.{kind}"), Source(f"{mlp}.up_proj.{kind}")),
                f"{i}.down.{kind}": (Source(f"{mlp}.down_proj.{kind}"),),
            }
        found |= {
            f"{i}.before.weight": (Source(f"{theirs}.input_layernorm.weight"),),
            f"{i}.after.weight": (Source(f"{theirs}.post_attention_layernorm.weight"),),
            f"{i}.q_norm.weight": (Source(f"{attention}.q_norm.weight", one_head),),
            f"{i}.k_norm.weight": (Source(f"{attention}.k_norm.weight", one_head),),
        }
    return found


def _neox(architecture: Architecture) -> dict[str, tuple[Source, ...]]:
    order = _neox_order(architecture)
    found: dict[str, tuple[Source, ...]] = {}
    for kind in ("weight", "bias"):
        found[f"norm.{kind}"] = (Source(f"gpt_neox.final_layer_norm.{kind}"),)
        for i in range(architecture.num_layers):
            theirs = f"gpt_neox.layers.{i}"
            found |= {
                f"{i}.qkv.{kind}": (Source(f"{theirs}.attention.query_key_value.{kind}", order),),
                f"{i}.out.{kind}": (Source(f"{theirs}.attention.dense.{kind}"),),
                f"{i}.up.{kind}": (Source(f"{theirs}.mlp.dense_h_to_4h.{kind}"),),
                f"{i}.down.{kind}": (Source(f"{theirs}.mlp.dense_4h_to_h.{kind}"),),
                f"{i}.before.{kind}": (Source(f"{theirs}.input_layernorm.{kind}"),),
                f"{i}.after.{kind}": (Source(f"{theirs}.post_attention_layernorm.{kind}"),),
            }
    return found


def _neox_order(architecture: Architecture) -> Tensor:
    """GPT-NeoX stacks (head, q|k|v, dim); we want all queries, then all keys, then all values."""
    heads, size = architecture.num_heads, architecture.head_dim
    rows = torch.arange(heads * 3 * size).view(heads, 3, size).transpose(0, 1).reshape(3, heads * size)
    pairs = _pairs(heads, architecture)
    return torch.cat([rows[0][pairs], rows[1][pairs], rows[2]])


def placements(found: Mapping[str, tuple[Source, ...]]) -> dict[str, list[tuple[str, int]]]:
    """Where each Hugging Face tensor goes: its name -> (our tensor, index among the sources of that tensor)."""
    where: dict[str, list[tuple[str, int]]] = {}
    for target, sources in found.items():
        for index, source in enumerate(sources):
            where.setdefault(source.name, []).append((target, index))
    return where
