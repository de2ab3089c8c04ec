"""Changes as text: against git itself, by hand, and what is refused."""

import random
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verigrad.changes import ChangeError, apply_change, changed_paths, make_diff

FILES = {"a.txt": b"one\ntwo\nthree\nfour\n", "deep/b.txt": b"x"}


def test_whole_files():
    assert apply_change(FILES, '{"a.txt": "new\\n", "deep/b.txt": null, "c": ""}') == {"a.txt": b"new\n", "c": b""}
    assert apply_change(FILES, " \n") == FILES


def test_a_diff_by_hand():
    diff = "text before\n--- a/a.txt\t2020\n+++ b/a.txt\n@@ -2,2 +2,3 @@ def f\n two\n-three\n+3\n+3.5\n"
    assert apply_change(FILES, diff)["a.txt"] == b"one\ntwo\n3\n3.5\nfour\n"
    elsewhere = diff.replace("@@ -2,2 +2,3", "@@ -9,2 +9,3")
    assert apply_change(FILES, elsewhere)["a.txt"] == b"one\ntwo\n3\n3.5\nfour\n"


def test_new_deleted_and_empty_files():
    diff = (
        "diff --git a/new.txt b/new.txt\nnew file mode 100644\n--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1 @@\n+hi\n"
        "diff --git a/e/__init__.py b/e/__init__.py\nnew file mode 100644\nindex 000..111\n"
        "diff --git a/deep/b.txt b/deep/b.txt\ndeleted file mode 100644\n--- a/deep/b.txt\n+++ /dev/null\n"
        "@@ -1 +0,0 @@\n-x\n\\ No newline at end of file\n"
    )
    assert apply_change(FILES, diff) == {"a.txt": FILES["a.txt"], "new.txt": b"hi\n", "e/__init__.py": b""}


def test_the_nearest_of_several_places_is_meant():
    files = {"f": b"a\nx\nb\nc\nd\ne\nx\nf\n"}
    diff = "--- f\n+++ f\n@@ -6 +6 @@\n-x\n+y\n"
    assert apply_change(files, diff)["f"] == b"a\nx\nb\nc\nd\ne\ny\nf\n"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from("ab"), min_size=1, max_size=12), st.integers(1, 3), st.integers(0, 14), st.data())
def test_a_hunk_goes_where_a_look_at_every_place_puts_it(lines, size, start, data):
    old = data.draw(st.lists(st.sampled_from("ab"), min_size=size, max_size=size))
    places = [at for at in range(len(lines) - size + 1) if lines[at : at + size] == old]
    files = {"f": "".join(f"{line}\n" for line in lines).encode()}
    diff = f"--- f\n+++ f\n@@ -{start},{size} +{start} @@\n" + "".join(f"-{line}\n" for line in old) + "+new\n"
    if not places:
        with pytest.raises(ChangeError, match="are not there"):
            apply_change(files, diff)
        return
    place = min(places, key=lambda at: (abs(at - (start - 1)), at))
    wanted = [*lines[:place], "new", *lines[place + size :]]
    assert apply_change(files, diff)["f"] == "".join(f"{line}\n" for line in wanted).encode()


MANY = {"a": b"x\n" * 100_000, "b": "".join(f"{n}\n" for n in range(100_000)).encode()}


@pytest.mark.parametrize(
    "diff",
    [
        "--- b\n+++ b\n" + "".join(f"@@ -1 +1 @@\n-{n if n % 2 else 99_999 - n}\n+y\n" for n in range(40)),
        "--- a\n+++ a\n@@ -1 +1 @@\n-x\n+x\n" * 30,
        "--- a\n+++ a\n@@ -1,1000 +1,1000 @@\n" + "-x\n" * 999 + "-y\n" + "+x\n" * 1000,
    ],
    ids=["hunks far from each other", "many times the same file", "one that is never there"],
)
def test_a_diff_that_would_take_long_to_place_is_refused(diff):
    with pytest.raises(ChangeError, match="too long a search"):
        apply_change(MANY, diff)


def test_large_diffs_with_the_right_lines_are_no_search():
    wanted = {**MANY, "a": b"".join(b"x\n" if n % 50 else b"y\n" for n in range(100_000))}
    assert apply_change(MANY, make_diff(MANY, wanted)) == wanted


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("do this", "neither a unified diff"),
        ("{not json", "no JSON object"),
        ('{"a.txt": 3}', "paths and texts"),
        ('{"../a": "x"}', "no path inside"),
        ('{"/etc/a": "x"}', "no path inside"),
        ('{"a//b": "x"}', "no path inside"),
        ('{"a\\u0000": "x"}', "no path inside"),
        ('{"\\ud800": "x"}', "UTF-8"),
        ('{"a": "\\ud800"}', "UTF-8"),
        ('{"a.txt/b": "x"}', "a file and a folder"),
        ('{"%s": "x"}' % ("n" * 256), "too long"),
        ('{"%s": "x"}' % ("n/" * 100 + "n"), "too long"),
        ("{" + ", ".join(f'"{n}/{"n/" * 50}n": ""' for n in range(30)) + "}", "more than 1000 folders"),
        ("{" + ", ".join(f'"f{n}": ""' for n in range(1001)) + "}", "at most 1000"),
        ("--- a/a.txt\n+++ b/a.txt\n@@ -1,2 +1,2 @@\n one\n-zwei\n+2\n", "are not there"),
        ("--- a/a.txt\n+++ b/a.txt\n@@ -1,9 +1,2 @@\n one\n", "9 old and 2 new"),
        ("--- a/a.txt\n+++ b/a.txt\n@@ -1,1 +1,2 @@\n one\n", "ends early"),
        ("--- a/a.txt\n+++ b/a.txt\n@@ nonsense @@\n", "is no hunk"),
        ("--- a/a.txt\n+++ b/a.txt\n", "wanted a hunk"),
        ("--- a/absent\n+++ b/absent\n@@ -1 +1 @@\n-a\n+b\n", "is changed but not there"),
        ("--- /dev/null\n+++ b/a.txt\n@@ -0,0 +1 @@\n+b\n", "there already"),
        ("--- a/a.txt\n+++ b/c.txt\n@@ -1 +1 @@\n-one\n+b\n", "renames"),
        ("diff --git a/l b/l\nnew file mode 120000\n", "is not taken"),
        ("diff --git a/a b/b\nrename from a\nrename to b\n", "is not taken"),
        ("diff --git a/a b/a\nGIT binary patch\n", "is not taken"),
        ("@@ -1 +1 @@\n-one\n+b\n", "before any"),
    ],
)
def test_what_is_no_change(text, why):
    with pytest.raises(ChangeError, match=why):
        apply_change(FILES, text)


LINES = st.lists(st.sampled_from(["a\n", "b\n", "\n", "- c\n", "+d\n", "@@\n", "e\r\n"]), max_size=12).map("".join)
TEXTS = st.builds(lambda lines, end: lines + end, LINES, st.sampled_from(["", "no end"]))
TREES = st.dictionaries(st.sampled_from(["a", "b.py", "c/d", "c/e.txt"]), TEXTS.map(str.encode), max_size=4)


@settings(max_examples=150, deadline=None)
@given(TREES, TREES)
def test_a_diff_that_we_make_applies(before, after):
    assert apply_change(before, make_diff(before, after)) == after
    assert (changed_paths(before, after) == []) == (before == after)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="+- @,012ab/\n{}\"'", max_size=200))
def test_no_text_is_too_strange(text):
    for start in ("", "--- a/a.txt\n+++ b/a.txt\n", "--- a/a.txt\n+++ b/a.txt\n@@ -1,2 +1,2 @@\n"):
        try:
            changed = apply_change(FILES, start + text)
        except ChangeError:
            continue
        assert all(isinstance(body, bytes) for body in changed.values())


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_it_does_as_git_does(tmp_path):
    draw = random.Random(0)
    for number in range(12):
        folder = tmp_path / str(number)
        folder.mkdir()
        before = {f"f{n}": "".join(f"{draw.randrange(9)}\n" for _ in range(draw.randrange(30))) for n in range(3)}
        after = {
            name: "".join(line for line in text.splitlines(True) if draw.random() < 0.8)
            for name, text in before.items()
        }
        after["new"] = draw.choice(["", "a", "a\n"])
        git = ["git", "-c", "core.autocrlf=false", "-C", str(folder)]
        subprocess.run([*git, "init", "-q"], check=True)
        write(folder, before)
        subprocess.run([*git, "add", "-A"], check=True)
        write(folder, after)
        subprocess.run([*git, "add", "-AN"], check=True)
        diff = subprocess.run([*git, "diff", "--no-renames"], check=True, capture_output=True, text=True).stdout
        assert apply_change(encoded(before), diff) == encoded(after)


def write(folder, files):
    for name, text in files.items():
        (folder / name).write_bytes(text.encode())


def encoded(files):
    return {name: text.encode() for name, text in files.items()}
