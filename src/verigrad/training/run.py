"""The run folder: a contract between training, resuming, reporting and people.

    config.toml          every setting, resolved
    inputs.json          digest of each file that the settings name as data
    metrics.jsonl        one JSON object a line, on the disk as soon as it is logged
    rollouts/            step-000012.jsonl: prompts, completions, verdicts, scores
    evaluations/         <split>-<before|after>.jsonl: one row a sample
    checkpoints/         step-000025/: weights and optimizer of each learner, manifest; complete or absent
    model/               the result, as any tool can load it
    events.*             TensorBoard, where it is installed
    summary.json         the final figures
    report.html          the page
    .lock                held while a process writes to the run

Checkpoints are written beside their place and renamed, and carry a digest of each file. A resumed run takes away
what a kill left half-written and goes on from the last good one; rows written after it are set aside in
`metrics.superseded.jsonl`, never deleted.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from verigrad.errors import CheckpointError, RunError
from verigrad.locks import hold
from verigrad.models.checkpoint import clear_leavings, new_folder
from verigrad.training.begun import check_begun
from verigrad.writing import write_or_tell

__all__ = ["Learner", "Run", "TrainState", "load_state", "require_intact", "save_state"]

_THEN = "free space, then --resume"
_AS_BEGUN = (
    "Resume with the model, the files and the version of verigrad that the run was begun with, or start anew in "
    "another folder with --run"
)


@dataclass(frozen=True)
class TrainState:
    """What a loop needs besides its settings to go on: how many steps are done, and its own notes."""

    step: int
    notes: Mapping[str, Any]


class Run:
    """An open run folder.

    Attributes:
        start_step: steps that are done already.
        seconds_before: that these steps, and validations among them, have taken.
    """

    def __init__(self, folder: Path, lock: TextIO, *, start_step: int, seconds_before: float = 0.0) -> None:
        self.folder = folder
        self.start_step = start_step
        self.seconds_before = seconds_before
        self._lock = lock
        try:
            self._metrics = (folder / "metrics.jsonl").open("a", encoding="utf-8")
            self._tensorboard = _tensorboard(folder, start_step)
        except OSError as error:
            raise RunError(f"cannot write to the run folder {folder}: {error}; {_THEN}") from error

    @classmethod
    def create(cls, folder: Path, config_toml: str, inputs: Mapping[str, str] | None = None) -> Run:
        """Start a new run.

        Args:
            inputs: setting -> digest of the file that it names; a resumed run must be given the same.

        Raises:
            RunError: the folder already holds a run, or cannot be written.
        """
        with _held(folder) as lock:
            check_begun(folder, resume=False)
            try:
                for part in ("rollouts", "evaluations", "checkpoints"):
                    (folder / part).mkdir(exist_ok=True)
                then = "free space, or choose another folder with --run"
                if inputs:
                    write_or_tell(folder / "inputs.json", json.dumps(dict(inputs), indent=2) + "\n", then)
                write_or_tell(folder / "config.toml", config_toml, then)
            except OSError as error:
                raise RunError(f"cannot write the run folder {folder}: {error}; choose another with --run") from error
            return cls(folder, lock, start_step=0)

    @classmethod
    def resume(
        cls, folder: Path, changed: Mapping[str, tuple[Any, Any]], inputs: Mapping[str, str] | None = None
    ) -> tuple[Run, Path | None]:
        """Open a run to continue it; returns it and its last good checkpoint (None: start from the beginning).

        Args:
            changed: settings that differ from the run's own: key -> (old, new).
            inputs: as `create` takes them; of runs that noted none, nothing is asked.

        Raises:
            RunError: there is no run, its settings or inputs have changed, or a process is writing to it.
            CheckpointError: there are checkpoints but every one is damaged.
        """
        check_begun(folder, resume=True)
        if changed:
            differences = "; ".join(f"{key}: {old!r} -> {new!r}" for key, (old, new) in changed.items())
            raise RunError(
                f"the settings of {folder} have changed: {differences}. A resumed run must repeat the "
                f"trajectory it began; undo the change (--resume and --run {folder} alone take its own settings), or "
                f"start a new run from its weights with --model {folder}/model or --run elsewhere"
            )
        _check_inputs(folder, inputs or {})
        with _held(folder) as lock:
            for place in (folder, folder / "checkpoints", folder / "reference"):
                clear_leavings(place)
            checkpoint = _last_good(folder / "checkpoints")
            step = 0 if checkpoint is None else _step(checkpoint)
            kept = _set_aside(folder / "metrics.jsonl", after=step)
            seconds = sum(json.loads(line).get("seconds", 0.0) for line in kept)
            return cls(folder, lock, start_step=step, seconds_before=seconds), checkpoint

    def log(self, row: Mapping[str, Any]) -> None:
        """Append a row to `metrics.jsonl`, on the disk when this returns, and to TensorBoard, which may lag.

        Raises:
            RunError: the disk is full or gone.
        """
        try:
            self._metrics.write(json.dumps(row) + "\n")
            self._metrics.flush()
            # Milliseconds. Without it a crash of the machine could lose rows from before a checkpoint, which is synced.
            os.fsync(self._metrics.fileno())
            self._log_events(row)
        except OSError as error:
            raise RunError(
                f"cannot append to {self.folder / 'metrics.jsonl'} and TensorBoard's events: {error}; free space, "
                "then --resume"
            ) from error

    def _log_events(self, row: Mapping[str, Any]) -> None:
        if self._tensorboard is not None:
            for key, value in row.items():
                if isinstance(value, int | float) and key != "step":
                    self._tensorboard.add_scalar(f"{row.get('kind', 'train')}/{key}", value, row.get("step", 0))

    def write_rows(self, name: str, rows: Iterable[Mapping[str, Any]]) -> Path:
        """Write a JSONL file of the run (`rollouts/...`, `evaluations/...`), whole or not at all."""
        path = self.folder / name
        write_or_tell(path, "".join(json.dumps(row) + "\n" for row in rows), _THEN)
        return path

    def read_rows(self, name: str) -> list[dict[str, Any]] | None:
        """Rows of a JSONL file of the run, or None where it was not written yet."""
        path = self.folder / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else None

    def write_config(self, config_toml: str) -> None:
        """Record settings that a resumed run goes on with."""
        write_or_tell(self.folder / "config.toml", config_toml, _THEN)

    def write_summary(self, summary: Mapping[str, Any]) -> Path:
        path = self.folder / "summary.json"
        write_or_tell(path, json.dumps(summary, indent=2) + "\n", _THEN)
        return path

    def checkpoint_folder(self, step: int) -> Path:
        return self.folder / "checkpoints" / f"step-{step:06d}"

    def forget_old_checkpoints(self, keep: int, protect: Iterable[int] = ()) -> None:
        """Delete all but the last `keep` checkpoints and those of the steps in `protect`."""
        protected = {self.checkpoint_folder(step) for step in protect}
        for folder in _checkpoints(self.folder / "checkpoints")[: -max(1, keep)]:
            if folder not in protected:
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Give the files back. What they could not take `log` has complained about: here it would hide that."""
        with contextlib.suppress(OSError):
            self._metrics.close()
        if self._tensorboard is not None:
            with contextlib.suppress(OSError):
                self._tensorboard.close()
        self._lock.close()


def _check_inputs(folder: Path, inputs: Mapping[str, str]) -> None:
    """A file with other rows under the same name would be half of one run and half of another: what is held out now may
    have been trained on, and what the reference says of new rows is asked of a policy that has moved."""
    file = folder / "inputs.json"
    begun = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if changed := sorted(name for name, digest in inputs.items() if begun.get(name, digest) != digest):
        raise RunError(
            f"the content of {' and '.join(changed)} has changed since {folder} was begun. A resumed run must repeat "
            "the trajectory it began; put back what was there, or start a new run with --run elsewhere"
        )


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[TextIO]:
    """The lock of a run folder, which outlives the block unless that fails."""
    lock = hold(folder / ".lock", "a run", "--run")
    try:
        yield lock
    except BaseException:
        lock.close()
        raise


@dataclass(frozen=True)
class Learner:
    """A model and the optimizer that trains it."""

    model: nn.Module
    optimizer: torch.optim.Optimizer


def save_state(folder: Path, learners: Mapping[str, Learner], state: TrainState) -> None:
    """Write a checkpoint: every learner's trainable weights and optimizer, notes, and each file's digest.

    Raises:
        CheckpointError: the disk is full or not writable; older checkpoints are untouched.
    """
    with new_folder(folder) as building:
        for name, learner in learners.items():
            save_file(_trainable(learner.model), building / f"{name}.safetensors")
            torch.save(learner.optimizer.state_dict(), building / f"{name}.optimizer.pt")
        (building / "state.json").write_text(json.dumps({"step": state.step, "notes": dict(state.notes)}))
        digests = {file.name: _digest(file) for file in sorted(building.iterdir())}
        (building / "manifest.json").write_text(json.dumps(digests, indent=2))


def require_intact(checkpoint: Path) -> None:
    """Check a checkpoint's files against its manifest.

    Raises:
        CheckpointError: one is missing or has changed.
    """
    damage = _damage(checkpoint)
    if damage is not None:
        others = ", ".join(path.name for path in _checkpoints(checkpoint.parent) if path != checkpoint)
        raise CheckpointError(
            f"the checkpoint {checkpoint} is damaged: {damage}. Put it back from a copy and --resume, or start from "
            f"another one's weights (there are: {others or 'none'})"
        )


def load_state(folder: Path, learners: Mapping[str, Learner]) -> TrainState:
    """Put a checkpoint's weights and optimizer states in place; returns the rest.

    Raises:
        CheckpointError: it does not fit these models or optimizers.
    """
    for name, learner in learners.items():
        if not (folder / f"{name}.safetensors").exists():
            held = ", ".join(file.stem for file in sorted(folder.glob("*.safetensors"))) or "none"
            raise CheckpointError(
                f"{folder} holds no weights of the {name}; it has: {held}. It is of another kind of run. {_AS_BEGUN}"
            )
        _load_weights(folder / f"{name}.safetensors", learner.model)
        stored = torch.load(folder / f"{name}.optimizer.pt", weights_only=True, map_location="cpu")
        try:
            learner.optimizer.load_state_dict(stored)
        except ValueError as error:
            raise CheckpointError(
                f"{folder / name}.optimizer.pt does not fit the optimizer: {error}. {_AS_BEGUN}"
            ) from error
    state = json.loads((folder / "state.json").read_text())
    return TrainState(state["step"], state["notes"])


def _load_weights(file: Path, model: nn.Module) -> None:
    saved = load_file(file)
    current = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    wrong = list(current.keys() ^ saved.keys())
    wrong += [name for name in current.keys() & saved.keys() if current[name].shape != saved[name].shape]
    if wrong:
        name = min(wrong)
        shapes = [list(weights[name].shape) if name in weights else "none" for weights in (saved, current)]
        raise CheckpointError(
            f"{file} is of another model: {len(wrong)} weights differ, such as {name!r}: got {shapes[0]}, wanted "
            f"{shapes[1]}. {_AS_BEGUN}"
        )
    with torch.no_grad():
        for name, parameter in current.items():
            parameter.copy_(saved[name])


def _trainable(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().cpu().contiguous() for name, p in model.named_parameters() if p.requires_grad}


def _checkpoints(folder: Path) -> list[Path]:
    """Complete checkpoint folders, lowest step first; those still being written start with a dot."""
    found = (path for path in folder.glob("step-*") if path.is_dir() and path.name.removeprefix("step-").isdecimal())
    return sorted(found, key=_step)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("step-"))


def _last_good(folder: Path) -> Path | None:
    """The newest checkpoint whose files have the digests of its manifest.

    Raises:
        CheckpointError: there are some, and all are damaged.
    """
    complaints = []
    for checkpoint in reversed(_checkpoints(folder)):
        damage = _damage(checkpoint)
        if damage is None:
            return checkpoint
        complaints.append(f"{checkpoint.name}: {damage}")
    if complaints:
        raise CheckpointError(
            f"every checkpoint in {folder} is damaged ({'; '.join(complaints)}). Nothing was deleted; to start "
            "again from the beginning, move the checkpoints folder away"
        )
    return None


def _damage(checkpoint: Path) -> str | None:
    try:
        manifest = json.loads((checkpoint / "manifest.json").read_text())
        for name, digest in manifest.items():
            if _digest(checkpoint / name) != digest:
                return f"{name} has changed since it was written"
    except (OSError, ValueError) as error:
        return str(error)
    return None


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _set_aside(metrics: Path, after: int) -> list[str]:
    """Keep the rows up to a step, and return them; move the rest, and a line a kill cut short, to
    `metrics.superseded.jsonl`."""
    if not metrics.exists():
        return []
    kept: list[str] = []
    superseded: list[str] = []
    for line in metrics.read_text().splitlines():
        (kept if _row_step(line) <= after else superseded).append(line)
    if superseded:
        aside = metrics.with_name("metrics.superseded.jsonl")
        before = aside.read_text().splitlines() if aside.exists() else []
        if before[-len(superseded) :] != superseded:  # else a kill came between the two writes, and they are there
            write_or_tell(aside, "".join(line + "\n" for line in before + superseded), _THEN)
        write_or_tell(metrics, "".join(line + "\n" for line in kept), _THEN)
    return kept


def _row_step(line: str) -> float:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")


def _tensorboard(folder: Path, start_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:  # the extra is not installed: metrics.jsonl holds the same rows
        return None
    return SummaryWriter(str(folder), purge_step=start_step + 1)  # TensorBoard drops what was logged beyond before
