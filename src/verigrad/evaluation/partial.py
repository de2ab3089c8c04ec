"""Samples of an evaluation under way, kept beside the file that they will be in, so that a crash loses none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from verigrad.append_log import AppendLog
from verigrad.errors import ConfigError

__all__ = ["PartialSamples"]


class PartialSamples:
    """`FILE.partial`: how the samples are drawn, then a line for each that has ended.

    The same evaluation begun again finds in `rows` what it need not sample. Failures of ours are not among them: those
    are tried again.

    Args:
        file: where the samples will be once all are there.
        settings: all that a sample depends on, as JSON values.

    Attributes:
        path: of the file of what has ended.
        rows: samples that were there when it was opened.

    Raises:
        ConfigError: there are samples drawn in another way.
        RunError: the file cannot be written, or another process is at it.
    """

    def __init__(self, file: Path, settings: Mapping[str, Any]) -> None:
        self.path = file.with_name(f"{file.name}.partial")
        self._log = AppendLog(self.path)
        began = next((row["settings"] for row in self._log.rows if row.get("event") == "began"), None)
        if began is None:
            self._log.append({"event": "began", "settings": dict(settings)})
        elif changed := sorted(key for key in {*began, *settings} if began.get(key) != settings.get(key)):
            self._log.close()
            told = ", ".join(f"{key} {_shown(began.get(key))}, here {_shown(settings.get(key))}" for key in changed)
            raise ConfigError(
                f"{self.path} holds samples of another evaluation that has not ended ({told}). End it with its own "
                "settings, name another file, or delete this one"
            )
        self.rows: tuple[dict[str, Any], ...] = tuple(
            row for row in self._log.rows if "task_id" in row and row["status"] != "error"
        )

    def add(self, row: Mapping[str, Any]) -> None:
        """Keep one more sample; it is on the disk when this returns."""
        self._log.append(row)

    def discard(self) -> None:
        """Take the file away, once the samples are where they belong."""
        self.path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._log.close()


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
