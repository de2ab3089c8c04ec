"""Signatures, read from programs that never run; the reference for what binds is Python itself."""

import ast
import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verigrad.rewards.base import Answer
from verigrad.rewards.signature import accepts, signature, wanted_calls
from verigrad.types import CallTest, Oracle, PropertyTest, Task, Verdict

TASK = Task(id="t", prompt="", entry_point="f")
ORACLE = Oracle(task_id="t", tests=(CallTest("a", (1, 2), 3), CallTest("b", (1,), 3, {"b": 2})))


def value(program, task=TASK, verdict=None, **known):
    return signature(task, Answer("", program), verdict, **({"oracle": ORACLE} | known)).value


@pytest.mark.parametrize(
    ("program", "fits"),
    [
        ("def f(a, b): return a + b", 1),
        ("def f(a, b=0, *rest): return a", 1),
        ("def f(*args, **kwargs): return 0", 1),
        ("f = lambda a, b: a + b", 1),
        ("try:\n    import x\nexcept ImportError:\n    def f(a, b): return a", 1),
        ("def f(a): return a", 0),
        ("def f(a, b, c): return a", 0),
        ("def f(x, y): return x", 0),  # one of the calls names b
        ("def f(a, b, /): return a", 0),
        ("async def f(a, b): return a", 0),
        ("def f(a, b): return a\nf = 3", 0),
        ("def f(a, b): return a\nclass f: x = 1", 0),
        ("class C:\n    def f(a, b): return a", 0),
        ("def g(a, b): return a", 0),
        ("def f(a, b): pass", 0),
        ("def f(a, b):\n    'Adds.'\n    ...", 0),
        ("def f(a, b):\n    raise NotImplementedError('later')", 0),
        ("", 0),
        (None, 0),
    ],
)
def test_by_the_calls_of_the_tests(program, fits):
    assert value(program) == fits


@pytest.mark.parametrize(
    "program", ["def g(a, b): return a + b\nf = g", "class f(int):\n    def __new__(c, a, b): ...\n"]
)
def test_what_passes_has_taken_its_arguments(program):
    assert value(program) == 0
    assert value(program, verdict=Verdict(status="failed", results=())) == 0
    assert value(program, verdict=Verdict(status="passed", results=())) == 1


def test_by_stub_and_reference_where_no_test_says():
    stub = Task(id="t", prompt="", entry_point="f", stub="def f(a, b=1, *, c):\n")
    assert wanted_calls(stub) == {(1, frozenset({"c"})), (2, frozenset({"c"}))}
    assert wanted_calls(TASK, reference="def f(a, b=1): return a") == {(1, frozenset()), (2, frozenset())}
    assert value("def f(a, b): return a", oracle=None, reference="def f(a, b=1): return a") == 0
    assert value("def f(a): return a", oracle=None) == 1  # nothing says: any will do


def test_a_task_without_entry_point_takes_any_program_that_acts():
    task = Task(id="t", prompt="")
    assert value("print(1)", task) == 1
    assert value("'nothing'\nimport os\npass", task) == 0


@given(
    st.sampled_from(
        ["", "a", "a, b", "a, b=1", "a, /, b", "a=1, /, b=2", "*, a", "*, a, b=1", "a, *r", "a, **k", "a, /, **k"]
    ),
    st.integers(0, 3),
    st.frozensets(st.sampled_from("abz"), max_size=3),
)
def test_accepts_what_python_binds(parameters, count, names):
    function = ast.parse(f"lambda {parameters}: 0").body[0].value
    bound = inspect.signature(eval(f"lambda {parameters}: 0"))
    try:
        bound.bind(*range(count), **dict.fromkeys(names, 0))
        binds = True
    except TypeError:
        binds = False
    assert accepts(function, (count, names)) == binds


def test_properties_say_how_a_function_is_called():
    tests = (PropertyTest("a", ((1,), (1, 2))), PropertyTest("b", ("text",)))
    assert wanted_calls(TASK, oracle=Oracle(task_id="t", tests=tests)) == {(1, frozenset()), (2, frozenset())}
