"""Where verigrad keeps what it can make again."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_dir"]


def cache_dir() -> Path:
    """`$VERIGRAD_CACHE`, else `$XDG_CACHE_HOME/verigrad`, else `~/.cache/verigrad`; it may not exist yet."""
    if os.environ.get("VERIGRAD_CACHE"):
        return Path(os.environ["VERIGRAD_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "verigrad"
