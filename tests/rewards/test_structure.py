"""Shares of sub-trees and data flow, counted by hand."""

import pytest

from verigrad.rewards.base import Answer
from verigrad.rewards.structure import ast_match, dataflow_match, ppocoder
from verigrad.types import Task, TestResult, Verdict

LOOP = "def f(xs):\n    total = 0\n    for x in xs:\n        total += x\n    return total\n"
RENAMED = "def g(values):\n    s = 0\n    for v in values:\n        s += v\n    return s\n"


def test_names_and_constants_do_not_matter():
    other = RENAMED.replace("s = 0", "s = 7")
    assert ast_match(other, LOOP) == 1.0
    assert dataflow_match(other, LOOP) == 1.0


def test_sub_trees_counted_by_hand():
    # The reference's sub-trees with children: arguments(arg), BinOp(Name, Add, Constant), Return(that), the function,
    # the module. `a * 2` keeps the arguments alone: 1 of 5; `return b + 2` behind a statement keeps three of them.
    reference = "def f(a):\n    return a + 1"
    assert ast_match("def f(a):\n    return a * 2", reference) == pytest.approx(1 / 5)
    assert ast_match("def f(b):\n    pass\n    return b + 2", reference) == pytest.approx(3 / 5)


def test_each_sub_tree_counts_as_often_as_it_occurs():
    reference = "a = x + 1\nb = x + 1"  # 2 BinOps, 2 Assigns, 1 Module
    assert ast_match("c = z + 1", reference) == pytest.approx(2 / 5)


def test_edges_counted_by_hand():
    # xs 0, total 1, x 2 (the order of the source): x<-xs, total<-x, total<-total, return<-total.
    assert dataflow_match("def f(xs):\n    total = 0\n    for x in xs:\n        pass\n    return total", LOOP) == 0.5
    assert dataflow_match("def f(xs):\n    return sum(xs)", LOOP) == 0.0


def test_a_longer_program_is_not_worse():
    longer = LOOP.replace("    total = 0\n", "    total = 0\n    unused = 1\n")
    assert dataflow_match(longer.replace("unused", "zz"), LOOP) < 1.0  # one more variable shifts the numbers behind it
    # Module, function, arguments, =, for, += and return have children: all are found but the module.
    assert ast_match("import os\n" + LOOP, LOOP) == pytest.approx(6 / 7)


def test_what_cannot_be_parsed():
    assert ast_match("def f(:", LOOP) == 0.0 and dataflow_match("def f(:", LOOP) == 0.0
    assert ast_match("(" * 5000, LOOP) == 0.0
    deep = "def f(a):\n    return " + "-" * 900 + "a\n"
    assert 0 < ast_match(deep, LOOP) < 1 and dataflow_match(deep, LOOP) >= 0
    with pytest.raises(ValueError, match="reference program cannot be parsed"):
        ast_match(LOOP, "def f(:")


def test_nothing_to_flow():
    assert dataflow_match("def f():\n    return 2", "def f():\n    return 1") == 1.0


def verdict(status):
    return Verdict(status=status, results=(TestResult("a", "passed" if status == "passed" else "failed"),))


@pytest.mark.parametrize(
    ("program", "status", "value"),
    [
        (RENAMED, "passed", 3.0),
        ("def f(xs):\n    return sum(xs)", "passed", 3.0),  # resembles nothing and needs not to
        (RENAMED.replace("+=", "-="), "failed", -0.3 + 1.0 + 3 / 7),  # the -= is in for, function and module
        ("def f(:", "syntax_error", -1.0),
    ],
)
def test_ppocoder(program, status, value):
    task, answer = Task(id="t", prompt=""), Answer(program, program)
    score = ppocoder(task, answer, verdict(status), reference=LOOP)
    assert score.value == pytest.approx(value)


def test_ppocoder_needs_a_reference():
    with pytest.raises(ValueError, match="has no gold program"):
        ppocoder(Task(id="t", prompt=""), Answer("", None), None, reference=None)
