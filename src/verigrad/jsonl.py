"""Files of JSON objects, one a line: read with the place of every row, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from verigrad.errors import ConfigError, DataError
from verigrad.files import try_writing, write_whole

__all__ = ["read_rows", "require_writable", "write_rows"]


def read_rows(file: Path) -> list[tuple[str, dict[str, Any]]]:
    """`(file:line, row)` for every line of a JSONL file that is not blank.

    Raises:
        ConfigError: the file cannot be read.
        DataError: it is no UTF-8 text, a line is no JSON object, or there is none.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8 text: {error}") from error
    # Only line feeds end a line: JSON strings may hold U+2028 and others that `splitlines` also splits at.
    lines = [(f"{file}:{number}", line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise DataError(f"{file} holds no row; wanted a JSON object a line")
    return [(place, _object(line, place)) for place, line in lines]


def _object(line: str, place: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: not JSON ({error}); wanted a JSON object") from error
    if not isinstance(row, dict):
        raise DataError(f"{place}: {_shown(row)} is not an object; wanted a JSON object")
    return row


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def write_rows(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON objects, one a line, whole or not at all.

    Raises:
        ConfigError: the file cannot be written.
        DataError: a row holds what JSON cannot say.
    """
    text = "".join(_line(row, f"row {number}") for number, row in enumerate(rows, 1))
    try:
        write_whole(file, text)
    except OSError as error:
        raise _unwritable(file, error) from error


def require_writable(file: Path) -> None:
    """Complain about a place that rows cannot be written to before the work that they come from is done.

    Raises:
        ConfigError: the file cannot be written.
    """
    try:
        try_writing(file)
    except OSError as error:
        raise _unwritable(file, error) from error


def _unwritable(file: Path, error: OSError) -> ConfigError:
    return ConfigError(f"cannot write {file}: {error}; free space, or name another file")


def _line(row: Mapping[str, Any], place: str) -> str:
    try:
        return json.dumps(row, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise DataError(f"{place} cannot be written as JSON: {error}") from error
