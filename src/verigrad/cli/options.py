"""Options in the text of `--help`; what a command that has read its words hands back; what it says when interrupted."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from verigrad.settings import describe

__all__ = ["SAME_COMMAND", "HelpWithDefaults", "Work", "going_on", "option_line", "option_lines", "printing"]

Work: TypeAlias = Callable[[], int]
"""What a command does once its words are read; returns the exit status."""

SAME_COMMAND = "the same command goes on"


def printing(text: str, *, status: int = 0) -> Work:
    """The work of a command that is asked for help."""

    def work() -> int:
        print(text)
        return status

    return work


class HelpWithDefaults(argparse.HelpFormatter):
    """Adds an option's default to its text, unless there is none to speak of or the text tells it."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        text = action.help or ""
        silent = action.default is None or action.default is False or action.default in ("", argparse.SUPPRESS, [])
        return text if silent or not action.option_strings or "default" in text else f"{text} (default: %(default)s)"


@contextmanager
def going_on(how: Callable[[], str] | str) -> Iterator[None]:
    """An interrupt of what is done inside says how to go on; `how` is asked when it comes."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(how if isinstance(how, str) else how()) from interrupt


def option_line(option: str, text: str) -> str:
    """An option and what it does; texts start in one column, except behind options too long for it.

    >>> option_line("--seed", "of sampling.")
    '  --seed                      of sampling.'
    """
    return f"  {option + '  ':<28}{text}"


def option_lines(config: Any) -> list[str]:
    """One for every setting of a dataclass: what it is, its type and its default, or the value where it has one."""
    return [
        option_line("--" + setting.key.replace("_", "-"), f"{setting.sentence} [{setting.type}; {setting.default}]")
        for setting in describe(config)
    ]
