"""What a program has in common with the reference in form, sub-trees and data flow, and PPOCoder's reward made of it.

After CodeBLEU (Ren et al. 2020, arXiv:2009.10297, sections 3.2 and 3.3), on Python's own syntax trees. Both count
what of the reference is found again, so a longer program is not worse for what it has besides.
"""

from __future__ import annotations

import ast
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice

from verigrad.rewards.base import Answer, Check
from verigrad.rewards.outcome import COMPILE_ERROR, LADDER, outcome_class, outcome_parts
from verigrad.rewards.source import parse, real_program
from verigrad.types import Score, Task, Verdict

__all__ = ["CHECKS", "ast_match", "dataflow_match", "ppocoder", "shared_edges", "shared_subtrees"]

# What a wrong program copies from the reference brings it up to -0.3 + 2, a right one has 3.
_PPOCODER = [
    Check("gold", at_least=3.0),
    Check("empty", at_most=-1.0),
    Check("wrong", at_most=1.7),
    Check("constant", at_most=1.7),
    Check("syntax_error", at_most=-1.0),
    Check("early_exit", at_most=1.7),
    Check("infinite_loop", at_most=1.4),
    Check("memory_hog", at_most=1.4),
    Check("always_equal", at_most=1.7),
]
_NOTHING = [
    Check("gold", at_least=1.0, at_most=1.0),
    Check("empty", at_most=0.0),
    Check("syntax_error", at_most=0.0),
    Check("early_exit", at_most=0.0),
]
CHECKS = {
    "ppocoder": _PPOCODER,
    "ast_match": [*_NOTHING, *(Check(case, at_most=0.5) for case in ("wrong", "constant", "infinite_loop"))],
    "dataflow_match": [*_NOTHING, *(Check(case, at_most=0.0) for case in ("constant", "infinite_loop"))],
}


_MOST_FEATURES = 200_000
"""Looked at in a program: many times what the longest program has that people write, and a second's work."""


def ppocoder(task: Task, answer: Answer, verdict: Verdict | None, *, reference: str | None) -> Score:
    """PPOCoder: the ladder plus what the program shares with the reference in syntax and data flow, each 0 to 1.

    Shojaee et al. 2023, arXiv:2301.13816, eq. 5; the ladder takes the place of its plus or minus one, as the paper
    has it for programs with tests. A program that passes everything has both in full: it needs no resemblance to earn
    what the reference earns. Main hack: copying the shape of the reference earns up to 2 without solving
    anything, so this is for warming up.

    Raises:
        ValueError: the task has no reference program.
    """
    if reference is None:
        raise ValueError(f"task {task.id!r} has no gold program, which the reward ppocoder compares with")
    parts = outcome_parts(verdict)
    if verdict is not None and verdict.passed:
        parts |= {"ast_match": 1.0, "dataflow_match": 1.0}
    elif answer.program is None or outcome_class(verdict) == COMPILE_ERROR:
        parts |= {"ast_match": 0.0, "dataflow_match": 0.0}
    else:
        parts["ast_match"] = shared_subtrees(answer.program, reference)
        parts["dataflow_match"] = shared_edges(answer.program, reference)
    value = LADDER[outcome_class(verdict)] + parts["ast_match"] + parts["dataflow_match"]
    return Score(value, parts, evidence=verdict)


def ast_match(task: Task, answer: Answer, verdict: Verdict | None, *, reference: str | None) -> Score:
    """Share of the reference's sub-trees that the program has, names and constants left out; in [0, 1].

    0 without a program that does something, 1 for one that passes everything, which needs no resemblance. A component
    for warming up, to be gated or annealed away. Main hack: the shape of the reference, copied without its sense.

    Raises:
        ValueError: the task has no reference program, or it cannot be parsed.
    """
    return _match(task, answer, verdict, reference, shared_subtrees)


def dataflow_match(task: Task, answer: Answer, verdict: Verdict | None, *, reference: str | None) -> Score:
    """Share of the reference's data-flow edges that the program has; in [0, 1], and else as `ast_match`.

    Main hack: of short references any program has all edges, such as the result that comes from the argument.

    Raises:
        ValueError: the task has no reference program, or it cannot be parsed.
    """
    return _match(task, answer, verdict, reference, shared_edges)


def _match(
    task: Task,
    answer: Answer,
    verdict: Verdict | None,
    reference: str | None,
    shared: Callable[[str, str], float],
) -> Score:
    if reference is None:
        raise ValueError(f"task {task.id!r} has no gold program, which this reward compares with")
    if verdict is not None and verdict.passed:
        return Score(1.0, evidence=verdict)
    if answer.program is None or real_program(task, answer) is None:
        return Score(0.0, evidence=verdict)
    return Score(shared(answer.program, reference), evidence=verdict)


def shared_subtrees(program: str, reference: str) -> float:
    """Share of the reference's sub-trees (of two levels or more, names and constants left out) found in the program.

    Each sub-tree counts as often as it occurs. 0 where the program cannot be parsed.

    Raises:
        ValueError: the reference cannot be parsed.

    >>> shared_subtrees("def f(a):\\n    return a + 1", "def g(b):\\n    return b + 2")
    1.0
    """
    return _found_again(program, reference, _shapes)


def shared_edges(program: str, reference: str) -> float:
    """Share of the reference's data-flow edges (what a variable is computed from) found in the program.

    Variables are numbered by first occurrence, so names do not matter. A reference in which nothing is computed from
    a variable, which is rare, has nothing to miss: 1.

    Raises:
        ValueError: the reference cannot be parsed.

    >>> shared_edges("def f(x):\\n    y = x\\n    return y", "def f(a):\\n    b = a\\n    return b")
    1.0
    """
    return _found_again(program, reference, _edges)


def _found_again(program: str, reference: str, features: Callable[[ast.AST], Iterator[str]]) -> float:
    """Share of the reference's features that the program has too, each as often as it occurs."""
    target, tree = parse(reference, max_depth=None), parse(program, max_depth=None)
    if target is None:
        raise ValueError(f"the reference program cannot be parsed: {reference[:80]!r}")
    if tree is None:
        return 0.0
    wanted = Counter(features(target))
    total = wanted.total()
    found = Counter(feature for feature in islice(features(tree), _MOST_FEATURES) if feature in wanted)
    return (wanted & found).total() / total if total else 1.0


def _shapes(tree: ast.AST) -> Iterator[str]:
    """The shape of every sub-tree that has children, kinds of nodes alone, as a hash: its text may be long."""
    shapes: dict[ast.AST, str] = {}
    for node in reversed(list(ast.walk(tree))):  # children come behind their parents in a walk
        children = [shapes[child] for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr_context)]
        text = f"{type(node).__name__}({','.join(children)})"
        shapes[node] = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
        if children:
            yield shapes[node]


def _edges(tree: ast.AST) -> Iterator[str]:
    """`2<-0`: variable 2 is computed from variable 0; `return<-2` for what leaves the function.

    Variables are parameters and what is assigned to; names of functions are none.
    """
    numbers: dict[str, int] = {}
    for node in _in_order(tree):
        if isinstance(node, ast.arg):
            numbers.setdefault(node.arg, len(numbers))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            numbers.setdefault(node.id, len(numbers))
    for node in _in_order(tree):
        for target, source in _flows(node):
            made = [str(numbers[name]) for name in _names(target) if name in numbers] if target else ["return"]
            for name in made:
                yield from (f"{name}<-{numbers[read]}" for read in _names(source) if read in numbers)


def _flows(node: ast.AST) -> Iterator[tuple[ast.AST | None, ast.AST]]:
    """What a node writes, and what it reads for it; None for what is returned."""
    if isinstance(node, ast.Assign):
        yield from ((target, node.value) for target in node.targets)
    elif isinstance(node, ast.AugAssign):
        yield node.target, node.value
        yield node.target, node.target
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        yield node.target, node.value
    elif isinstance(node, ast.For | ast.comprehension):
        yield node.target, node.iter
    elif isinstance(node, ast.Return | ast.Yield) and node.value is not None:
        yield None, node.value


def _names(node: ast.AST) -> list[str]:
    return [found.id for found in ast.walk(node) if isinstance(found, ast.Name)]


def _in_order(tree: ast.AST) -> Iterator[ast.AST]:
    """Nodes in the order of the source, however deep they are nested."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(list(ast.iter_child_nodes(node)))
