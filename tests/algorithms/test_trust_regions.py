"""The objectives that bound a step in other ways than PPO: by hand, slow references, gradients, identities."""

import math
from functools import partial

import pytest
import torch
from torch.autograd import gradcheck

from verigrad.algorithms.objectives import cispo, decoupled_ppo, dppo, ppo_clip, reinforce, sapo, value_clip
from verigrad.algorithms.penalties import masked_importance, truncated_importance
from verigrad.algorithms.reductions import sequence_mean
from verigrad.algorithms.sequence_objectives import gspo, importance_reinforce, rollout_log_ratio

NAN, INF = float("nan"), float("inf")
close = torch.testing.assert_close


class Batch:
    """Random float64 rows of three policies close to each other, ragged masks; the first two rows are one rollout."""

    def __init__(self, seed, rows=4, tokens=6, spread=0.5):
        rng = torch.Generator().manual_seed(seed)

        def normal(*shape):
            return torch.randn(*shape, generator=rng, dtype=torch.float64)

        self.sampler = -0.05 - torch.rand(rows, tokens, generator=rng, dtype=torch.float64) * 3
        self.old = (self.sampler + spread * normal(rows, tokens)).clamp(max=-0.01)
        self.new = (self.old + spread * normal(rows, tokens)).clamp(max=-0.01)
        self.advantages = normal(rows)
        self.token_advantages = normal(rows, tokens)
        self.mask = torch.rand(rows, tokens, generator=rng) < 0.7
        self.mask[:, tokens // 2] = True
        self.index = torch.tensor([5, 5, 2, 9])[:rows]


def gradient(function, leaf):
    leaf = leaf.clone().requires_grad_()
    function(leaf).sum().backward()
    return leaf.grad


def numerical_gradient(function, leaf, step=1e-6):
    """Central differences, entry by entry, of the sum of the function's values."""
    found = torch.zeros_like(leaf)
    for place in range(leaf.numel()):
        moved = [leaf.clone(), leaf.clone()]
        for sign, copy in zip((1, -1), moved, strict=True):
            copy.view(-1)[place] += sign * step
        found.view(-1)[place] = (function(moved[0]).sum() - function(moved[1]).sum()) / (2 * step)
    return found


# Called alike: (new, batch, advantages, mask).
OBJECTIVES = {
    "cispo": lambda new, b, a, mask: cispo(new, b.old, a, mask, clip_high=0.3),
    "cispo_ratio": lambda new, b, a, mask: cispo(new, b.old, a, mask, clip_low=0.2, cap=1.3, gradient="ratio"),
    "sapo": lambda new, b, a, mask: sapo(new, b.old, a, mask),
    "dppo_tv": lambda new, b, a, mask: dppo(new, b.old, b.sampler, a, mask),
    "dppo_kl": lambda new, b, a, mask: dppo(new, b.old, b.sampler, a, mask, divergence="kl", threshold=0.05),
    "decoupled_ppo": lambda new, b, a, mask: decoupled_ppo(new, b.old, b.sampler, a, mask),
    "gspo": lambda new, b, a, mask: gspo(new, b.old, a, mask, b.index, clip_low=0.1, clip_high=0.2),
    "gspo_token": lambda new, b, a, mask: gspo(
        new, b.old, a, mask, b.index, clip_low=0.1, clip_high=0.2, level="token"
    ),
    "importance": lambda new, b, a, mask: importance_reinforce(new, b.sampler, a, mask, b.index),
    "importance_sequence": lambda new, b, a, mask: importance_reinforce(
        new, b.sampler, a, mask, b.index, level="sequence"
    ),
}
WHOLE_ROLLOUT = ("gspo", "gspo_token", "importance_sequence")


# ------------------------------------------------------------------------------------------ by hand


def one(*values):
    return torch.tensor([values], dtype=torch.float64)


def test_cispo_by_hand():
    """Ratios 2 and 0.5 at log-probs log 0.5 and log 0.25, A = 3; bound 1 + 0.2, or 1.5 as a cap, or 0.8 below."""
    new, old = one(0.5, 0.25).log(), one(0.25, 0.5).log()
    args = new, old, torch.tensor([3.0]).double(), torch.ones(1, 2).bool()
    high, low = -3 * math.log(0.5), -3 * math.log(0.25)
    close(cispo(*args, clip_high=0.2), one(1.2 * high, 0.5 * low))
    close(cispo(*args, cap=1.5), one(1.5 * high, 0.5 * low))
    close(cispo(*args), one(2 * high, 0.5 * low))
    close(cispo(*args, clip_low=0.2, clip_high=0.2), one(1.2 * high, 0.8 * low))
    close(cispo(*args, clip_low=0.2, clip_high=0.2, gradient="ratio"), one(-3.6, -2.4))


def test_cispo_teaches_clipped_tokens_and_the_ratio_form_does_not():
    new, old, mask = one(0.9).log(), one(0.3).log(), torch.ones(1, 1).bool()
    for gradient_of, wanted in [("logprob", -1.2 * 2), ("ratio", 0.0)]:
        form = partial(cispo, old_logprobs=old, advantages=one(2.0), mask=mask, clip_high=0.2, gradient=gradient_of)
        close(gradient(form, new), one(wanted))


def test_sapo_by_hand():
    """Ratio 2: 4 sigmoid(1) A for A = 1; (4 / 1.05) sigmoid(1.05) A for A = -1. At ratio 1: 2 A and 2 A / 1.05."""
    new, mask = one(2.0, 1.0).log().repeat(2, 1), torch.ones(2, 2).bool()
    got = sapo(new, torch.zeros_like(new), torch.tensor([1.0, -1.0]).double(), mask)

    def gate(ratio, tau):
        return 4 / tau / (1 + math.exp(-tau * (ratio - 1)))

    close(got, torch.tensor([[-gate(2, 1), -gate(1, 1)], [gate(2, 1.05), gate(1, 1.05)]]).double())
    with pytest.raises(ValueError, match="above 0"):
        sapo(new, new, torch.ones(2), mask, tau_neg=0.0)


def test_dppo_by_hand():
    """mu 0.5 -> pi 0.8 moves by 0.3 and stops where A agrees; 0.5 -> 0.6 and 0.01 -> 0.05 (ratio 5) go on."""
    mu, pi = one(0.5, 0.5, 0.01, 0.8).log(), one(0.8, 0.6, 0.05, 0.5).log()
    mask = torch.ones(1, 4).bool()
    close(dppo(pi, mu, mu, one(1.0).flatten(), mask), one(0.0, -1.2, -5.0, -0.625))
    close(dppo(pi, mu, mu, one(-1.0).flatten(), mask), one(1.6, 1.2, 5.0, 0.0))
    # The KL of (0.5, 0.5) from (0.8, 0.2) is 0.5 log(0.5 / 0.8) + 0.5 log(0.5 / 0.2) = 0.2231.
    for threshold, wanted in [(0.22, 0.0), (0.23, -1.6)]:
        got = dppo(pi, mu, mu, one(1.0).flatten(), mask, divergence="kl", threshold=threshold)
        close(got[0, 0], torch.tensor(wanted).double())


def test_dppo_anchors_at_the_sampler_or_at_the_old_policy():
    sampler, old, new = one(0.5).log(), one(0.7).log(), one(0.8).log()
    args = new, old, sampler, one(1.0), torch.ones(1, 1).bool()
    assert dppo(*args).item() == 0.0
    close(dppo(*args, anchor="old"), one(-0.8 / 0.7))


def test_dppo_kl_is_finite_for_certain_tokens():
    certain = torch.zeros(1, 1, dtype=torch.float64)
    for new, old in [(certain, one(0.5).log()), (one(0.5).log(), certain), (certain, certain)]:
        loss = dppo(new, old, old, one(1.0), torch.ones(1, 1).bool(), divergence="kl")
        assert loss.isfinite().all()


def test_decoupled_ppo_by_hand():
    """mu 0.1, proximal 0.4, pi 0.8: weight 4, ratio 2 counts as 1.2 for A = 1, as 2 for A = -1."""
    new, old, sampler = (one(p).log() for p in (0.8, 0.4, 0.1))
    mask = torch.ones(1, 1).bool()
    close(decoupled_ppo(new, old, sampler, one(1.0), mask), one(-4.8))
    close(decoupled_ppo(new, old, sampler, one(-1.0), mask), one(8.0))
    close(decoupled_ppo(new, old, sampler, one(1.0), mask, cap=3.0), one(-3.6))
    close(decoupled_ppo(new, old, sampler, one(1.0), mask, cap=3.0, above_cap="drop"), one(0.0))


def test_gspo_by_hand():
    """A rollout in two rows with log ratios 0.3, -0.1 and 0.1: mean 0.1, ratio e^0.1; clipped to 1.05 for A = 1."""
    new, old = torch.tensor([[0.3, -0.1], [0.1, 7.0]]).double(), torch.zeros(2, 2).double()
    mask, index = torch.tensor([[True, True], [True, False]]), torch.tensor([3, 3])
    for level in ("sequence", "token"):
        kwargs = {"clip_low": 0.05, "clip_high": 0.05, "level": level}
        plus = gspo(new, old, torch.ones(2).double(), mask, index, **kwargs)
        minus = gspo(new, old, -torch.ones(2).double(), mask, index, **kwargs)
        close(plus, -1.05 * mask.double())
        close(minus, math.exp(0.1) * mask.double())


def test_importance_reinforce_by_hand():
    """Token ratios 2 and 3, A = -1; the rollout's ratio is 6, capped at 5."""
    new, sampler = one(0.8, 0.6).log(), one(0.4, 0.2).log()
    args = new, sampler, torch.tensor([-1.0]).double(), torch.ones(1, 2).bool(), torch.tensor([0])
    close(importance_reinforce(*args), one(2.0, 3.0))
    close(importance_reinforce(*args, cap=2.5), one(2.0, 2.5))
    close(importance_reinforce(*args, level="sequence"), one(6.0, 6.0))
    close(importance_reinforce(*args, level="sequence", cap=5.0), one(5.0, 5.0))


def test_value_clip_by_hand():
    """Old 0, return 1, bound 0.2. v = 0.5: held 0.2, 0.8^2 / 2 = 0.32. v = -0.5: held -0.2, its own 1.5^2 / 2 is more.
    v = 0.1: 0.9^2 / 2."""
    values, old, returns = one(0.5, -0.5, 0.1), one(0.0, 0.0, 0.0), one(1.0, 1.0, 1.0)
    mask = torch.ones(1, 3).bool()
    close(value_clip(values, old, returns, mask), one(0.32, 1.125, 0.405))
    close(value_clip(values, old, returns, mask, clip=None), one(0.125, 1.125, 0.405))
    with pytest.raises(ValueError, match="more than 0"):
        value_clip(values, old, returns, mask, clip=0.0)


# ---------------------------------------------------------------------------------- slow references


def clip(x, low, high):
    return min(max(x, low), high)


def binary_kl(p, q):
    return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))


def slow_loss(name, a, new, r, w, s, whole, mu):
    """Of one token: advantage, log-prob, ratios to the old policy and to the sampler, the rollout's s and its ratio to
    the sampler as a whole, and the sampler's probability."""
    pi = math.exp(new)
    stop = (a > 0 and w > 1) or (a < 0 and w < 1)
    tau = 1.0 if a > 0 else 1.05
    return {
        "cispo": lambda: -min(r, 1.3) * a * new,
        "cispo_ratio": lambda: -clip(r, 0.8, 1.3) * a,
        "sapo": lambda: -4 / tau / (1 + math.exp(-tau * (r - 1))) * a,
        "dppo_tv": lambda: 0.0 if stop and abs(mu - pi) > 0.2 else -w * a,
        "dppo_kl": lambda: 0.0 if stop and binary_kl(mu, pi) > 0.05 else -w * a,
        "decoupled_ppo": lambda: -(w / r) * min(r * a, clip(r, 0.8, 1.2) * a),
        "gspo": lambda: -min(s * a, clip(s, 0.9, 1.2) * a),
        "gspo_token": lambda: -min(s * a, clip(s, 0.9, 1.2) * a),
        "importance": lambda: -w * a,
        "importance_sequence": lambda: -whole * a,
    }[name]()


def slow_losses(name, b, advantages):
    """Token by token, rollout by rollout, straight from the formulas."""
    rollouts = {}
    for row, t in b.mask.nonzero().tolist():
        rollouts.setdefault(b.index[row].item(), []).append((row, t))
    loss = torch.zeros_like(b.new)
    for places in rollouts.values():
        log_old = [(b.new[p] - b.old[p]).item() for p in places]
        log_sampler = [(b.new[p] - b.sampler[p]).item() for p in places]
        s, whole = math.exp(sum(log_old) / len(places)), math.exp(sum(log_sampler))
        for place, lo, ls in zip(places, log_old, log_sampler, strict=True):
            a, new, mu = advantages[place].item(), b.new[place].item(), b.sampler[place].exp().item()
            loss[place] = slow_loss(name, a, new, math.exp(lo), math.exp(ls), s, whole, mu)
    return loss


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("seed", range(4))
def test_slow_references(name, seed):
    b = Batch(seed)
    per_token = b.advantages[:, None].expand_as(b.new)
    wanted = slow_losses(name, b, per_token)
    for advantages in (b.advantages, b.advantages[:, None]):
        close(OBJECTIVES[name](b.new, b, advantages, b.mask), wanted)
    close(OBJECTIVES[name](b.new, b, b.token_advantages, b.mask), slow_losses(name, b, b.token_advantages))


@pytest.mark.parametrize("seed", range(3))
def test_value_clip_against_the_slow_reference(seed):
    b = Batch(seed)
    wanted = torch.zeros_like(b.new)
    for row, t in b.mask.nonzero().tolist():
        v, old, target = (x[row, t].item() for x in (b.new, b.old, b.sampler))
        wanted[row, t] = max((v - target) ** 2, (clip(v, old - 0.3, old + 0.3) - target) ** 2) / 2
    close(value_clip(b.new, b.old, b.sampler, b.mask, clip=0.3), wanted)


# ------------------------------------------------------------------------------------------- gradients

PLAIN = ("cispo_ratio", "sapo", "decoupled_ppo", "gspo", "dppo_tv", "dppo_kl")


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("seed", range(2))
def test_gradients_by_finite_differences(name, seed):
    """Where the loss's own value is what is differentiated."""
    b = Batch(seed)

    def loss(new):
        return OBJECTIVES[name](new, b, b.token_advantages, b.mask)

    close(gradient(loss, b.new), numerical_gradient(loss, b.new), rtol=1e-6, atol=1e-7)
    leaf = b.new.clone().requires_grad_()
    assert gradcheck(loss, leaf)


@pytest.mark.parametrize("seed", range(3))
def test_gradients_of_forms_with_a_stopped_factor(seed):
    """Their gradient is factor times A times that of -log pi, the factor held fixed."""
    b = Batch(seed)
    a = b.token_advantages
    ratio, weight = (b.new - b.old).exp(), (b.new - b.sampler).exp()
    whole = rollout_log_ratio(b.new, b.sampler, b.mask, b.index, how="sum").exp()
    s = rollout_log_ratio(b.new, b.old, b.mask, b.index).exp().expand_as(a)
    inside = torch.where(a > 0, s <= 1.2, s >= 0.9)
    for name, factor in [
        ("cispo", ratio.clamp(max=1.3)),
        ("importance", weight),
        ("importance_sequence", whole),
        ("gspo_token", s * inside),
    ]:
        close(gradient(lambda x, n=name: OBJECTIVES[n](x, b, a, b.mask), b.new), -factor * a * b.mask)


def test_value_clip_gradcheck():
    b = Batch(0)
    leaf = b.new.clone().requires_grad_()
    assert gradcheck(lambda v: value_clip(v, b.old, b.sampler, b.mask), leaf)


# ------------------------------------------------------------------------------------------- identities


@pytest.mark.parametrize("name", OBJECTIVES)
def test_at_ratio_one_the_gradient_is_reinforces(name):
    """With the three policies equal; GSPO's sequence form shares it out within the rollout, so weights are equal."""
    b = Batch(1)
    b.old = b.sampler = b.new
    weights = sequence_mean(b.mask, torch.tensor([0, 0, 1, 2]), torch.zeros(3).long())
    per_rollout = torch.tensor([0.7, 0.7, -1.3, 0.4], dtype=torch.float64)
    close(
        gradient(lambda x: OBJECTIVES[name](x, b, per_rollout, b.mask) * weights, b.new),
        gradient(lambda x: reinforce(x, per_rollout, b.mask) * weights, b.new),
    )


def test_gspo_of_one_token_rollouts_is_ppo_clip():
    b = Batch(2, rows=4, tokens=1)
    b.index = torch.arange(4)
    for level in ("sequence", "token"):
        for function in (lambda x: x, lambda x: x.exp()):
            form = partial(
                gspo, mask=b.mask, rollout_index=b.index, clip_low=0.2, clip_high=0.3, level=level
            )  # fmt: skip
            close(
                gradient(lambda x, f=function, g=form: f(g(x, b.old, b.advantages)), b.new),
                gradient(
                    lambda x, f=function: f(ppo_clip(x, b.old, b.advantages, b.mask, clip_low=0.2, clip_high=0.3)),
                    b.new,
                ),
            )


@pytest.mark.parametrize("seed", range(3))
def test_gspos_two_forms_have_one_gradient_under_the_papers_weights(seed):
    b = Batch(seed, spread=0.05)
    b.advantages[1] = b.advantages[0]  # the same rollout
    weights = sequence_mean(b.mask, torch.tensor([0, 0, 1, 2]), torch.zeros(3).long())
    forms = [
        gradient(lambda x, n=name: OBJECTIVES[n](x, b, b.advantages, b.mask) * weights, b.new)
        for name in ("gspo", "gspo_token")
    ]
    close(*forms)
    assert forms[0].abs().max() > 0


def test_cispo_without_bounds_is_importance_sampling_from_the_old_policy():
    b = Batch(3)
    close(
        gradient(lambda x: cispo(x, b.old, b.token_advantages, b.mask, cap=INF), b.new),
        gradient(lambda x: importance_reinforce(x, b.old, b.token_advantages, b.mask, b.index), b.new),
    )
    close(
        gradient(lambda x: cispo(x, b.old, b.token_advantages, b.mask, cap=1.1), b.new),
        gradient(lambda x: importance_reinforce(x, b.old, b.token_advantages, b.mask, b.index, cap=1.1), b.new),
    )


def test_cispos_ratio_form_clips_where_ppo_does_not_look_at_the_sign():
    """PPO's gradient where the clip is in the advantage's way, 0 elsewhere beyond the bounds."""
    b = Batch(4)
    ratio = (b.new - b.old).exp()
    outside = (ratio < 0.8) | (ratio > 1.3)
    ppo = gradient(lambda x: ppo_clip(x, b.old, b.advantages, b.mask, clip_low=0.2, clip_high=0.3), b.new)
    got = gradient(lambda x: OBJECTIVES["cispo_ratio"](x, b, b.advantages, b.mask), b.new)
    close(got, ppo.masked_fill(outside, 0.0))


def test_decoupled_ppo_of_two_equal_policies_is_ppo_clip():
    b = Batch(5)
    close(
        decoupled_ppo(b.new, b.old, b.old, b.advantages, b.mask),
        ppo_clip(b.new, b.old, b.advantages, b.mask),
    )


def test_decoupled_ppo_with_a_cap_is_ppo_clip_times_the_importance_weight():
    b = Batch(6)
    args = b.new, b.old, b.advantages, b.mask
    close(
        decoupled_ppo(b.new, b.old, b.sampler, b.advantages, b.mask, cap=1.5),
        ppo_clip(*args) * truncated_importance(b.old, b.sampler, b.mask, cap=1.5),
    )
    close(
        decoupled_ppo(b.new, b.old, b.sampler, b.advantages, b.mask, cap=1.5, above_cap="drop"),
        ppo_clip(*args) * masked_importance(b.old, b.sampler, b.mask, low=0.0, high=1.5),
    )


def test_dppo_with_a_threshold_of_one_is_importance_sampling():
    """No probability moves by more than 1."""
    b = Batch(7)
    close(
        dppo(b.new, b.old, b.sampler, b.advantages, b.mask, threshold=1.0),
        importance_reinforce(b.new, b.sampler, b.advantages, b.mask, b.index),
    )


def test_value_clip_with_a_wide_bound_is_the_squared_error():
    b = Batch(8)
    close(
        value_clip(b.new, b.old, b.sampler, b.mask, clip=1e9),
        value_clip(b.new, b.old, b.sampler, b.mask, clip=None),
    )


# ------------------------------------------------------------------------------------------- invariances


def relaid(b, rows):
    """The same tokens in other rows: `rows` lists (row, columns) for each new row, padded with garbage."""
    width = max(len(columns) for _, columns in rows) + 1
    other = Batch(0)
    for name in ("new", "old", "sampler", "token_advantages"):
        laid = torch.full((len(rows), width), NAN, dtype=torch.float64)
        for number, (row, columns) in enumerate(rows):
            laid[number, : len(columns)] = getattr(b, name)[row, columns]
        setattr(other, name, laid)
    other.mask = torch.zeros(len(rows), width, dtype=torch.bool)
    for number, (row, columns) in enumerate(rows):
        other.mask[number, : len(columns)] = b.mask[row, columns]
    other.index = b.index[[row for row, _ in rows]]
    return other


@pytest.mark.parametrize("name", OBJECTIVES)
def test_cutting_rows_and_their_order_change_no_loss(name):
    """Rows cut in two, in another order, and padded with NaN."""
    b = Batch(9)
    cuts = [(2, [0, 1, 2, 3]), (0, [3, 4, 5]), (3, [0]), (1, [0, 1, 2, 3, 4, 5]), (0, [0, 1, 2]), (2, [4, 5])]
    cuts.append((3, [1, 2, 3, 4, 5]))
    whole = OBJECTIVES[name](b.new, b, b.token_advantages, b.mask)
    other = relaid(b, cuts)
    got = OBJECTIVES[name](other.new, other, other.token_advantages, other.mask)
    for number, (row, columns) in enumerate(cuts):
        close(got[number, : len(columns)], whole[row, columns])
        assert got[number, len(columns) :].abs().max() == 0.0


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name not in WHOLE_ROLLOUT])
def test_tokens_of_other_rows_do_not_matter(name):
    b = Batch(10)
    whole = OBJECTIVES[name](b.new, b, b.advantages, b.mask)
    part = Batch(10)
    for field in ("new", "old", "sampler", "advantages", "mask", "index"):
        setattr(part, field, getattr(b, field)[1:3])
    close(OBJECTIVES[name](part.new, part, part.advantages, part.mask), whole[1:3])


@pytest.mark.parametrize("name", WHOLE_ROLLOUT)
def test_cotangents_of_the_whole_step_make_micro_batches_exact(name):
    """Differentiate the loss by the log-probs as leaves, then send each micro-batch its share."""
    b = Batch(11)
    parameter = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)

    def policy(rows):
        return b.new[rows] + parameter * torch.sin(b.old[rows])

    OBJECTIVES[name](policy(slice(None)), b, b.advantages, b.mask).sum().backward()
    whole, parameter.grad = parameter.grad.clone(), None
    with torch.no_grad():
        leaves = policy(slice(None))
    cotangents = gradient(lambda x: OBJECTIVES[name](x, b, b.advantages, b.mask), leaves)
    for rows in (slice(0, 1), slice(1, 3), slice(3, 4)):
        policy(rows).backward(cotangents[rows])
    close(parameter.grad, whole)
    assert whole.abs() > 1e-6


@pytest.mark.parametrize("name", OBJECTIVES)
def test_garbage_under_the_mask_neither_shows_nor_leaks(name):
    b, dirty = Batch(12), Batch(12)
    b.mask[:, 3:] = False
    dirty.mask = b.mask
    for field, columns in {"new": (-INF, NAN, INF), "old": (-INF, NAN, 0.0), "sampler": (NAN, -INF, INF)}.items():
        values = getattr(dirty, field)
        for column, value in zip((3, 4, 5), columns, strict=True):
            values[:, column] = value
        values[~b.mask] = torch.where(values.isfinite(), NAN, values)[~b.mask]
    dirty.token_advantages[~b.mask] = NAN
    leaf = dirty.new.requires_grad_()
    loss = OBJECTIVES[name](leaf, dirty, dirty.token_advantages, dirty.mask)
    loss.sum().backward()
    assert torch.equal(loss.detach(), OBJECTIVES[name](b.new, b, b.token_advantages, b.mask))
    assert leaf.grad.isfinite().all() and leaf.grad[~b.mask].abs().max() == 0.0
    assert leaf.grad[b.mask].abs().max() > 0.0


@pytest.mark.parametrize("name", OBJECTIVES)
def test_no_gradient_reaches_the_other_policies_or_the_advantages(name):
    b = Batch(13)
    leaves = [b.new, b.old, b.sampler, b.token_advantages]
    for leaf in leaves:
        leaf.requires_grad_()
    OBJECTIVES[name](b.new, b, b.token_advantages, b.mask).sum().backward()
    assert b.new.grad is not None and all(leaf.grad is None for leaf in leaves[1:])


@pytest.mark.parametrize("name", OBJECTIVES)
def test_rollouts_without_a_token_are_harmless(name):
    b = Batch(14)
    b.mask[2] = False
    leaf = b.new.requires_grad_()
    loss = OBJECTIVES[name](leaf, b, b.advantages, b.mask)
    loss.sum().backward()
    assert loss.isfinite().all() and loss[2].abs().max() == 0.0
    assert leaf.grad.isfinite().all() and leaf.grad[2].abs().max() == 0.0


@pytest.mark.parametrize("name", [*OBJECTIVES, "ppo_clip"])
@pytest.mark.parametrize("gap", [200.0, -200.0])
def test_policies_far_apart_give_finite_gradients(name, gap):
    """exp(200) is infinite in float32, and infinity times the zero of a clip, or of an advantage, is NaN."""
    b = Batch(15)
    b.old, b.sampler, b.new = (x.float() for x in (b.new - gap, b.new - gap, b.new))
    objective = OBJECTIVES.get(name, lambda new, b, a, mask: ppo_clip(new, b.old, a, mask))
    for sign in (1.0, 0.0, -1.0):
        leaf = b.new.clone().requires_grad_()
        loss = objective(leaf, b, torch.full((4,), sign), b.mask)
        loss.sum().backward()
        assert loss.isfinite().all() and leaf.grad.isfinite().all()


def test_shapes_that_would_broadcast_are_refused():
    b = Batch(0)
    with pytest.raises(ValueError, match="old_logprobs"):
        sapo(b.new, b.old[0], b.advantages, b.mask)
    with pytest.raises(ValueError, match="sampler_logprobs"):
        decoupled_ppo(b.new, b.old, b.sampler[:, :3], b.advantages, b.mask)
    with pytest.raises(ValueError, match="rollout_index"):
        gspo(b.new, b.old, b.advantages, b.mask, b.index[:3])
    with pytest.raises(ValueError, match="returns"):
        value_clip(b.new, b.old, b.advantages, b.mask)
