"""Low-rank adapters through peft, and the full weights they amount to."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from verigrad.errors import ConfigError

__all__ = ["add_lora", "base_weights", "full_tensors", "is_lora"]


def add_lora(
    model: Any,
    *,
    rank: int,
    alpha: float,
    dropout: float = 0.0,
    targets: tuple[str, ...] = (),
    seed: int = 0,
    whole: tuple[str, ...] = (),
) -> Any:
    """Wrap a model so that only low-rank adapters train.

    Hu et al. 2021, "LoRA", arXiv:2106.09685: W + (alpha / rank) B A, with B zero at the start, so the wrapped
    model begins as the one it wraps. `targets` are module names; empty means every linear layer but the head.
    Modules named in `whole` (a new scalar head, say) get no adapter and train all their weights.

    Raises:
        ConfigError: a target is the head, whose weight log-probs are taken by, or the embedding that is tied to it, or
            is no layer that can have an adapter.
    """
    from peft import LoraConfig, get_peft_model

    _check_targets(model, targets)

    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type]  # peft divides by it; whole numbers are its habit only
        lora_dropout=dropout,
        target_modules=list(targets) or "all-linear",
        exclude_modules=list(whole) or None,
        task_type=None if whole else "CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by names that are on their way out
        torch.manual_seed(seed)
        try:
            adapted = get_peft_model(model, config)
        except ValueError as error:  # a target that is not a layer but holds some, say
            raise _not_targets(model, targets, " ".join(str(error).split())) from error
    for name in whole:
        adapted.get_base_model().get_submodule(name).requires_grad_(True)
    return adapted


def _check_targets(model: Any, targets: tuple[str, ...]) -> None:
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    tied = head is not None and embedding.weight is head.weight
    shared = {"the output head": head, **({"the embedding, tied to the output head": embedding} if tied else {})}
    for name, module in model.named_modules():
        for what, own in shared.items():
            if module is own and any(_named(name, target) for target in targets):
                raise ConfigError(
                    f"lora.targets has {name.rpartition('.')[2]!r}, which is {what}; log-probs are taken by that "
                    "weight itself, so an adapter there would not be trained, or differ from what the sampler runs. "
                    "Name linear layers of the blocks, or leave it empty for all of them"
                )
    # peft is content where one of several targets is found.
    unknown = [target for target in targets if not any(_named(name, target) for name, _ in model.named_modules())]
    if unknown:
        raise _not_targets(model, unknown, "no module has this name")


def _named(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")


def _not_targets(model: Any, targets: Iterable[str], reason: str) -> ConfigError:
    head = model.get_output_embeddings()
    layers = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module is not head
    }
    return ConfigError(
        f"lora.targets has {', '.join(map(repr, targets))}: {reason}; wanted names of linear layers, which are "
        f"{', '.join(sorted(layers))} here, or none for all of them"
    )


def is_lora(model: nn.Module) -> bool:
    return hasattr(model, "disable_adapter")


def base_weights(model: Any) -> AbstractContextManager[Any]:
    """Inside the block an adapted model is the one it wraps: the frozen reference at no cost in memory."""
    return model.disable_adapter() if is_lora(model) else nullcontext()


def full_tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Every weight under its Hugging Face name, adapters merged in; what `Engine.update_weights` takes.

    A tied output head is not repeated: it is the embedding.
    """
    if not is_lora(model):
        for name, parameter in model.named_parameters():
            yield name, parameter.detach()
        return
    from peft.tuners.lora import LoraLayer

    adapted = {name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)}
    for name, parameter in model.named_parameters():
        if ".lora_" in name:
            continue
        tensor = parameter.detach()
        owner = name.removesuffix(".base_layer.weight")
        if owner != name and owner in adapted:
            layer: Any = adapted[owner]
            tensor = tensor + layer.get_delta_weight("default").detach()
        yield name.removeprefix("base_model.model.").replace(".base_layer.", "."), tensor
