"""A comparison's folder: what there is to measure, and what has been.

config.toml      every setting, resolved
inputs.json      what stands behind the names of tasks and models
rows/            PART-SEED-ROLE.jsonl, one row a sample; written whole when the part is finished, so a file that is
                 there is never measured again
summary.json     the figures
compare.html     the page
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from verigrad.errors import ConfigError
from verigrad.evaluation.inputs import model_stamp, tasks_digest
from verigrad.evaluation.twins.bench import Row
from verigrad.evaluation.twins.config import CompareConfig, Kind
from verigrad.jsonl import read_rows, write_rows
from verigrad.settings import diff, load_config, to_toml
from verigrad.tasks.base import TaskSet
from verigrad.writing import write_or_tell

__all__ = ["CompareFolder", "Role", "Work", "works"]

Role = Literal["diffusion", "causal", "before"]
_ROLES: dict[str, tuple[Role, ...]] = {"order": ("diffusion", "before"), "playback": ("diffusion",)}
_MAY_CHANGE = {"run", "parts", "workers"}


@dataclass(frozen=True)
class Work:
    """One part on one model.

    Attributes:
        pair: number of the pair, from 0.
        role: which of its models; `before` is the diffusion model before reinforcement learning.
        model: its folder.
    """

    part: str
    pair: int
    role: Role
    model: str

    @property
    def kind(self) -> Kind:
        return "causal" if self.role == "causal" else "diffusion"

    @property
    def name(self) -> str:
        return f"{self.part}-{self.pair}-{self.role}"


def works(config: CompareConfig) -> list[Work]:
    """All there is to do, model by model."""
    found = []
    for pair in range(len(config.diffusion)):
        for role in ("diffusion", "causal", "before"):
            for part in config.chosen:
                model = _model(config, part, pair, role)
                if model and role in _ROLES.get(part, ("diffusion", "causal")):
                    found.append(Work(part, pair, role, model))
    return found


def _model(config: CompareConfig, part: str, pair: int, role: Role) -> str:
    if role == "before":
        return config.diffusion_before[pair] if config.diffusion_before else ""
    if role == "causal" and part == "infilling" and config.causal_fim:
        return config.causal_fim[pair]
    return getattr(config, role)[pair]  # type: ignore[no-any-return]


class CompareFolder:
    """The folder of these settings, begun or to be continued.

    Raises:
        ConfigError: it was begun with other settings.
    """

    def __init__(self, config: CompareConfig) -> None:
        self.path = Path(config.run)
        stored = self.path / "config.toml"
        if stored.exists():
            changed = diff(load_config(CompareConfig, stored), config)
            if odd := [key for key in changed if key.partition(".")[0] not in _MAY_CHANGE]:
                old, new = changed[odd[0]]
                raise ConfigError(
                    f"{self.path} was begun with {odd[0]} = {old!r}, and now it is {new!r}; rows of both would be "
                    "mixed: undo the change, or choose another folder with --run"
                )
        self._config, self._text = config, to_toml(config)

    def begin(self, tasks: TaskSet) -> None:
        """Record the settings, and what the tasks and models are.

        Raises:
            ConfigError: rows that are there are of other tasks or models by the same names.
        """
        models = sorted({work.model for work in works(self._config)})
        inputs = {"tasks": tasks_digest(tasks), **{model: model_stamp(model) for model in models}}
        stored = self.path / "inputs.json"
        measured = any((self.path / "rows").glob("*.jsonl"))
        known = json.loads(stored.read_text()) if measured and stored.exists() else {}
        if odd := [name for name in inputs if name in known and known[name] != inputs[name]]:
            raise ConfigError(
                f"{self.path} was begun when {', '.join(odd)} had another content; rows of both would be mixed: choose "
                "another folder with --run, or delete this one"
            )
        self.put("config.toml", self._text)
        self.put("inputs.json", json.dumps({**known, **inputs}, indent=2) + "\n")

    def put(self, name: str, text: str) -> Path:
        """Write a file of the folder, whole or not at all.

        Raises:
            RunError: the disk did not take it.
        """
        write_or_tell(self.path / name, text, "free space, then the same command goes on")
        return self.path / name

    def file(self, work: Work) -> Path:
        return self.path / "rows" / f"{work.name}.jsonl"

    def finished(self, work: Work) -> bool:
        return self.file(work).exists()

    def write(self, work: Work, rows: list[Row]) -> None:
        """Store a finished part, each row with its place."""
        place = {"part": work.part, "pair": work.pair, "role": work.role}
        write_rows(self.file(work), ({**place, **row} for row in rows))

    def rows(self, config: CompareConfig) -> list[Row]:
        """Rows of all parts that are finished on every model, those of earlier commands too."""
        every = works(replace(config, parts=()))
        begun = {work.part for work in every if not self.finished(work)}
        return [row for work in every if work.part not in begun for _, row in read_rows(self.file(work))]
