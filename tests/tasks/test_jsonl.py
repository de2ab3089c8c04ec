"""Task files: exact round trips, errors that name the place, and the example of the documentation."""

import gzip
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verigrad.errors import ConfigError, TaskError
from verigrad.tasks import jsonl
from verigrad.tasks.base import TaskSet
from verigrad.types import (
    AnswerTest,
    CallTest,
    Comparator,
    Generator,
    Limits,
    Oracle,
    OutputRule,
    PropertyTest,
    ScriptTest,
    StdioTest,
    Task,
)

DOC = Path(__file__).parents[2] / "docs" / "tasks.md"

EVERY_FIELD = TaskSet(
    name="toy@1",
    tasks=(
        Task(
            id="toy@1/0",
            prompt="Größe?\n\ud800",
            language="text",
            entry_point="f",
            stub="def f():\n",
            public_tests=(CallTest("p", (1,), 1),),
            tags=("a:b", "c:d"),
            difficulty="hard",
        ),
        Task(id="toy@1/1", prompt=""),
    ),
    oracles={
        "toy@1/0": Oracle(
            task_id="toy@1/0",
            tests=(
                CallTest("0", (1, 1.0, True, None), (2**70, {1: "a", (2,): [b"x"]}), {"k": {1, 2}}, Comparator()),
                CallTest("1", (), frozenset([1j, float("inf")]), {}, Comparator("any_of", False, 0.1, 1e-9)),
                StdioTest("2", "in\n", "out", ("out\n\n", "")),
                ScriptTest("3", "assert True"),
                AnswerTest("4", {"a": 1}),
                AnswerTest("5", 1.5, "number"),
                PropertyTest("6", ((1, [2.0]), (), ({3},)), "alike"),
                PropertyTest("7", ("in\n", "")),
            ),
            gold="def f():\n    pass",
            comparator=Comparator("multiset", strict=False, atol=0.5, rtol=0.25),
            output=OutputRule("tokens", atol=1.0, rtol=1e-6),
            limits=Limits(1.5, 2.5, 3, 4, 5, 6, 7),
            trust="script",
            constant_pass_rate=0.5,
            checker="def alike(*pairs):\n    return True\n",
            generator=Generator(
                source="def inputs(random):\n    return ()\n", strategies="", count=3, property="alike"
            ),
        ),
        "toy@1/1": Oracle(task_id="toy@1/1", tests=(), generator=Generator(strategies="none()")),
    },
    aliases={"Toy/0": "toy@1/0", "T0": "toy@1/0"},
)


@pytest.mark.parametrize("name", ["tasks.jsonl", "tasks.jsonl.gz"])
def test_round_trip_of_every_field(tmp_path, name):
    path = tmp_path / name
    jsonl.dump(EVERY_FIELD, path)
    loaded = jsonl.load(path)
    assert loaded == EVERY_FIELD
    # 1, 1.0 and True are equal, so look at the types too.
    (first, *_) = loaded.oracles["toy@1/0"].tests
    assert repr(first) == repr(EVERY_FIELD.oracles["toy@1/0"].tests[0])
    assert path.read_bytes()[:2] == gzip.compress(b"")[:2] or name == "tasks.jsonl"


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=10,
)


@given(args=st.lists(_VALUES).map(tuple), expected=_VALUES, stdin=st.text())
def test_round_trip_of_any_value(tmp_path_factory, args, expected, stdin):
    path = tmp_path_factory.mktemp("jsonl") / "tasks.jsonl"
    tests = (CallTest("a", args, expected), StdioTest("b", stdin, stdin))
    tasks = TaskSet("toy", (Task(id="x", prompt=stdin),), {"x": Oracle(task_id="x", tests=tests)}, {})
    jsonl.dump(tasks, path)
    assert repr(jsonl.load(path)) == repr(tasks)


def test_defaults_are_left_out(tmp_path):
    path = tmp_path / "toy.jsonl"
    tasks = TaskSet("toy", (Task(id="x", prompt="p"),), {"x": Oracle(task_id="x", tests=(CallTest("a", (), 1),))}, {})
    jsonl.dump(tasks, path)
    header, row = map(json.loads, path.read_text().splitlines())
    assert header == {"taskset": "toy"}
    assert row == {
        "id": "x",
        "prompt": "p",
        "oracle": {"tests": [{"kind": "call", "name": "a", "args": [], "expected": 1}]},
    }
    path.write_text(json.dumps(row))
    assert jsonl.load(path) == tasks  # named after its file


def test_the_documented_example(tmp_path):
    (example,) = re.findall(r"```json\n(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL)
    path = tmp_path / "example.jsonl"
    path.write_text(example)
    tasks = jsonl.load(path)
    assert tasks.name == "toy@1"
    pair, double, mean, root, script = (tasks.oracle(task) for task in tasks.tasks)
    assert [(test.args, test.kwargs, test.expected) for test in pair.tests] == [
        (("", 0), {}, ("", 0)),
        (([1, 2],), {"n": 3}, ([1, 2], 3)),
    ]
    assert pair.limits == Limits(cpu_s=1.0)
    names = {}
    exec(pair.gold, names)
    assert all(names["pair"](*test.args, **test.kwargs) == test.expected for test in pair.tests)
    assert tasks.tasks[0].public_tests == (CallTest("shown", ("a", 2), ("a", 2)),)
    assert double.tests == (StdioTest("two", "2\n", "4\n"),)
    assert mean.tests == (StdioTest("three", "1 2 2\n", "1.6666667\n"),)
    assert mean.output == OutputRule("tokens", atol=1e-6)
    assert root.tests == (AnswerTest("root", 1.414, "number"),)
    assert root.comparator == Comparator(strict=False, atol=0.0005)
    assert (script.tests, script.trust) == ((ScriptTest("asserts", "assert one() == 1"),), "script")
    assert tasks.aliases == {"Toy/pair": "toy@1/pair"}


def row(**changes):
    return {"id": "x", "prompt": "p", "oracle": {"tests": []}} | changes


def with_test(**fields):
    return row(oracle={"tests": [{"kind": "call", "name": "a", "args": [], "expected": 1} | fields]})


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (row(promt="q"), "task: unknown key 'promt' (did you mean 'prompt'?)"),
        (row(prompt=3), "task: prompt: wanted str, got 3"),
        (row(entry_point=3), "task: entry_point: wanted str or null, got 3"),
        (row(tags="a:b"), "task: tags: wanted"),
        (row(tags=[1]), "task: tags: wanted str, got 1"),
        ({"id": "x", "prompt": "p"}, "wanted an object under 'oracle'"),
        ({"prompt": "p", "oracle": {"tests": []}}, "task: 'id' missing"),
        (
            row(oracle={"tests": [{"kind": "property", "name": "a", "inputs": [3]}]}),
            "inputs: wanted lists of arguments",
        ),
        (row(oracle={"tests": [{"kind": "property", "name": "a"}]}), "test 'a': 'inputs' missing"),
        (row(oracle={"tests": [], "checker": 3}), "oracle: checker: wanted str or null, got 3"),
        (
            row(oracle={"tests": [], "generator": {"sauce": ""}}),
            "generator: unknown key 'sauce' (did you mean 'source'?)",
        ),
        (row(oracle={"tests": [], "generator": {"count": "3"}}), "generator: count: wanted int, got '3'"),
        (row(oracle={}), "oracle: 'tests' missing"),
        (row(oracle={"tests": [], "task_id": "y"}), "oracle: unknown key 'task_id'"),
        (row(oracle={"tests": {}}), "tests: wanted a list, got {}"),
        (row(oracle={"tests": [], "trust": "value"}), "wanted one of 'values', 'script', got 'value' (did you mean"),
        (row(oracle={"tests": [], "limits": {"cpu": 1}}), "limits: unknown key 'cpu' (did you mean 'cpu_s'?)"),
        (row(oracle={"tests": [], "limits": {"memory_mb": 1.5}}), "limits: memory_mb: wanted int, got 1.5"),
        (row(oracle={"tests": [], "limits": 3}), "limits: wanted an object, got 3"),
        (with_test(kind="cal"), "got 'cal' (did you mean 'call'?)"),
        (with_test(expect=1), "test 'a': unknown key 'expect' (did you mean 'expected'?)"),
        (with_test(args=1), "args: wanted a list, got 1"),
        (with_test(args=[{"tupel": []}]), "malformed 'tupel' form"),
        (with_test(expected={"a": 1, "b": 2}), "wanted a JSON form of a plain value"),
        (with_test(comparator={"mode": "same"}), "comparator: mode: wanted one of 'exact'"),
        (with_test(comparator={"strict": 0}), "comparator: strict: wanted bool, got 0"),
        (row(aliases="y"), "aliases: wanted a list of names, got 'y'"),
        (row(id="first"), "id 'first' is used twice, first at FILE:1; give every task its own"),
        ({"taskset": "x", "id": "y"}, "first row: unknown key 'id'"),
    ],
)
def test_errors_name_the_line_and_the_key(tmp_path, bad, message):
    path = tmp_path / "tasks.jsonl"
    path.write_text(json.dumps(row(id="first")) + "\n\n" + json.dumps(bad))
    with pytest.raises(TaskError, match=re.escape(f"{path}:3: ")) as caught:
        jsonl.load(path)
    assert message.replace("FILE", str(path)) in str(caught.value)


def test_files_that_are_no_task_files(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        jsonl.load(tmp_path / "absent.jsonl")
    path = tmp_path / "tasks.jsonl"
    path.write_text(json.dumps(row()) + "\n[1]\n")
    with pytest.raises(TaskError, match=r"tasks\.jsonl:2: wanted a JSON object, got '\[1\]'"):
        jsonl.load(path)
    path.write_text(json.dumps(row()) + "\n{")
    with pytest.raises(TaskError, match=r"tasks\.jsonl:2: "):
        jsonl.load(path)
    (tmp_path / "tasks.jsonl.gz").write_text("no gzip")
    with pytest.raises(TaskError, match=r"tasks\.jsonl\.gz"):
        jsonl.load(tmp_path / "tasks.jsonl.gz")
    damaged = bytearray(gzip.compress(json.dumps(row()).encode()))
    damaged[10] = 0b111  # the first byte behind the header: a block of a kind that does not exist
    (tmp_path / "tasks.jsonl.gz").write_bytes(damaged)
    with pytest.raises(TaskError, match=r"tasks\.jsonl\.gz"):
        jsonl.load(tmp_path / "tasks.jsonl.gz")


def test_an_alias_is_that_of_one_task(tmp_path):
    path = tmp_path / "tasks.jsonl"
    path.write_text("".join(json.dumps(row(id=name, aliases=["Toy/1", "Toy/1"])) + "\n" for name in ("a", "b")))
    with pytest.raises(TaskError, match=r":2: alias 'Toy/1' is that of 'a', too"):
        jsonl.load(path)


@pytest.mark.parametrize(("language", "stub"), [("javascript", ""), ("c", "double mean(double a, double b);")])
def test_shown_tests_have_the_values_of_the_language(tmp_path, language, stub):
    path = tmp_path / "tasks.jsonl"
    test = {"kind": "call", "name": "a", "args": [1, 3], "expected": 2}
    one = row(language=language, stub=stub, entry_point="mean", public_tests=[test], oracle={"tests": [test]})
    path.write_text(json.dumps(one))
    (task,) = jsonl.load(path).tasks
    (shown,) = task.public_tests
    assert [type(value) for value in (*shown.args, shown.expected)] == [float] * 3
    assert shown == jsonl.load(path).oracle(task).tests[0]


def test_values_that_cannot_be_written(tmp_path):
    tests = (CallTest("a", (object(),), 1),)
    tasks = TaskSet("toy", (Task(id="x", prompt="p"),), {"x": Oracle(task_id="x", tests=tests)}, {})
    with pytest.raises(TaskError, match="x: value of type 'object' is not plain data"):
        jsonl.dump(tasks, tmp_path / "tasks.jsonl")
