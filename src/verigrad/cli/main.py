"""`verigrad COMMAND ...`: finds the command and turns expected errors into one readable line.

Commands are imported when called, so `verigrad --help` needs no torch. A command is a function that reads its words and
returns the work to do, so that a command line can be checked without doing anything.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence

from verigrad import __version__
from verigrad.cli.options import Work
from verigrad.environment import settle_torch
from verigrad.errors import ConfigError, VerigradError
from verigrad.registry import did_you_mean, load_attribute

__all__ = ["COMMANDS", "main", "read_command"]

COMMANDS = {
    "quickstart": ("verigrad.cli.train:quickstart", "the whole job on the default model: RL, before and after, report"),
    "sft": ("verigrad.cli.train:sft", "supervised fine-tuning on demonstrations or gold programs"),
    "diffusion": ("verigrad.cli.train:diffusion", "a causal model adapted to masked diffusion, or such a model tuned"),
    "rl": ("verigrad.cli.train:rl", "reinforcement learning from verified rewards"),
    "preference": ("verigrad.cli.train:preference", "DPO and its kin: on a file, or round by round on mined pairs"),
    "reward-model": ("verigrad.cli.train:reward_model", "a reward model from preferences, verdicts or rewards"),
    "tiny": ("verigrad.cli.tiny:tiny", "a tiny model from nothing, its tokenizer and data: the tiny track's start"),
    "compare": ("verigrad.cli.compare:compare", "diffusion models against their causal twins, part by part, one page"),
    "pipeline": ("verigrad.cli.pipeline:pipeline", "several stages one after another, resumable: RLHF, say"),
    "stages": (
        "verigrad.cli.pipeline:stages",
        "a stage of finished pipelines against the others, over tasks and seeds",
    ),
    "sweep": ("verigrad.cli.sweep:sweep", "settings and seeds compared: many runs, one table, resumable"),
    "eval": ("verigrad.cli.evaluate:evaluate", "pass@k of a model on a task source"),
    "sample": ("verigrad.cli.evaluate:sample", "try a model on a prompt or a task"),
    "judge": ("verigrad.cli.judge:judge", "judge a file of programs by the hidden tests"),
    "retest": ("verigrad.cli.evaluate:retest", "judge samples by tests that a model writes, for mutual ranking"),
    "mine": ("verigrad.cli.mine:mine", "preference pairs and demonstrations from judged samples"),
    "convert": ("verigrad.cli.mine:convert", "preference files from and to the formats of other projects"),
    "label": ("verigrad.cli.label:label", "compare programs by hand, on a local page, or by a model: preferences"),
    "check": ("verigrad.cli.check:check", "prove a task source or a reward sound, without a model"),
    "inspect": ("verigrad.cli.inspect:inspect", "look at a run: metrics, rollouts, verdicts"),
    "doctor": ("verigrad.cli.doctor:doctor", "what this machine offers: model, sandbox, devices, extras"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 fine, 1 a finding or expected error, 2 bad usage, 130 interrupted."""
    _print_what_can_be_printed()
    try:
        status = _run(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # whoever read our output, such as `head`, has gone; nor is there anybody to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def read_command(words: Sequence[str]) -> Work:
    """Read a command line, its options and settings with it; calling what is returned does the work.

    Nothing is written, and nothing read but recipes, the settings of a run to resume, and a miner's file. Words that
    argparse refuses end the process, as ever.

    Args:
        words: those after `verigrad`.

    Raises:
        ConfigError: no such command, or an option, a setting or a recipe is wrong.
    """
    name, *rest = words or [""]
    if name not in COMMANDS:
        raise ConfigError(f"unknown command {name!r}{did_you_mean(name, COMMANDS)}")
    command: Callable[[list[str]], Work] = load_attribute(COMMANDS[name][0])
    return command(rest)


def _print_what_can_be_printed() -> None:
    """Where the locale has no such character print `?`: a run must not end over a letter of what it shows."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(_usage())
        return 0
    if words[0] in ("-V", "--version"):
        print(f"verigrad {__version__}")
        return 0
    name = words[0]
    if name not in COMMANDS:
        print(f"verigrad: unknown command {name!r}{did_you_mean(name, COMMANDS)}\n\n{_usage()}", file=sys.stderr)
        return 2
    settle_torch()
    try:
        return read_command(words)()
    except VerigradError as error:
        print(f"verigrad {name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupt:
        print(f"\nverigrad {name}: {'; '.join(['interrupted', *map(str, interrupt.args)])}", file=sys.stderr)
        return 130


def _usage() -> str:
    lines = [f"  {name:<14}{summary}" for name, (_, summary) in COMMANDS.items()]
    return "\n".join(
        ["usage: verigrad COMMAND [options]", "", *lines, "", "verigrad COMMAND --help says more about each."]
    )


if __name__ == "__main__":
    sys.exit(main())
