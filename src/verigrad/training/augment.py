"""Prompts made harder to recognise by heart."""

from __future__ import annotations

import re
from dataclasses import replace
from random import Random

from verigrad.seeds import derive_seed
from verigrad.tasks.base import TaskSet

__all__ = ["drop_words", "thin_prompts"]

_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")  # letters only: names with digits, underscores or dots stay whole
_TOKEN = re.compile(r"\S+")
_CODE_LINE = re.compile(r"\s*(?:assert\b|>>>|def\b|class\b|import\b|from\b|```|#|    )")


def drop_words(text: str, most: float, random: Random) -> str:
    """Leave out words of prose, a share of them drawn between 0 and `most`; code, numbers and signs stay.

    A statement learned with all its words can be known by any of them; with some missing it has to be known by what it
    says and by its examples. Lines of code, and what stands in backticks, are left as they are.

    >>> drop_words("Return the sum of `xs` and 3.\\n\\nassert f([1]) == 4", 1.0, Random(6))
    'Return `xs` 3.\\n\\nassert f([1]) == 4'
    """
    share = most * random.random()
    return "\n".join(line if _CODE_LINE.match(line) else _thin(line, share, random) for line in text.split("\n"))


def thin_prompts(tasks: TaskSet, most: float, seed: int) -> TaskSet:
    """The same tasks with words missing from their prompts, drawn by (seed, task)."""
    thinned = (
        replace(task, prompt=drop_words(task.prompt, most, Random(derive_seed(seed, "words", task.id))))
        for task in tasks.tasks
    )
    return replace(tasks, tasks=tuple(thinned))


def _thin(line: str, share: float, random: Random) -> str:
    kept, quoted = [], False
    for token in _TOKEN.findall(line):
        opens = quoted or "`" in token
        quoted ^= token.count("`") % 2 == 1
        # Drawn for every token, so that what is code does not change what happens to the rest.
        missing = random.random() < share
        if opens or not missing or not _WORD.fullmatch(token.strip(".,;:!?()\"'")):
            kept.append(token)
    return " ".join(kept)
