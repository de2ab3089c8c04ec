"""The commands of a tox.ini, run as they are: no environment is made, since there is nothing to install it from."""

from __future__ import annotations

import configparser
import itertools
import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from verigrad.errors import TaskError
from verigrad.tasks.ci.base import Checks, LeftOut, file_text, folder_below, is_install, stage_of
from verigrad.types import CommandTest

__all__ = ["tox_checks"]

_SUBSTITUTION = re.compile(r"\{([^{}]*)\}")
_REFERENCE = re.compile(r"\{\[([^\[\]{}]+)\](\w+)\}")
_COMMENT = re.compile(r"\s*(?<!\\)#.*")
_FACTOR = re.compile(r"^([\w.,!-]+):(?:\s+|$)")
_NO = ("", "false", "0", "no", "off")
_MAX_DEPTH = 8

_COMMANDS = ("commands_pre", "commands", "commands_post")
_DIRECTORY = ("changedir", "change_dir")
_ENVIRONMENT = ("setenv", "set_env")
_INSTALLS = ("deps", "extras", "dependency_groups", "constraints")
_CONDITIONS = ("ignore_outcome", "base", "platform", "depends")
_NEEDLESS = re.compile(
    r"description|labels|runner|recreate|download|(?:white|allow)list_externals|(disallow_)?pass_?env|ignore_errors|"
    r"base_?python|env_?(log_?|tmp_?)?dir|(suicide|interrupt|terminate)_timeout|parallel_show_output|always_?copy|"
    r"(system_)?site_?packages|skip_install|use_?develop|package(_env|_root)?|wheel_build_env|install_command|"
    r"list_dependencies_command|pip_pre|constrain_package_deps|use_frozen_constraints"
)
"""Settings that change nothing here: how an environment is made and shown, what of the caller's it may use. With each
command a check of its own, `ignore_errors` holds anyhow."""


def tox_checks(files: Mapping[str, bytes], environments: Sequence[str], *, path: str = "tox.ini") -> Checks:
    """The `commands_pre`, `commands` and `commands_post` of these environments, with `changedir` and `setenv`.

    Those of one environment run in order and hand on the files they make. Of substitutions there are
    `{posargs:default}`, `{toxinidir}`, `{envname}`, `{env:NAME:default}` (what `setenv` says, else the default) and
    `{[section]key}`; lines for other factors than the environment's are none of its own. Commands with other
    substitutions, that may fail or must fail, or of which nothing is left, are left out, and so is an environment whose
    outcome is ignored, that inherits from another or is for another platform. The Python is the one there is.

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
    given = {key: value for section in _sections(parser, name) for key, value in parser.items(section)}
    if "commands" not in given and not given.get("base"):
        raise TaskError(f"{path}: no commands for the environment {name!r}")
    values = {key: _lines(_with_references(parser, text), name) for key, text in given.items()}
    where = f"tox/{name}"
    if why := _why_not(values):
        yield LeftOut(where, why)
        return
    yield from _of_settings(where, values)
    try:
        scope = _scope(values, name)
    except ValueError as error:
        yield LeftOut(where, str(error))
        return
    lines = [line for key in _COMMANDS for line in values.get(key, ())]
    for number, line in enumerate(lines, 1):
        try:
            yield _command(f"{where}/{number}", line, scope)
        except ValueError as error:
            yield LeftOut(f"{where}/{number}", str(error))


# ------------------------------------------------------------------------------------------------------------ settings


def _sections(parser: configparser.ConfigParser, name: str) -> list[str]:
    """The sections that an environment has, the general one first."""
    own = [s for s in parser.sections() if s.startswith("testenv:") and name in _generated(s.partition(":")[2])]
    return [section for section in ("testenv", *own) if parser.has_section(section)]


def _generated(names: str) -> list[str]:
    """What a section's name stands for.

    >>> _generated("py{310, 311}-x")
    ['py310-x', 'py311-x']
    """
    parts = enumerate(re.split(r"[{}]", names))
    choices = [[word.strip() for word in part.split(",")] if number % 2 else [part.strip()] for number, part in parts]
    return ["".join(choice) for choice in itertools.product(*choices)]


def _with_references(parser: configparser.ConfigParser, text: str, depth: int = 0) -> str:
    """With `{[section]key}` put in as it stands there, lines and all; what is not there stays, for `_expand`."""

    def value(found: re.Match[str]) -> str:
        return parser.get(*found.groups()).strip() if parser.has_option(*found.groups()) else found[0]

    changed = _REFERENCE.sub(value, text)
    return text if changed == text or depth > _MAX_DEPTH else _with_references(parser, changed, depth + 1)


def _lines(text: str, name: str) -> list[str]:
    r"""Without comments, lines that go on joined, and those for other factors taken out.

    >>> _lines("a \\\n b  # c\npy: d\n!py,x-py: e", "py-y")
    ['a   b', 'd']
    """
    kept = "\n".join(_COMMENT.sub("", line) for line in text.splitlines())
    found = []
    for line in (line.strip() for line in kept.replace("\\\n", " ").splitlines()):
        factor = _FACTOR.match(line)
        if factor is None or _applies(factor[1], name):
            found.append(line[factor.end() :] if factor else line)
    return [line.replace("\\#", "#") for line in found if line]


def _applies(condition: str, name: str) -> bool:
    """Whether an environment has one of the combinations of factors `a,b-c,!d`."""
    has = name.split("-")
    wanted = [[(part.lstrip("!"), part.startswith("!")) for part in one.split("-")] for one in condition.split(",")]
    return any(all((factor in has) != negated for factor, negated in one) for one in wanted)


def _why_not(values: Mapping[str, Sequence[str]]) -> str:
    """Why no command of an environment is run, if so."""
    said = {key: " ".join(values.get(key, ())) for key in _CONDITIONS}
    if said["ignore_outcome"].lower() not in _NO:
        return "may fail: its outcome is ignored"
    if said["base"]:
        return f"inherits from {said['base']}"
    try:
        here = re.match(said["platform"], "linux")
    except re.error:
        here = None
    return "" if here else f"is for the platform {said['platform']}"


def _of_settings(where: str, values: Mapping[str, Sequence[str]]) -> Iterator[LeftOut]:
    """What the settings besides the commands ask for that is not done."""
    for key in _INSTALLS:
        if words := " ".join(values.get(key, ())).split():
            yield LeftOut(where, f"installs, without a network: {', '.join(words)}")
    if depends := values.get("depends"):
        yield LeftOut(where, f"comes after other environments, whose files it does not find: {' '.join(depends)}")
    known = {*_COMMANDS, *_DIRECTORY, *_ENVIRONMENT, *_INSTALLS, *_CONDITIONS}
    if others := sorted(key for key in values.keys() - known if values[key] and not _NEEDLESS.fullmatch(key)):
        yield LeftOut(where, f"has settings that are not read: {', '.join(others)}")


# ------------------------------------------------------------------------------------------------------------ commands


@dataclass(frozen=True)
class _Scope:
    """What the commands of an environment find around them."""

    name: str
    directory: str
    environment: Mapping[str, str]


def _scope(values: Mapping[str, Sequence[str]], name: str) -> _Scope:
    """A ValueError where it cannot be told."""
    changed = [_expand(line, _Scope(name, "", {})) for key in _DIRECTORY for line in values.get(key, ())]
    scope = _Scope(name, folder_below(changed[-1] if changed else ""), {})
    for line in (line for key in _ENVIRONMENT for line in values.get(key, ())):
        variable, equals, value = line.partition("=")
        if not equals:
            raise ValueError(f"has an environment that is not written out: {line}")
        scope = replace(scope, environment={**scope.environment, variable.strip(): _expand(value.strip(), scope)})
    return scope


def _command(where: str, line: str, scope: _Scope) -> CommandTest | LeftOut:
    if line.startswith("-"):
        return LeftOut(where, f"may fail: {line}")
    if line.startswith("!"):
        return LeftOut(where, f"must fail, with any status: {line}")
    expanded = _expand(line, scope)
    if is_install(expanded):
        return LeftOut(where, f"installs, without a network: {expanded}")
    words = [word for word in shlex.split(expanded) if word != "[]"]  # an old name for `{posargs}`
    if not (words and words[0]):
        return LeftOut(where, f"names no program: {line}")
    return CommandTest(
        where,
        tuple(words),
        directory=scope.directory,
        environment=scope.environment,
        stage=stage_of(scope.name, expanded),
        job=f"tox/{scope.name}",
    )


def _expand(text: str, scope: _Scope, depth: int = 0) -> str:
    """Put in what stands for something; a ValueError where that is not known."""
    known = {
        "envname": scope.name,
        "envpython": "python",
        "posargs": "",
        "/": "/",
        **dict.fromkeys(("toxinidir", "tox_root"), posixpath.relpath(".", scope.directory or ".")),
    }

    def value(found: re.Match[str]) -> str:
        what, _, rest = found[1].partition(":")
        if found[1] in known:
            return known[found[1]]
        if what == "posargs":
            return rest
        if what == "env":
            variable, _, default = rest.partition(":")
            return scope.environment.get(variable, default)
        raise ValueError(f"what {found[0]} stands for is not known")

    changed = _SUBSTITUTION.sub(value, text)
    return text if changed == text or depth > _MAX_DEPTH else _expand(changed, scope, depth + 1)
