"""Answers that are text: literals, last numbers, printed output."""

from decimal import Decimal

import pytest

from verigrad.errors import TaskError
from verigrad.sandbox.answers import answer_is_right, last_number, literal, output_is_right, same_output
from verigrad.types import AnswerTest, Comparator, OutputRule, StdioTest

NUMBERS = [
    ("5", "5"),
    ("The answer is 5.", "5"),
    ("#### 1,200", "1200"),
    ("-5", "-5"),
    ("x = -5", "-5"),
    ("(-5)", "-5"),
    ("7-5", "5"),
    ("7 - 5", "5"),
    ("7 -5", "-5"),
    ("$5", "5"),
    ("-$5.50", "-5.50"),
    ("x = \u22125", "-5"),  # a minus sign
    ("7 \u2212 5", "5"),
    ("1,234,567.89", "1234567.89"),
    ("1 and 2,3", "3"),
    ("0.25", "0.25"),
    (".25", "0.25"),
    ("12 apples, x2, A4", "12"),
    ("1e3", "1E+3"),
    ("50%", "50"),
    ("10 of 1.5.", "1.5"),
    ("5 " * 200_000, "5"),
]


@pytest.mark.parametrize(("text", "number"), NUMBERS, ids=[text[:20] for text, _ in NUMBERS])
def test_last_number(text, number):
    assert last_number(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "none", "x2", "-", "٣"])
def test_no_number(text):
    with pytest.raises(ValueError, match="no number"):
        last_number(text)


@pytest.mark.parametrize(
    ("text", "expected", "atol", "right"),
    [
        ("so 18", 18, 0, True),
        ("so 18.00", 18, 0, True),
        ("so 18", "18", 0, True),
        ("1,018", "1,018", 0, True),
        ("0.1", 0.1, 0, True),
        ("18.01", 18, 0, False),
        ("18.01", 18, 0.1, True),
        ("18 then 19", 18, 0, False),
        ("none", 18, 0, False),
    ],
)
def test_number_answers(text, expected, atol, right):
    assert answer_is_right(text, AnswerTest("a", expected, "number"), Comparator(atol=atol))[0] is right


@pytest.mark.parametrize("expected", ["five", "1/2", float("nan"), "inf", None])
def test_a_number_to_expect_that_is_none_is_the_tasks_mistake(expected):
    with pytest.raises(TaskError, match="expects"):
        answer_is_right("so 5", AnswerTest("a", expected, "number"), Comparator(atol=0.1))


@pytest.mark.parametrize(
    ("text", "expected", "right"),
    [
        ("[1, 2]", [1, 2], True),
        ("  'a'\n", "a", True),
        ("(1, {'b': {2}})", (1, {"b": {2}}), True),
        ("-1", -1, True),
        ("1.0", 1, False),
        ("[1, 2", [1, 2], False),
        ("__import__('os').getpid()", 1, False),
        ("...", 1, False),
        ("1 if 1 else 2", 1, False),
        ("", None, False),
        ("It doubles each of them, so:\n\n[1, 2]", [1, 2], True),
        ("so\n```python\n[1, 2]\n```", [1, 2], True),
        ("[\n    1,\n    2,\n]", [1, 2], True),
        ("[1, 2]\n[3]", [1, 2], False),  # of several answers the last
        ("It returns [1, 2].", [1, 2], False),
    ],
)
def test_literal_answers(text, expected, right):
    assert answer_is_right(text, AnswerTest("a", expected), Comparator())[0] is right


BOMBS = [
    "-" * 9_000 + "1",
    "(" * 5_000,
    "[" * 150 + "]" * 150,
    "1+" * 4_000 + "1",
    "a." * 4_000 + "a",
    "'x'" * 4_000,
    "1if 1else " * 900 + "1",
]


@pytest.mark.parametrize("text", BOMBS, ids=lambda text: text[:10])
def test_bombs_raise_cleanly(text):
    with pytest.raises(ValueError):
        literal(text)


@pytest.mark.parametrize(
    ("got", "expected", "right"),
    [
        ("a\nb\n", "a\nb", True),
        ("a \nb\t\n\n", "a\nb", True),
        ("a\r\nb", "a\nb", True),
        ("a\n\nb", "a\nb", False),
        (" a", "a", False),
        ("a", "a\nb", False),
        ("a\nb\nc", "a\nb", False),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_same_output(got, expected, right):
    assert same_output(got, expected) is right


@pytest.mark.parametrize(
    ("got", "expected", "exact", "trailing", "tokens"),
    [
        ("a b\n", "a b\n", True, True, True),
        ("a b", "a b\n", False, True, True),
        ("a b \n\n", "a b\n", False, True, True),
        ("a  b\n", "a b\n", False, False, True),
        ("\n a\nb", "a b", False, False, True),
        ("ab", "a b", False, False, False),
        ("a", "a b", False, False, False),
        ("a b c", "a b", False, False, False),
        ("b a", "a b", False, False, False),
        ("1.0", "1", False, False, False),
        ("", " \n", False, True, True),
    ],
)
def test_white_space_by_the_rule(got, expected, exact, trailing, tokens):
    rules = [OutputRule("exact"), OutputRule(), OutputRule("tokens")]
    assert [same_output(got, expected, rule) for rule in rules] == [exact, trailing, tokens]


@pytest.mark.parametrize(
    ("got", "expected", "right"),
    [
        ("0.333", "0.3333", True),  # 0.0003 apart
        ("-.5e0", "-0.5", True),
        ("+1", "1.0005", True),
        ("1.0021", "1", False),
        ("x 1.0 y", "x 1 y", True),
        ("x 1.0 z", "x 1 y", False),
        ("1 1", "1", False),
        ("1 2", "2 1", False),
        ("nan", "nan", True),  # as words
        ("nan", "1", False),
        ("inf", "1e999", False),
        ("1_0", "10", False),
        ("\u0661", "1", False),  # an Arabic 1
        ("0x1", "1", False),
        ("1e9999", "1e9999", True),
        ("1e9999", "1e9998", False),
        ("100000000000000000000001", "100000000000000000000000", False),  # one apart, beyond what floats tell apart
        ("0" * 1001, "0", False),  # too long for a number
    ],
)
@pytest.mark.parametrize("spaces", ["exact", "trailing", "tokens"])
def test_numbers_within_a_tolerance(got, expected, right, spaces):
    assert same_output(got, expected, OutputRule(spaces, atol=0.001, rtol=0)) is right


def test_a_tolerance_leaves_white_space_to_the_rule():
    """1 percent of 200 is 2; what stands between the numbers still counts."""
    for spaces, right in (("exact", False), ("trailing", False), ("tokens", True)):
        assert same_output("a  202\n", "a 200\n", OutputRule(spaces, rtol=0.01)) is right
    assert same_output("a 202", "a 200", OutputRule("exact", rtol=0.01))
    assert not same_output("a 202.1", "a 200", OutputRule("exact", rtol=0.01))
    assert same_output("a 202 \n", "a 200", OutputRule(rtol=0.01))


def test_one_of_several_outputs_will_do():
    test = StdioTest("a", "", "1 2\n", ("2 1\n", "none"))
    for got, right in (("1 2", True), ("2 1 ", True), ("none\n", True), ("1 2\n2 1", False), ("", False)):
        assert output_is_right(got, test, OutputRule()) is right
    assert not output_is_right("none\n", test, OutputRule("exact"))
