"""Tests marked `gpu` are skipped where torch finds no CUDA device."""

import pytest


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") is None:
        return
    import torch  # not before it is needed: many tests do without

    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device, and torch finds none here")
