"""`verigrad pipeline FILE --run FOLDER`: stages one after another, resumable; and finished ones compared over seeds."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from verigrad.cli.train import recipe_path
from verigrad.errors import ConfigError

__all__ = ["pipeline", "stages"]

_USAGE = """usage: verigrad pipeline FILE [--run FOLDER] [--seed N | --seeds 0,1,2] [--key value ...] [--dry-run]

Runs the commands of a TOML file one after another; see docs/pipelines.md. The same command again goes on where
it stopped; no stage is done twice.

  --run        the folder that the stages share (default: runs/ and the file's name)
  --seed       of every stage (default: 0)
  --seeds      all of these, each in a folder seed-N of --run; then their stages compared, as `verigrad stages` does
  --key value  another value of the file's [values] table
  --dry-run    print the commands and stop"""


def pipeline(argv: list[str]) -> int:
    """Run a pipeline."""
    if not argv or "-h" in argv or "--help" in argv:
        print(_USAGE)
        return 0 if argv else 2
    words = [word for word in argv if word != "--dry-run"]
    file = recipe_path(words[0])
    values = {"run": f"runs/{file.stem}", **_values(words[1:])}
    seeds = values.pop("seeds", None)
    if seeds is None:
        return _run(file, values, dry_run="--dry-run" in argv)
    if "seed" in values:
        raise ConfigError("--seed and --seeds are both given; give one")
    whole = Path(values["run"])
    folders = [whole / f"seed-{seed}" for seed in seeds.split(",")]
    for seed, folder in zip(seeds.split(","), folders, strict=True):
        _run(file, {**values, "run": str(folder), "seed": seed}, dry_run="--dry-run" in argv)
    return 0 if "--dry-run" in argv else _compare(folders, whole, "")


def _run(file: Path, values: Mapping[str, str], *, dry_run: bool) -> int:
    from verigrad.training.pipeline import overview, read_pipeline, run_pipeline

    stages = read_pipeline(file, values)
    if dry_run:
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


def stages(argv: list[str]) -> int:
    """Compare a stage of finished pipelines with their other stages, over tasks and seeds."""
    parser = argparse.ArgumentParser(prog="verigrad stages", description=stages.__doc__, allow_abbrev=False)
    parser.add_argument("folders", nargs="+", type=Path, help="of pipelines that differ in their seeds only")
    parser.add_argument("--stage", default="", help="(default: the last one trained against a reward model)")
    parser.add_argument("--out", type=Path, help="for table.md, results.jsonl and stages.html (default: runs/compared)")
    options = parser.parse_args(argv)
    return _compare(options.folders, options.out or Path("runs") / "compared", options.stage)


def _compare(folders: Sequence[Path], out: Path, stage: str) -> int:
    from verigrad.evaluation.reports.stages_report import write_stages_report

    print(write_stages_report(folders, out, stage=stage))
    print(f"wrote {out / 'table.md'}, {out / 'results.jsonl'} and {out / 'stages.html'}")
    return 0


def _values(words: Sequence[str]) -> dict[str, str]:
    if len(words) % 2 or not all(word.startswith("--") for word in words[::2]):
        raise ConfigError(f"cannot read {' '.join(words)!r}; wanted --key value ...")
    return {key.removeprefix("--").replace("-", "_"): value for key, value in zip(words[::2], words[1::2], strict=True)}
