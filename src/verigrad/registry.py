"""Names to objects: a table's own name, `module:attr`, or `file.py:attr`.

Tables are plain dict literals in each sub-package. A string value such as `"verigrad.engines.vllm:VLLMEngine"`
is imported only when asked for, so a heavy backend costs nothing until it is used.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from verigrad.errors import ConfigError

__all__ = ["did_you_mean", "load_attribute", "resolve"]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean 'x'?)` for the closest known name, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""


def resolve(name: str, table: Mapping[str, Any], *, what: str) -> Any:
    """Return the object called `name`.

    Args:
        name: a key of `table`, or `package.module:attr`, or `path/to/file.py:attr`.
        table: built-in names; string values are themselves `module:attr`.
        what: the kind of thing, for the error message (`algorithm`, `reward`, ...).

    Raises:
        ConfigError: the name is unknown, or the module, file or attribute cannot be loaded.
    """
    if name in table:
        found = table[name]
        return load_attribute(found) if isinstance(found, str) else found
    if ":" in name:
        return load_attribute(name)
    raise ConfigError(
        f"unknown {what} {name!r}{did_you_mean(name, table)}; known: {', '.join(sorted(table))}; "
        f"or name your own as 'file.py:attr' or 'module:attr'"
    )


def load_attribute(path: str) -> Any:
    """Import `module:attr` or `file.py:attr`.

    Raises:
        ConfigError: with the reason, naming the part that failed.
    """
    source, _, attribute = path.rpartition(":")
    if not source or not attribute:
        raise ConfigError(f"wanted 'module:attr' or 'file.py:attr', got {path!r}")
    module = _load_file(Path(source)) if source.endswith(".py") else _import(source, path)
    if not hasattr(module, attribute):
        public = [name for name in vars(module) if not name.startswith("_")]
        raise ConfigError(f"{source} has no attribute {attribute!r}{did_you_mean(attribute, public)}")
    return getattr(module, attribute)


def _import(module: str, path: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and module.startswith(error.name):
            raise ConfigError(f"cannot import {module!r} (from {path!r}): no such module") from error
        raise


def _load_file(file: Path) -> Any:
    file = file.expanduser().resolve()
    if not file.is_file():
        raise ConfigError(f"no such file: {file}")
    # One module per path: loading twice must give the same objects, and two files of one name must not clash.
    name = f"verigrad_user_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"cannot load {file} as Python source")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
