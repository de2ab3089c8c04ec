"""A family of small Python functions: one idea, many instances.

An instance fixes a wording, a function name, the parameters and the inputs. Texts are `string.Template`s:
`$name` is the function's name, and every parameter is available as `$key` (write `$$` for a dollar sign).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

from verigrad.types import Comparator

__all__ = ["DIFFICULTIES", "TOPICS", "Family"]

TOPICS = (
    "arithmetic",
    "number_theory",
    "strings",
    "text",
    "lists",
    "searching",
    "dicts",
    "sets",
    "tuples",
    "logic",
    "matrices",
    "recursion",
    "simulation",
    "intervals",
    "graphs",
    "dynamic_programming",
)
DIFFICULTIES = ("easy", "medium", "hard")
_EXACT = Comparator()


def _no_params(random: Random) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, kw_only=True)
class Family:
    """One idea in many instances.

    Attributes:
        key: snake_case, unique in the suite.
        topic: one of `TOPICS`.
        difficulty: `easy` is a one-line body, `medium` about 3 to 8 lines, `hard` about 8 to 15.
        signature: the parameters as written between the parentheses, such as `text, limit`.
        names: at least four function names; the third is for validation, the fourth for unseen instances.
        statements: at least five differently worded statements, each complete on its own (types, order,
            ties, empty inputs); the fourth is for validation, the fifth for unseen instances, the rest for
            training. They speak of the function as `$name`.
        gold: source of a correct program; a `def $name(...)` with imports above it where needed.
        inputs: draws the arguments of one call from the generator and the parameters. Must be varied
            enough that wrong ideas fail: both answers of a yes/no question about equally often.
        edges: calls that every instance tests besides the drawn ones (argument tuples, from the parameters).
        params: draws what distinguishes instances, such as a threshold; `{}` where nothing does.
        wrong: plausible wrong programs, as templates like `gold`; each must fail.
        comparator: how results are compared; strict types by default.
    """

    key: str
    topic: str
    difficulty: Literal["easy", "medium", "hard"]
    signature: str
    names: tuple[str, ...]
    statements: tuple[str, ...]
    gold: str
    inputs: Callable[[Random, Mapping[str, Any]], tuple[Any, ...]]
    edges: Callable[[Mapping[str, Any]], tuple[tuple[Any, ...], ...]] = lambda params: ()
    params: Callable[[Random], Mapping[str, Any]] = _no_params
    wrong: tuple[str, ...] = ()
    comparator: Comparator = _EXACT
