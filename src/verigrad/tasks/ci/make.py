"""Targets of a Makefile as checks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from verigrad.errors import TaskError
from verigrad.tasks.ci.base import Checks, file_text, stage_of
from verigrad.types import CommandTest

__all__ = ["make_checks"]

_TARGET = re.compile(r"^([A-Za-z0-9_][A-Za-z0-9_./ -]*?)\s*:(?![=:])", re.MULTILINE)


def make_checks(files: Mapping[str, bytes], targets: Sequence[str], *, path: str = "Makefile") -> Checks:
    """A check per target, `make/NAME`, which runs `make` itself (of the system) with all that it includes.

    Raises:
        TaskError: there is no such file, or it does not define a target.

    >>> make_checks({"Makefile": b"lint:\\n\\truff check .\\n"}, ["lint"]).tests[0].argv
    ('make', '-f', 'Makefile', 'lint')
    """
    known = [name for names in _TARGET.findall(file_text(files, path)) for name in names.split()]
    for target in targets:
        if target not in known:
            raise TaskError(f"{path}: no target {target!r}; there are {', '.join(dict.fromkeys(known))}")
    tests = [CommandTest(f"make/{target}", ("make", "-f", path, target), stage=stage_of(target)) for target in targets]
    return Checks(tuple(tests))
