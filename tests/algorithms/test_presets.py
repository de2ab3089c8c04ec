"""The table's rows are what their papers say, and a user's own row needs no change elsewhere."""

import inspect
from dataclasses import fields, replace
from functools import partial

import pytest
import torch

from verigrad.algorithms import DR_GRPO, GRPO, PRESETS, REINFORCE, RLOO, call
from verigrad.algorithms.objectives import ppo_clip, reinforce
from verigrad.algorithms.presets import CISPO, DAPO, MAXRL
from verigrad.algorithms.shapes import expand_to_rows
from verigrad.training.config import RLConfig

# Two groups of two; completions of 2, 1, 1 and 3 tokens.
REWARDS, GROUPS = torch.tensor([1.0, 0.0, 3.0, 1.0], dtype=torch.float64), torch.tensor([0, 0, 1, 1])
MASK = torch.arange(3) < torch.tensor([[2], [1], [1], [3]])
INDEX = torch.arange(4)
LENGTHS = MASK.sum(1, keepdim=True).double()


def step_loss(algorithm, logprobs, old_logprobs):
    """The whole path from rewards to the loss of a step."""
    advantages = expand_to_rows(algorithm.advantage(REWARDS, GROUPS), INDEX)
    per_token = call(
        algorithm.objective, logprobs=logprobs, old_logprobs=old_logprobs, advantages=advantages, mask=MASK
    )
    return (per_token * algorithm.reduction(MASK, INDEX, GROUPS, horizon=10)).sum()


def token_gradient(algorithm):
    """d loss / d logprob of every token at ratio 1."""
    logprobs = torch.full((4, 3), -1.0, dtype=torch.float64, requires_grad=True)
    step_loss(algorithm, logprobs, logprobs.detach()).backward()
    return logprobs.grad


def per_rollout(values):
    """(4, 3) with the rollout's value at each of its tokens."""
    return torch.where(MASK, torch.tensor(values, dtype=torch.float64)[:, None], 0.0)


def test_reinforce():
    """-(reward) / 4."""
    torch.testing.assert_close(token_gradient(REINFORCE), per_rollout([-1 / 4, 0.0, -3 / 4, -1 / 4]))


def test_rloo():
    """-(reward - the other's reward) / 4."""
    torch.testing.assert_close(token_gradient(RLOO), per_rollout([-1 / 4, 1 / 4, -2 / 4, 2 / 4]))


def test_grpo():
    """In a group of two the sample std is |difference| / sqrt 2, so advantages are +-1/sqrt 2; then / (4 * length)."""
    half = 2**-0.5
    wanted = per_rollout([-half / 8, half / 4, -half / 4, half / 12])
    torch.testing.assert_close(token_gradient(GRPO), wanted, rtol=2e-4, atol=0)


def test_dr_grpo():
    """-(reward - mean) / (4 * 10): neither spread nor length matter."""
    torch.testing.assert_close(token_gradient(DR_GRPO), per_rollout([-0.5 / 40, 0.5 / 40, -1 / 40, 1 / 40]))


def test_the_table_is_complete_and_consistent():
    """Names are unique, rows name a paper, and whatever an objective asks for is what the loop offers."""
    offered = {"logprobs", "old_logprobs", "advantages", "mask", "sampler_logprobs", "rollout_index"}
    left_open = {field.name for field in fields(RLConfig) if field.default is None}
    assert len(PRESETS) == 31
    for name, row in PRESETS.items():
        assert row.name == name and row.paper
        asked = {p.name for p in inspect.signature(row.objective).parameters.values() if p.default is p.empty}
        assert asked <= offered
        assert set(row.loop) <= left_open


def test_rows_that_differ_in_one_part_only():
    """DAPO is GRPO with a higher upper bound and the token mean; GSPO at ratio 1 has GRPO's gradient."""
    torch.testing.assert_close(token_gradient(DAPO) * 7, torch.where(MASK, token_gradient(GRPO) * 4 * LENGTHS, 0.0))
    torch.testing.assert_close(token_gradient(CISPO), token_gradient(DAPO))
    torch.testing.assert_close(token_gradient(MAXRL), per_rollout([-1 / 4, 1 / 4, -0.5 / 4, 0.5 / 4]))


def test_a_users_advantage_and_a_partial_objective():
    def passes_only(rewards, group_ids):
        return (rewards > 2).to(rewards.dtype)

    mine = replace(GRPO, advantage=passes_only, objective=partial(ppo_clip, clip_high=0.5))
    logprobs, old = torch.full((4, 3), -1.0).double(), torch.full((4, 3), -2.0).double()
    # Only rollout 2 has an advantage: one token, ratio e clipped to 1.5, weight 1 / 4.
    assert step_loss(mine, logprobs, old).item() == pytest.approx(-1.5 / 4)


def test_call_passes_what_is_asked_for_and_says_what_is_missing():
    one = torch.ones(1, 1)
    loose = call(ppo_clip, logprobs=one.log() + 1, old_logprobs=one.log(), advantages=one, mask=one.bool(), clip_high=9)
    assert loose.item() == pytest.approx(-2.718281828)

    def with_values(logprobs, values, mask):
        return logprobs

    with pytest.raises(TypeError, match="with_values asks for values; available: logprobs, mask"):
        call(with_values, logprobs=one, mask=one.bool())
    assert call(lambda **given: sorted(given), b=1, a=2) == ["a", "b"]
    assert call(reinforce, logprobs=-one, advantages=one, mask=one.bool(), old_logprobs=None).item() == 1.0
