"""Fill in the middle for causal models: prefix and suffix are shown first, then the middle is written.

    <prefix> the text before <suffix> the text behind <middle> what stands between, and the end token

Bavarian et al. 2022, "Efficient Training of Language Models to Fill in the Middle", arXiv:2207.14255, in the order
prefix, suffix, middle. The three ids stand in the checkpoint's `config.json` as `verigrad_fim`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from verigrad.errors import ConfigError
from verigrad.models.causal import plain_model
from verigrad.models.diffusion import unused_ids

__all__ = ["FimSpec", "fim_prompt", "fim_spec", "mark_fim"]

_ENTRY = "verigrad_fim"
_KNOWN = (
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
)


@dataclass(frozen=True, kw_only=True)
class FimSpec:
    """The ids that announce the three parts."""

    prefix_id: int
    suffix_id: int
    middle_id: int


def fim_spec(model: Any) -> FimSpec | None:
    """What the checkpoint says of itself; None where it was not trained to fill in.

    Raises:
        ConfigError: it says something that is not understood.
    """
    entry = getattr(plain_model(model).config, _ENTRY, None)
    if entry is None:
        return None
    if not isinstance(entry, Mapping) or entry.keys() != {"prefix_id", "suffix_id", "middle_id"}:
        raise ConfigError(f"{_ENTRY!r} in config.json is {entry!r}; wanted prefix_id, suffix_id and middle_id")
    return FimSpec(**entry)


def mark_fim(model: Any, tokenizer: Any, ids: Sequence[int] = ()) -> FimSpec:
    """Choose the ids and write them into the model's config, so that they are saved with it.

    Args:
        ids: prefix, suffix, middle; empty takes the checkpoint's own, else tokens of the vocabulary made for it.

    Raises:
        ConfigError: there are none, or text, chats or padding use one of those given.
    """
    own = fim_spec(model)
    vocabulary = tokenizer.get_vocab()
    named = [tuple(vocabulary[name] for name in names) for names in _KNOWN if vocabulary.keys() >= set(names)]
    if ids:
        free = unused_ids(tokenizer, plain_model(model).config.vocab_size)
        if len(set(ids)) != 3 or not set(ids) <= {*free, *(named[0] if named else ())}:
            raise ConfigError(
                f"fim_ids are {list(ids)}; wanted three different ids that neither text nor chats nor padding use, "
                f"such as {', '.join(map(str, free[:3])) or '(this vocabulary has none)'}"
            )
        chosen = tuple(ids)
    elif own is not None:
        return own
    elif named:
        chosen = named[0]
    else:
        raise ConfigError(
            "this vocabulary has no tokens for filling in the middle; name three unused ids as fim_ids (3,4,5 for "
            "smollm2-135m-instruct)"
        )
    spec = FimSpec(prefix_id=chosen[0], suffix_id=chosen[1], middle_id=chosen[2])
    setattr(plain_model(model).config, _ENTRY, asdict(spec))
    return spec


def fim_prompt(prefix: Sequence[int], suffix: Sequence[int], spec: FimSpec) -> tuple[int, ...]:
    """Ids behind which the middle is to be written.

    >>> fim_prompt([7], [8, 9], FimSpec(prefix_id=0, suffix_id=1, middle_id=2))
    (0, 7, 1, 8, 9, 2)
    """
    return (spec.prefix_id, *prefix, spec.suffix_id, *suffix, spec.middle_id)
