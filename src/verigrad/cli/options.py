"""Options in the text of `--help`."""

from __future__ import annotations

from typing import Any

from verigrad.settings import describe

__all__ = ["option_line", "option_lines"]


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
