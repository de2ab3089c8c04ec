"""Reinforcement learning of masked-diffusion models: the update by every estimator, the whole loop, a known optimum."""

import copy
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import torch
from loops import check_a_stopped_run_goes_on, train_metrics, train_until
from tiny import END, tiny_diffusion, tiny_tokenizer

from verigrad.algorithms.diffusion_presets import COUPLED_GRPO, DIFFUSION_PRESETS, TRACE_RL
from verigrad.algorithms.presets import GRPO, RLOO, Algorithm
from verigrad.engines.denoise_params import DenoiseParams
from verigrad.errors import ConfigError
from verigrad.models.checkpoint import save_model
from verigrad.models.scoring import token_logprobs
from verigrad.training import estimators, rl_settings
from verigrad.training.advantages import advantages_of, shape_rewards
from verigrad.training.batching import completion_lengths, make_batch
from verigrad.training.config import CriticConfig, OptimConfig, RLConfig, SamplingConfig, ScoringConfig
from verigrad.training.estimators import chosen_estimator, drawn_batch, score_kind
from verigrad.training.optim import make_optimizer
from verigrad.training.policy import update_policy
from verigrad.training.reporter import Silent
from verigrad.training.rl import train
from verigrad.training.run import Learner
from verigrad.types import Rollout, Row, Score, Tail, Turn

SHORT = SamplingConfig(max_tokens=6)
SPEED = OptimConfig(learning_rate=5e-3, warmup_steps=1)
METHODS = {**DIFFUSION_PRESETS, "grpo": GRPO, "rloo": RLOO}
ORDERS = {"left_to_right": "left_to_right", "random_order": "random"}  # of estimators that fit one alone


def denoise_for(algorithm):
    return DenoiseParams(order=ORDERS.get(algorithm.estimator, "entropy"))


def row_of(number, length):
    prompt, steps = (1, 2, 3 + number), tuple((place * 3 + number) % length for place in range(length))
    ids = (*prompt, *(50 + number + place for place in range(length)), 9, 9)
    mask = (False,) * 3 + (True,) * length + (False,) * 2
    return Row(ids, mask, (0.0,) * len(ids), (1.0,) * len(ids), {}, 3, (-1,) * 3 + steps + (-1, -1), 2)


def step_of(algorithm: Algorithm, rewards=(1.0, 0.0, 0.5, 0.0), *, seed=0, **settings):
    """A model, its config and one batch of two groups of two completions."""
    model, spec = tiny_diffusion()
    denoise = settings.pop("denoise", denoise_for(algorithm))
    config = RLConfig(dtype="float32", sampling=SHORT, denoise=denoise, optim=SPEED, tasks_per_step=2, **settings)
    config = replace(config, diffusion=chosen_estimator(config, algorithm))
    parts = [row_of(number, length) for number, length in enumerate((4, 5, 3, 4))]
    kind = score_kind(config.diffusion.estimator, config.diffusion, denoise)
    batch = drawn_batch(
        parts, range(4), [0, 0, 1, 1], rewards, spec=spec, scoring=config.diffusion, kind=kind, seed=seed
    )
    if kind == "exact":  # as an engine of these weights would have reported
        batch = replace(batch, sampler_logprobs=token_logprobs(model, batch).values)
    return model, config, batch


def updated(algorithm, model, config, batch, **known):
    """Metrics of one update on a copy of the model, and the copy."""
    model = copy.deepcopy(model)
    learner = Learner(model, make_optimizer(model, config.optim))
    advantages, _ = advantages_of(algorithm, batch, {}, config)
    reference = known.pop("reference", model)
    found = update_policy(
        learner, batch, advantages, config, algorithm, step=1, reference=reference, dtype=torch.float32, **known
    )
    return found, model


@pytest.mark.parametrize("name", METHODS)
def test_before_the_first_update_every_ratio_is_one(name):
    """The loss is minus the mean advantage, 0 when rewards are centred, and the gradient is not.

    The anchor is scored in packs of its own, so that masks drawn anew, or cut up otherwise, would show.
    """
    algorithm = METHODS[name]
    model, config, batch = step_of(algorithm)
    model.double()  # in float32, products of packs of another shape may be rounded in another way
    anchor = token_logprobs(model, batch, token_budget=1).values
    found, _ = updated(algorithm, model, config, batch, old_logprobs=anchor)
    assert found["ratio_mean"] == pytest.approx(1.0, abs=1e-6) and found["ratio_max"] == pytest.approx(1.0, abs=1e-6)
    assert found["grad_norm"] > 1e-3
    if algorithm.reduction is GRPO.reduction:  # others weigh completions by their lengths, or have no ratio
        assert found["loss"] == pytest.approx(0.0, abs=1e-6)
    assert ("sampler_drift" in found) == (algorithm.estimator in (None, "trace", *ORDERS))
    if "sampler_drift" in found:
        assert found["sampler_drift_max"] < 1e-5


@pytest.mark.parametrize(
    ("name", "passes"), [*((name, 1) for name in METHODS), ("trace_rl", 2), ("coupled_grpo", 2), ("espo", 2)]
)
def test_how_views_are_cut_into_packs_changes_nothing_but_rounding(name, passes):
    algorithm = METHODS[name]
    model, config, batch = step_of(algorithm, passes=passes)
    one, other = (updated(algorithm, model, replace(config, token_budget=budget), batch) for budget in (1, 10_000))
    # Adam divides by the gradient's own size, so what is compared is the gradient's norm and the loss.
    for key in ("loss", "grad_norm", "ratio_max", "entropy"):
        assert one[0][key] == pytest.approx(other[0][key], rel=2e-3, abs=2e-4), key


@pytest.mark.parametrize("name", METHODS)
def test_the_update_follows_the_slope_of_its_surrogate(name):
    """A step of gradient descent changes the surrogate, scored afresh, by minus the rate times the squared norm."""
    algorithm = METHODS[name]
    model, config, batch = step_of(algorithm, passes=1)
    model = model.double()
    anchor = token_logprobs(model, batch, dtype=torch.float64).values
    advantages, _ = advantages_of(algorithm, batch, {}, config)

    def run(rate):
        own = copy.deepcopy(model)
        learner = Learner(own, torch.optim.SGD(own.parameters(), lr=rate))
        still = replace(config, optim=OptimConfig(learning_rate=rate, warmup_steps=0, max_grad_norm=1e9))
        found = update_policy(
            learner, batch, advantages, still, algorithm, step=0, reference=own, dtype=torch.float64,
            old_logprobs=anchor,
        )  # fmt: skip
        return found, own

    before, moved = run(1e-5)
    after, _ = updated(algorithm, moved, config, batch, old_logprobs=anchor)
    expected = -1e-5 * before["grad_norm"] ** 2
    assert after["loss"] - before["loss"] == pytest.approx(expected, rel=0.1, abs=2e-6)


DRAWN = {
    "coupled_grpo": {},
    "espo": {},
    "spg": {},
    "diffu_grpo": {"prompt_masking": 0.5},
    "wd1": {"prompt_masking": 0.5},
}


@pytest.mark.parametrize("name", METHODS)
def test_shared_masks_cancel_in_the_ratio_and_others_do_not(name):
    """Those drawn for another seed change the scores of the methods that draw any; the states visited are no draw."""
    settings = {"diffusion": ScoringConfig(**DRAWN.get(name, {}))}
    model, _, batch = step_of(METHODS[name], **settings)
    _, _, other = step_of(METHODS[name], seed=1, **settings)
    own, same, different = (token_logprobs(model, one).values.sum(1) for one in (batch, batch, other))
    assert torch.equal(own, same)
    assert (float((own - different).abs().max()) > 0.1) == (name in DRAWN)


@pytest.mark.parametrize("name", METHODS)
def test_groups_that_are_all_alike_teach_nothing(name):
    algorithm = METHODS[name]
    found, _ = updated(algorithm, *step_of(algorithm, rewards=(1.0, 1.0, 0.0, 0.0)))
    assert found == {}


def test_the_share_of_a_penalty_to_the_reference():
    """k3 of exact scores; the reference sees the same states."""
    model, config, batch = step_of(TRACE_RL, kl_coef=0.5)
    reference, _ = tiny_diffusion(seed=1)
    for budget in (1, 10_000):
        found, _ = updated(TRACE_RL, model, replace(config, token_budget=budget), batch, reference=reference)
        gap = token_logprobs(reference, batch).values - token_logprobs(model, batch).values
        k3 = (gap.exp() - 1 - gap)[batch.mask]
        assert found["kl"] == pytest.approx(float(k3.mean()), rel=1e-4)


def test_weights_outside_the_ratio_are_factors_of_the_loss():
    """Twice the weights, twice the gradient, the same ratio."""
    scoring = ScoringConfig(weighting="outside_ratio")
    model, config, batch = step_of(COUPLED_GRPO, diffusion=scoring)
    doubled = replace(batch, loss_weights=2 * batch.loss_weights)
    one, other = (updated(COUPLED_GRPO, model, config, own)[0] for own in (batch, doubled))
    assert other["grad_norm"] == pytest.approx(2 * one["grad_norm"], rel=1e-5)
    assert other["ratio_max"] == one["ratio_max"]


def canvas_rollout(own, places, revealed_behind):
    """A completion of `own` tokens on a canvas, whose tokens behind the end were revealed first, or not at all."""
    behind = places - own
    tail_steps = tuple(range(behind)) if revealed_behind else (-1,) * behind
    turn = Turn(
        prompt_ids=(1, 2, 3),
        completion_ids=(50,) * (own - 1) + (END,),
        sampler_logprobs=(0.0,) * own,
        step_map=tuple(range(max(tail_steps, default=-1) + 1, places)[:own]),
        tail=Tail((END,) * behind, tail_steps, (0.0,) * behind),
    )
    return Rollout(task_id="t", episode_id="e", group_id="g", turns=(turn,), status="ok", score=Score(1.0))


@pytest.mark.parametrize(("estimator", "samples"), [("trace", 1), ("sandwich", 3)])
def test_the_over_long_penalty_goes_by_the_completion(estimator, samples):
    """Not by the canvas, nor by how often a completion is scored: of 64 places the last 16 cost 1/16 a token."""
    _, spec = tiny_diffusion()
    sampling = SamplingConfig(max_tokens=64)
    config = RLConfig(dtype="float32", sampling=sampling, overlong=0.25)
    groups = [[canvas_rollout(10, 64, True), canvas_rollout(10, 64, False), canvas_rollout(52, 64, True)]]
    build = partial(
        drawn_batch, spec=spec, scoring=ScoringConfig(estimator=estimator, samples=samples), kind="exact", seed=0
    )
    batch = make_batch(groups, build)
    shaped, _, _ = shape_rewards(
        batch, {"lengths": completion_lengths(groups)}, config, GRPO, model=None, reference=None, dtype=torch.float32
    )
    assert shaped.rewards.tolist() == [1.0, 1.0, 0.75]


# ------------------------------------------------------------------------------------------------ the whole loop


@pytest.fixture
def loop_settings(settings, workshop):
    """Settings of a small run of a masked-diffusion model."""
    model, _ = tiny_diffusion()
    save_model(model, tiny_tokenizer(), workshop / "diffusion")
    return {**settings, "model": str(workshop / "diffusion"), "sampling": SHORT, "optim": SPEED}


class Listening(Silent):
    def __init__(self):
        self.said = []

    def message(self, text):
        self.said.append(text)


@pytest.mark.parametrize("name", ["trace_rl", pytest.param("coupled_grpo", marks=pytest.mark.slow)])
def test_a_stopped_run_goes_on_to_the_same_weights(loop_settings, name):
    check_a_stopped_run_goes_on(train, RLConfig, {**loop_settings, "algorithm": name, "steps": 5})


@pytest.mark.slow
def test_replayed_rollouts_keep_their_states(loop_settings):
    settings = {**loop_settings, "algorithm": "rloo", "steps": 5, "replay": 40, "importance": "truncate"}
    check_a_stopped_run_goes_on(train, RLConfig, settings)


# Steps, and the reward that must be reached; those that are biased or hold back need longer.
LEARNED = {"wd1": 45, "spg": 45, "espo": 45, "diffu_grpo": 45, "coupled_grpo": 45}


def toy_run(settings, name, seed):
    algorithm = METHODS[name]
    run = f"{settings['run']}-{name}-{seed}"
    steps = LEARNED.get(name, 35)
    return RLConfig(
        **{**settings, "run": run, "algorithm": name, "seed": seed, "steps": steps, "denoise": denoise_for(algorithm)}
    )


@pytest.mark.parametrize("name", DIFFUSION_PRESETS)
def test_it_learns(loop_settings, name):
    config = toy_run(loop_settings, name, seed=0)
    start, end = train_until(train, config, 0.93)
    check_each_step_is_on_policy(config.run)
    assert start < 0.75
    assert end > 0.93


def check_each_step_is_on_policy(folder):
    """One update a step: every ratio is 1 in it, and the engine sampled by the weights that learn."""
    rows = [row for row in train_metrics(folder) if "loss" in row]
    assert rows and all(row["ratio_max"] == pytest.approx(1.0, abs=1e-4) for row in rows)
    drifts = [row["sampler_drift_max"] for row in rows if "sampler_drift_max" in row]
    assert max(drifts, default=0.0) < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", METHODS)
def test_it_learns_whatever_the_seed(loop_settings, name, seed):
    folder = train(toy_run(loop_settings, name, seed))
    check_each_step_is_on_policy(folder)
    seen = [row["reward"] for row in train_metrics(folder)]
    assert sum(seen[:3]) / 3 < 0.75
    assert sum(seen[-3:]) / 3 > 0.93


def test_the_kind_of_model_decides_what_may_be_asked(loop_settings, settings, workshop):
    few = {**settings, "sampling": SHORT, "steps": 1}
    with pytest.raises(ConfigError, match="are for masked-diffusion models"):
        train(RLConfig(**few, algorithm="espo"))
    with pytest.raises(ConfigError, match="are for masked-diffusion models"):
        train(RLConfig(**few, diffusion=ScoringConfig(estimator="elbo")))
    with pytest.raises(ConfigError, match="denoise is for masked-diffusion models"):
        train(RLConfig(**few, denoise=DenoiseParams(order="random")))
    few = {**loop_settings, "steps": 1}
    with pytest.raises(ConfigError, match="needs critic, which score causal rows"):
        train(RLConfig(**few, algorithm="ppo", critic=CriticConfig()))
    with pytest.raises(ConfigError, match="gold_coef: works on causal rows"):
        train(RLConfig(**few, gold_coef=0.1))
    with pytest.raises(ConfigError, match=r"and kl_coef = 0.1: .* set kl_coef = 0"):
        train(RLConfig(**few, algorithm="reinforce++", kl_coef=0.1))


def test_a_task_whose_prompt_fills_the_canvas_is_refused_before_the_run(loop_settings):
    with pytest.raises(ConfigError, match=r"the prompt of say@1/0 has \d+ tokens, and prompt and canvas have 128"):
        train(RLConfig(**{**loop_settings, "steps": 1, "system": "x" * 128}))
    assert not Path(loop_settings["run"]).exists()


def test_a_kl_summed_over_the_completion_needs_no_order():
    """RLOO with the KL in the reward: a completion's reward is less by the KL of all its places, however written."""
    model, config, batch = step_of(RLOO, kl_coef=0.5)
    reference, _ = tiny_diffusion(seed=1)
    in_reward = replace(RLOO, kl_in_reward=True)
    rl_settings._check_masked(config, in_reward)
    shaped, _, _ = shape_rewards(batch, {}, config, in_reward, model=model, reference=reference, dtype=torch.float32)
    gap = token_logprobs(model, batch).values - token_logprobs(reference, batch).values
    assert torch.allclose(shaped.rewards, batch.rewards - 0.5 * (gap * batch.mask).sum(1), atol=1e-5)


@pytest.mark.parametrize(
    ("algorithm", "order", "says"),
    [
        ("grpo", "confidence", "proposals that lost shaped the trace"),
        ("espo", "entropy", "as if written one token at a time in random order"),
    ],
)
def test_a_biased_order_is_warned_of(loop_settings, algorithm, order, says):
    listening = Listening()
    own = {"steps": 1, "algorithm": algorithm, "denoise": DenoiseParams(order=order)}
    folder = train(RLConfig(**{**loop_settings, **own}), reporter=listening)
    (warning,) = [text for text in listening.said if text.startswith("warning")]
    assert says in warning
    assert json.loads((folder / "summary.json").read_text())["steps"] == 1


def test_estimators_of_the_settings_are_those_of_the_table():
    names, nothing = get_args(get_type_hints(ScoringConfig)["estimator"])
    assert get_args(names) == tuple(estimators.ESTIMATORS) and nothing is type(None)
