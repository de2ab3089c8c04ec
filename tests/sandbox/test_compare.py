"""The comparator: a table worked by hand, identities, and Python's own `==` as the slow reference."""

import math
import time
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verigrad.sandbox import compare
from verigrad.sandbox.compare import equal
from verigrad.types import Comparator
from verigrad.values import decode, encode

NAN, INF = float("nan"), float("inf")
EXACT, LOOSE = Comparator(), Comparator(strict=False)
NEAR, LOOSE_NEAR = Comparator(atol=0.1), Comparator(atol=0.1, strict=False)
BAG, SET, ANY, TRUTH = (Comparator(mode=mode) for mode in ("multiset", "set", "any_of", "truthy"))
LOOSE_BAG, NEAR_BAG, NEAR_SET = (
    Comparator(mode="multiset", strict=False),
    Comparator(mode="multiset", atol=0.1),
    Comparator(mode="set", atol=0.1),
)

TABLE = [
    # got, expected, comparator, equal?
    (1, 1, EXACT, True),
    (1, 2, EXACT, False),
    (1, 1.0, EXACT, False),
    (1, True, EXACT, False),
    (1, 1.0, LOOSE, True),
    (True, 1.0, LOOSE, True),
    (1, 1 + 0j, LOOSE, True),
    (0.0, -0.0, EXACT, True),
    (NAN, NAN, EXACT, True),
    (NAN, 0.0, EXACT, False),
    (0.0, NAN, NEAR, False),
    (NAN, NAN, NEAR, True),
    (complex(NAN, 1), complex(NAN, 1), EXACT, True),
    (complex(NAN, 1), complex(NAN, 2), EXACT, False),
    (INF, INF, NEAR, True),
    (INF, -INF, NEAR, False),
    (1e308, INF, Comparator(rtol=0.5), False),
    (INF, 1e308, Comparator(atol=INF), False),
    (10**400, 10**400, NEAR, True),
    (10**400, 10**400 + 1, NEAR, False),
    (10**400, 1.0, LOOSE_NEAR, False),
    (1.0, 1.05, EXACT, False),
    (1.0, 1.05, NEAR, True),
    (1.0, 1.2, NEAR, False),
    (1, 1.05, NEAR, False),
    (1, 1.05, LOOSE_NEAR, True),
    (True, 1.05, LOOSE_NEAR, False),
    (100.0, 101.0, Comparator(rtol=0.01), True),
    (101.1, 100.0, Comparator(rtol=0.01), False),
    (1j, 1.05j, NEAR, True),
    ("a", "a", EXACT, True),
    ("a", b"a", LOOSE, False),
    ("1", 1, LOOSE, False),
    (None, None, EXACT, True),
    (None, False, LOOSE, False),
    ([], [], EXACT, True),
    ([1], (1,), EXACT, False),
    ([1], (1,), LOOSE, False),
    ([1, [2.0]], [1, [2.0]], EXACT, True),
    ([1, [2]], [1, [2.0]], EXACT, False),
    ([1, [2]], [1, [2.0]], LOOSE, True),
    ([1, 2], [1], EXACT, False),
    ([1, [2.05, {"a": (3.0,)}]], [1, [2.0, {"a": (3.05,)}]], NEAR, True),
    ([1, 2], [2, 1], EXACT, False),
    ({1, 2}, {2, 1}, EXACT, True),
    ({1, 2}, {1, 2.0}, EXACT, False),
    ({1, 2}, {1, 2.0}, LOOSE, True),
    ({1}, frozenset({1}), EXACT, False),
    ({1}, frozenset({1}), LOOSE, True),
    ({1}, [1], LOOSE, False),
    ({1.0, 5.0}, {5.05, 1.05}, NEAR, True),
    ({NAN}, {NAN}, EXACT, True),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}, EXACT, True),
    ({"a": 1}, {"a": 1.0}, EXACT, False),
    ({1: "x"}, {True: "x"}, EXACT, False),
    ({1: "x"}, {True: "x"}, LOOSE, True),
    ({1.0: 1.0}, {1.0: 1.05}, NEAR, True),
    ({1.0: 1.0}, {1.05: 1.0}, NEAR, False),
    ({"a": 1}, {"a": 1, "b": 2}, EXACT, False),
    ([1, 2, 2], [2, 1, 2], BAG, True),
    ([1, 2, 2], [2, 1, 1], BAG, False),
    ([1, 2], (1, 2), BAG, False),
    ([[1], [2]], [[2], [1]], BAG, True),
    ([[1, 2]], [[2, 1]], BAG, False),
    ([{"a": [1]}, {}], [{}, {"a": [1]}], BAG, True),
    ([1, 2.0], [2, 1], BAG, False),
    ([1, 2.0], [2, 1], LOOSE_BAG, True),
    ([10.0, 9.5], [9.5, 9.95], NEAR_BAG, True),
    ([(10.0, "a"), (9.5, "b")], [(9.5, "b"), (9.95, "a")], NEAR_BAG, True),
    ([10.0, 9.5], [9.5, 9.5], NEAR_BAG, False),
    ([(1.0, 5), (1.05, 2)], [(1.0, 2), (1.0, 5)], NEAR_BAG, True),
    ([(1.0, 5), (1.05, 5)], [(1.0, 2), (1.0, 5)], NEAR_BAG, False),
    ([{"a": 2.0}, {"a": 1.05}], [{"a": 1.0}, {"a": 2.0}], NEAR_BAG, True),
    ([0.01 + 1j, 1 + 0j], [1 + 0j, 1j], NEAR_BAG, True),
    ({(1.0, "b"), (1.05, "a")}, {(1.0, "a"), (1.0, "b")}, NEAR, True),
    ({1, 2}, {2, 1}, BAG, True),
    ("ab", "ba", BAG, False),
    ([1, 1, 2], [2, 1], SET, True),
    ([1, 1, 2], (2, 1), SET, True),
    ([1, 2], {1, 2}, SET, True),
    ([1, 2], [1, 2, 3], SET, False),
    ([[1], [1]], [[1]], SET, True),
    ([1, 1.0], [1], SET, False),
    ([1.0, 2.0], [2.05, 1.05], NEAR_SET, True),
    (1, 1, SET, True),
    ("ab", ["a", "b"], SET, False),
    (2, [1, 2], ANY, True),
    (2.0, [1, 2], ANY, False),
    ([1], [[1], [2]], ANY, True),
    (1, [], ANY, False),
    (5, True, TRUTH, True),
    ([], False, TRUTH, True),
    ([0], False, TRUTH, False),
    (NAN, True, TRUTH, True),
]


@pytest.mark.parametrize(("got", "expected", "comparator", "wanted"), TABLE)
def test_table(got, expected, comparator, wanted):
    assert equal(got, expected, comparator) is wanted


ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.floats(),
    st.sampled_from([0.0, 1.0, -1.0, 2.0]),
    st.text(max_size=2),
    st.binary(max_size=2),
    st.complex_numbers(),
)
HASHABLE = st.recursive(ATOMS, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=4)
VALUES = st.recursive(
    HASHABLE,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.sets(HASHABLE, max_size=3),
        st.frozensets(HASHABLE, max_size=3),
        st.dictionaries(HASHABLE, inner, max_size=3),
    ),
    max_leaves=8,
)


@given(VALUES)
def test_a_value_equals_what_it_becomes_on_the_way(value):
    copy = decode(encode(value))
    for mode in ("exact", "multiset", "set", "truthy"):
        for strict in (True, False):
            for atol in (0.0, 1e-9):
                assert equal(copy, value, Comparator(mode=mode, strict=strict, atol=atol))
    assert equal(copy, [value], ANY)


def holds_nan(value):
    if isinstance(value, (int, float, complex)):
        return value != value
    if isinstance(value, dict):
        return any(holds_nan(part) for pair in value.items() for part in pair)
    return isinstance(value, (list, tuple, set, frozenset)) and any(map(holds_nan, value))


@given(VALUES, VALUES)
def test_loose_is_pythons_equality(one, other):
    if not holds_nan(one) and not holds_nan(other):
        assert equal(one, other, LOOSE) == (one == other)


@given(VALUES, VALUES)
def test_strict_implies_loose_and_exact_implies_near(one, other):
    if equal(one, other, EXACT):
        assert equal(one, other, LOOSE)
        assert equal(one, other, NEAR)
    assert equal(one, other, EXACT) == equal(other, one, EXACT)


@given(st.lists(VALUES, max_size=5), st.randoms(use_true_random=False))
def test_order_does_not_matter_to_a_multiset(values, random):
    shuffled = random.sample(values, len(values))
    assert equal(shuffled, values, BAG)
    assert not equal([*shuffled, 0], values, BAG)


@given(st.lists(st.floats(-5, 5), max_size=6), st.data())
def test_a_tolerant_multiset_of_numbers_is_exact(values, data):
    moved = [value + data.draw(st.floats(-0.09, 0.09)) for value in values]
    assert equal(data.draw(st.permutations(moved)), values, NEAR_BAG)
    if values:
        moved[0] = max(values) + 0.2
        values[0] = max(values)
        assert not equal(moved, [min(values)] * len(values), NEAR_BAG)


@given(
    st.lists(st.tuples(st.sampled_from([1.0, 1.08, 1.16]), st.sampled_from("ab")), max_size=5),
    st.lists(st.tuples(st.sampled_from([1.0, 1.08, 1.16]), st.sampled_from("ab")), max_size=5),
)
def test_a_tolerant_multiset_fits_in_some_order(got, expected):
    orders = (equal(list(order), expected, NEAR) for order in permutations(got))
    assert equal(got, expected, NEAR_BAG) is any(orders)


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("comparator", [EXACT, BAG, SET, NEAR, NEAR_BAG])
def test_depth_is_no_danger(comparator):
    assert not equal(nested(10_000), nested(10_000), comparator)
    assert equal(nested(50), nested(50), comparator)


@pytest.mark.parametrize("comparator", [SET, BAG, EXACT])
def test_colliding_hashes_cost_no_time(comparator):
    modulus = 2**61 - 1  # hash(n) is n modulo this
    values = [n * modulus for n in range(1, 40_000)]
    assert len({hash(value) for value in values[:100]}) == 1
    start = time.process_time()
    assert equal(values, list(values), comparator)
    assert time.process_time() - start < 2.0  # a set of them takes a quarter of a minute


def test_nan_is_not_close_to_anything_however_wide():
    wide = Comparator(atol=math.inf)
    assert not equal(NAN, 1.0, wide)
    assert not equal(1.0, NAN, wide)


def test_sets_of_sets_are_not_paired_in_every_order(monkeypatch):
    """Trying all pairs at each of three depths is 8 ** 6 comparisons; with 32 elements it would take minutes."""

    def nested(depth, number):
        return frozenset(nested(depth - 1, 8 * number + part) for part in range(8)) if depth else float(number)

    compared = []
    monkeypatch.setattr(compare, "_close", lambda got, expected, c: compared.append(got))
    for form in (nested, lambda depth, number: {(nested(depth, number), 1)}):
        assert not equal(form(3, 0), form(3, 1), NEAR)
    assert len(compared) < 1000
