"""What work that goes on later rests on, told apart by content: files of rows, tasks with their hidden tests, and files
of models."""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

from verigrad.tasks import jsonl
from verigrad.tasks.base import TaskSet

__all__ = ["file_digest", "model_stamp", "tasks_digest"]


def file_digest(file: Path) -> str:
    """Of its bytes; 16 hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def tasks_digest(tasks: TaskSet) -> str:
    """Of the tasks and their oracles, in order; 16 hexadecimal digits."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "tasks.jsonl"
        jsonl.dump(tasks, file)
        return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


def model_stamp(model: str) -> list[list[str | int]]:
    """Name, bytes and time in nanoseconds of each file of a model's folder; nothing for a name that is no folder."""
    files = sorted(path for path in Path(model).glob("*") if path.is_file()) if model else []
    return [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]
