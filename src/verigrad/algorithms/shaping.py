"""Which tokens a reward is about: token weights `(B, T)`, and the way from lines of code to tokens.

Weights multiply the per-token loss, zero outside the mask; `error_lines` gives token rewards, which add to advantages.

Lines come to tokens by character offsets and never by searching for a line's text, which finds the wrong one where a
line repeats. Offsets are of the completion's own tokens: `piece_offsets` makes them from the tokens' bytes, without
tokenising anything again.
"""

from __future__ import annotations

import codecs
import re
from bisect import bisect_right
from collections.abc import Collection, Sequence
from difflib import SequenceMatcher
from typing import Literal

import torch
from torch import Tensor

from verigrad.algorithms.shapes import check_shapes, masked

__all__ = [
    "critic_weight",
    "diff_span",
    "error_lines",
    "executed_lines",
    "on_lines",
    "piece_offsets",
    "text_offsets",
    "token_lines",
]

# What Python's tokenizer ends a line at; `str.splitlines` also breaks at form feeds and Unicode separators.
_LINE_END = re.compile(r"\r\n|\r|\n")


def piece_offsets(pieces: Sequence[bytes]) -> list[tuple[int, int]]:
    """Character span of each token in the decoded text, from the tokens' bytes.

    Several tokens may share one character (a four-byte emoji in four byte-level tokens): each of them spans it. Invalid
    UTF-8 decodes to replacement characters, as `bytes.decode(errors="replace")` does.

    Args:
        pieces: the bytes of each token, in order; empty for tokens that print nothing (the end of text).

    Returns:
        (start, end) per token, end exclusive.

    >>> piece_offsets([b"a", b"\\xc3", b"\\xa9", b"b!"])
    [(0, 1), (1, 2), (1, 2), (2, 4)]
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    spans, done = [], 0
    for piece in pieces:
        start = done
        done += len(decoder.decode(piece))
        pending = bool(decoder.getstate()[0])
        spans.append((start, done + (pending and bool(piece))))
    return spans


def text_offsets(text: str, pieces: Sequence[bytes]) -> list[tuple[int, int]] | None:
    """Characters of `text` that each token touches; None where the tokens do not spell it.

    SentencePiece's first token begins with a space that decoding leaves out, and tokens may go on behind the text,
    where a stop text was cut off: neither is the text's.

    Args:
        text: as it was decoded.
        pieces: the bytes of each token, in order, as of `piece_offsets`.

    Returns:
        (start, end) per token, end exclusive, within the text.

    >>> text_offsets("if", [b" i", b"f", b"<stop>"])
    [(0, 1), (1, 2), (2, 2)]
    """
    written = b"".join(pieces).decode("utf-8", errors="replace")
    lead = 0 if written.startswith(text) else 1 if written.startswith(" " + text) else None
    if lead is None:
        return None
    moved = ((max(0, start - lead), max(0, end - lead)) for start, end in piece_offsets(pieces))
    return [(min(start, len(text)), min(end, len(text))) for start, end in moved]


def token_lines(
    text: str, offsets: Sequence[tuple[int, int]], *, code_start: int = 0, code_end: int | None = None
) -> Tensor:
    """First and last line of code that each token touches, numbered from 1; 0 and 0 outside the code.

    A line break belongs to the line it ends, and a token may touch several lines (a break together with the indentation
    after it). Prose and fences lie outside `code_start` to `code_end`.

    Args:
        text: the completion.
        offsets: (start, end) per token, in characters of the text, end exclusive; empty spans touch nothing.
        code_start: character at which the program begins: its line 1.
        code_end: character at which it ends, exclusive; None for the end of the text.

    Returns:
        (T, 2) int64.

    Raises:
        ValueError: the code or a token lies outside the text.

    >>> text = "Hi: a = 1\\nb = 2"
    >>> token_lines(text, [(0, 3), (3, 9), (9, 10), (10, 15), (15, 15)], code_start=4).tolist()
    [[0, 0], [1, 1], [1, 1], [2, 2], [0, 0]]
    """
    code_end = len(text) if code_end is None else code_end
    if not 0 <= code_start <= code_end <= len(text):
        raise ValueError(f"code lies at {code_start} to {code_end}, wanted within the text's {len(text)} characters")
    starts = [code_start, *(found.end() for found in _LINE_END.finditer(text, code_start, code_end))]
    lines = torch.zeros(len(offsets), 2, dtype=torch.long)
    for token, (start, end) in enumerate(offsets):
        if not 0 <= start <= end <= len(text):
            raise ValueError(f"token {token} spans {start} to {end}, wanted within the text's {len(text)} characters")
        first, last = max(start, code_start), min(end, code_end)
        if first < last:
            lines[token, 0] = bisect_right(starts, first)
            lines[token, 1] = bisect_right(starts, last - 1)
    return lines


def on_lines(lines: Tensor, chosen: Sequence[Collection[int]]) -> Tensor:
    """True for tokens that touch one of the row's chosen lines.

    Args:
        lines: (B, T, 2) first and last line per token, see `token_lines`; 0 and 0 for none.
        chosen: per row, line numbers from 1.

    Returns:
        (B, T) bool.

    >>> on_lines(torch.tensor([[[1, 1], [1, 2], [0, 0]]]), [{2}])
    tensor([[False,  True, False]])
    """
    _check_lines(lines, chosen)
    highest = int(lines.max()) if lines.numel() else 0
    upto = torch.zeros(len(chosen), highest + 1, dtype=torch.long)
    for row, numbers in enumerate(chosen):
        upto[row, [number for number in set(numbers) if 1 <= number <= highest]] = 1
    upto = upto.cumsum(dim=1).to(lines.device)
    first, last = lines.unbind(dim=2)
    return (first > 0) & (upto.gather(1, last) > upto.gather(1, (first - 1).clamp(min=0)))


def error_lines(
    lines: Tensor,
    mask: Tensor,
    error_line: Sequence[int | Literal["whole"] | None],
    *,
    penalty: float = -0.3,
    rescale: bool = True,
) -> Tensor:
    """Reward `penalty` for the tokens of the line that failed, times T / (number of them), 0 for all others.

    Liu et al. 2023, RLTF, arXiv:2307.04349 (fine-grained feedback): a syntax error blames its line, a run-time error
    the program's last line in the traceback, a time-out or endless recursion the whole program, a wrong answer nothing.
    The factor gives an error the same weight however short its line; in the released code it comes to 1
    (`rescale=False`). Add the result to advantages (B, T).

    Args:
        lines: (B, T, 2), see `token_lines`.
        mask: (B, T) bool.
        error_line: per row a line from 1, "whole" for all of the code, or None for nothing to blame.
        penalty: reward of a blamed token, below 0.
        rescale: multiply by the row's masked tokens over its blamed ones.

    Returns:
        (B, T), zero outside the mask.

    >>> lines = torch.tensor([[[1, 1], [1, 1], [2, 2], [0, 0]]])
    >>> error_lines(lines, torch.ones(1, 4).bool(), [2])
    tensor([[ 0.0000,  0.0000, -1.2000,  0.0000]])
    """
    _check_lines(lines, error_line, mask)
    single = [() if line is None or line == "whole" else (line,) for line in error_line]
    whole = torch.tensor([line == "whole" for line in error_line], dtype=torch.bool, device=lines.device)
    blamed = (on_lines(lines, single) | (whole.unsqueeze(1) & (lines[..., 0] > 0))) & mask
    rewards = torch.where(blamed, penalty, 0.0)
    if rescale:
        rewards = rewards * mask.sum(dim=1, keepdim=True) / blamed.sum(dim=1, keepdim=True).clamp(min=1)
    return rewards


def executed_lines(
    lines: Tensor,
    mask: Tensor,
    executed: Sequence[Collection[int] | None],
    *,
    executable: Sequence[Collection[int] | None] | None = None,
    min_share: float = 0.1,
) -> Tensor:
    """1 for tokens that touch a line some test ran, and for tokens outside the code; 0 for code that never ran.

    Dou et al. 2024, StepCoder, arXiv:2402.01391 (fine-grained optimisation): what was not executed had no part in the
    reward. Tracers report lines that hold statements; with `executable` only those can be masked, and comments, blank
    lines and the rest of a statement of several lines keep their weight.

    Masking exempts dead code from blame, which a policy can learn to write: keep an eye on lengths.

    Args:
        lines: (B, T, 2), see `token_lines`.
        mask: (B, T) bool.
        executed: per row the lines that ran, from 1; None where that is not known (nothing ran, or it was not traced),
            which masks nothing.
        executable: per row the lines that could have run; None for any line.
        min_share: a row masks nothing if less than this share of its code's tokens would remain.

    Returns:
        (B, T) of 0 and 1, zero outside the mask.

    >>> lines = torch.tensor([[[1, 1], [2, 2], [2, 3], [0, 0]]])
    >>> executed_lines(lines, torch.ones(1, 4).bool(), [{1, 3}])
    tensor([[1., 0., 1., 1.]])
    """
    _check_lines(lines, executed, mask)
    known = torch.tensor([ran is not None for ran in executed], dtype=torch.bool, device=lines.device)
    in_code = (lines[..., 0] > 0) & mask
    idle = in_code & known.unsqueeze(1) & ~on_lines(lines, [ran or () for ran in executed])
    if executable is not None:
        _check_lines(lines, executable)
        bounded = torch.tensor([could is not None for could in executable], dtype=torch.bool, device=lines.device)
        idle &= on_lines(lines, [could or () for could in executable]) | ~bounded.unsqueeze(1)
    left = (in_code & ~idle).sum(dim=1)
    trusted = left >= min_share * in_code.sum(dim=1)
    return (mask & ~(idle & trusted.unsqueeze(1))).to(torch.get_default_dtype())


def diff_span(
    chosen: Tensor,
    rejected: Tensor,
    chosen_mask: Tensor,
    rejected_mask: Tensor,
    *,
    inside: float = 2.0,
    outside: float = 1.0,
    spans: Literal["middle", "edits"] = "middle",
) -> tuple[Tensor, Tensor]:
    """Weight `inside` where two completions differ, `outside` where they agree.

    Zhang et al. 2025, Focused-DPO, arXiv:2502.11475: everything between the longest common prefix and suffix counts as
    different (`middle`). `edits` takes only the tokens that a diff inserts, deletes or replaces, as in Target-DPO,
    arXiv:2503.02783. For sums of log-probs of preference pairs.

    Args:
        chosen: (B, T) int token ids.
        rejected: (B, S) int token ids.
        chosen_mask: (B, T) bool, True for tokens of the completion.
        rejected_mask: (B, S) bool.
        inside: weight of differing tokens.
        outside: weight of common tokens.
        spans: what counts as differing.

    Returns:
        weights (B, T) of the chosen and (B, S) of the rejected, zero outside the masks.

    >>> good, bad = torch.tensor([[5, 6, 7, 9]]), torch.tensor([[5, 8, 9]])
    >>> diff_span(good, bad, torch.ones(1, 4).bool(), torch.ones(1, 3).bool())
    (tensor([[1., 2., 2., 1.]]), tensor([[1., 2., 1.]]))
    """
    check_shapes("B T", chosen=chosen, chosen_mask=chosen_mask)
    check_shapes("B S", rejected=rejected, rejected_mask=rejected_mask)
    check_shapes("B", chosen=chosen_mask.any(dim=1), rejected=rejected_mask.any(dim=1))
    weights = [torch.zeros(mask.shape, device=mask.device) for mask in (chosen_mask, rejected_mask)]
    for row in range(len(chosen)):
        first = chosen[row][chosen_mask[row]].tolist()
        second = rejected[row][rejected_mask[row]].tolist()
        common = _middle(first, second) if spans == "middle" else _edits(first, second)
        for weight, mask, agree in zip(weights, (chosen_mask, rejected_mask), common, strict=True):
            values = [outside if same else inside for same in agree]
            weight[row, mask[row]] = torch.tensor(values, device=weight.device, dtype=weight.dtype)
    return weights[0], weights[1]


def critic_weight(class_logits: Tensor, outcomes: Tensor, mask: Tensor) -> Tensor:
    """w_t = softmax(class_logits_t)[outcome]: how sure a critic already is, at token t, of how the program will end.

    Le et al. 2022, CodeRL, arXiv:2207.01780, eq. 8: the critic is a classifier of the outcome (compile error, run-time
    error, failed test, passed) read at every token; the weight multiplies r - r_greedy (`advantages.greedy_baseline`).

    Args:
        class_logits: (B, T, C); no gradient flows.
        outcomes: (B,) int in 0..C-1, how each row's program did end.
        mask: (B, T) bool.

    Returns:
        (B, T) in [0, 1], zero outside the mask.

    >>> critic_weight(torch.tensor([[[0.0, 0.0], [0.0, 1.0986]]]), torch.tensor([1]), torch.ones(1, 2).bool())
    tensor([[0.5000, 0.7500]])
    """
    check_shapes("B T C", class_logits=class_logits)
    check_shapes("B T", mask=mask, class_logits=class_logits[..., 0])
    check_shapes("B", mask=mask.any(dim=1), outcomes=outcomes)
    chances = class_logits.detach().softmax(dim=-1)
    index = outcomes.view(-1, 1, 1).expand(-1, class_logits.shape[1], 1)
    return masked(chances.gather(2, index).squeeze(2), mask)


def _middle(first: list[int], second: list[int]) -> tuple[list[bool], list[bool]]:
    """Per token, whether it lies in the common prefix or suffix; the two never overlap."""
    shorter = min(len(first), len(second))
    prefix = next((i for i in range(shorter) if first[i] != second[i]), shorter)
    rest = shorter - prefix
    suffix = next((i for i in range(rest) if first[-1 - i] != second[-1 - i]), rest)
    return _agreement(len(first), prefix, suffix), _agreement(len(second), prefix, suffix)


def _agreement(length: int, prefix: int, suffix: int) -> list[bool]:
    return [i < prefix or i >= length - suffix for i in range(length)]


def _edits(first: list[int], second: list[int]) -> tuple[list[bool], list[bool]]:
    """Per token, whether a diff keeps it."""
    kept = [False] * len(first), [False] * len(second)
    for block in SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks():
        kept[0][block.a : block.a + block.size] = [True] * block.size
        kept[1][block.b : block.b + block.size] = [True] * block.size
    return kept


def _check_lines(lines: Tensor, per_row: Sequence[object], mask: Tensor | None = None) -> None:
    check_shapes("B T two", lines=lines)
    if lines.shape[2] != 2:
        raise ValueError(f"lines have shape {tuple(lines.shape)}, wanted (B, T, 2), see token_lines")
    if len(per_row) != len(lines):
        raise ValueError(f"got line numbers of {len(per_row)} rows, but lines has {len(lines)}")
    if mask is not None:
        check_shapes("B T", mask=mask, lines=lines[..., 0])
