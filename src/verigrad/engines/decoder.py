"""The local engine's own forward pass, without gradients: prompts in one packed row, then one token a slot.

Everything is as wide as the batch allows and as few operations as a layer allows: queries, keys and values are
one product, so are gate and up; rotation is one complex product; grouped-query attention multiplies each
key/value head by its group of queries without expanding it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from verigrad.engines.cache import KVCache
from verigrad.engines.layout import Architecture, Rotations
from verigrad.engines.weights import Linear, Weights

__all__ = ["Decoder", "Segment"]

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": F.silu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
}


@dataclass(frozen=True)
class Segment:
    """Prompt ids to be computed into a slot."""

    slot: int
    ids: Sequence[int]


@dataclass(frozen=True)
class _Norm:
    weight: Tensor
    bias: Tensor | None
    kind: str
    eps: float

    def __call__(self, x: Tensor) -> Tensor:
        if self.kind == "rms":
            return F.rms_norm(x, self.weight.shape, self.weight, self.eps)
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


@dataclass(frozen=True)
class _Layer:
    before: _Norm
    after: _Norm
    qkv: Linear
    out: Linear
    up: Linear
    down: Linear
    head_norm: Tensor | None  # (num_heads + num_kv_heads, head_dim), Qwen3's norm of queries and keys


class Decoder:
    """Forward pass of one policy.

    Args:
        weights: filled; read again by `refresh` after they changed.
        rotations: of the model that the weights are of.
    """

    def __init__(self, architecture: Architecture, weights: Weights, rotations: Rotations) -> None:
        self.architecture = architecture
        self.weights = weights
        self._rotations = rotations
        self._act = _ACTIVATIONS[architecture.activation]
        self.refresh()

    def refresh(self) -> None:
        """Take the current tensors of `weights`."""
        self._embed = self.weights.tensor("embed")
        self._norm = self._read_norm("norm")
        self._head = self.weights.linear("head")
        self._layers = [self._read_layer(str(i)) for i in range(self.architecture.num_layers)]

    def _read_norm(self, name: str) -> _Norm:
        weights, architecture = self.weights, self.architecture
        return _Norm(
            weights.tensor(f"{name}.weight"), weights.maybe(f"{name}.bias"), architecture.norm, architecture.norm_eps
        )

    def _read_layer(self, name: str) -> _Layer:
        queries, keys = self.weights.maybe(f"{name}.q_norm.weight"), self.weights.maybe(f"{name}.k_norm.weight")
        head_norm = None
        if queries is not None and keys is not None:
            heads = self.architecture.num_heads, self.architecture.num_kv_heads
            head_norm = torch.cat([queries.expand(heads[0], -1), keys.expand(heads[1], -1)])
        return _Layer(
            before=self._read_norm(f"{name}.before"),
            after=self._read_norm(f"{name}.after"),
            qkv=self.weights.linear(f"{name}.qkv"),
            out=self.weights.linear(f"{name}.out"),
            up=self.weights.linear(f"{name}.up"),
            down=self.weights.linear(f"{name}.down"),
            head_norm=head_norm,
        )

    def new_cache(self) -> KVCache:
        a = self.architecture
        return KVCache(a.num_layers, a.num_kv_heads, a.head_dim, dtype=self._embed.dtype, device=self._embed.device)

    def prefill(self, segments: Sequence[Segment], cache: KVCache) -> None:
        """Fill the slots' caches from position 0; the ids lie one after another in a single row, without padding."""
        ids = torch.tensor([token for segment in segments for token in segment.ids], device=self._embed.device)
        lengths = [len(segment.ids) for segment in segments]
        positions = torch.cat([torch.arange(length, device=self._embed.device) for length in lengths])
        rotations = self._rotations.upto(max(lengths))[positions][:, None]  # (T, 1, head_dim / 2)

        def attend(index: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
            parts = zip(queries.split(lengths), keys.split(lengths), values.split(lengths), strict=True)
            mixed = []
            for segment, (q, k, v) in zip(segments, parts, strict=True):
                cache.write_prompt(index, segment.slot, k, v)
                mixed.append(_causal_attention(q, k, v))
            return torch.cat(mixed)

        self._run(self._embed[ids], rotations, attend)

    def decode(self, tokens: Sequence[int], positions: Sequence[int], cache: KVCache) -> Tensor:
        """One token for each of the first slots.

        Args:
            tokens: (B,) the ids to read; slot b writes its key and value at `positions[b]`.

        Returns:
            (B, V) logits of the token after.
        """
        device = self._embed.device
        plan = cache.plan(positions)
        scale = self.architecture.head_dim**-0.5

        def attend(index: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
            past_keys, past_values = cache.write(index, plan, keys, values)
            grouped = queries.reshape(len(past_keys), -1, queries.shape[-1])  # (B * kv_heads, group, head_dim)
            scores = torch.baddbmm(plan.mask, grouped, past_keys.transpose(1, 2), alpha=scale)
            return torch.bmm(scores.softmax(-1), past_values).view(len(queries), -1)

        table = self._rotations.upto(max(positions) + 1)
        rotations = table[torch.tensor(positions, device=device)][:, None]  # (B, 1, head_dim / 2)
        hidden = self._run(self._embed[torch.tensor(tokens, device=device)], rotations, attend)
        return self._head(self._norm(hidden))

    def _run(
        self, hidden: Tensor, rotations: Tensor, attend: Callable[[int, Tensor, Tensor, Tensor], Tensor]
    ) -> Tensor:
        """All layers; (T, hidden) -> (T, hidden)."""
        for index, layer in enumerate(self._layers):
            queries, keys, values = self._project(layer, layer.before(hidden), rotations)
            mixed = layer.out(attend(index, queries, keys, values))
            if self.architecture.parallel_residual:
                hidden = self._feed_forward(layer, layer.after(hidden)) + mixed + hidden
            else:
                hidden = hidden + mixed
                hidden = hidden + self._feed_forward(layer, layer.after(hidden))
        return hidden

    def _project(self, layer: _Layer, x: Tensor, rotations: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(T, hidden) -> rotated queries (T, heads, head_dim) and keys, and values (T, kv_heads, head_dim)"""
        a = self.architecture
        heads = layer.qkv(x).view(len(x), -1, a.head_dim)
        turned, values = heads[:, : -a.num_kv_heads], heads[:, -a.num_kv_heads :]
        if layer.head_norm is not None:
            turned = F.rms_norm(turned, (a.head_dim,), None, a.norm_eps) * layer.head_norm
        pairs = torch.view_as_complex(turned.float().unflatten(-1, (-1, 2)))
        turned = torch.view_as_real(pairs * rotations).flatten(-2).to(x.dtype)
        return turned[:, : a.num_heads], turned[:, a.num_heads :], values

    def _feed_forward(self, layer: _Layer, x: Tensor) -> Tensor:
        inner = layer.up(x)
        if not self.architecture.gated:
            return layer.down(self._act(inner))
        gate, up = inner.chunk(2, dim=-1)
        return layer.down(self._act(gate).mul_(up))


def _causal_attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """One whole sequence; (T, heads, head_dim), (T, kv_heads, head_dim) twice -> (T, heads * head_dim)"""
    length, kv_heads, _ = keys.shape
    group = queries.shape[1] // kv_heads
    # Key/value heads as the batch and their queries as heads; `expand` reads each key/value head in place.
    q = queries.unflatten(1, (kv_heads, group)).permute(1, 2, 0, 3)
    k, v = (part.permute(1, 0, 2)[:, None].expand(-1, group, -1, -1) for part in (keys, values))
    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (kv_heads, group, T, head_dim)
    return mixed.permute(2, 0, 1, 3).reshape(length, -1)
