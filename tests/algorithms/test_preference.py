"""Preference losses: worked by hand, against slow references, gradients checked numerically, and their identities."""

import inspect
import math

import pytest
import torch
from torch.autograd import gradcheck

from verigrad.algorithms.preference import (
    apo_down,
    apo_zero,
    bco,
    bco_delta,
    cpo,
    dpo,
    dpo_norm,
    exo,
    hinge,
    implicit_rewards,
    ipo,
    kto,
    kto_kl,
    ld_weights,
    nca,
    orpo,
    preference_summary,
    robust_dpo,
    rpo,
    rrhf,
    simpo,
    slic,
    sppo,
    weighted_dpo,
)
from verigrad.algorithms.preference_presets import PREFERENCE_LOSSES
from verigrad.algorithms.presets import call

NAN, INF = float("nan"), float("inf")
LN2, LN3 = math.log(2), math.log(3)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def log_sigmoid(x):
    return -math.log(1 + math.exp(-x))


def relu(x):
    return max(0.0, x)


# ------------------------------------------------------------------------------------------------ random inputs


def random_inputs(seed, rows=5, tokens=7, candidates=4):
    """All a loop could offer: ragged completions of both kinds, under two policies; float64."""
    rng = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=rng, dtype=torch.float64)

    given = {}
    for kind in ("chosen", "rejected"):
        lengths = torch.randint(1, tokens + 1, (rows,), generator=rng)
        mask = torch.arange(tokens) < lengths[:, None]
        weights = torch.where(mask, 0.5 + uniform(rows, tokens), 0.0)
        ref = torch.where(mask, -3 * uniform(rows, tokens), 0.0)
        policy = torch.where(mask, (ref + uniform(rows, tokens) - 0.5).clamp(max=-0.01), 0.0)
        given |= {f"{kind}_lengths": lengths, f"{kind}_mask": mask, f"{kind}_weights": weights}
        for who, logprobs in (("policy", policy), ("ref", ref)):
            given |= {f"{who}_{kind}_tokens": logprobs, f"{who}_{kind}": logprobs.sum(dim=1)}
            given[f"{who}_{kind}_mean"] = logprobs.sum(dim=1) / lengths
    counts = torch.randint(0, candidates + 1, (rows, 1), generator=rng)
    given["candidate_mask"] = torch.arange(candidates) < counts
    given["candidate_rewards"] = torch.randint(0, 3, (rows, candidates), generator=rng).double()
    given["policy_candidates_mean"] = -2 * uniform(rows, candidates)
    given["policy_candidates"] = 3 * given["policy_candidates_mean"] - uniform(rows, candidates)
    given["policy"] = given["policy_chosen"]
    given["ref"] = given["ref_chosen"]
    given["desirable"] = uniform(rows) < 0.5
    given["kl"], given["delta"] = torch.tensor(0.7).double(), torch.tensor(-0.2).double()
    return given


# ------------------------------------------------------------------- slow references: floats of one pair at a time


def slow_dpo(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta, e=0.0):
    h = beta * ((policy_chosen - policy_rejected) - (ref_chosen - ref_rejected))
    return -(1 - e) * log_sigmoid(h) - e * log_sigmoid(-h)


def slow_robust(w, loser, ref_w, ref_l, beta, e):
    return ((1 - e) * slow_dpo(w, loser, ref_w, ref_l, beta) - e * slow_dpo(loser, w, ref_l, ref_w, beta)) / (1 - 2 * e)


def slow_ipo(w, loser, ref_w, ref_l, tau):
    return (math.log(math.exp(w) * math.exp(ref_l) / (math.exp(loser) * math.exp(ref_w))) - 1 / (2 * tau)) ** 2


def slow_exo(w, loser, ref_w, ref_l, beta, e):
    """KL between two distributions over {chosen, rejected}, as a sum over both."""
    scores = [math.exp(beta * (w - ref_w)), math.exp(beta * (loser - ref_l))]
    p = [score / sum(scores) for score in scores]
    return sum(a * math.log(a / b) for a, b in zip(p, [1 - e, e], strict=True))


def slow_kto(policy, ref, desirable, kl, beta, w_d, w_u):
    """The value function of the paper: lambda_y - v."""
    reward, z = beta * (policy - ref), beta * max(kl, 0.0)
    value = w_d * sigmoid(reward - z) if desirable else w_u * sigmoid(z - reward)
    return (w_d if desirable else w_u) - value


def slow_bco(w, loser, ref_w, ref_l, delta, beta):
    return -log_sigmoid(beta * (w - ref_w) - delta) - log_sigmoid(-(beta * (loser - ref_l) - delta))


def slow_nca(w, loser, ref_w, ref_l, beta):
    """K = 2 with all the reward's weight on the chosen one; each completion is also noise with weight 1 / K."""
    rewards, weights = [beta * (w - ref_w), beta * (loser - ref_l)], [1.0, 0.0]
    return -sum(a * log_sigmoid(r) + log_sigmoid(-r) / 2 for a, r in zip(weights, rewards, strict=True))


def slow_orpo(w_mean, l_mean, coef):
    p_w, p_l = math.exp(w_mean), math.exp(l_mean)
    odds_ratio = (p_w / (1 - p_w)) / (p_l / (1 - p_l))
    return -w_mean - coef * math.log(sigmoid(math.log(odds_ratio)))


def slow_weighted(g, i, beta, e=0.0):
    total = 0.0
    for kind, sign in (("chosen", 1), ("rejected", -1)):
        for t, weight in enumerate(g[f"{kind}_weights"][i]):
            total += sign * weight * (g[f"policy_{kind}_tokens"][i][t] - g[f"ref_{kind}_tokens"][i][t])
    return -(1 - e) * log_sigmoid(beta * total) - e * log_sigmoid(-beta * total)


def slow_rrhf(means, sums, rewards, mask, coef):
    there = [k for k, counts in enumerate(mask) if counts]
    if not there:
        return 0.0
    loss = sum(relu(means[i] - means[j]) for i in there for j in there if rewards[i] < rewards[j])
    best = max(there, key=lambda k: (rewards[k], -k))
    return loss - coef * sums[best]


NAMES = ("policy_chosen", "policy_rejected", "ref_chosen", "ref_rejected")


def four(g, i):
    return [g[name][i] for name in NAMES]


def four_means(g, i):
    return [g[name + "_mean"][i] for name in NAMES]


def ratio(g, i, kind):
    return g[f"policy_{kind}"][i] - g[f"ref_{kind}"][i]


# name -> (function, hyper-parameters, the same by floats of pair i)
CASES = {
    "dpo": (dpo, {"beta": 0.3}, lambda g, i: slow_dpo(*four(g, i), 0.3)),
    "cdpo": (dpo, {"beta": 0.3, "label_smoothing": 0.2}, lambda g, i: slow_dpo(*four(g, i), 0.3, 0.2)),
    "dpo_norm": (dpo_norm, {"label_smoothing": 0.1}, lambda g, i: slow_dpo(*four_means(g, i), 5.0, 0.1)),
    "robust_dpo": (robust_dpo, {"beta": 0.2}, lambda g, i: slow_robust(*four(g, i), 0.2, 0.1)),
    "rpo": (rpo, {"nll_coef": 0.7}, lambda g, i: slow_dpo(*four(g, i), 0.1) - 0.7 * g["policy_chosen_mean"][i]),
    "weighted_dpo": (weighted_dpo, {"label_smoothing": 0.1}, lambda g, i: slow_weighted(g, i, 0.1, 0.1)),
    "ipo": (ipo, {"beta": 0.5}, lambda g, i: slow_ipo(*four(g, i), 0.5)),
    "ipo by length": (
        ipo,
        {"beta": 0.5, "length_normalized": True},
        lambda g, i: slow_ipo(*four_means(g, i), 0.5),
    ),
    "hinge": (hinge, {"beta": 0.4}, lambda g, i: relu(1 - 0.4 * (ratio(g, i, "chosen") - ratio(g, i, "rejected")))),
    "exo": (exo, {"beta": 0.4, "label_smoothing": 0.05}, lambda g, i: slow_exo(*four(g, i), 0.4, 0.05)),
    "kto": (
        kto,
        {"beta": 0.4, "desirable_weight": 1.3, "undesirable_weight": 0.6},
        lambda g, i: slow_kto(g["policy"][i], g["ref"][i], g["desirable"][i], g["kl"], 0.4, 1.3, 0.6),
    ),
    "bco": (bco, {"beta": 0.4}, lambda g, i: slow_bco(*four(g, i), g["delta"], 0.4)),
    "nca": (nca, {"beta": 0.4}, lambda g, i: slow_nca(*four(g, i), 0.4)),
    "apo_zero": (
        apo_zero,
        {"beta": 0.4},
        lambda g, i: -sigmoid(0.4 * ratio(g, i, "chosen")) + sigmoid(0.4 * ratio(g, i, "rejected")),
    ),
    "apo_down": (
        apo_down,
        {"beta": 0.4},
        lambda g, i: (
            sigmoid(0.4 * ratio(g, i, "chosen")) - sigmoid(0.4 * (ratio(g, i, "chosen") - ratio(g, i, "rejected")))
        ),
    ),
    "sppo": (
        sppo,
        {"beta": 0.5},
        lambda g, i: (ratio(g, i, "chosen") - 1.0) ** 2 + (ratio(g, i, "rejected") + 1.0) ** 2,
    ),
    "slic": (
        slic,
        {"margin": 2.0, "nll_coef": 0.3},
        lambda g, i: relu(2 - g["policy_chosen"][i] + g["policy_rejected"][i]) - 0.3 * g["policy_chosen"][i],
    ),
    "orpo": (
        orpo,
        {"odds_coef": 0.6},
        lambda g, i: slow_orpo(g["policy_chosen_mean"][i], g["policy_rejected_mean"][i], 0.6),
    ),
    "simpo": (
        simpo,
        {"beta": 1.7, "gamma": 0.4},
        lambda g, i: -log_sigmoid(1.7 * (g["policy_chosen_mean"][i] - g["policy_rejected_mean"][i]) - 0.4),
    ),
    "simpo by ratio": (
        simpo,
        {"beta": 1.7, "gamma_ratio": 0.5},
        lambda g, i: -log_sigmoid(1.7 * (g["policy_chosen_mean"][i] - g["policy_rejected_mean"][i] - 0.5)),
    ),
    "cpo": (
        cpo,
        {"beta": 0.4, "nll_coef": 0.3},
        lambda g, i: (
            -log_sigmoid(0.4 * (g["policy_chosen"][i] - g["policy_rejected"][i])) - 0.3 * g["policy_chosen"][i]
        ),
    ),
    "cpo by token": (
        cpo,
        {"beta": 0.4, "nll_per_token": True},
        lambda g, i: -log_sigmoid(0.4 * (g["policy_chosen"][i] - g["policy_rejected"][i])) - g["policy_chosen_mean"][i],
    ),
    "rrhf": (
        rrhf,
        {"nll_coef": 0.5},
        lambda g, i: slow_rrhf(
            g["policy_candidates_mean"][i],
            g["policy_candidates"][i],
            g["candidate_rewards"][i],
            g["candidate_mask"][i],
            0.5,
        ),
    ),
    "rrhf by token": (
        rrhf,
        {"nll_per_token": True},
        lambda g, i: slow_rrhf(
            *[g["policy_candidates_mean"][i]] * 2, g["candidate_rewards"][i], g["candidate_mask"][i], 1.0
        ),
    ),
}


def asked_for(function, given):
    """The part of `given` that has a name in the function's signature, in its order."""
    return {name: given[name] for name in inspect.signature(function).parameters if name in given}


def policy_names(tensors):
    return [name for name in tensors if name.startswith("policy")]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("case", CASES)
def test_against_the_slow_reference(case, seed):
    function, options, slow = CASES[case]
    given = random_inputs(seed)
    floats = {name: tensor.tolist() for name, tensor in given.items()}
    wanted = [slow(floats, i) for i in range(5)]
    torch.testing.assert_close(call(function, **given, **options), torch.tensor(wanted, dtype=torch.float64))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("case", CASES)
def test_gradcheck(case, seed):
    """Autograd against finite differences, for every policy log-prob."""
    function, options, _ = CASES[case]
    tensors = asked_for(function, random_inputs(seed))
    leaves = policy_names(tensors)

    def loss(*values):
        return function(**{**tensors, **dict(zip(leaves, values, strict=True))}, **options)

    assert gradcheck(loss, [tensors[name].clone().requires_grad_() for name in leaves])


@pytest.mark.parametrize("case", CASES)
def test_the_gradient_reaches_the_policy_only(case):
    function, options, _ = CASES[case]
    tensors = {
        name: tensor.clone().requires_grad_(tensor.is_floating_point())
        for name, tensor in asked_for(function, random_inputs(0)).items()
    }
    function(**tensors, **options).sum().backward()
    # A mean that an option leaves unused has no gradient either.
    assert any(tensors[name].grad is not None for name in policy_names(tensors))
    assert all(tensor.grad is None for name, tensor in tensors.items() if not name.startswith("policy"))


@pytest.mark.parametrize("case", CASES)
def test_pairs_do_not_know_of_each_other(case):
    """Reordering the pairs reorders the losses; a pair alone has the loss it has in company."""
    function, options, _ = CASES[case]
    tensors = asked_for(function, random_inputs(3))
    whole, order = function(**tensors, **options), torch.tensor([3, 0, 4, 2, 1])

    def only(index):
        return function(**{n: t[index] if t.ndim else t for n, t in tensors.items()}, **options)

    torch.testing.assert_close(only(order), whole[order], rtol=0, atol=0)
    torch.testing.assert_close(only(torch.tensor([2])), whole[2:3], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", CASES)
def test_extreme_log_ratios_stay_finite(case, dtype):
    """Log-ratios of +-1e4, certain (log-prob 0) and impossible completions: no NaN or infinity, nor in the gradient."""
    function, options, _ = CASES[case]
    extremes = torch.tensor([0.0, -1e-12, -1e4], dtype=dtype)
    tensors = asked_for(function, random_inputs(0, rows=9))
    for name, tensor in tensors.items():
        if name.startswith(("policy", "ref")):
            column = extremes.repeat(3) if "chosen" in name and "_tokens" not in name else extremes.repeat_interleave(3)
            column = column.flip(0) if name.startswith("ref") else column
            extreme = column if tensor.ndim == 1 else column.unsqueeze(1).expand(tensor.shape).clone()
            tensors[name] = extreme.requires_grad_(name.startswith("policy"))
        elif tensor.is_floating_point():
            tensors[name] = tensor.to(dtype)
    loss = function(**tensors, **options)
    loss.sum().backward()
    assert loss.isfinite().all()
    grads = [tensors[name].grad for name in policy_names(tensors)]
    assert all(grad is None or grad.isfinite().all() for grad in grads)


# ------------------------------------------------------------------------------------------------ worked by hand


def t(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_by_hand():
    """beta h = log 3, so s(beta h) = 3/4.

    Log-ratios +2 log 3 and -log 3 with beta = 1/3: DPO is log(4/3); with 1/4 of the labels wrong 3/4 log(4/3) +
    1/4 log 4; the robust form (3/4 log(4/3) - 1/4 log 4) / (1/2).
    """
    pair, beta = (t(-1 + 2 * LN3), t(-2 - LN3), t(-1), t(-2)), 1 / 3
    right, wrong = math.log(4 / 3), math.log(4)
    assert dpo(*pair, beta=beta).item() == pytest.approx(right)
    assert dpo(*pair, beta=beta, label_smoothing=0.25).item() == pytest.approx(0.75 * right + 0.25 * wrong)
    assert robust_dpo(*pair, beta=beta, label_smoothing=0.25).item() == pytest.approx(1.5 * right - 0.5 * wrong)
    assert rpo(*pair, t(-0.2), beta=beta, nll_coef=0.5).item() == pytest.approx(right + 0.1)
    assert hinge(*pair, beta=0.1).item() == pytest.approx(1 - 0.3 * LN3)
    assert ipo(*pair, beta=0.25).item() == pytest.approx((3 * LN3 - 2) ** 2)
    by_length = ipo(*pair, torch.tensor([2]), torch.tensor([1]), beta=0.25, length_normalized=True)
    assert by_length.item() == pytest.approx((2 * LN3 - 2) ** 2)
    assert sppo(*pair, beta=0.5).item() == pytest.approx((2 * LN3 - 1) ** 2 + (-LN3 + 1) ** 2)


def test_losses_with_anchors_by_hand():
    """Rewards beta u of log 3 and -log 3: s is 3/4 and 1/4; their difference log 9 has s = 9/10."""
    pair = (t(LN3), t(-LN3), t(0.0), t(0.0))
    assert apo_zero(*pair, beta=1.0).item() == pytest.approx(-0.75 + 0.25)
    assert apo_down(*pair, beta=1.0).item() == pytest.approx(0.75 - 0.9)
    assert bco(*pair, 0.0, beta=1.0).item() == pytest.approx(2 * math.log(4 / 3))
    assert bco(*pair, LN3, beta=1.0).item() == pytest.approx(math.log(2) + math.log(10 / 9))
    assert nca(*pair, beta=1.0).item() == pytest.approx(math.log(4 / 3) + math.log(4) / 2 + math.log(4 / 3) / 2)
    assert exo(*pair, beta=0.5, label_smoothing=0.1).item() == pytest.approx(
        0.75 * math.log(0.75 / 0.9) + 0.25 * math.log(0.25 / 0.1)
    )
    verdicts = torch.tensor([True, False, True, False])
    losses = kto(t(LN3, LN3, LN3, LN3), t(0, 0, 0, 0), verdicts, 0.0, beta=1.0, undesirable_weight=2.0)
    assert losses.tolist() == pytest.approx([0.25, 1.5, 0.25, 1.5])
    assert kto(t(LN3), t(0), torch.tensor([True]), LN3, beta=1.0).item() == pytest.approx(0.5)


def test_losses_without_a_reference_by_hand():
    """Probabilities per token 1/2 and 1/5: odds 1 and 1/4, their ratio 4, s(log 4) = 4/5."""
    means = (t(0.5).log(), t(0.2).log())
    assert orpo(*means, odds_coef=0.1).item() == pytest.approx(LN2 + 0.1 * math.log(5 / 4))
    # beta (log 1/2 - log 1/5) - gamma = 2 log 2.5 - log 2.5 = log 2.5, and s(log 2.5) = 5/7.
    assert simpo(*means, beta=2.0, gamma=math.log(2.5)).item() == pytest.approx(math.log(7 / 5))
    assert cpo(t(-1.0), t(-1.0 - LN3), beta=1.0, nll_coef=2.0).item() == pytest.approx(math.log(4 / 3) + 2)
    assert slic(t(-1.0), t(-1.25), margin=1.0, nll_coef=0.5).item() == pytest.approx(0.75 + 0.5)
    # Rewards 2 > 1 > 0, mean log-probs -2, -1, -3: only the best below the second is out of order, by 1.
    loss = rrhf(t(-2, -1, -3)[None], t(-8, -1, -3)[None], t(2, 1, 0)[None], torch.ones(1, 3).bool(), nll_coef=0.5)
    assert loss.item() == pytest.approx(1 + 4)


# ---------------------------------------------------------------------------------------------------- identities


def pairs(seed=0):
    given = random_inputs(seed)
    return tuple(given[name] for name in NAMES)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 0.5])
def test_at_the_reference_dpo_is_log_two_whatever_the_rest(label_smoothing):
    _, _, chosen, rejected = pairs()
    loss = dpo(chosen, rejected, chosen, rejected, beta=3.7, label_smoothing=label_smoothing)
    torch.testing.assert_close(loss, torch.full_like(loss, LN2))


def test_labels_that_tell_nothing_make_dpo_symmetric():
    w, loser, rw, rl = pairs()
    torch.testing.assert_close(dpo(w, loser, rw, rl, label_smoothing=0.5), dpo(loser, w, rl, rw, label_smoothing=0.5))


def test_robust_dpo_without_noise_is_dpo():
    torch.testing.assert_close(robust_dpo(*pairs(), label_smoothing=0.0), dpo(*pairs()))


@pytest.mark.parametrize("noise", [0.1, 0.3, 0.45])
def test_robust_dpo_on_flipped_labels_is_dpo_on_clean_ones_in_expectation(noise):
    w, loser, rw, rl = pairs()
    kept = robust_dpo(w, loser, rw, rl, label_smoothing=noise)
    flipped = robust_dpo(loser, w, rl, rw, label_smoothing=noise)
    torch.testing.assert_close((1 - noise) * kept + noise * flipped, dpo(w, loser, rw, rl))


def test_dpo_is_the_log_loss_of_the_implicit_rewards():
    w, loser, rw, rl = pairs()
    chosen, rejected = implicit_rewards(w, rw, beta=0.3), implicit_rewards(loser, rl, beta=0.3)
    likelihood = 1 / (1 + (rejected - chosen).exp())
    torch.testing.assert_close(dpo(w, loser, rw, rl, beta=0.3), -likelihood.log())


def test_dpo_on_mean_log_probs_is_dpo_norm_and_on_lengths_one_all_three_agree():
    given = random_inputs(1, tokens=1)
    by_token = call(dpo_norm, **given, beta=0.3)
    torch.testing.assert_close(by_token, call(dpo, **given, beta=0.3))
    torch.testing.assert_close(call(ipo, **given, beta=0.3), call(ipo, **given, beta=0.3, length_normalized=True))


def test_without_a_reference_dpo_is_cpo_and_simpo():
    """DPO against a constant reference is CPO without cloning, and SimPO without a margin, given the same numbers."""
    w, loser, _, _ = pairs()
    uniform = torch.full_like(w, -4.0)
    wanted = dpo(w, loser, uniform, uniform, beta=2.0)
    torch.testing.assert_close(cpo(w, loser, beta=2.0, nll_coef=0.0), wanted)
    torch.testing.assert_close(simpo(w, loser, beta=2.0, gamma=0.0), wanted)
    torch.testing.assert_close(simpo(w, loser, beta=2.0, gamma_ratio=0.0), wanted)


def test_rpo_without_its_second_term_is_dpo():
    w, loser, rw, rl = pairs()
    torch.testing.assert_close(rpo(w, loser, rw, rl, w, nll_coef=0.0), dpo(w, loser, rw, rl))


def test_ipo_and_sppo_are_zero_exactly_at_their_goals():
    ref = t(-3.0, -1.0)
    assert ipo(ref + 5.0, ref, ref, ref, beta=0.1).tolist() == pytest.approx([0.0, 0.0])
    assert sppo(ref + 2.0, ref - 2.0, ref, ref, beta=0.25).tolist() == pytest.approx([0.0, 0.0])
    assert (ipo(ref + 5.1, ref, ref, ref, beta=0.1) > 1e-3).all() and (ipo(ref + 4.9, ref, ref, ref) > 1e-3).all()


def test_exo_is_zero_where_the_odds_are_the_labels():
    """beta h = log((1 - e) / e), and positive elsewhere."""
    goal = math.log(0.9 / 0.1)
    losses = exo(t(goal, goal - 0.5, goal + 0.5), t(0, 0, 0), t(0, 0, 0), t(0, 0, 0), beta=1.0, label_smoothing=0.1)
    assert losses[0].item() == pytest.approx(0.0, abs=1e-12) and (losses[1:] > 1e-3).all()


def test_kto_treats_both_verdicts_alike_under_equal_weights():
    """Mirroring the log-ratio about the baseline and flipping the verdict changes nothing."""
    up, ref, good = t(1.0, -2.0, 0.3), torch.zeros(3).double(), torch.tensor([True, False, True])
    torch.testing.assert_close(kto(0.8 + up, ref, good, 0.8), kto(0.8 - up, ref, ~good, 0.8))
    torch.testing.assert_close(kto(up, ref, good, 0.8) + kto(up, ref, ~good, 0.8), torch.ones(3).double())


def test_kto_counts_a_negative_kl_as_zero_and_estimates_it_from_strangers():
    up, ref, good = t(1.0), t(0.0), torch.tensor([True])
    torch.testing.assert_close(kto(up, ref, good, -3.0), kto(up, ref, good, 0.0))
    mismatched = t(-4.0, -6.0, -1.0).requires_grad_()
    kl = kto_kl(mismatched, t(-5.0, -5.0, -4.0))
    assert kl.item() == pytest.approx((1 - 1 + 3) / 3) and not kl.requires_grad


def test_apo_zero_is_kto_on_either_completion():
    """With baseline 0 both are anchored at the reference; the sum of the two KTO losses is larger by 1."""
    w, loser, rw, rl = pairs()
    yes = torch.ones(5).bool()
    each = kto(w, rw, yes, 0.0) + kto(loser, rl, ~yes, 0.0)
    torch.testing.assert_close(apo_zero(w, loser, rw, rl) + 1, each)


def gradients(loss, chosen, rejected, beta):
    """With respect to the two log-ratios."""
    leaves = [t(chosen).requires_grad_(), t(rejected).requires_grad_()]
    loss(*leaves, t(0.0), t(0.0), beta=beta).sum().backward()
    return [leaf.grad.item() for leaf in leaves]


def test_apo_moves_the_chosen_completion_up_or_down():
    """At the reference s' = 1/4, and in apo_down's chosen completion the two terms cancel; apart they do not."""
    assert gradients(apo_zero, 0.0, 0.0, beta=0.1) == pytest.approx([-0.1 / 4, 0.1 / 4])
    assert gradients(apo_down, 0.0, 0.0, beta=0.1) == pytest.approx([0.0, 0.1 / 4])
    assert gradients(apo_down, 0.0, -10.0, beta=1.0) == pytest.approx([0.25, 0.0], abs=1e-4)


def test_a_common_shift_moves_no_margin():
    """Adding a constant to both log-ratios leaves every loss of the margin alone, and moves those with anchors."""
    w, loser, rw, rl = pairs()
    for loss in (dpo, robust_dpo, ipo, hinge, exo):
        torch.testing.assert_close(loss(w + 2, loser + 2, rw, rl), loss(w, loser, rw, rl))
    for loss in (nca, apo_zero, sppo):
        moved = loss(w + 2, loser + 2, rw, rl, beta=0.5) - loss(w, loser, rw, rl, beta=0.5)
        assert (moved.abs() > 1e-3).any()
    shifted = bco(w + 2, loser + 2, rw, rl, 0.02, beta=0.01)  # the reward shift takes it out again
    torch.testing.assert_close(shifted, bco(w, loser, rw, rl, 0.0, beta=0.01))


def test_bco_delta_is_the_middle_of_the_rewards():
    rewards = t(1.0, 3.0).requires_grad_()
    delta = bco_delta(rewards, t(-2.0, -4.0))
    assert delta.item() == pytest.approx((2 - 3) / 2) and not delta.requires_grad


# ------------------------------------------------------------------------------------------------ token weights


def test_weighted_dpo_with_weights_one_is_dpo():
    given = random_inputs(2)
    ones = {f"{kind}_weights": given[f"{kind}_mask"].double() for kind in ("chosen", "rejected")}
    torch.testing.assert_close(call(weighted_dpo, **{**given, **ones}), call(dpo, **given))


def test_weighted_dpo_on_doubled_weights_is_dpo_with_doubled_beta():
    given = random_inputs(2)
    twos = {f"{kind}_weights": 2 * given[f"{kind}_mask"].double() for kind in ("chosen", "rejected")}
    torch.testing.assert_close(call(weighted_dpo, **{**given, **twos}, beta=0.1), call(dpo, **given, beta=0.2))


def test_the_two_sides_of_weighted_dpo_may_have_different_widths():
    given = random_inputs(2)
    wide = torch.nn.functional.pad
    wider = {n: wide(x, (0, 3)) for n, x in given.items() if "rejected" in n and x.ndim == 2}
    torch.testing.assert_close(call(weighted_dpo, **{**given, **wider}), call(weighted_dpo, **given), rtol=0, atol=0)


def test_garbage_under_weight_zero_neither_shows_nor_leaks():
    given = random_inputs(4)
    clean = call(weighted_dpo, **given)
    for kind in ("chosen", "rejected"):
        outside = ~given[f"{kind}_mask"]
        assert outside.any()
        given[f"policy_{kind}_tokens"] = given[f"policy_{kind}_tokens"].masked_fill(outside, -INF).requires_grad_()
        given[f"ref_{kind}_tokens"] = given[f"ref_{kind}_tokens"].masked_fill(outside, NAN)
    loss = call(weighted_dpo, **given)
    loss.sum().backward()
    torch.testing.assert_close(loss.detach(), clean, rtol=0, atol=0)
    for kind in ("chosen", "rejected"):
        grad = given[f"policy_{kind}_tokens"].grad
        assert grad.isfinite().all() and grad[~given[f"{kind}_mask"]].abs().max() == 0.0


def test_length_desensitising_weights_by_hand():
    chosen = torch.tensor([[1, 1, 1, 1], [0, 1, 0, 0], [1, 1, 0, 0]]).bool()
    rejected = torch.tensor([[0, 1, 1, 0], [1, 1, 1, 0], [0, 0, 1, 1]]).bool()
    w, loser = ld_weights(chosen, rejected, alpha=0.25)
    assert w.tolist() == [[1, 1, 0.25, 0.25], [0, 1, 0, 0], [1, 1, 0, 0]]
    assert loser.tolist() == [[0, 1, 1, 0], [1, 0.25, 0.25, 0], [0, 0, 1, 1]]


def test_length_desensitising_with_alpha_one_is_dpo():
    given = random_inputs(5)
    w, loser = ld_weights(given["chosen_mask"], given["rejected_mask"], alpha=1.0)
    weights = {"chosen_weights": w.double(), "rejected_weights": loser.double()}
    torch.testing.assert_close(call(weighted_dpo, **{**given, **weights}), call(dpo, **given))


# ------------------------------------------------------------------------------------------------------- ranking


def test_rrhf_does_not_care_where_a_candidate_stands_or_what_stands_under_the_mask():
    given = asked_for(rrhf, random_inputs(6, rows=8))
    given["candidate_rewards"] = torch.tensor([[3.0, 1.0, 2.0, 0.0]]).repeat(8, 1).double()  # no ties
    whole, order = rrhf(**given), torch.tensor([2, 3, 1, 0])
    torch.testing.assert_close(rrhf(**{n: x[:, order] for n, x in given.items()}), whole)
    for name in ("policy_candidates", "policy_candidates_mean", "candidate_rewards"):
        given[name] = given[name].masked_fill(~given["candidate_mask"], NAN)
    torch.testing.assert_close(rrhf(**given), whole, rtol=0, atol=0)
    empty = {**given, "candidate_mask": torch.zeros(8, 4).bool()}
    assert rrhf(**empty).tolist() == [0.0] * 8


def test_rrhf_of_two_candidates_is_slic_without_margin():
    w, loser, _, _ = pairs()
    both, rewards = torch.stack([loser, w], dim=1), t(0.0, 1.0).expand(5, 2)
    wanted = slic(w, loser, margin=0.0, nll_coef=0.4)
    torch.testing.assert_close(rrhf(both, both, rewards, torch.ones(5, 2).bool(), nll_coef=0.4), wanted)


# ---------------------------------------------------------------------------------------------------- for the log


def test_preference_summary_by_hand():
    """Of four pairs two are right, one is tied and one wrong: (2 + 1/2) / 4."""
    summary = preference_summary(t(1.0, 2.0, 3.0, 0.0), t(0.0, 1.0, 3.0, 4.0))
    assert summary == {"accuracy": 0.625, "margin": -0.5, "chosen_reward": 1.5, "rejected_reward": 2.0}
    assert set(preference_summary(t(), t()).values()) == {0.0}


# -------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: dpo(t(1.0), t(1.0), t(1.0), t(1.0, 2.0)), "ref_rejected has shape"),
        (lambda: dpo(t(1.0), t(1.0), t(1.0), t(1.0), beta=0.0), "beta is 0.0, wanted above 0"),
        (lambda: dpo(t(1.0), t(1.0), t(1.0), t(1.0), label_smoothing=0.6), "label_smoothing is 0.6"),
        (lambda: robust_dpo(t(1.0), t(1.0), t(1.0), t(1.0), label_smoothing=0.5), "below 0.5"),
        (lambda: exo(t(1.0), t(1.0), t(1.0), t(1.0), label_smoothing=0.0), "strictly between"),
        (lambda: ipo(t(1.0), t(1.0), t(1.0), t(1.0), length_normalized=True), "without chosen_lengths"),
        (lambda: cpo(t(1.0), t(1.0), nll_per_token=True), "without policy_chosen_mean"),
        (lambda: bco(t(1.0), t(1.0), t(1.0), t(1.0), t(1.0)), "delta has shape"),
        (lambda: kto(t(1.0), t(1.0), torch.tensor([True]), t(1.0)), "kl has shape"),
        (lambda: weighted_dpo(*[torch.ones(2, 2)] * 5, torch.ones(2)), "rejected_weights has shape"),
        (lambda: weighted_dpo(*[torch.ones(2, 2), torch.ones(3, 2)] * 3), "rejected has shape"),
        (lambda: ld_weights(torch.ones(2, 2).bool(), torch.ones(3, 2).bool()), "rejected_mask_rows has shape"),
        (lambda: rrhf(*[torch.ones(2, 2)] * 3, torch.ones(2).bool()), "candidate_mask has shape"),
    ],
)
def test_refusals(attempt, message):
    with pytest.raises(ValueError, match=message):
        attempt()


def test_a_verdict_is_a_bool():
    with pytest.raises(TypeError, match=r"desirable\.bool\(\)"):
        kto(t(1.0), t(1.0), t(1.0), 0.0)


# ------------------------------------------------------------------------------------------------------- the table


def test_the_table_says_what_the_signatures_ask_for():
    required_forms = {"sum": {""}, "mean": {"_mean"}, "both": {"", "_mean"}, "tokens": {"_tokens"}}
    for name, row in PREFERENCE_LOSSES.items():
        assert row.name == name and row.loss.__name__ == name and row.paper.startswith("arXiv:")
        parameters = inspect.signature(row.loss).parameters
        needed = {n for n, p in parameters.items() if p.default is p.empty}
        logprobs = {n for n in needed if n.startswith(("policy", "ref"))}
        assert needed - logprobs == set(row.extra)
        assert any(n.startswith("ref") for n in logprobs) == row.reference
        assert {n[n.rindex("_") :] if n.endswith(("_mean", "_tokens")) else "" for n in logprobs} == (
            required_forms[row.form]
        )
        kinds = {"pairs": {"chosen", "rejected"}, "unpaired": {"policy", "ref"}, "ranking": {"candidates"}}
        assert all(any(kind in n for kind in kinds[row.data]) for n in logprobs)


def test_every_row_is_held_to_a_slow_reference():
    """There it is called as the loop calls it, by name with all there is, so one loop can serve every row."""
    assert {function for function, _, _ in CASES.values()} == {row.loss for row in PREFERENCE_LOSSES.values()}
