"""A small repository with a bug, its oracle, and how to judge an answer on it."""

import asyncio
import json
from dataclasses import replace

from verigrad.sandbox.judge import Judge
from verigrad.types import Limits, Oracle, Repository, Suite, SuiteTest

BUG = """\
def double(n):
    return n * n


def half(n):
    return n // 2
"""
FIXED = BUG.replace("n * n", "2 * n")
GOLD = """\
--- a/src/calc.py
+++ b/src/calc.py
@@ -1,2 +1,2 @@
 def double(n):
-    return n * n
+    return 2 * n
"""
VISIBLE = "from calc import half\n\n\ndef test_half():\n    assert half(6) == 3\n"
HIDDEN = """\
import pytest
from calc import double


def test_three():
    assert double(3) == 6


@pytest.mark.parametrize("n, wanted", [(4, 8), (-1, -2)])
def test_more(n, wanted):
    assert double(n) == wanted


class TestText:
    def test_text(self):
        assert double("ab") == "abab"
"""
HIDDEN_PATH = "tests/test_double.py"
TESTS = (
    SuiteTest(f"{HIDDEN_PATH}::test_three"),
    SuiteTest(f"{HIDDEN_PATH}::test_more[4-8]"),
    SuiteTest(f"{HIDDEN_PATH}::test_more[-1--2]"),
    SuiteTest(f"{HIDDEN_PATH}::TestText::test_text"),
    SuiteTest("tests/test_half.py::test_half", "pass_to_pass"),
)
REPOSITORY = Repository(files={"src/calc.py": BUG.encode(), "tests/test_half.py": VISIBLE.encode()})
LIMITS = Limits(cpu_s=10, wall_s=60, memory_mb=512, output_bytes=200_000)
ORACLE = Oracle(
    task_id="repo@1/double",
    tests=TESTS,
    gold=GOLD,
    limits=LIMITS,
    trust="script",
    repository=REPOSITORY,
    suite=Suite(files={HIDDEN_PATH: HIDDEN.encode()}),
)


def whole(**files):
    """An answer of whole files; `__` in a name stands for a slash, the ending is `.py`."""
    return json.dumps({name.replace("__", "/") + ".py": text for name, text in files.items()})


def with_suite(hidden, *tests, **options):
    """The oracle with other hidden tests (in `HIDDEN_PATH`), all that must pass but do not."""
    ids = tuple(test if isinstance(test, SuiteTest) else SuiteTest(f"{HIDDEN_PATH}::{test}") for test in tests)
    return replace(ORACLE, tests=ids, suite=Suite(files={HIDDEN_PATH: hidden.encode()}, **options))


def judge_on(sandbox, answer, oracle=ORACLE):
    return asyncio.run(Judge(sandbox, cache_size=1, canaries_every=0).judge(answer, oracle, None))


def statuses(verdict):
    return [result.status for result in verdict.results]
