"""Loading decoder language models, and the log-probabilities they give to sampled tokens.

Only completion tokens get logits: the body runs over the whole packed input, the head over the positions that
predict a scored token. Prompts that completions share are run once (see `verigrad.models.packing`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from verigrad.errors import ConfigError
from verigrad.models.attention import Layout, not_packed, use_packed_attention
from verigrad.models.base import Batch, Scores
from verigrad.models.gguf import DEFAULT_MODEL, default_model_dir
from verigrad.models.linear import use_fast_linear
from verigrad.models.logprobs import selected_logprobs
from verigrad.models.lora import is_lora
from verigrad.models.norm import use_fast_norm
from verigrad.models.packing import Pack
from verigrad.models.quiet import quiet_transformers
from verigrad.paths import cache_dir
from verigrad.registry import did_you_mean

__all__ = [
    "autocast",
    "body_of",
    "cast_once",
    "load_causal",
    "load_pretrained",
    "model_source",
    "native_bfloat16",
    "packed_states",
    "pick_device",
    "plain_model",
    "predictor_states",
    "resolved_dtype",
    "score_pack",
]

_TOKENIZER = ("tokenizer*", "vocab*", "merges.txt", "*.model", "*.tiktoken")  # files that one is loaded from


def pick_device(device: str = "auto") -> torch.device:
    """`auto` is the GPU where there is one, else the CPU.

    Raises:
        ConfigError: there is no such device here.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"device is {device!r}, and torch cannot use it ({reason}); here there are: auto, "
            f"{', '.join(['cpu', *gpus])}{'' if gpus else ' (no CUDA GPU that this torch sees)'}"
        ) from error
    return place


def native_bfloat16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 itself; where it is emulated, float32 is faster.

    GPUs do from Ampere (compute capability 8.0) on, CPUs where oneDNN says so.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return device.type == "cpu" and supported is not None and bool(supported())


def resolved_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """`float32` or `bfloat16`; for `auto` bfloat16 where the device computes in it."""
    if dtype == "auto":
        return torch.bfloat16 if native_bfloat16(device) else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[dtype]


def model_source(name: str) -> tuple[str, bool]:
    """What transformers loads `name` from, and whether that is a folder on this machine.

    Raises:
        ConfigError: the name looks like a folder and there is no model in it, or like a slip in the default's.
    """
    source = str(default_model_dir()) if name == DEFAULT_MODEL else name
    # A hub id has one slash at most.
    local = source.startswith((".", "/", "~")) or source.count("/") > 1 or Path(source).exists()
    if local:
        source = str(Path(source).expanduser())
        if not (Path(source) / "config.json").is_file():
            inside = Path(source) / "model"  # of a run, whose own folder is easily named instead
            hint = f" (did you mean {str(inside)!r}?)" if (inside / "config.json").is_file() else ""
            raise ConfigError(
                f"no model at {source!r}{hint}: wanted a folder with config.json, as save_pretrained writes it"
            )
    elif "/" not in name and (close := did_you_mean(name, [DEFAULT_MODEL])):
        # The hub would be asked, five times where there is no network.
        raise ConfigError(f"no model {name!r} on this machine{close}; wanted that, a folder, or a hub id")
    return source, local


def load_causal(
    name: str = DEFAULT_MODEL, *, dtype: torch.dtype = torch.float32, device: str | torch.device = "auto"
) -> tuple[Any, Any]:
    """Load a decoder model and its tokenizer.

    Args:
        name: `smollm2-135m-instruct` (the default model), a folder, or a Hugging Face hub id.
        dtype: of the weights.
        device: `auto`, `cpu`, `cuda`, ...

    Returns:
        the `AutoModelForCausalLM`, in evaluation mode, and the tokenizer.

    Raises:
        ConfigError: there is no such model or device, it cannot be loaded as a decoder, lacks weights, is a reward
            model, or scales or caps its logits.
    """
    from transformers import AutoModelForCausalLM

    model, tokenizer, _ = load_pretrained(
        AutoModelForCausalLM, name, what="a causal language model", dtype=dtype, device=device
    )
    if any(kind.endswith("ForSequenceClassification") for kind in model.config.architectures or ()):
        # Where embeddings are the output head as well it would load, and write what nobody trained it to write.
        raise ConfigError(
            f"{name!r} is a reward model, and no language model; wanted one that writes, such as that it was made from"
        )
    _check_head(model, name)
    return model, tokenizer


def load_pretrained(
    auto: Any, name: str, *, what: str, dtype: torch.dtype, device: str | torch.device, new: str = "", **settings: Any
) -> tuple[Any, Any, bool]:
    """A model of one of transformers' automatic classes, in evaluation mode, and its tokenizer.

    Its dropout is off, in its config too, so that a model in training mode computes what it does in evaluation mode.

    Args:
        auto: the class, such as `AutoModelForCausalLM`.
        what: it is to be, for errors.
        new: name of a module that may begin with random weights; empty for none.
        settings: of its config, besides the stored ones.

    Returns:
        the model, the tokenizer, and whether the weights of `new` are random.

    Raises:
        ConfigError: there is no such model or device, it cannot be loaded as one of these, or lacks weights.
    """
    from transformers import AutoConfig, AutoTokenizer

    place = pick_device(str(device))
    source, local = model_source(name)
    if local and not any(file for pattern in _TOKENIZER for file in Path(source).glob(pattern)):
        raise ConfigError(
            f"the model at {source!r} has no tokenizer beside it; save that of the model it was made from into the "
            "same folder, with tokenizer.save_pretrained"
        )
    try:
        with quiet_transformers():
            config: Any = AutoConfig.from_pretrained(source, local_files_only=local, **settings)
            for key, value in config.to_dict().items():
                if "drop" in key and isinstance(value, float):
                    setattr(config, key, 0.0)
            tokenizer: Any = AutoTokenizer.from_pretrained(source, local_files_only=local)
            model, found = auto.from_pretrained(
                source,
                config=config,
                dtype=dtype,
                local_files_only=local,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # so that we can say which
            )
    except (OSError, ValueError, SafetensorError) as error:
        raise ConfigError(
            f"cannot load {name!r} as {what}: {error}; wanted {DEFAULT_MODEL!r}, "
            f"a folder written by save_pretrained, or a hub id (converted models are cached in {cache_dir()})"
        ) from error
    for key, stored, wanted in found["mismatched_keys"]:
        raise ConfigError(f"cannot load {name!r} as {what}: {key} is {_size(stored)} there, wanted {_size(wanted)}")
    missing = sorted(found["missing_keys"])
    if lacking := [key for key in missing if not new or not key.startswith(f"{new}.")]:
        raise ConfigError(
            f"cannot load {name!r} as {what}: it lacks {len(lacking)} of its weights, such as {lacking[0]!r}, which "
            "would be random; is it a model of another kind (a reward model has no lm_head), or was it cut short?"
        )
    use_fast_linear(model)
    use_fast_norm(model)
    # Rows are not padded. Torch would keep the gradient from this embedding, which may be that of a turn's end.
    model.get_input_embeddings().padding_idx = None
    return model.to(place).eval(), tokenizer, bool(missing)


def _size(shape: torch.Size) -> str:
    return " x ".join(map(str, shape))


def _check_head(model: Any, name: str) -> None:
    """Raise a ConfigError where logits are not the output head's product: `score_pack` would leave out what is done
    to it. Configs have a dozen names for that, so the model is asked."""
    products: list[torch.Tensor] = []
    head = model.get_output_embeddings()
    hook = head.register_forward_hook(lambda _head, _states, found: products.append(found.clone()))
    with torch.no_grad(), hook:
        # Two, since the embedding of one may be the padding's, which is zero.
        logits = model(input_ids=torch.tensor([[0, 1]], device=model.device), use_cache=False).logits
    if products and float((logits - products[0]).abs().max()) > 1e-3 * float(products[0].abs().max()):
        raise ConfigError(
            f"{name!r} is of type {model.config.model_type!r}, which scales or caps its logits behind the output head; "
            "log-probs are taken of the head's product alone, so take a model without that, such as a llama or qwen2"
        )


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[Any]:
    """Mixed precision for types of 16 bits, nothing for wider ones."""
    if dtype.itemsize > 2:
        return nullcontext()
    return torch.autocast(device.type, dtype=dtype)


@contextmanager
def cast_once(model: nn.Module, dtype: torch.dtype) -> Iterator[None]:
    """Hold the linear layers' weights in a type of 16 bits meanwhile, for passes without gradient under `autocast`.

    It would make the same copies for every pass, which counts where passes are short.
    """
    layers = [module for module in body_of(model).modules() if isinstance(module, nn.Linear)]
    held = [layer.weight.data for layer in layers if dtype.itemsize == 2]
    try:
        for layer in layers[: len(held)]:
            layer.weight.data = layer.weight.data.to(dtype)
        yield
    finally:
        for layer, weight in zip(layers, held, strict=False):
            layer.weight.data = weight


def score_pack(model: nn.Module, pack: Pack, batch: Batch, *, dtype: torch.dtype = torch.float32) -> Scores:
    """Log-probabilities of the tokens one pack scores: (B, T), 0 elsewhere; carries the gradient.

    Logits are divided by the temperature each token was sampled at and restricted to the ids it was sampled
    from, so the values are under the distribution actually sampled from.
    """
    device = next(model.parameters()).device
    head = plain_model(model).get_output_embeddings()
    picked = predictor_states(body_of(model), pack, device, dtype)
    rows, tokens = pack.target_row.to(device), pack.target_token.to(device)
    logprobs, entropy = selected_logprobs(
        picked,
        head.weight,
        head.bias,
        pack.target_ids.to(device),
        batch.temperature.to(device)[rows, tokens],
        [batch.kept.get((row, t)) for row, t in pack.targets()] if batch.kept else None,
        compute_dtype=dtype,
    )
    shape = batch.mask.shape
    values = torch.zeros(shape, device=device).index_put((rows, tokens), logprobs)
    entropies = torch.zeros(shape, device=device).index_put((rows, tokens), entropy)
    return Scores(values, "exact", entropies)


def predictor_states(body: Any, pack: Pack, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """Run the transformer over a pack: its states (S, H) at the positions that predict the scored tokens."""
    layout = Layout(pack.stretches, device)
    states = packed_states(body, pack.input_ids.to(device), pack.position_ids.to(device), layout, dtype)
    return states[0, pack.predictor.to(device)]


def packed_states(
    body: Any, input_ids: torch.Tensor, positions: torch.Tensor, layout: Layout, dtype: torch.dtype
) -> torch.Tensor:
    """Run the transformer over a packed row: (1, L) ids at (1, L) positions, attended to by `layout` -> (1, L, H).

    Raises:
        ConfigError: not every layer of the model attends by layouts.
    """
    use_packed_attention(body)
    before = layout.calls
    with autocast(input_ids.device, dtype):
        states: torch.Tensor = body(
            input_ids=input_ids,
            position_ids=positions,
            # A mask of four dimensions is passed on as it is, so none is built; the layout says who sees whom.
            attention_mask=torch.zeros(1, 1, 1, 1, device=input_ids.device),
            use_cache=False,
            pack_layout=layout,
        ).last_hidden_state
    layers, attended = body.config.num_hidden_layers, layout.calls - before
    if attended < layers:  # the others mixed completions with their siblings, or looked ahead
        raise not_packed(body, f"{attended} of its {layers} layers attend as they are told")
    return states


def body_of(model: Any) -> Any:
    """The transformer without its head; adapters stay in place inside it."""
    plain = plain_model(model)
    return getattr(plain, plain.base_model_prefix)


def plain_model(model: Any) -> Any:
    """The model inside its adapters, or itself."""
    return model.get_base_model() if is_lora(model) else model
