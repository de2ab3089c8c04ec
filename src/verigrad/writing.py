"""Files written whole, whose failure says what to do next."""

from __future__ import annotations

from pathlib import Path

from verigrad.errors import RunError
from verigrad.files import write_whole

__all__ = ["write_or_tell"]


def write_or_tell(file: Path, text: str, then: str = "free space, then run the same command again") -> None:
    """Replace a file so that a crash leaves either the old or the new text, on the disk when this returns.

    Raises:
        RunError: the disk did not take it; what was there is untouched. The message ends with `then`.
    """
    try:
        write_whole(file, text)
    except OSError as error:
        raise RunError(f"cannot write {file}: {error}; {then}") from error
