"""Corrections for the sampler and forms of the KL, through an update of the policy, against loops over tokens.

Rollouts have two rows each, so that what goes by the whole rollout must find both, however packs cut them.
"""

import math
from dataclasses import replace

import pytest
import torch
from tiny import tiny_model

from verigrad.algorithms.presets import GRPO, GSPO, RLOO
from verigrad.errors import ConfigError
from verigrad.training.batching import make_batch
from verigrad.training.config import OptimConfig, RLConfig, SamplingConfig
from verigrad.training.policy import update_policy
from verigrad.training.rl import train
from verigrad.training.run import Learner
from verigrad.types import Rollout, Score, Turn

SHORT = SamplingConfig(max_tokens=8)
PLAIN = OptimConfig(learning_rate=1.0, warmup_steps=0, max_grad_norm=1e9)
VALUES = [1.0, 0.0, 0.25, 0.75]


def rollouts():
    """Two turns each, of which the second rewrites history; the sampler's log-probs differ from token to token."""

    def rollout(number, value):
        first = Turn(
            prompt_ids=(5, 6, number),
            completion_ids=(40 + number, 41, 42),
            sampler_logprobs=(-5.5, -5.2 - 0.3 * number, -5.9),
        )
        second = Turn(
            prompt_ids=(9, 8, number),
            completion_ids=(50, 51 + number),
            sampler_logprobs=(-5.1 - 0.4 * number, -5.7),
        )
        return Rollout(
            task_id="t", episode_id="e", group_id="t", turns=(first, second), status="finished", score=Score(value)
        )

    return [rollout(number, value) for number, value in enumerate(VALUES)]


def anchor_of(batch):
    """Old log-probs a little off the sampler's, up for the first rollouts and down for the last."""
    shift = torch.tensor([0.04, 0.01, -0.02, -0.05])[batch.rollout_index][:, None]
    return torch.where(batch.mask, batch.sampler_logprobs + shift * torch.arange(1, 1 + batch.mask.shape[1]), 0.0)


def logprobs_of(model, turn):
    logits = model(torch.tensor([turn.prompt_ids + turn.completion_ids])).logits[0]
    found = logits[len(turn.prompt_ids) - 1 : -1].log_softmax(-1)
    return [row[token] for row, token in zip(found, turn.completion_ids, strict=True)]


def gradients(model, loss):
    return torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)


def updated(settings, algorithm, budget, reference=None, **options):
    """The change that one step of plain gradient descent makes, which is minus the gradient; and its metrics."""
    batch = make_batch([rollouts()])
    model, _ = tiny_model("llama")
    before = {name: value.clone() for name, value in model.named_parameters()}
    config = RLConfig(**settings, token_budget=budget, optim=PLAIN, sampling=SHORT, **options)
    learner = Learner(model, torch.optim.SGD(model.parameters(), lr=1.0))
    row = update_policy(
        *(learner, batch, algorithm.advantage(batch.rewards, batch.group_ids), config, algorithm),
        step=5,
        reference=reference,
        dtype=torch.float32,
        old_logprobs=anchor_of(batch),
    )
    return row, {name: before[name] - value for name, value in model.named_parameters()}


def turns_with_rows():
    """(rollout, its turns with the row and the place of the first token of each)."""
    batch = make_batch([rollouts()])
    for number, rollout in enumerate(rollouts()):
        rows = [row for row in range(batch.num_rows) if int(batch.rollout_index[row]) == number]
        yield number, [(turn, row, len(turn.prompt_ids)) for turn, row in zip(rollout.turns, rows, strict=True)]


def slow_loss(model, weigh):
    """Mean over rollouts of the sum over tokens of -A w log pi: RLOO's loss with a factor for each token."""
    anchor = anchor_of(make_batch([rollouts()]))
    total = 0.0
    for number, turns in turns_with_rows():
        others = [value for n, value in enumerate(VALUES) if n != number]
        advantage = VALUES[number] - sum(others) / len(others)
        new = [value for turn, _, _ in turns for value in logprobs_of(model, turn)]
        sampler = [value for turn, _, _ in turns for value in turn.sampler_logprobs]
        old = [float(anchor[row, start + t]) for turn, row, start in turns for t in range(len(turn.completion_ids))]
        weights = weigh(advantage, [float(value.detach()) for value in new], old, sampler)
        total = total - advantage * sum(w * value for w, value in zip(weights, new, strict=True)) / len(VALUES)
    return total


def sequence(cap):
    def weigh(advantage, new, old, sampler):
        return [min(math.exp(sum(old) - sum(sampler)), cap)] * len(new)

    return weigh


def geometric(cap):
    def weigh(advantage, new, old, sampler):
        return [min(math.exp((sum(old) - sum(sampler)) / len(new)), cap)] * len(new)

    return weigh


def kept(low, high, of=None):
    def weigh(advantage, new, old, sampler):
        ratios = [math.exp(o - s) for o, s in zip(old, sampler, strict=True)]
        ratios = [math.prod(ratios)] * len(new) if of == "rollout" else ratios
        return [ratio if low <= ratio <= high else 0.0 for ratio in ratios]

    return weigh


def moved_off(delta):
    def weigh(advantage, new, old, sampler):
        drift = sum(s - n for s, n in zip(sampler, new, strict=True)) / len(new)
        return [0.0 if advantage < 0 and drift > delta else 1.0] * len(new)

    return weigh


@pytest.mark.parametrize("budget", [4096, 4], ids=["whole", "cut"])
@pytest.mark.parametrize(
    ("options", "weigh", "changes"),
    [
        ({"importance": "truncate", "importance_level": "sequence", "importance_cap": 1.5}, sequence(1.5), 1),
        ({"importance": "truncate", "importance_level": "geometric", "importance_cap": 1.1}, geometric(1.1), 1),
        ({"importance": "mask", "importance_low": 0.9, "importance_cap": 1.2}, kept(0.9, 1.2), 1),
        (
            {"importance": "mask", "importance_level": "sequence", "importance_low": 0.3, "importance_cap": 2.5},
            kept(0.3, 2.5, of="rollout"),
            1,
        ),
        ({"importance": "none", "opsm_delta": 0.2}, moved_off(0.2), 1),
        ({"importance": "none", "opsm_delta": 50.0}, moved_off(50.0), 0),
    ],
    ids=["sequence", "geometric", "mask", "sequence mask", "opsm", "opsm off"],
)
def test_corrections_are_the_slow_ones(settings, options, weigh, changes, budget):
    row, found = updated(settings, RLOO, budget, **options)
    model, _ = tiny_model("llama")
    loss = slow_loss(model, weigh)
    assert row["loss"] == pytest.approx(float(loss.detach()), rel=1e-4)
    plain = slow_loss(model, lambda advantage, new, old, sampler: [1.0] * len(new))
    assert bool(changes) == (abs(float((loss - plain).detach())) > 1e-3)
    for (name, _), gradient in zip(model.named_parameters(), gradients(model, loss), strict=True):
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=2e-5, msg=name)


def test_a_row_without_advantage_still_belongs_to_its_rollout(settings):
    """A ratio of the whole rollout has the tokens of both rows in it, also where only the first has advantages."""

    def only_first(rest):
        def advantage(rewards, group_ids):
            batch = make_batch([rollouts()])
            per_token = (rewards - rewards.mean())[batch.rollout_index][:, None] * batch.mask
            return torch.where(torch.arange(batch.num_rows)[:, None] % 2 == 0, per_token, per_token * rest)

        return advantage

    steps = [updated(settings, replace(GSPO, advantage=only_first(rest)), 4096)[1] for rest in (0.0, 1e-20)]
    for name, value in steps[0].items():
        torch.testing.assert_close(value, steps[1][name], rtol=1e-4, atol=1e-7, msg=name)


def slow_kl(model, reference, form):
    """Mean over rollouts of the mean over tokens (GRPO's reduction) of one form of the KL."""
    anchor = anchor_of(make_batch([rollouts()]))
    total = 0.0
    for _, turns in turns_with_rows():
        terms = []
        for turn, row, start in turns:
            for t, (new, ref) in enumerate(zip(logprobs_of(model, turn), logprobs_of(reference, turn), strict=True)):
                k1 = new - ref.detach()
                k3 = torch.exp(-k1) - 1 + k1
                ratio = torch.exp(new - anchor[row, start + t])
                # Of k3+ the gradient is that of k2, k1 grad(log pi).
                forms = {"k1": k1, "k2": k1**2 / 2, "k3": k3, "k1_weighted": k1 * ratio, "k3_weighted": k3 * ratio}
                forms["k3+"] = (k3 - k1**2 / 2).detach() + k1**2 / 2
                terms.append(forms[form])
        total = total + sum(terms) / len(terms) / len(VALUES)
    return total


@pytest.mark.parametrize("form", [None, "k1", "k2", "k3", "k3+", "k1_weighted", "k3_weighted"])
def test_forms_of_the_kl_are_the_slow_ones(settings, form):
    """Without advantages the KL is all there is to the loss."""
    silent = replace(GRPO, advantage=lambda rewards, group_ids: torch.zeros_like(rewards))
    reference = tiny_model("llama", seed=1)[0].requires_grad_(False)
    row, found = updated(settings, silent, 4, reference, kl=form, kl_coef=0.5)
    model, _ = tiny_model("llama")
    loss = 0.5 * slow_kl(model, reference, form or "k3")
    assert row["loss"] == pytest.approx(float(loss.detach()), rel=1e-4)
    assert row["kl"] == pytest.approx(float(slow_kl(model, reference, "k3").detach()), rel=1e-4)
    for (name, _), gradient in zip(model.named_parameters(), gradients(model, loss), strict=True):
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=2e-5, msg=name)


def test_what_does_not_go_together_is_refused(settings):
    with pytest.raises(ConfigError, match="takes k1 off the reward; leave kl unset"):
        train(RLConfig(**settings, algorithm="reinforce++", kl="k2", kl_coef=0.1))
    with pytest.raises(ConfigError, match="wanted 0 <= importance_low <= importance_cap"):
        RLConfig(**settings, importance="mask", importance_low=3.0)
    for how in ("truncate", "mask"):
        with pytest.raises(ConfigError, match="corrects for it by itself; leave importance unset"):
            train(RLConfig(**settings, algorithm="dppo", importance=how))
    with pytest.raises(ConfigError, match="leave importance_level unset"):
        train(RLConfig(**settings, algorithm="decoupled_ppo", importance_level="sequence"))
    for own in ({"algorithm": "ppo_ewma"}, {"replay": 2}):
        with pytest.raises(ConfigError, match="weighs by pi over the policy that sampled"):
            train(RLConfig(**settings, kl="k1_weighted", kl_coef=0.1, **own))
    with pytest.raises(ConfigError, match="'grpo' has no teacher"):
        train(RLConfig(**settings, algorithm="grpo", teacher=settings["model"]))
