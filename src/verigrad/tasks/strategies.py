"""Inputs from hypothesis strategies that a task writes down as text.

The text is read before it is used: calls of known strategies with literals and nothing else, so that a task file cannot
run code here. Drawing happens in a Python of its own, because hypothesis also looks at which modules are loaded: there
they are always the same, and so are the inputs. (Another version of hypothesis may draw others.)
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import verigrad.values
from verigrad.errors import MissingExtra, TaskError
from verigrad.literals import read_literal
from verigrad.paths import cache_dir
from verigrad.values import decode

__all__ = ["STRATEGIES", "Draw", "checked", "draw"]

STRATEGIES = (
    *(
        "binary",
        "booleans",
        "characters",
        "complex_numbers",
        "dictionaries",
        "floats",
        "frozensets",
        "integers",
        "just",
    ),
    *("lists", "none", "one_of", "permutations", "sampled_from", "sets", "text", "tuples"),
)
"""Names of `hypothesis.strategies` that may be called, and joined by `|`."""

_SECONDS = 120
_CHILD = """
import json, runpy, sys
import hypothesis
from hypothesis import strategies

known, values = json.load(sys.stdin), runpy.run_path(sys.argv[1])
names = {name: getattr(strategies, name) for name in known["names"]}

def draw(text, seed, count):
    drawn = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count, database=None, deadline=None, derandomize=False, phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(eval(f"tuples({text},)", {"__builtins__": {}, **names}))
    def collect(arguments):
        drawn.append(values["encode"](arguments))

    collect()
    return drawn

json.dump([draw(*job) for job in known["jobs"]], sys.stdout)
"""


class Draw(NamedTuple):
    """Tuples of arguments wanted: the strategies' text, a seed, and how many at most."""

    text: str
    seed: int
    number: int


def draw(draws: Sequence[Draw]) -> list[list[tuple[Any, ...]]]:
    """Arguments drawn for each, edge cases such as empty lists among the first; equal seeds give equal arguments.

    Raises:
        TaskError: a text holds anything but known strategies and literals, or hypothesis refuses it.
        MissingExtra: hypothesis is not installed.
    """
    if find_spec("hypothesis") is None:
        raise MissingExtra("hypothesis", "properties")
    jobs = [(checked(one.text), one.seed, one.number) for one in draws]
    home = cache_dir() / "hypothesis"  # where it keeps its tables of characters
    home.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _CHILD, str(Path(verigrad.values.__file__))],
            input=json.dumps({"names": STRATEGIES, "jobs": jobs}),
            capture_output=True,
            text=True,
            cwd=home,
            timeout=_SECONDS,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        raise TaskError(f"hypothesis refuses one of {_some(draws)}: {error.stderr.strip().splitlines()[-1]}") from error
    except subprocess.TimeoutExpired as error:
        raise TaskError(f"hypothesis took over {_SECONDS} s to draw from {_some(draws)}; ask for less") from error
    return [[decode(form) for form in forms] for forms in json.loads(done.stdout)]


def _some(draws: Sequence[Draw]) -> str:
    return ", ".join(repr(one.text) for one in draws[:3]) + (", ..." if len(draws) > 3 else "")


def checked(text: str) -> str:
    """The strategies' text as Python writes it.

    Raises:
        TaskError: it holds anything but known strategies and literals.

    >>> checked("lists(integers(0,9),max_size=3),none()|booleans()")
    'lists(integers(0, 9), max_size=3), none() | booleans()'
    """
    try:
        node = ast.parse(text.strip(), mode="eval").body
        parts = node.elts if isinstance(node, ast.Tuple) else [node]
        for part in parts:
            _check(part)
        if not parts or not all(isinstance(part, ast.Call | ast.BinOp) for part in parts):
            raise ValueError("wanted one strategy per argument")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise TaskError(
            f"strategies {text[:80]!r}: {error}; wanted calls of {', '.join(STRATEGIES)} with literals, "
            "such as `lists(integers(-9, 9)), integers(0, 3)`"
        ) from error
    return ", ".join(map(ast.unparse, parts))


def _check(node: ast.expr) -> None:
    """Raise a ValueError where this is neither a known strategy nor a literal."""
    if isinstance(node, ast.Call):
        if not isinstance(node.func, ast.Name) or node.func.id not in STRATEGIES:
            raise ValueError(f"{ast.unparse(node.func)} is no known strategy")
        for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
            _check(argument)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        _check(node.left)
        _check(node.right)
    else:
        read_literal(node)
