"""The commands of a tox.ini, run as they are: no environment is made, since there is nothing to install it from."""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from verigrad.errors import TaskError
from verigrad.tasks.ci.base import Checks, LeftOut, file_text, is_install, stage_of
from verigrad.types import CommandTest

__all__ = ["tox_checks"]

_SUBSTITUTION = re.compile(r"\{([^{}]*)\}")
_FACTOR = re.compile(r"^[\w.,!-]+:\s")
_KNOWN = {"toxinidir": ".", "tox_root": ".", "envpython": "python", "posargs": "", "/": "/"}


def tox_checks(files: Mapping[str, bytes], environments: Sequence[str], *, path: str = "tox.ini") -> Checks:
    """The `commands` of these environments, with `changedir` and `setenv`.

    Of substitutions there are `{posargs:default}`, `{toxinidir}`, `{envname}`, `{env:NAME:default}` (the default) and
    `{[section]key}`. Commands with others, or for some factors only, are left out.

    Raises:
        TaskError: there is no such file, or it defines no commands for an environment.
    """
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(file_text(files, path))
    except configparser.Error as error:
        raise TaskError(f"{path}: {error}") from error
    parts = [part for name in environments for part in _read(parser, name, path)]
    return Checks(
        tuple(part for part in parts if isinstance(part, CommandTest)),
        tuple(part for part in parts if isinstance(part, LeftOut)),
    )


def _read(parser: configparser.ConfigParser, name: str, path: str) -> Iterator[CommandTest | LeftOut]:
    values = {key: value for section in ("testenv", f"testenv:{name}") for key, value in _items(parser, section)}
    if "commands" not in values:
        raise TaskError(f"{path}: no commands for the environment {name!r}")
    where = f"tox/{name}"
    if values.get("deps", "").strip():
        yield LeftOut(where, f"installs, without a network: {', '.join(values['deps'].split())}")
    try:
        directory = _expand(parser, values.get("changedir", ""), name)
        lines = [line.partition("=") for line in _lines(values.get("setenv", ""))]
        environment = {key.strip(): _expand(parser, value.strip(), name) for key, _, value in lines}
    except ValueError as error:
        yield LeftOut(where, str(error))
        return
    commands = _lines(values.get("commands_pre", "")) + _lines(values["commands"])
    for number, line in enumerate(commands, 1):
        try:
            yield _command(f"{where}/{number}", name, _expand(parser, line, name), directory, environment)
        except ValueError as error:
            yield LeftOut(f"{where}/{number}", str(error))


def _items(parser: configparser.ConfigParser, section: str) -> list[tuple[str, str]]:
    return parser.items(section) if parser.has_section(section) else []


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]


def _command(where: str, name: str, line: str, directory: str, environment: Mapping[str, str]) -> CommandTest | LeftOut:
    if _FACTOR.match(line):
        return LeftOut(where, f"is for some factors only: {line}")
    if line.startswith("- "):
        return LeftOut(where, f"may fail: {line}")
    if is_install(line):
        return LeftOut(where, f"installs, without a network: {line}")
    argv = tuple(shlex.split(line.removeprefix("! ")))
    if line.startswith("! "):
        return LeftOut(where, f"must fail, with any status: {line}")
    return CommandTest(
        where,
        argv,
        directory=directory.removeprefix(".").strip("/"),
        environment=environment,
        stage=stage_of(name, line),
    )


def _expand(parser: configparser.ConfigParser, text: str, name: str, depth: int = 0) -> str:
    """Put in what stands for something; a ValueError where that is not known."""

    def value(found: re.Match[str]) -> str:
        what = found[1]
        if what == "envname":
            return name
        if what in _KNOWN:
            return _KNOWN[what]
        if what.startswith("posargs:"):
            return what.partition(":")[2]
        if what.startswith("env:"):
            return what.split(":", 2)[2] if what.count(":") >= 2 else ""
        reference = re.fullmatch(r"\[([^\]]+)\](\w+)", what)
        if reference and parser.has_option(*reference.groups()):
            return parser.get(*reference.groups()).strip()
        raise ValueError(f"what {found[0]} stands for is not known")

    changed = _SUBSTITUTION.sub(value, text)
    if changed == text or depth > 8:
        return text
    return _expand(parser, changed, name, depth + 1)
