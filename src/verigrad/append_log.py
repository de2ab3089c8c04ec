"""A file of JSON lines that is only ever added to, and whose every line is on the disk before `append` returns."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from verigrad.errors import DataError, RunError
from verigrad.files import flush

__all__ = ["AppendLog", "read_log"]


def read_log(file: Path) -> tuple[list[dict[str, Any]], bytes]:
    """The rows of a log, and what a crash left of a last line (empty where it left none).

    Raises:
        DataError: a line that is not the last is damaged; says which.
    """
    *whole, torn = (file.read_bytes() if file.exists() else b"").split(b"\n")
    rows = []
    for number, line in enumerate(whole, 1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(f"{file}:{number}: damaged ({error}); put the file back from a copy") from error
        if not isinstance(row, dict):
            raise DataError(f"{file}:{number}: a JSON {type(row).__name__}, wanted an object")
        rows.append(row)
    return rows, torn


class AppendLog:
    """The only writer of a log; a second one is refused, in this process or another, until this one ends.

    Half a line that a crash left was never confirmed to anybody: it is cut off and kept as the text of a row
    `{"event": "recovered"}`, so the file stays readable and nothing vanishes.

    Raises:
        RunError: the file cannot be opened, or another process writes to it.
        DataError: a line of it is damaged.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise RunError(f"cannot write to {file}: {error}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            flush(file.parent)  # the file's name, too, must outlive a crash
            self.rows, torn = read_log(file)
            if torn:
                os.ftruncate(self._descriptor, file.stat().st_size - len(torn))
                self.rows.append(self.append({"event": "recovered", "torn": torn.decode(errors="replace")}))
        except BlockingIOError:
            os.close(self._descriptor)
            raise RunError(f"{file} is in use by another process of verigrad; stop that one first") from None
        except BaseException:
            os.close(self._descriptor)
            raise

    def append(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Add one row; it is on the disk when this returns, and not in the file where this raises.

        Raises:
            RunError: the disk did not take it.
        """
        data = (json.dumps(row) + "\n").encode()
        before = os.fstat(self._descriptor).st_size
        try:
            if os.write(self._descriptor, data) != len(data):
                raise OSError("only part of the line was written")
            os.fsync(self._descriptor)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, before)
            raise RunError(f"cannot write to {self.file}: {error}; nothing was recorded") from error
        return dict(row)

    def close(self) -> None:
        """Give the file back; also done by the end of the process, whatever ends it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
