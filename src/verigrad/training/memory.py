"""How much memory a process has come to use."""

from __future__ import annotations

import resource

import torch

__all__ = ["peak_memory"]


def peak_memory(device: torch.device) -> dict[str, float]:
    """`peak_memory_mb` of this process, and on a GPU `peak_gpu_memory_mb`, the most that torch held there."""
    found = {"peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    if device.type == "cuda":
        found["peak_gpu_memory_mb"] = torch.cuda.max_memory_allocated(device) / 2**20
    return found
