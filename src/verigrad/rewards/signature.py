"""Is the function that was asked for there, and can it be called as asked? Read from the text; nothing runs."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from verigrad.rewards.base import Answer, Check
from verigrad.rewards.source import Function, find_function, parse, real_program
from verigrad.types import CallTest, Oracle, PropertyTest, Score, Task, Verdict

__all__ = ["CHECKS", "Call", "accepts", "signature", "wanted_calls"]

CHECKS = [
    Check("gold", at_least=1.0),
    Check("empty", at_most=0.0),
    Check("syntax_error", at_most=0.0),
    Check("early_exit", at_most=0.0),
]

Call = tuple[int, frozenset[str]]
"""How a function is called: the number of positional arguments, and the names of the others."""


def signature(
    task: Task, answer: Answer, verdict: Verdict | None, *, reference: str | None = None, oracle: Oracle | None = None
) -> Score:
    """1 where the entry point is defined, does something and takes the arguments it will be given, else 0.

    The arguments are those of the tests, else those of the stub's or the reference's function; with none of them
    any will do, and of tasks without an entry point any program that does something. What passes its tests has taken
    them, even where the text does not show a function (`f = cache(g)`). Main hack: an empty promise:
    any body will do, and `*args, **kwargs` takes everything, so this is a first step or a gate, never a goal.
    """
    tree = real_program(task, answer, verdict)
    defined = tree is not None
    fits = defined
    passed = verdict is not None and verdict.passed
    if tree is not None and task.entry_point is not None and not passed:
        function = find_function(tree, task.entry_point)
        calls = wanted_calls(task, reference=reference, oracle=oracle)
        fits = function is not None and all(accepts(function, call) for call in calls)
    return Score(float(fits), {"defined": float(defined), "signature": float(fits)}, evidence=verdict)


def wanted_calls(task: Task, *, reference: str | None = None, oracle: Oracle | None = None) -> set[Call]:
    """The ways in which a task's entry point is called; empty where nothing says."""
    tests = oracle.tests if oracle else task.public_tests
    calls = {(len(test.args), frozenset(test.kwargs)) for test in tests if isinstance(test, CallTest)}
    calls |= {
        (len(args), frozenset[str]())
        for test in tests
        if isinstance(test, PropertyTest)
        for args in test.inputs
        if isinstance(args, tuple)
    }
    if calls:
        return calls
    for source in (task.stub, task.stub.rstrip() + "\n    pass\n", reference or ""):
        tree = parse(source)
        function = find_function(tree, task.entry_point) if tree is not None and task.entry_point else None
        if function is not None:
            return set(_calls_of(function.args))
    return set()


def _calls_of(parameters: ast.arguments) -> Iterable[Call]:
    """With its required arguments alone, and with all positional ones."""
    positional = [*parameters.posonlyargs, *parameters.args]
    pairs = zip(parameters.kwonlyargs, parameters.kw_defaults, strict=True)
    needed = frozenset(parameter.arg for parameter, default in pairs if default is None)
    return [(len(positional) - len(parameters.defaults), needed), (len(positional), needed)]


def accepts(function: Function | ast.Lambda, call: Call) -> bool:
    """Whether a call binds, by Python's own rules; a coroutine's result is no value, so `async def` accepts none.

    >>> accepts(ast.parse("lambda a, b=1, *, c: a").body[0].value, (1, frozenset({"c"})))
    True
    """
    if isinstance(function, ast.AsyncFunctionDef):
        return False
    given, names = call
    parameters = function.args
    positional = [parameter.arg for parameter in (*parameters.posonlyargs, *parameters.args)]
    by_name = {parameter.arg for parameter in parameters.args} | {parameter.arg for parameter in parameters.kwonlyargs}
    if given > len(positional) and parameters.vararg is None:
        return False
    if names & set(positional[:given]) & by_name:  # given twice
        return False
    if names - by_name and parameters.kwarg is None:
        return False
    required = set(positional[given : len(positional) - len(parameters.defaults)])
    pairs = zip(parameters.kwonlyargs, parameters.kw_defaults, strict=True)
    required |= {parameter.arg for parameter, default in pairs if default is None}
    return required <= names & by_name
