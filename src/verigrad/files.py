"""Files written whole or not at all: beside their place, flushed to the disk, renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["flush", "new_file", "try_writing", "write_whole"]


@contextmanager
def new_file(file: Path) -> Iterator[Path]:
    """A path to write to that takes the place of `file` when the block ends well, and is gone otherwise.

    What is there and is no ordinary file, such as a pipe or /dev/stdout, is written to as it is.

    Raises:
        OSError: the disk is full, or the place cannot be written; what was there is untouched.
    """
    if file.exists() and not file.is_file():
        yield file
        return
    target = file.resolve()  # through links, so that they stay links
    target.parent.mkdir(parents=True, exist_ok=True)
    building = target.with_name(f".{os.getpid()}.{target.name}")
    try:
        yield building
        flush(building)
        building.replace(target)
        flush(target.parent)
    finally:
        building.unlink(missing_ok=True)


def write_whole(file: Path, text: str) -> None:
    """Replace a file so that a crash leaves either the old or the new text, on the disk when this returns.

    Raises:
        OSError: see `new_file`.
    """
    with new_file(file) as building, building.open("w", encoding="utf-8") as stream:
        stream.write(text)


def try_writing(file: Path) -> None:
    """Make the folder of `file` and a file there, and take the latter away again; raises OSError where that fails."""
    if file.exists() and not file.is_file():
        file.open("ab").close()
        return
    target = file.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    building = target.with_name(f".{os.getpid()}.{target.name}")
    building.open("wb").close()
    building.unlink()


def flush(path: Path) -> None:
    """Have the system write a file, or the names in a folder, to the disk now."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
