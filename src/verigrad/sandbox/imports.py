"""Packages that programs may import besides the standard library, in a worker. Standard library only.

`verigrad.sandbox.packages` says which. They are imported once, before the fork-server is confined, so that a fork
finds them ready; what they hold beyond that is imported by the programs themselves. Nothing else beside them can be
imported, at any level.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

__all__ = ["ENVIRONMENT", "Imports"]

ENVIRONMENT = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
"""Of programs with packages: one thread each, since a thread is a process to the kernel, and those are counted."""


class Imports:
    """What a worker's programs may import, a finder of modules that comes after all others.

    Attributes:
        names: to import ahead.
        modules: top-level names that can be imported.
        places: folder -> what is shown of it.
        megabytes: of address space that the packages imported ahead take.
    """

    def __init__(self, text: str = "") -> None:
        names, modules, places = json.loads(text) if text else ((), (), ())
        self.names: list[str] = list(names)
        self.modules = frozenset(modules)
        self.places: dict[str, list[str]] = {folder: list(entries) for folder, entries in places}
        self.megabytes = 0

    def load(self) -> None:
        """Import the packages into this process, the future fork-server.

        Raises:
            SystemExit: they start threads, with which there can be no fork-server.
        """
        if not self.names:
            return
        os.environ.update(ENVIRONMENT)
        sys.meta_path.append(self)
        before = _address_space()
        for name in self.names:
            importlib.import_module(name)
        if "numpy" in sys.modules:
            importlib.import_module("numpy.random").seed(0)  # as `random`: a verdict must not depend on luck
        if (threads := len(os.listdir("/proc/self/task"))) > 1:
            raise SystemExit(f"importing {', '.join(self.names)} starts {threads - 1} threads; leave the package out")
        self.megabytes = (_address_space() - before + (1 << 20) - 1) >> 20
        for folder in self.places:
            sys.path_importer_cache.pop(folder, None)  # it knows the names of all that is installed

    def paths(self) -> Iterator[str]:
        """All that is shown."""
        for folder, entries in self.places.items():
            for entry in entries:
                yield f"{folder}/{entry}"

    def move(self, names: Mapping[str, str]) -> None:
        """Find by another name from now on what lies in a folder that `names` has one for, the library too."""
        self.places = {names.get(folder, folder): entries for folder, entries in self.places.items()}
        sys.path[:] = [names.get(folder, folder) for folder in sys.path]
        for module in list(sys.modules.values()):
            if hasattr(module, "__path__"):
                module.__path__ = [_renamed(path, names) for path in module.__path__]

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Of the import system; modules inside packages are found as any other."""
        return PathFinder.find_spec(name, list(self.places)) if path is None and name in self.modules else None

    def find_distributions(self, context: Any) -> Iterable[Any]:
        """Of `importlib.metadata`: packages look up versions, their own and others', as they are imported."""
        from importlib.metadata import DistributionFinder, MetadataPathFinder  # seldom needed, and slow to load

        wanted = DistributionFinder.Context(name=context.name, path=list(self.places))
        return MetadataPathFinder.find_distributions(wanted)


def _renamed(path: str, names: Mapping[str, str]) -> str:
    for folder, name in names.items():
        if path.startswith(folder + "/"):
            return name + path[len(folder) :]
    return path


def _address_space() -> int:
    """Bytes."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
