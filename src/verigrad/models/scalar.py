"""Models that give numbers per position: critics, reward models and cost models one, classifiers of outcomes several.

They are Hugging Face's sequence classifiers, mostly with one label, so a saved reward model loads anywhere with
`AutoModelForSequenceClassification.from_pretrained(folder)`, and its logit is our score.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from verigrad.errors import ConfigError
from verigrad.models.base import Batch
from verigrad.models.causal import body_of, load_pretrained, plain_model, predictor_states
from verigrad.models.chat import end_id, special_ids
from verigrad.models.gguf import DEFAULT_MODEL
from verigrad.models.packing import Pack, pack_views

__all__ = ["HEAD", "last_values", "load_scalar", "pack_outputs", "pack_values", "token_outputs", "token_values"]

HEAD = "score"  # transformers' name of a sequence classifier's head


def load_scalar(
    name: str = DEFAULT_MODEL,
    *,
    outputs: int = 1,
    trained: bool = False,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "auto",
) -> tuple[Any, Any]:
    """Load a decoder with a scalar head, or one of several outputs, and its tokenizer.

    A head that the folder does not hold (that of a language model, say) starts at zero: every score is 0, and
    the first gradient reaches the head alone. Whoever only reads scores asks for a trained one.

    The padding is made another token where it is the end of answers, in config and tokenizer: transformers' classifiers
    read a text at its last token that is no padding, which would be the one before the end.

    Args:
        name: `smollm2-135m-instruct`, a folder (of a language model or a reward model), or a hub id.
        outputs: numbers per position.
        trained: refuse a model without such a head.
        dtype: of the weights.
        device: `auto`, `cpu`, `cuda`, ...

    Raises:
        ConfigError: there is no such model, its family has no sequence classifier, its body lacks weights, or its
            head is to be a trained one and is not there.
    """
    from transformers import AutoModelForSequenceClassification

    model, tokenizer, is_new = load_pretrained(
        AutoModelForSequenceClassification,
        name,
        what="a sequence classifier",
        dtype=dtype,
        device=device,
        new=HEAD,
        num_labels=outputs,
    )
    if is_new and trained:
        raise ConfigError(
            f"{name!r} is no reward model: it has no head that gives scores, and a new one scores everything 0; wanted "
            "the folder model/ of a run of `verigrad reward-model`"
        )
    _set_padding(model, tokenizer)
    if is_new:
        torch.nn.init.zeros_(_head(model).weight)
    return model, tokenizer


def _set_padding(model: Any, tokenizer: Any) -> None:
    """Have a padding token, which no answer ends with."""
    config, end = model.config, end_id(tokenizer)
    if config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    others = sorted(special_ids(tokenizer) - {end, tokenizer.eos_token_id})
    if config.pad_token_id == end and others:
        config.pad_token_id = others[0]
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(others[0])


def pack_outputs(model: Any, pack: Pack, batch: Batch, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """The model's numbers at the state before each token a pack scores: (B, T, C), 0 elsewhere; carries the gradient.

    Those of entry `t` are of the text up to and without token `t`, as a critic needs it.
    """
    device = next(model.parameters()).device
    states = predictor_states(body_of(model), pack, device, dtype)
    # The head is a few hundred weights and its output a target of regression: always in full precision.
    outputs = states.float() @ _head(model).weight.float().T
    where = pack.target_row.to(device), pack.target_token.to(device)
    return torch.zeros(*batch.mask.shape, outputs.shape[1], device=device).index_put(where, outputs)


def pack_values(model: Any, pack: Pack, batch: Batch, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """`pack_outputs` of a model with one output: (B, T)."""
    return pack_outputs(model, pack, batch, dtype=dtype)[..., 0]


def token_outputs(model: Any, batch: Batch, *, token_budget: int = 2048, dtype: torch.dtype = torch.float32) -> Tensor:
    """Outputs before every scored token of a batch, without gradient, on the CPU: (B, T, C)."""
    total = torch.zeros(*batch.mask.shape, len(_head(model).weight))
    with torch.no_grad():
        for pack in pack_views(batch.views, token_budget=token_budget):
            total += pack_outputs(model, pack, batch, dtype=dtype).cpu()
    return total


def token_values(model: Any, batch: Batch, *, token_budget: int = 2048, dtype: torch.dtype = torch.float32) -> Tensor:
    """`token_outputs` of a model with one output: (B, T)."""
    return token_outputs(model, batch, token_budget=token_budget, dtype=dtype)[..., 0]


def last_values(values: Tensor, mask: Tensor) -> Tensor:
    """Of values (B, T) each row's at its last scored token: (B,)."""
    steps = torch.arange(mask.shape[1], device=mask.device)
    return values.gather(1, torch.where(mask, steps, 0).amax(dim=1, keepdim=True))[:, 0]


def _head(model: Any) -> Any:
    return plain_model(model).get_submodule(HEAD)
