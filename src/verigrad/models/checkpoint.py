"""Saving a trained model so that any tool can load it: `AutoModelForCausalLM.from_pretrained(folder)`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from verigrad.errors import CheckpointError
from verigrad.files import flush
from verigrad.models.lora import full_tensors, is_lora
from verigrad.models.quiet import quiet_transformers

__all__ = ["is_write_error", "new_folder", "save_model"]


def is_write_error(error: Exception) -> bool:
    """Whether an error may be a full disk: Python says OSError, safetensors its own, torch's zip writer RuntimeError.

    A tokenizer's file is written by Rust, which raises a bare Exception.
    """
    return isinstance(error, OSError | SafetensorError | RuntimeError) or type(error) is Exception


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A folder that appears under its name only when it is complete.

    It is written beside its place, flushed to disk and renamed; an error or a kill inside the block leaves
    what stood there before.

    Raises:
        CheckpointError: the disk is full or not writable.
    """
    building: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        building.chmod(0o755)  # a temporary folder is private; what it becomes is not
        yield building
        for file in building.rglob("*"):
            if file.is_file():
                flush(file)
        if target.exists():
            shutil.rmtree(target)
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


def save_model(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write the full model (adapters merged) and its tokenizer as an ordinary Hugging Face folder.

    Raises:
        CheckpointError: the disk is full or not writable; nothing half-written is left.
    """
    with new_folder(folder) as building, quiet_transformers():
        plain = model.get_base_model() if is_lora(model) else model
        state = {name: tensor.contiguous() for name, tensor in full_tensors(model)}
        plain.save_pretrained(building, state_dict=state)
        tokenizer.save_pretrained(building)
