"""What a program writes in place of our answers is a violation, and never an error of the judge."""

import pytest

from verigrad.changes import ChangeError, apply_change
from verigrad.sandbox.base import Call
from verigrad.sandbox.languages import LanguageSandbox
from verigrad.sandbox.maths import final_expression


@pytest.mark.parametrize("body", ["5", '"x"', "null", "true", "[]"])
def test_an_answer_of_another_language_that_is_no_object(body):
    sandbox = object.__new__(LanguageSandbox)
    with pytest.raises(ValueError, match="an answer is an object"):
        sandbox._parsed(body, Call("f", ()))


def test_an_error_with_half_a_surrogate_pair_can_be_written():
    sandbox = object.__new__(LanguageSandbox)
    outcome, _ = sandbox._parsed('{"exception": "\\ud800"}', Call("f", ()))
    assert outcome.error == "\\ud800"


def test_numbers_of_a_diff_have_an_end():
    diff = f"--- a/a.txt\n+++ b/a.txt\n@@ -{'9' * 5000},1 +1,1 @@\n-one\n+two\n"
    with pytest.raises(ChangeError, match="is no hunk"):
        apply_change({"a.txt": b"one\n"}, diff)


@pytest.mark.timeout(60)  # it took minutes, with the judge's own process standing still
def test_a_long_line_is_read_once():
    assert final_expression("a" * 100_000) == "a" * 100_000
    assert final_expression("so the answer is: the answer is 7.") == "7"
