"""`verigrad pipeline FILE --run FOLDER`: stages one after another, resumable."""

from __future__ import annotations

import json
from collections.abc import Sequence

from verigrad.cli.train import recipe_path
from verigrad.errors import ConfigError

__all__ = ["pipeline"]

_USAGE = """usage: verigrad pipeline FILE [--run FOLDER] [--seed N] [--key value ...] [--dry-run]

Runs the commands of a TOML file one after another; see docs/pipelines.md. The same command again goes on where
it stopped; no stage is done twice.

  --run        the folder that the stages share (default: runs/ and the file's name)
  --seed       of every stage (default: 0)
  --key value  another value of the file's [values] table
  --dry-run    print the commands and stop"""


def pipeline(argv: list[str]) -> int:
    """Run a pipeline."""
    if not argv or "-h" in argv or "--help" in argv:
        print(_USAGE)
        return 0 if argv else 2
    from verigrad.training.pipeline import overview, read_pipeline, run_pipeline

    words = [word for word in argv if word != "--dry-run"]
    file = recipe_path(words[0])
    values = {"run": f"runs/{file.stem}", **_values(words[1:])}
    stages = read_pipeline(file, values)
    if "--dry-run" in argv:
        for stage in stages.stages:
            print(f"{stage.name}: verigrad {' '.join(stage.command)}")
        return 0
    from verigrad.cli.progress import TerminalReporter

    reporter = TerminalReporter()
    try:
        record = run_pipeline(stages, reporter)
    finally:
        reporter.close()
    for line in overview(json.loads(record.read_text())["stages"]):
        print(line)
    return 0


def _values(words: Sequence[str]) -> dict[str, str]:
    if len(words) % 2 or not all(word.startswith("--") for word in words[::2]):
        raise ConfigError(f"cannot read {' '.join(words)!r}; wanted --key value ...")
    return {key.removeprefix("--").replace("-", "_"): value for key, value in zip(words[::2], words[1::2], strict=True)}
