"""What all tests share: those marked `gpu` are skipped where torch finds no CUDA device; work done once in a run."""

import os
import shutil

import pytest
from filelock import FileLock
from hypothesis import settings

# How long one example takes says how busy the machine is, and nothing of the code.
settings.register_profile("verigrad", deadline=None)
settings.load_profile("verigrad")


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") is None:
        return
    import torch  # not before it is needed: many tests do without

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device, and torch finds none here")


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """`once(name, fill)`: a folder that `fill(folder)` has filled, in whichever process of the tests came first."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def find(name, fill):
        folder, unfinished = root / name, root / f"{name}-unfinished"
        with FileLock(root / f"{name}.lock"):
            if not folder.exists():
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir()
                fill(unfinished)
                unfinished.rename(folder)
        return folder

    return find
