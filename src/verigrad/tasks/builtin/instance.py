"""One instance of a family: a wording, a name, parameters, examples, hidden tests, and what should fail them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from random import Random
from string import Template
from typing import Any

from verigrad.errors import TaskError
from verigrad.tasks.builtin.adequacy import constant_pass_rate, load_function, passes
from verigrad.tasks.builtin.family import Family
from verigrad.tasks.builtin.prompt import literal
from verigrad.types import CallTest, Comparator

__all__ = ["MAX_CONSTANT_PASS_RATE", "Instance", "draw_hidden", "make_instance", "random_stream", "render"]

MAX_CONSTANT_PASS_RATE = 0.7
_ATTEMPTS = 200


@dataclass(frozen=True, kw_only=True)
class Instance:
    """What a task and its oracle are made of; texts are rendered, `examples` and `hidden` share no input."""

    family: Family
    name: str
    statement: str
    gold: str
    wrong: tuple[str, ...]
    examples: tuple[CallTest, ...]
    hidden: tuple[CallTest, ...]
    constant_pass_rate: float


def random_stream(*parts: object) -> Random:
    """A generator that `parts` alone decide, on every machine and in every process."""
    text = "/".join(map(str, parts))
    return Random(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))


def render(template: str, name: str, params: Mapping[str, Any]) -> str:
    """Fill in `$name` and the parameters."""
    return Template(template).substitute(params, name=name)


def make_instance(
    family: Family, *, name: str, statement: str, seed: tuple[object, ...], num_tests: int, num_public: int
) -> Instance:
    """Draw inputs until the tests are adequate.

    They are when no constant passes `MAX_CONSTANT_PASS_RATE` of the hidden tests or more, every wrong program
    fails one of them, and the examples (where there are two or more) do not all expect the same.

    Args:
        seed: decides parameters and inputs.
        num_tests: hidden tests; the edges come first, and at least half as many inputs are drawn whatever
            the number of edges.
        num_public: examples, all drawn.

    Raises:
        TaskError: no adequate tests in 200 draws, or the family has too few distinct inputs.
    """
    params = family.params(random_stream(*seed, "params"))
    gold = render(family.gold, name, params)
    wrong = tuple(render(template, name, params) for template in family.wrong)
    solve = load_function(gold, name)
    wrong_functions = [load_function(source, name) for source in wrong]
    complaint = ""
    for attempt in range(_ATTEMPTS):
        examples, hidden = _draw_tests(
            family, params, solve, random_stream(*seed, "inputs", attempt), num_tests, num_public
        )
        rate = constant_pass_rate([test.expected for test in hidden], family.comparator)
        complaint = _complaint(family, wrong_functions, examples, hidden, rate)
        if not complaint:
            return Instance(
                family=family,
                name=name,
                statement=render(statement, name, params),
                gold=gold,
                wrong=wrong,
                examples=examples,
                hidden=hidden,
                constant_pass_rate=rate,
            )
    raise _inadequate(family, params, complaint)


def draw_hidden(
    family: Family,
    *,
    seed: tuple[object, ...],
    fresh: int,
    examples: Sequence[CallTest],
    num_drawn: int,
) -> tuple[tuple[CallTest, ...], float]:
    """Hidden tests of an instance anew, as adequate as the first: its edges, and `num_drawn` inputs drawn by `fresh`.

    None of them is an example's. Returns the tests and the largest share of them that a constant passes.

    Args:
        seed: of the instance; decides its parameters.

    Raises:
        TaskError: no adequate tests in 200 draws, or the family has too few distinct inputs.
    """
    params = family.params(random_stream(*seed, "params"))
    solve, *wrong = (load_function(render(text, "f", params), "f") for text in (family.gold, *family.wrong))
    complaint = ""
    for attempt in range(_ATTEMPTS):
        shown = {literal(test.args) for test in examples}
        drawn = _draw_inputs(family, params, random_stream(*seed, "fresh", fresh, attempt), shown, num_drawn)
        hidden = _hidden_tests(family, params, solve, drawn)
        rate = constant_pass_rate([test.expected for test in hidden], family.comparator)
        complaint = _complaint(family, wrong, examples, hidden, rate)
        if not complaint:
            return hidden, rate
    raise _inadequate(family, params, complaint)


def _inadequate(family: Family, params: Mapping[str, Any], complaint: str) -> TaskError:
    return TaskError(
        f"family {family.key!r} with parameters {dict(params)}: {complaint}, in each of {_ATTEMPTS} draws; "
        "make its inputs more varied or add edges"
    )


def _complaint(
    family: Family,
    wrong: Sequence[Callable[..., Any]],
    examples: Sequence[CallTest],
    hidden: Sequence[CallTest],
    rate: float,
) -> str:
    if rate >= MAX_CONSTANT_PASS_RATE:
        return f"a constant passes {rate:.0%} of the hidden tests"
    if len(examples) > 1 and constant_pass_rate([test.expected for test in examples], family.comparator) == 1.0:
        return "the examples all expect the same"
    for index, function in enumerate(wrong):
        if passes(function, hidden, family.comparator):
            return f"wrong program {index} passes the hidden tests"
    return ""


def _draw_tests(
    family: Family,
    params: Mapping[str, Any],
    solve: Callable[..., Any],
    random: Random,
    num_tests: int,
    num_public: int,
) -> tuple[tuple[CallTest, ...], tuple[CallTest, ...]]:
    """Examples and hidden tests; no two of them have the same arguments."""
    wanted = num_public + max(num_tests - len(_edges(family, params)), num_tests // 2)
    drawn = _draw_inputs(family, params, random, set(), wanted)
    examples = _tests("example", drawn[:num_public], solve, family.comparator)
    return examples, _hidden_tests(family, params, solve, drawn[num_public:])


def _edges(family: Family, params: Mapping[str, Any]) -> dict[str, tuple[Any, ...]]:
    return {literal(args): args for args in family.edges(params)}


def _draw_inputs(
    family: Family, params: Mapping[str, Any], random: Random, seen: set[str], wanted: int
) -> list[tuple[Any, ...]]:
    """So many distinct inputs, none of them an edge or in `seen`."""
    seen = seen | set(_edges(family, params))
    drawn = [args for _, args in zip(range(wanted), _fresh_inputs(family, params, random, seen), strict=False)]
    if len(drawn) < wanted:
        raise TaskError(
            f"family {family.key!r} gave only {len(drawn)} distinct inputs besides its edges, wanted {wanted}; "
            "widen its inputs or ask for fewer tests"
        )
    return drawn


def _hidden_tests(
    family: Family, params: Mapping[str, Any], solve: Callable[..., Any], drawn: Sequence[tuple[Any, ...]]
) -> tuple[CallTest, ...]:
    edges = list(_edges(family, params).values())
    return _tests("edge", edges, solve, family.comparator) + _tests("drawn", drawn, solve, family.comparator)


def _tests(
    kind: str, inputs: Sequence[tuple[Any, ...]], solve: Callable[..., Any], comparator: Comparator
) -> tuple[CallTest, ...]:
    return tuple(
        CallTest(f"{kind}_{index}", args, solve(*deepcopy(args)), comparator=comparator)
        for index, args in enumerate(inputs, 1)
    )


def _fresh_inputs(
    family: Family, params: Mapping[str, Any], random: Random, seen: set[str]
) -> Iterator[tuple[Any, ...]]:
    """Drawn inputs that are not in `seen`, each once; ends after many draws in vain."""
    in_vain = 0
    while in_vain < 200:
        args = family.inputs(random, params)
        key = literal(args)
        if key in seen:
            in_vain += 1
            continue
        in_vain = 0
        seen.add(key)
        yield args
