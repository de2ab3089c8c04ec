"""The `verigrad` commands that a text prints, read by the command line's own parsers without being run."""

import re
import shlex
from pathlib import Path

import pytest

from verigrad.cli.main import read_command
from verigrad.errors import ConfigError

__all__ = ["check_commands", "commands", "header"]

_START = r"(?:[A-Z_]+=\S+ )*verigrad\s+(?!-)"
_MENTIONS = ([], ["tasks"], ["reward"], ["agreement"], ["export"])
"""In prose, a command's name alone, with that of its part, says which is meant and not what to type."""


def header(recipe: Path) -> str:
    """What the comments of a TOML file say."""
    return "\n".join(line[1:] for line in recipe.read_text().splitlines() if line.startswith("#"))


def commands(text: str) -> list[list[str]]:
    """Words after `verigrad` of every command in a block of code, or between backticks where it is more than a name.

    A backslash joins lines; what stands behind two spaces explains the command.
    """
    text = re.sub(r"\\\n *", "", text)
    fenced = re.findall(r"^ *```.*?\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    lines = [line.strip() for block in fenced for line in block.splitlines()]
    lines += re.findall(r"^ {3,}(\S.*)$", text, re.MULTILINE)
    found = [_words(re.split(r" {2,}", match[1])[0]) for line in lines if (match := re.match(_START + "(.*)", line))]
    inline = [_words(code) for code in re.findall(rf"(?<!`)`{_START}([^`]+)`", text)]
    return found + [words for words in inline if words[1:] not in _MENTIONS]


def _words(command: str) -> list[str]:
    return shlex.split(command, comments=True)


def check_commands(text: str) -> None:
    """Fails on a command that refuses its words."""
    for words in commands(text):
        try:
            read_command(words)
        except (ConfigError, SystemExit) as error:
            pytest.fail(f"cannot be typed as it is printed: verigrad {shlex.join(words)}: {error}", pytrace=False)
