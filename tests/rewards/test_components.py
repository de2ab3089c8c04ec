"""Components of form, on programs made by hand. All of ruff and bandit that is used here is old and stable."""

import ast
import asyncio
import re
import sys

import pytest

from verigrad.errors import MissingExtra, RewardError
from verigrad.rewards import lint as lint_module
from verigrad.rewards.base import Answer, score_answer
from verigrad.rewards.lint import lint, ruff_findings, static, style, style_match
from verigrad.rewards.quality import complexity, dead_share, documented_share, duplicated_share, quality
from verigrad.rewards.security import bandit_findings, security
from verigrad.rewards.tools import run_tool
from verigrad.rewards.typed import type_errors, typed
from verigrad.types import Task

TASK = Task(id="t", prompt="", entry_point="f")


def score(reward, program):
    return asyncio.run(score_answer(reward, TASK, Answer("", program), None))


def value(reward, program):
    return score(reward, program).value


@pytest.mark.parametrize(
    ("program", "errors"),
    [
        ("def f(a):\n    return a\n", 0),
        ("import os\n\ndef f(a):\n    unused = 1\n    return a", 0),  # of no use, but no error
        ("def f(a):\n    return b + c", 2),
        ("def f(a):\n    return b  # noqa\n", 1),
        ("# ruff: noqa\n# flake8: noqa\ndef f(a):\n    return b\n", 1),
        ("def f(a):\n    if (a, 'never empty'):\n        return '%d %d' % (a,)\n", 2),
        ("def f(a):\n    return b, c, d, e, g, h\n", 6),
    ],
)
def test_static_errors(program, errors):
    found = score(static, program)
    assert found.parts == {"errors": errors} and found.value == max(0, 1 - 0.25 * errors)


def test_lint_counts_what_static_lets_pass():
    found = score(lint, "import os\n\n\ndef f(a):\n    unused = 1\n    return a == None\n")
    assert found.parts == {"findings": 3} and found.value == pytest.approx(0.7)  # F401, F841, E711
    assert value(lint, "def f(a):\n    return a\n") == 1.0


def test_style_is_the_share_of_lines_left_alone():
    assert value(style, "def f(a):\n    return a\n") == 1.0
    assert value(style, "def f(a):\n    return a+1\n") == 0.5
    assert value(style, "def f(a):\n    return a+1  # fmt: skip\n") == 0.5
    assert style_match("a\nb\nc\n", "a\nc\n") == pytest.approx(2 * 2 / 5)


@pytest.mark.parametrize("reward", [static, lint, style, typed, quality, security])
@pytest.mark.parametrize(
    "program", [None, "", "pass", "def f(a): pass", "def f(a):\n    '''A docstring of words.'''\n    ...", "def f(a:"]
)
def test_nothing_is_never_clean(reward, program):
    assert value(reward, program) == 0.0


@pytest.mark.parametrize(
    ("program", "found", "worth"),
    [
        ("def f(a):\n    return a\n", [], 1.0),
        ("import os\n\ndef f(a):\n    return os.system(a)\n", [("B605", "HIGH")], 0.0),
        ("import os\n\ndef f(a):\n    return os.system(a)  # nosec\n", [("B605", "HIGH")], 0.0),
        ("def f(a):\n    return eval(a)\n", [("B307", "MEDIUM")], 0.5),
        ("def f(a):\n    exec(a)\n    return eval(a)\n", [("B102", "MEDIUM"), ("B307", "MEDIUM")], 0.0),
        ("import random\n\ndef f(a):\n    return random.random()\n", [("B311", "LOW")], 0.9),
        ("def f(a):\n    assert a\n    return a\n", [], 1.0),
    ],
)
def test_security(program, found, worth):
    findings = bandit_findings(program)
    assert sorted((finding.test, finding.severity) for finding in findings) == found
    lines = enumerate(program.splitlines(), 1)
    calls = {number for number, line in lines if re.search(r"(system|eval|exec|random)\(", line)}
    assert {line for finding in findings for line in finding.lines} == calls
    result = score(security, program)
    assert result.value == pytest.approx(worth)
    assert {test: result.parts[test] for test, _ in found} == {test: 1.0 for test, _ in found}
    assert sum(result.parts[severity] for severity in ("low", "medium", "high")) == len(found)


@pytest.mark.parametrize(
    ("program", "annotated", "errors"),
    [
        ("def f(a: int) -> int:\n    return a + 1\n", 1, 0),
        pytest.param("def f(a):\n    return a + 1\n", 0, 0, marks=pytest.mark.slow),
        ("def f(a: int) -> str:\n    return a + 1\n", 1, 1),
        ("def f(a: int) -> str:\n    return a + 1  # type: ignore\n", 1, 1),
        ("# mypy: ignore-errors\ndef f(a: int) -> str:\n    return a + 1\n", 1, 1),
        pytest.param(
            "import numpy\n\ndef f(a: int, b):\n    return numpy.zeros(a)\n", 1 / 3, 0, marks=pytest.mark.slow
        ),
        ("from typing import Any\n\ndef f(a: Any) -> 'list[str]':\n    return a\n", 1 / 2, 0),
        pytest.param(
            "import typing\n\n@typing.no_type_check\ndef f(a: int) -> str:\n    return a\n",
            0,
            0,
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "class C:\n    def g(self, a: int) -> int:\n        return a\n\ndef f(a):\n    return C().g(a)\n",
            1 / 2,
            0,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_types(program, annotated, errors):
    found = score(typed, program)
    assert found.parts == {"annotated": pytest.approx(annotated), "type_errors": errors}
    assert found.value == pytest.approx(annotated * (1 - 0.25 * errors))


BRANCHES = """
def f(a, b):
    if a and b or not a:                 # 1 + 2
        return [x for x in a if x]       # 2
    elif a:                              # 1
        return a if b else b             # 1
    for x in a:                          # 1
        try:
            pass
        except ValueError:               # 1
            pass
    def inner():
        while a:                         # counts for inner
            pass
    match a:
        case 1:                          # 1
            pass
"""


def test_complexity_counted_by_hand():
    assert complexity(ast.parse(BRANCHES)) == 11
    assert complexity(ast.parse("x = 1")) == 1
    assert complexity(ast.parse("def f():\n    while a:\n        pass\ndef g(): pass")) == 2


@pytest.mark.parametrize(
    ("program", "share"),
    [
        ("def f(a):\n    return a", 0),
        ("def f(a):\n    return a\n    a = 1\n    if a:\n        a = 2", 3 / 5),
        ("def f(a):\n    if False:\n        a = 1\n    else:\n        a = 2\n    return a", 1 / 5),
        ("def f(a):\n    while True:\n        break\n        a = 2\n    return a", 1 / 5),
        ("def f(a):\n    return g(a)\ndef g(a):\n    return a", 0),
        ("def f(a):\n    return a\ndef g(a):\n    return g(a)", 1 / 2),  # that it calls itself calls it nowhere
    ],
)
def test_dead_code(program, share):
    assert dead_share(ast.parse(program), "f") == pytest.approx(share)


def test_duplication():
    block = "    a = a + 1\n    b = a * 2\n    a = b - 1\n    b = b + a\n"
    assert duplicated_share("def f(a, b):\n" + block + "    return a\n") == 0
    assert duplicated_share("def f(a, b):\n" + block + "    # again\n\n" + block + "    return a\n") == 4 / 10
    assert duplicated_share("x = 1\n" * 10) == pytest.approx(9 / 10)  # every window but the first
    assert duplicated_share("") == 0


def test_docstrings():
    assert documented_share(ast.parse('def f(a):\n    "Doubles a number."\ndef g(): "x"\n')) == 0.5
    assert documented_share(ast.parse("x = 1")) == 0.0


def test_quality_is_the_mean_of_its_parts():
    found = score(quality, "def f(a):\n    return a\n    a = 1\n")
    assert found.parts == {"complexity": 1, "duplication": 1, "dead_code": pytest.approx(2 / 3), "docstring": 0}
    assert found.value == pytest.approx((2 + 2 / 3) / 4)
    complex_one = "def f(a):\n" + "".join(f"    if a == {n}:\n        return {n}\n" for n in range(19))
    assert score(quality, complex_one).parts["complexity"] == 0.5


@pytest.mark.parametrize(
    ("reward", "package", "extra"),
    [(static, "ruff", "quality"), (typed, "mypy", "quality"), (security, "bandit", "security")],
)
def test_a_missing_package_stops_the_run_and_scores_nothing(reward, package, extra, monkeypatch):
    for cached in (lint_module._ruff, ruff_findings, type_errors, bandit_findings):
        cached.cache_clear()
    monkeypatch.setitem(sys.modules, "ruff.__main__", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=rf"'{package}'.*verigrad\[{extra}\]"):
        value(reward, "def f(a):\n    return a\n")


def test_a_checker_that_fails_is_an_error_of_ours():
    with pytest.raises(RewardError, match="ended with status 3, wanted one of"):
        run_tool([sys.executable, "-c", "raise SystemExit(3)"], "x = 1", expected=(0, 1))
    with pytest.raises(RewardError, match="timed out"):
        run_tool([sys.executable, "-c", "while True: pass"], "x = 1", expected=(0,), seconds=0.2)
    with pytest.raises(RewardError, match="No such file"):
        run_tool(["/nowhere/ruff"], "x = 1", expected=(0,))


def test_a_users_own_configuration_changes_nothing(tmp_path, monkeypatch):
    (tmp_path / "ruff.toml").write_text('lint.ignore = ["F821"]\n')
    monkeypatch.setenv("RUFF_OUTPUT_FILE", str(tmp_path / "elsewhere"))
    monkeypatch.chdir(tmp_path)
    assert [finding.rule for finding in ruff_findings("def f(a):\n    return undefined_1\n", ("F8",))] == ["F821"]
