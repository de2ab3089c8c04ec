"""Mirrors by hand: what they turn, and that no look at the names or places tells which of a pair is the test."""

import random
from collections import Counter
from itertools import combinations

import pytest

from verigrad.sandbox.mirrors import add_mirrors


def mirrored(body, *, swapped=False, seed=0, name="test_it"):
    source = f"def {name}():\n" + "".join(f"    {line}\n" for line in body.split("\n"))
    return add_mirrors(source, {name}, random.Random(seed), swapped=swapped)


def passes(source, function, namespace):
    scope = dict(namespace)
    exec(source, scope)
    try:
        scope[function]()
    except (AssertionError, BufferError, ValueError):
        return False
    return True


class Raises:
    def __init__(self, kind):
        self.kind = kind

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None:
            raise AssertionError("did not raise")
        return issubclass(kind, self.kind)


def fails(text):
    raise ValueError(text)


def right(n):
    return 2 * n


SCOPE = {"double": right, "fails": fails, "raises": Raises}


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    "body",
    [
        "assert double(2) == 4",
        "assert 4 == double(2)",
        "assert double(2.5) == 5.0",
        "assert double('a') == 'aa'",
        "assert double('') == ''",
        "assert double([1]) == [1, 1]",
        "assert double((1, ('a', None))) == (1, ('a', None), 1, ('a', None))",
        "assert {double(1): 'x'} == {2: 'x'}",
        "assert {double(1)} == {2}",
        "assert double([]) == []",
        "assert (double(1) == 2) == True",
        "assert double(10**30) == 2000000000000000000000000000000",
        "wanted = 4\nassert double(2) == wanted",
        "assert double(2) > 3",
        "assert not double(0)",
        "assert isinstance(double(2), int), 'an int'",
        "assert double(2) == 4 == 2 + 2",
        "for n in range(3):\n    assert double(n) == n + n",
        "assert double(1) == 2\nx = 3",
        "with raises(ValueError):\n    fails('x')",
        "with raises(ValueError) as found:\n    fails('x')\nassert found.kind is ValueError",
    ],
)
def test_the_test_passes_and_its_mirror_fails(body, swapped):
    for seed in range(6):
        source, found = mirrored(body, swapped=swapped, seed=seed)
        names = found["test_it"]
        assert {passes(source, names.test, SCOPE), passes(source, names.mirror, SCOPE)} == {True, False}
        assert passes(source, names.test, SCOPE)
        assert "test_it" in {names.test, names.mirror} and names.test != names.mirror


class EqualsAll(int):
    __eq__ = lambda *_: True  # noqa: E731
    __hash__ = int.__hash__


@pytest.mark.parametrize("body, runs", [("assert double(2) == 4", 2), ("wanted = 4\nassert double(2) == wanted", 1)])
def test_what_equals_everything_passes_the_mirror_as_well(body, runs):
    """In both runs; where nothing is constant, in the one whose mirror compares with something else."""
    scope = {"double": lambda n: EqualsAll()}
    for seed in range(6):
        caught = 0
        for swapped in (False, True):
            source, found = mirrored(body, seed=seed, swapped=swapped)
            assert passes(source, found["test_it"].test, scope)
            caught += passes(source, found["test_it"].mirror, scope)
        assert caught == runs


@pytest.mark.parametrize("body", ["double(2)", "check(double)", "if x:\n    assert double(1) == 2", "pass"])
def test_what_has_no_assertion_that_is_always_reached_has_no_mirror(body):
    source, found = mirrored(body)
    assert found == {} and body.split("\n")[0] in source


def arrangements(count, seed, *, swapped):
    """Of each of `count` equal tests: whether it has the longer name, stands first, and its mirror is negated."""
    source = "\n".join(f"def test_{n}():\n    assert double(2) == wanted\n" for n in range(count))
    text, found = add_mirrors(source, {f"test_{n}" for n in range(count)}, random.Random(seed), swapped=swapped)
    for n in range(count):
        test, mirror = found[f"test_{n}"].test, found[f"test_{n}"].mirror
        body = text.partition(f"def {mirror}():\n")[2].partition("\n")[0]
        yield test != f"test_{n}", text.index(f"def {test}(") < text.index(f"def {mirror}("), "assert not" in body


def test_names_and_places_of_a_pair_tell_nothing_of_another():
    """Three fair coins for every pair, all on their other side in the second run."""
    seen = Counter()
    for seed in range(400):
        pairs = [coin for pair in arrangements(2, seed, swapped=False) for coin in pair]
        again = [coin for pair in arrangements(2, seed, swapped=True) for coin in pair]
        assert all(coin != other for coin, other in zip(pairs, again, strict=True))
        for one, other in combinations(range(6), 2):
            seen[one, other] += pairs[one] == pairs[other]
    assert all(150 < same < 250 for same in seen.values())  # five standard deviations


def test_modules_as_they_are_where_nothing_can_be_done():
    assert add_mirrors("def test_a(:", {"test_a"}, random.Random(0), swapped=False) == ("def test_a(:", {})
    twice = "def test_a():\n    assert 1\n\ndef test_a():\n    assert 2\n"
    assert add_mirrors(twice, {"test_a"}, random.Random(0), swapped=False) == (twice, {})


def test_classes_and_decorators_come_along():
    source = "class TestA:\n    @mark\n    def test_b(self, x):\n        assert f(x) == 1\n"
    text, found = add_mirrors(source, {"TestA::test_b"}, random.Random(0), swapped=False)
    assert text.count("@mark") == 2 and set(found) == {"TestA::test_b"}


@pytest.mark.parametrize("swapped", [False, True])
def test_an_infinite_constant_is_compared_with_something_else_or_negated(swapped):
    source, found = mirrored("assert f(1) == 1e999", swapped=swapped)
    assert set(found) == {"test_it"} and source.count("1e309") + source.count("object()") == 2
