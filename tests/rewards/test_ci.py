"""The reward of a project's own checks: worked by hand, and on a project in the real sandbox."""

import asyncio
import json
import re
from functools import partial
from pathlib import Path

import pytest

from verigrad.rewards.base import Answer
from verigrad.rewards.ci import ci
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.process import ProcessSandbox
from verigrad.tasks.ci import make_checks, tox_checks, workflow_checks
from verigrad.types import CommandTest, Limits, Oracle, Repository, Suite, SuiteTest, Task, TestResult, Verdict

TASK = Task(id="t", prompt="")
TESTS = (
    SuiteTest("tests/test_a.py::test_a"),
    CommandTest("unit", ("true",)),
    CommandTest("ruff", ("true",), stage="lint"),
    CommandTest("black", ("true",), stage="lint"),
    CommandTest("mypy", ("true",), stage="type"),
)
ORACLE = Oracle(task_id="t", tests=TESTS)


def score(*failing, reward=ci, oracle=ORACLE):
    results = tuple(TestResult(test.name, "failed" if test.name in failing else "passed") for test in oracle.tests)
    return reward(
        TASK, Answer("", ""), Verdict(status="failed" if failing else "passed", results=results), oracle=oracle
    )


def test_stages_worked_by_hand():
    assert score().value == 1.0
    assert score("ruff").value == pytest.approx((1 + 1 / 2 + 1) / 3)
    assert score("ruff").parts == {"test": 1.0, "lint": 0.5, "type": 1.0}
    assert score("ruff", "black", "mypy").value == pytest.approx(1 / 3)
    weighted = partial(ci, weights={"lint": 2.0, "type": 0.0})
    assert score("ruff", "mypy", reward=weighted).value == pytest.approx((1 + 2 * 1 / 2) / 3)


def test_tests_decide_about_all_of_it():
    for failing in ("tests/test_a.py::test_a", "unit"):
        assert score(failing).value == 0.0
        assert score(failing).parts["lint"] == 1.0
    assert ci(TASK, Answer("", None), None, oracle=ORACLE).value == 0.0


def test_without_a_test_there_is_no_reward():
    with pytest.raises(ValueError, match="no check of the stage 'test'"):
        score(oracle=Oracle(task_id="t", tests=TESTS[2:]))
    with pytest.raises(ValueError, match="pass it their oracle"):
        ci(TASK, Answer("", ""), None, oracle=None)


def test_the_example_of_the_page(capsys):
    page = (Path(__file__).parents[2] / "docs" / "rewards.md").read_text()
    program, printed = re.search(
        r"```python\n(from verigrad.tasks.ci.*?)```\n\n```\n(.*?)```", page, re.DOTALL
    ).groups()
    exec(program, {})
    assert capsys.readouterr().out == printed


# ----------------------------------------------------------------------------------------- a real project

WORKFLOW = """
jobs:
  ci:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - run: pip install ruff
      - {name: Lint, run: ruff check src}
      - {name: Tests, run: python -m pytest -q}
      - {name: Upload, uses: some/action@v1}
"""
PROJECT = {
    "src/calc.py": b"def double(n):\n    return n * n\n",
    "tests/test_calc.py": b"from calc import double\n\n\ndef test_three():\n    assert double(3) == 6\n",
    "Makefile": b"test-make:\n\tpython -m pytest -q\n",
    "tox.ini": b"[testenv]\ncommands = python -m pytest -q {posargs}\n",
    ".github/workflows/ci.yml": WORKFLOW.encode(),
}
CLEAN, UNCLEAN = "def double(n):\n    return 2 * n\n", "import os\n\n\ndef double(n):\n    return 2 * n\n"


@pytest.fixture(scope="module")
def verdict_on():
    sandbox = ProcessSandbox(workers=2)
    checks = [workflow_checks(PROJECT, ".github/workflows/ci.yml"), tox_checks(PROJECT, ["py"])]
    checks.append(make_checks(PROJECT, ["test-make"]))
    oracle = Oracle(
        task_id="project@1/double",
        tests=(SuiteTest("tests/test_calc.py::test_three"), *(test for found in checks for test in found.tests)),
        gold=json.dumps({"src/calc.py": CLEAN}),
        limits=Limits(cpu_s=10, wall_s=60),
        trust="script",
        repository=Repository(files=PROJECT),
        suite=Suite(programs=("ruff",), packages=("pytest",)),
    )
    judge = Judge(sandbox, canaries_every=0)

    def run(**files):
        answer = json.dumps({path.replace("__", "/"): text for path, text in files.items()})
        verdict = asyncio.run(judge.judge(answer, oracle, None))
        return verdict, ci(TASK, Answer(answer, answer), verdict, oracle=oracle).value

    yield run
    asyncio.run(sandbox.close())


def test_a_change_is_paid_by_stage(verdict_on):
    verdict, value = verdict_on(**{"src/calc.py": CLEAN})
    assert [result.name for result in verdict.results] == [
        *("tests/test_calc.py::test_three", "ci/Lint", "ci/Tests", "tox/py/1", "make/test-make"),
    ]
    assert (verdict.status, value) == ("passed", 1.0), verdict.error
    verdict, value = verdict_on(**{"src/calc.py": UNCLEAN})
    assert value == 0.5 and "F401" in verdict.results[1].detail


@pytest.mark.slow
def test_weaker_checks_do_not_count(verdict_on):
    loose = {
        ".github/workflows/ci.yml": "jobs: {}",
        "Makefile": "test-make:\n\ttrue\n",
        "pyproject.toml": "[tool.ruff]\nexclude = ['src']\n",
        "ruff.toml": "exclude = ['src']\n",
        "tests/test_calc.py": "def test_three(): pass\n",
    }
    verdict, value = verdict_on(**loose, **{"src/calc.py": UNCLEAN})
    assert value == 0.5 and set(verdict.undone) == set(loose) and verdict.violations == ()
    verdict, value = verdict_on(**loose)
    assert value == 0.0
    forges, value = verdict_on(**{"src/calc.py": "import os\nos._exit(0)\n"})
    assert forges.results[0].status == "crashed"
    assert {result.status for result in forges.results[2:]} == {"passed"}  # exit statuses prove nothing
    assert value == 0.0
