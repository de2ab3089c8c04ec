"""An algorithm of one's own: Weighted-REINFORCE, which learns from failures in full and from successes by a tenth.

    verigrad rl quickstart --algorithm examples/own_algorithm.py:WEIGHTED --run runs/weighted
    verigrad rl quickstart --algorithm examples/own_algorithm.py:WEIGHTED --options.positive 1 --run runs/unweighted

Zhu et al. 2025, "The Surprising Effectiveness of Negative Reinforcement in LLM Reasoning", arXiv:2506.01347: pushing
failures down leaves the odds among the other answers as they are, pushing successes up makes what was drawn first
likelier still. Their weight of successes is 0.1.

An algorithm is a row: an advantage, an objective, a reduction. This one changes the advantage of `reinforce` and keeps
the rest. Its keyword becomes an option of the command line. Run as a script, it plays a task with eight answers of
which four are right, where everything is known exactly.
"""

from dataclasses import replace

import torch
from torch import Tensor

from verigrad.algorithms.presets import REINFORCE, Algorithm


def weighted(rewards: Tensor, group_ids: Tensor, *, positive: float = 0.1) -> Tensor:
    """A = positive where the reward is 1, -1 where it is 0, 0 where there is none (NaN). Rewards and result are (N,).

    `group_ids` is not read: there is no baseline. It is here because every advantage may ask for it by name.
    """
    advantages = torch.where(rewards > 0.5, positive, -1.0)
    return torch.where(rewards.isnan(), 0.0, advantages)


WEIGHTED = replace(REINFORCE, name="weighted_reinforce", paper="arXiv:2506.01347", advantage=weighted)


def play(algorithm: Algorithm, *, steps: int = 300, group_size: int = 16, seed: int = 0) -> tuple[float, float]:
    """Train a softmax over eight answers, the first four right; returns pass rate and entropy among the right ones."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.zeros(8, requires_grad=True)
    optimizer = torch.optim.SGD([logits], lr=1.0)
    for _ in range(steps):
        logprobs = torch.log_softmax(logits, dim=0)
        answers = torch.multinomial(logprobs.detach().exp(), group_size, replacement=True, generator=generator)
        rewards, group_ids = (answers < 4).float(), torch.zeros(group_size, dtype=torch.long)
        # A completion of one token: (B, T) is (group_size, 1), and every rollout is a row.
        chosen, mask = logprobs[answers][:, None], torch.ones(group_size, 1, dtype=torch.bool)
        per_token = algorithm.objective(chosen, algorithm.advantage(rewards, group_ids)[:, None], mask)
        weights = algorithm.reduction(mask, torch.arange(group_size), group_ids)
        (per_token * weights).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    right = torch.softmax(logits.detach(), dim=0)[:4]
    shares = right / right.sum()
    return float(right.sum()), float(-(shares * shares.log()).sum())


def main() -> None:
    for algorithm in (REINFORCE, WEIGHTED):
        results = [play(algorithm, seed=seed) for seed in range(3)]
        rate, entropy = (sum(values) / len(values) for values in zip(*results, strict=True))
        print(f"{algorithm.name}: pass rate {rate:.2f}, entropy among right answers {entropy:.2f} of 1.39 nats")


if __name__ == "__main__":
    main()
