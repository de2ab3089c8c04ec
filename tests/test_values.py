"""Plain values: the JSON form, round trips, and what is refused."""

import collections
import enum
import json
import math
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verigrad.values import MAX_DEPTH, MAX_INT_BITS, MAX_NODES, MAX_TEXT, PlainValueError, decode, encode

FORMS = [
    (None, None),
    (True, True),
    (2, 2),
    (2.0, 2.0),
    ("é", "é"),
    ([1, [2]], [1, [2]]),
    (2**53, 2**53),
    (2**53 + 1, {"int": "0x20000000000001"}),
    (-(2**53) - 1, {"int": "-0x20000000000001"}),
    (float("inf"), {"float": "inf"}),
    (float("-inf"), {"float": "-inf"}),
    (1 - 2j, {"complex": [1.0, -2.0]}),
    (b"\x00\xff", {"bytes": "AP8="}),
    ((), {"tuple": []}),
    ((1, (2,)), {"tuple": [1, {"tuple": [2]}]}),
    ({3}, {"set": [3]}),
    (frozenset({3}), {"frozenset": [3]}),
    ({}, {"dict": []}),
    ({1: {"a": None}}, {"dict": [[1, {"dict": [["a", None]]}]]}),
    ({(1, 2): 3}, {"dict": [[{"tuple": [1, 2]}, 3]]}),
]


@pytest.mark.parametrize(("value", "form"), FORMS)
def test_forms(value, form):
    encoded = encode(value)
    assert json.dumps(encoded) == json.dumps(form)  # text, because 2 == 2.0
    decoded = decode(json.loads(json.dumps(form)))
    assert decoded == value
    assert type(decoded) is type(value)


def test_nan_survives():
    assert encode(float("nan")) == {"float": "nan"}
    assert math.isnan(decode({"float": "nan"}))
    assert math.isnan(decode(encode(complex(0, float("nan")))).imag)


ATOMS = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary()),
    st.complex_numbers(allow_nan=False),
)
KEYS = st.recursive(ATOMS, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=3)
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        *(
            st.lists(inner, max_size=4),
            st.lists(inner, max_size=4).map(tuple),
            st.dictionaries(KEYS, inner, max_size=4),
        ),
        *(st.sets(KEYS, max_size=4), st.frozensets(KEYS, max_size=4)),
    ),
    max_leaves=12,
)


@given(VALUES)
def test_round_trip_through_json_text(value):
    assert repr(decode(json.loads(json.dumps(encode(value))))) == repr(value) or contains_set(value)
    assert decode(json.loads(json.dumps(encode(value)))) == value


def contains_set(value):
    """Sets may come back in another order of iteration."""
    if isinstance(value, dict):
        return any(contains_set(part) for pair in value.items() for part in pair)
    return isinstance(value, (set, frozenset)) or (isinstance(value, (list, tuple)) and any(map(contains_set, value)))


class Color(enum.IntEnum):
    RED = 1


class AlwaysEqual(list):
    def __eq__(self, other):
        return True

    __hash__ = None


REFUSED = [
    object(),
    Color.RED,
    AlwaysEqual(),
    collections.OrderedDict(a=1),
    collections.Counter("a"),
    collections.defaultdict(int),
    collections.deque([1]),
    collections.namedtuple("Point", "x")(1),
    type("Text", (str,), {})("a"),
    type("Flag", (float,), {})(1.0),
    range(3),
    bytearray(b"a"),
    memoryview(b"a"),
    (x for x in [1]),
    print,
    int,
    ...,
    ValueError("x"),
]


@pytest.mark.parametrize("value", REFUSED, ids=lambda value: type(value).__name__)
def test_only_exact_plain_types_pass(value):
    for wrapped in (value, [value], (1, value), {"a": value}):
        with pytest.raises(PlainValueError, match="not plain data"):
            encode(wrapped)


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def test_size_limits_are_where_they_say():
    encode(nested(MAX_DEPTH))
    encode([0] * (MAX_NODES - 1))
    encode("x" * MAX_TEXT)
    encode((1 << MAX_INT_BITS) - 1)
    cycle = []
    cycle.append(cycle)
    for value in (nested(MAX_DEPTH + 1), [0] * MAX_NODES, ["x" * MAX_TEXT, "y"], 1 << MAX_INT_BITS, cycle):
        with pytest.raises(PlainValueError):
            encode(value)


MALFORMED = [
    {},
    {"a": 1},
    {"tuple": [], "set": []},
    {"tuple": 1},
    {"set": [[]]},
    {"dict": [[1]]},
    {"dict": [[[], 1]]},
    {"dict": [1]},
    {"int": "12z"},
    {"int": "f" * MAX_INT_BITS},
    {"int": 3},
    {"float": "1e5"},
    {"float": "infinity"},
    {"float": 1.0},
    {"bytes": "A"},
    {"bytes": "é"},
    {"complex": [1]},
    {"complex": ["a", 1]},
    {"list": []},
    nested(3 * MAX_DEPTH),
    (1,),
    object(),
]


@pytest.mark.parametrize("form", MALFORMED, ids=lambda form: re.sub("0x.*", "", str(form))[:30])
def test_malformed_forms_are_refused(form):
    with pytest.raises(PlainValueError):
        decode(form)


@pytest.mark.parametrize("tag", ["set", "frozenset", "dict"])
def test_keys_chosen_to_collide_are_refused_at_once(tag):
    keys = [{"int": hex(n * (2**61 - 1))} for n in range(1, 30_000)]
    start = time.process_time()
    with pytest.raises(PlainValueError, match="one hash"):
        decode({tag: [[key, 0] for key in keys] if tag == "dict" else keys})
    assert time.process_time() - start < 2.0


def test_keys_of_which_only_some_collide_are_refused_too():
    """Half of them apart, the others in one place, take as long."""
    keys = [{"int": hex(n * (2**61 - 1))} for n in range(1, 1001)]
    with pytest.raises(PlainValueError, match="one hash"):
        decode({"set": [*keys, *range(2000)]})
    assert len(decode({"set": [*keys[:50], *range(2000)]})) == 2050


def test_large_ordinary_sets_pass():
    values = set(range(0, 50_000 * 2**20, 2**20))
    assert decode(encode(values)) == values
