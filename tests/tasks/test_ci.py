"""Checks read from what projects use, by hand; nothing runs here."""

import pytest

from verigrad.errors import TaskError
from verigrad.tasks.ci import LeftOut, make_checks, nox_checks, tox_checks, workflow_checks
from verigrad.tasks.ci.base import is_install, stage_of
from verigrad.types import CommandTest

WORKFLOW = """
name: CI
on: [push]
env: {LEVEL: 1, FLAG: true}
defaults: {run: {working-directory: ./pkg}}
jobs:
  checks:
    runs-on: ${{ matrix.os }}
    strategy:
      matrix:
        os: [ubuntu-latest, windows-latest]
        python: ["3.11", "3.12"]
        include: [{os: windows-latest, extra: no}, {python: "3.11", extra: "yes"}]
    env: {WHERE: "${{ matrix.os }}-${{ env.LEVEL }}"}
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {python-version: "${{ matrix.python }}"}
      - run: pip install -e .[dev]
      - name: Lint
        run: |
          python -m pip install \\
            ruff
          ruff check .
      - name: Types
        run: mypy src
        working-directory: src
        shell: bash
        env: {WHERE: here}
      - run: pytest --tag ${{ matrix.extra }}
        if: always()
      - uses: codecov/codecov-action@v4
      - name: Deploy
        run: deploy --token ${{ secrets.TOKEN }}
      - name: Maybe
        run: pytest slow
        if: github.event_name == 'push'
      - name: Flaky
        run: pytest flaky
        continue-on-error: true
      - name: Talks
        id: talk
        run: echo "a=b" >> $GITHUB_ENV
      - name: Masks
        run: echo "::add-mask::a"
      - name: Asks
        run: echo ${{ steps.later.outputs.x }}
      - name: Fish
        run: ls
        shell: fish
      - name: Script
        id: later
        run: print('${{ steps.talk.outputs.x }}')
        shell: python
        env: {OUT: "${{steps.talk.outputs.y}}"}
  database:
    runs-on: ubuntu-latest
    services: {postgres: {image: postgres}}
    steps: [{run: pytest}]
  mac:
    runs-on: macos-latest
    steps: [{run: pytest}]
  elsewhere:
    uses: ./.github/workflows/other.yml
"""
PATH = ".github/workflows/ci.yml"


def test_a_workflow_step_by_step():
    found = workflow_checks({PATH: WORKFLOW.encode()}, PATH)
    common = {"LEVEL": "1", "FLAG": "true", "WHERE": "ubuntu-latest-1"}
    assert found.tests == (
        CommandTest("checks/Lint", ("bash", "-e", "-c", "ruff check ."), "", None, 0, "pkg", common, "lint", "checks"),
        CommandTest(
            "checks/Types",
            ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", "mypy src"),
            directory="src",
            environment={**common, "WHERE": "here"},
            stage="type",
            job="checks",
        ),
        CommandTest(
            "checks/6", ("bash", "-e", "-c", "pytest --tag yes"), directory="pkg", environment=common, job="checks"
        ),
        CommandTest(
            "checks/Talks",
            ("bash", "-e", "-c", 'echo "a=b" >> $GITHUB_ENV'),
            directory="pkg",
            environment=common,
            stage="other",
            job="checks",
            step="talk",
        ),
        CommandTest(
            "checks/Script",
            ("python", "-c", "print('${{ steps.talk.outputs.x }}')"),
            directory="pkg",
            environment={**common, "OUT": "${{steps.talk.outputs.y}}"},
            stage="other",
            job="checks",
            step="later",
        ),
    )
    reasons = {part.where: part.why for part in found.left_out}
    assert reasons == {
        "checks/3": "installs, without a network: pip install -e .[dev]",
        "checks/Lint": "installs, without a network: python -m pip install    ruff",
        "checks/7": "uses codecov/codecov-action@v4",
        "checks/Deploy": "what ${{ secrets.TOKEN }} stands for is not known",
        "checks/Maybe": "runs on a condition: github.event_name == 'push'",
        "checks/Flaky": "may fail",
        "checks/Masks": "talks to the runner: ::add-mask",
        "checks/Asks": "what ${{ steps.later.outputs.x }} stands for is not known",
        "checks/Fish": "runs in the shell 'fish'",
        "database": "needs services",
        "mac": "runs on macos-latest",
        "elsewhere": "has no steps of its own",
    }


def test_jobs_can_be_chosen_and_files_can_be_wrong():
    files = {PATH: WORKFLOW.encode(), "list.yml": b"- a", "broken.yml": b"a: [", "binary": b"\xff"}
    assert workflow_checks(files, PATH, jobs=["mac"]).tests == ()
    for path, why in (("absent", "no 'absent'"), ("list.yml", "'jobs'"), ("broken.yml", "broken"), ("binary", "UTF-8")):
        with pytest.raises(TaskError, match=why):
            workflow_checks(files, path)
    with pytest.raises(TaskError, match="no job 'x'; there are checks, database"):
        workflow_checks(files, PATH, jobs=["x"])


TOX = """
[tox]
envlist = py, lint

[base]
paths = src tests

[testenv]
deps =
    pytest
    cov
setenv =
    A = {envname}-{env:HOME:none}
changedir = {toxinidir}/src
commands =
    python -m pytest {posargs:-q} \\
        {[base]paths}
    py39: pytest old
    - pytest may-fail
    pip install x
    echo {unknown:x}

[testenv:lint]
deps =
changedir =
commands_pre = ruff --version
commands = ruff check "my dir"
"""


def test_tox():
    found = tox_checks({"tox.ini": TOX.encode()}, ["py", "lint"])
    argv = ("python", "-m", "pytest", "-q", "src", "tests")
    assert found.tests == (
        CommandTest("tox/py/1", argv, directory="src", environment={"A": "py-none"}),
        CommandTest("tox/lint/1", ("ruff", "--version"), environment={"A": "lint-none"}, stage="lint"),
        CommandTest("tox/lint/2", ("ruff", "check", "my dir"), environment={"A": "lint-none"}, stage="lint"),
    )
    assert [part.why.partition(":")[0] for part in found.left_out] == [
        "installs, without a network",
        "is for some factors only",
        "may fail",
        "installs, without a network",
        "what {unknown",
    ]
    with pytest.raises(TaskError, match="no commands for the environment 'docs'"):
        tox_checks({"tox.ini": b"[tox]\n"}, ["docs"])


NOX = """
import nox

@nox.session(python=["3.11"])
def tests(session):
    'Run them.'
    session.install("pytest")
    session.run("pytest", "-q", *session.posargs, env={"A": "1"})
    session.run("coverage", *OPTIONS)
    if session.posargs:
        session.run("other")

@nox.session(name="lint")
def check(s):
    s.log("hello")
    s.run("ruff", "check", ".", external=True)
    s.run("ruff", success_codes=[1])

@nox.session
@nox.parametrize("x", [1, 2])
def many(session, x):
    session.run("pytest")

def helper(session):
    session.run("no session")
"""


def test_nox():
    found = nox_checks({"noxfile.py": NOX.encode()})
    assert found.tests == (
        CommandTest("nox/tests/1", ("pytest", "-q"), environment={"A": "1"}),
        CommandTest("nox/lint/1", ("ruff", "check", "."), stage="lint"),
    )
    assert [(part.where, part.why.partition(":")[0]) for part in found.left_out] == [
        ("nox/tests", "installs, without a network"),
        ("nox/tests/2", "its arguments are not written out"),
        ("nox/tests", "would have to be executed"),
        ("nox/lint/2", "is more than a command"),
        ("nox/many", "is parametrised"),
    ]
    assert nox_checks({"noxfile.py": NOX.encode()}, ["lint"]).tests == found.tests[1:]
    with pytest.raises(TaskError, match="no session 'docs'; there are tests, lint, many"):
        nox_checks({"noxfile.py": NOX.encode()}, ["docs"])


def test_make():
    files = {"Makefile": b"X := 1\nlint test-all: deps\n\truff check .\ntypecheck:\n\tmypy\n.PHONY: lint\n"}
    found = make_checks(files, ["typecheck"])
    assert found.tests == (CommandTest("make/typecheck", ("make", "-f", "Makefile", "typecheck"), stage="type"),)
    assert found.left_out == ()
    assert [test.stage for test in make_checks(files, ["lint", "test-all"]).tests] == ["lint", "test"]
    with pytest.raises(TaskError, match="no target 'X'"):
        make_checks(files, ["X"])


def test_words_that_say_what_a_command_is():
    stages = {"Run tests": "test", "Format": "lint", "pyright": "type", "Build docs": "build", "hello": "other"}
    assert {text: stage_of(text) for text in stages} == stages
    assert stage_of("step 3", "black --check .") == "lint"
    assert all(map(is_install, ["pip install x", "sudo apt-get update", "uv pip install -e .", "poetry install"]))
    assert not any(map(is_install, ["pip list", "python install.py", "make install", "pytest"]))
    assert LeftOut("a", "b") == LeftOut(where="a", why="b")
