"""Code that Python runs, and a reward's tool would not see."""

import pytest

from verigrad.rewards.security import bandit_findings
from verigrad.rewards.source import strip_suppressions

pytest.importorskip("bandit")
OPEN = "import subprocess\nsubprocess.call('ls', shell=True)\n"


def test_what_stands_behind_a_carriage_return_is_a_line():
    """Python ends a comment there; `tokenize` reads on to the newline."""
    program = "import os  # noqa\rimport re\n"
    ran = {}
    exec(program, ran)
    assert "re" in ran
    assert strip_suppressions(program) == "import os\nimport re\n"
    assert strip_suppressions("x = 1\r\ny = 2  # noqa\r\n") == "x = 1\r\ny = 2\n"


@pytest.mark.parametrize("before", ["", "\n", "#!/usr/bin/python\n"])
def test_a_declared_encoding_hides_nothing(before):
    """In `raw_unicode_escape` the first of these would be a comment to whoever reads bytes."""
    hidden = before + "# coding: raw_unicode_escape\nx = 1 # \\u000a'''\n" + OPEN + "# \\u000a'''\n"
    assert {own.test for own in bandit_findings(hidden)} == {own.test for own in bandit_findings(OPEN)}


def test_what_bandit_cannot_print_is_the_programs_fault():
    assert bandit_findings("password = '\\ud800'\n") is None
