"""Hyper-parameters of an algorithm by name reach the pieces that have them, and nothing else."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from loops import train_metrics

from verigrad.algorithms.objectives import cispo, ppo_clip
from verigrad.algorithms.presets import CISPO, DAPO, DPPO, GRPO, PASS_AT_K, PF_PPO, PODS, PPO, PRIME, SAPO
from verigrad.algorithms.selection import max_variance
from verigrad.errors import ConfigError
from verigrad.training.config import CostConfig, CriticConfig, RLConfig, SamplingConfig
from verigrad.training.options import hyper_parameters, with_options
from verigrad.training.rl import train


def test_an_option_is_the_keyword_of_its_name():
    new, old = torch.tensor([[0.5, 8.0]]).log(), torch.zeros(1, 2)
    arguments = (new, old, torch.ones(1), torch.ones(1, 2).bool())
    capped = with_options(CISPO, {"cap": 2.0}).objective(*arguments)
    assert torch.equal(capped, cispo(*arguments, cap=2.0)) and not torch.equal(capped, cispo(*arguments))
    rewards, groups = torch.tensor([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]), torch.zeros(6, dtype=torch.long)
    assert int(with_options(PODS, {"count": 2.0}).keep(rewards=rewards, group_ids=groups).sum()) == 2
    assert hyper_parameters(with_options(PASS_AT_K, {"k": 2.0}).advantage)["k"] == 2
    bare = replace(PODS, keep=max_variance)  # which has no count of its own
    assert int(with_options(bare, {"count": 2.0}).keep(rewards=rewards, group_ids=groups).sum()) == 2


@pytest.mark.parametrize(
    ("algorithm", "names"),
    [
        (SAPO, {"tau_pos", "tau_neg", "eps", "ddof"}),
        (DPPO, {"threshold"}),
        (PRIME, {"process_weight", "accuracy_low", "accuracy_high", "dual_clip"}),
        (PF_PPO, {"alpha", "critic_lambda", "whiten", "power", "dual_clip"}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_what_can_be_set(algorithm, names):
    pieces = (algorithm.advantage, algorithm.objective, algorithm.keep)
    assert {name for piece in pieces if piece for name in hyper_parameters(piece)} == names


def test_types_are_the_defaults():
    assert hyper_parameters(with_options(PPO, {"whiten": 0.0}).advantage)["whiten"] is False
    assert hyper_parameters(with_options(GRPO, {"ddof": 0.0}).advantage)["ddof"] == 0
    assert hyper_parameters(with_options(DAPO, {"dual_clip": 3.0}).objective)["dual_clip"] == 3.0
    own = with_options(DAPO, {"eps": 1e-3})  # of the advantage and of the choice of groups
    assert hyper_parameters(own.advantage)["eps"] == hyper_parameters(own.keep)["eps"] == 1e-3
    assert own.objective is DAPO.objective and isinstance(DAPO.objective, partial) and ppo_clip is DAPO.objective.func


def test_what_is_no_option_is_refused(settings):
    for options, words in (
        ({"tau": 1.0}, r"'sapo' has no option 'tau' .*it has ddof, eps, tau_neg, tau_pos"),
        ({"clip_high": 0.3}, "options.clip_high: this is the setting clip_high"),
        ({"gamma": 0.9}, "this is the setting critic.gamma"),
        ({"ddof": 0.5}, "options.ddof is 0.5; wanted a whole number"),
    ):
        with pytest.raises(ConfigError, match=words):
            train(RLConfig(**settings, algorithm="sapo", options=options))
    with pytest.raises(ConfigError, match=r"options.whiten is 2.0; wanted 1 for true or 0 for false"):
        with_options(PPO, {"whiten": 2.0})


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *(("passes", 0), ("minibatches", 0), ("tasks_per_step", 0), ("resample", -1), ("replay", -1)),
        *(("kl_coef", -0.1), ("nll_coef", -1.0), ("gold_coef", -1.0), ("error_penalty", 0.3)),
        *(("overlong", 1.5), ("overlong", -0.1), ("ewma_decay", 1.5), ("importance_cap", 0.0)),
        *(("clip_low", -0.1), ("clip_high", -0.28)),
    ],
)
def test_numbers_that_make_no_sense_are_refused(settings, setting, value):
    """No pass trains nothing, a penalty above 0 pays for errors, bounds on one side of 1 clip a ratio of 1: none of it
    would be seen in a run."""
    with pytest.raises(ConfigError, match=f"^{setting} is {value}"):
        RLConfig(**{**settings, setting: value})


def test_numbers_of_the_critic_and_of_costs_are_checked():
    for own in ({"gamma": 1.1}, {"gae_lambda": -0.5}, {"clip": -0.2}, {"warmup_steps": -1}):
        with pytest.raises(ConfigError, match=r"^critic\."):
            CriticConfig(**own)
    for multiplier in (0.0, 200.0):
        with pytest.raises(ConfigError, match=r"cost\.multiplier is"):
            CostConfig(multiplier=multiplier)


BRINGS = """
from dataclasses import replace

from verigrad.algorithms.presets import GDPO, GRPO

BRINGS = replace(GRPO, name="brings", loop={"kl_coef": 0.1, "overlong": 0.2})
IN_REWARD = replace(GDPO, name="in_reward", kl_in_reward=True)
"""


def test_settings_without_effect_are_refused(settings, workshop):
    (workshop / "own.py").write_text(BRINGS)
    for own, words in (
        ({"algorithm": f"{workshop}/own.py:BRINGS"}, "'brings' brings kl_coef in its loop, which it cannot set"),
        ({"algorithm": f"{workshop}/own.py:IN_REWARD", "kl_coef": 0.1}, "^kl_coef: changes the reward"),
        ({"algorithm": "rloo", "clip_high": 0.28}, "clip_high = 0.28: algorithm 'rloo' has nothing to read it"),
        ({"algorithm": "sapo", "clip_low": 0.2}, "clip_low = 0.2: algorithm 'sapo' has nothing to read it"),
        ({"critic": CriticConfig(gamma=0.9)}, "critic.gamma = 0.9: algorithm 'grpo' has nothing to read it"),
        ({"algorithm": "gdpo", "reward_model": settings["model"]}, "reward_model: changes .* 'gdpo' does not read"),
        ({"algorithm": "distill", "overlong": 0.5}, "overlong: changes .* 'distill' does not read"),
        ({"algorithm": "distill", "replay": 12}, "compares the teacher with the policy that sampled"),
        ({"replay": 5}, "replay = 5 keeps not even one group of group_size = 6"),
    ):
        with pytest.raises(ConfigError, match=words):
            train(RLConfig(**{**settings, **own}))


def test_options_change_a_run(settings, workshop):
    def losses(**options):
        run = f"{settings['run']}-{len(options)}"
        short = SamplingConfig(max_tokens=8)
        config = {**settings, "run": run, "algorithm": "sapo", "steps": 1, "passes": 2, "sampling": short}
        return [row["loss"] for row in train_metrics(train(RLConfig(**config, options=options)))]

    assert losses() != losses(tau_neg=3.0)
