"""MBPP in its three forms; the HumanEval-shaped file is checked against its own canonical solutions."""

import json

import pytest

from verigrad.errors import ConfigError, TaskError
from verigrad.tasks import mbpp
from verigrad.values import PlainValueError, encode

# Arguments or expected values that no constant can stand for: trees, a class of the solution's own, types.
SCRIPTS = {367, 533, 601, 927}

# Canonical solutions that fail their own asserts.
WRONG = {
    160: "the text 'No solution' became 'No candidate' when the file was made",
    596: "expects sys.getsizeof of another interpreter",
    607: "the canonical solution overwrites its arguments",
    631: "the canonical solution overwrites its argument",
    642: "expects one iteration order of sets",
}


@pytest.fixture(scope="module")
def tasks(data_file):
    return mbpp.load(data_file("mbpp.jsonl"))


def number(task):
    return int(task.id.rpartition("/")[2])


def test_conversion(tasks):
    assert len(tasks) == 974
    scripts = {number(task) for task in tasks.tasks if tasks.oracle(task).trust == "script"}
    assert scripts == SCRIPTS
    assert 1 - len(scripts) / len(tasks) >= 0.95
    assert sum(len(oracle.tests) for oracle in tasks.oracles.values() if oracle.trust == "values") == 2910


def test_gold_passes_every_converted_test(tasks, failures):
    failed = set()
    for task in tasks.tasks:
        oracle = tasks.oracle(task)
        if oracle.trust == "values" and failures(oracle.gold, task.entry_point, oracle.tests):
            failed.add(number(task))
    # Where set order or the interpreter decides, it may happen to agree.
    assert failed <= set(WRONG)
    assert {160, 607, 631} <= failed


def test_the_wrong_ones_fail_as_scripts_too(data_file, tasks):
    """So the fault is in the data, not in the conversion."""
    for line in data_file("mbpp.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["task_id"] in ("MBPP/160", "MBPP/607", "MBPP/631"):
            names = {}
            exec(tasks.oracles[tasks.aliases[row["task_id"]]].gold + row["test"], names)
            with pytest.raises(AssertionError):
                names["check"](names[row["entry_point"]])


def test_prompts_show_no_more_than_they_should(tasks, data_file):
    task = tasks.tasks[0]
    assert task.id == "mbpp@1/1"
    assert task.prompt.endswith(
        "for the given cost matrix cost[][] and a position (m, n) in cost[][].\n"
        "Your code should pass this test:\n\n"
        "assert min_cost([[1, 2, 3], [4, 8, 2], [1, 5, 3]], 2, 2) == 8"
    )
    assert task.stub == "def min_cost(cost, m, n):\n"
    assert task.public_tests == tasks.oracle(task).tests[:1]
    assert task.tag("split") == "few_shot"
    (bare,) = mbpp.load(data_file("mbpp.jsonl"), ids=[1], shown_tests=0).tasks
    assert "assert" not in bare.prompt
    assert bare.prompt.endswith("\nCall the function `min_cost`.")
    assert bare.public_tests == ()
    (full,) = mbpp.load(data_file("mbpp.jsonl"), ids="1", shown_tests=3).tasks
    assert full.prompt.count("assert min_cost(") == 3
    assert "these tests" in full.prompt


def test_ids_and_splits(data_file):
    sizes = {name: len(mbpp.load(data_file("mbpp.jsonl"), ids=name)) for name in mbpp.SPLITS}
    assert sizes == {"few_shot": 10, "test": 500, "validation": 90, "train": 374}
    chosen = mbpp.load(data_file("mbpp.jsonl"), ids="601-603,7")
    assert [task.id for task in chosen.tasks] == ["mbpp@1/7", "mbpp@1/601", "mbpp@1/602", "mbpp@1/603"]
    assert chosen.aliases["MBPP/602"] == chosen.aliases["Mbpp/602"] == "mbpp@1/602"
    with pytest.raises(ConfigError, match="did you mean 'train'"):
        mbpp.load(data_file("mbpp.jsonl"), ids="trian")
    with pytest.raises(ConfigError, match="no task of"):
        mbpp.load(data_file("mbpp.jsonl"), ids=[5000])


def test_gold_values_that_are_no_plain_data(tasks):
    """Four solutions return subclasses of dict, which equal the dicts expected."""
    found = set()
    for task in tasks.tasks:
        oracle = tasks.oracle(task)
        if number(task) in (40, 88, 653, 902):
            names = {}
            exec(oracle.gold, names)
            value = names[task.entry_point](*oracle.tests[0].args)
            with pytest.raises(PlainValueError):
                encode(value)
            assert dict(value) == oracle.tests[0].expected
            found.add(number(task))
    assert found == {40, 88, 653, 902}


ORIGINAL = {
    "text": "Write a function to add.",
    "code": "import math\r\ndef helper(x):\r\n  return x\r\ndef add(a, b):\r\n  return helper(a) + b",
    "task_id": 700,
    "test_setup_code": "",
    "test_list": ["assert add(1, 2) == 3", "assert add([1], [2]) == [1, 2]"],
    "challenge_test_list": [],
}
SANITIZED = {
    "source_file": "x",
    "task_id": 20,
    "prompt": "Write a function to root.",
    "code": "def root(x):\n    return x ** 0.5",
    "test_imports": ["import math"],
    "test_list": ["assert math.isclose(root(2), 1.41421, rel_tol=0.001)", "assert root(4) == 2"],
}


def test_original_and_sanitised_forms(tmp_path, failures):
    path = tmp_path / "mbpp.jsonl"
    path.write_text(json.dumps(ORIGINAL) + "\n" + json.dumps(SANITIZED) + "\n")
    tasks = mbpp.load(path)
    add, root = tasks.tasks
    assert (add.id, add.entry_point, root.id, root.entry_point) == ("mbpp@1/700", "add", "mbpp@1/20", "root")
    assert add.prompt == "Write a function to add.\nYour code should pass this test:\n\nassert add(1, 2) == 3"
    assert [test.expected for test in tasks.oracle(add).tests] == [3, [1, 2]]
    assert tasks.oracle(root).tests[0].comparator.rtol == 0.001
    for task in tasks.tasks:
        assert failures(tasks.oracle(task).gold, task.entry_point, tasks.oracle(task).tests) == []


def test_setup_code_makes_a_script(tmp_path):
    row = {**ORIGINAL, "test_setup_code": "root = object()", "test_list": ["assert add(root, 0) is root"]}
    path = tmp_path / "mbpp.jsonl"
    path.write_text(json.dumps(row))
    (oracle,) = mbpp.load(path).oracles.values()
    assert oracle.trust == "script"
    assert oracle.tests[0].source == "root = object()\nassert add(root, 0) is root\n"


def test_malformed_rows(tmp_path):
    path = tmp_path / "mbpp.jsonl"
    path.write_text(json.dumps({**ORIGINAL, "test_list": ["assert other(1) == 1"]}))
    with pytest.raises(TaskError, match=r"mbpp\.jsonl:1: the tests call none of the functions.*add, helper"):
        mbpp.load(path)
    path.write_text(json.dumps({**ORIGINAL, "test_list": "assert add(1, 2) == 3"}))
    with pytest.raises(TaskError, match="wanted lists"):
        mbpp.load(path)
    path.write_text(json.dumps({**ORIGINAL, "test_list": [["assert add(1, 2) == 3"]]}))
    with pytest.raises(TaskError, match="wanted lists of text"):
        mbpp.load(path)
    path.write_text(json.dumps({key: value for key, value in ORIGINAL.items() if key != "task_id"}))
    with pytest.raises(TaskError, match=r"mbpp\.jsonl:1: wanted a number under 'task_id', got 'None'"):
        mbpp.load(path)
