"""Counterexamples by symbolic execution: CrossHair looks for an input on which program and reference differ.

CrossHair runs the program, so it runs in the sandbox for commands, with bounded time and memory; nothing it says counts
before both programs have run on the input it names, each in a process of its own.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Sequence
from typing import Any

from verigrad.errors import MissingExtra, SandboxError
from verigrad.literals import read_literal
from verigrad.rewards.base import Answer, only_gold
from verigrad.rewards.counterexample import Reruns, comparable_calls
from verigrad.sandbox.base import Sandbox
from verigrad.sandbox.commands import Command, CommandSandbox
from verigrad.types import Limits, Oracle, Score, Task, Verdict
from verigrad.values import encode

__all__ = ["CHECKS", "annotation", "search", "symbolic"]

CHECKS = only_gold(1.0, at_most=1.0)

_SECONDS = 6.0
"""CPU time of one search; CrossHair spends half of it on each of the two programs."""
_LIMITS = Limits(cpu_s=30.0, wall_s=120.0, memory_mb=1024, processes=16, output_bytes=200_000)
_SCALARS = (bool, int, float, str, bytes)

_SEARCH = """
import json, sys
import crosshair.core_and_libs  # loads what it knows of the standard library
from crosshair.diff_behavior import diff_behavior
from crosshair.fnutil import FunctionInfo
from crosshair.options import DEFAULT_OPTIONS, AnalysisOptionSet
print("ready", flush=True)
sys.path.insert(0, ".")
import inputs

options = DEFAULT_OPTIONS.overlay(AnalysisOptionSet(per_condition_timeout=float(sys.argv[1])))
found = diff_behavior(FunctionInfo.from_fn(inputs.program), FunctionInfo.from_fn(inputs.reference), options)
print()
print(json.dumps([list(difference.args.values()) for difference in found]))
"""

_INPUTS = """
import candidate, trusted
from crosshair.util import IgnoreAttempt

def program({parameters}):
    return candidate.{call}

def reference({parameters}):
    try:
        return trusted.{call}
    except Exception:
        raise IgnoreAttempt("not meant for this input") from None
"""


async def symbolic(
    task: Task,
    answer: Answer,
    verdict: Verdict | None,
    *,
    reference: str | None,
    oracle: Oracle | None,
    sandbox: Sandbox | None,
    unsearched: float = 0.0,
) -> Score:
    """1 if the program passes the tests and no counterexample was found within the bound, 0 if one was or a test fails.

    "Not found" is no proof. Inputs have the types of those in the tests; they count where the reference returns a value
    for them, so that its asserts say what the task is about. Tasks whose tests are no plain calls, or that have no
    reference, have the value of `tests`. A search that ends before its time, which a program can bring about, is worth
    `unsearched`. Parts: `refuted`, `not_found`, `unsearched`, `unsearchable`, one of them 1.

    It takes some ten seconds a program that passes its tests: for few programs, or as an evaluation. Main hack: code
    that is hard to explore (hashing, long loops), or that sees it is being searched and behaves.

    Raises:
        ValueError: called without a sandbox.
        MissingExtra: CrossHair is not installed.
        SandboxError: the sandbox failed.
    """
    if verdict is None or not verdict.passed or answer.program is None:
        return Score(0.0, evidence=verdict)
    if sandbox is None:
        raise ValueError("symbolic runs what it finds: pass it a sandbox")
    types = _parameter_types([test.args for test in comparable_calls(task, oracle)])
    if types is None or oracle is None or reference is None or task.entry_point is None:
        return Score(1.0, {"unsearchable": 1.0}, evidence=verdict)
    found = await search(answer.program, reference, task.entry_point, types, sandbox.commands)
    if found is None:
        return Score(unsearched, {"unsearched": 1.0}, evidence=verdict)
    reruns = Reruns(answer.program, reference, task.entry_point, oracle.comparator, oracle.limits, sandbox)
    for arguments in found:
        if await reruns.returns(arguments) and await reruns.differ(arguments):
            return Score(0.0, {"refuted": 1.0}, evidence=verdict)
    return Score(1.0, {"not_found": 1.0}, evidence=verdict)


async def search(
    program: str, reference: str, entry_point: str, types: Sequence[str], commands: CommandSandbox
) -> list[tuple[Any, ...]] | None:
    """Arguments on which the two may differ, to be run before they count; None where the search did not end.

    Args:
        types: of the parameters, as annotations.

    Raises:
        MissingExtra: CrossHair is not installed.
        SandboxError: the sandbox failed.
    """
    if importlib.util.find_spec("crosshair") is None:
        raise MissingExtra("crosshair-tool", "symbolic")
    names = [f"x{n}" for n in range(len(types))]
    parameters = ", ".join(f"{name}: {kind}" for name, kind in zip(names, types, strict=True))
    inputs = _INPUTS.format(parameters=parameters, call=f"{entry_point}({', '.join(names)})")
    sources = {"candidate.py": program, "trusted.py": reference, "inputs.py": inputs, "search.py": _SEARCH}
    command = Command(
        (sys.executable, "-I", "search.py", str(_SECONDS)),
        files={name: text.encode("utf-8", "surrogatepass") for name, text in sources.items()},
        visible=(sys.prefix, sys.base_prefix),
    )
    done = await commands.run(command, _LIMITS)
    if not done.stdout.startswith(b"ready"):
        raise SandboxError(f"CrossHair did not start: {done.error} {done.stderr[-500:].decode(errors='replace')}")
    if done.exit_code != 0:
        return None
    return _plain_arguments(done.stdout.decode(errors="replace").rpartition("\n[")[2], len(types))


def _plain_arguments(text: str, count: int) -> list[tuple[Any, ...]] | None:
    """What the search printed last, as values; those that are no plain values are left out."""
    try:
        rows = json.loads("[" + text)
    except (ValueError, RecursionError):
        return None
    found = []
    for row in rows[:10]:
        try:
            values = tuple(read_literal(item) for item in row)
            encode(values)
        except (ValueError, TypeError):  # `row` is what a program may have printed
            continue
        if len(values) == count:
            found.append(values)
    return found


def _parameter_types(calls: Sequence[Sequence[Any]]) -> list[str] | None:
    if len({len(arguments) for arguments in calls}) != 1:
        return None
    types = [annotation(column) for column in zip(*calls, strict=True)]
    return None if any(kind is None for kind in types) else [str(kind) for kind in types]


def annotation(values: Sequence[Any]) -> str | None:
    """The narrowest annotation of some plain values, or None where the values do not tell.

    >>> annotation([[1, 2], []]), annotation([{"a": 1.5}]), annotation([1, None])
    ('list[int]', 'dict[str, float]', 'int | None')
    """
    kinds = list(dict.fromkeys(type(value) for value in values))
    found = [_annotation_of(kind, [value for value in values if type(value) is kind]) for kind in kinds]
    return None if not found or None in found else " | ".join(map(str, found))


def _annotation_of(kind: type, values: Sequence[Any]) -> str | None:
    if kind is type(None):
        return "None"
    if kind in _SCALARS:
        return kind.__name__
    if kind is tuple:
        lengths = {len(value) for value in values}
        parts = [annotation(column) for column in zip(*values, strict=True)] if len(lengths) == 1 else [None]
        return None if None in parts or not parts else f"tuple[{', '.join(map(str, parts))}]"
    if kind is dict:
        keys, items = (annotation([x for v in values for x in part(v)]) for part in (dict.keys, dict.values))
        return f"dict[{keys}, {items}]" if keys and items else None
    if kind in (list, set, frozenset):
        inner = annotation([item for value in values for item in value])
        return f"{kind.__name__}[{inner}]" if inner else None
    return None
