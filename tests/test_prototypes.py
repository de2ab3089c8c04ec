"""Prototypes of C and C++: what is read, how values fit, what is refused."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verigrad.prototypes import parse


@pytest.mark.parametrize(
    ("source", "language", "text"),
    [
        ("int f(int a, int b);", "c", "int f(int, int)"),
        ("static inline unsigned long long f(void) {", "c", "unsigned long long f()"),
        ("int g(int f);\n#include <f.h>\n// int f(char)\n/* int f(bool) */ const char *f(const char *s)", "c", None),
        ("double f(const double values[], size_t n)", "c", "double f(double *, size_t)"),
        ("bool f(const char *words[], int n)", "c", "bool f(char * *, int)"),
        ("#include <vector>\nusing namespace std;\nlong f(const vector<pair<int, string>> &v)", "cpp", None),
        ("std::map<char, std::set<uint8_t>> f(std::unordered_map<std::string, bool> m = {})", "cpp", "!"),
        ("std::tuple<int, double, std::vector<bool>> f(int x)", "cpp", None),
        ("int *f(int x)", "c", "!"),
        ("void f(int *x)", "c", "!"),
        ("int f(int **x)", "c", "!"),
        ("long double f(int x)", "c", "!"),
        ("int f(struct point p)", "c", "!"),
        ("int f(int (*g)(int))", "c", "!"),
        ("int f(int x, ...)", "c", "!"),
        ("int f(std::array<int, 3> x)", "cpp", "!"),
        ("int f(int *x)", "cpp", "!"),
        ("auto f(int x)", "cpp", "!"),
        ("int g(int x)", "c", "!"),
        ("", "c", "!"),
        ("return f(x)", "c", "!"),
    ],
)
def test_what_is_read(source, language, text):
    if text == "!":
        with pytest.raises(ValueError, match=r"supported are|no prototype of f; wanted one such as 'int f\(int x\);'"):
            parse(source, "f", language)
        return
    found = parse(source, "f", language)
    assert text is None or str(found) == text
    assert parse(str(found), "f", language) == found  # its text says all of it


def test_nested_types():
    found = parse("std::vector<std::vector<long>> f(const std::string& s, std::pair<char, bool>)", "f", "cpp")
    assert found.returns.spelling == "std::vector<std::vector<long>>"
    assert [kind.kind for kind in found.parameters] == ["text", "tuple"]
    assert found.returns.items[0].items[0].bits == 64


@pytest.mark.parametrize(
    ("kind", "value", "wanted"),
    [
        ("double", 2, 2.0),
        ("int", 2**31 - 1, 2**31 - 1),
        ("int", 2**31, None),
        ("unsigned char", 255, 255),
        ("unsigned char", -1, None),
        ("signed char", -128, -128),
        ("unsigned long", 2**64 - 1, 2**64 - 1),
        ("int", True, None),
        ("int", 1.0, None),
        ("bool", 1, None),
        ("char", "a", "a"),
        ("char", "ab", None),
        ("char", "é", None),
        ("std::string", "é\0", None),
        ("std::vector<double>", (1, 2), [1.0, 2.0]),
        ("std::vector<int>", {1}, None),
        ("std::pair<int, double>", [1, 2], (1, 2.0)),
        ("std::pair<int, int>", [1, 2, 3], None),
        ("std::set<int>", frozenset({1}), {1}),
        ("std::map<std::string, std::vector<int>>", {"a": (1,)}, {"a": [1]}),
        ("std::map<int, int>", {"a": 1}, None),
        ("int", None, None),
        ("std::string", b"a", None),
    ],
)
def test_how_values_fit(kind, value, wanted):
    (parameter,) = parse(f"int f({kind} x)", "f", "cpp").parameters
    if wanted is None:
        with pytest.raises(ValueError, match=r"wanted|fit|null"):
            parameter.fit(value)
    else:
        assert repr(parameter.fit(value)) == repr(wanted)


def test_how_many_arguments():
    with pytest.raises(ValueError, match="f takes 1 arguments, got 2"):
        parse("int f(int x)", "f", "c").fit((1, 2))


@settings(max_examples=50)
@given(st.dictionaries(st.text(), st.lists(st.tuples(st.floats(allow_nan=False), st.booleans()))))
def test_answers_are_read_back(value):
    """The form drivers write: arrays for containers, pairs for dicts."""
    kind = parse("std::map<std::string, std::vector<std::pair<double, bool>>> f(int x)", "f", "cpp").returns
    form = json.loads(json.dumps([[key, [list(pair) for pair in item]] for key, item in value.items()]))
    assert kind.read(form) == value


@pytest.mark.parametrize("form", [None, 1, {"a": 1}, [1], [[1, 2]], [["a", 1.5]], [["a", [1]], ["b"]]])
def test_forged_answers_are_refused(form):
    with pytest.raises(ValueError, match=r"malformed|wanted"):
        parse("std::map<std::string, std::vector<bool>> f(int x)", "f", "cpp").returns.read(form)
