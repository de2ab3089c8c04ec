"""Prompts made harder to recognise by heart."""

from __future__ import annotations

import re
from dataclasses import replace
from random import Random

from verigrad.seeds import derive_seed
from verigrad.tasks.base import TaskSet

__all__ = ["augmented", "drop_words", "rename_functions", "thin_prompts"]

_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")  # letters only: names with digits, underscores or dots stay whole
_NAME = re.compile(r"\w+")
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


def rename_functions(tasks: TaskSet, share: float, seed: int) -> TaskSet:
    """The same tasks, of which a share has another task's function name, drawn by (seed, task).

    A name that always tells what a function does is all a policy learns to read; a name in an unseen wording then leads
    it astray. Prompt, stub, gold program and entry point change together, so that the tests go on deciding. Names that
    occur in a task's prompt or gold program are not given to it.
    """
    names = sorted({task.entry_point for task in tasks.tasks if task.entry_point})
    renamed, oracles = [], dict(tasks.oracles)
    for task in tasks.tasks:
        oracle = tasks.oracle(task)
        random = Random(derive_seed(seed, "name", task.id))
        if task.entry_point is None or oracle.trust != "values" or random.random() >= share:
            renamed.append(task)
            continue
        taken = set(_NAME.findall(task.prompt + task.stub + (oracle.gold or "")))
        name = random.choice([other for other in names if other not in taken] or [task.entry_point])
        called = re.compile(rf"\b{re.escape(task.entry_point)}(?=\()")  # the same word in prose is no name
        renamed.append(
            replace(task, entry_point=name, prompt=called.sub(name, task.prompt), stub=called.sub(name, task.stub))
        )
        oracles[task.id] = replace(oracle, gold=None if oracle.gold is None else called.sub(name, oracle.gold))
    return replace(tasks, tasks=tuple(renamed), oracles=oracles)


def augmented(tasks: TaskSet, rename: float, word_dropout: float, seed: int) -> TaskSet:
    """Both of the above; a share of 0 leaves things as they are."""
    if rename:
        tasks = rename_functions(tasks, rename, seed)
    return thin_prompts(tasks, word_dropout, seed) if word_dropout else tasks


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
