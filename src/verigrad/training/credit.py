"""What a rollout's verdict, score and turns say of single tokens: the line that failed, the lines that ran, rewards.

The program is found in the text again, its lines are brought to tokens by characters, and what the judge reports by
line becomes weights and rewards by token (`verigrad.algorithms.shaping`). So do the rewards that a `Score` gives spans
of the text, and those that turns have of their own.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from verigrad.algorithms.shaping import error_lines, executed_lines, piece_offsets, text_offsets, token_lines
from verigrad.errors import ConfigError
from verigrad.models.base import Batch
from verigrad.models.pieces import token_bytes
from verigrad.rewards.format import extract_program
from verigrad.rewards.outcome import outcome_class
from verigrad.rewards.source import parse
from verigrad.rollout import Group, verdict_of
from verigrad.training.batching import trains
from verigrad.types import Rollout, Task, Verdict

__all__ = ["Blame", "blame", "credit_tensors", "program_lines", "span_rewards", "turn_tensors"]

_WHOLE = ("timeout", "memory", "output_limit")


@dataclass(frozen=True)
class Blame:
    """What a verdict says about lines of the text the policy wrote, numbered from the program's first there.

    Attributes:
        error_line: the line that failed, "whole" where the program as a whole ran too long, or None.
        executed: lines of statements that ran; None where that is not known.
        executable: lines of all statements; None where that is not known.
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
    spans: bool = True,
) -> dict[str, Tensor]:
    """Token weights and token rewards of a step, as asked for; `outcomes` (N,) and what `turn_tensors` has always.

    Args:
        groups: those that `batch` was made of.
        error_penalty: reward, below 0, of the tokens of a line that failed (RLTF); 0 for none.
        executed_only: tokens of code that no test ran have weight 0 (StepCoder); needs verdicts with traced lines.
        prefills: by task id, the beginning of the answer that was given and not sampled.
        spans: whether the rewards that scores give to spans of the text count.

    Returns:
        `outcomes` (N,) int64 class of each rollout, see `outcome_class`; `token_bonus` (B, T) with a penalty, or where
        a score has spans; `token_weights` (B, T) with `executed_only`.
    """
    told = [(rollout, group.task) for group in groups for rollout in group.rollouts if trains(rollout)]
    found: dict[str, Tensor] = {
        "outcomes": torch.tensor([outcome_class(verdict_of(rollout)) for rollout, _ in told], dtype=torch.long)
    }
    found |= turn_tensors([rollout for rollout, _ in told], batch)
    last_row = {int(rollout): row for row, rollout in enumerate(batch.rollout_index)}
    if spans and any(rollout.score.spans for rollout, _ in told):
        found["token_bonus"] = torch.zeros(batch.mask.shape)
        if any(view.clean_ids is not None for view in batch.views):
            raise ConfigError(
                "the reward gives spans of its answers rewards of their own (Score.spans), which works on causal rows; "
                "leave them out for a masked-diffusion model"
            )
        for number, (rollout, task) in enumerate(told):
            own_rewards, row = span_rewards(rollout, tokenizer, (prefills or {}).get(task.id, "")), last_row[number]
            found["token_bonus"][row, _last_places(batch.mask[row], len(own_rewards))] = own_rewards
    if not error_penalty and not executed_only:
        return found
    lines = torch.zeros(*batch.mask.shape, 2, dtype=torch.long)
    blames = [Blame(None, None, None)] * len(batch.mask)
    for number, (rollout, task) in enumerate(told):
        prefill = (prefills or {}).get(task.id, "")
        row = last_row[number]
        own = program_lines(rollout, task, tokenizer, prefill)
        if own is not None:
            lines[row, _last_places(batch.mask[row], len(own))] = own
            blames[row] = blame(rollout, task, prefill)
    if error_penalty:
        punished = error_lines(lines, batch.mask, [b.error_line for b in blames], penalty=error_penalty)
        found["token_bonus"] = found.get("token_bonus", 0.0) + punished
    if executed_only:
        found["token_weights"] = executed_lines(
            lines, batch.mask, [b.executed for b in blames], executable=[b.executable for b in blames]
        )
    return found


def _last_places(mask: Tensor, count: int) -> Tensor:
    """The last `count` sampled places of a row, those of the last turn."""
    places = mask.nonzero()[:, 0]
    return places[len(places) - count :]


def turn_tensors(told: Sequence[Rollout], batch: Batch) -> dict[str, Tensor]:
    """`turn_rewards` (N, K), of each turn alone, 0 where it has none and NaN after the last; `turn_index` (B, T).

    A turn is one of the policy's: text that a scaffold made up is none. The outcome is not in `turn_rewards`.

    Args:
        told: the rollouts that `batch` was made of, in its order.
    """
    turns = [[turn for turn in rollout.turns if turn.sampled and turn.completion_ids] for rollout in told]
    rewards = torch.full((len(told), max(map(len, turns), default=0)), torch.nan)
    index = torch.zeros(batch.mask.shape, dtype=torch.long)
    for number, own in enumerate(turns):
        rewards[number, : len(own)] = torch.tensor([turn.reward or 0.0 for turn in own])
        if len(own) < 2:
            continue
        # A rollout's tokens in their order, over its rows, are those of its turns in theirs.
        places = (batch.mask & (batch.rollout_index == number)[:, None]).nonzero(as_tuple=True)
        index[places] = torch.arange(len(own)).repeat_interleave(torch.tensor([len(t.completion_ids) for t in own]))
    return {"turn_rewards": rewards, "turn_index": index}


def span_rewards(rollout: Rollout, tokenizer: Any, prefill: str = "") -> Tensor:
    """The rewards of a score's spans, by token of the last turn (T,): every token that touches a span has all of it.

    Args:
        prefill: the beginning of the answer that was given; spans count from it on, as the reward was shown the answer.

    Returns:
        no entries where a scaffold made up the last turn.
    """
    turn = rollout.turns[-1]
    pieces = token_bytes(tokenizer, turn.completion_ids if turn.sampled else ())
    found = torch.zeros(len(pieces))
    offsets = text_offsets(turn.text, pieces) or piece_offsets(pieces)
    for start, end, reward in rollout.score.spans:
        for token, (first, last) in enumerate(offsets):
            found[token] += reward * (first + len(prefill) < end and last + len(prefill) > start)
    return found


def program_lines(rollout: Rollout, task: Task, tokenizer: Any, prefill: str = "") -> Tensor | None:
    """First and last line of the program that each token of the last turn touches, (T, 2); None where there is none.

    Line 1 is the first that stands in the text, whatever the task put before it.
    """
    turn = rollout.turns[-1]
    text = prefill + turn.text
    extraction = extract_program(text, task)
    own = text_offsets(turn.text, token_bytes(tokenizer, turn.completion_ids)) if turn.sampled else None
    if extraction is None or own is None:
        return None
    start, end = extraction.span
    spans = [(first + len(prefill), last + len(prefill)) for first, last in own]
    return token_lines(text, spans, code_start=start, code_end=end)


def blame(rollout: Rollout, task: Task, prefill: str = "") -> Blame:
    """What the verdict says, in lines of the text: those of what the task put before the program are taken off."""
    verdict = verdict_of(rollout)
    extraction = extract_program(prefill + rollout.turns[-1].text, task)
    if verdict is None or extraction is None:
        return Blame(None, None, None)
    start, end = extraction.span
    source = (prefill + rollout.turns[-1].text)[start:end]
    before = extraction.program.count("\n") - source.count("\n")
    tree = parse(extraction.program) if verdict.executed_lines else None
    if tree is None or not verdict.executed_lines:
        return Blame(_error_line(verdict, before), None, None)
    statements = _statements(tree)
    ran = {statements[line] for line in verdict.executed_lines if line in statements}
    executed = verdict.executed_lines | {line for line, statement in statements.items() if statement in ran}
    return Blame(
        _error_line(verdict, before),
        frozenset(line - before for line in executed),
        frozenset(line - before for line in statements),
    )


def _error_line(verdict: Verdict, before: int) -> int | Literal["whole"] | None:
    """RLTF's rule: a line where there is one, all of the code for endless loops and recursion, else nothing."""
    if verdict.status in _WHOLE or "RecursionError" in verdict.error:
        return "whole"
    if verdict.error_line is None or verdict.error_line <= before:
        return None
    return verdict.error_line - before


def _statements(tree: ast.AST) -> dict[int, ast.AST]:
    """By line, the innermost statement it belongs to; docstrings and declarations are their surroundings'.

    Read from the text: what a compiler makes of it may be exponentially long (of `finally` inside `finally`).
    """
    found: dict[int, ast.AST] = {}
    for node in ast.walk(tree):  # outer ones come first
        if isinstance(node, ast.match_case):  # which has no place of its own
            first, last = node.pattern.lineno, node.body[-1].end_lineno
        elif isinstance(node, ast.stmt | ast.ExceptHandler) and not _only_says(node):
            decorators = getattr(node, "decorator_list", ())
            first, last = min([node.lineno, *(each.lineno for each in decorators)]), node.end_lineno
        else:
            continue
        found.update(dict.fromkeys(range(first, (last or first) + 1), node))
    return found


def _only_says(node: ast.AST) -> bool:
    """Whether nothing runs for it."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    return isinstance(node, ast.Global | ast.Nonlocal) or (isinstance(node, ast.AnnAssign) and node.value is None)
