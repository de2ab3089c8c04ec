"""Task sources, with the expected values that only running something can give.

EvalPlus files hold inputs and canonical solutions; what the solutions return is what the tests expect. They run
in the sandbox once, and the values are kept in the cache under the file's digest.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from verigrad.paths import cache_dir
from verigrad.sandbox.base import Call
from verigrad.sandbox.process import ProcessSandbox
from verigrad.tasks import load_tasks
from verigrad.tasks.base import TaskSet
from verigrad.tasks.evalplus import NO_VALUE, EvalPlusRow, read
from verigrad.types import Limits
from verigrad.values import PlainValueError, decode, encode

__all__ = ["load_source"]

_EVALPLUS = ("evalplus", "evalplus@1")
_GOLD_LIMITS = Limits(cpu_s=60.0, wall_s=120.0, memory_mb=2048, result_bytes=8_000_000)
_FORMAT = 1  # of the cache; a change of what is stored makes another file


def load_source(spec: str) -> TaskSet:
    """`verigrad.tasks.load_tasks`, and EvalPlus files complete with expected values.

    Raises:
        ConfigError: the source is unknown or cannot be read.
        TaskError: a row is malformed.
    """
    name, _, rest = spec.partition(":")
    if name not in _EVALPLUS or not rest:
        return load_tasks(spec)
    return load_tasks(spec, expected=_expected_values(Path(rest.partition("?")[0])))


def _expected_values(file: Path) -> dict[str, list[Any]]:
    rows = read(file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    cached = cache_dir() / "evalplus" / f"{digest}-{_FORMAT}.json"
    if cached.exists():
        forms = json.loads(cached.read_text())
    else:
        forms = asyncio.run(_run_gold(rows))
        cached.parent.mkdir(parents=True, exist_ok=True)
        building = cached.with_suffix(".building")
        building.write_text(json.dumps(forms))
        building.replace(cached)
    return {task: [NO_VALUE if form is None else decode(form[0]) for form in values] for task, values in forms.items()}


async def _run_gold(rows: Sequence[EvalPlusRow]) -> dict[str, list[list[Any] | None]]:
    """Per row and input the JSON form of what the canonical solution returned, in a list; None where nothing came."""

    async def one(row: EvalPlusRow) -> list[list[Any] | None]:
        as_bool = row.comparator.mode == "truthy"
        calls = [Call(row.entry_point, args, as_bool=as_bool) for args in row.inputs]
        found = await sandbox.run(row.gold, calls, _GOLD_LIMITS)
        outcomes = [_form(outcome.value) if outcome.status == "returned" else None for outcome in found.outcomes]
        return outcomes + [None] * (len(calls) - len(outcomes))

    async with ProcessSandbox() as sandbox:
        values = await asyncio.gather(*(one(row) for row in rows))
    return {row.task_id: value for row, value in zip(rows, values, strict=True)}


def _form(value: Any) -> list[Any] | None:
    try:
        return [encode(value)]
    except PlainValueError:
        return None
