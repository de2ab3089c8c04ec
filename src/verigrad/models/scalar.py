"""Models that give one number per position: critics, reward models and cost models.

They are Hugging Face's sequence classifiers with one label, so a saved reward model loads anywhere with
`AutoModelForSequenceClassification.from_pretrained(folder)`, and its logit is our score.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from verigrad.errors import ConfigError
from verigrad.models.base import Batch
from verigrad.models.causal import body_of, model_source, pick_device, plain_model, predictor_states
from verigrad.models.gguf import DEFAULT_MODEL
from verigrad.models.packing import Pack, pack_views
from verigrad.models.quiet import quiet_transformers

__all__ = ["HEAD", "last_values", "load_scalar", "pack_values", "token_values"]

HEAD = "score"  # transformers' name of a sequence classifier's head


def load_scalar(
    name: str = DEFAULT_MODEL, *, dtype: torch.dtype = torch.float32, device: str | torch.device = "auto"
) -> tuple[Any, Any]:
    """Load a decoder with a scalar head, and its tokenizer.

    A head that the folder does not hold (that of a language model, say) starts at zero: every score is 0, and
    the first gradient reaches the head alone.

    Args:
        name: `smollm2-135m-instruct`, a folder (of a language model or a reward model), or a hub id.
        dtype: of the weights.
        device: `auto`, `cpu`, `cuda`, ...

    Raises:
        ConfigError: there is no such model, or its family has no sequence classifier.
    """
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    source, local = model_source(name)
    try:
        with quiet_transformers():
            tokenizer: Any = AutoTokenizer.from_pretrained(source, local_files_only=local)
            model: Any
            model, found = AutoModelForSequenceClassification.from_pretrained(
                source, num_labels=1, dtype=dtype, local_files_only=local, output_loading_info=True
            )
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot load {name!r} with a scalar head: {error}") from error
    if model.config.pad_token_id is None:  # the classifier finds a text's last token by it
        model.config.pad_token_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    if found["missing_keys"]:
        torch.nn.init.zeros_(_head(model).weight)
    return model.to(pick_device(str(device))).eval(), tokenizer


def pack_values(model: Any, pack: Pack, batch: Batch, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """The model's number at the state before each token a pack scores: (B, T), 0 elsewhere; carries the gradient.

    The value of entry `t` is of the text up to and without token `t`, as a critic needs it.
    """
    device = next(model.parameters()).device
    states = predictor_states(body_of(model), pack, device, dtype)
    # The head is a few hundred weights and its output a target of regression: always in full precision.
    values = (states.float() @ _head(model).weight.float().T)[:, 0]
    where = pack.target_row.to(device), pack.target_token.to(device)
    return torch.zeros(batch.mask.shape, device=device).index_put(where, values)


def token_values(model: Any, batch: Batch, *, token_budget: int = 2048, dtype: torch.dtype = torch.float32) -> Tensor:
    """Values before every scored token of a batch, without gradient, on the CPU: (B, T)."""
    values = torch.zeros(batch.mask.shape)
    with torch.no_grad():
        for pack in pack_views(batch.views, token_budget=token_budget):
            values += pack_values(model, pack, batch, dtype=dtype).cpu()
    return values


def last_values(values: Tensor, mask: Tensor) -> Tensor:
    """Of values (B, T) each row's at its last scored token: (B,)."""
    steps = torch.arange(mask.shape[1], device=mask.device)
    return values.gather(1, torch.where(mask, steps, 0).amax(dim=1, keepdim=True))[:, 0]


def _head(model: Any) -> Any:
    return plain_model(model).get_submodule(HEAD)
