"""Installed packages that a task lets its programs import: which files are theirs, and those of what they depend on.

Looked up here, in the judge's process, and told to a worker, which shows programs these files and no others
(`verigrad.sandbox.imports`). Nothing is imported here.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

from verigrad.errors import ConfigError
from verigrad.registry import did_you_mean

__all__ = ["Packages", "find_packages"]

_OURS = "verigrad"
"""Never to be imported by a program: it holds tasks with their answers."""


@dataclass(frozen=True)
class Packages:
    """What a worker is to be told.

    Attributes:
        names: modules that the task names.
        modules: all top-level modules that can be imported, those of dependencies included.
        places: folder -> what is shown of it.
    """

    names: tuple[str, ...]
    modules: tuple[str, ...]
    places: tuple[tuple[str, tuple[str, ...]], ...]

    def as_json(self) -> str:
        return json.dumps([self.names, self.modules, self.places])


@lru_cache(maxsize=64)
def find_packages(names: tuple[str, ...]) -> Packages:
    """The packages that hold the modules `names`, and all that these cannot do without.

    Raises:
        ConfigError: one is not installed, is no package, or is verigrad; the message names it.
    """
    providers = packages_distributions()
    wanted: list[str] = []
    for name in names:
        if name == _OURS:
            raise ConfigError("a task's packages name 'verigrad', which holds tasks with their answers; leave it out")
        if name in sys.stdlib_module_names:
            raise ConfigError(f"a task's packages name {name!r}, which is in the standard library; leave it out")
        if name not in providers:
            guess = did_you_mean(name, providers)
            raise ConfigError(
                f"a task lets its programs import {name!r}, which is not installed{guess}; "
                "install it beside verigrad (the name is that of the module to import)"
            )
        wanted += providers[name]
    found = _with_dependencies(wanted)
    places: dict[str, set[str]] = {}
    for part in found:
        places.setdefault(str(part.locate_file("")).rstrip("/"), set()).update(_entries(part))
    modules = {name for name, of in providers.items() if any(_plain_name(each) in _names(found) for each in of)}
    return Packages(
        names, tuple(sorted(modules)), tuple((folder, tuple(sorted(places[folder]))) for folder in sorted(places))
    )


def _names(found: Iterable[Distribution]) -> set[str]:
    return {_plain_name(part.metadata["Name"]) for part in found}


def _with_dependencies(names: Sequence[str]) -> list[Distribution]:
    """The distributions called `names` and, step by step, what they require on this machine, without extras."""
    found: dict[str, Distribution] = {}
    open_names = [(name, "") for name in names]
    while open_names:
        name, because = open_names.pop()
        if _plain_name(name) in found:
            continue
        try:
            part = distribution(name)
        except PackageNotFoundError:
            raise ConfigError(
                f"the package {name!r}, which {because} depends on, is not installed; install it beside verigrad"
            ) from None
        found[_plain_name(name)] = part
        open_names += [(required, name) for required in _required(part)]
    return list(found.values())


def _plain_name(name: str) -> str:
    """As PEP 503 compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _required(part: Distribution) -> Iterator[str]:
    from packaging.requirements import Requirement

    for line in part.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement.name


def _entries(part: Distribution) -> set[str]:
    """What a distribution put into its folder: folders and files, of a folder that it shares with others its part."""
    if part.files is None:
        raise ConfigError(f"the package {part.metadata['Name']!r} has no list of its files; install it with pip")
    paths = [path.parts for path in part.files if path.parts[0] not in ("..", "/", "__pycache__")]
    whole = {parts[0] for parts in paths if parts[1:] == ("__init__.py",)}
    entries = set()
    for first, *rest in paths:
        shared = rest and first not in whole and "." not in first  # `numpy.libs`, `numpy-2.0.dist-info` are its own
        entry = f"{first}/{rest[0]}" if shared else first
        if Path(entry).suffix not in (".pth", ".virtualenv"):
            entries.add(entry)
    return entries
