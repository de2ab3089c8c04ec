"""Literals as text, whoever wrote them."""

import ast

import pytest
from rewards.hostile import HOSTILE

from verigrad.literals import read_literal, stable_text
from verigrad.sandbox.answers import answer_is_right, literal
from verigrad.sandbox.proofs.subset import Outside, parse_program
from verigrad.sandbox.text import _arguments
from verigrad.types import AnswerTest, Comparator

OVERFLOW = "1" + "0" * 400 + " + 1j"  # adding these raises an OverflowError
BAD = [
    OVERFLOW,
    f"[{OVERFLOW}]",
    "{[]}",
    "{[]: 1}",
    "(" * 300 + ")" * 300,
    "f(1)",
    "1 +",
    "\0",
    "'\ud800'",
    "9" * 5000,
    "x",
]


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_what_is_no_literal_raises_one_kind_of_error(text):
    for read in (read_literal, literal, lambda text: _arguments(text, "g")):
        with pytest.raises(ValueError, match=r"litera|argument"):
            read(text)
    assert answer_is_right(text, AnswerTest("a", 1), Comparator())[0] is False


def test_a_program_with_such_a_constant_is_outside_the_subset():
    with pytest.raises(Outside, match="no literal"):
        parse_program(f"X = {OVERFLOW}\ndef f(x):\n    return x\n")


def test_nodes_of_any_program_are_read_or_refused():
    for program in HOSTILE.values():
        try:
            nodes = list(ast.walk(ast.parse(program)))[:1000]
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in nodes:
            try:
                read_literal(node)
            except ValueError as error:
                assert "no literal" in str(error)


def test_texts_of_values_tell_them_apart():
    long = 10**5000
    values = [1, True, "1", 1.0, [1], (1,), {1: 2}, long, [long], (long,), -long, {long: 1}, [long, 1.0], [long, 1]]
    assert len({stable_text(value) for value in values}) == len(values)
    assert [stable_text(value) for value in values[:7]] == [repr(value) for value in values[:7]]
    assert stable_text([10**5000, "a"]) == stable_text([10**4999 * 10, "a"])
