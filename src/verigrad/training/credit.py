"""Which tokens of a rollout its verdict speaks about: the line that failed, the lines that ran.

The program is found in the text again, its lines are brought to tokens by characters, and what the judge reports by
line becomes weights and rewards by token (`verigrad.algorithms.shaping`).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any, Literal

import torch
from torch import Tensor

from verigrad.algorithms.shaping import error_lines, executed_lines, piece_offsets, token_lines
from verigrad.models.base import Batch
from verigrad.models.pieces import token_bytes
from verigrad.rewards.format import extract_program
from verigrad.rewards.outcome import outcome_class
from verigrad.rollout import Group, verdict_of
from verigrad.training.batching import trains
from verigrad.types import Rollout, Task, Verdict

__all__ = ["Blame", "blame", "credit_tensors", "program_lines"]

_WHOLE = ("timeout", "memory", "output_limit")


@dataclass(frozen=True)
class Blame:
    """What a verdict says about lines of the text the policy wrote, numbered from the program's first there.

    Attributes:
        error_line: the line that failed, "whole" where the program as a whole ran too long, or None.
        executed: lines that ran; None where that is not known.
        executable: lines that hold something to run; None where that is not known.
    """

    error_line: int | Literal["whole"] | None
    executed: frozenset[int] | None
    executable: frozenset[int] | None


def credit_tensors(
    groups: Sequence[Group],
    batch: Batch,
    tokenizer: Any,
    *,
    error_penalty: float,
    executed_only: bool,
    prefills: Mapping[str, str] | None = None,
) -> dict[str, Tensor]:
    """Token weights and token rewards of a step, as asked for; `outcomes` (N,) always.

    Args:
        groups: those that `batch` was made of.
        error_penalty: reward, below 0, of the tokens of a line that failed (RLTF); 0 for none.
        executed_only: tokens of code that no test ran have weight 0 (StepCoder); needs verdicts with traced lines.
        prefills: by task id, the beginning of the answer that was given and not sampled.

    Returns:
        `outcomes` (N,) int64 class of each rollout, see `outcome_class`; `token_bonus` (B, T) with a penalty;
        `token_weights` (B, T) with `executed_only`.
    """
    told = [(rollout, group.task) for group in groups for rollout in group.rollouts if trains(rollout)]
    found: dict[str, Tensor] = {
        "outcomes": torch.tensor([outcome_class(verdict_of(rollout)) for rollout, _ in told], dtype=torch.long)
    }
    if not error_penalty and not executed_only:
        return found
    lines = torch.zeros(*batch.mask.shape, 2, dtype=torch.long)
    blames = [Blame(None, None, None)] * len(batch.mask)
    last_row = {int(rollout): row for row, rollout in enumerate(batch.rollout_index)}
    for number, (rollout, task) in enumerate(told):
        prefill = (prefills or {}).get(task.id, "")
        row = last_row[number]
        own = program_lines(rollout, task, tokenizer, prefill)
        if own is not None:
            places = batch.mask[row].nonzero()[-len(own) :, 0]
            lines[row, places] = own
            blames[row] = blame(rollout, task, prefill)
    if error_penalty:
        found["token_bonus"] = error_lines(lines, batch.mask, [b.error_line for b in blames], penalty=error_penalty)
    if executed_only:
        found["token_weights"] = executed_lines(
            lines, batch.mask, [b.executed for b in blames], executable=[b.executable for b in blames]
        )
    return found


def program_lines(rollout: Rollout, task: Task, tokenizer: Any, prefill: str = "") -> Tensor | None:
    """First and last line of the program that each token of the last turn touches, (T, 2); None where there is none.

    Line 1 is the first that stands in the text, whatever the task put before it.
    """
    turn = rollout.turns[-1]
    text = prefill + turn.text
    extraction = extract_program(text, task)
    pieces = token_bytes(tokenizer, turn.completion_ids)
    written = b"".join(pieces).decode("utf-8", errors="replace")
    if extraction is None or not written.startswith(turn.text):
        return None
    spans = [(start + len(prefill), end + len(prefill)) for start, end in piece_offsets(pieces)]
    start, end = extraction.span
    return token_lines(prefill + written, spans, code_start=start, code_end=end)


def blame(rollout: Rollout, task: Task, prefill: str = "") -> Blame:
    """What the verdict says, in lines of the text: those of what the task put before the program are taken off."""
    verdict = verdict_of(rollout)
    extraction = extract_program(prefill + rollout.turns[-1].text, task)
    if verdict is None or extraction is None:
        return Blame(None, None, None)
    start, end = extraction.span
    source = (prefill + rollout.turns[-1].text)[start:end]
    before = extraction.program.count("\n") - source.count("\n")
    executed = verdict.executed_lines if verdict.executed_lines else None
    executable = _executable_lines(extraction.program)
    return Blame(
        _error_line(verdict, before),
        None if executed is None else frozenset(line - before for line in executed),
        None if executable is None else frozenset(line - before for line in executable),
    )


def _error_line(verdict: Verdict, before: int) -> int | Literal["whole"] | None:
    """RLTF's rule: a line where there is one, all of the code for endless loops and recursion, else nothing."""
    if verdict.status in _WHOLE or "RecursionError" in verdict.error:
        return "whole"
    if verdict.error_line is None or verdict.error_line <= before:
        return None
    return verdict.error_line - before


def _executable_lines(program: str) -> frozenset[int] | None:
    """Lines that hold an instruction; None where the program does not compile. Nothing is run."""
    try:
        with warnings.catch_warnings(action="ignore"):
            waiting = [compile(program, "<program>", "exec", dont_inherit=True)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    found: set[int] = set()
    while waiting:
        code = waiting.pop()
        found.update(line for _, _, line in code.co_lines() if line)
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return frozenset(found)
