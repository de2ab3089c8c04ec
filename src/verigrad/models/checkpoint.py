"""Saving a trained model so that any tool can load it: `AutoModelForCausalLM.from_pretrained(folder)`."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from verigrad.errors import CheckpointError
from verigrad.files import flush
from verigrad.models.chat import end_ids_of
from verigrad.models.lora import full_tensors, is_lora
from verigrad.models.quiet import quiet_transformers

__all__ = ["clear_leavings", "is_write_error", "new_folder", "save_model"]

_BUILDING, _REPLACED = ".building-", ".replaced"  # what the names of hidden folders go on with


def is_write_error(error: Exception) -> bool:
    """Whether an error may be a full disk: Python says OSError, safetensors its own, torch's zip writer RuntimeError.

    A tokenizer's file is written by Rust, which raises a bare Exception.
    """
    return isinstance(error, OSError | SafetensorError | RuntimeError) or type(error) is Exception


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder that appears under its name only when it is complete.

    It is written beside its place, flushed to disk and renamed; an error leaves what stood there before. After a kill
    `clear_leavings` does the same: hidden folders are left beside the place, one of which, where the kill came between
    two renames, is what stood there.

    Raises:
        CheckpointError: the disk is full or not writable.
    """
    building: Path | None = None
    replaced = target.with_name(f".{target.name}{_REPLACED}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _settle(replaced)
        building = Path(tempfile.mkdtemp(prefix=f".{target.name}{_BUILDING}", dir=target.parent))
        building.chmod(0o755)  # a temporary folder is private; what it becomes is not
        yield building
        for file in building.rglob("*"):
            if file.is_file():
                flush(file)
        if target.is_dir() and not target.is_symlink():
            target.rename(replaced)
        building.rename(target)
        flush(target.parent)
    except Exception as error:
        if not is_write_error(error):
            raise
        free = shutil.disk_usage(target.parent).free >> 20 if target.parent.exists() else 0
        raise CheckpointError(
            f"cannot write {target}: {error}; {free} MiB are free there. What was written before is untouched; "
            "free some space (old checkpoints?) and run the same command with --resume"
        ) from error
    finally:
        if building is not None:
            shutil.rmtree(building, ignore_errors=True)
        _settle(replaced)


def _settle(replaced: Path) -> None:
    """Put a folder that was to be replaced back where nothing took its place; else delete it."""
    target = replaced.with_name(replaced.name.removeprefix(".").removesuffix(_REPLACED))
    if replaced.exists() and not target.exists():
        replaced.rename(target)
    shutil.rmtree(replaced, ignore_errors=True)


def clear_leavings(folder: Path) -> None:
    """Take away what kills inside `new_folder` left in a folder that nobody else writes to; old folders come back."""
    for building in folder.glob(f".*{_BUILDING}*"):
        shutil.rmtree(building, ignore_errors=True)
    for replaced in folder.glob(f".*{_REPLACED}"):
        _settle(replaced)


def save_model(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write the full model (adapters merged) and its tokenizer as an ordinary Hugging Face folder.

    Its generation config says all the ids that end a completion here, so that other tools stop there too.

    Raises:
        CheckpointError: the disk is full or not writable; nothing half-written is left.
    """
    with new_folder(folder) as building, quiet_transformers():
        plain = model.get_base_model() if is_lora(model) else model
        state = {name: tensor.contiguous() for name, tensor in full_tensors(model)}
        plain.save_pretrained(building, state_dict=state)
        _write_ends(building / "generation_config.json", end_ids_of(plain, tokenizer))
        tokenizer.save_pretrained(building)


def _write_ends(file: Path, ends: frozenset[int]) -> None:
    """Into the file itself: transformers refuses to save a config that is changed, where what it held contradicts
    itself, as that of some published models does."""
    if ends and file.is_file():  # classifiers have none
        config = json.loads(file.read_text(encoding="utf-8"))
        config["eos_token_id"] = min(ends) if len(ends) == 1 else sorted(ends)
        file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
