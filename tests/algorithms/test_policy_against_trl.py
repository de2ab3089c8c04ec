"""Our policy objectives, advantages and importance weights, and those of TRL's GRPO and RLOO trainers, are the same.

The trainers are made without their `__init__`; in place of a model and a sampler they get tables of log-probs. TRL
leaves ratio, advantage and reduction in one method, so whole losses and their gradients are compared. It has no PPO and
no BCO trainer any more; BCO's loss is compared in `test_against_trl.py`.
"""

from collections import defaultdict
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from trl_classes import trl_class

from verigrad.algorithms import advantages as adv
from verigrad.algorithms.objectives import cispo, ppo_clip, reinforce, sapo
from verigrad.algorithms.penalties import kl_k1, kl_k3, masked_importance, opsm, truncated_importance
from verigrad.algorithms.presets import call
from verigrad.algorithms.reductions import fixed_length, sequence_mean, sequence_sum, token_mean
from verigrad.algorithms.sequence_objectives import gspo

ROLLOUTS, TOKENS, GROUP = 8, 6, 4
INDEX, GROUPS = torch.arange(ROLLOUTS), torch.arange(ROLLOUTS) // GROUP
ACCELERATOR = SimpleNamespace(
    device=torch.device("cpu"),
    num_processes=1,
    process_index=0,
    gather=lambda x: x,
    gather_for_metrics=lambda x: x,
    reduce=lambda x, reduction: x,
)


def trainer(kind, logprobs=None, *, args=(), **attributes):
    """A TRL trainer with its defaults for what its methods read; it finds the log-probs at hand, whatever the model."""
    made = object.__new__(trl_class(kind))
    given = {
        "delta": None,
        "use_bias_correction_kl": False,
        "sapo_temperature_pos": 1.0,
        "sapo_temperature_neg": 1.05,
        "steps_per_generation": 1,
        "gradient_accumulation_steps": 1,
        "gradient_checkpointing_kwargs": None,
        "per_device_train_batch_size": ROLLOUTS,
    }
    made.__dict__.update(
        model=SimpleNamespace(training=True, is_gradient_checkpointing=False),
        accelerator=ACCELERATOR,
        args=SimpleNamespace(**{**given, **dict(args)}),
        epsilon_low=0.2,
        epsilon_high=0.2,
        beta=0.0,
        loss_type="dapo",
        importance_sampling_level="token",
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        use_vllm=False,
        vllm_importance_sampling_correction=True,
        vllm_importance_sampling_clip_min=None,
        current_gradient_accumulation_steps=1,
        num_iterations=1,
        num_generations=GROUP,
        max_completion_length=TOKENS + 3,
        aux_loss_enabled=False,
        mask_truncated_completions=False,
        log_multimodal=False,
        pad_to_multiple_of=None,
        environment_factories=None,
        environments=None,
        tools=[],
        reward_clip_range=None,
        normalize_advantages=False,
        multi_objective_aggregation="sum_then_normalize",
        scale_rewards="group",
        reward_funcs=[],
        reward_func_names=[],
        _entropy_bonus_enabled=False,
        _tokenizer=SimpleNamespace(pad_token_id=0),
        _metrics={"train": defaultdict(list)},
        _logs=defaultdict(list, rewards=defaultdict(list), extra=defaultdict(list)),
        _pending_extra_logs={},
        _pending_metrics={},
        _get_per_token_logps_and_entropies=lambda *_, **__: (logprobs, torch.zeros(ROLLOUTS, TOKENS), None),
    )
    made.__dict__.update(attributes)
    return made


def step(seed):
    """A step's tensors by the loop's names: ratios from about 0.6 to 1.6, ragged masks, advantages of either sign."""
    rng = torch.Generator().manual_seed(seed)
    draw = partial(torch.rand, ROLLOUTS, TOKENS, generator=rng, dtype=torch.float64)
    lengths = torch.randint(1, TOKENS + 1, (ROLLOUTS, 1), generator=rng)
    old = -0.6 - 2 * draw()
    return {
        "logprobs": (old + draw() - 0.5).requires_grad_(),
        "old_logprobs": old,
        "sampler_logprobs": old + draw() - 0.5,
        "ref_logprobs": old + draw() - 0.5,
        "mask": torch.arange(TOKENS) < lengths,
        "advantages": torch.randn(ROLLOUTS, generator=rng, dtype=torch.float64),
        "rollout_index": INDEX,
        "group_ids": GROUPS,
    }


def trl_inputs(known, **more):
    mask = known["mask"].long()
    one = torch.ones(ROLLOUTS, 1).long()
    return {
        "prompt_ids": one,
        "prompt_mask": one,
        "completion_ids": torch.ones_like(mask),
        "completion_mask": mask,
        "advantages": known["advantages"],
        "old_per_token_logps": known["old_logprobs"],
        "ref_per_token_logps": known["ref_logprobs"],
        "sampling_per_token_logps": known["sampler_logprobs"],
        "num_items_in_batch": mask.sum().float(),
        **more,
    }


def ours(known, objective, reduction, *factors, kl=None):
    """The loss as the loop puts it together: per token, weighted; the KL is added after the factors."""
    per_token = call(objective, **known)
    for factor in factors:
        per_token = per_token * call(factor, **known)
    if kl is not None:
        per_token = per_token + 0.04 * kl(known)
    return (per_token * call(reduction, **known)).sum()


def assert_same(found, wanted, known):
    torch.testing.assert_close(found.double(), wanted.double(), rtol=1e-6, atol=1e-7)
    gradients = [torch.autograd.grad(loss, known["logprobs"])[0] for loss in (found, wanted)]
    assert gradients[0].abs().max() > 1e-3
    torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-7)


def k3(known, **options):
    return kl_k3(known["logprobs"], known["ref_logprobs"], known["mask"], **options)


PPO, SEQUENCE = partial(ppo_clip, clip_high=0.28), {"importance_sampling_level": "sequence", "epsilon_high": 0.28}
GSPO = partial(gspo, clip_low=0.2, clip_high=0.28)
HIGH = {"epsilon_high": 0.28}
# Our pieces; what TRL is set to.
LOSSES = {
    "grpo": ((PPO, sequence_mean), {"loss_type": "grpo", **HIGH}),
    "bnpo": ((PPO, token_mean), {"loss_type": "bnpo", **HIGH}),
    "dapo": ((PPO, token_mean), {"loss_type": "dapo", **HIGH}),
    "dr_grpo": ((PPO, partial(fixed_length, horizon=TOKENS + 3)), {"loss_type": "dr_grpo", **HIGH}),
    "cispo": ((partial(cispo, cap=1.25), token_mean), {"loss_type": "cispo", "epsilon_high": 1.25}),
    "sapo": ((sapo, sequence_mean), {"loss_type": "sapo"}),
    "gspo": ((GSPO, sequence_mean), {"loss_type": "grpo", **SEQUENCE}),
    "luspo": ((GSPO, sequence_sum), {"loss_type": "luspo", **SEQUENCE}),
    "delta is dual clip": (
        (partial(ppo_clip, dual_clip=1.3), token_mean),
        {"loss_type": "dapo", "args": {"delta": 1.3}},
    ),
    "opsm": (
        (PPO, token_mean, partial(opsm, delta=0.05)),
        {"loss_type": "dapo", "off_policy_mask_threshold": 0.05, **HIGH},
    ),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_gradients(name, seed):
    pieces, settings = LOSSES[name]
    known = step(seed)
    made = trainer("GRPOTrainer", known["logprobs"], **settings)
    assert_same(ours(known, *pieces), made._compute_loss(made.model, trl_inputs(known)), known)


@pytest.mark.parametrize("corrected", [False, True])
def test_a_kl_in_the_loss(corrected):
    """`beta` is `kl_coef` with k3; `use_bias_correction_kl` is `old_logprobs`."""
    known = step(1)
    made = trainer("GRPOTrainer", known["logprobs"], beta=0.04, args={"use_bias_correction_kl": corrected})
    kl = partial(k3, old_logprobs=known["old_logprobs"]) if corrected else k3
    found = ours(known, ppo_clip, token_mean, kl=kl)
    assert_same(found, made._compute_loss(made.model, trl_inputs(known)), known)
    plain = ours(known, ppo_clip, token_mean, kl=k3)
    assert (abs(float((plain - found).detach())) > 1e-4) == corrected


def scored(made, known, rewards):
    """What TRL makes of rollouts of these lengths and rewards (N, K)."""
    lengths = known["mask"].sum(dim=1).tolist()
    ids = [[1] * length for length in lengths]
    logps = [row[:length].tolist() for row, length in zip(known["sampler_logprobs"], lengths, strict=True)]
    texts = [""] * ROLLOUTS
    full = ([[1]] * ROLLOUTS, ids, None, texts, logps, {}, None, None)
    made.__dict__.update(
        _generate=lambda _: full if isinstance(made, trl_class("GRPOTrainer")) else ([[1]] * ROLLOUTS, ids, texts),
        _calculate_rewards=lambda *_: rewards,
        reward_weights=torch.ones(rewards.shape[1]),
        reward_funcs=[None] * rewards.shape[1],
        reward_func_names=[f"r{k}" for k in range(rewards.shape[1])],
    )
    return made._generate_and_score_completions([{"prompt": "p"}] * ROLLOUTS)


# TRL's mode -> the factor of ours.
MODES = {
    "token_truncate": partial(truncated_importance, cap=1.2),
    "token_mask": partial(masked_importance, low=0.7, high=1.2),
    "sequence_truncate": partial(truncated_importance, cap=1.2, level="sequence"),
    "sequence_mask": partial(masked_importance, low=0.7, high=1.2, level="sequence"),
}


@pytest.mark.parametrize("mode", MODES)
def test_importance_correction_of_the_sampler(mode):
    known = step(2)
    made = trainer(
        "GRPOTrainer",
        known["old_logprobs"],
        use_vllm=True,
        vllm_importance_sampling_mode=mode,
        vllm_importance_sampling_clip_max=1.2,
        vllm_importance_sampling_clip_min=0.7 if mode.endswith("mask") else None,
    )
    ratio = scored(made, known, torch.zeros(ROLLOUTS, 1))["importance_sampling_ratio"]
    weights = call(MODES[mode], **known)
    torch.testing.assert_close(weights, ratio.expand_as(weights).double() * known["mask"], rtol=1e-6, atol=1e-7)
    assert len(weights[known["mask"]].unique()) > 3 and (weights[known["mask"]].min() == 0) == mode.endswith("mask")
    made._get_per_token_logps_and_entropies = lambda *_, **__: (known["logprobs"], torch.zeros(ROLLOUTS, TOKENS), None)
    theirs = made._compute_loss(made.model, trl_inputs(known, importance_sampling_ratio=ratio))
    assert_same(ours(known, ppo_clip, token_mean, MODES[mode]), theirs, known)


# ----------------------------------------------------------------------------------------------- advantages

REWARDS = torch.tensor([[1.0, 0.0, 0.25, 0.5, 1.0, 1.0, 0.0, 3.0], [0.5, 0.0, 1.0, 1.0, 0.0, 2.0, 0.0, 0.5]]).T
MISSING = REWARDS[:, :1].index_fill(0, torch.tensor([2, 7]), torch.nan)
ADVANTAGES = {
    "group": (adv.group_normalized, {"scale_rewards": "group"}),
    "none": (adv.group_centered, {"scale_rewards": "none"}),
    "batch": (partial(adv.group_centered_batch_whitened, std_of="rewards"), {"scale_rewards": "batch"}),
}


@pytest.mark.parametrize("rewards", [REWARDS[:, :1], MISSING], ids=["all", "two missing"])
@pytest.mark.parametrize("name", ADVANTAGES)
def test_advantages_of_grpo(name, rewards):
    function, settings = ADVANTAGES[name]
    theirs = scored(trainer("GRPOTrainer", **settings), step(0), rewards)["advantages"]
    torch.testing.assert_close(function(rewards[:, 0], GROUPS), theirs, rtol=1e-5, atol=1e-6)
    assert theirs.abs().max() > 0.3


def test_several_rewards_are_gdpo():
    made = trainer("GRPOTrainer", multi_objective_aggregation="normalize_then_sum")
    theirs = scored(made, step(0), REWARDS)["advantages"]
    torch.testing.assert_close(adv.separately_normalized(REWARDS, GROUPS), theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rewards", [REWARDS[:, :1], MISSING], ids=["all", "two missing"])
def test_advantages_of_rloo_with_the_kl_in_the_reward(rewards):
    """TRL takes the whole rollout's k1 off its reward, as RLOO's paper; the loop does so token by token."""
    known = step(3)
    made = trainer("RLOOTrainer", beta=0.1, ref_model="reference")
    made._get_per_token_logps_and_entropies = lambda model, *_, **__: (
        known["ref_logprobs" if model == "reference" else "old_logprobs"],
        None,
        None,
    )
    theirs = scored(made, known, rewards)["advantages"]
    kl = kl_k1(known["old_logprobs"], known["ref_logprobs"], known["mask"]).sum(dim=1)
    found = adv.leave_one_out(rewards[:, 0] - 0.1 * kl, GROUPS)
    torch.testing.assert_close(found.double(), theirs.double(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("on_policy", [True, False])
def test_loss_of_rloo(on_policy):
    """TRL clips the ratio of the whole rollout; on policy that is REINFORCE, off policy `gspo(ratio="sum")`."""
    known = step(4)
    if on_policy:
        known["old_logprobs"] = known["logprobs"].detach()
    made = trainer("RLOOTrainer", known["logprobs"])
    old = (known["old_logprobs"] * known["mask"]).sum(dim=1)
    theirs = made._compute_loss(made.model, trl_inputs(known, old_logps=old))
    assert_same(ours(known, partial(gspo, clip_low=0.2, clip_high=0.2, ratio="sum"), sequence_mean), theirs, known)
    if on_policy:
        losses = ours(known, reinforce, sequence_sum), made._compute_loss(made.model, trl_inputs(known, old_logps=old))
        plain, theirs = (torch.autograd.grad(loss, known["logprobs"])[0] for loss in losses)
        torch.testing.assert_close(plain, theirs, rtol=1e-6, atol=1e-7)
