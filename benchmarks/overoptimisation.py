"""How often noise passes for over-optimisation of a reward model, and how often the real thing is found: by simulation.

    python benchmarks/overoptimisation.py

Made-up runs: 64 rollouts a step, the tasks of which differ by 5 points (standard deviation) from step to step, and a
proxy that rises by 2 over the run under noise of 0.2 a step. The rule is that of the report (`find_divergence` of
`evaluation/overoptimisation.py`). First the share of runs that are warned about though nothing falls, by the number
of steps; then the share that is warned about where the pass rate falls in the last 40 % of 60 steps. Standard error
of a share over 1000 runs: 1.6 points at most, 0.6 at 4 %.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import numpy as np

from verigrad.evaluation.overoptimisation import find_divergence

__all__ = ["FALLS", "NOT_FALLING", "STEPS", "falling", "main", "share_warned", "table"]

_Curve = Callable[[np.ndarray], np.ndarray]

ROLLOUTS = 64
STEPS = (12, 40, 60, 100, 200)
FALLS = (20, 10, 5)
NOT_FALLING: dict[str, _Curve] = {
    "flat at 40 %": lambda t: 0.4 + 0 * t,
    "flat at 0": lambda t: 0 * t,
    "rises by 20 points, then a plateau": lambda t: 0.3 + 0.2 * np.minimum(1, 2 * t),
    "rises by 20 points": lambda t: 0.3 + 0.2 * t,
}


def falling(points: float) -> _Curve:
    """Flat at 40 % for 60 % of the run, then down by so many points until its end."""
    return lambda t: 0.4 - points / 100 * np.maximum(0, t - 0.6) / 0.4


def share_warned(
    gold: _Curve, steps: int = 60, runs: int = 300, proxy: _Curve = lambda t: 2 * t, rollouts: int = ROLLOUTS
) -> float:
    """The share of noisy runs that the rule warns about; run `i` draws from seed `i`.

    Args:
        gold: true pass rate by the share of the run that is done, (steps,) in [0, 1].
        proxy: mean score likewise, in any unit.
        rollouts: of a step.
    """
    warned = 0
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        t = np.arange(steps) / (steps - 1)
        rates = np.clip(gold(t) + rng.normal(0, 0.05, steps), 0, 1)
        passed = rng.binomial(rollouts, rates) / rollouts
        scores = proxy(t) + rng.normal(0, 0.2, steps)
        warned += find_divergence(*(list(enumerate(curve.tolist(), 1)) for curve in (scores, passed))) is not None
    return warned / runs


def table(runs: int, steps: Sequence[int] = STEPS) -> list[str]:
    """Rows of two Markdown tables."""
    rows = [f"| pass rate | {' | '.join(f'{count} steps' for count in steps)} |", "| --- |" + " --- |" * len(steps)]
    for name, gold in NOT_FALLING.items():
        rows.append(f"| {name} | {' | '.join(f'{share_warned(gold, count, runs):.1%}' for count in steps)} |")
    rows += ["", "| falls over the last 40 % of 60 steps by | warned about |", "| --- | --- |"]
    return rows + [f"| {points} points | {share_warned(falling(points), runs=runs):.0%} |" for points in FALLS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000, help="simulated runs of each cell")
    for row in table(parser.parse_args().runs):
        print(row)


if __name__ == "__main__":
    main()
