"""Matrix products of float32 by oneDNN and by MKL, at the shapes that training and sampling ask for.

    python benchmarks/products.py                   every thread of this machine
    python benchmarks/products.py --threads 1

`models/linear.py` picks one or the other by what this shows. Each shape is rows x width in x width out: what a layer
does forwards, the gradient of its input, the gradient of its weight. The two take turns, the best of a few rounds
counts; GFLOP/s.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["main"]

# SmolLM2-135M: the layers on a pack, on a batch being sampled, and the head; then the tiny model's.
SHAPES = [
    *[(1344, 576, 1536), (1344, 1536, 576), (1344, 576, 576)],
    *[(24, 576, 1536), (24, 1536, 576)],
    *[(48, 576, 49152), (300, 576, 49152)],
    (2048, 160, 432),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{options.threads} threads, {torch.backends.cpu.get_cpu_capability()}; oneDNN / MKL, GFLOP/s")
    for rows, inner, outer in SHAPES:
        x, w, gradient = torch.randn(rows, inner), torch.randn(outer, inner), torch.randn(rows, outer)
        rates = _rates(_sides(x, w, gradient), 2 * rows * inner * outer, options.rounds)
        shown = [f"{what} {rates[what, 'oneDNN']:4.0f} /{rates[what, 'MKL']:4.0f}" for what in ("out", "dx", "dw")]
        print(f"{rows:5} x {inner:4} x {outer:5}   " + "   ".join(shown))


def _onednn(x: Tensor, w: Tensor) -> Tensor:
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, w, None, "none", [], "")
    return found


def _sides(x: Tensor, w: Tensor, gradient: Tensor) -> dict[tuple[str, str], Callable[[], Tensor]]:
    def weight_by_onednn() -> Tensor:  # the smaller one is copied
        return _onednn(gradient.T, x.T) if gradient.numel() <= x.numel() else _onednn(x.T, gradient.T).T.contiguous()

    return {
        ("out", "oneDNN"): lambda: _onednn(x, w),
        ("out", "MKL"): lambda: x @ w.T,
        ("dx", "oneDNN"): lambda: _onednn(gradient, w.T),
        ("dx", "MKL"): lambda: gradient @ w,
        ("dw", "oneDNN"): weight_by_onednn,
        ("dw", "MKL"): lambda: gradient.T @ x,
    }


def _rates(
    sides: dict[tuple[str, str], Callable[[], Tensor]], operations: int, rounds: int
) -> dict[tuple[str, str], float]:
    best = dict.fromkeys(sides, float("inf"))
    for _ in range(rounds):
        for side, work in sides.items():
            started, done = time.perf_counter(), 0
            while done < 2 or time.perf_counter() - started < 0.03:
                work()
                done += 1
            best[side] = min(best[side], (time.perf_counter() - started) / done)
    return {side: operations / seconds / 1e9 for side, seconds in best.items()}


if __name__ == "__main__":
    main()
