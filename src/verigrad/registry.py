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
import traceback
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
    if name.endswith(".py"):
        raise ConfigError(f"{name!r} is a file of several things; name the {what} in it too, as '{name}:NAME'")
    raise ConfigError(
        f"unknown {what} {name!r}{did_you_mean(name, table)}; known: {', '.join(sorted(table))}; "
        f"or name your own as 'file.py:attr' or 'module:attr'"
    )


def load_attribute(path: str) -> Any:
    """Import `module:attr` or `file.py:attr`.

    Raises:
        ConfigError: with the reason, naming the part that failed; of an error in the file or module itself its place.
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
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name and module.startswith(error.name):
            raise ConfigError(
                f"cannot import {module!r} (from {path!r}): no such module; install it or add its folder to PYTHONPATH"
            ) from error
        if module.partition(".")[0] == "verigrad":  # what is wrong with ours is told with its whole traceback
            raise
        raise _cannot_load(module, error) from error


def _load_file(file: Path) -> Any:
    file = file.expanduser().resolve()
    if not file.is_file():
        raise ConfigError(f"no such file: {file}; wanted a Python file, given by its path from {Path.cwd()}")
    # One module per path: loading twice must give the same objects, and two files of one name must not clash.
    name = f"verigrad_user_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None  # as of every name that ends in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if isinstance(error, Exception | SystemExit):
            raise _cannot_load(str(file), error) from error
        raise
    return module


def _cannot_load(source: str, error: BaseException) -> ConfigError:
    """What is wrong with a user's file or module, and where in it."""
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return ConfigError(f"cannot load {_place(source, error)}: {what}; mend that line, then run the same command again")


def _place(source: str, error: BaseException) -> str:
    """The last line of the user's own that was reached; of a file that cannot be parsed, the line that is wrong."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _is_machinery(frame.filename)]
    own = [frame for frame in frames if frame.filename == frames[0].filename]
    if own:
        return f"{own[-1].filename}, line {own[-1].lineno}"
    if isinstance(error, SyntaxError) and error.lineno:
        return f"{error.filename}, line {error.lineno}"
    return source


def _is_machinery(filename: str) -> bool:
    return filename in (__file__, importlib.__file__) or filename.startswith("<frozen importlib")
