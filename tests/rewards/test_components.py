"""Components of form, on programs made by hand. All of ruff and bandit that is used here is old and stable."""

import ast
import asyncio
import re
import sys
from pathlib import Path

import pytest

from verigrad.errors import MissingExtra, RewardError
from verigrad.rewards import lint as lint_module
from verigrad.rewards import tools as tools_module
from verigrad.rewards.base import Answer, score_answer
from verigrad.rewards.combine import vetoed
from verigrad.rewards.gated import secure
from verigrad.rewards.lint import lint, ruff_findings, static, style, style_match
from verigrad.rewards.quality import complexity, dead_share, documented_share, duplicated_share, quality
from verigrad.rewards.security import bandit_findings, secure_cost, security
from verigrad.rewards.tests import fraction
from verigrad.rewards.tools import run_tool
from verigrad.rewards.typed import annotated_share, checked, typed
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.process import ProcessSandbox
from verigrad.tasks import load_tasks
from verigrad.types import Task, TestResult, Verdict

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
        ("from math import *\n\ndef f(a):\n    return b, c\n", 2),
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
    told = "def f(a):\n" + '    """Say"""\n' * 50 + "    # more\n" * 50 + "    return a+1\n"
    assert value(style, told) == value(style, told.replace(" # more\n", " # less\n")) < 0.6
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


def test_what_a_program_did_when_it_ran_is_a_veto():
    """Bandit finds nothing in it; one attack of two gets through, or the sandbox stopped something."""
    program, low = "def f(a):\n    return a\n", "import random\n\ndef f(a):\n    return random.random()\n"

    def tried(first, second, *violations, program=program):
        results = (TestResult("plain", "passed"), TestResult("security/a", first), TestResult("security/b", second))
        verdict = Verdict(status="failed", results=results, violations=violations)
        found = asyncio.run(security(TASK, Answer("", program), verdict))
        cost = asyncio.run(secure_cost(TASK, Answer("", program), verdict)).parts["cost"]
        return found.value, found.parts["violations"], found.parts["attacks"], cost

    assert tried("passed", "passed") == (1.0, 0, 0, 0.0)
    assert tried("passed", "failed") == (0.0, 0, 1, 1.0)
    assert tried("crashed", "timeout") == (0.0, 0, 2, 1.0)
    assert tried("passed", "passed", "wrote to the judge's channel", "again") == (0.0, 2, 0, 1.0)
    assert tried("passed", "passed", program=low) == (pytest.approx(0.9), 0, 0, pytest.approx(0.1))


def test_the_pages_task_with_hostile_inputs(tmp_path):
    """Its gold program is secure; one that joins whatever it is given passes a third of the tests, and is worth 0."""
    page = (Path(__file__).parents[2] / "docs" / "rewards.md").read_text()
    (tmp_path / "files.jsonl").write_text(re.findall(r"```jsonl\n(.*?)```", page, re.DOTALL)[0])
    tasks = load_tasks(str(tmp_path / "files.jsonl"))
    (task,) = tasks.tasks
    oracle = tasks.oracle(task)
    partial = vetoed(fraction, by=security, below=0.6)
    joins = "def find(path):\n    return '/data/' + path\n"
    forges = f"import os\nos.write(4, b'x' * 64)\n{oracle.gold}"

    async def judged(*programs):
        async with ProcessSandbox(workers=1) as sandbox:
            judge = Judge(sandbox, canaries_every=0)
            return [(program, await judge.judge(program, oracle, task.entry_point)) for program in programs]

    async def worth(reward, program, verdict):
        return await score_answer(reward, task, Answer("", program), verdict)

    right, wrong, forged = asyncio.run(judged(oracle.gold, joins, forges))
    assert wrong[1].num_passed == 1 and forged[1].violations
    for reward in (security, secure, partial):
        assert asyncio.run(worth(reward, *right)).value == 1.0
        assert asyncio.run(worth(reward, *wrong)).value == asyncio.run(worth(reward, *forged)).value == 0.0
    assert asyncio.run(worth(partial, *wrong)).parts["security.attacks"] == 2
    assert asyncio.run(worth(security, *forged)).parts["violations"] > 0


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
        ("from typing import Any\n\ndef f(a: Any) -> 'list[str]':\n    return a\n", 0, 0),
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


def test_only_the_first_parameter_of_a_method_needs_no_annotation():
    methods = """
class C:
    def own(self, a: int) -> int: ...
    @classmethod
    def of_class(cls, a: int) -> int: ...
    @staticmethod
    def static(a, b: int) -> int: ...
    def rest(*args: int, key) -> int: ...
def f(a: int) -> int:
    return C.static(a, C.own(C(), C.of_class(C.rest(a, key=a))))
"""
    assert annotated_share(ast.parse(methods), "f") == 10 / 12  # all but `a` of static and `key`


WIDE = """
import typing as t
from typing import Any, Any as T, Callable
try:
    from nowhere import Thing
except ImportError:
    pass
Alias = t.Any


def quoted(a: "Any") -> int:
    return a.x


def renamed(a: T) -> int:
    return a.x


def aliased(a: "list[Alias]") -> int:
    return a[0].x


def missing(a: Thing) -> int:
    return a.x


def bare(a: list) -> int:
    return a[0].x


def cast(a: int) -> int:
    return t.cast(T, a).x


def fine(a: int, b: "list[str]") -> int:
    return len(b[a])


class Box:
    def __init__(self, a: T) -> None:
        self.a = a

    def unused(self, a: int, b: int, c: int) -> int:
        return a


def _pad(a0: int, a1: int, a2: int, a3: int, a4: int, a5: int, a6: int) -> int:
    return a0
"""


def test_any_by_another_name_is_no_annotation():
    found = checked(WIDE)
    assert found.errors == 0
    tree = ast.parse(WIDE)
    shares = {name: annotated_share(tree, name, found.any_lines) for name in WIDE_NAMES}
    assert shares == {**dict.fromkeys(WIDE_NAMES, 0.0), "fine": 1.0}


WIDE_NAMES = ("quoted", "renamed", "aliased", "missing", "bare", "cast", "fine")


def test_functions_that_nobody_calls_pay_nothing():
    entry = "def f(a):\n    return Box(a).a\n"
    assert annotated_share(ast.parse(WIDE + entry), "f") == pytest.approx(2 / 4)  # f has none of 2, __init__ both
    assert annotated_share(ast.parse(WIDE + entry + "g = _pad\n"), "f") == pytest.approx(2 / 4)
    called = "def f(a):\n    return _pad(*a)\n"
    assert annotated_share(ast.parse(WIDE + called), "f") == pytest.approx(8 / 10)
    wrapped = "def _f(a: int):\n    return a\nf = cache(_f)\n"
    assert annotated_share(ast.parse(WIDE + wrapped), "f") == pytest.approx(1 / 2)


def test_what_is_not_to_be_checked_has_no_annotations():
    renamed = "from typing import no_type_check as fast\n\n@fast\ndef f(a: int) -> int:\n    return a.x\n"
    assert annotated_share(ast.parse(renamed), "f") == 0.0


def test_modules_of_the_working_directory_play_no_part(tmp_path, monkeypatch):
    (tmp_path / "helper.py").write_text("x: int = 'one'\ny: int = 'two'\n")
    monkeypatch.chdir(tmp_path)
    assert checked("import helper\n\ndef f(a: int) -> int:\n    return a + 20\n").errors == 0


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
    lines = [line for line in block.splitlines() if line]
    noted = ["".join(f"{line}  # {n}\n" for line in lines) for n in range(2)]
    assert duplicated_share("def f(a, b):\n" + "".join(noted)) == 4 / 9
    told = '    """Says\n' + "    more.\n" * 100 + '    """\n'
    short, long = (duplicated_share("def f(a, b):\n" + doc + block * 2) for doc in ("", told))
    assert short == long == 4 / 9


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
    for cached in (lint_module._ruff, ruff_findings, checked, bandit_findings):
        cached.cache_clear()
    monkeypatch.setitem(sys.modules, "ruff.__main__", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=rf"'{package}'.*verigrad\[{extra}\]"):
        value(reward, "def f(a):\n    return a\n")


def python(script):
    return [sys.executable, "-c", script]


def test_a_checker_that_fails_is_an_error_of_ours():
    with pytest.raises(RewardError, match="ended with status 3, wanted one of"):
        run_tool(python("raise SystemExit(3)"), "y = 1", expected=(0, 1))
    with pytest.raises(RewardError, match="Traceback"):
        run_tool(python("1 / 0"), "y = 1", expected=(0, 1))
    with pytest.raises(RewardError, match="timed out"):
        run_tool(python("while True: pass"), "y = 1", expected=(0,), seconds=0.2)
    with pytest.raises(RewardError, match="ended with status 127"):
        run_tool(["/nowhere/ruff"], "y = 1", expected=(0,))


@pytest.mark.parametrize(
    "fault", ["while True: pass", "bytes(10**9)", "raise SystemExit(3)", "1 / 0", "os.kill(os.getpid(), 11)"]
)
def test_a_program_that_is_too_much_for_a_checker_is_unreadable(fault, monkeypatch):
    """It copes with others: with all but the one that says `hard`, on its standard input and in its file."""
    monkeypatch.setattr(tools_module, "_CPU_S", 1)
    monkeypatch.setattr(tools_module, "_MEMORY_MB", 500)
    hard = "'hard' in sys.stdin.read() == open('program.py').read()"
    checker = python(f"import os, sys\nif {hard}:\n    {fault}\nprint(1)")
    assert run_tool(checker, "hard = 1", expected=(0, 1)) is None
    assert run_tool(checker, "easy = 1", expected=(0, 1)) == "1\n"


def test_a_checker_that_is_killed_from_outside_says_nothing_of_the_program():
    killed = python("import os, sys\nif 'hard' in sys.stdin.read(): os.kill(os.getpid(), 9)")
    with pytest.raises(RewardError, match="status -9"):
        run_tool(killed, "hard = 1", expected=(0,))


GENERIC = "from typing import TypeVar\nT = TypeVar('T')\ndef g(x: T) -> tuple[T, T]: return (x, x)\n"
TOO_MUCH = {
    # Types twice as long a level: 2 ** 24 in the end.
    typed: f"{GENERIC}def f(n: int) -> int:\n    y = {'g(' * 24}n{')' * 24}\n    return n\n",
    # Text that is joined again for each of its parts.
    security: "x = " + " + ".join(["'" + "select " * 70 + "'"] * 90) + "\ndef f(n):\n    return n\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("reward", [typed, security])
def test_programs_made_to_be_too_much_are_unreadable(reward, monkeypatch):
    monkeypatch.setattr(tools_module, "_CPU_S", 3)
    found = score(reward, TOO_MUCH[reward])
    assert found.value == 0.0 and found.parts == {"unreadable": 1.0}


def test_a_users_own_configuration_changes_nothing(tmp_path, monkeypatch):
    (tmp_path / "ruff.toml").write_text('lint.ignore = ["F821"]\n')
    monkeypatch.setenv("RUFF_OUTPUT_FILE", str(tmp_path / "elsewhere"))
    monkeypatch.chdir(tmp_path)
    assert [finding.rule for finding in ruff_findings("def f(a):\n    return undefined_1\n", ("F8",))] == ["F821"]
