"""Strategies written down as text: what may stand there, what is drawn, and that it is always the same."""

import subprocess
import sys

import pytest

from verigrad.errors import MissingExtra, TaskError
from verigrad.tasks import strategies
from verigrad.tasks.strategies import STRATEGIES, Draw, checked, draw


def test_what_is_drawn_is_what_was_asked_for():
    lists, texts, small = draw(
        [
            Draw("lists(integers(-9, 9), max_size=4), sampled_from(['a', 'b'])", 0, 50),
            Draw("text(alphabet='xy', min_size=1, max_size=3) | none()", 0, 50),
            Draw("booleans()", 0, 50),
        ]
    )
    assert all(len(xs) <= 4 and all(-9 <= x <= 9 for x in xs) and letter in "ab" for xs, letter in lists)
    assert {letter for _, letter in lists} == {"a", "b"}
    assert any(xs == [] for xs, _ in lists)
    assert {text for (text,) in texts} >= {None}
    assert all(text is None or (1 <= len(text) <= 3 and set(text) <= set("xy")) for (text,) in texts)
    assert sorted(set(small)) == [(False,), (True,)]


def test_values_of_every_kind_come_over_exactly():
    (values,) = draw([Draw("tuples(just(1), just(1.0), just(True)), sets(integers(0, 3)), binary(max_size=2)", 0, 20)])
    assert all(repr(first) == "(1, 1.0, True)" for first, _, _ in values)
    assert all(type(found) is set and type(data) is bytes for _, found, data in values)
    (values,) = draw([Draw("floats(), dictionaries(integers(), text(max_size=2), max_size=2)", 3, 100)])
    assert any(x != x or x in (float("inf"), float("-inf")) for x, _ in values)


def test_equal_seeds_give_equal_inputs_whatever_is_loaded_or_asked_beside():
    one = Draw("lists(integers())", 7, 20)
    (first,) = draw([one])
    again, other = draw([one, one._replace(seed=8)])
    assert repr(first) == repr(again) != repr(other)
    code = (
        "import json, asyncio, verigrad.sandbox.judge\nfrom verigrad.tasks.strategies import *\n"
        "print(repr(draw([Draw('lists(integers())', 7, 20)])[0]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == repr(first)


@pytest.mark.parametrize(
    "text",
    [
        *("", "3", "'a'", "integers", "integers(", "[integers()]", "lists(integers()).map(len)", "builds(print)"),
        *("functions()", "integers(min_value=open('x'))", "__import__('os').system('true')", "from_regex('a')"),
        *("integers() if 1 else 2", "lists(x for x in [1])", "(lambda: integers())()", "x := none()"),
        *("data()", "integers() & none()", "none()\nnone()", "strategies.none()", "(" * 500 + "none()" + ")" * 500),
    ],
)
def test_nothing_but_known_strategies_and_literals_is_read(text):
    with pytest.raises(TaskError, match="wanted calls of"):
        checked(text)


def test_names_exist_and_texts_come_out_as_they_went_in():
    from hypothesis import strategies as known

    assert all(callable(getattr(known, name)) for name in STRATEGIES)
    assert checked("integers(-1,+2)") == "integers(-1, +2)"
    assert checked("tuples(none(), none())") == "tuples(none(), none())"
    assert checked("none(),") == "none()"


def test_what_hypothesis_refuses_is_an_error_of_the_task():
    with pytest.raises(TaskError, match=r"integers\(3, 1\).*min_value"):
        draw([Draw("integers(3, 1)", 0, 5)])


def test_too_much_to_draw_is_an_error_of_the_task(monkeypatch):
    monkeypatch.setattr(strategies, "_SECONDS", 0.01)
    with pytest.raises(TaskError, match="ask for less"):
        draw([Draw("integers()", 0, 5)])


def test_without_hypothesis_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(strategies, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"verigrad\[properties\]"):
        draw([Draw("integers()", 0, 5)])
