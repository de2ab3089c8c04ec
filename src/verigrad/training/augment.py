"""Prompts made harder to recognise by heart."""

from __future__ import annotations

import io
import re
import tokenize
from dataclasses import replace
from random import Random

from verigrad.seeds import derive_seed
from verigrad.tasks.base import TaskSet

__all__ = ["augmented", "drop_words", "rename_functions", "thin_prompts"]

_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")  # letters only: names with digits, underscores or dots stay whole
_NAME = re.compile(r"\w+")
_TOKEN = re.compile(r"\S+")
_CODE_LINE = re.compile(r"\s*(?:assert\b|>>>|def\b|class\b|import\b|from\b|```|#|    |\w+\(.*\)\s*==)")
_FENCE = re.compile(r"\s*```")


def drop_words(text: str, most: float, random: Random) -> str:
    """Leave out words of prose, a share of them drawn between 0 and `most`; code, numbers and signs stay.

    A statement learned with all its words can be known by any of them; with some missing it has to be known by what it
    says and by its examples. Lines of code, and what stands in backticks or between fences, are left as they are.

    >>> drop_words("Return the sum of `xs` and 3.\\n\\nassert f([1]) == 4", 1.0, Random(6))
    'Return `xs` 3.\\n\\nassert f([1]) == 4'
    """
    share = most * random.random()
    lines, fenced = [], False
    for line in text.split("\n"):
        fenced ^= _FENCE.match(line) is not None
        is_code = fenced or _CODE_LINE.match(line)
        lines.append(line if is_code else _thin(line, share, random))
    return "\n".join(lines)


def thin_prompts(tasks: TaskSet, most: float, seed: int) -> TaskSet:
    """The same tasks with words missing from their prompts, drawn by (seed, task)."""
    thinned = (
        replace(task, prompt=drop_words(task.prompt, most, Random(derive_seed(seed, "words", task.id))))
        for task in tasks.tasks
    )
    return replace(tasks, tasks=tuple(thinned))


def rename_functions(tasks: TaskSet, share: float, seed: int) -> TaskSet:
    """The same tasks, of which a share has a function name that says nothing, drawn by (seed, task).

    A name that always tells what a function does is all a policy learns to read; a name in an unseen wording then leads
    it astray. The new ones are two or three words out of the tasks' names, so that they have to be copied too. Prompt,
    stub, gold program and entry point change together, and the tests go on deciding.
    """
    words = sorted({word for task in tasks.tasks for word in (task.entry_point or "").split("_") if word})
    renamed, oracles = [], dict(tasks.oracles)
    for task in tasks.tasks:
        oracle = tasks.oracle(task)
        random = Random(derive_seed(seed, "name", task.id))
        if task.entry_point is None or oracle.trust != "values" or random.random() >= share:
            renamed.append(task)
            continue
        texts = (task.prompt, task.stub, oracle.gold or "")
        name = _new_name(words, set(_NAME.findall(" ".join(texts))), random)
        old = re.escape(task.entry_point)
        # The same word in prose, or of a method, is no name.
        named = re.compile(rf"(?<![\w.]){old}(?=\()|(?<=`){old}(?=`)")
        prompt, stub, gold, prototype = (named.sub(name, text) for text in (*texts, oracle.prototype))
        if task.language == "python" and oracle.gold is not None:
            gold = _renamed_in_code(oracle.gold, task.entry_point, name) or gold
        renamed.append(replace(task, entry_point=name, prompt=prompt, stub=stub))
        oracles[task.id] = replace(oracle, gold=None if oracle.gold is None else gold, prototype=prototype)
    return replace(tasks, tasks=tuple(renamed), oracles=oracles)


def _renamed_in_code(source: str, old: str, new: str) -> str | None:
    """A program with its function's name changed wherever that is bound or read; None where it has no tokens.

    Attributes and arguments by name are other things with that name.
    """
    lines = io.StringIO(source).readlines()  # as `tokenize` counts them
    places: list[tuple[int, int]] = []
    depth, before = 0, ""
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.OP:
                depth += (token.string in "([{") - (token.string in ")]}")
            if token.string == "=" and before == old and depth and places:
                places.pop()
            elif token.type == tokenize.NAME and token.string == old and before != ".":
                places.append(token.start)
            before = token.string
    except (tokenize.TokenError, SyntaxError):
        return None
    for row, column in reversed(places):
        line = lines[row - 1]
        lines[row - 1] = line[:column] + new + line[column + len(old) :]
    return "".join(lines)


def _new_name(words: list[str], taken: set[str], random: Random) -> str:
    while True:
        name = "_".join(random.choices(words, k=random.choice((2, 3))))
        if name.isidentifier() and name not in taken:
            return name
        words = [*words, f"f{len(words)}"]  # where there are next to no words to draw from


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
