"""Settings that torch's libraries read from the environment when they are first loaded."""

from __future__ import annotations

import os

__all__ = ["settle_torch"]


def settle_torch() -> None:
    """Choose how OpenMP threads wait and how many kernels oneDNN keeps, unless that is set already.

    To be called before torch is first imported; afterwards it has no effect. The command line does.

    - Waiting threads spin for milliseconds by default, and starve the judged programs and each other; without any
      spinning an update takes a third longer; 50 microseconds (20000 turns) do neither. The policy must not be
      `PASSIVE`: libgomp lets a second pool of threads, such as that of the sampling engine, spin for 1000 turns
      under `ACTIVE`, 100 without a policy and not at all under `PASSIVE`, where sampling takes half as long again.
    - oneDNN keeps 1024 compiled kernels, some hundreds of megabytes where sequence lengths vary; a quarter of them
      makes nothing slower.

    Measured in docs/log.md.
    """
    if "OMP_WAIT_POLICY" not in os.environ and "GOMP_SPINCOUNT" not in os.environ:
        os.environ.update(OMP_WAIT_POLICY="ACTIVE", GOMP_SPINCOUNT="20000")
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "256")
