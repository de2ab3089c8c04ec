"""How often 95 % intervals over tasks and seeds hold the true gain, by three ways of making them (docs/sweeps.md).

    python benchmarks/sweep_intervals.py

Effects are normal: of tasks, of seeds, and of the two together. One minute.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from verigrad.evaluation.sweeps.statistics import seed_noise

SWEEPS, TASKS, RESAMPLES = 400, 100, 600
EFFECTS = ((0.5, 0.0, 0.0), (0.3, 0.0, 0.3), (0.3, 0.03, 0.3), (0.3, 0.1, 0.3))  # task, seed, both


def own_tasks(gains: Any, rng: np.random.Generator) -> Any:
    """Seeds with replacement, and for each of them its own tasks with replacement."""
    seeds = rng.integers(0, len(gains), (RESAMPLES, len(gains), 1))
    return gains[seeds, rng.integers(0, TASKS, (RESAMPLES, len(gains), TASKS))].mean(axis=(1, 2))


def both_with_replacement(gains: Any, rng: np.random.Generator) -> Any:
    """Tasks with replacement, the same for every seed, and seeds with replacement."""
    seeds = rng.integers(0, len(gains), (RESAMPLES, len(gains)))
    return np.take_along_axis(_means_by_seed(gains, rng), seeds, axis=1).mean(axis=1)


def as_here(gains: Any, rng: np.random.Generator) -> Any:
    """Tasks with replacement, the same for every seed, and Student's t for the seeds."""
    noise = seed_noise(gains.mean(axis=1), resamples=RESAMPLES, seed=int(rng.integers(2**31)))
    return _means_by_seed(gains, rng).mean(axis=1) + noise


def _means_by_seed(gains: Any, rng: np.random.Generator) -> Any:
    return rng.multinomial(TASKS, [1 / TASKS] * TASKS, size=RESAMPLES) / TASKS @ gains.T


def coverage(way: Callable[..., Any], seeds: int, effects: tuple[float, float, float]) -> float:
    """Share of sweeps whose interval holds the true gain, which is 0."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(SWEEPS):
        task, seed, both = effects
        gains = task * rng.normal(size=(1, TASKS)) + seed * rng.normal(size=(seeds, 1))
        gains = gains + both * rng.normal(size=(seeds, TASKS))
        low, high = np.quantile(way(gains, rng), [0.025, 0.975])
        held += low <= 0 <= high
    return held / SWEEPS


def main() -> None:
    ways = (own_tasks, both_with_replacement, as_here)
    for seeds in (2, 3, 5):
        for effects in EFFECTS:
            shares = " | ".join(f"{coverage(way, seeds, effects):.0%}".replace("%", " %") for way in ways)
            print(f"| {seeds} | {', '.join(f'{effect:g}' for effect in effects)} | {shares} |")


if __name__ == "__main__":
    main()
