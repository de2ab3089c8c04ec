"""One process at a time in a folder."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path
from typing import TextIO

from verigrad.errors import RunError

__all__ = ["hold"]


def hold(file: Path, who: str, option: str, patience: float = 5.0) -> TextIO:
    """Hold a lock until what is returned is closed or the process ends, whatever ends it. Makes its file and folder.

    Programs that the process starts do not hold it, unless they are given the descriptor.

    Args:
        file: the lock, in the folder that it is for; it stays there, and says nothing by itself.
        who: is at work, for the message, such as `a run`.
        option: names another folder.
        patience: seconds to wait for it, since what was just killed may take a moment to let go.

    Raises:
        RunError: another process holds it, or this one does already; or the file cannot be made.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        stream = file.open("a")
    except OSError as error:
        raise RunError(f"cannot write {file}: {error}; choose another folder with {option}") from error
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return stream
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                stream.close()
                raise RunError(f"{who} is at work in {file.parent}; wait for it, or choose another {option}") from error
            time.sleep(0.1)
        except OSError:  # a file system without locks, as clusters have: then the user has to look out
            return stream
