"""Where the benchmark files lie, and Python's own meaning of the comparators, for gold solutions in this process."""

import contextlib
import copy
import io
import os
import warnings
from pathlib import Path

import pytest

DATA = Path(os.environ.get("VERIGRAD_DATA") or Path(__file__).parents[3] / "shared" / "data")


@pytest.fixture(scope="session")
def data_file():
    """`data_file(name)`: path of a benchmark file, or skip."""

    def find(name):
        if not (DATA / name).is_file():
            pytest.skip(f"{name} is not in {DATA}; set VERIGRAD_DATA to the folder that holds it")
        return DATA / name

    return find


def _agrees(value, expected, comparator):
    """What the assert a test was made from would say, written with Python's own operators."""
    if comparator.mode == "truthy":
        return bool(value) == expected
    if comparator.mode == "any_of":
        return any(value == one for one in expected)
    if comparator.mode == "set":
        return set(value) == set(expected)
    if comparator.mode == "multiset":
        return sorted(value) == sorted(expected)
    if comparator.strict:
        return value is expected
    if comparator.atol or comparator.rtol:
        return abs(value - expected) <= max(comparator.atol, comparator.rtol * max(abs(value), abs(expected)))
    return value == expected


@pytest.fixture(scope="session")
def agrees():
    return _agrees


@pytest.fixture(scope="session")
def failures():
    """`failures(program, entry_point, tests)`: names of the call tests that a trusted program fails."""

    def run(program, entry_point, tests):
        names = {"__name__": "gold"}
        failed = []
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some canonical solutions have doubtful escapes
            exec(compile(program, "<gold>", "exec"), names)
            for test in tests:
                value = names[entry_point](*copy.deepcopy(test.args), **test.kwargs)
                if not _agrees(value, test.expected, test.comparator):
                    failed.append(test.name)
        return failed

    return run
