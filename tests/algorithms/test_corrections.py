"""KL with importance weights and clamps, sequence-level importance weights and masks."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from verigrad.algorithms.penalties import kl_k1, kl_k2, kl_k3, masked_importance, opsm, truncated_importance

NAN, INF = float("nan"), float("inf")
close = torch.testing.assert_close


def policies(count=3, vocabulary=5):
    """Logits of several policies over a small vocabulary."""
    rng = torch.Generator().manual_seed(0)
    return [torch.randn(vocabulary, generator=rng, dtype=torch.float64) for _ in range(count)]


def kl(p_logits, q_logits):
    p, q = p_logits.log_softmax(-1), q_logits.log_softmax(-1)
    return (p.exp() * (p - q)).sum()


def gradient(function, leaf):
    leaf = leaf.clone().requires_grad_()
    return torch.autograd.grad(function(leaf), leaf)[0]


def expected_under(sampler, values):
    """Mean over tokens drawn from the sampler, whose probabilities are held fixed."""
    return (sampler.log_softmax(-1).exp().detach() * values[0]).sum()


ALL = torch.ones(1, 5).bool()


@pytest.mark.parametrize("estimator", [kl_k1, kl_k3])
@pytest.mark.parametrize("on_policy", [True, False])
def test_weighted_estimators_have_the_exact_gradient_of_the_kl(estimator, on_policy):
    """Also off policy, and k1 too, whose plain gradient is zero on average."""
    policy, ref, other = policies()
    old = policy if on_policy else other

    def loss(x):
        values = estimator(
            x.log_softmax(-1)[None], ref.log_softmax(-1)[None], ALL, old_logprobs=old.log_softmax(-1)[None]
        )
        return expected_under(old, values)

    close(loss(policy), kl(policy, ref))
    close(gradient(loss, policy), gradient(lambda x: kl(x, ref), policy))


def test_straight_through_has_the_value_of_k3_and_the_gradient_of_the_kl():
    policy, ref, _ = policies()
    reference = ref.log_softmax(-1)[None]

    def values(x, **kwargs):
        return kl_k3(x.log_softmax(-1)[None], reference, ALL, **kwargs)

    close(values(policy, gradient="k2"), values(policy))
    straight = gradient(lambda x: expected_under(policy, values(x, gradient="k2")), policy)
    close(straight, gradient(lambda x: kl(x, ref), policy))
    plain = gradient(lambda x: expected_under(policy, values(x)), policy)
    assert (straight - plain).abs().max() > 1e-2
    with pytest.raises(ValueError, match="one of them"):
        values(policy, gradient="k2", old_logprobs=reference)


def test_clamps_by_hand():
    """log ratios 3, -3 and 0.5; |.| at most 1: k1 1 -1 0.5, and no gradient where it bites. k3 at most 2."""
    new, ref = torch.tensor([[3.0, -3.0, 0.5]]).double(), torch.zeros(1, 3).double()
    mask = torch.ones(1, 3).bool()
    k3 = torch.tensor([[math.exp(-1), math.exp(1) - 2, math.exp(-0.5) - 0.5]]).double()
    close(kl_k1(new, ref, mask, clamp=1.0), torch.tensor([[1.0, -1.0, 0.5]]).double())
    close(kl_k2(new, ref, mask, clamp=1.0), torch.tensor([[0.5, 0.5, 0.125]]).double())
    close(kl_k3(new, ref, mask, clamp=1.0), k3)
    capped = kl_k3(new, ref, mask, max_value=2.1)
    close(capped, torch.tensor([[math.exp(-3) + 2, 2.1, k3[0, 2].item()]]).double())
    found = gradient(lambda x: kl_k3(x, ref, mask, clamp=1.0).sum(), new)
    close(found, torch.tensor([[0.0, 0.0, 1 - math.exp(-0.5)]]).double())
    assert gradient(lambda x: kl_k3(x, ref, mask, max_value=2.1).sum(), new)[0, 1] == 0.0


def test_weighted_kl_masks_first_and_passes_gradcheck():
    new = torch.tensor([[-1.0, NAN, -INF]], dtype=torch.float64, requires_grad=True)
    garbage = torch.tensor([[-1.5, -INF, NAN]], dtype=torch.float64)
    only_first = torch.tensor([[True, False, False]])
    for estimator in (kl_k1, kl_k3):
        values = estimator(new, garbage, only_first, old_logprobs=garbage + 0.25)
        (found,) = torch.autograd.grad(values.sum(), new)
        assert values[0, 1:].tolist() == [0.0, 0.0] and found.isfinite().all() and found[0, 0] != 0
    rng = torch.Generator().manual_seed(1)
    new, ref, old = (torch.randn(2, 3, generator=rng, dtype=torch.float64) for _ in range(3))
    mask = torch.tensor([[True] * 3, [True, False, True]])
    for estimator in (kl_k1, kl_k3):
        assert gradcheck(lambda x, f=estimator: f(x, ref, mask, old_logprobs=old), new.requires_grad_())


# ------------------------------------------------------------------------------- sequence-level weights


def random_rows(seed):
    rng = torch.Generator().manual_seed(seed)
    old, sampler = (torch.randn(5, 4, generator=rng, dtype=torch.float64) * 0.5 for _ in range(2))
    mask = torch.rand(5, 4, generator=rng) < 0.7
    return old, sampler, mask, torch.tensor([8, 3, 8, 3, 4])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("level", ["token", "sequence", "geometric"])
def test_importance_weights_against_loops(seed, level):
    old, sampler, mask, index = random_rows(seed)
    gaps = {}
    for row, t in mask.nonzero().tolist():
        gaps.setdefault(index[row].item(), []).append((old[row, t] - sampler[row, t]).item())
    capped, kept, rejected = (torch.zeros(5, 4, dtype=torch.float64) for _ in range(3))
    for row, t in mask.nonzero().tolist():
        own = gaps[index[row].item()]
        ratio = {
            "token": math.exp((old[row, t] - sampler[row, t]).item()),
            "sequence": math.exp(sum(own)),
            "geometric": math.exp(sum(own) / len(own)),
        }[level]
        capped[row, t] = min(ratio, 1.3)
        kept[row, t] = ratio if 0.7 <= ratio <= 1.4 else 0.0
        rejected[row, t] = float(0.7 <= ratio <= 1.4)
    close(truncated_importance(old, sampler, mask, index, cap=1.3, level=level), capped)
    close(masked_importance(old, sampler, mask, index, low=0.7, high=1.4, level=level), kept)
    got = masked_importance(old, sampler, mask, index, low=0.7, high=1.4, level=level, weighted=False)
    close(got, rejected)


@pytest.mark.parametrize("level", ["sequence", "geometric"])
def test_cutting_rows_changes_no_weight_and_garbage_does_not_show(level):
    old, sampler, mask, index = random_rows(7)
    whole = truncated_importance(old, sampler, mask, index, level=level)
    cut = [x.reshape(-1, 1) for x in (old, sampler, mask)]
    close(truncated_importance(*cut, index.repeat_interleave(4), level=level).reshape(5, 4), whole)
    dirty = truncated_importance(
        old.masked_fill(~mask, NAN), sampler.masked_fill(~mask, -INF), mask, index, level=level
    )
    assert torch.equal(dirty, whole)
    with pytest.raises(ValueError, match="no rollout_index"):
        masked_importance(old, sampler, mask, level=level)


def test_the_product_of_weights_makes_whole_sequences_of_a_wrong_sampler_right_on_average():
    """Two tokens each from its own distribution: the sampler's mean of weight times f is the policy's mean of f."""
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64).log_softmax(-1)
    policy, sampler = logits[:2], logits[2:]
    pairs = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    old = torch.stack([policy[0][pairs[:, 0]], policy[1][pairs[:, 1]]], dim=1)
    drawn = torch.stack([sampler[0][pairs[:, 0]], sampler[1][pairs[:, 1]]], dim=1)
    f = torch.arange(9.0).double()
    mask, index = torch.ones(9, 2).bool(), torch.arange(9)
    weight = truncated_importance(old, drawn, mask, index, cap=1e9, level="sequence")[:, 0]
    close((drawn.sum(1).exp() * weight * f).sum(), (old.sum(1).exp() * f).sum())


@pytest.mark.parametrize("seed", range(4))
def test_opsm_against_loops(seed):
    new, sampler, mask, index = random_rows(seed)
    advantages = torch.randn(5, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    gaps = {}
    for row, t in mask.nonzero().tolist():
        gaps.setdefault(index[row].item(), []).append((sampler[row, t] - new[row, t]).item())
    wanted = torch.zeros(5, 4, dtype=torch.float64)
    for row, t in mask.nonzero().tolist():
        own = gaps[index[row].item()]
        wanted[row, t] = float(not (advantages[row, t] < 0 and sum(own) / len(own) > 0.1))
    assert torch.equal(opsm(new, sampler, advantages, mask, index, delta=0.1), wanted)


def test_opsm_by_hand():
    """Drift of log mu - log pi: 1 and 0.2 in a rollout of two rows (mean 0.6), -2 in the other."""
    sampler = torch.tensor([[0.0, 5.0], [0.0, 7.0], [0.0, 0.0]])
    new = torch.tensor([[-1.0, NAN], [-0.2, INF], [2.0, 2.0]])
    mask, index = torch.tensor([[True, False], [True, False], [True, True]]), torch.tensor([4, 4, 1])
    down = -torch.ones(3)
    assert opsm(new, sampler, down, mask, index, delta=0.5).tolist() == [[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]
    assert opsm(new, sampler, down, mask, index, delta=0.7).tolist() == [[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]]
    assert opsm(new, sampler, -down, mask, index, delta=0.5).tolist() == [[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]]
    per_token = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    assert opsm(new, sampler, per_token, mask, index, delta=0.5).tolist() == [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]
