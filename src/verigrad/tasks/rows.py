"""Rows of a JSON-lines file, plain or gzipped, each with the place to name when something is wrong with it."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from verigrad.errors import ConfigError, TaskError

__all__ = ["read_rows", "text_field"]


def read_rows(path: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield `(file:line, row)` for every line that is not blank.

    Raises:
        ConfigError: there is no such file.
        TaskError: a line is no JSON object, or the file cannot be read as text.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise ConfigError(f"no such file: {file}")
    opener = gzip.open if file.suffix == ".gz" else open
    number = 0
    try:
        with opener(file, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield f"{file}:{number}", _parse_row(line)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise TaskError(f"{file}:{number}: {error}") from error


def _parse_row(line: str) -> dict[str, Any]:
    row = json.loads(line)
    if not isinstance(row, dict):
        raise ValueError(f"wanted a JSON object, got {line.strip()[:80]!r}")
    return row


def text_field(row: Mapping[str, Any], key: str, where: str) -> str:
    """The text under `key`.

    Raises:
        TaskError: the key is missing or holds something else.
    """
    value = row.get(key)
    if not isinstance(value, str):
        got = f"got a {type(value).__name__}" if key in row else f"the row has only {', '.join(map(repr, row))}"
        raise TaskError(f"{where}: wanted text under {key!r}, {got}")
    return value
