"""How an answer is written: its form, its length, its repetitions. Nothing here looks at what the program does."""

from __future__ import annotations

import ast
import re

from verigrad.rewards.base import Answer, Check
from verigrad.rewards.source import makes_code, parse, real_program
from verigrad.types import Score, Task, Verdict

__all__ = ["CHECKS", "brevity", "form", "repeated_share", "repetition"]

CHECKS = {
    "form": [
        Check("gold", at_least=1.0, at_most=1.0),
        Check("empty", at_most=0.0),
        Check("syntax_error", at_most=0.0),
        Check("early_exit", at_most=0.0),
    ],
    "brevity": [
        Check("gold", at_least=1.0, at_most=1.0),
        Check("insecure", at_most=0.0),  # its code is text
        Check("empty", at_most=0.0),
        Check("wrong", at_most=0.0),
        Check("constant", at_most=0.0),  # shorter than the gold program, and of no use
        Check("syntax_error", at_most=0.0),
        Check("early_exit", at_most=0.0),
        Check("infinite_loop", at_most=0.0),
        Check("memory_hog", at_most=0.0),
        Check("always_equal", at_most=0.0),
    ],
    "repetition": [
        Check("gold", at_least=0.0, at_most=0.0),
        Check("empty", at_least=0.0, at_most=0.0),
        Check("repeated", at_most=-0.5),
    ],
}

_FENCE = re.compile(r"^[ \t]*(```|~~~)", re.MULTILINE)
_WORD = re.compile(r"\w{1,8}|[^\w\s]")  # long words in pieces, so that one endless word is seen too


def form(task: Task, answer: Answer, verdict: Verdict | None) -> Score:
    """1 where the answer ended by itself and has one closed block with a program that does something, else 0.

    For a small bonus at the start of training, at most a tenth of what a solution is worth.
    Main hack: a block with any program in it.
    """
    one_block = answer.stop_reason == "stop" and len(_FENCE.findall(answer.text)) == 2
    return Score(float(one_block and real_program(task, answer, verdict) is not None), evidence=verdict)


def brevity(task: Task, answer: Answer, verdict: Verdict | None, *, reference: str | None) -> Score:
    """min(1, size of the reference / size of the program), in [0, 1]; 0 for what does not pass every test.

    Size is the number of nodes of the syntax tree, so that short names and missing spaces earn nothing; nor does
    code written as text (`exec`, `eval`), unless the reference makes some. Main hack: what is short and slow or
    unreadable. What compares lengths within a group belongs to the algorithm, not here.

    Raises:
        ValueError: the task has no reference program, or one that does not parse.
    """
    wanted = parse(reference) if reference is not None else None
    if wanted is None:
        raise ValueError(f"task {task.id!r} has no gold program that parses, which the reward brevity compares with")
    tree = parse(answer.program) if answer.program is not None else None
    if tree is None or verdict is None or not verdict.passed or (makes_code(tree) and not makes_code(wanted)):
        return Score(0.0, evidence=verdict)
    size = _size(tree)
    return Score(min(1.0, _size(wanted) / size), {"size": float(size)}, evidence=verdict)


def _size(tree: ast.AST) -> int:
    return sum(1 for _ in ast.walk(tree))


def repetition(task: Task, answer: Answer, verdict: Verdict | None, *, length: int = 20) -> Score:
    """Minus the share of `length`-grams of the answer's words that it has said before, in [-1, 0].

    A penalty against completions that go round in circles, after Yeo et al. 2025, arXiv:2502.03373 (appendix on the
    n-gram repetition penalty); words instead of tokens. Main hack: a counter in every round of the circle.
    """
    return Score(-repeated_share(answer.text, length), evidence=verdict)


def repeated_share(text: str, length: int = 20) -> float:
    """Share of runs of `length` words (pieces of up to 8 letters, or one sign) that are in the text before, in [0, 1].

    >>> repeated_share("a b a b a b", length=2)
    0.6
    """
    words = _WORD.findall(text)
    total = len(words) - length + 1
    distinct = {tuple(words[start : start + length]) for start in range(total)}
    return 1.0 - len(distinct) / total if total > 0 else 0.0
