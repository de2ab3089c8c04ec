"""Losses on preferences, one value per pair `(B,)`, to be minimised. They never reduce.

Log-probs of completions are *sums* over the completion's tokens `(B,)` unless the argument's name says otherwise:
`..._mean` is the mean over those tokens, `..._tokens` is `(B, T)`. Arguments are named so that a loop can offer all it
has and each function takes what it asks for (`presets.call`): `policy_chosen`, `ref_rejected`, `policy_chosen_mean`,
`chosen_lengths`, ... The gradient flows through the policy's log-probs only. Every function raises ValueError where
shapes differ or a hyper-parameter is out of its range.

Below, u_w and u_l are the log-ratios log pi(y) - log pi_ref(y) of the chosen ("winning") and the rejected ("losing")
completion, h = u_w - u_l, and s(x) = 1 / (1 + exp(-x)). `preference_presets` is the table of these losses.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from verigrad.algorithms.shapes import check_shapes, masked

__all__ = [
    "apo_down",
    "apo_zero",
    "bco",
    "bco_delta",
    "cpo",
    "dpo",
    "dpo_norm",
    "exo",
    "hinge",
    "implicit_rewards",
    "ipo",
    "kto",
    "kto_kl",
    "ld_weights",
    "nca",
    "orpo",
    "preference_summary",
    "robust_dpo",
    "rpo",
    "rrhf",
    "simpo",
    "slic",
    "sppo",
    "weighted_dpo",
]


# ------------------------------------------------------------------------------------- the margin in a sigmoid


def dpo(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    ref_chosen: Tensor,
    ref_rejected: Tensor,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.0,
) -> Tensor:
    """loss = -(1 - e) log s(beta h) - e log s(-beta h), e = label_smoothing.

    Rafailov et al. 2023, "Direct Preference Optimization", arXiv:2305.18290, eq. 7 (e = 0). With e > 0, the share of
    pairs assumed to be labelled the wrong way round, it is conservative DPO: Mitchell 2023, "A note on DPO with noisy
    preferences & relationship to IPO".

    Args:
        policy_chosen: (B,) summed log-probs of the chosen completions; carries the gradient.
        policy_rejected: (B,) of the rejected ones; carries the gradient.
        ref_chosen: (B,) under the reference; no gradient.
        ref_rejected: (B,) under the reference; no gradient.
        beta: how dear it is to leave the reference; small is cheap. Above 0.
        label_smoothing: 0 to 0.5.

    Returns:
        (B,).

    >>> zero = torch.zeros(1)
    >>> dpo(zero, zero, zero, zero), dpo(zero + 10, zero, zero, zero)
    (tensor([0.6931]), tensor([0.3133]))
    """
    margin = _margin(policy_chosen, policy_rejected, ref_chosen, ref_rejected)
    return _log_loss(_positive(beta, "beta") * margin, label_smoothing)


def dpo_norm(
    policy_chosen_mean: Tensor,
    policy_rejected_mean: Tensor,
    ref_chosen_mean: Tensor,
    ref_rejected_mean: Tensor,
    *,
    beta: float = 5.0,
    label_smoothing: float = 0.0,
) -> Tensor:
    """`dpo` on mean log-probs per token, so that length alone earns nothing.

    Lambert et al. 2024, "Tulu 3", arXiv:2411.15124 (length-normalized DPO), whence beta = 5: a mean is smaller than a
    sum by the length. The `dpo_norm` of open-instruct and the `sigmoid_norm` of TRL.

    >>> zero = torch.zeros(1)
    >>> dpo_norm(zero + 0.2, zero, zero, zero)
    tensor([0.3133])
    """
    margin = _margin(policy_chosen_mean, policy_rejected_mean, ref_chosen_mean, ref_rejected_mean)
    return _log_loss(_positive(beta, "beta") * margin, label_smoothing)


def robust_dpo(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    ref_chosen: Tensor,
    ref_rejected: Tensor,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.1,
) -> Tensor:
    """loss = (-(1 - e) log s(beta h) + e log s(-beta h)) / (1 - 2 e), e = label_smoothing.

    Chowdhury et al. 2024, "Provably Robust DPO", arXiv:2403.00409, section 3.1. Where labels are flipped with chance e
    its expectation is that of `dpo` on clean labels. A single pair's loss is not bounded below: it falls without end
    as h grows, so watch the margin where e is set too high. Arguments as in `dpo`; e is below 0.5, and at 0 this is
    `dpo`.

    >>> zero = torch.zeros(1)
    >>> robust_dpo(zero, zero, zero, zero)
    tensor([0.6931])
    """
    margin = _positive(beta, "beta") * _margin(policy_chosen, policy_rejected, ref_chosen, ref_rejected)
    if not 0 <= label_smoothing < 0.5:
        raise ValueError(f"label_smoothing is {label_smoothing}, wanted 0 to below 0.5 (at 0.5 labels tell nothing)")
    right, wrong = -logsigmoid(margin), -logsigmoid(-margin)
    return ((1 - label_smoothing) * right - label_smoothing * wrong) / (1 - 2 * label_smoothing)


def rpo(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    ref_chosen: Tensor,
    ref_rejected: Tensor,
    policy_chosen_mean: Tensor,
    *,
    beta: float = 0.1,
    nll_coef: float = 1.0,
) -> Tensor:
    """loss = dpo - nll_coef * (mean log-prob per token of the chosen completion).

    Pang et al. 2024, "Iterative Reasoning Preference Optimization", arXiv:2404.19733, eq. 1. The paper's weight is on
    the DPO term; both weights are 1 there. The second term keeps the chosen completion likely, which DPO alone does
    not. Arguments as in `dpo`, and `policy_chosen_mean` (B,).

    >>> zero = torch.zeros(1)
    >>> rpo(zero, zero, zero, zero, zero - 0.5)
    tensor([1.1931])
    """
    check_shapes("B", policy_chosen=policy_chosen, policy_chosen_mean=policy_chosen_mean)
    return dpo(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta=beta) - nll_coef * policy_chosen_mean


def weighted_dpo(
    policy_chosen_tokens: Tensor,
    policy_rejected_tokens: Tensor,
    ref_chosen_tokens: Tensor,
    ref_rejected_tokens: Tensor,
    chosen_weights: Tensor,
    rejected_weights: Tensor,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.0,
) -> Tensor:
    """`dpo` where every token's log-ratio has a weight: u = sum_t w_t (log pi_t - log ref_t).

    The weights make the method. Twice as much on the span in which the two programs differ: Zhang et al. 2025,
    "Focused-DPO", arXiv:2502.11475. Only the edited tokens of the rejected program: Wu et al. 2025, "Target-DPO",
    arXiv:2503.02783. Only tokens that matter for security: "LPO", arXiv:2506.00419. Less on what one completion has
    beyond the other's length: `ld_weights`. A weight of 0 masks: what lies under it may be -inf or NaN.

    Args:
        policy_chosen_tokens: (B, T) log-probs; carries the gradient.
        policy_rejected_tokens: (B, U); carries the gradient.
        ref_chosen_tokens: (B, T); no gradient.
        ref_rejected_tokens: (B, U); no gradient.
        chosen_weights: (B, T), 0 outside the completion; no gradient.
        rejected_weights: (B, U), 0 outside the completion; no gradient.
        beta: as in `dpo`.
        label_smoothing: as in `dpo`.

    Returns:
        (B,).

    >>> two = torch.tensor([[0.0, 10.0]])
    >>> weighted_dpo(two, 0 * two, 0 * two, 0 * two, torch.tensor([[1.0, 2.0]]), torch.ones(1, 2))
    tensor([0.1269])
    """
    chosen = _weighted_log_ratio(policy_chosen_tokens, ref_chosen_tokens, chosen_weights, "chosen")
    rejected = _weighted_log_ratio(policy_rejected_tokens, ref_rejected_tokens, rejected_weights, "rejected")
    check_shapes("B", chosen=chosen, rejected=rejected)
    return _log_loss(_positive(beta, "beta") * (chosen - rejected), label_smoothing)


def ld_weights(chosen_mask: Tensor, rejected_mask: Tensor, *, alpha: float = 0.5) -> tuple[Tensor, Tensor]:
    """Weights for `weighted_dpo`: 1 on the first min(|y_w|, |y_l|) tokens of either completion, `alpha` on the rest.

    Liu et al. 2024, "Length Desensitization in DPO" (LD-DPO), arXiv:2409.06411.

    Args:
        chosen_mask: (B, T) bool, True on the completion's tokens.
        rejected_mask: (B, U) bool.
        alpha: 1 gives plain DPO, 0 ignores what is longer.

    Returns:
        Weights (B, T) and (B, U), float32.

    >>> ld_weights(torch.tensor([[True, True, True]]), torch.tensor([[False, True]]))
    (tensor([[1.0000, 0.5000, 0.5000]]), tensor([[0., 1.]]))
    """
    check_shapes("B T", chosen_mask=chosen_mask)
    check_shapes("B U", rejected_mask=rejected_mask)
    check_shapes("B", chosen_mask_rows=chosen_mask[:, 0], rejected_mask_rows=rejected_mask[:, 0])
    shorter = torch.minimum(chosen_mask.sum(dim=1), rejected_mask.sum(dim=1)).unsqueeze(1)

    def weights(mask: Tensor) -> Tensor:
        shared = mask.cumsum(dim=1) <= shorter
        return masked(torch.where(shared, 1.0, alpha), mask)

    return weights(chosen_mask), weights(rejected_mask)


# ------------------------------------------------------------------------------- the margin in another function


def ipo(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    ref_chosen: Tensor,
    ref_rejected: Tensor,
    chosen_lengths: Tensor | None = None,
    rejected_lengths: Tensor | None = None,
    *,
    beta: float = 0.1,
    length_normalized: bool = False,
) -> Tensor:
    """loss = (h - 1 / (2 beta))^2: the margin is to reach a value, not to grow without end.

    Azar et al. 2023, "A General Theoretical Paradigm to Understand Learning from Human Preferences", arXiv:2310.12036,
    eq. 17 (beta is the paper's tau). As printed there, and in OpenRLHF, h is a difference of sums. With
    `length_normalized` each log-ratio is divided by its length first, as TRL does after asking the authors.

    Args:
        policy_chosen: (B,) summed log-probs, as the next three; see `dpo`.
        policy_rejected: (B,).
        ref_chosen: (B,).
        ref_rejected: (B,).
        chosen_lengths: (B,) tokens of the chosen completions; used where `length_normalized`.
        rejected_lengths: (B,) of the rejected ones.
        beta: above 0.
        length_normalized: whether h is a difference of means per token.

    >>> zero, four = torch.zeros(1), torch.full((1,), 4)
    >>> ipo(zero + 4, zero, zero, zero)
    tensor([1.])
    >>> ipo(zero + 4, zero, zero, zero, four, four, length_normalized=True)
    tensor([16.])
    """
    chosen, rejected = _log_ratios(policy_chosen, policy_rejected, ref_chosen, ref_rejected)
    if length_normalized:
        if chosen_lengths is None or rejected_lengths is None:
            raise ValueError("ipo got length_normalized=True without chosen_lengths and rejected_lengths, wanted both")
        check_shapes("B", chosen=chosen, chosen_lengths=chosen_lengths, rejected_lengths=rejected_lengths)
        chosen, rejected = chosen / chosen_lengths.clamp(min=1), rejected / rejected_lengths.clamp(min=1)
    return (chosen - rejected - 1 / (2 * _positive(beta, "beta"))).square()


def hinge(
    policy_chosen: Tensor, policy_rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor, *, beta: float = 0.1
) -> Tensor:
    """loss = max(0, 1 - beta h).

    Liu et al. 2023, "Statistical Rejection Sampling Improves Preference Optimization" (RSO), arXiv:2309.06657
    ("hinge-norm", its gamma is beta here). TRL's `hinge`; not the loss of SLiC-HF, see `slic`. Arguments as in `dpo`.

    >>> zero = torch.zeros(1)
    >>> hinge(zero + 4, zero, zero, zero)
    tensor([0.6000])
    """
    margin = _margin(policy_chosen, policy_rejected, ref_chosen, ref_rejected)
    return torch.relu(1 - _positive(beta, "beta") * margin)


def exo(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    ref_chosen: Tensor,
    ref_rejected: Tensor,
    *,
    beta: float = 0.1,
    label_smoothing: float = 1e-3,
) -> Tensor:
    """loss = KL(p, q) with p = (s(beta h), s(-beta h)) and q = (1 - e, e), e = label_smoothing.

    Ji et al. 2024, "Towards Efficient Exact Optimization of Language Model Alignment", arXiv:2402.00856, eq. 16
    (EXO-pref). DPO is the KL the other way round. Arguments as in `dpo`; e lies strictly between 0 and 0.5, because at
    e = 0 the loss is infinite for every policy.

    >>> zero = torch.zeros(1)
    >>> exo(zero, zero, zero, zero, label_smoothing=0.25)
    tensor([0.1438])
    """
    margin = _positive(beta, "beta") * _margin(policy_chosen, policy_rejected, ref_chosen, ref_rejected)
    if not 0 < label_smoothing < 0.5:
        raise ValueError(f"label_smoothing is {label_smoothing}, wanted strictly between 0 and 0.5 (0.001 is usual)")
    right: Tensor = margin.sigmoid() * (logsigmoid(margin) - math.log1p(-label_smoothing))
    wrong: Tensor = (-margin).sigmoid() * (logsigmoid(-margin) - math.log(label_smoothing))
    return right + wrong


# --------------------------------------------------------------------- each completion against an anchor of its own


def kto(
    policy: Tensor,
    ref: Tensor,
    desirable: Tensor,
    kl: Tensor | float,
    *,
    beta: float = 0.1,
    desirable_weight: float = 1.0,
    undesirable_weight: float = 1.0,
) -> Tensor:
    """loss = w_D s(beta (z - u)) for a desirable completion, w_U s(beta (u - z)) for another; z = max(0, kl).

    Ethayarajh et al. 2024, "KTO: Model Alignment as Prospect Theoretic Optimization", arXiv:2402.01306. No pairs: each
    completion has its own verdict. z stands for the KL between policy and reference; see `kto_kl`. Where one kind is
    rarer, weight it up until w_D n_D is about w_U n_U.

    Args:
        policy: (B,) summed log-probs of the completions; carries the gradient.
        ref: (B,) under the reference; no gradient.
        desirable: (B,) bool, whether the completion is good (passed its tests, say).
        kl: one number or a tensor of shape (); no gradient. Negative values count as 0.
        beta: above 0.
        desirable_weight: w_D.
        undesirable_weight: w_U.

    Returns:
        (B,) in [0, max(w_D, w_U)].

    Raises:
        TypeError: `desirable` is not bool.

    >>> kto(torch.tensor([5.0, 5.0]), torch.zeros(2), torch.tensor([True, False]), 5.0, undesirable_weight=2.0)
    tensor([0.5000, 1.0000])
    """
    check_shapes("B", policy=policy, ref=ref, desirable=desirable)
    if desirable.dtype != torch.bool:
        raise TypeError(f"desirable has dtype {desirable.dtype}, wanted torch.bool (use desirable.bool())")
    gain = _positive(beta, "beta") * (policy - ref.detach() - _scalar(kl, "kl", policy).clamp(min=0))
    return torch.where(desirable, desirable_weight * (-gain).sigmoid(), undesirable_weight * gain.sigmoid())


def kto_kl(policy_mismatched: Tensor, ref_mismatched: Tensor) -> Tensor:
    """The mean log-ratio of completions that belong to other prompts: the paper's estimate of `kl` in `kto`.

    Ethayarajh et al. 2024, arXiv:2402.01306: pair every prompt with the completion of another one in the
    batch. Average over micro-batches and ranks before use; `kto` clamps at 0 after that.

    Args:
        policy_mismatched: (M,) summed log-probs.
        ref_mismatched: (M,).

    Returns:
        (), no gradient.

    >>> kto_kl(torch.tensor([-3.0, -5.0]), torch.tensor([-4.0, -4.5]))
    tensor(0.2500)
    """
    check_shapes("M", policy_mismatched=policy_mismatched, ref_mismatched=ref_mismatched)
    return (policy_mismatched - ref_mismatched).detach().mean()


def bco(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    ref_chosen: Tensor,
    ref_rejected: Tensor,
    delta: Tensor | float,
    *,
    beta: float = 0.01,
) -> Tensor:
    """loss = -log s(beta u_w - delta) - log s(delta - beta u_l): a classifier of good and bad completions.

    Jung et al. 2024, "Binary Classifier Optimization", arXiv:2404.04656, section 4, with reward shift `delta`, a
    running mean of `bco_delta`; delta = 0 is TRL's `bco_pair`. The paper's density-ratio weights for data whose good
    and bad prompts differ are left out: in pairs they do not.

    Args:
        policy_chosen: (B,) summed log-probs, as the next three; see `dpo`.
        policy_rejected: (B,).
        ref_chosen: (B,).
        ref_rejected: (B,).
        delta: one number or a tensor of shape (); no gradient.
        beta: above 0.

    >>> zero = torch.zeros(1)
    >>> bco(zero, zero, zero, zero, 0.0)
    tensor([1.3863])
    """
    chosen, rejected = _rewards(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta)
    shift = _scalar(delta, "delta", policy_chosen)
    return -logsigmoid(chosen - shift) - logsigmoid(shift - rejected)


def bco_delta(chosen_rewards: Tensor, rejected_rewards: Tensor) -> Tensor:
    """This batch's (mean chosen + mean rejected) / 2 of `implicit_rewards`; `bco` takes a running mean of it.

    Jung et al. 2024, arXiv:2404.04656, section 4.

    Args:
        chosen_rewards: (B,).
        rejected_rewards: (B,).

    Returns:
        (), no gradient.

    >>> bco_delta(torch.tensor([1.0, 2.0]), torch.tensor([-1.0, 0.0]))
    tensor(0.5000)
    """
    check_shapes("B", chosen_rewards=chosen_rewards, rejected_rewards=rejected_rewards)
    return (chosen_rewards.detach().mean() + rejected_rewards.detach().mean()) / 2


def nca(
    policy_chosen: Tensor, policy_rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor, *, beta: float = 0.01
) -> Tensor:
    """loss = -log s(r_w) - log s(-r_w) / 2 - log s(-r_l) / 2 with r = beta u.

    Chen et al. 2024, "Noise Contrastive Alignment of Language Models with Explicit Rewards", arXiv:2402.05369, for
    pairs (K = 2, all reward on the chosen one). It holds the chosen completion's likelihood up: r_w is best at log 2
    instead of growing without end. Arguments as in `dpo`.

    >>> zero = torch.zeros(1)
    >>> nca(zero, zero, zero, zero)
    tensor([1.3863])
    """
    chosen, rejected = _rewards(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta)
    return -logsigmoid(chosen) - 0.5 * logsigmoid(-chosen) - 0.5 * logsigmoid(-rejected)


def apo_zero(
    policy_chosen: Tensor, policy_rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor, *, beta: float = 0.1
) -> Tensor:
    """loss = -s(beta u_w) + s(beta u_l): chosen up, rejected down.

    D'Oosterlinck et al. 2024, "Anchored Preference Optimization", arXiv:2408.06266, eq. 7, for pairs whose chosen
    completion is better than what the model writes. TRL adds 1, which changes no gradient. Arguments as in `dpo`.

    >>> zero = torch.zeros(1)
    >>> apo_zero(zero, zero, zero, zero)
    tensor([0.])
    """
    chosen, rejected = _rewards(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta)
    return rejected.sigmoid() - chosen.sigmoid()


def apo_down(
    policy_chosen: Tensor, policy_rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor, *, beta: float = 0.1
) -> Tensor:
    """loss = s(beta u_w) - s(beta h): both down, the rejected one further.

    D'Oosterlinck et al. 2024, "Anchored Preference Optimization", arXiv:2408.06266, eq. 8, for pairs whose chosen
    completion is worse than what the model writes. TRL adds 1, which changes no gradient. Arguments as in `dpo`.

    >>> zero = torch.zeros(1)
    >>> apo_down(zero, zero, zero, zero)
    tensor([0.])
    """
    chosen, rejected = _rewards(policy_chosen, policy_rejected, ref_chosen, ref_rejected, beta)
    return chosen.sigmoid() - (chosen - rejected).sigmoid()


def sppo(
    policy_chosen: Tensor, policy_rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor, *, beta: float = 1e-3
) -> Tensor:
    """loss = (u_w - 1 / (2 beta))^2 + (u_l + 1 / (2 beta))^2.

    Wu et al. 2024, "Self-Play Preference Optimization", arXiv:2405.00675, eq. 4.7 with win probabilities 1 and 0
    (hard); beta is the paper's 1 / eta, with eta = 1000. The reference is the policy of the previous round. Arguments
    as in `dpo`.

    >>> zero = torch.zeros(1)
    >>> sppo(zero, zero, zero, zero, beta=0.25)
    tensor([8.])
    """
    chosen, rejected = _log_ratios(policy_chosen, policy_rejected, ref_chosen, ref_rejected)
    goal = 1 / (2 * _positive(beta, "beta"))
    return (chosen - goal).square() + (rejected + goal).square()


# ------------------------------------------------------------------------------------------ without a reference


def slic(policy_chosen: Tensor, policy_rejected: Tensor, *, margin: float = 1.0, nll_coef: float = 1.0) -> Tensor:
    """loss = max(0, margin - log pi(y_w) + log pi(y_l)) - nll_coef log pi(y_w).

    Zhao et al. 2023, "SLiC-HF", arXiv:2305.10425. The paper's second term is on a target of the supervised data;
    here that is the chosen completion. Both numbers are tuned in the paper; the defaults are ours. TRL's hinge loss
    is `hinge`. Arguments as in `dpo`.

    >>> slic(torch.tensor([-1.0]), torch.tensor([-1.5]), nll_coef=0.5)
    tensor([1.])
    """
    check_shapes("B", policy_chosen=policy_chosen, policy_rejected=policy_rejected)
    return (margin - policy_chosen + policy_rejected).clamp(min=0) - nll_coef * policy_chosen


def orpo(policy_chosen_mean: Tensor, policy_rejected_mean: Tensor, *, odds_coef: float = 0.1) -> Tensor:
    """loss = -log P_w - odds_coef log s(log odds_w - log odds_l), odds = P / (1 - P), P = exp(mean log-prob).

    Hong et al. 2024, "ORPO: Monolithic Preference Optimization without Reference Model", arXiv:2403.07691, eq. 6 and 7.
    The first term is the supervised loss on the chosen completion. A completion the model is certain of has infinite
    odds; P is held one rounding step below 1.

    Args:
        policy_chosen_mean: (B,) mean log-probs per token; carries the gradient.
        policy_rejected_mean: (B,); carries the gradient.
        odds_coef: the paper's lambda, which TRL calls beta.

    Returns:
        (B,).

    >>> orpo(torch.tensor([0.5]).log(), torch.tensor([0.25]).log(), odds_coef=1.0)  # log 2 - log s(log 3)
    tensor([0.9808])
    """
    check_shapes("B", policy_chosen_mean=policy_chosen_mean, policy_rejected_mean=policy_rejected_mean)
    log_odds_ratio = _log_odds(policy_chosen_mean) - _log_odds(policy_rejected_mean)
    return -policy_chosen_mean - odds_coef * logsigmoid(log_odds_ratio)


def simpo(
    policy_chosen_mean: Tensor,
    policy_rejected_mean: Tensor,
    *,
    beta: float = 2.0,
    gamma: float = 1.0,
    gamma_ratio: float | None = None,
) -> Tensor:
    """loss = -log s(beta (mean log pi(y_w) - mean log pi(y_l)) - gamma).

    Meng et al. 2024, "SimPO: Simple Preference Optimization with a Reference-Free Reward", arXiv:2405.14734, eq. 6; the
    defaults are the paper's for Llama-3-Base.

    Args:
        policy_chosen_mean: (B,) mean log-probs per token; carries the gradient.
        policy_rejected_mean: (B,); carries the gradient.
        beta: above 0.
        gamma: the margin to be reached.
        gamma_ratio: gamma / beta, as the authors' recipes give it; where not None it replaces `gamma`.

    Returns:
        (B,).

    >>> simpo(torch.tensor([-0.5]), torch.tensor([-1.0]))
    tensor([0.6931])
    """
    check_shapes("B", policy_chosen_mean=policy_chosen_mean, policy_rejected_mean=policy_rejected_mean)
    goal = gamma if gamma_ratio is None else gamma_ratio * beta
    return -logsigmoid(_positive(beta, "beta") * (policy_chosen_mean - policy_rejected_mean) - goal)


def cpo(
    policy_chosen: Tensor,
    policy_rejected: Tensor,
    policy_chosen_mean: Tensor | None = None,
    *,
    beta: float = 0.1,
    nll_coef: float = 1.0,
    nll_per_token: bool = False,
) -> Tensor:
    """loss = -log s(beta (log pi(y_w) - log pi(y_l))) - nll_coef log pi(y_w).

    Xu et al. 2024, "Contrastive Preference Optimization", arXiv:2401.08417, eq. 3: DPO against a uniform reference,
    and a behaviour-cloning term. The paper writes that term with the completion's log-prob; the authors' code and TRL
    take the mean per token, as here with `nll_per_token`.

    Args:
        policy_chosen: (B,) summed log-probs; carries the gradient.
        policy_rejected: (B,); carries the gradient.
        policy_chosen_mean: (B,) means per token; used where `nll_per_token`.
        beta: above 0.
        nll_coef: weight of the behaviour-cloning term.
        nll_per_token: whether that term is a mean.

    Returns:
        (B,).

    >>> cpo(torch.tensor([-3.0]), torch.tensor([-3.0])), cpo(torch.tensor([-3.0]), torch.tensor([-3.0]), nll_coef=0.0)
    (tensor([3.6931]), tensor([0.6931]))
    """
    check_shapes("B", policy_chosen=policy_chosen, policy_rejected=policy_rejected)
    cloned = policy_chosen
    if nll_per_token:
        if policy_chosen_mean is None:
            raise ValueError("cpo got nll_per_token=True without policy_chosen_mean, wanted both")
        check_shapes("B", policy_chosen=policy_chosen, policy_chosen_mean=policy_chosen_mean)
        cloned = policy_chosen_mean
    return -logsigmoid(_positive(beta, "beta") * (policy_chosen - policy_rejected)) - nll_coef * cloned


def rrhf(
    policy_candidates_mean: Tensor,
    policy_candidates: Tensor,
    candidate_rewards: Tensor,
    candidate_mask: Tensor,
    *,
    nll_coef: float = 1.0,
    nll_per_token: bool = False,
) -> Tensor:
    """loss = sum over i, j with r_i < r_j of max(0, p_i - p_j)  -  nll_coef log pi(y_best), p = mean log-prob.

    Yuan et al. 2023, "RRHF: Rank Responses to Align Language Models with Human Feedback without tears",
    arXiv:2304.05302, eq. 1 to 4. Candidates of equal reward are not compared; of several best the first is learned.

    Args:
        policy_candidates_mean: (B, K) mean log-probs per token of each prompt's candidates; carries the gradient.
        policy_candidates: (B, K) summed log-probs; carries the gradient.
        candidate_rewards: (B, K); no gradient.
        candidate_mask: (B, K) bool, True where there is a candidate. A prompt without any has loss 0.
        nll_coef: weight of the supervised term on the best candidate.
        nll_per_token: whether that term is a mean per token; the paper writes a sum.

    Returns:
        (B,), one value per prompt.

    >>> mean = torch.tensor([[-1.0, -0.5, -2.0]])
    >>> rrhf(mean, 4 * mean, torch.tensor([[1.0, 0.0, 0.5]]), torch.ones(1, 3).bool())  # 0.5 + 1.5 + 4 - ...
    tensor([6.])
    """
    check_shapes(
        "B K",
        policy_candidates_mean=policy_candidates_mean,
        policy_candidates=policy_candidates,
        candidate_rewards=candidate_rewards,
        candidate_mask=candidate_mask,
    )
    means, sums = masked(policy_candidates_mean, candidate_mask), masked(policy_candidates, candidate_mask)
    rewards = masked(candidate_rewards, candidate_mask)
    both = candidate_mask.unsqueeze(2) & candidate_mask.unsqueeze(1)
    worse = both & (rewards.unsqueeze(2) < rewards.unsqueeze(1))
    misranked = masked((means.unsqueeze(2) - means.unsqueeze(1)).clamp(min=0), worse).sum(dim=(1, 2))
    best = rewards.masked_fill(~candidate_mask, -torch.inf).argmax(dim=1, keepdim=True)
    cloned = (means if nll_per_token else sums).gather(1, best).squeeze(1)
    return misranked - nll_coef * cloned


# ---------------------------------------------------------------------------------------------------- for the log


def implicit_rewards(policy: Tensor, ref: Tensor, *, beta: float = 0.1) -> Tensor:
    """r = beta (log pi(y) - log pi_ref(y)), the reward a DPO-trained policy stands for, up to a constant per prompt.

    Rafailov et al. 2023, "Direct Preference Optimization", arXiv:2305.18290, eq. 5.

    Args:
        policy: (B,) summed log-probs.
        ref: (B,); no gradient.
        beta: as given to the loss.

    Returns:
        (B,).

    >>> implicit_rewards(torch.tensor([-1.0]), torch.tensor([-6.0]))
    tensor([0.5000])
    """
    check_shapes("B", policy=policy, ref=ref)
    return _positive(beta, "beta") * (policy - ref.detach())


def preference_summary(chosen_rewards: Tensor, rejected_rewards: Tensor) -> dict[str, float]:
    """How well rewards (implicit ones, or a reward model's) order the pairs, as plain floats for the log.

    `accuracy` is the share of pairs whose chosen completion has the higher reward, a tie counting half, so that an
    untrained policy starts at 0.5; `margin`, `chosen_reward` and `rejected_reward` are means.

    Args:
        chosen_rewards: (B,).
        rejected_rewards: (B,).

    >>> preference_summary(torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.0]))
    {'accuracy': 0.75, 'margin': 0.25, 'chosen_reward': 0.5, 'rejected_reward': 0.25}
    """
    check_shapes("B", chosen_rewards=chosen_rewards, rejected_rewards=rejected_rewards)
    chosen, rejected, pairs = chosen_rewards.detach(), rejected_rewards.detach(), max(len(chosen_rewards), 1)
    wins = (chosen > rejected).double() + 0.5 * (chosen == rejected).double()
    return {
        "accuracy": float(wins.sum() / pairs),
        "margin": float((chosen - rejected).sum() / pairs),
        "chosen_reward": float(chosen.sum() / pairs),
        "rejected_reward": float(rejected.sum() / pairs),
    }


# -------------------------------------------------------------------------------------------------------- pieces


def _log_ratios(
    policy_chosen: Tensor, policy_rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor
) -> tuple[Tensor, Tensor]:
    """u_w and u_l."""
    check_shapes(
        "B",
        policy_chosen=policy_chosen,
        policy_rejected=policy_rejected,
        ref_chosen=ref_chosen,
        ref_rejected=ref_rejected,
    )
    return policy_chosen - ref_chosen.detach(), policy_rejected - ref_rejected.detach()


def _margin(policy_chosen: Tensor, policy_rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor) -> Tensor:
    """h."""
    chosen, rejected = _log_ratios(policy_chosen, policy_rejected, ref_chosen, ref_rejected)
    return chosen - rejected


def _rewards(
    policy_chosen: Tensor, policy_rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor, beta: float
) -> tuple[Tensor, Tensor]:
    """beta u_w and beta u_l."""
    chosen, rejected = _log_ratios(policy_chosen, policy_rejected, ref_chosen, ref_rejected)
    return _positive(beta, "beta") * chosen, beta * rejected


def _weighted_log_ratio(policy: Tensor, ref: Tensor, weights: Tensor, which: str) -> Tensor:
    check_shapes("B T", **{f"policy_{which}_tokens": policy, f"ref_{which}_tokens": ref, f"{which}_weights": weights})
    weights = weights.detach()
    return (masked(policy - ref.detach(), weights != 0) * weights).sum(dim=1)


def _log_loss(logits: Tensor, label_smoothing: float) -> Tensor:
    if not 0 <= label_smoothing <= 0.5:
        raise ValueError(f"label_smoothing is {label_smoothing}, wanted 0 to 0.5, the share of labels that are wrong")
    right = -logsigmoid(logits)
    if label_smoothing == 0:
        return right
    return (1 - label_smoothing) * right - label_smoothing * logsigmoid(-logits)


def _log_odds(logprobs: Tensor) -> Tensor:
    """log(P / (1 - P)) of P = exp(logprobs), exact where P is close to 0 and where it is close to 1."""
    x = logprobs.clamp(max=-torch.finfo(logprobs.dtype).eps)
    # Of the two forms of log(1 - P) each loses digits where the other is taken; both stay finite for such x.
    return x - torch.where(x > -math.log(2), torch.log(-torch.expm1(x)), torch.log1p(-torch.exp(x)))


def _positive(value: float, name: str) -> float:
    if not value > 0:
        raise ValueError(f"{name} is {value}, wanted above 0")
    return value


def _scalar(value: Tensor | float, name: str, like: Tensor) -> Tensor:
    """A detached tensor of shape (); anything longer would broadcast against the rows unseen."""
    scalar = torch.as_tensor(value, dtype=like.dtype, device=like.device).detach()
    if scalar.ndim:
        raise ValueError(f"{name} has shape {tuple(scalar.shape)}, wanted one number for the whole batch")
    return scalar
