"""How much an answer resembles the reference, letter by letter, without running anything: SWE-RL's reward."""

from __future__ import annotations

import re
from collections import defaultdict
from difflib import SequenceMatcher
from itertools import chain

from verigrad.rewards.base import Answer, Check
from verigrad.rewards.source import MAX_CHARACTERS, real_program
from verigrad.types import Score, Task, Verdict

__all__ = ["CHECKS", "changes", "patch", "patch_similarity", "text_ratio"]

CHECKS = [
    Check("gold", at_least=1.0),
    Check("empty", at_most=-1.0),
    Check("wrong", at_most=0.999),
    Check("constant", at_most=0.999),
    Check("syntax_error", at_most=-1.0),
    Check("early_exit", at_most=-1.0),
]

_MOST_PAIRS = 400_000
"""Pairs of letters (or lines) that are compared one with the other: a second at worst, for texts made to be slow."""

_HUNK = re.compile(r"^@@ .*@@", re.MULTILINE)


def patch(task: Task, answer: Answer, verdict: Verdict | None, *, reference: str | None) -> Score:
    """Similarity of the answer's change to the reference's, in [0, 1]; -1 where there is no change to be found.

    Wei et al. 2025, SWE-RL, arXiv:2502.18449: difflib's ratio, the mean over all files that either touches. Where the
    reference is a unified diff, only the lines taken out and put in count, so that copying what stands around them
    earns nothing; otherwise both are whole programs, and one that does nothing is no change. The verdict plays no
    part. Main hack: what resembles the usual patch, right or not; for lack of tests, never beside them.

    Raises:
        ValueError: the task has no reference.
    """
    if reference is None:
        raise ValueError(f"task {task.id!r} has no gold program, which the reward patch compares with")
    program = answer.program or ""
    if not _HUNK.search(reference):
        found = real_program(task, answer, verdict) is not None
        ours, theirs = {"": program}, {"": reference}
    else:
        ours, theirs = changes(program), changes(reference)
        found = bool(ours) and len(program) <= MAX_CHARACTERS
    return Score(patch_similarity(ours, theirs) if found else -1.0, {"well_formed": float(found)}, evidence=verdict)


def changes(diff: str) -> dict[str, str]:
    """Of every file in a unified diff the lines taken out and put in, signs included; files without any left out.

    >>> changes("--- a/x.py\\n+++ b/x.py\\n@@ -1,2 +1,2 @@\\n same\\n-old\\n+new\\n")
    {'x.py': '-old\\n+new\\n'}
    """
    lines = diff.split("\n")
    found: defaultdict[str, str] = defaultdict(str)
    path, inside = "", False
    for line, following, third in zip(lines, chain(lines[1:], [""]), chain(lines[2:], ["", ""]), strict=False):
        # Within a hunk they may be lines that are taken out and put in: `-- i` and `++ i`.
        named = line.startswith("--- ") and following.startswith("+++ ")
        if named and (not inside or third.startswith("@@ ")):
            path, inside = _path(line, following), False
        elif line.startswith("@@ "):
            inside = True
        elif line.startswith("diff "):
            inside = False
        elif inside and line.startswith(("+", "-")):
            found[path] += line + "\n"
    return dict(found)


def _path(before: str, after: str) -> str:
    """The file's path after the change, or before it where it is deleted; without git's `a/` and `b/`."""
    named = [line[4:].split("\t")[0].strip() for line in (after, before)]
    path = next((name for name in named if name != "/dev/null"), "/dev/null")
    return path[2:] if path.startswith(("a/", "b/")) else path


def patch_similarity(ours: dict[str, str], theirs: dict[str, str]) -> float:
    """Mean over the files of either of the ratio of both texts, in [0, 1]; 0 for a file that only one of them has.

    >>> patch_similarity({"x": "abcd", "y": "z"}, {"x": "bcde"})
    0.375
    """
    files = ours.keys() | theirs.keys()
    return sum(text_ratio(ours.get(name, ""), theirs.get(name, "")) for name in files) / len(files) if files else 0.0


def text_ratio(ours: str, theirs: str) -> float:
    """difflib's ratio: 2 * matching letters / letters of both, in [0, 1]; 0 where one is empty.

    Of long texts (more than `_MOST_PAIRS` pairs of letters) whole lines are matched, and of very long ones lines
    wherever they stand, so that the time is bounded.
    """
    if not ours or not theirs:
        return 0.0
    if ours == theirs:
        return 1.0
    if len(ours) * len(theirs) <= _MOST_PAIRS:
        return SequenceMatcher(None, ours, theirs, autojunk=False).ratio()
    our_lines, their_lines = ours.split("\n"), theirs.split("\n")
    lines = SequenceMatcher(None, our_lines, their_lines, autojunk=False)
    return lines.ratio() if len(our_lines) * len(their_lines) <= _MOST_PAIRS else lines.quick_ratio()
