"""`verigrad mine` and `verigrad convert`: preferences from judged samples, and from or for other projects."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from verigrad.cli.options import HelpWithDefaults, Work
from verigrad.errors import ConfigError
from verigrad.registry import did_you_mean, resolve

if TYPE_CHECKING:
    from verigrad.preferences.mining import Miner, TaskAnswers
    from verigrad.preferences.records import Record

__all__ = ["convert", "mine"]

_SHOWN = 3


def mine(argv: list[str]) -> Work:
    """Make preference pairs or demonstrations from judged samples; exit status 1 where there are none to make."""
    from verigrad.preferences.mining import MINERS

    parser = argparse.ArgumentParser(prog="verigrad mine", description=mine.__doc__, formatter_class=HelpWithDefaults)
    parser.add_argument("samples", nargs="+", type=Path, help="files of eval --samples, or RUN/rollouts/*.jsonl")
    parser.add_argument("--out", required=True, type=Path, help="JSONL of records, see docs/preferences.md")
    parser.add_argument("--miner", default="pass_fail", help=f"{', '.join(MINERS)}, or file.py:function")
    parser.add_argument("--tasks", help="task source whose prompts are used for rows without one")
    parser.add_argument("--max-per-task", type=int, default=8, help="records of one task at most (default 8; 0: all)")
    parser.add_argument("--seed", type=int, default=0, help="of whatever is drawn")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="an option of the miner, such as gap=0.3"
    )
    options = parser.parse_args(argv)
    if options.max_per_task < 0:
        raise ConfigError(f"--max-per-task is {options.max_per_task}, wanted 0 (all) or more")
    miner = resolve(options.miner, MINERS, what="miner")
    return partial(_mine, options, partial(miner, **_miner_options(miner, options.miner, options.set)))


def _mine(options: argparse.Namespace, miner: Miner) -> int:
    from verigrad.jsonl import read_rows
    from verigrad.preferences.mining import from_rows
    from verigrad.preferences.mining import mine as mine_task
    from verigrad.preferences.records import write_records

    placed = [pair for file in options.samples for pair in read_rows(file)]
    tasks = from_rows(
        [row for _, row in placed],
        prompts=_prompts(options.tasks) if options.tasks else None,
        places=[place for place, _ in placed],
    )
    found = [mine_task(task, miner, max_per_task=options.max_per_task, seed=options.seed) for task in tasks]
    _print_summary(options.miner, tasks, found)
    records = [record for of_task in found for record in of_task]
    if not records:
        print("nothing to write")
        return 1
    write_records(options.out, records)
    print(f"wrote {options.out}")
    return 0


def _prompts(source: str) -> dict[str, str]:
    from verigrad.evaluation.sources import load_source

    tasks = load_source(source)
    prompts = {task.id: task.prompt for task in tasks.tasks}
    return {**prompts, **{alias: prompts[ours] for alias, ours in tasks.aliases.items() if ours in prompts}}


def _miner_options(miner: Callable[..., Any], name: str, texts: Sequence[str]) -> dict[str, Any]:
    """`gap=0.3` and the like, of the type that the miner's default has."""
    from verigrad.preferences.mining import miner_options

    defaults = miner_options(miner)
    found = {}
    for text in texts:
        option, _, value = text.partition("=")
        if option not in defaults:
            known = ", ".join(f"{key}={str(default).lower()}" for key, default in defaults.items()) or "none"
            raise ConfigError(f"{name} has no option {option!r}{did_you_mean(option, defaults)}; it has: {known}")
        found[option] = _value(value, defaults[option], text)
    return found


def _value(text: str, default: Any, given: str) -> Any:
    wanted = type(default)
    try:
        value = json.loads(text.lower())
    except ValueError:
        value = text
    if wanted is float and type(value) is int:
        value = float(value)
    if type(value) is not wanted:
        raise ConfigError(f"--set {given}: wanted {wanted.__name__}, such as {str(default).lower()}")
    return value


def _print_summary(miner: str, tasks: Sequence[TaskAnswers], found: Sequence[Sequence[Record]]) -> None:
    from verigrad.preferences.mining import why_none

    left_out = Counter(reason for task in tasks for reason in task.left_out)
    others = f"; left out: {_counts(left_out)}" if left_out else ""
    print(f"{_count(len(tasks), 'task')}, {_count(sum(len(task.answers) for task in tasks), 'answer')}{others}")
    records = [record for of_task in found for record in of_task]
    print(f"{miner}: {_kinds(records)} from {_count(sum(map(bool, found)), 'task')}{_lengths(records)}")
    why = Counter(why_none(task, miner) for task, of_task in zip(tasks, found, strict=True) if not of_task)
    if why:
        print(f"{_count(why.total(), 'task')} without any:")
        for reason, count in why.most_common():
            print(f"{count:>6}  {reason}")


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'s' * (number != 1)}"


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.most_common())


def _kinds(records: Sequence[Record]) -> str:
    from verigrad.preferences.records import Pair, Ranking

    names = ["pair" if isinstance(r, Pair) else "ranking" if isinstance(r, Ranking) else "answer" for r in records]
    return ", ".join(_count(count, name) for name, count in Counter(names).items()) or "no record"


def _lengths(records: Sequence[Record]) -> str:
    """Mean lengths of a pair's sides: where they differ much, a policy may learn length instead of correctness."""
    from verigrad.preferences.records import Pair

    pairs = [record for record in records if isinstance(record, Pair)]
    if not pairs:
        return ""
    chosen, rejected = mean(len(pair.chosen) for pair in pairs), mean(len(pair.rejected) for pair in pairs)
    return f"; {chosen:.0f} characters chosen, {rejected:.0f} rejected on average"


def convert(argv: list[str]) -> Work:
    """Read preferences in any known format and write them in another."""
    from verigrad.preferences.formats import FORMATS

    formats = "\n".join(f"  {name:<14}{known.summary}" for name, known in FORMATS.items())
    parser = argparse.ArgumentParser(
        prog="verigrad convert",
        description=convert.__doc__,
        epilog=f"formats:\n{formats}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("input", type=Path, help="JSONL to read")
    parser.add_argument("output", type=Path, help="JSONL to write")
    parser.add_argument("--to", default="verigrad", help="format to write (default: verigrad)")
    parser.add_argument("--from", dest="source", help="format to read (default: what the first row looks like)")
    parser.add_argument("--skip-malformed", action="store_true", help="leave out rows that cannot be read, and say so")
    options = parser.parse_args(argv)
    for name in (options.to, options.source):
        if name:
            resolve(name, FORMATS, what="format")
    return partial(_convert, options)


def _convert(options: argparse.Namespace) -> int:
    from verigrad.jsonl import read_rows, write_rows
    from verigrad.preferences.formats import detect, export_rows, import_rows

    places, rows = zip(*read_rows(options.input), strict=True)
    source = options.source or detect(rows[0], places[0])
    malformed: list[str] | None = [] if options.skip_malformed else None
    records = import_rows(rows, source, places=places, malformed=malformed)
    print(f"read {_kinds(records)} ({source})")
    if malformed:
        print(f"left out {_count(len(malformed), 'malformed row')}, such as:")
        print("\n".join(f"  {message}" for message in malformed[:_SHOWN]))
    written = export_rows(records, options.to)
    if not written:
        print(f"nothing to write: none of them says a preference that {options.to} has room for")
        return 1
    write_rows(options.output, written)
    print(f"wrote {_count(len(written), 'row')} ({options.to}) to {options.output}")
    return 0
