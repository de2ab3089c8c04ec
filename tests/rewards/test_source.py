"""Reading programs: bounds, suppression comments, what counts as a program."""

import ast
from dataclasses import replace

import pytest
from rewards.hostile import HOSTILE

from verigrad.rewards.base import Answer
from verigrad.rewards.source import (
    code_lines,
    find_function,
    makes_code,
    parse,
    reached,
    real_program,
    strip_suppressions,
)
from verigrad.types import Task, TestResult, Verdict

TASK = Task(id="t", prompt="", entry_point="f")
BOUND = [
    "def f(n): return n\nf = cache(f)",
    "f = partial(mul, 2)",
    "class Solution:\n    def f(self, n): return n\nf = Solution().f",
    "f: Callable[[int], int] = lambda n: n",
    "from math import sqrt as f",
    "(f := lambda n: n)",
    "for _ in '1':\n    def f(n): return n",
    "while True:\n    def f(n): return n\n    break",
    "match 1:\n    case 1:\n        def f(n): return n",
    "try:\n    def f(n): return n\nexcept* ValueError:\n    pass",
]


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


@pytest.mark.parametrize("comment", ["# -*- coding: utf-7 -*-", "#coding=latin-1", "# vim: set fileencoding=rot13 :"])
def test_a_declared_encoding_goes_too(comment):
    """By it some checkers would read other code than what runs."""
    assert strip_suppressions(f"{comment}\nx = 1\n") == "\nx = 1\n"


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
        ("f: int", False),
        ("def f(a): return a\nf = None", False),
        ("class f: pass", False),
        ("class f(int):\n    def __add__(self, other): return 3", True),
        *((program, True) for program in BOUND),
    ],
)
def test_a_program_that_does_something(program, real):
    assert (real_program(TASK, Answer("", program)) is not None) == real


def test_what_passes_its_tests_does_something():
    passed = Verdict(status="passed", results=(TestResult("a", "passed"),))
    hidden = Answer("", "globals()['f'] = lambda n: 2 * n\n")
    assert real_program(TASK, hidden, passed) is not None
    assert real_program(TASK, hidden, replace(passed, status="failed")) is None
    assert real_program(TASK, Answer("", "def f(:"), passed) is None
    assert real_program(TASK, Answer("", "def f(n): pass"), passed) is None  # the tests are weak


def test_functions_that_the_entry_point_reaches():
    tree = parse(
        "def f(a): return g(a) + Box(a).used()\n"
        "def g(a):\n    def inner(): return g\n    return inner\n"
        "def pad(): return pad2()\n"
        "def pad2(): return pad()\n"
        "class Box:\n    def __init__(self, a): h(a)\n    def used(self): pass\n    def unused(self): pad()\n"
        "h = wrap(k)\n"
        "def k(): pass\n"
    )
    names = {function.name for function in reached(tree, "f")}
    assert names == {"f", "g", "inner", "__init__", "used", "k"}
    assert len(reached(tree, None)) == 9 and reached(tree, "nothing") == []


def test_lines_of_code():
    doc = "'" * 3
    source = f"{doc}Says\nmore.{doc}\nx = 1  # one\n\n    # two\n"
    source += f"def f():\n    'Doc.'  # three\n    return {doc}\n# no{doc}\n"
    assert code_lines(source) == ["x = 1", "", "def f():", f"    return {doc}", f"# no{doc}", ""]


@pytest.mark.parametrize(
    ("program", "makes"),
    [
        ("exec('x = 1')", True),
        ("run = eval", True),
        ("import builtins as b\nb.exec('x = 1')", True),
        ("from builtins import exec as run", True),
        ("__builtins__['eval']('1')", True),
        ("globals()['x']('1')", True),
        ("import re\nre.compile('x')", False),
        ("model.eval()\nx = 'eval'", False),
        ("from re import compile, match\ncompile('x')", False),
        ("def compile(n):\n    return compile(n - 1) if n else 0\ncompile(3)", False),
        ("def f(text, eval=None, *, compile=True):\n    return (lambda globals: globals)(eval and compile)", False),
        ("compile = 3\nprint(compile)", False),
        ("def f(eval=eval): pass", True),
        ("def f(x=lambda eval: 0):\n    return eval(x)", True),
        ("def f(eval): pass\neval('1')", True),
        ("def f(eval):\n    class A:\n        run = eval\n        if 0: eval = 1\n    return A.run('1')", True),
        ("def f(exec):\n    def g():\n        global exec\n        h = 1", True),
        ("if 0:\n    from re import compile\ncompile('1', '', 'eval')", True),
        ("run = eval\ndef eval(x): pass", True),
        ("eval = eval\neval('1')", True),
        ("x = [0 for eval in []]\neval('1')", True),
        ("def eval(x): pass\ndel eval\nprint(eval('1'))", True),
        ("eval = 1\ntry: f()\nexcept E as eval: pass\neval('1')", True),
        ("from re import __builtins__\n__builtins__['eval']('1')", True),
    ],
)
def test_code_made_of_text(program, makes):
    assert makes_code(parse(program)) == makes


def test_the_last_definition_counts():
    tree = parse("def f(a): return a\nif x:\n    def f(a, b): return b\n")
    assert len(find_function(tree, "f").args.args) == 2
