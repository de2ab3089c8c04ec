"""Every row of the table, through the whole loop, reaches a known optimum: completions of ASCII characters alone."""

import json
from pathlib import Path

import pytest

from verigrad.algorithms.presets import PRESETS
from verigrad.training.config import CriticConfig, OptimConfig, RLConfig, SamplingConfig
from verigrad.training.rl import train

FAST = OptimConfig(learning_rate=5e-3, warmup_steps=1)
# Algorithms that ask for a special form of reward; the others take the share of ASCII characters.
REWARD = {"pass_at_k": "mostly_ascii", "gdpo": "in_parts", "safe_rlhf": "in_parts"}
# Slower by design: no baseline, one that follows slowly, and an anchor that lags behind.
RATE = {"reinforce": 1e-2, "ppo_ewma": 1e-2}
STEPS = {"reinforce": 60, "running_baseline": 60, "ppo_ewma": 60}
# Pass@k training stops pushing once some of every four completions succeed.
WANTED = {"pass_at_k": 0.7}


def train_rows(folder):
    rows = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["kind"] == "train"]


def learn(settings, workshop, name, seed):
    config = RLConfig(
        **{
            **settings,
            "run": f"{settings['run']}-{name}-{seed}",
            "reward": f"{workshop}/my.py:{REWARD.get(name, 'ascii_share')}",
            "algorithm": name,
            "seed": seed,
            "steps": STEPS.get(name, 30),
            "optim": OptimConfig(learning_rate=RATE.get(name, FAST.learning_rate), warmup_steps=1),
            "critic": CriticConfig(learning_rate=5e-3),
            "sampling": SamplingConfig(max_tokens=8),
        }
    )
    seen = [row["reward"] for row in train_rows(train(config))]
    return sum(seen[:3]) / 3, sum(seen[-3:]) / 3


@pytest.mark.parametrize("name", PRESETS)
def test_it_learns(settings, workshop, name):
    start, end = learn(settings, workshop, name, seed=0)
    assert start < 0.75
    assert end > WANTED.get(name, 0.93)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", PRESETS)
def test_it_learns_whatever_the_seed(settings, workshop, name, seed):
    start, end = learn(settings, workshop, name, seed)
    assert start < 0.75
    assert end > WANTED.get(name, 0.93)
