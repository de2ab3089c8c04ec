"""The models of a comparison, and the engines that write with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from verigrad.engines.base import Engine
from verigrad.engines.denoise_params import DenoiseParams
from verigrad.engines.diffusion import DenoiseEngine
from verigrad.engines.local import LocalEngine
from verigrad.errors import ConfigError
from verigrad.evaluation.twins.config import CompareConfig, Kind
from verigrad.models.causal import load_causal, pick_device
from verigrad.models.diffusion import DiffusionSpec, checked_spec, is_diffusion
from verigrad.models.fim import FimSpec, fim_spec

__all__ = ["Twin", "dtype_of", "open_engine", "open_twin"]


@dataclass(frozen=True)
class Twin:
    """A model of a comparison.

    Attributes:
        spec: of a diffusion model.
        fim: of a causal one that fills in.
    """

    name: str
    kind: Kind
    model: Any
    tokenizer: Any
    spec: DiffusionSpec | None
    fim: FimSpec | None

    @property
    def diffusion(self) -> DiffusionSpec:
        if self.spec is None:
            raise ConfigError(f"{self.name} is a causal model; wanted a masked-diffusion one here")
        return self.spec


def dtype_of(config: CompareConfig) -> torch.dtype:
    return torch.bfloat16 if config.dtype == "bfloat16" else torch.float32


def open_twin(name: str, kind: Kind, config: CompareConfig) -> Twin:
    """Load a model.

    Raises:
        ConfigError: there is none, it is of the other kind, or it does not say all a sampler must know.
    """
    model, tokenizer = load_causal(name, device=config.device)
    if is_diffusion(model) != (kind == "diffusion"):
        raise ConfigError(f"{name} is {'no' if kind == 'diffusion' else 'a'} masked-diffusion model; wanted {kind}")
    spec = checked_spec(model, tokenizer) if kind == "diffusion" else None
    return Twin(name, kind, model, tokenizer, spec, fim_spec(model))


def open_engine(twin: Twin, config: CompareConfig, denoise: DenoiseParams | None = None) -> Engine:
    """The engine for a model: canvases filled as `denoise` says, or tokens one by one behind a KV cache."""
    sizes: dict[str, Any] = {
        "dtype": dtype_of(config),
        "device": pick_device(config.device),
        "max_slots": config.slots,
        "max_length": config.max_length,
    }
    if twin.kind == "diffusion":
        return DenoiseEngine(twin.model, twin.tokenizer, params=denoise or config.denoise, **sizes)
    return LocalEngine(twin.model, twin.tokenizer, **sizes)
