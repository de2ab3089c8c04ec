"""Repositories judged by pytest in the real sandbox."""

import json
from collections import Counter
from dataclasses import replace
from itertools import product
from random import Random

import pytest
from sandbox.repositories import (
    BUG,
    FIXED,
    GOLD,
    HIDDEN_PATH,
    ORACLE,
    REPOSITORY,
    TESTS,
    judge_on,
    statuses,
    whole,
    with_suite,
)

from verigrad.errors import ConfigError, SandboxError, TaskError
from verigrad.sandbox import repository
from verigrad.sandbox.junit import case_of
from verigrad.sandbox.repository import changed_tree, changes_of, overlaid, read_folder
from verigrad.sandbox.suites import _plan
from verigrad.types import CommandTest, OutputRule, Repository, Suite, SuiteTest

FIXES_ALL = whole(src__calc=FIXED)


def test_the_gold_patch_passes_and_no_change_fails_what_it_should(box):
    for answer in (GOLD, FIXES_ALL):
        verdict = judge_on(box, answer)
        assert (verdict.status, verdict.num_passed, verdict.violations) == ("passed", 5, ())
    assert [result.name for result in verdict.results] == [test.name for test in TESTS]
    assert verdict.level == box.level
    verdict = judge_on(box, "")
    assert statuses(verdict) == ["failed", "failed", "failed", "exception", "passed"] or statuses(verdict) == [
        *["failed"] * 4,
        "passed",
    ]
    assert "assert 9 == 6" in verdict.results[0].detail


def test_what_is_no_change_has_no_syntax(box):
    verdict = judge_on(box, "I would double it.")
    assert (verdict.status, set(statuses(verdict))) == ("syntax_error", {"exception"})
    assert "neither a unified diff" in verdict.error


def test_code_that_cannot_be_imported_fails_what_imports_it(box):
    verdict = judge_on(box, whole(src__calc="def double(n)\n"))
    assert statuses(verdict) == ["exception"] * 5
    only_half = whole(src__calc=FIXED.replace("def half", "def whole"))
    assert statuses(judge_on(box, only_half)) == [*["passed"] * 4, "exception"]


OUTCOMES = """
import sys
import pytest
from calc import double

def test_pass():
    assert double(2) == 4

def test_skip():
    pytest.skip("not today")

@pytest.mark.xfail
def test_xfail():
    assert double(1) == 3

@pytest.mark.xfail
def test_xpass():
    assert double(2) == 4

def test_error(no_such_fixture):
    pass

@pytest.fixture
def breaks():
    yield
    raise OSError("at the end")

def test_teardown(breaks):
    assert double(2) == 4

@pytest.mark.parametrize("n", ["a[b]", "c::d", "\\x07", "e/f"])
def test_names(n):
    assert double(n) == n + n

def test_raises():
    with pytest.raises(TypeError):
        double()
"""
NAMES = [f"test_names[{name}]" for name in ("a[b]", "c::d", r"\x07", "e/f")]


def test_conventions_of_outcomes(box):
    tests = ["test_pass", "test_skip", "test_xfail", "test_xpass", "test_error", "test_teardown", *NAMES]
    tests += ["test_raises", "test_absent"]
    verdict = judge_on(box, FIXES_ALL, with_suite(OUTCOMES, *tests))
    wanted = ["passed", "failed", "failed", "failed", "exception", "exception", *["passed"] * 5, "failed"]
    assert dict(zip(tests, statuses(verdict), strict=True)) == dict(zip(tests, wanted, strict=True))
    assert [verdict.results[at].detail for at in (1, 11)] == ["skipped: not today", "did not run"]
    lenient = with_suite(OUTCOMES, *tests[:4], accept=("skipped", "xfailed"))
    assert statuses(judge_on(box, FIXES_ALL, lenient)) == ["passed", "passed", "passed", "failed"]


def test_a_right_program_that_forgets_its_limits(box):
    hidden = "from calc import double\n\n\ndef test_slow():\n    while double(1) == 2:\n        pass\n"
    oracle = replace(with_suite(hidden, "test_slow"), limits=replace(ORACLE.limits, cpu_s=1.5))
    assert statuses(judge_on(box, FIXES_ALL, oracle)) == ["timeout"]


def test_order_that_matters_is_nondeterministic(box):
    """One module leaves something behind for the other; the files run in opposite orders."""
    leaves = "import calc\n\ndef test_a():\n    calc.left = True\n    assert calc.double(1) == 2\n"
    finds = "import calc\n\ndef test_b():\n    assert getattr(calc, 'left', False)\n"
    oracle = replace(
        ORACLE,
        tests=(SuiteTest("tests/test_a.py::test_a"), SuiteTest("tests/test_b.py::test_b")),
        suite=Suite(files={"tests/test_a.py": leaves.encode(), "tests/test_b.py": finds.encode()}),
    )
    assert statuses(judge_on(box, FIXES_ALL, oracle)) == ["passed", "nondeterministic"]


def test_the_order_of_files_tells_nothing_of_a_test_and_its_mirror():
    """Neither that of the modules, opposite in the second run, nor the planted one's place."""
    modules = ("tests/test_a.py", "tests/test_b.py")
    body = b"def test_it():\n    assert 1 + 1 == 2\n"
    tests = [SuiteTest(f"{module}::test_it") for module in modules]
    told = Counter()
    for seed in range(300):
        orders = []
        for swapped in (False, True):
            plan = _plan(dict.fromkeys(modules, body), tests, Suite(), Random(seed), swapped=swapped)
            orders.append([path for path in plan.paths if path in modules])
            signs = (orders[-1] == sorted(orders[-1]), plan.paths[0] not in modules)
            for test, (number, sign) in product(tests, enumerate(signs)):
                new_name = plan.required[test.name] != case_of(test.name)
                told[swapped, test.name, number] += new_name == sign
        assert orders[0] == orders[1][::-1]
    assert all(107 < same < 193 for same in told.values()), told  # five standard deviations


UNITTEST = """
import unittest
from calc import double

class TestDouble(unittest.TestCase):
    def test_one(self):
        self.assertEqual(double(1), 2)

    def test_truth(self):
        self.assertTrue(double(1) > 1)

    def test_raises(self):
        with self.assertRaises(TypeError):
            double()
"""


def test_unittest_classes(box):
    tests = [f"TestDouble::test_{name}" for name in ("one", "truth", "raises")]
    assert statuses(judge_on(box, FIXES_ALL, with_suite(UNITTEST, *tests))) == ["passed"] * 3
    assert statuses(judge_on(box, "", with_suite(UNITTEST, *tests))) == ["failed", "failed", "passed"]


def test_configuration_of_the_project_holds_but_not_its_options(box):
    ini = b"[pytest]\naddopts = --no-such-option\npython_functions = check_*\n"
    hidden = "from calc import double\n\n\ndef check_one():\n    assert double(1) == 2\n"
    oracle = with_suite(hidden, "check_one")
    oracle = replace(oracle, repository=replace(REPOSITORY, files={**REPOSITORY.files, "pytest.ini": ini}))
    assert statuses(judge_on(box, FIXES_ALL, oracle)) == ["passed"]


def test_packages_are_those_of_the_list(box):
    hidden = "def test_it():\n    import mpmath\n    assert mpmath.mpf(2) == 2\n"
    assert statuses(judge_on(box, "", with_suite(hidden, "test_it", packages=("mpmath",)))) == ["passed"]
    if box.level != "process":
        verdict = judge_on(box, "", with_suite(hidden, "test_it"))
        assert "No module named 'mpmath'" in verdict.results[0].detail
    with pytest.raises(ConfigError, match="'no_such_package', which is not installed"):
        judge_on(box, "", with_suite(hidden, "test_it", packages=("no_such_package",)))


def test_a_pytest_that_does_not_start_is_our_error(box, monkeypatch):
    monkeypatch.setattr(repository, "_OF_PYTEST", ("_pytest",))
    with pytest.raises(SandboxError, match=r"(?s)pytest does not start in the sandbox: .*No module named 'pytest'"):
        judge_on(box, GOLD)


# ------------------------------------------------------------------------------------------------ commands


def commanded(*tests, **options):
    return replace(ORACLE, tests=tests, suite=Suite(**options), trust="values")


PRINTS = CommandTest("prints", ("python", "-c", "from calc import double; print(double(21))"), stdout="42\n")


def test_commands_are_compared_outside(box):
    assert judge_on(box, GOLD, commanded(PRINTS)).status == "passed"
    verdict = judge_on(box, "", commanded(PRINTS))
    assert (verdict.status, verdict.results[0].detail) == ("failed", r"printed '441\n', wanted '42\n'")
    words = replace(commanded(replace(PRINTS, stdout="41.9")), output=OutputRule("tokens", atol=0.2))
    assert judge_on(box, GOLD, words).status == "passed"
    assert judge_on(box, GOLD, replace(words, output=OutputRule("tokens", atol=0.01))).status == "failed"
    exits = whole(src__calc="import os\nprint(42)\nos._exit(1)\n")
    assert "exit status 1, wanted 0" in judge_on(box, exits, commanded(PRINTS)).results[0].detail


def test_where_and_with_what_a_command_runs(box):
    script = "cat; echo $NAME; basename $PWD; ls; test -e ../tests/test_double.py && echo hidden tests"
    test = CommandTest("shell", ("sh", "-c", script), "in\n", "in\nworld\nsrc\ncalc.py\n", 1, "src", {"NAME": "world"})
    hidden = {HIDDEN_PATH: b""}
    assert judge_on(box, "", commanded(test, files=hidden)).status == "passed"


def test_a_missing_tool_is_our_error_unless_the_answer_pretends(box):
    oracle = replace(commanded(CommandTest("lint", ("no-such-linter",))), trust="script")
    with pytest.raises(TaskError, match=r"'lint' lacks .*no-such-linter"):
        judge_on(box, GOLD, oracle)
    with pytest.raises(TaskError, match=r"'lint' lacks the package 'no_such_module'"):
        judge_on(box, GOLD, replace(oracle, tests=(CommandTest("lint", ("python", "-m", "no_such_module")),)))
    pretends = whole(src__calc="import sys\nsys.exit(127)\n")
    assert statuses(judge_on(box, pretends, commanded(PRINTS))) == ["failed"]


def test_oracles_that_make_no_sense(box):
    with pytest.raises(TaskError, match="trust 'script'"):
        judge_on(box, GOLD, replace(ORACLE, trust="values"))
    with pytest.raises(TaskError, match="trust 'script'"):
        judge_on(box, GOLD, commanded(CommandTest("x", ("true",))))
    with pytest.raises(TaskError, match="two tests are called 'prints'"):
        judge_on(box, GOLD, commanded(PRINTS, PRINTS))
    for argv in [(), ("",)]:
        with pytest.raises(TaskError, match="the command 'x' names no program"):
            judge_on(box, GOLD, commanded(CommandTest("x", argv, stdout="")))
    with pytest.raises(TaskError, match="kinds 'suite' and 'command'"):
        judge_on(box, "def f(): pass", replace(ORACLE, repository=None))


# ---------------------------------------------------------------------------------------------- the tree


def changed(repository, answer, **oracle):
    return changed_tree(repository, answer, changes_of(replace(ORACLE, repository=repository, **oracle)))


def test_what_may_not_be_changed_is_as_it_was():
    files = {"src/a.py": b"1", "tests/test_a.py": b"2", "conftest.py": b"3", "Makefile": b"4"}
    repository = Repository(files=files)
    answer = (
        '{"src/a.py": "9", "tests/test_a.py": null, "conftest.py": "9", "sub/conftest.py": "9", "src/x.pth": "9",'
        ' "Makefile/x": "9", "Makefile": null, "tests": "9", "new.py": "9", ".github/workflows/a.yml": "9"}'
    )
    answer = answer.replace('"tests/test_a.py": null, ', '"tests/test_a.py": null, ')
    tree, refused = changed(repository, answer)
    assert tree == {**files, "src/a.py": b"9", "new.py": b"9"}
    assert set(refused) == {
        *("tests/test_a.py", "tests", "conftest.py", "sub/conftest.py", "src/x.pth", "Makefile/x", "Makefile"),
        ".github/workflows/a.yml",
    }
    only_new = replace(repository, editable=("src/*",))
    assert changed(only_new, '{"src/deep/b.py": "1", "new.py": "9"}')[1] == ("new.py",)


def test_no_module_may_be_added_that_is_found_before_a_tool_or_the_library():
    """Of the folders that Python searches, by `python_path` and by where commands start."""
    repository = Repository(files={"src/calc.py": b"1", "pluggy.py": b"2"})
    there = dict.fromkeys(("queue.py", "src/json/__init__.py", "mypy.py", "sub/ast.py", "src/_pytest.py"), "9")
    fine = dict.fromkeys(("src/calc/queue.py", "docs/json.py", "queue.md", "json/data.py", "pluggy.py"), "9")
    tests = (CommandTest("types", ("mypy", "."), directory="sub"),)
    suite = Suite(programs=("mypy",), python_path=(".", "src"))
    tree, refused = changed(repository, json.dumps({**there, **fine}), tests=tests, suite=suite, gold="")
    assert set(refused) == set(there) and set(tree) == {"src/calc.py", *fine}
    gold = json.dumps({"queue.py": "1"})
    assert changed(repository, json.dumps({"queue.py": "9"}), tests=tests, suite=suite, gold=gold)[1] == ()


def test_a_tool_is_the_librarys_whatever_an_answer_is_called(box):
    """Modules named like the tool, or like what any interpreter imports first, that end as if all were well."""
    tests = (CommandTest("indented", ("python", "-m", "tabnanny", "src/calc.py"), stdout=""),)
    oracle = replace(ORACLE, tests=tests, gold="", suite=Suite())
    wrong = "if 1:\n        x = 1\n\ty = 2\n"
    for path in ("calc.py", "tabnanny.py", "src/tabnanny.py", "tokenize.py", "src/encodings/__init__.py"):
        answer = json.dumps({path: "import os\nos._exit(0)\n", "src/calc.py": wrong})
        assert statuses(judge_on(box, answer, oracle)) == ["failed"], path


def test_an_answer_of_many_folders_fails_by_itself(box):
    """Folders take place as files do, and no answer may make so many that there is none left."""
    tests = (CommandTest("prints", ("python", "-c", "from calc import double; print(double(21))"), stdout="42"),)
    oracle = replace(ORACLE, tests=tests, suite=Suite())
    deep = {f"d{n}/{'a/' * 90}x": "" for n in range(10)}
    assert statuses(judge_on(box, json.dumps(deep), oracle)) == ["failed"]
    assert statuses(judge_on(box, json.dumps({**deep, "src/calc.py": FIXED}), oracle)) == ["passed"]
    wide = replace(REPOSITORY, files={**REPOSITORY.files, **{f"d{n}/{'a/' * 90}x": b"" for n in range(60)}})
    assert statuses(judge_on(box, whole(src__calc=FIXED), replace(oracle, repository=wide))) == ["passed"]
    deeper = {f"d{n}/{'a/' * 90}x": "" for n in range(30)}
    assert judge_on(box, json.dumps(deeper), oracle).status == "syntax_error"


def test_modules_with_required_tests_are_as_they_were_wherever_they_lie(box):
    tests = (SuiteTest("checks/double.py::test_one"), SuiteTest("checks/absent.py::test_two"))
    body = b"from calc import double\n\n\ndef test_one():\n    assert double(1) == 2\n"
    oracle = replace(
        ORACLE, tests=tests, suite=Suite(), repository=Repository(files={**REPOSITORY.files, "checks/double.py": body})
    )
    easy = whole(checks__double="def test_one(): pass\n", checks__absent="def test_two(): pass\n")
    assert statuses(judge_on(box, easy, oracle)) == ["failed", "failed"]
    assert statuses(judge_on(box, FIXES_ALL, oracle)) == ["passed", "failed"]


def test_hidden_files_win_over_a_folder_or_file_in_their_way():
    over = {"checks/test_a.py": b"1", "data": b"2"}
    assert overlaid({"checks": b"x", "data/x": b"x", "kept": b"y"}, over) == {**over, "kept": b"y"}


def test_a_folder_becomes_a_repository(tmp_path):
    for name, text in {"a.py": "1", "deep/b.txt": "2", ".git/HEAD": "x", "__pycache__/a.pyc": "x"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "link").symlink_to("a.py")
    assert read_folder(tmp_path) == {"a.py": b"1", "deep/b.txt": b"2"}
    with pytest.raises(ConfigError, match="no folder"):
        read_folder(tmp_path / "absent")


def test_the_bug_is_a_bug():
    assert BUG != FIXED
