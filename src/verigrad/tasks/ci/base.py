"""What reading a project's checks gives, and what kind of check a command is."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from verigrad.errors import TaskError
from verigrad.types import CommandTest

__all__ = ["Checks", "LeftOut", "file_text", "folder_below", "is_install", "stage_of"]

_STAGES = {
    "test": r"pytest|unittest|\btests?\b|coverage|nosetests|\btox\b|doctest",
    "type": r"mypy|pyright|pytype|\bpyre\b|type-?check|\btypes?\b|typing",
    "lint": r"ruff|flake8|pylint|pyflakes|black|isort|\blint\b|format|style|codespell|pre-commit|bandit|docformatter",
    "build": r"\bbuild\b|compile|sphinx|mkdocs|\bdocs?\b|twine|wheel|sdist",
}
_INSTALL = re.compile(
    r"(sudo\s+)?(python3?\s+-m\s+pip|pip3?|uv\s+pip|pipx)\s+(install|download)\b|(sudo\s+)?(apt|apt-get)\s|uv\s+sync\b"
    r"|(poetry|pdm|pipenv|npm|yarn|conda|mamba)\s+(install|sync|ci|update|create)\b|corepack\s|brew\s"
)


@dataclass(frozen=True)
class LeftOut:
    """A part of a project's checks that does not run: where it stands, and why not."""

    where: str
    why: str


@dataclass(frozen=True)
class Checks:
    """Commands to be judged by, named as the project has them, and what was left out of them."""

    tests: tuple[CommandTest, ...]
    left_out: tuple[LeftOut, ...] = ()


def stage_of(*texts: str) -> str:
    """`test`, `type`, `lint` or `build` by the words of the first text that has any, else `other`.

    >>> stage_of("Static checks", "ruff check .")
    'lint'
    """
    for text in texts:
        for stage, pattern in _STAGES.items():
            if re.search(pattern, text, re.IGNORECASE):
                return stage
    return "other"


def is_install(line: str) -> bool:
    """Whether a shell command only fetches what there is no network for.

    >>> is_install("python -m pip install -e .[dev]"), is_install("pip list")
    (True, False)
    """
    return _INSTALL.match(line.strip()) is not None


def folder_below(path: str) -> str:
    """A folder of the repository, as commands have it; "" is its root. A ValueError where it is none.

    >>> folder_below("./src/"), folder_below(".")
    ('src', '')
    """
    found = posixpath.normpath(path or ".")
    if found.startswith(("/", "..")):
        raise ValueError(f"runs outside the repository, in {path}")
    return "" if found == "." else found


def file_text(files: Mapping[str, bytes], path: str) -> str:
    """The text of one of a repository's files.

    Raises:
        TaskError: it is not there, or no text.
    """
    if path not in files:
        raise TaskError(f"the repository has no {path!r}")
    try:
        return files[path].decode("utf-8")
    except UnicodeDecodeError as error:
        raise TaskError(f"{path!r} is no text in UTF-8") from error
