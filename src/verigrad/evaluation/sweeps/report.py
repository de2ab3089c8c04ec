"""`table.md` and `sweep.html` of a sweep, from what is in its folder; both can be written at any time."""

from __future__ import annotations

from pathlib import Path

from verigrad.evaluation.sweeps.folder import read_sweep
from verigrad.evaluation.sweeps.page import sweep_page
from verigrad.evaluation.sweeps.table import sweep_table
from verigrad.writing import write_or_tell

__all__ = ["write_sweep_report"]


def write_sweep_report(folder: Path | str) -> tuple[Path, Path]:
    """Write both and return their paths.

    Raises:
        RunError: there is no sweep in the folder, or it cannot be written.
    """
    sweep = read_sweep(folder)
    table, page = sweep.path / "table.md", sweep.path / "sweep.html"
    for file, text in ((table, sweep_table(sweep)), (page, sweep_page(sweep))):
        write_or_tell(file, text, "free space, then write the report again")
    return table, page
