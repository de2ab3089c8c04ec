"""A question with its answer as ids, the way training had them."""

from __future__ import annotations

from collections.abc import Sequence

from verigrad.evaluation.twins.bench import Bench
from verigrad.evaluation.twins.models import Twin
from verigrad.models.chat import answer_ids, prompt_ids
from verigrad.types import Message

__all__ = ["CLOSE", "OPEN", "answered"]

OPEN = "```python\n"
"""Before the program in an answer."""
CLOSE = "```"
"""Behind it."""


def answered(bench: Bench, twin: Twin, question: str, answer: Sequence[int]) -> tuple[list[int], int]:
    """Ids of a question, an answer and its end, and where the answer begins.

    Behind the end stand end tokens up to `max_tokens` places, and to the end of a block, where training a diffusion
    model filled its canvases.
    """
    given = prompt_ids(twin.tokenizer, [Message("user", question)])
    row = [*given, *answer, *answer_ids(twin.tokenizer, "")]
    spec = twin.spec
    if spec and spec.pad_policy == "fill":
        total = spec.canvas_length(max(len(row), len(given) + bench.config.max_tokens))
        row += [spec.pad_id] * (total - len(row))
    return row, len(given)
