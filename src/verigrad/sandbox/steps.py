"""What the steps of a workflow's job hand on to each other: files they made, and what they told the runner.

The changed code runs in these steps, so what they leave is its choice. Files are taken from it: new ones only, that an
answer might have had as well. What is told the runner (variables, folders of programs, outputs) would reach further:
one variable can switch off a linter. It is taken from a run of the same steps on the unchanged repository, and so are
the outputs that later steps name.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from verigrad.sandbox.commands import CommandResult
from verigrad.types import CommandTest

__all__ = ["KEPT", "OUTPUT", "WORK", "Told", "made_files", "names_runner", "told_by"]

WORK = "\0work\0"
"""In texts that a step told, for the working directory, which is another one in each run."""
KEPT = ("state.tar", "runner/env", "runner/path", "runner/output", "runner/work")
"""What is read back after a step."""
OUTPUT = re.compile(r"\$\{\{\s*steps\.([\w-]+)\.outputs\.([\w-]+)\s*\}\}")

_RUNNER = re.compile(r"GITHUB_(?:ENV|PATH|OUTPUT)\b")
_NAME = re.compile(r"[A-Za-z_][\w-]*\Z")
_NOT_TO_BE_SET = re.compile(r"(?:GITHUB_|RUNNER_)|(?:PATH|NODE_OPTIONS)\Z")
_MAX_TOLD = 100_000
_MAX_FILES, _MAX_BYTES = 2000, 32_000_000


@dataclass(frozen=True)
class Told:
    """What the steps so far told the runner: variables, folders of programs, and by step its outputs."""

    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    path: tuple[str, ...] = ()
    outputs: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))

    def filled(self, text: str) -> str:
        """`text` with the outputs that it names; one that no step gave is empty, as GitHub has it."""
        return OUTPUT.sub(lambda found: self.outputs.get(found[1], {}).get(found[2], ""), text)


def names_runner(test: CommandTest) -> bool:
    """Whether a step tells the runner something, by its own words."""
    return any(_RUNNER.search(text) for text in test.argv)


def told_by(test: CommandTest, done: CommandResult, before: Told) -> Told:
    """What is known to the runner after a step."""
    work = done.files.get("runner/work", b"").decode("utf-8", "replace").strip()

    def read(name: str) -> str:
        text = done.files.get(f"runner/{name}", b"")[:_MAX_TOLD].decode("utf-8", "replace").replace("\0", "")
        return text.replace(work, WORK) if work else text

    variables = {name: value for name, value in _assignments(read("env")) if not _NOT_TO_BE_SET.match(name)}
    folders = tuple(line for line in read("path").splitlines() if line)
    outputs = dict(before.outputs)
    if test.step:
        outputs[test.step] = dict(_assignments(read("output")))
    return Told({**before.environment, **variables}, (*folders[::-1], *before.path), outputs)


def _assignments(text: str) -> list[tuple[str, str]]:
    """`NAME=value` lines, and values of several lines between `NAME<<END` and `END`."""
    found = []
    lines = iter(text.splitlines())
    for line in lines:
        name, equals, value = line.partition("=")
        heading, arrows, end = line.partition("<<")
        if arrows and len(heading) < len(name):
            body = []
            for inner in lines:
                if inner == end:
                    break
                body.append(inner)
            else:
                continue  # never closed
            name, equals, value = heading, "=", "\n".join(body)
        if equals and _NAME.match(name.strip()):
            found.append((name.strip(), value))
    return found


def made_files(
    archive: bytes, tree: Collection[str], *, root: str, may_change: Callable[[str], bool]
) -> dict[str, bytes]:
    """The files that a step made, of an archive that the step could write itself; it is never unpacked.

    Left out is what was in the tree (which is put back), what an answer may not change, links and devices, folders and
    files whose name begins with a dot but `.coverage` (caches of checkers among them), and all of it where it is too
    much or no archive.
    """
    made: dict[str, bytes] = {}
    size = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as members:
            for number, member in enumerate(members):
                size += max(0, member.size)
                if number >= _MAX_FILES or size > _MAX_BYTES:
                    return {}
                path = member.name.removeprefix(f"{root}/")
                if member.isreg() and path != member.name and path not in tree and _is_plain(path) and may_change(path):
                    body = members.extractfile(member)
                    made[path] = body.read() if body is not None else b""
    except (tarfile.TarError, ValueError, OSError, EOFError, OverflowError, RecursionError):
        return {}
    return {path: body for path, body in made.items() if not any(other.startswith(f"{path}/") for other in made)}


def _is_plain(path: str) -> bool:
    parts = path.split("/")
    return "\0" not in path and not any(
        part == "" or (part.startswith(".") and not part.startswith(".coverage")) for part in parts
    )
