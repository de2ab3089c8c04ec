"""Where a test is repeated: on the CPU, and with the mark `gpu` on a CUDA device."""

import pytest

__all__ = ["DEVICES"]

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
