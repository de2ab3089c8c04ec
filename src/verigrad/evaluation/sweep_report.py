"""`table.md` and `sweep.html` of a sweep, from what is in its folder; both can be written at any time."""

from __future__ import annotations

from pathlib import Path

from verigrad.evaluation.sweep_folder import read_sweep
from verigrad.evaluation.sweep_page import sweep_page
from verigrad.evaluation.sweep_table import sweep_table

__all__ = ["write_sweep_report"]


def write_sweep_report(folder: Path | str) -> tuple[Path, Path]:
    """Write both and return their paths.

    Raises:
        RunError: there is no sweep in the folder.
    """
    sweep = read_sweep(folder)
    table, page = sweep.path / "table.md", sweep.path / "sweep.html"
    table.write_text(sweep_table(sweep), encoding="utf-8")
    page.write_text(sweep_page(sweep), encoding="utf-8")
    return table, page
