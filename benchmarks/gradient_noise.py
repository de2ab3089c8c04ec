"""How much of an RL step's gradient is signal? Gradients of several batches of rollouts of one policy, side by side.

    python benchmarks/gradient_noise.py --batches 6 -- --model runs/x/tuned/model --algorithm trace_rl --tasks SOURCE …

Words behind `--` are those of `verigrad rl`. Nothing is learned: each step's gradient is kept, and the weights stay.
Batches are of other tasks, so the mean product of two of their gradients is an estimate of the squared length of the
true one, without bias, and what a batch has beyond it is noise. By kind of weight:

- `share`: of the squared length of a batch's gradient.
- `signal`: the estimate over the squared length of one batch: the cosine of two batches' gradients, and its standard
  error over batches (a jackknife). At 0.06 two batches have next to nothing in common.
- `batches`: so many must be averaged until signal and noise are equal; by them, not by one, a learning rate is to be
  set (the noise scale of McCandlish et al. 2018, arXiv:1812.06162, in batches).
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from verigrad.settings import load_config
from verigrad.training import rl
from verigrad.training.config import OptimConfig, RLConfig
from verigrad.training.optim import make_optimizer

__all__ = ["Agreement", "agreement", "gradients", "main"]


class Agreement(NamedTuple):
    """See the columns above; `length` is the mean squared length of a gradient."""

    length: float
    signal: float
    error: float

    @property
    def batches(self) -> float:
        return (1 - self.signal) / self.signal if self.signal > 0 else float("inf")


def agreement(rows: Tensor) -> Agreement:
    """Of gradients (N, P), one a batch; N is at least 3."""
    products = rows.double() @ rows.double().T
    left = [_signal(products[keep][:, keep]) for keep in _all_but_one(len(rows))]
    mean = sum(left) / len(left)
    error = ((len(left) - 1) / len(left) * sum((one - mean) ** 2 for one in left)) ** 0.5
    return Agreement(float(products.diagonal().mean()), _signal(products), error)


def _signal(products: Tensor) -> float:
    count, own = len(products), products.diagonal()
    return float((products.sum() - own.sum()) / (count * (count - 1)) / own.mean())


def _all_but_one(count: int) -> list[Tensor]:
    return [torch.arange(count)[torch.arange(count) != index] for index in range(count)]


def gradients(config: RLConfig, batches: int) -> dict[str, Tensor]:
    """By name of each trained weight, (batches, P) gradients of as many steps of the run; the weights stay."""
    found: dict[str, list[Tensor]] = defaultdict(list)

    def watched(model: nn.Module, optim: OptimConfig, **options: Any) -> torch.optim.Optimizer:
        optimizer = make_optimizer(model, optim, **options)

        def keep(*_: Any) -> None:
            for name, weight in model.named_parameters():
                if weight.grad is not None:
                    found[name].append(weight.grad.flatten().cpu().clone())
                    weight.grad = None  # so that the step does nothing

        optimizer.register_step_pre_hook(keep)
        return optimizer

    rl.make_optimizer = watched
    try:
        rl.train(replace(config, steps=batches, optim=replace(config.optim, max_grad_norm=float("inf"))))
    finally:
        rl.make_optimizer = make_optimizer
    return {name: torch.stack(rows) for name, rows in found.items()}


def table(found: Mapping[str, Tensor]) -> str:
    """A row for each kind of weight, and one for all."""
    kinds: dict[str, list[Tensor]] = defaultdict(list)
    for name, rows in found.items():
        kinds[name.removeprefix("model.").removesuffix(".weight").split(".")[-1]].append(rows)
    whole = agreement(torch.cat(list(found.values()), dim=1))
    lines = ["| weights | number | share | signal | batches |", "| --- | --- | --- | --- | --- |"]
    for kind, parts in [*kinds.items(), ("all", list(found.values()))]:
        rows = torch.cat(parts, dim=1)
        own = agreement(rows)
        lines.append(
            f"| {kind} | {rows.shape[1]} | {own.length / whole.length:.3f} | {own.signal:.3f} ({own.error:.3f}) | "
            f"{own.batches:.1f} |"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=6, help="of rollouts, at least 3")
    parser.add_argument("words", nargs="*", help="of `verigrad rl`, behind `--`")
    args = parser.parse_args(argv)
    if args.batches < 3:
        parser.error(f"--batches is {args.batches}; wanted at least 3, to tell an error")
    with tempfile.TemporaryDirectory() as folder:
        config = load_config(RLConfig, None, ["--run", f"{folder}/run", *args.words])
        print(table(gradients(config, args.batches)))


if __name__ == "__main__":
    main()
