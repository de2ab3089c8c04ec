"""Sampling with `top_p` and `top_k`: the loop trains the distribution that was sampled from, that of the kept ids."""

import copy
import math

import pytest
import torch
from loops import train_metrics
from tiny import VOCABULARY

from verigrad.training import policy, rl
from verigrad.training.config import RLConfig, SamplingConfig

TEMPERATURE, TOP_P, TOP_K = 0.9, 0.7, 12
TRUNCATED = SamplingConfig(max_tokens=8, temperature=TEMPERATURE, top_p=TOP_P, top_k=TOP_K)


@pytest.fixture
def seen(monkeypatch):
    """What a step was trained on, and the gradients it gave: `model`, `batch`, `advantages`, `gradients`."""
    found = {}
    update, clip = rl.update_policy, policy.clip_gradients

    def watched_update(learner, batch, advantages, *rest, **named):
        found.update(model=copy.deepcopy(learner.model), batch=batch, advantages=advantages)
        return update(learner, batch, advantages, *rest, **named)

    def watched_clip(parameters, max_norm):
        parameters = list(parameters)
        found["gradients"] = [parameter.grad.clone() for parameter in parameters]
        return clip(parameters, max_norm)

    monkeypatch.setattr(rl, "update_policy", watched_update)
    monkeypatch.setattr(policy, "clip_gradients", watched_clip)
    return found


def sampled_tokens(model, batch):
    """(row, place, log-probs of temperature `TEMPERATURE` over the whole vocabulary) of every sampled token."""
    for view in batch.views:
        logits = model(view.input_ids[None]).logits[0]
        for place in view.scored.nonzero().flatten().tolist():
            yield view.row, place, (logits[place - 1] / TEMPERATURE).log_softmax(-1)


def kept_by_hand(logprobs):
    """The `TOP_K` likeliest ids, and of those the fewest whose share of their probability reaches `TOP_P`."""
    shares = [math.exp(value) for value in logprobs.tolist()]
    ordered = sorted(range(len(shares)), key=lambda token: -shares[token])[:TOP_K]
    reached = 0.0
    for count, token in enumerate(ordered, start=1):
        reached += shares[token] / sum(shares[other] for other in ordered)
        if reached >= TOP_P:
            return tuple(sorted(ordered[:count]))
    raise AssertionError(reached)


def slow_gradients(model, batch, advantages, allowed):
    """Of GRPO's first update, whose ratio is 1: the mean over rollouts of the mean over tokens of -A log pi."""
    lengths = batch.mask.sum(1)
    loss, entropies = 0.0, []
    for row, place, logprobs in sampled_tokens(model, batch):
        ids = list(allowed(row, place))
        inside = logprobs[ids].log_softmax(-1)
        token = ids.index(int(batch.views[row].input_ids[place]))
        loss = loss - advantages[row] * inside[token] / lengths[row] / batch.num_rows
        if advantages[row] != 0:
            entropies.append(float(-(inside.exp() * inside).sum().detach()))
    return torch.autograd.grad(loss, list(model.parameters())), sum(entropies) / len(entropies)


def norm(gradients):
    return math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))


@pytest.mark.parametrize("change", [{}, {"token_budget": 40, "share_prompts": False}], ids=["packed", "one by one"])
def test_the_policy_that_learns_is_the_one_that_sampled(settings, seen, change):
    """Kept sets, gradient and entropy by hand; with the whole vocabulary the gradient would be another."""
    few = {"tasks_per_step": 2, "group_size": 4}
    config = RLConfig(**{**settings, **few, **change}, steps=1, sampling=TRUNCATED)
    (row,) = train_metrics(rl.train(config))
    model, batch = seen["model"], seen["batch"]
    for where, place, logprobs in sampled_tokens(model, batch):
        assert batch.kept[where, place] == kept_by_hand(logprobs.detach())
    expected, entropy = slow_gradients(model, batch, seen["advantages"], lambda *where: batch.kept[where])
    for gradient, slow in zip(seen["gradients"], expected, strict=True):
        torch.testing.assert_close(gradient, slow, rtol=1e-3, atol=1e-5)
    assert row["entropy"] == pytest.approx(entropy, rel=1e-4)
    assert row["grad_norm"] == pytest.approx(norm(expected), rel=1e-3)
    assert row["sampler_drift_max"] < 1e-4
    whole, _ = slow_gradients(model, batch, seen["advantages"], lambda *_: range(VOCABULARY))
    assert norm(a - b for a, b in zip(whole, expected, strict=True)) > 0.1 * norm(expected)
