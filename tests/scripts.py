"""Benchmarks as modules, for tests of what they compute."""

import importlib.util
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "benchmarks"


def benchmark(name):
    """The module `benchmarks/NAME.py`; dataclasses in it need it among the loaded ones."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
