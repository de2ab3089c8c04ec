"""The reading of Python as formulas, against Python itself."""

import itertools
import random
import re
import warnings
from collections import Counter

import pytest
from sandbox.programs import RAISED, REJECTED, outcome, random_program

from verigrad.sandbox.proofs.equivalence import compare_programs
from verigrad.sandbox.proofs.subset import Outside, meaning
from verigrad.sandbox.proofs.terms import declare, evaluate
from verigrad.sandbox.proofs.values import flag, number

ARGUMENTS = [number(declare("x", "Int")), number(declare("y", "Int")), flag(declare("b", "Bool"))]
INPUTS = list(itertools.product([-7, -2, -1, 0, 1, 3, 10], [-3, 0, 2, 5], [False, True]))


def predicted(found, inputs):
    """What the formulas say of one input, in the form of `outcome`; exactly one of the three conditions must hold."""
    model = dict(zip("xyb", inputs, strict=True))
    holds = [evaluate(term, model) for term in (found.returns, found.raises, found.rejects)]
    assert sum(holds) == 1
    if not holds[0]:
        return RAISED if holds[1] else REJECTED
    kinds = [kind for kind, (guard, _) in found.value.parts.items() if evaluate(guard, model)]
    assert len(kinds) == 1
    if kinds == ["none"]:
        return type(None), None
    value = evaluate(found.value.parts[kinds[0]][1], model)
    return {"int": int, "bool": bool}[kinds[0]], value


@pytest.mark.parametrize("seeds", [range(80), pytest.param(range(80, 6000), marks=pytest.mark.slow)])
def test_formulas_say_what_python_does(seeds):
    read = 0
    for seed in seeds:
        source = str(random_program(seed))
        try:
            with warnings.catch_warnings(action="ignore"):
                found = meaning(source, "f", ARGUMENTS)
        except Outside as error:
            assert any(
                word in str(error)
                for word in ("the name", "comparison", "power", "constant of", "steps", "bits", "parse")
            ), error
            continue
        read += 1
        for inputs in INPUTS:
            with warnings.catch_warnings(action="ignore"):
                wanted = outcome(source, inputs)
            assert predicted(found, inputs) == wanted, f"seed {seed}, f{inputs}:\n{source}"
    assert read > len(seeds) / 2, "too few of the random programs are in the subset"


def mutated(source, randomness):
    """The program with one or two numbers or names changed."""
    for _ in range(randomness.randint(1, 2)):
        body = source.index("\n", source.index("def f"))
        places = [
            match.start() for match in re.finditer(r"(?<![\w*]) \b[1-9xyuvb]\b(?! = )", source) if match.start() > body
        ]
        place = randomness.choice(places) + 1
        source = f"{source[:place]}{randomness.choice('123xyuv')}{source[place + 1 :]}"
    return source


@pytest.mark.parametrize("seeds", [range(40), pytest.param(range(40, 600), marks=pytest.mark.slow)])
def test_what_is_proved_holds_and_what_is_refuted_differs(seeds):
    counts = Counter()
    for seed in seeds:
        reference = str(random_program(seed))
        program = mutated(reference, random.Random(seed + 1))
        found = compare_programs(program, reference, "f", ["int", "int", "bool"], effort=300_000)
        counts[found.status] += 1
        inputs = INPUTS if found.status == "proved" else [found.inputs] if found.status == "refuted" else []
        for arguments in inputs:
            with warnings.catch_warnings(action="ignore"):
                got, wanted = outcome(program, arguments), outcome(reference, arguments)
            agree = wanted == REJECTED or got == wanted or {got, wanted} == {RAISED, REJECTED}
            assert agree == (found.status == "proved"), f"seed {seed}, f{arguments}:\n{reference}\n{program}"
    assert min(counts["proved"], counts["refuted"]) > len(seeds) / 10, counts
