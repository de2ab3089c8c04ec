"""`table.md` and `sweep.html` of a sweep, from what is in its folder; both can be written at any time."""

from __future__ import annotations

from pathlib import Path

from verigrad.errors import RunError
from verigrad.evaluation.sweep_folder import read_sweep
from verigrad.evaluation.sweep_page import sweep_page
from verigrad.evaluation.sweep_table import sweep_table
from verigrad.files import write_whole

__all__ = ["write_sweep_report"]


def write_sweep_report(folder: Path | str) -> tuple[Path, Path]:
    """Write both and return their paths.

    Raises:
        RunError: there is no sweep in the folder, or it cannot be written.
    """
    sweep = read_sweep(folder)
    table, page = sweep.path / "table.md", sweep.path / "sweep.html"
    for file, text in ((table, sweep_table(sweep)), (page, sweep_page(sweep))):
        try:
            write_whole(file, text)
        except OSError as error:
            raise RunError(f"cannot write {file}: {error}; free space, then write the report again") from error
    return table, page
