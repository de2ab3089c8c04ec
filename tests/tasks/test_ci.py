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
        "checks": "runs for one entry of its matrix, not for 3 more",
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


def read_jobs(text: str) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Name and script of each check of `jobs:` in YAML, and what is left out."""
    found = workflow_checks({PATH: f"jobs: {{{text}}}".encode()}, PATH)
    return [(test.name, test.argv[-1]) for test in found.tests], {part.where: part.why for part in found.left_out}


@pytest.mark.parametrize(
    ("job", "left_out"),
    [
        ("continue-on-error: true", {"a": "may fail"}),
        ("continue-on-error: '${{ matrix.new }}', strategy: {matrix: {new: [true, false]}}", {"a": "may fail"}),
        ("continue-on-error: '${{ x.y }}'", {"a": "what ${{ x.y }} stands for is not known"}),
        ("strategy: {matrix: '${{ fromJSON(x) }}'}", {"a": "its matrix is not written out: ${{ fromJSON(x) }}"}),
        ("strategy: {matrix: {p: [1], exclude: [{p: 1}]}}", {"a": "its matrix has no entry"}),
    ],
)
def test_jobs_that_do_not_run(job, left_out):
    assert read_jobs(f"a: {{steps: [{{run: pytest}}], {job}}}") == ([], left_out)


@pytest.mark.parametrize(
    ("job", "left_out"),
    [
        ("continue-on-error: false", {}),
        ("continue-on-error: '${{ matrix.new }}', strategy: {matrix: {new: [false]}}", {}),
        ("permissions: {contents: read}, name: A, concurrency: one", {}),
        ("timeout-minutes: 5", {"a": "its timeout-minutes is not minded: 5"}),
        ("needs: [b, c]", {"a": "needs ['b', 'c'], whose files and outputs it does not find"}),
        ("new-setting: 1", {"a": "its new-setting is not minded: 1"}),
    ],
)
def test_jobs_that_run_and_what_is_not_minded(job, left_out):
    assert read_jobs(f"a: {{steps: [{{run: pytest}}], {job}}}") == ([("a/1", "pytest")], left_out)


def test_what_steps_say_that_is_not_minded():
    steps = """
        {uses: actions/checkout@v4, with: {fetch-depth: 0, submodules: false}},
        {uses: actions/checkout@v4, with: {repository: other/tools, path: tools}},
        {name: Slow, run: pytest, timeout-minutes: 2, continue-on-error: false},
        {name: Up, run: ls, working-directory: ..}
    """
    tests, left_out = read_jobs(f"a: {{steps: [{steps}]}}")
    assert tests == [("a/Slow", "pytest")]
    assert left_out == {
        "a/2": "checks out another tree: repository: other/tools, path: tools",
        "a/Slow": "its timeout-minutes is not minded: 2",
        "a/Up": "runs outside the repository, in ..",
    }


def test_the_first_entry_of_a_matrix():
    """By GitHub's rules: 2 x 2 entries less one, one include extends two of them, another is one of its own."""
    matrix = """
        os: [old, new], python: [1, 2], exclude: [{os: old, python: 1}],
        include: [{python: 2, tag: x}, {os: odd, python: 3}, {more: y}]
    """
    run = "${{ matrix.os }} ${{ matrix.python }} ${{ matrix.tag }} ${{ matrix.more }}"
    tests, left_out = read_jobs(f"a: {{steps: [{{run: '{run}'}}], strategy: {{matrix: {{{matrix}}}}}}}")
    assert tests == [("a/1", "old 2 x y")]
    assert left_out == {"a": "runs for one entry of its matrix, not for 3 more"}
    only = "strategy: {matrix: {include: [{v: 1}, {v: 2}]}}"
    assert read_jobs(f"a: {{steps: [{{run: '${{{{ matrix.v }}}}'}}], {only}}}")[0] == [("a/1", "1")]


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
commands = ruff check "my dir"  # all of it
commands_post = ruff clean
"""


def test_tox():
    found = tox_checks({"tox.ini": TOX.encode()}, ["py", "lint"])
    argv, lint = ("python", "-m", "pytest", "-q", "src", "tests"), {"A": "lint-none"}
    assert found.tests == (
        CommandTest("tox/py/1", argv, directory="src", environment={"A": "py-none"}, job="tox/py"),
        CommandTest("tox/lint/1", ("ruff", "--version"), environment=lint, stage="lint", job="tox/lint"),
        CommandTest("tox/lint/2", ("ruff", "check", "my dir"), environment=lint, stage="lint", job="tox/lint"),
        CommandTest("tox/lint/3", ("ruff", "clean"), environment=lint, stage="lint", job="tox/lint"),
    )
    assert [part.why.partition(":")[0] for part in found.left_out] == [
        "installs, without a network",
        "may fail",
        "installs, without a network",
        "what {unknown",
    ]
    with pytest.raises(TaskError, match="no commands for the environment 'docs'"):
        tox_checks({"tox.ini": b"[tox]\n"}, ["docs"])


def read_tox(text: str, name: str = "py") -> tuple[list[tuple[str, ...]], dict[str, str]]:
    """What each check of an environment runs, and what is left out."""
    found = tox_checks({"tox.ini": text.encode()}, [name])
    return [test.argv for test in found.tests], {part.where: part.why for part in found.left_out}


def test_tox_references_to_several_commands():
    """Each is a check of its own, factors and unknown parts of them included; a line in the middle is put in there."""
    base = "[base]\ncommands =\n  echo one\n  {[base]more}\n  echo {odd}\nmore =\n  echo \\\n    two\n  - echo three\n"
    text = f"{base}[testenv]\ncommands =\n  {{[base]commands}}\n  {{[base]absent}}\n"
    assert read_tox(text) == (
        [("echo", "one"), ("echo", "two")],
        {
            "tox/py/3": "may fail: - echo three",
            "tox/py/4": "what {odd} stands for is not known",
            "tox/py/5": "what {[base]absent} stands for is not known",
        },
    )


@pytest.mark.parametrize("line", ["{posargs}", "[]", "{env:X:}", '"{env:X:}" -q'])
def test_tox_commands_that_come_to_nothing_are_no_checks(line):
    found = read_tox(f"[testenv]\ncommands =\n  {line}\n  pytest {{posargs}}\n")
    assert found == ([("pytest",)], {"tox/py/1": f"names no program: {line}"})


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("ignore_outcome = true", "may fail: its outcome is ignored"),
        ("ignore_outcome = py: true", "may fail: its outcome is ignored"),
        ("base = other", "inherits from other"),
        ("platform = win32", "is for the platform win32"),
        ("platform = (", "is for the platform ("),
        ("setenv = file|.env", "has an environment that is not written out: file|.env"),
        ("changedir = ..", "runs outside the repository, in .."),
        ("changedir = {envtmpdir}", "what {envtmpdir} stands for is not known"),
    ],
)
def test_tox_environments_that_do_not_run(setting, why):
    assert read_tox(f"[testenv]\ncommands = pytest\n{setting}\n") == ([], {"tox/py": why})


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("ignore_outcome = other: true", ""),
        ("ignore_errors = true", ""),
        ("platform = linux|darwin", ""),
        ("skip_install = true\nallowlist_externals = make", ""),
        ("extras =\n  test\n  docs", "installs, without a network: test, docs"),
        ("depends = py311", "comes after other environments, whose files it does not find: py311"),
        ("paths = a\nretries = 2", "has settings that are not read: paths, retries"),
    ],
)
def test_tox_environments_that_run_and_what_is_not_done(setting, why):
    wanted = {"tox/py": why} if why else {}
    assert read_tox(f"[testenv]\ncommands = pytest\n{setting}\n") == ([("pytest",)], wanted)


def test_tox_factors_and_sections_for_several_environments():
    general = "commands =\n  py310: a\n  py311,py312-x: b\n  !y: c\n  py311-x: d\n  -e\n  !f"
    text = f"[testenv]\n{general}\nsetenv =\n  y: A = 1\n  x: A = 2\n[testenv:py{{310, 311}}-y]\ncommands = other\n"
    found = tox_checks({"tox.ini": text.encode()}, ["py311-x"])
    assert [(test.argv, test.environment) for test in found.tests] == [((word,), {"A": "2"}) for word in "bcd"]
    assert [part.why for part in found.left_out] == ["may fail: -e", "must fail, with any status: !f"]
    assert tox_checks({"tox.ini": text.encode()}, ["py310-y"]).tests[0].argv == ("other",)


def test_tox_paths_and_variables_are_those_of_the_command():
    """A command in `src` finds the root one folder up; what `setenv` sets is what `{env:}` gives."""
    settings = "setenv =\n  A = 1\n  B = {env:A:2}{env:C:3}\nchangedir = {toxinidir}/./src"
    text = f"[testenv]\n{settings}\ncommands = x {{toxinidir}}/y {{env:B}} []\n"
    (test,) = tox_checks({"tox.ini": text.encode()}, ["py"]).tests
    assert (test.argv, test.directory, test.environment) == (("x", "../y", "13"), "src", {"A": "1", "B": "13"})


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
        CommandTest("nox/tests/1", ("pytest", "-q"), environment={"A": "1"}, job="nox/tests"),
        CommandTest("nox/lint/1", ("ruff", "check", "."), stage="lint", job="nox/lint"),
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


def read_nox(body: str, decorator: str = "nox.session") -> tuple[list[tuple[str, str]], list[str]]:
    """Program and folder of each check of a session, and why the rest is left out."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    found = nox_checks({"noxfile.py": f"@{decorator}\ndef a(s):\n{lines}".encode()})
    return [(test.argv[0], test.directory) for test in found.tests], [part.why for part in found.left_out]


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("s.skip('later')", "ends here: s.skip('later')"),
        ("s.error()", "ends here: s.error()"),
        ("return", "ends here: return"),
        ("s.chdir(FOLDER)", "decides how all after it runs, and would have to be executed: s.chdir(FOLDER)"),
        ("s.chdir('..')", "decides how all after it runs, and would have to be executed: s.chdir('..')"),
        ("s.env['A'] = '1'", "decides how all after it runs, and would have to be executed: s.env['A'] = '1'"),
    ],
)
def test_nox_sessions_that_are_read_up_to_a_statement(statement, why):
    assert read_nox(f"s.run('one')\n{statement}\ns.run('two')") == ([("one", "")], [why])


def test_nox_sessions_go_where_they_say_and_tell_what_they_ask_for():
    body = "s.cd('src')\ns.run('one')\ns.chdir('../docs')\ns.run('two')\ns.notify('b')\ns.run('three')"
    tests, left_out = read_nox(body, "session(py=['3.9', '3.11'], requires=['b'])")
    assert tests == [("one", "src"), ("two", "docs"), ("three", "docs")]
    assert left_out == [
        "runs once, not for each of ['3.9', '3.11']",
        "comes after other sessions, whose files it does not find: ['b']",
        "has another session run after it: s.notify('b')",
    ]


def test_what_nox_sessions_say_changes_nothing():
    assert read_nox("s.log('env: py312')\ns.warn(f'cd {x}')\ns.run('one')") == ([("one", "")], [])


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("s.run('one', env={[]: 1})", "its arguments are not written out: s.run('one', env={[]: 1})"),
        ("s.cd({[]: 1})", "decides how all after it runs, and would have to be executed: s.cd({[]: 1})"),
        ("s.run('', 'one')", "is more than a command: s.run('', 'one')"),
    ],
)
def test_nox_arguments_that_python_cannot_make(statement, why):
    assert read_nox(statement) == ([], [why])


def test_nox_sessions_on_a_condition_are_named():
    text = "import nox_poetry\nif WINDOWS:\n    @nox_poetry.session\n    def a(s):\n        s.run('x')\n"
    found = nox_checks({"noxfile.py": text.encode()})
    assert (found.tests, found.left_out) == ((), (LeftOut("nox/a", "is defined on a condition"),))


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
