"""Changes to a tree of files, as text: a unified diff, or whole files as a JSON object.

    {"src/calc.py": "def add(a, b):\n    return a + b\n", "old.py": null}      null deletes

A diff is applied as git would: the lines a hunk takes out and those around them must be there, where it says or,
failing that, as near to it as possible. One that takes too long to place is refused, as whoever applies it waits.
Links, modes, renames and binary parts are refused. No text is no change.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

__all__ = ["ChangeError", "apply_change", "changed_paths", "check_paths", "make_diff"]

_MAX_FILES = 1000
_MAX_FOLDERS = 1000
_MAX_DEPTH = 100
_MAX_COMPARED = 2_000_000
_MAX_NAME = 255
_MAX_PATH = 1000
_HUNK = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+\d+(?:,(\d{1,9}))? @@")
_NO_NEWLINE = "\\ No newline at end of file"
_REFUSED = ("rename from ", "copy from ", "GIT binary patch", "Binary files ", "old mode ")


class ChangeError(ValueError):
    """A text is no change, or none that this tree can take."""


def apply_change(files: Mapping[str, bytes], text: str) -> dict[str, bytes]:
    """The tree `files` (path -> content) with the change `text`.

    Raises:
        ChangeError: the text is malformed, or does not fit the tree.

    >>> apply_change({"a": b"1"}, '{"b/c": "2", "a": null}')
    {'b/c': b'2'}
    """
    if not text.strip():
        return dict(files)
    edits = _whole_files(text) if text.lstrip().startswith("{") else _of_diff(files, text)
    if len(edits) > _MAX_FILES:
        raise ChangeError(f"changes {len(edits)} files; at most {_MAX_FILES} are taken")
    _check_folders(edits)
    tree = {**files, **edits}
    changed = {path: body for path, body in tree.items() if body is not None}
    check_paths(changed)
    return changed


def changed_paths(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> list[str]:
    """Paths whose content differs, or that only one of the trees has, in order."""
    return sorted(path for path in {*before, *after} if before.get(path) != after.get(path))


def make_diff(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> str:
    """The unified diff that makes `before` into `after`.

    Raises:
        ChangeError: a file that differs is no text in UTF-8.

    >>> print(make_diff({"a": b"1\\n"}, {"a": b"2\\n"}), end="")
    diff --git a/a b/a
    --- a/a
    +++ b/a
    @@ -1 +1 @@
    -1
    +2
    """
    return "".join(line for path in changed_paths(before, after) for line in _diff_of(path, before, after))


def check_paths(paths: Mapping[str, bytes]) -> None:
    """See that these paths can make up a tree.

    Raises:
        ChangeError: one leads outside, is too long, or is a file and a folder at once.
    """
    for path in paths:
        parts = path.split("/")
        if any(part in ("", ".", "..") for part in parts) or "\0" in path:
            raise ChangeError(f"{path[:80]!r} is no path inside the repository; wanted one such as 'src/calc.py'")
        try:
            sizes = [len(part.encode()) for part in parts]
        except UnicodeEncodeError:
            raise ChangeError(f"{path[:80]!r} cannot be written in UTF-8") from None
        if max(sizes) > _MAX_NAME or sum(sizes) + len(sizes) > _MAX_PATH or len(parts) > _MAX_DEPTH:
            raise ChangeError(f"the path {path[:80]!r}... is too long")
        for end in range(1, len(parts)):
            if (folder := "/".join(parts[:end])) in paths:
                raise ChangeError(f"{folder!r} would be a file and a folder")


def _check_folders(edits: Collection[str]) -> None:
    folders: set[str] = set()
    for path in edits:
        parts = path.split("/")[:_MAX_DEPTH]  # what is longer is refused as a path
        folders |= {"/".join(parts[:end]) for end in range(1, len(parts))}
        if len(folders) > _MAX_FOLDERS:
            raise ChangeError(f"changes files of more than {_MAX_FOLDERS} folders")


# ------------------------------------------------------------------------------------------- whole files


def _whole_files(text: str) -> dict[str, bytes | None]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ChangeError(f"begins with a brace but is no JSON object: {error}") from error
    if not isinstance(found, dict) or not all(body is None or isinstance(body, str) for body in found.values()):
        raise ChangeError("wanted a JSON object of paths and texts, null for a file to delete")
    return {path: None if body is None else _encode(body) for path, body in found.items()}


def _encode(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ChangeError(f"holds what cannot be written in UTF-8: {error}") from error


# -------------------------------------------------------------------------------------------------- diffs


@dataclass
class _Hunk:
    start: int
    old: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)


@dataclass
class _FileDiff:
    """`old` or `new` is None where there is no file on that side."""

    old: str | None
    new: str | None
    hunks: list[_Hunk] = field(default_factory=list)


def _of_diff(files: Mapping[str, bytes], text: str) -> dict[str, bytes | None]:
    edits: dict[str, bytes | None] = {}
    effort = _Effort()
    found = list(_parse(text.removesuffix("\n").split("\n")))
    if not found:
        raise ChangeError("is neither a unified diff nor a JSON object of whole files")
    for part in found:
        before = edits.get(part.old, files.get(part.old)) if part.old is not None else b""
        if before is None:
            raise ChangeError(f"{part.old!r} is changed but not there")
        if part.new is None:
            edits[str(part.old)] = None
            continue
        if part.old is None and edits.get(part.new, files.get(part.new)) is not None:
            raise ChangeError(f"{part.new!r} is added but there already")
        edits[part.new] = _patched(before, part, effort)
    return edits


def _parse(lines: list[str]) -> Iterator[_FileDiff]:
    at, current, git_path = 0, None, ""
    while at < len(lines):
        line = lines[at]
        if line.startswith(_REFUSED) or line.startswith(("new file mode 12", "new file mode 16")):
            raise ChangeError(f"line {at + 1}: {line[:60]!r} is not taken; write texts, and deletions and new files")
        if line.startswith("diff --git a/"):
            git_path = line[len("diff --git a/") :][: (len(line) - len("diff --git a/ b/")) // 2]
        elif line.startswith("new file mode") and not _has_hunks(lines, at):
            yield _FileDiff(None, git_path)
        elif line.startswith("deleted file mode") and not _has_hunks(lines, at):
            yield _FileDiff(git_path, None)
        elif line.startswith("--- ") and at + 1 < len(lines) and lines[at + 1].startswith("+++ "):
            current = _FileDiff(_path(line), _path(lines[at + 1]))
            if current.old is not None and current.new is not None and current.old != current.new:
                raise ChangeError(f"line {at + 1}: renames {current.old!r}; delete it and add the other")
            at += 2
            while at < len(lines) and lines[at].startswith("@@"):
                at = _read_hunk(lines, at, current)
            if not current.hunks:
                raise ChangeError(f"line {at + 1}: wanted a hunk, '@@ -1,3 +1,4 @@'")
            yield current
            continue
        elif line.startswith("@@"):
            raise ChangeError(f"line {at + 1}: a hunk before any '--- a/path' and '+++ b/path'")
        at += 1


def _has_hunks(lines: list[str], at: int) -> bool:
    """Whether the part of the diff whose header is at `at` goes on to file names."""
    rest = (line for line in lines[at + 1 : at + 4])
    for line in rest:
        if line.startswith("diff --git "):
            return False
        if line.startswith("--- "):
            return True
    return False


def _path(header: str) -> str | None:
    path = header[4:].split("\t")[0].rstrip()
    if path == "/dev/null":
        return None
    return path[2:] if path.startswith(("a/", "b/")) else path


def _read_hunk(lines: list[str], at: int, into: _FileDiff) -> int:
    """Read the hunk at line `at` and say where it ends."""
    header = _HUNK.match(lines[at])
    if header is None:
        raise ChangeError(f"line {at + 1}: {lines[at][:60]!r} is no hunk; wanted '@@ -1,3 +1,4 @@'")
    start, old, new = (int(number) if number is not None else 1 for number in header.groups())
    hunk = _Hunk(start - 1 if old else start)
    at += 1
    while len(hunk.old) < old or len(hunk.new) < new:
        if at >= len(lines):
            raise ChangeError(f"the last hunk ends early: wanted {old} old and {new} new lines")
        sign, body = lines[at][:1] or " ", lines[at][1:] + "\n"
        if sign not in " +-":
            raise ChangeError(f"line {at + 1}: {lines[at][:60]!r} within a hunk of {old} old and {new} new lines")
        bare = at + 1 < len(lines) and lines[at + 1].startswith(_NO_NEWLINE)
        body = body[:-1] if bare else body
        if sign in " -":
            hunk.old.append(body)
        if sign in " +":
            hunk.new.append(body)
        at += 2 if bare else 1
    if len(hunk.old) != old or len(hunk.new) != new:
        raise ChangeError(f"a hunk of {old} old and {new} new lines has {len(hunk.old)} and {len(hunk.new)}")
    into.hunks.append(hunk)
    return at


@dataclass
class _Effort:
    """How many lines were read or compared for a diff so far."""

    lines: int = 0

    def spend(self, lines: int, path: str | None) -> None:
        self.lines += lines
        if self.lines > _MAX_COMPARED:
            raise ChangeError(f"{path}: too long a search for where hunks belong; give the numbers of their lines")


def _patched(before: bytes, part: _FileDiff, effort: _Effort) -> bytes:
    lines = before.decode("utf-8", "surrogateescape").split("\n")
    lines = [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    effort.spend(len(lines), part.new)
    shift = 0
    for hunk in part.hunks:
        place = _find(lines, hunk.old, hunk.start + shift, part.new, effort)
        if place is None:
            raise ChangeError(f"{part.new}: the lines of the hunk at line {hunk.start + 1} are not there")
        shift = place - hunk.start + len(hunk.new) - len(hunk.old)
        lines[place : place + len(hunk.old)] = hunk.new
    try:
        return "".join(lines).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise ChangeError(f"{part.new}: holds what cannot be written in UTF-8: {error}") from error


def _find(lines: list[str], old: list[str], wanted: int, path: str | None, effort: _Effort) -> int | None:
    """Where the lines `old` are, as near to `wanted` as possible; of two places as near, the upper."""
    last = len(lines) - len(old)
    start = min(max(wanted, 0), last)
    for distance in range(last + 1):
        for at in (start - distance, start + distance):
            if 0 <= at <= last:
                effort.spend(1, path)
                if lines[at : at + 1] == old[:1] or not old:
                    effort.spend(len(old), path)
                    if lines[at : at + len(old)] == old:
                        return at
    return None


def _diff_of(path: str, before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Iterator[str]:
    yield f"diff --git a/{path} b/{path}\n"
    if path not in before:
        yield "new file mode 100644\n"
    elif path not in after:
        yield "deleted file mode 100644\n"
    try:
        old, new = before.get(path, b"").decode("utf-8"), after.get(path, b"").decode("utf-8")
    except UnicodeDecodeError as error:
        raise ChangeError(f"{path!r} is no text in UTF-8, so no diff can hold its change") from error
    names = (f"a/{path}" if path in before else "/dev/null", f"b/{path}" if path in after else "/dev/null")
    for line in difflib.unified_diff(_lines(old), _lines(new), *names):
        yield line if line.endswith("\n") else f"{line}\n{_NO_NEWLINE}\n"


def _lines(text: str) -> list[str]:
    """At line feeds alone, which is all that a diff knows."""
    return [line for line in re.split(r"(?<=\n)", text) if line]
