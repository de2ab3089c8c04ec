"""KL estimators, entropy, importance weights and the over-long penalty; diagnostics."""

import math

import pytest
import reference
import torch
from torch.autograd import gradcheck

from verigrad.algorithms.diagnostics import entropy_summary, policy_change, sampler_drift
from verigrad.algorithms.objectives import ppo_clip
from verigrad.algorithms.penalties import (
    entropy,
    kl_k1,
    kl_k2,
    kl_k3,
    masked_importance,
    overlong,
    truncated_importance,
)

NAN, INF = float("nan"), float("inf")
ONE_TOKEN = torch.tensor([[True]])


def two_policies():
    """Logits (5,) of a policy and of a reference over five tokens."""
    rng = torch.Generator().manual_seed(0)
    return torch.randn(5, generator=rng, dtype=torch.float64), torch.randn(5, generator=rng, dtype=torch.float64)


def kl(p_logits, q_logits):
    """KL(p, q) as a sum over the vocabulary."""
    p, q = p_logits.log_softmax(-1), q_logits.log_softmax(-1)
    return (p.exp() * (p - q)).sum()


def expected(estimator, policy, ref):
    """Mean of the estimator over the policy's own tokens, each weighted by its (detached) probability."""
    logprobs, ref_logprobs = policy.log_softmax(-1)[None], ref.log_softmax(-1)[None]
    values = estimator(logprobs, ref_logprobs, torch.ones(1, 5).bool())
    return (values * logprobs.detach().exp()).sum()


def test_by_hand():
    """log pi = -1, log ref = -2: k1 = 1, k2 = 1/2, k3 = 1/e."""
    new, ref = torch.tensor([[-1.0]]), torch.tensor([[-2.0]])
    assert kl_k1(new, ref, ONE_TOKEN).item() == 1.0
    assert kl_k2(new, ref, ONE_TOKEN).item() == 0.5
    assert kl_k3(new, ref, ONE_TOKEN).item() == pytest.approx(math.exp(-1))


@pytest.mark.parametrize("estimator", [kl_k1, kl_k3])
def test_k1_and_k3_are_unbiased(estimator):
    policy, ref = two_policies()
    torch.testing.assert_close(expected(estimator, policy, ref), kl(policy, ref))


def test_expected_gradients_are_what_the_module_says():
    policy, ref = two_policies()

    def gradient(function):
        leaf = policy.clone().requires_grad_()
        return torch.autograd.grad(function(leaf), leaf)[0]

    forward, backward = gradient(lambda x: kl(x, ref)), gradient(lambda x: kl(ref, x))
    assert (forward - backward).abs().max() > 1e-2
    torch.testing.assert_close(gradient(lambda x: expected(kl_k1, x, ref)), torch.zeros(5).double())
    torch.testing.assert_close(gradient(lambda x: expected(kl_k2, x, ref)), forward)
    torch.testing.assert_close(gradient(lambda x: expected(kl_k3, x, ref)), backward)


@pytest.mark.parametrize("estimator", [kl_k1, kl_k2, kl_k3])
def test_kl_masks_first_and_sends_no_gradient_to_the_reference(estimator):
    new = torch.tensor([[-1.0, NAN, -INF, -2.0]], dtype=torch.float64, requires_grad=True)
    ref = torch.tensor([[-1.5, -1.0, -INF, NAN]], dtype=torch.float64, requires_grad=True)
    values = estimator(new, ref, torch.tensor([[True, False, False, False]]))
    values.sum().backward()
    assert values[0, 1:].tolist() == [0.0, 0.0, 0.0]
    assert new.grad[0, 0] != 0 and new.grad[0, 1:].tolist() == [0.0, 0.0, 0.0]
    assert ref.grad is None


def test_kl_gradcheck():
    rng = torch.Generator().manual_seed(1)
    new = torch.randn(2, 3, generator=rng, dtype=torch.float64, requires_grad=True)
    ref = torch.randn(2, 3, generator=rng, dtype=torch.float64)
    for estimator in (kl_k1, kl_k2, kl_k3):
        assert gradcheck(lambda x, f=estimator: f(x, ref, torch.tensor([[True] * 3, [True, False, True]])), new)


def test_entropy_against_the_slow_reference_and_its_bounds():
    logits = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    wanted = [[reference.entropy(row) for row in block] for block in logits.tolist()]
    torch.testing.assert_close(entropy(logits), torch.tensor(wanted, dtype=torch.float64))
    assert entropy(torch.zeros(8)).item() == pytest.approx(math.log(8))
    assert entropy(torch.tensor([0.0, -INF])).item() == 0.0


def test_entropy_gradcheck_with_forbidden_tokens():
    free = torch.randn(2, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64, requires_grad=True)
    forbidden = torch.full((2, 1), -INF, dtype=torch.float64)
    assert gradcheck(lambda x: entropy(torch.cat([x, forbidden], dim=1)), free)


def test_importance_weights_by_hand():
    """Ratios 4, 1, 0.25 and one under the mask."""
    old = torch.tensor([[4.0, 1.0, 0.25, NAN]]).log()
    sampler, mask = torch.zeros(1, 4), torch.tensor([[True, True, True, False]])
    close = torch.testing.assert_close
    close(truncated_importance(old, sampler, mask), torch.tensor([[2.0, 1.0, 0.25, 0.0]]))
    close(truncated_importance(old, sampler, mask, cap=10.0), torch.tensor([[4.0, 1.0, 0.25, 0.0]]))
    close(masked_importance(old, sampler, mask), torch.tensor([[4.0, 1.0, 0.0, 0.0]]))
    close(masked_importance(old, sampler, mask, low=0.2, high=2.0), torch.tensor([[0.0, 1.0, 0.25, 0.0]]))


def test_importance_weights_make_the_wrong_sampler_right_on_average():
    """Where nothing is cut, the sampler's mean of weight times f is the trainer's mean of f."""
    trainer, sampler = (logits.log_softmax(-1) for logits in two_policies())
    f, mask = torch.arange(5.0).double(), torch.ones(1, 5).bool()
    weight = truncated_importance(trainer[None], sampler[None], mask, cap=1e9)[0]
    torch.testing.assert_close((sampler.exp() * weight * f).sum(), (trainer.exp() * f).sum())


def test_importance_weights_carry_no_gradient():
    old = torch.zeros(1, 1, requires_grad=True)
    assert not truncated_importance(old, torch.zeros(1, 1), ONE_TOKEN).requires_grad
    assert not masked_importance(old, torch.zeros(1, 1), ONE_TOKEN).requires_grad


def test_overlong_at_the_corners_of_its_ramp():
    lengths = torch.tensor([0, 15, 16, 18, 20, 21])
    assert overlong(lengths, max_length=20, buffer=4).tolist() == [0.0, 0.0, 0.0, -0.5, -1.0, -1.0]
    with pytest.raises(ValueError, match="1 to max_length=20"):
        overlong(lengths, max_length=20, buffer=0)


@pytest.mark.parametrize("seed", range(3))
def test_overlong_against_a_walk_through_the_tokens(seed):
    """Every token within the last `buffer` costs 1 / buffer, and none costs anything beyond the limit."""
    generator = torch.Generator().manual_seed(seed)
    limit = int(torch.randint(10, 40, (1,), generator=generator))
    buffer = int(torch.randint(1, limit + 1, (1,), generator=generator))
    lengths = torch.randint(0, 60, (20,), generator=generator)
    wanted = [-sum(limit - buffer < token <= limit for token in range(1, n + 1)) / buffer for n in lengths.tolist()]
    assert overlong(lengths, max_length=limit, buffer=buffer).tolist() == pytest.approx(wanted)


# ---------------------------------------------------------------------------------------- diagnostics


def test_policy_change_by_hand():
    """Ratios 2 (A > 0, cut), 0.5 (A > 0, not cut), 0.5 (A < 0, cut); NaN under the mask."""
    new = torch.tensor([[2.0, 0.5], [0.5, NAN]]).log()
    mask = torch.tensor([[True, True], [True, False]])
    change = policy_change(new, torch.zeros(2, 2), torch.tensor([1.0, -1.0]), mask)
    log2 = math.log(2)
    assert change == pytest.approx(
        {
            "ratio_mean": 1.0,
            "ratio_max": 2.0,
            "clip_fraction": 2 / 3,
            "approx_kl": ((2 - 1 - log2) + 2 * (0.5 - 1 + log2)) / 3,
        }
    )


@pytest.mark.parametrize("dual_clip", [None, 1.5])
def test_the_clip_fraction_is_the_share_of_tokens_without_a_gradient(dual_clip):
    rng = torch.Generator().manual_seed(4)
    new = torch.randn(6, 9, generator=rng, dtype=torch.float64).mul(0.5).requires_grad_()
    old, advantages = torch.zeros(6, 9).double(), torch.randn(6, generator=rng, dtype=torch.float64)
    mask = torch.rand(6, 9, generator=rng) < 0.7
    bounds = {"clip_low": 0.1, "clip_high": 0.3, "dual_clip": dual_clip}
    ppo_clip(new, old, advantages, mask, **bounds).sum().backward()
    idle = (new.grad[mask] == 0).double().mean().item()
    change = policy_change(new, old, advantages, mask, **bounds)
    assert 0 < idle < 1 and change["clip_fraction"] == pytest.approx(idle)


def test_ratios_beyond_all_bounds_stay_numbers():
    """Bounds weigh a token by up to the completion's length: a log-ratio of 200 is a few nats there."""
    change = policy_change(torch.tensor([[200.0, 0.0]]), torch.zeros(1, 2), torch.ones(1), torch.ones(1, 2).bool())
    assert all(math.isfinite(value) for value in change.values()) and change["ratio_max"] > 1e20


def test_drift_and_entropy_by_hand():
    old, sampler = torch.tensor([[-1.0, -2.0, NAN]]), torch.tensor([[-1.25, -1.0, 0.0]])
    mask = torch.tensor([[True, True, False]])
    assert sampler_drift(old, sampler, mask) == {"sampler_drift": 0.625, "sampler_drift_max": 1.0}
    assert entropy_summary(torch.tensor([[1.0, 2.0, NAN]]), mask) == {"entropy": 1.5}


def test_no_token_gives_zeros_not_nan():
    nothing, values = torch.zeros(1, 2).bool(), torch.zeros(1, 2)
    assert set(policy_change(values, values, torch.ones(1), nothing).values()) == {0.0}
    assert set(sampler_drift(values, values, nothing).values()) == {0.0}
