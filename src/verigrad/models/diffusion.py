"""Masked-diffusion language models made from causal ones: what the checkpoint says of itself, conversion, the forward
pass.

The weights and the architecture are the causal model's. What makes it a diffusion model, and what nothing in the
weights tells, stands in the checkpoint's own `config.json` as `verigrad_diffusion` and is never guessed: with the shift
mixed up a model writes garbage, with pads unseen in training and seen in sampling it writes worse, and neither fails
loudly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from verigrad.errors import ConfigError
from verigrad.models.attention import Layout, Stretch, use_packed_attention
from verigrad.models.causal import autocast, body_of, load_causal, packed_states, plain_model
from verigrad.models.chat import prompt_ids
from verigrad.models.visibility import AttentionKind, Places, visible
from verigrad.types import Message

__all__ = [
    "ENTRY",
    "DiffusionSpec",
    "PadPolicy",
    "checked_spec",
    "convert",
    "diffusion_spec",
    "head_bias",
    "hidden_states",
    "is_diffusion",
    "load_diffusion",
    "predictor_columns",
    "unused_ids",
]

PadPolicy = Literal["none", "fill"]
ENTRY = "verigrad_diffusion"
"""Table of a checkpoint's `config.json`, which says what the model is."""
_NEVER = -1e9  # finite: the entropy multiplies it by a probability of zero


@dataclass(frozen=True, kw_only=True)
class DiffusionSpec:
    """What a masked-diffusion checkpoint is.

    Attributes:
        mask_id: the token that stands for "not known yet"; never predicted.
        shift: True where the output at position i - 1 predicts token i, as in the causal model it came from; a row's
            first token then cannot be predicted. False where position i predicts token i.
        attention: `causal`, `full`, `block`: full inside a block, causal between blocks, or `prefix`: full, but the
            prompt does not see the canvas.
        block_length: positions of a block, counted from the row's first token; 0 unless attention is `block`.
        pad_policy: `fill` where training filled the canvas behind the answer with `pad_id`, so that the model tells the
            length itself; `none` where it has never seen what comes after an end.
        pad_id: see there.
    """

    mask_id: int
    shift: bool
    attention: AttentionKind
    block_length: int
    pad_policy: PadPolicy
    pad_id: int

    def prefix_length(self, prompt_length: int) -> int:
        """Places of a row that do not see its canvas: those of the prompt, but for the one whose output predicts the
        first token behind it."""
        return max(prompt_length - int(self.shift), 0)

    def canvas_length(self, length: int) -> int:
        """Places of a row that is to have `length`, prompt included: up to the end of a block where training filled
        blocks."""
        if self.attention != "block" or self.pad_policy != "fill":
            return length
        return -(-length // self.block_length) * self.block_length

    def __post_init__(self) -> None:
        for name, kinds in (("attention", AttentionKind), ("pad_policy", PadPolicy)):
            if getattr(self, name) not in get_args(kinds):
                raise ConfigError(f"{name} is {getattr(self, name)!r}; wanted one of: {', '.join(get_args(kinds))}")
        if (self.attention == "block") != (self.block_length > 0):
            raise ConfigError(
                f"attention {self.attention!r} with block_length {self.block_length}: `block` needs a length of 1 or "
                "more, the others have none (0)"
            )
        if self.pad_id == self.mask_id:
            raise ConfigError(f"pad_id and mask_id are both {self.mask_id}; a padded canvas would look masked")


def is_diffusion(model: Any) -> bool:
    """Whether a checkpoint says it is a masked-diffusion model."""
    return getattr(plain_model(model).config, ENTRY, None) is not None


def diffusion_spec(model: Any) -> DiffusionSpec:
    """What the checkpoint says of itself.

    Raises:
        ConfigError: it says nothing, or not all, or something unknown.
    """
    config = plain_model(model).config
    entry = getattr(config, ENTRY, None)
    name = config.name_or_path or "this model"
    if not isinstance(entry, Mapping):
        raise ConfigError(
            f"{name} is not a masked-diffusion model: its config.json has no table {ENTRY!r}. A causal model becomes "
            "one by training: `verigrad diffusion --model NAME --mask-id ID`"
        )
    known = {field.name for field in fields(DiffusionSpec)}
    if known != entry.keys():
        missing, unknown = sorted(known - entry.keys()), sorted(entry.keys() - known)
        wrong = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"has unknown {', '.join(unknown)}"] * bool(unknown)
        raise ConfigError(
            f"{ENTRY!r} in the config.json of {name} {' and '.join(wrong)}; these cannot be guessed from the weights: "
            "write what the model was trained with"
        )
    return DiffusionSpec(**entry)


def checked_spec(model: Any, tokenizer: Any) -> DiffusionSpec:
    """`diffusion_spec`, its mask held against the tokenizer: for whoever takes a checkpoint as it was found.

    Raises:
        ConfigError: see `diffusion_spec`; or text, chat or padding use the mask id, or it is not in the vocabulary.
    """
    spec = diffusion_spec(model)
    _check_mask_id(tokenizer, spec.mask_id, plain_model(model).config.vocab_size)
    return spec


def convert(model: Any, tokenizer: Any, spec: DiffusionSpec) -> None:
    """Write `spec` into a model's config, so that it is saved with it; the weights stay as they are.

    With causal attention the converted model gives every logit of the model it was (but that of the mask token).

    Raises:
        ConfigError: the mask id is not in the vocabulary, or text, chat or padding use it.
    """
    _check_mask_id(tokenizer, spec.mask_id, plain_model(model).config.vocab_size)
    setattr(plain_model(model).config, ENTRY, asdict(spec))


def load_diffusion(
    name: str, *, dtype: torch.dtype = torch.float32, device: str | torch.device = "auto"
) -> tuple[Any, Any, DiffusionSpec]:
    """Load a masked-diffusion checkpoint, its tokenizer, and what it says of itself.

    Raises:
        ConfigError: there is no such model, or it does not say all a sampler must know.
    """
    model, tokenizer = load_causal(name, dtype=dtype, device=device)
    return model, tokenizer, checked_spec(model, tokenizer)


def unused_ids(tokenizer: Any, vocab_size: int) -> list[int]:
    """Ids of the vocabulary that neither text nor a chat nor padding brings up: those that can serve as the mask.

    They are special tokens without a part to play and rows of the embedding that no token has.
    """
    special = {id_ for id_, token in tokenizer.added_tokens_decoder.items() if token.special}
    roles = ("bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id", "sep_token_id", "cls_token_id")
    playing = {getattr(tokenizer, role, None) for role in roles}
    playing.update(_chat_ids(tokenizer))
    beyond = set(range(max(tokenizer.get_vocab().values()) + 1, vocab_size))
    return sorted((special | beyond) - playing)


def _chat_ids(tokenizer: Any) -> tuple[int, ...]:
    """Ids of a conversation with all the roles that the chat template takes."""
    for roles in (("system", "user", "assistant"), ("user", "assistant")):
        try:
            return prompt_ids(tokenizer, [Message(role, "x") for role in roles])
        except ConfigError:  # a template without a system message, or no template at all
            continue
    return prompt_ids(tokenizer, [Message("user", "x")])


def _check_mask_id(tokenizer: Any, mask_id: int, vocab_size: int) -> None:
    free = unused_ids(tokenizer, vocab_size)
    if mask_id in free:
        return
    found = repr(tokenizer.convert_ids_to_tokens(mask_id)) if 0 <= mask_id < len(tokenizer) else "no token"
    choice = f"wanted one of {', '.join(map(str, free[:8]))}"
    if not free:
        choice = "this vocabulary has no unused id: add a special token and resize the embedding"
    raise ConfigError(
        f"mask_id {mask_id} ({found}, vocabulary of {vocab_size}) cannot be the mask: it must be an id of the "
        f"vocabulary that neither text nor chats nor padding use; {choice}"
    )


def hidden_states(
    model: nn.Module,
    input_ids: Tensor,
    places: Places,
    spec: DiffusionSpec,
    *,
    keys: Places | None = None,
    cache: Any = None,
    edges: Tensor | None = None,
    stretches: Sequence[Stretch] = (),
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Run the transformer without its head: (B, L) ids at `places` -> (B, L, H).

    Args:
        keys: the places seen, where `cache` holds earlier ones; they end with `places`.
        cache: takes each layer's keys and values and gives back all of them, as transformers' caches do.
        edges: see `visible`.
        stretches: for prefix attention, prompts and the canvases behind each that the places, in one row, fall into;
            empty where every row is one prompt and its canvas.
    """
    body = body_of(model)
    if stretches:
        return packed_states(
            body, input_ids, places.positions, Layout(stretches, input_ids.device, causal=False), dtype
        )
    use_packed_attention(body)
    mask = visible(places, keys or places, spec.attention, block_length=spec.block_length, edges=edges)
    with autocast(input_ids.device, dtype):
        states: Tensor = body(
            input_ids=input_ids,
            position_ids=places.positions,
            attention_mask=mask[:, None],
            past_key_values=cache,
            use_cache=cache is not None,
        ).last_hidden_state
    return states


def predictor_columns(tokens: Tensor, spec: DiffusionSpec, clean_offset: int) -> Tensor:
    """(S,) positions of tokens -> (S,) columns of the places whose output predicts them.

    With the shift the first token of a block is predicted by the last place of the block before, which is clean and
    stands `clean_offset` columns further on where rows are run twice.
    """
    if not spec.shift:
        return tokens
    before = tokens - 1
    if spec.attention != "block":
        return before
    return torch.where(tokens % spec.block_length == 0, before + clean_offset, before)


def head_bias(model: Any, spec: DiffusionSpec) -> Tensor:
    """(V,) what is added to the logits: the head's own bias, and so little for the mask that it never comes up."""
    head = plain_model(model).get_output_embeddings()
    bias = torch.zeros(len(head.weight), device=head.weight.device) if head.bias is None else head.bias.float().clone()
    return bias.index_fill(0, torch.tensor([spec.mask_id], device=bias.device), _NEVER)
