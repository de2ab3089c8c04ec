"""`verigrad tiny --run FOLDER`: a tiny model with random weights and the data it learns from."""

from __future__ import annotations

from functools import partial

from verigrad.cli.options import Work, option_lines, printing
from verigrad.cli.train import recipe_path
from verigrad.settings import load_config
from verigrad.training.config import TinyConfig

__all__ = ["tiny"]


def tiny(argv: list[str]) -> Work:
    """Make the start of the tiny track."""
    if "-h" in argv or "--help" in argv:
        lines = ["usage: verigrad tiny [RECIPE] [--key value ...]", "", (TinyConfig.__doc__ or "").splitlines()[0], ""]
        lines += option_lines(TinyConfig)
        return printing("\n".join(lines))
    words = list(argv)
    recipe = recipe_path(words.pop(0)) if words and not words[0].startswith("--") else None
    return partial(_tiny, load_config(TinyConfig, recipe, words))


def _tiny(config: TinyConfig) -> int:
    from verigrad.cli.progress import TerminalReporter
    from verigrad.training.tiny import make_tiny

    reporter = TerminalReporter()
    try:
        folder = make_tiny(config, reporter)
    finally:
        reporter.close()
    print(f"wrote {folder}: the model is in {folder / 'model'}, figures in {folder / 'summary.json'}")
    return 0
