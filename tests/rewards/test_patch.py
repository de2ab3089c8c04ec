"""Similarity of patches, letters counted by hand."""

import time

import pytest

from verigrad.rewards.base import Answer
from verigrad.rewards.patch import changes, patch, patch_similarity, text_ratio
from verigrad.types import Task

TASK = Task(id="t", prompt="")
GOLD = """diff --git a/src/x.py b/src/x.py
index 1..2 100644
--- a/src/x.py
+++ b/src/x.py
@@ -1,4 +1,4 @@
 def f(a):
-    return a
+    return b
 # end
@@ -9 +9 @@ def g():
-dashes
diff --git a/old.py b/old.py
--- a/old.py
+++ /dev/null
@@ -1 +0,0 @@
-gone
"""


def value(program, reference=GOLD):
    return patch(TASK, Answer("", program), None, reference=reference).value


def test_changes_are_the_lines_that_differ():
    assert changes(GOLD) == {"src/x.py": "-    return a\n+    return b\n-dashes\n", "old.py": "-gone\n"}
    assert changes("no diff\n+ at all\n") == {}


def test_lines_that_look_like_names_of_files_are_lines():
    hunk = "@@ -1,3 +1,3 @@\n int i;\n--- i;\n+++ i;\n more\n"
    both = f"--- a/x.c\n+++ b/x.c\n{hunk}--- a/y.c\n+++ b/y.c\n@@ -1 +1 @@\n-a\n+b\n"
    assert changes(both) == {"x.c": "--- i;\n+++ i;\n", "y.c": "-a\n+b\n"}


def test_the_gold_patch_is_itself():
    assert value(GOLD) == 1.0
    assert value("Here it is:\n" + GOLD.replace("@@ -1,4 +1,4 @@", "@@ -7,4 +7,4 @@")) == 1.0  # where it stands is free


@pytest.mark.parametrize(
    "program",
    [
        None,
        "",
        "I would change the file.",
        "--- a/src/x.py\n+++ b/src/x.py\n@@ -1,2 +1,2 @@\n def f(a):\n     return a\n",  # context alone changes nothing
        GOLD + "+x\n" * 50_000,  # beyond what is read
    ],
)
def test_no_change_is_the_worst(program):
    assert value(program) == -1.0


def test_files_of_either_side_count():
    # "abcd" and "bcde" share "bcd": 2 * 3 / 8; the other file is only in one of them.
    assert patch_similarity({"x": "abcd"}, {"x": "bcde"}) == 0.75
    assert patch_similarity({"x": "abcd", "y": "z"}, {"x": "bcde"}) == 0.375
    one_file = GOLD.partition("diff --git a/old.py")[0]
    assert value(one_file) == 0.5


def test_whole_programs_where_the_reference_is_one():
    assert value("x = 1234\n", "x = 1235\n") == pytest.approx(2 * 8 / 18)
    assert value("pass", "x = 1\n") == -1.0
    with pytest.raises(ValueError, match="has no gold program"):
        value("x = 1\n", None)


def test_texts_made_to_be_slow_are_not():
    base = "def f(a):\n    return a + 1\n    if x:\n        y = a\n" * 2000
    started = time.process_time()
    assert text_ratio(" " * 100_000, base) == 0.0
    assert 0 < text_ratio("\n" * 50_000 + base, base) < 1
    assert text_ratio(base[:-1], base) > 0.99
    assert text_ratio(" " * 1500, base[:1500]) < 0.3
    assert text_ratio("aab" * 211, "abb" * 210) > 0.6  # as many pairs as are compared letter by letter
    assert 0 <= text_ratio("aab" * 400, "abb" * 400) <= 1
    assert time.process_time() - started < 5
