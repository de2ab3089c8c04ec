"""`verigrad pipeline FILE --run FOLDER`: stages one after another, resumable; and finished ones compared over seeds."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from verigrad.cli.options import SAME_COMMAND, Work, going_on, printing
from verigrad.cli.train import recipe_path
from verigrad.errors import ConfigError

if TYPE_CHECKING:
    from verigrad.training.pipeline import Pipeline

__all__ = ["pipeline", "stages"]

_USAGE = """usage: verigrad pipeline FILE [--run FOLDER] [--seed N | --seeds 0,1,2] [--key value ...] [--dry-run]

Runs the commands of a TOML file one after another; see docs/pipelines.md. The same command again goes on where
it stopped; no stage is done twice.

  --run        the folder that the stages share (default: runs/ and the file's name)
  --seed       of every stage (default: 0)
  --seeds      all of these, each in a folder seed-N of --run; then their stages compared, as `verigrad stages` does
  --key value  another value of the file's [values] table
  --dry-run    print the commands and stop
  --resume     not needed: the same command always goes on"""


def pipeline(argv: list[str]) -> Work:
    """Run a pipeline."""
    words = [word for word in argv if word not in ("--dry-run", "--resume")]
    if not words or "-h" in words or "--help" in words:
        return printing(_USAGE, status=0 if words else 2)
    file = recipe_path(words[0])
    values = {"run": f"runs/{file.stem}", **_values(words[1:])}
    seeds = values.pop("seeds", None)
    if seeds is not None and "seed" in values:
        raise ConfigError("--seed and --seeds are both given; give one")
    whole = Path(values["run"])
    each = [values]
    if seeds is not None:
        named = seeds.split(",")
        if len(set(named)) < len(named):
            raise ConfigError(f"--seeds is {seeds!r}; wanted each seed once")
        each = [{**values, "run": str(whole / f"seed-{seed}"), "seed": seed} for seed in named]
    pipelines = [_read(file, own) for own in each]
    if "--dry-run" in argv:
        return partial(_dry_run, pipelines)
    return partial(_run_all, pipelines, compared=None if seeds is None else whole)


def _read(file: Path, values: Mapping[str, str]) -> Pipeline:
    """A pipeline whose every stage has words that its command can read: what is wrong with the last is told first."""
    from verigrad.cli.main import read_command
    from verigrad.training.pipeline import read_pipeline

    found = read_pipeline(file, values)
    for stage in found.stages:
        try:
            read_command(stage.command)
        except ConfigError as error:
            raise ConfigError(f"{file}, stage {stage.name!r}: {error}") from error
        except SystemExit as end:  # argparse has told its own, and how the command is used
            raise ConfigError(f"{file}, stage {stage.name!r}: its words are wrong, as said above") from end
    return found


def _dry_run(pipelines: Sequence[Pipeline]) -> int:
    for own in pipelines:
        for stage in own.stages:
            print(f"{stage.name}: verigrad {' '.join(stage.command)}")
    return 0


def _run_all(pipelines: Sequence[Pipeline], *, compared: Path | None) -> int:
    for own in pipelines:
        _run(own)
    return _compare([own.folder for own in pipelines], compared, "") if compared else 0


def _run(stages: Pipeline) -> None:
    from verigrad.cli.progress import TerminalReporter
    from verigrad.training.pipeline import overview, run_pipeline

    reporter = TerminalReporter()
    try:
        with going_on(SAME_COMMAND):
            record = run_pipeline(stages, reporter)
    finally:
        reporter.close()
    for line in overview(json.loads(record.read_text())["stages"]):
        print(line)


def stages(argv: list[str]) -> Work:
    """Compare a stage of finished pipelines with their other stages, over tasks and seeds."""
    parser = argparse.ArgumentParser(prog="verigrad stages", description=stages.__doc__, allow_abbrev=False)
    parser.add_argument("folders", nargs="+", type=Path, help="of pipelines that differ in their seeds only")
    parser.add_argument("--stage", default="", help="(default: the last one trained against a reward model)")
    parser.add_argument("--out", type=Path, help="for table.md, results.jsonl and stages.html (default: runs/compared)")
    options = parser.parse_args(argv)
    return partial(_compare, options.folders, options.out or Path("runs") / "compared", options.stage)


def _compare(folders: Sequence[Path], out: Path, stage: str) -> int:
    from verigrad.evaluation.reports.stages_report import write_stages_report

    print(write_stages_report(folders, out, stage=stage))
    print(f"wrote {out / 'table.md'}, {out / 'results.jsonl'} and {out / 'stages.html'}")
    return 0


def _values(words: Sequence[str]) -> dict[str, str]:
    values, rest = {}, list(words)
    while rest:
        word = rest.pop(0)
        key, equals, value = word.partition("=")
        if not key.startswith("--") or not (equals or rest):
            raise ConfigError(f"cannot read {word!r}; wanted --key value or --key=value ...")
        values[key.removeprefix("--").replace("-", "_")] = value if equals else rest.pop(0)
    return values
