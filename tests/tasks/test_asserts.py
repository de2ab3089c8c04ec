"""Assert scripts to call tests, worked by hand; the last tests compare with running the asserts themselves."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verigrad.errors import TaskError
from verigrad.tasks.asserts import EQUAL, assert_sources, make_oracle, parse_asserts
from verigrad.tasks.constants import Evaluator, NotConstant
from verigrad.types import CallTest, Comparator, ScriptTest


def one(source):
    (test,) = parse_asserts(source, "f")
    return test


@pytest.mark.parametrize(
    ("source", "args", "expected", "comparator"),
    [
        ("assert f(1, [2]) == (3,)", (1, [2]), (3,), EQUAL),
        ("assert f('a') == 'b', 'message'", ("a",), "b", EQUAL),
        ("assert (f (-1)) == {'k': {1, 2}}", (-1,), {"k": {1, 2}}, EQUAL),
        ("assert 4 == f(2)", (2,), 4, EQUAL),
        ("assert f() == True", (), True, EQUAL),
        ("assert f() is True", (), True, Comparator()),
        ("assert f() is None", (), None, Comparator()),
        ("assert f(0)", (0,), True, Comparator("truthy", strict=False)),
        ("assert not f(0)", (0,), False, Comparator("truthy", strict=False)),
        ("assert f(1) in (2, 3)", (1,), [2, 3], Comparator("any_of", strict=False)),
        ("assert f(1) in {'b', 'a'}", (1,), ["a", "b"], Comparator("any_of", strict=False)),
        ("assert set(f(1)) == set([2, 1, 2])", (1,), [1, 2], Comparator("set", strict=False)),
        ("assert set(f(1)) == {'b', 'a'}", (1,), ["a", "b"], Comparator("set", strict=False)),
        ("assert sorted(f(1)) == [1, 2]", (1,), [1, 2], Comparator("multiset", strict=False)),
        ("assert tuple(f(1)) == tuple([1, 2])", (1,), [[1, 2], (1, 2)], Comparator("any_of", strict=False)),
        ("assert abs(f(1) - 2.5) <= 0.5", (1,), 2.5, Comparator(strict=False, atol=0.5)),
        ("assert abs(2.5 - f(1)) <= 0.5", (1,), 2.5, Comparator(strict=False, atol=0.5)),
        ("assert math.isclose(f(1), 2, rel_tol=0.001)", (1,), 2, Comparator(strict=False, rtol=0.001)),
        ("assert math.isclose(2, f(1), abs_tol=1)", (1,), 2, Comparator(strict=False, rtol=1e-9, atol=1.0)),
    ],
)
def test_each_form(source, args, expected, comparator):
    test = one(source)
    assert (test.args, test.expected, test.comparator) == (args, expected, comparator)
    assert type(test.expected) is type(expected)


def test_a_strict_bound_excludes_the_bound():
    """`abs(f(x) - 5) < 1` fails for 4, so no tolerance that admits a distance of 1 will do."""
    assert one("assert abs(f(1) - 5) < 1").comparator.atol == math.nextafter(1.0, 0.0)
    assert one("assert abs(f(1) - 5) < 1e-6").comparator.atol < 1e-6
    # round(x, 1) == 2.5 holds for 2.45 < x < 2.55
    assert one("assert round(f(1), 1) == 2.5").comparator.atol == pytest.approx(0.05)
    assert one("assert round(f(1)) == 2").comparator.atol < 0.5


def test_keyword_arguments_and_order():
    tests = parse_asserts("assert f(1, b=[2]) == 3\nassert f() == 4", "f")
    assert tests == (CallTest("0", (1,), 3, {"b": [2]}, EQUAL), CallTest("1", (), 4, {}, EQUAL))


def test_check_function_constants_and_loops():
    """The shape of HumanEval's tests 44 and 151."""
    script = """
METADATA = {'author': 'someone'}
import math
def helper(x):
    return x
def check(candidate):
    print
    assert True, "always"
    for x, y in [(2, 3), (4, 5)]:
        assert candidate(x, x + 1) == str(y)
    odd = list(range(-3, 4, 2))
    total = sum([i ** 2 for i in odd if i > 0])
    assert candidate(odd) == total
check(f)
"""
    tests = parse_asserts(script, "f")
    assert [(test.args, test.expected) for test in tests] == [
        ((2, 3), "3"),
        ((4, 5), "5"),
        (([-3, -1, 1, 3],), 10),
    ]


@pytest.mark.parametrize(
    "script",
    [
        "assert f(open('x')) == 1",  # not a constant
        "assert f(1) == g(1)",
        "assert f(1) == f(2)",
        "assert f(f(1)) == 1",
        "assert f(1) != 2",
        "assert f(1) > 2",
        "assert f(1) == 1 == 1",
        "assert f(1) == 1 and f(2) == 2",
        "assert abs(f(1) - 2) > 0.1",
        "assert abs(f(1) - 'a') < 0.1",
        "assert sorted(f(1)) == [2, 1]",  # never holds
        "assert round(f(1), 1) == 2.55",  # never holds
        "assert f(*[1]) == 1",
        "assert f(**{'a': 1}) == 1",
        "assert f(1) == 1\nassert False",
        "assert f(1) == 1\nassert f(2).x == 2",  # one bad apple
        "x = f(1)\nassert f(1) == 1",  # a call whose effects are lost
        "f = g\nassert f(1) == 1",
        "def f(x): return x\nassert f(1) == 1",
        "while True: pass",
        "import random\nx = random.random()\nassert f(x) == x",
        "assert f(1) == object()",
        "assert f(range(3)) == 1",  # not plain data
        "def isclose(a, b): return abs(a - b) < 0.1\nassert isclose(f(1), 2)",  # not the one of math
        "from numpy import isclose\nassert isclose(f(1), 2)",  # which has another tolerance
        "from numpy import round\nassert round(f(1), 1) == 2.5",
        "import cmath as math\nassert math.isclose(f(1), 2)",
        "sorted = list\nassert sorted(f(1)) == [1, 2]",
        "def max(*a): return 0\nassert f(max(1, 2)) == 2",
        "assert f(1 ==",
    ],
)
def test_anything_else_stays_a_script(script):
    with pytest.raises(NotConstant):
        parse_asserts(script, "f")
    oracle = make_oracle("x@1/0", script, entry_point="f", gold="def f(x): ...")
    assert oracle.trust == "script"
    assert oracle.tests == (ScriptTest("script", script.rstrip() + "\n"),)


@pytest.mark.parametrize(
    "script",
    [
        "",
        "x = 1",
        "def test_f():\n    assert f(1) == 2\n",  # for pytest to call
        "import unittest\nclass T(unittest.TestCase):\n    def test_f(self):\n        self.assertEqual(f(1), 2)\n",
        "def test_f():\n    assert f(1) == 2\nif __name__ == '__main__':\n    test_f()\n",
        "def check(candidate, places=1):\n    assert candidate(1) == 2\n",  # no check function that is called for it
    ],
)
def test_a_script_that_every_program_would_pass_is_refused(script):
    exec(script, {"__name__": "program", "f": lambda x: "wrong"})  # which says nothing
    with pytest.raises(TaskError, match="x@1/0: its test script checks nothing"):
        make_oracle("x@1/0", script, entry_point="f")


def test_a_script_that_calls_its_tests_stays():
    script = "def test_f():\n    assert f(1) == 2\ntest_f()\n"
    assert make_oracle("x@1/0", script, entry_point="f").tests == (ScriptTest("script", script),)


def test_a_script_with_a_check_function_calls_it():
    script = "def check(candidate):\n    assert candidate(g()) == 1\n"
    (test,) = make_oracle("x@1/0", script, entry_point="f").tests
    names = {"f": lambda x: x, "g": lambda: 1}
    exec(test.source, names)
    with pytest.raises(AssertionError):
        exec(test.source, {**names, "g": lambda: 2})


def test_shown_asserts_call_the_function_by_name():
    script = "def check(candidate):\n    assert candidate({'a':1})==4\n    assert  candidate( 'candidate' ) == 2, 'm'\n"
    assert assert_sources(script, "depth") == ["assert depth({'a':1})==4", "assert  depth( 'candidate' ) == 2, 'm'"]
    assert assert_sources("x = 1\nassert f(x)", "f") == ["assert f(x)"]


CONSTANTS = [
    "'a' * 3 + 'b'",
    "[1, 2] * 2 + [-3]",
    "2 ** 10 // 3 % 7, 1 / 4, 1 << 4, 6 & 3 | 8 ^ 1, ~5",
    "float('inf'), -1e3, 1j * 2, complex(1, 2)",
    "set([1, 2]), frozenset((1,)), dict(a=1), dict([(1, 2)]), tuple('ab'), list(range(2, 8, 3))",
    "sorted([3, 1, 2], reverse=True)[0], max(1, 2), min([1, 2]), abs(-1), round(2.567, 1), len('abc')",
    "[i * j for i in range(3) for j in range(i) if i + j > 1]",
    "{k: v for k, v in [(1, 'a'), (2, 'b')]}, {x % 2 for x in range(5)}, sum(x for x in (1, 2))",
    "'abc'[1:], [1, 2, 3][::-1], {'a': 1}['a'], (1, 2)[-1]",
    "1 < 2 <= 2 != 3, 1 in [1], 'x' not in 'abc', not 0, 1 and 0 or 'd', 5 if 1 else 6, None is None",
    "int('7'), str(1.5), bool([]), chr(97), ord('a')",
    "b'ab' + b'c', True, None, ...",
]


@pytest.mark.parametrize("source", CONSTANTS)
def test_constants_mean_what_python_means(source):
    assert repr(Evaluator().evaluate_source(source)) == repr(eval(source))


_ARITHMETIC = st.recursive(
    st.integers(0, 20).map(str),
    lambda inner: st.tuples(inner, st.sampled_from(["+", "-", "*", "//", "%", "<", "and"]), inner).map(
        lambda parts: f"({' '.join(parts)})"
    ),
    max_leaves=8,
)


@given(_ARITHMETIC)
def test_arithmetic_agrees_with_eval(source):
    try:
        expected = eval(source)
    except ZeroDivisionError:
        with pytest.raises(NotConstant):
            Evaluator().evaluate_source(source)
    else:
        assert Evaluator().evaluate_source(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "10 ** 10 ** 10",
        "2 ** 3 ** 4 ** 5",
        "1 << 10 ** 9",
        "'a' * 10 ** 9",
        "10 ** 9 * [0]",
        "list(range(10 ** 9))",
        "sum(range(10 ** 30))",
        "[0 for i in range(10 ** 9)]",
        "[i for i in range(1000) for j in range(1000)]",
        "'%1000000000d' % 1",
        "1 / 0",
        "[][0]",
        "(lambda: 1)()",
        "''.join(['a'])",
        "__import__('os').getcwd()",
        "(1).__class__",
        "f'{1}'",
        "open('x')",
        "undefined",
        "1 +",
        "str([1])",
    ],
)
def test_what_is_no_constant_or_too_large(source):
    with pytest.raises(NotConstant):
        Evaluator().evaluate_source(source)


def test_doubling_in_a_loop_is_stopped():
    with pytest.raises(NotConstant):
        parse_asserts("x = 'a'\nfor i in range(100):\n    x = x + x\nassert f(x) == 1", "f")
    with pytest.raises(NotConstant):
        parse_asserts("x = 3\nfor i in range(100):\n    x = x * x\nassert f(x) == 1", "f")


def test_comprehension_variables_stay_inside():
    evaluator = Evaluator({"x": "outer"})
    assert evaluator.evaluate_source("([x for x in (1, 2)], x)") == ([1, 2], "outer")


@given(
    st.lists(st.integers(0, 2), max_size=3),
    st.sampled_from([list, tuple]),
    st.sampled_from(
        ["set(f(1)) == {0, 1}", "sorted(f(1)) == [0, 1, 1]", "tuple(f(1)) == (0, 1)", "f(1) in ([0], (1,))"]
    ),
)
def test_a_program_passes_the_test_exactly_when_it_passes_the_assert(agrees, items, kind, condition):
    value = kind(items)
    test = one(f"assert {condition}")
    assert agrees(value, test.expected, test.comparator) == eval(condition, {"f": lambda x: value})
