"""Filling gaps in answers: a canvas for a diffusion model, a prompt for a causal one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from verigrad.engines.base import Completion, Request, SamplingParams
from verigrad.engines.denoise import canvases, denoise
from verigrad.engines.denoise_params import DenoiseParams
from verigrad.errors import ConfigError
from verigrad.evaluation.twins.bench import Bench
from verigrad.evaluation.twins.models import Twin, dtype_of
from verigrad.evaluation.twins.rows import CLOSE, OPEN, answered
from verigrad.models.chat import prompt_ids
from verigrad.models.fim import fim_prompt
from verigrad.seeds import derive_seed
from verigrad.tasks.derived import Infill
from verigrad.types import Message

__all__ = ["Filled", "around", "fill_canvas", "middle_ids", "write_middle"]


@dataclass(frozen=True)
class Filled:
    """What was written into a gap.

    Attributes:
        middle: its text.
        tokens: of it.
        passes: forward passes.
    """

    middle: str
    tokens: int
    passes: int


def middle_ids(twin: Twin, infill: Infill) -> list[int]:
    """The tokens that stand in the gap; how many they are is what the policy `oracle` tells."""
    return list(twin.tokenizer.encode(infill.middle, add_special_tokens=False))


def around(twin: Twin, infill: Infill) -> tuple[list[int], list[int]]:
    """Ids of the answer before the gap and behind it, fences included."""
    encode = twin.tokenizer.encode
    return (
        encode(OPEN + infill.prefix, add_special_tokens=False),
        encode(infill.suffix + CLOSE, add_special_tokens=False),
    )


def fill_canvas(
    bench: Bench, twin: Twin, infills: Sequence[Infill], places: Sequence[int], params: DenoiseParams
) -> list[Filled]:
    """Denoise gaps of `places` masks each, greedily; what is masked is the gap alone."""
    spec, slots = twin.diffusion, bench.config.slots
    found = []
    for first in range(0, len(infills), slots):
        rows, starts, prompts = [], [], []
        for infill, count in zip(infills[first : first + slots], places[first : first + slots], strict=True):
            before, behind = around(twin, infill)
            line, start = answered(bench, twin, infill.task.prompt, [*before, *[spec.mask_id] * count, *behind])
            rows.append(line)
            starts.append(start + len(before))
            prompts.append(start)
        ids, real = canvases(rows, spec, prompts)
        done = denoise(
            twin.model,
            ids,
            spec,
            params,
            sampling=[SamplingParams(temperature=0.0)] * len(rows),
            seeds=[derive_seed(bench.config.seed, "gap", infill.task.id) for infill in infills[first : first + slots]],
            real=real,
            prompt_lengths=prompts,
            dtype=dtype_of(bench.config),
        )
        for row, (start, count) in enumerate(zip(starts, places[first : first + slots], strict=True)):
            at = int(real[row].long().argmax()) + start
            written = done.ids[row, at : at + count].tolist()
            text = twin.tokenizer.decode(written, skip_special_tokens=True)
            found.append(Filled(text, count, int(done.passes[row])))
        bench.progress.advance(len(rows))
    return found


def write_middle(
    bench: Bench, twin: Twin, infills: Sequence[Infill], places: Sequence[int], *, suffix: bool
) -> list[Filled]:
    """Write gaps from left to right, greedily, in at most `places` tokens each, an end token before that included.

    Args:
        suffix: the model is shown what stands behind, by the tokens it learned to fill in with; else it sees the
            prefix alone, and a gap of one line ends with the line.

    Raises:
        ConfigError: the model has not learned to fill in.
    """
    if suffix and twin.fim is None:
        raise ConfigError(
            f"{twin.name} was not trained to fill in the middle: its config.json has no table 'verigrad_fim'. Train "
            "with `verigrad sft --fim 0.5`, name other models under causal_fim, or leave the part `infilling` out"
        )
    requests = []
    for infill, count in zip(infills, places, strict=True):
        before, behind = around(twin, infill)
        given = prompt_ids(twin.tokenizer, [Message("user", infill.task.prompt)])
        ids = (*given, *fim_prompt(before, behind, twin.fim)) if suffix and twin.fim else (*given, *before)
        one_line = infill.middle.count("\n") == 1 and infill.middle.endswith("\n")
        stop = ("\n",) if one_line and not suffix else ()
        requests.append(
            Request(prompt_ids=tuple(ids), params=SamplingParams(max_tokens=count, temperature=0.0, stop=stop))
        )
    done = bench.write(twin, requests).completions
    return [_filled(completion, request) for completion, request in zip(done, requests, strict=True)]


def _filled(completion: Completion, request: Request) -> Filled:
    text = completion.text
    if request.params.stop and completion.stop_reason == "stop":
        text += "\n"  # `text` ends before the stop text
    return Filled(text, len(completion.ids), len(completion.ids))
