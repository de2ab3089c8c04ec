"""Whether a run folder is as a start, or a restart, wants it; without torch, to be asked before all else."""

from __future__ import annotations

from pathlib import Path

from verigrad.errors import RunError

__all__ = ["check_begun", "holds_run"]


def holds_run(folder: Path) -> bool:
    """Whether a run was begun in a folder."""
    return (folder / "config.toml").exists()


def check_begun(folder: Path, *, resume: bool) -> None:
    """Raise a RunError where a new run would find one in its folder, or a resumed one none."""
    if resume and not holds_run(folder):
        raise RunError(f"nothing to resume at {folder}: no config.toml there; start it without --resume")
    if not resume and holds_run(folder):
        raise RunError(f"{folder} already holds a run; continue it with --resume, or choose another folder with --run")
