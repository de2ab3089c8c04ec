"""Our losses and TRL's own loss methods give the same numbers and gradients, pair by pair.

TRL's trainers are made without their `__init__` and given what their loss method reads; the models are tables of
log-probs or logits. Where TRL means something else by a name, the argument that gives TRL's meaning stands here.
"""

import inspect
from collections import defaultdict
from types import SimpleNamespace

import pytest
import torch
from trl_classes import trl_class

from verigrad.algorithms.preference import (
    apo_down,
    apo_zero,
    bco,
    cpo,
    dpo,
    dpo_norm,
    exo,
    hinge,
    ipo,
    kto,
    kto_kl,
    ld_weights,
    nca,
    orpo,
    preference_summary,
    robust_dpo,
    rpo,
    simpo,
    sppo,
    weighted_dpo,
)
from verigrad.algorithms.presets import call
from verigrad.algorithms.reward_model import bradley_terry, centering

PAIRS, TOKENS, VOCABULARY = 4, 6, 5
ACCELERATOR = SimpleNamespace(
    device=torch.device("cpu"), gather=lambda x: x, gather_for_metrics=lambda x: x, unwrap_model=lambda x: x
)


class Table(torch.nn.Module):
    """A model whose answer for a row is looked up under the row's first token."""

    is_gradient_checkpointing = False

    def __init__(self, log_probs):
        super().__init__()
        self.table = log_probs

    def forward(self, input_ids, **_):
        rows = self.table[input_ids[:, 0]]
        zero = torch.zeros_like(rows)
        return SimpleNamespace(
            log_probs=rows, entropy=zero, mean_logits=zero, is_top1=zero.bool(), log_sum_sq_probs=zero
        )


class Logits(torch.nn.Module):
    def __init__(self, logits):
        super().__init__()
        self.table = logits

    def forward(self, input_ids, **_):
        return SimpleNamespace(logits=self.table)


def trainer(kind, model, **attributes):
    """One of TRL's trainers, holding only what its loss method reads."""
    made = object.__new__(trl_class(kind))
    made.__dict__.update(
        model=model,
        accelerator=ACCELERATOR,
        args=SimpleNamespace(gradient_checkpointing_kwargs=None, center_rewards_coefficient=None, discopop_tau=0.05),
        aux_loss_enabled=False,
        precompute_ref_logps=False,
        is_encoder_decoder=False,
        label_smoothing=0.0,
        _metrics={"train": defaultdict(list), "eval": defaultdict(list)},
        _total_train_tokens=0,
        _tp_size=1,
        **attributes,
    )
    return made


def log_prob_tables(seed):
    """Policy and reference (2 PAIRS, TOKENS), chosen rows first, zero outside the ragged masks."""
    rng = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, TOKENS + 1, (2 * PAIRS, 1), generator=rng)
    mask = torch.arange(TOKENS) < lengths
    ref = torch.where(mask, -2 * torch.rand(2 * PAIRS, TOKENS, generator=rng), 0.0).double()
    policy = torch.where(mask, ref - torch.rand(2 * PAIRS, TOKENS, generator=rng) + 0.4, 0.0).double()
    return policy.clamp(max=0).requires_grad_(), ref, mask


def our_inputs(policy, ref, mask):
    """What a loop would offer, by name."""
    given = {}
    for kind, rows in (("chosen", slice(None, PAIRS)), ("rejected", slice(PAIRS, None))):
        lengths = mask[rows].sum(dim=1)
        given |= {f"{kind}_lengths": lengths, f"{kind}_mask": mask[rows]}
        for who, table in (("policy", policy), ("ref", ref)):
            given |= {f"{who}_{kind}_tokens": table[rows], f"{who}_{kind}": table[rows].sum(dim=1)}
            given[f"{who}_{kind}_mean"] = table[rows].sum(dim=1) / lengths
    return given


def batch(rows, mask):
    """TRL's batch of these rows: a prompt of one token, which is the row's number, then the completion."""
    ids = torch.tensor(rows).unsqueeze(1).expand(-1, 1 + TOKENS).contiguous()
    completion = torch.nn.functional.pad(mask[rows], (1, 0)).long()
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "completion_mask": completion}


def trl_dpo(policy, ref, mask, loss_types, weights=(1.0,), beta=0.1, label_smoothing=0.0, ld_alpha=None):
    """DPOTrainer's loss of every pair, each asked for alone, because TRL returns the mean."""
    made = trainer(
        "DPOTrainer",
        Table(policy),
        ref_model=Table(ref),
        loss_types=list(loss_types),
        loss_weights=list(weights),
        beta=beta,
        ld_alpha=ld_alpha,
        f_divergence_type="reverse_kl",
        use_weighting=False,
    )
    made.label_smoothing = label_smoothing
    losses = [made._compute_loss(made.model, batch([i, PAIRS + i], mask), False) for i in range(PAIRS)]
    return torch.stack(losses), made._metrics["train"]


def assert_same(ours, theirs, leaf, mask=..., tolerance=1e-6):
    """Values agree, and gradients with respect to what the mask leaves of the leaf, every pair weighted differently."""
    torch.testing.assert_close(ours.double(), theirs.double(), rtol=tolerance, atol=tolerance)
    weights = torch.arange(1.0, len(ours) + 1, dtype=torch.float64)
    gradients = [torch.autograd.grad((loss.double() * weights).sum(), leaf)[0][mask] for loss in (ours, theirs)]
    assert gradients[0].abs().max() > 1e-6
    torch.testing.assert_close(*gradients, rtol=tolerance, atol=tolerance)


# TRL's loss type -> ours, our arguments, TRL's, and the constant by which TRL's value is larger
DPO_FAMILY = {
    "sigmoid": (dpo, {"beta": 0.3}, {"beta": 0.3}, 0.0),
    "sigmoid_norm": (dpo_norm, {"beta": 0.7}, {"beta": 0.7}, 0.0),
    "hinge": (hinge, {"beta": 0.6}, {"beta": 0.6}, 0.0),
    "ipo": (ipo, {"beta": 0.4, "length_normalized": True}, {"beta": 0.4}, 0.0),
    "exo_pair": (exo, {"label_smoothing": 0.01}, {"label_smoothing": 0.01}, 0.0),
    "nca_pair": (nca, {"beta": 0.3}, {"beta": 0.3}, 0.0),
    "robust": (robust_dpo, {"label_smoothing": 0.2}, {"label_smoothing": 0.2}, 0.0),
    "bco_pair": (bco, {"beta": 0.3, "delta": 0.0}, {"beta": 0.3}, 0.0),
    "sppo_hard": (sppo, {"beta": 0.2}, {"beta": 0.2}, 0.0),
    "apo_zero": (apo_zero, {}, {}, 1.0),
    "apo_down": (apo_down, {}, {}, 1.0),
}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("loss_type", DPO_FAMILY)
def test_dpo_family(loss_type, seed):
    ours, arguments, trl_arguments, constant = DPO_FAMILY[loss_type]
    policy, ref, mask = log_prob_tables(seed)
    theirs, _ = trl_dpo(policy, ref, mask, [loss_type], **trl_arguments)
    assert_same(call(ours, **our_inputs(policy, ref, mask), **arguments) + constant, theirs, policy, mask)


def test_sigmoid_and_sft_together_are_rpo():
    policy, ref, mask = log_prob_tables(3)
    theirs, _ = trl_dpo(policy, ref, mask, ["sigmoid", "sft"], weights=(1.0, 0.5))
    assert_same(call(rpo, **our_inputs(policy, ref, mask), nll_coef=0.5), theirs, policy, mask)


def test_ld_alpha_is_weighted_dpo():
    policy, ref, mask = log_prob_tables(4)
    theirs, _ = trl_dpo(policy, ref, mask, ["sigmoid"], ld_alpha=0.3)
    given = our_inputs(policy, ref, mask)
    chosen, rejected = ld_weights(given["chosen_mask"], given["rejected_mask"], alpha=0.3)
    ours = call(weighted_dpo, **given, chosen_weights=chosen.double(), rejected_weights=rejected.double())
    assert_same(ours, theirs, policy, mask)
    assert ((ours - call(dpo, **given)).abs() > 1e-4).any()


def test_trl_smooths_no_labels_in_sigmoid():
    """`label_smoothing` with loss type `sigmoid` does nothing in TRL's DPOTrainer; conservative DPO is ours alone."""
    policy, ref, mask = log_prob_tables(5)
    theirs, _ = trl_dpo(policy, ref, mask, ["sigmoid"], label_smoothing=0.3)
    given = our_inputs(policy, ref, mask)
    assert_same(call(dpo, **given), theirs, policy, mask)
    assert ((call(dpo, **given, label_smoothing=0.3) - theirs).abs() > 1e-3).any()


def test_reward_metrics():
    policy, ref, mask = log_prob_tables(6)
    _, metrics = trl_dpo(policy, ref, mask, ["sigmoid"])
    given = our_inputs(policy, ref, mask)
    rewards = [0.1 * (given[f"policy_{kind}"] - given[f"ref_{kind}"]) for kind in ("chosen", "rejected")]
    ours = preference_summary(*rewards)
    for name, key in (("accuracy", "accuracies"), ("margin", "margins")):
        assert ours[name] == pytest.approx(sum(metrics[f"rewards/{key}"]) / PAIRS)
    _, metrics = trl_dpo(ref.clone().requires_grad_(), ref, mask, ["sigmoid"])
    assert sum(metrics["rewards/accuracies"]) == 0.0  # an untrained policy: ties are wrong in TRL, half right here
    assert preference_summary(torch.zeros(PAIRS), torch.zeros(PAIRS))["accuracy"] == 0.5


@pytest.mark.parametrize(("kl_sign", "seed"), [(1, 0), (-1, 1)])
def test_kto(kl_sign, seed):
    """Rows 0 to 3 are judged; rows 4 to 7 stand for completions of other prompts, from which TRL estimates the KL."""
    policy, ref, mask = log_prob_tables(seed)
    with torch.no_grad():
        policy[PAIRS:] = torch.where(mask[PAIRS:], ref[PAIRS:] + 0.2 * kl_sign, 0.0)
    made = trainer(
        "KTOTrainer",
        Table(policy),
        ref_model=Table(ref),
        loss_type="kto",
        beta=0.4,
        calculate_KL=True,
        desirable_weight=1.3,
        undesirable_weight=0.6,
    )
    desirable = torch.tensor([True, False, False, True])
    rows, others = list(range(PAIRS)), list(range(PAIRS, 2 * PAIRS))
    kl_inputs = {f"KL_{name}": value for name, value in batch(others, mask).items()}
    theirs = torch.stack(
        [
            made._compute_loss(made.model, {**batch([i], mask), **kl_inputs, "label": desirable[i : i + 1]}, False)
            for i in rows
        ]
    )
    sums, ref_sums = policy.sum(dim=1), ref.sum(dim=1)
    kl = kto_kl(sums[others], ref_sums[others])
    assert (kl > 0) == (kl_sign > 0)
    ours = kto(sums[rows], ref_sums[rows], desirable, kl, beta=0.4, desirable_weight=1.3, undesirable_weight=0.6)
    assert_same(ours, theirs, policy, mask)


# ------------------------------------------------------------------------------------ trainers that start from logits


def logit_pair(seed, prompt):
    """Logits (2, L, V) of a chosen and a rejected completion after the same prompt, and TRL's batch of that pair."""
    rng = torch.Generator().manual_seed(seed)
    lengths, width = (TOKENS, TOKENS - 2), prompt + TOKENS
    logits = torch.randn(2, width, VOCABULARY, generator=rng).requires_grad_()
    ids = torch.randint(VOCABULARY, (2, width), generator=rng)
    ids[1, :prompt] = ids[0, :prompt]
    inputs = {}
    for row, kind in enumerate(("chosen", "rejected")):
        stop = prompt + lengths[row]
        labels = ids[row : row + 1, :stop].clone()
        labels[:, :prompt] = -100
        inputs |= {
            f"{kind}_input_ids": ids[row : row + 1, :stop],
            f"{kind}_attention_mask": torch.ones(1, stop).long(),
            f"{kind}_labels": labels,
        }
    logprobs = logits.log_softmax(-1)[:, :-1].gather(2, ids[:, 1:, None]).squeeze(2)
    given = {}
    for row, kind in enumerate(("chosen", "rejected")):
        own = logprobs[row : row + 1, prompt - 1 : prompt - 1 + lengths[row]]
        given |= {f"policy_{kind}": own.sum(dim=1), f"policy_{kind}_mean": own.mean(dim=1)}
    prompt_and_chosen = logprobs[:1, : prompt - 1 + lengths[0]].mean(dim=1)
    return logits, inputs, given, prompt_and_chosen


CPO_FAMILY = {
    "cpo": (cpo, {"beta": 0.3, "nll_coef": 0.8, "nll_per_token": True}, {"loss_type": "sigmoid", "cpo_alpha": 0.8}),
    "simpo": (simpo, {"beta": 0.3, "gamma": 0.5}, {"loss_type": "simpo", "cpo_alpha": 0.0}),
    "simpo by ratio": (simpo, {"beta": 0.3, "gamma_ratio": 5 / 3}, {"loss_type": "simpo", "cpo_alpha": 0.0}),
}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("case", CPO_FAMILY)
def test_cpo_and_simpo(case, seed):
    """TRL adds its cloning term to SimPO as well, unless `cpo_alpha` is 0; its mean is over the batch's tokens."""
    ours, arguments, trl_arguments = CPO_FAMILY[case]
    logits, inputs, given, _ = logit_pair(seed, prompt=3)
    made = trainer("CPOTrainer", Logits(logits), beta=0.3, simpo_gamma=0.5, alpha=0.0, pad_token_id=0, **trl_arguments)
    theirs, _ = made.get_batch_loss_metrics(made.model, inputs)
    assert_same(call(ours, **given, **arguments), theirs.reshape(1), logits, tolerance=1e-5)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("prompt", [1, 3])
def test_orpo(prompt, seed):
    """TRL's supervised term takes in the prompt too; on a prompt of one token, which nothing predicts, we agree."""
    logits, inputs, given, prompt_and_chosen = logit_pair(seed, prompt)
    made = trainer("ORPOTrainer", Logits(logits), beta=0.4, padding_value=0)
    theirs, _ = made.get_batch_loss_metrics(made.model, inputs)
    ours = call(orpo, **given, odds_coef=0.4)
    swapped = ours + given["policy_chosen_mean"] - prompt_and_chosen
    assert_same(swapped, theirs.reshape(1), logits, tolerance=1e-5)
    assert (abs(ours.item() - theirs.item()) < 1e-5) == (prompt == 1)


@pytest.mark.parametrize("with_margin", [False, True])
def test_reward_trainer(with_margin):
    rng = torch.Generator().manual_seed(0)
    scores = torch.randn(2, 1, generator=rng).requires_grad_()
    made = trainer("RewardTrainer", Logits(scores))
    made.args.center_rewards_coefficient = 0.1
    inputs = {"input_ids": torch.zeros(2, 1), "attention_mask": torch.ones(2, 1)}
    margin = torch.tensor([0.7]) if with_margin else None
    theirs = made.compute_loss(
        lambda margin=None, **rest: made.model(**rest), {**inputs, **({"margin": margin} if with_margin else {})}
    )
    chosen, rejected = scores[:1, 0], scores[1:, 0]
    ours = bradley_terry(chosen, rejected, margin=margin) + 0.1 * centering(chosen, rejected)
    assert_same(ours, theirs.reshape(1), scores)


def test_trl_has_no_further_loss_type_of_ours():
    """Every loss type of DPOTrainer is compared above or named here as one we do not have."""
    source = inspect.getsource(trl_class("DPOTrainer")._compute_loss)
    types = {line.split('"')[1] for line in source.splitlines() if "if loss_type ==" in line}
    assert types - set(DPO_FAMILY) == {"aot", "aot_unpaired", "discopop", "sft"}
