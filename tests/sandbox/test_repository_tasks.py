"""Task files of repositories: read, written, checked and judged by the commands."""

import json
import re
from pathlib import Path

import pytest
from sandbox.repositories import BUG, FIXED, GOLD, HIDDEN, HIDDEN_PATH, ORACLE, REPOSITORY, TESTS, VISIBLE

from verigrad.cli.main import main
from verigrad.errors import TaskError
from verigrad.sandbox.repository import changes_of
from verigrad.tasks import load_tasks
from verigrad.tasks.base import TaskSet
from verigrad.tasks.jsonl import dump
from verigrad.types import PROTECTED, CommandTest, Limits, Oracle, Repository, Suite, SuiteTest, Task

PAGE = Path(__file__).parents[2] / "docs" / "repositories.md"
PRINT = ["python", "-c", "import calc; print(calc.double(4))"]
ROW = {
    "id": "repo@1/double",
    "prompt": "double squares; make it double.",
    "repository": {"files": {"src/calc.py": BUG, "tests/test_half.py": VISIBLE}},
    "oracle": {
        "tests": [
            *({"kind": "suite", "name": test.name} for test in TESTS[:-1]),
            {"kind": "suite", "name": TESTS[-1].name, "group": "pass_to_pass"},
            {"kind": "command", "name": "prints", "argv": PRINT, "stdout": "8"},
        ],
        "gold": GOLD,
        "suite": {"files": {HIDDEN_PATH: HIDDEN}},
        "trust": "script",
        "limits": {"cpu_s": 10, "wall_s": 60},
    },
}


def written(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def changed(**oracle):
    return {**ROW, "oracle": {**ROW["oracle"], **oracle}}


def test_reading(tmp_path):
    tasks = load_tasks(written(tmp_path / "t.jsonl", ROW))
    (task,) = tasks.tasks
    oracle = tasks.oracle(task)
    assert task.repository == oracle.repository == REPOSITORY
    assert oracle.tests[:-1] == TESTS and oracle.suite == ORACLE.suite
    assert task.repository.protected == PROTECTED


def test_dump_and_load_are_inverses(tmp_path):
    repository = Repository(files={"a.bin": b"\xff\0", "b": b"text"}, editable=("a*",), protected=("b",))
    suite = Suite(
        files={"c": b"\x80"},
        packages=("numpy",),
        programs=("ruff",),
        python_path=("lib",),
        options=("-x",),
        environment={"A": "1"},
        accept=("skipped",),
        mirrors=False,
    )
    tests = (SuiteTest("a::b", "pass_to_pass"), CommandTest("c", ("d",), "e", "f", 1, "g", {"H": "i"}, "lint"))
    oracle = Oracle(task_id="t@1/x", tests=tests, limits=Limits(cpu_s=1.0), repository=repository, suite=suite)
    task = Task(id="t@1/x", prompt="p", repository=repository)
    dump(TaskSet("t@1", (task,), {task.id: oracle}, {}), tmp_path / "t.jsonl")
    again = load_tasks(str(tmp_path / "t.jsonl"))
    assert again.tasks == (task,) and again.oracles == {task.id: oracle}


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({**ROW, "repository": {"files": {"../a": ""}}}, "no path inside"),
        ({**ROW, "repository": {"files": {"a": 3}}}, "wanted a text"),
        ({**ROW, "repository": {"file": {}}}, "unknown key 'file'"),
        (changed(suite={"environment": {"A": 1}}), "environment: wanted texts"),
        (changed(suite={"accept": ["failed"]}), "wanted one of 'skipped', 'xfailed'"),
        (changed(tests=[{"kind": "suite", "name": "a", "group": "x"}]), "wanted one of 'fail_to_pass'"),
        (changed(tests=[{"kind": "command", "name": "a", "argv": []}]), "argv: wanted a program and its arguments"),
        (changed(tests=[{"kind": "command", "name": "a", "argv": [""]}]), "argv: wanted a program and its arguments"),
    ],
)
def test_what_is_no_task(tmp_path, row, why):
    with pytest.raises(TaskError, match=why):
        load_tasks(written(tmp_path / "t.jsonl", row))


@pytest.mark.slow
def test_checking_tasks(tmp_path, capsys):
    assert main(["check", "tasks", written(tmp_path / "t.jsonl", ROW)]) == 0
    assert "1 of 1 tasks sound" in capsys.readouterr().out
    half = {"kind": "suite", "name": TESTS[-1].name}
    three = {"kind": "suite", "name": TESTS[0].name, "group": "pass_to_pass"}
    rows = [
        {**changed(gold=""), "id": "t@1/gold"},
        {**changed(tests=[half]), "id": "t@1/groups"},
        {**changed(tests=[three]), "id": "t@1/other"},
        {**changed(trust="values"), "id": "t@1/trust"},
    ]
    assert main(["check", "tasks", written(tmp_path / "t.jsonl", *rows)]) == 1
    out = capsys.readouterr().out
    assert "t@1/gold: gold does not pass: failed (1 of 6 tests)" in out
    assert "t@1/groups: the repository passes unchanged; tests/test_half.py::test_half is fail_to_pass, but" in out
    assert "t@1/other: tests/test_double.py::test_three is pass_to_pass, but the unchanged repository fails it" in out
    assert "t@1/trust: the outcome of" in out


def test_the_page_of_repositories(tmp_path, capsys):
    """Its task is sound, and its program prints what it should."""
    blocks = re.findall(r"```(jsonl|python)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    ((_, row), (_, program)) = blocks
    assert main(["check", "tasks", written(tmp_path / "t.jsonl", json.loads(row))]) == 0
    capsys.readouterr()
    exec(compile(program, str(PAGE), "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out == "passed 1\n"


def test_judging_files(tmp_path, capsys):
    tasks = written(tmp_path / "t.jsonl", ROW)
    answers = (GOLD, json.dumps({"src/calc.py": FIXED, "tests/test_half.py": ""}), "", "not a change")
    programs = written(tmp_path / "p.jsonl", *({"task_id": ROW["id"], "program": answer} for answer in answers))
    output = tmp_path / "v.jsonl"
    assert main(["judge", "--tasks", tasks, "--input", programs, "--output", str(output)]) == 0
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [(row["status"], row["passed"], row["total"]) for row in rows] == [
        *[("passed", 6, 6)] * 2,
        ("failed", 1, 6),
        ("syntax_error", 0, 6),
    ]
    assert [row["undone"] for row in rows] == [[], ["tests/test_half.py"], [], []]
    assert all(row["violations"] == [] for row in rows)


@pytest.mark.parametrize("path", ["sitecustomize/__init__.py", "src/usercustomize/__init__.py", "sitecustomize.py"])
def test_what_an_interpreter_imports_unasked_is_protected_as_a_package_too(path):
    may_change = changes_of(Oracle(task_id="r@1/a", tests=(), repository=Repository(files={"src/calc.py": b""})))
    assert not may_change(path) and may_change("src/customize.py")
