"""Shares of sub-trees and data flow, counted by hand."""

import time
import tracemalloc

import pytest

from verigrad.rewards.base import Answer
from verigrad.rewards.structure import ast_match, dataflow_match, ppocoder, shared_edges, shared_subtrees
from verigrad.types import Task, TestResult, Verdict

LOOP = "def f(xs):\n    total = 0\n    for x in xs:\n        total += x\n    return total\n"
RENAMED = "def g(values):\n    s = 0\n    for v in values:\n        s += v\n    return s\n"


def test_names_and_constants_do_not_matter():
    other = RENAMED.replace("s = 0", "s = 7")
    assert shared_subtrees(other, LOOP) == 1.0
    assert shared_edges(other, LOOP) == 1.0


def test_sub_trees_counted_by_hand():
    # The reference's sub-trees with children: arguments(arg), BinOp(Name, Add, Constant), Return(that), the function,
    # the module. `a * 2` keeps the arguments alone: 1 of 5; `return b + 2` behind a statement keeps three of them.
    reference = "def f(a):\n    return a + 1"
    assert shared_subtrees("def f(a):\n    return a * 2", reference) == pytest.approx(1 / 5)
    assert shared_subtrees("def f(b):\n    pass\n    return b + 2", reference) == pytest.approx(3 / 5)


def test_each_sub_tree_counts_as_often_as_it_occurs():
    reference = "a = x + 1\nb = x + 1"  # 2 BinOps, 2 Assigns, 1 Module
    assert shared_subtrees("c = z + 1", reference) == pytest.approx(2 / 5)


def test_edges_counted_by_hand():
    # xs 0, total 1, x 2 (the order of the source): x<-xs, total<-x, total<-total, return<-total.
    assert shared_edges("def f(xs):\n    total = 0\n    for x in xs:\n        pass\n    return total", LOOP) == 0.5
    assert shared_edges("def f(xs):\n    return sum(xs)", LOOP) == 0.0


def test_a_longer_program_is_not_worse():
    longer = LOOP.replace("    total = 0\n", "    total = 0\n    unused = 1\n")
    assert shared_edges(longer.replace("unused", "zz"), LOOP) < 1.0  # one more variable shifts the numbers behind it
    # Module, function, arguments, =, for, += and return have children: all are found but the module.
    assert shared_subtrees("import os\n" + LOOP, LOOP) == pytest.approx(6 / 7)


def test_what_cannot_be_parsed():
    assert shared_subtrees("def f(:", LOOP) == 0.0 and shared_edges("def f(:", LOOP) == 0.0
    assert shared_subtrees("(" * 5000, LOOP) == 0.0
    deep = "def f(a):\n    return " + "-" * 900 + "a\n"
    assert 0 < shared_subtrees(deep, LOOP) < 1 and shared_edges(deep, LOOP) >= 0
    with pytest.raises(ValueError, match="reference program cannot be parsed"):
        shared_subtrees(LOOP, "def f(:")


@pytest.mark.parametrize(
    "body",
    [
        f"{','.join(f'a{n}' for n in range(1500))} = {','.join(f'a{n}' for n in range(1500))}",  # 2 million edges
        "return " + "-" * 1400 + "[" + "n," * 10_000 + "]",  # whose text each of 1400 levels repeats
    ],
)
def test_time_and_memory_are_bounded(body):
    program = f"def f(n):\n    {body}\n"
    tracemalloc.start()
    started = time.process_time()
    assert 0 <= shared_subtrees(program, LOOP) < 1 and 0 <= shared_edges(program, LOOP) < 1
    took, (_, peak) = time.process_time() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took < 5 and peak < 40_000_000


def test_nothing_to_flow():
    assert shared_edges("def f():\n    return 2", "def f():\n    return 1") == 1.0


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


@pytest.mark.parametrize(
    ("program", "status", "subtrees", "edges"),
    [
        (LOOP, "failed", 1.0, 1.0),
        ("def f(xs):\n    return sum(xs)", "passed", 1.0, 1.0),
        # Of =, for, +=, return, arguments, the function and the module the arguments alone, then the return as well.
        ("def f(xs):\n    return sum(xs)", "failed", 1 / 7, 0.0),
        ("def f(xs):\n    return xs", "failed", 2 / 7, 0.0),
        ("def f(xs):\n    pass", "failed", 0.0, 0.0),
        ("def other(xs):\n    return xs", "no_entry_point", 0.0, 0.0),
        ("def f(:", "syntax_error", 0.0, 0.0),
        (None, "failed", 0.0, 0.0),
    ],
)
def test_components(program, status, subtrees, edges):
    """The loop's edges are x<-xs, total<-x, total<-total, return<-total; a return from xs is another one."""
    task, answer = Task(id="t", prompt="", entry_point="f"), Answer("", program)
    assert ast_match(task, answer, verdict(status), reference=LOOP).value == pytest.approx(subtrees)
    assert dataflow_match(task, answer, verdict(status), reference=LOOP).value == pytest.approx(edges)
    for component in (ast_match, dataflow_match):
        with pytest.raises(ValueError, match="has no gold program"):
            component(task, answer, None, reference=None)
