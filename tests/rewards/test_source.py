"""Reading programs: bounds, suppression comments, what counts as a program."""

import ast

import pytest
from rewards.hostile import HOSTILE

from verigrad.rewards.base import Answer
from verigrad.rewards.source import find_function, parse, real_program, strip_suppressions
from verigrad.types import Task

TASK = Task(id="t", prompt="", entry_point="f")


@pytest.mark.parametrize(
    ("source", "depth"), [("x = " + "-" * 300 + "y", None), ("x = (" * 3, None), ("\0", None), ("'\ud800'", None)]
)
def test_what_cannot_be_read_is_no_tree(source, depth):
    assert parse(source) is None


def test_depth_is_counted_in_levels():
    assert parse("x = --y", max_depth=6) is not None  # Module, Assign, UnaryOp, UnaryOp, Name, Load
    assert parse("x = --y", max_depth=5) is None
    assert parse("x = " + "-" * 300 + "y", max_depth=None) is not None


@pytest.mark.parametrize(
    "comment",
    """# noqa|#noqa:F821|# NOQA|# nosec B602|# type: ignore[x]|# pylint: disable=all|# ruff: noqa|# flake8: noqa
# mypy: ignore-errors|# pyright: basic|# fmt: off|# because # noqa|# no-qa""".replace("\n", "|").split("|"),
)
def test_what_silences_a_checker_goes(comment):
    assert strip_suppressions(f"x = '# noqa'  {comment}\n{comment}\ny = 1") == "x = '# noqa'\n\ny = 1"


def test_other_comments_and_line_numbers_stay():
    source = "# the typed list\nx = '''\n# noqa\n'''\n\f\ny = 1  # typed, ignored\r\n"
    assert strip_suppressions(source) == source


@pytest.mark.parametrize("program", HOSTILE.values(), ids=HOSTILE)
def test_stripping_keeps_the_meaning(program):
    tree, stripped = parse(program), None
    if tree is not None:
        stripped = strip_suppressions(program)
    if stripped is not None:
        assert ast.dump(parse(stripped)) == ast.dump(tree)


@pytest.mark.parametrize(
    ("program", "real"),
    [
        ("def f(a): return a", True),
        ("def f(a): return None", True),  # wrong, but an answer
        ("f = lambda a: a", True),
        ("def f(a):\n    raise ValueError(a)", True),
        ("def f(a): pass", False),
        ("def f(a): ...", False),
        ("def f(a):\n    '''Doc.'''\n    import os\n    raise NotImplementedError", False),
        ("def g(a): return a", False),
        ("f = 3", False),
    ],
)
def test_a_program_that_does_something(program, real):
    assert (real_program(TASK, Answer("", program)) is not None) == real


def test_the_last_definition_counts():
    tree = parse("def f(a): return a\nif x:\n    def f(a, b): return b\n")
    assert len(find_function(tree, "f").args.args) == 2
