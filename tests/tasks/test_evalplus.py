"""MBPP+ and HumanEval+: typed inputs, comparators, and expected values from the canonical solutions."""

import contextlib
import copy
import gzip
import json
import warnings

import pytest

from verigrad.errors import ConfigError, TaskError
from verigrad.sandbox.compare import equal
from verigrad.tasks import evalplus
from verigrad.tasks.restore import restore_types
from verigrad.types import Comparator

HUMANEVAL_ROW = {
    "task_id": "HumanEval/127",
    "prompt": 'def f(a, b):\n    """Meet."""\n',
    "canonical_solution": "    return sum(a) / b\n",
    "entry_point": "f",
    "test": "def check(candidate):\n    assert candidate((1, 2), 2) == 1.5\n",
    "base_input": [[[1, 2], 2]],
    "plus_input": [[[], 4], [[3], 3]],
    "atol": 0,
}


def write(tmp_path, *rows):
    path = tmp_path / "Plus.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_rows_and_expected_values(tmp_path):
    path = write(tmp_path, HUMANEVAL_ROW)
    (row,) = evalplus.read(path)
    assert row.inputs == (((1, 2), 2), ((), 4), ((3,), 3))
    assert row.num_base == 1
    tasks = evalplus.with_expected([row], {"HumanEval/127": [1.5, 0, evalplus.NO_VALUE]})
    oracle = tasks.oracles["humanevalplus@1/127"]
    assert [(test.name, test.args, test.expected) for test in oracle.tests] == [
        ("base 0", ((1, 2), 2), 1.5),
        ("plus 0", ((), 4), 0),
    ]
    # EvalPlus allows 1e-6 for floats and nothing for the rest, where the row itself has no tolerance.
    assert [test.comparator for test in oracle.tests] == [
        Comparator(strict=False, atol=1e-6, rtol=1e-7),
        Comparator(strict=False),
    ]
    assert oracle.gold == HUMANEVAL_ROW["prompt"] + HUMANEVAL_ROW["canonical_solution"]
    assert tasks.aliases == {"HumanEval/127": "humanevalplus@1/127"}
    assert tasks == evalplus.load(path, expected={"HumanEval/127": [1.5, 0, evalplus.NO_VALUE]})


@pytest.mark.parametrize("check", ["tuple(candidate((1, 2), 2)) == (1, 2)", "candidate((1, 2), 2) in ([1, 2], 3)"])
def test_answers_that_one_assert_lists_are_its_own(tmp_path, check):
    """HumanEval/37 has the first form: a list is expected as a whole, and none of its items is right."""
    row = {**HUMANEVAL_ROW, "test": f"def check(candidate):\n    assert {check}\n"}
    tasks = evalplus.with_expected(evalplus.read(write(tmp_path, row)), {"HumanEval/127": [[1, 2], [3], [3, 3]]})
    for test in tasks.oracles["humanevalplus@1/127"].tests:
        assert equal(test.expected, test.expected, test.comparator)
        assert not equal(test.expected[0], test.expected, test.comparator)


@pytest.mark.parametrize("prompt", ["Add two numbers.", "{[]: 1}", "(" * 300])
def test_prompts_that_are_no_docstring(tmp_path, prompt):
    row = {**HUMANEVAL_ROW, "task_id": "Mbpp/2", "prompt": prompt}
    with pytest.raises(TaskError, match=r"Plus\.jsonl:1: wanted a docstring under 'prompt'"):
        evalplus.read(write(tmp_path, row))


def test_expected_values_must_fit(tmp_path):
    rows = evalplus.read(write(tmp_path, HUMANEVAL_ROW))
    with pytest.raises(TaskError, match="wanted 3 expected values, got 0"):
        evalplus.with_expected(rows, {})
    with pytest.raises(TaskError, match="wanted a plain value or NO_VALUE, got a function"):
        evalplus.with_expected(rows, {"HumanEval/127": [test_expected_values_must_fit] * 3})
    with pytest.raises(ConfigError, match="evalplus-base"):
        evalplus.load(write(tmp_path, HUMANEVAL_ROW))


def test_without_any_value_the_original_asserts_decide(tmp_path):
    rows = evalplus.read(write(tmp_path, HUMANEVAL_ROW, {**HUMANEVAL_ROW, "task_id": "HumanEval/32"}))
    nothing = [evalplus.NO_VALUE] * 3
    tasks = evalplus.with_expected(rows, {"HumanEval/127": nothing, "HumanEval/32": [1, 2, 3]})
    base = evalplus.load_base(write(tmp_path, HUMANEVAL_ROW))
    assert tasks.oracles["humanevalplus@1/127"].tests == base.oracles["humanevalplus-base@1/127"].tests
    # Any root is right in 32, so no expected value can say what is wrong.
    assert [test.expected for test in tasks.oracles["humanevalplus@1/32"].tests] == [1.5]


def test_unknown_families_are_refused(tmp_path):
    with pytest.raises(TaskError, match="'Other/1'"):
        evalplus.read(write(tmp_path, {**HUMANEVAL_ROW, "task_id": "Other/1"}))


def test_types_follow_the_examples():
    # Positions in a container are pooled, so `[4]` is a tuple although the example's first item is a number.
    assert restore_types([[[4], 5]], [([1, [2]], (1, (2,)))]) == [((4,), 5)]
    # Both kinds seen: no telling, a list.
    assert restore_types([[1]], [([1], (1,)), ([2], [2])]) == [[1]]
    assert restore_types([{"a": [1]}], [({"k": [3]}, {"k": (3,)})]) == [{"a": (1,)}]
    assert restore_types([[1, 1]], [([2], {2})]) == [{1}]
    # Text is a number only if all examples are and all text reads as one.
    assert restore_types(["1", "apple"], [(2, 2)]) == ["1", "apple"]
    assert restore_types(["1", 2], [("3", 3)]) == [1.0, 2]


@pytest.fixture(scope="module")
def rows(data_file):
    return evalplus.read(data_file("MbppPlus.jsonl.gz"))


def test_mbppplus_inputs(rows):
    """The numbers of the file: 378 tasks; one input of Mbpp/301 nests a hundred dictionaries and is left out."""
    assert len(rows) == 378
    assert sum(len(row.inputs) for row in rows) == 41_015 - 1
    by_id = {row.task_id: row for row in rows}
    assert by_id["Mbpp/2"].inputs[0] == ((3, 4, 5, 6), (5, 7, 4, 10))
    assert by_id["Mbpp/124"].inputs[0] == (0j, 1j) or by_id["Mbpp/124"].inputs[0] == (0.0, 1j)
    assert by_id["Mbpp/252"].inputs[3] == (1 + 2j,)
    assert by_id["Mbpp/580"].inputs[0] == ((4, 5, (7, 6, (2, 4)), 6, 8),)
    assert by_id["Mbpp/722"].inputs[0][0]["Cierra Vega"] == (6.2, 70)


def test_mbppplus_inputs_meet_the_contracts(rows, data_file):
    """A contract says which arguments are valid, types included; the few it refuses are refused for other reasons.

    267 and 734 hold floats and empty lists against their contracts, 301's fails inside its own recursion, and 751's
    is indented wrongly.
    """
    with gzip.open(data_file("MbppPlus.jsonl.gz"), "rt") as lines:
        contracts = {row["task_id"]: row["contract"] for row in map(json.loads, lines)}
    refused = set()
    for row in rows:
        if row.task_id == "Mbpp/751":
            continue
        lines = row.gold.split("\n")
        start = next(k for k, line in enumerate(lines) if line.startswith(f"def {row.entry_point}"))
        names = {}
        warnings.simplefilter("ignore")  # some canonical solutions have doubtful escapes
        exec("\n".join([*lines[: start + 1], contracts[row.task_id], *lines[start + 1 :]]), names)
        for args in row.inputs[:8]:
            try:
                names[row.entry_point](*copy.deepcopy(args))
            except AssertionError:
                refused.add(row.task_id)
    assert refused == {"Mbpp/267", "Mbpp/301", "Mbpp/734"}


def test_mbppplus_comparators(rows):
    """Those of EvalPlus's own evaluator for the tasks in this file."""
    modes = {row.task_id: row.comparator.mode for row in rows if row.comparator.mode != "exact"}
    sets = {task_id for task_id, mode in modes.items() if mode == "set"}
    assert sets == {f"Mbpp/{number}" for number in (2, 7, 111, 140, 232, 579, 769)}
    assert {f"Mbpp/{number}" for number in (737, 787, 794)} <= set(modes) - sets
    assert {row.comparator.atol for row in rows} == {0.0, 0.0001}


def test_mbppplus_base(data_file, failures):
    tasks = evalplus.load_base(data_file("MbppPlus.jsonl.gz"))
    assert len(tasks) == 378
    scripts = [task.id for task in tasks.tasks if tasks.oracle(task).trust == "script"]
    assert scripts == ["mbppplus-base@1/596"]  # compares with sys.getsizeof
    for task in tasks.tasks:
        oracle = tasks.oracle(task)
        if oracle.trust == "values":
            assert failures(oracle.gold, task.entry_point, oracle.tests) == [], task.id


def test_mbppplus_with_values_from_gold(rows, failures):
    """Gold passes tests made of what gold returns, by comparators that EvalPlus's second readings widen."""
    some = [row for row in rows if row.task_id in ("Mbpp/2", "Mbpp/558", "Mbpp/581", "Mbpp/82", "Mbpp/96")]
    expected = {}
    for row in some:
        names = {}
        with contextlib.suppress(ImportError):
            exec(row.gold, names)
        expected[row.task_id] = [names[row.entry_point](*copy.deepcopy(args)) for args in row.inputs]
    tasks = evalplus.with_expected(some, expected)
    for task in tasks.tasks:
        assert failures(tasks.oracle(task).gold, task.entry_point, tasks.oracle(task).tests) == []
    # 12 and 345: without padding |1-3| + |2-4| = 4; as 012 it is 3 + |1-4| + |2-5| = 9.
    row = next(row for row in some if row.task_id == "Mbpp/558")
    test = evalplus._make_test(row, "x", (12, 345), 4)
    assert (test.expected, test.comparator.mode) == ([4, 9], "any_of")
    # Base 6, height 4: slant 5, so 36 + 2 * 6 * 5 = 96; with 4 taken for the slant, 36 + 48 = 84.
    row = next(row for row in some if row.task_id == "Mbpp/581")
    assert evalplus._make_test(row, "x", (6, 4), 84).expected == [84, 96]


def test_mbppplus_prompts(rows):
    assert rows[0].prompt == (
        "Write a function to find the shared elements from the given two lists.\n"
        "Your code should pass this test:\n\n"
        "assert set(similar_elements((3, 4, 5, 6),(5, 7, 4, 10))) == set((4, 5))"
    )
    assert all(row.prompt.count("\nassert ") == 1 for row in rows)
