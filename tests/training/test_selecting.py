"""Rollouts without a score, a cost or parts are in nothing that is averaged, and are counted."""

import copy
import json
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tiny import tiny_model

from verigrad.algorithms.gae import gae
from verigrad.algorithms.presets import DR_GRPO, GDPO, GRPO, GSPO, PRIME, REMAX, SAFE_RLHF, Algorithm
from verigrad.algorithms.reductions import fixed_length
from verigrad.algorithms.selection import max_variance
from verigrad.errors import ConfigError, RunError
from verigrad.models.checkpoint import save_model
from verigrad.models.scalar import load_scalar
from verigrad.rewards.outcome import PASSED
from verigrad.rollout import Group
from verigrad.tasks.base import TaskSet
from verigrad.training.advantages import advantages_of
from verigrad.training.audit import Audit
from verigrad.training.batching import make_batch, terminal_rewards
from verigrad.training.companions import CostMultiplier
from verigrad.training.config import AuditConfig, CostConfig, CriticConfig, OptimConfig, RLConfig, SamplingConfig
from verigrad.training.options import with_options
from verigrad.training.proxies import Proxies
from verigrad.training.replay import Replay
from verigrad.training.rl import Loop, train
from verigrad.training.run import Learner
from verigrad.training.sampling import Sampled
from verigrad.training.selecting import score_tensors
from verigrad.types import Rollout, Score, Task, Turn

SHORT = SamplingConfig(max_tokens=8)
CPU = SimpleNamespace(device="cpu", dtype=torch.float32)


def rollout(group, number, value):
    length = 2 + (5 * group + 3 * number) % 5
    ids = tuple((31 * group + 7 * number + 3 * place) % 250 for place in range(length))
    turn = Turn(prompt_ids=(5, 6, 7, group), completion_ids=ids, sampler_logprobs=(-5.0,) * length)
    return Rollout(
        task_id="t", episode_id="e", group_id=str(group), turns=(turn,), status="finished", score=Score(value)
    )


def batch_of(*groups):
    return make_batch([[rollout(group, *told) for told in members] for group, members in enumerate(groups)])


def loop_of(settings, algorithm, companions=None, **options):
    model, _ = tiny_model("llama")
    reference = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.02)  # away from the reference, so that the KL has a gradient
    config = RLConfig(**settings, sampling=SHORT, optim=OptimConfig(learning_rate=1.0, warmup_steps=0), **options)
    return Loop(
        config=config,
        stage=CPU,
        algorithm=algorithm,
        tasks=None,
        sampler=None,
        policy=Learner(model, torch.optim.SGD(model.parameters(), lr=1.0)),
        reference=reference,
        companions=companions or {},
        audit=None,
    )


def learned(loop, batch, **known):
    row = loop._learn(batch, {"succeeded": batch.rewards > 0, **known}, None, step=5)
    return row, loop.policy.model.state_dict()


@pytest.mark.parametrize("algorithm", [GRPO, DR_GRPO, GSPO], ids=lambda row: row.name)
def test_rollouts_without_a_score_change_no_gradient(settings, algorithm):
    """With a KL in the loss too, which needs no advantage: 1/N, lengths and KL are of scored rollouts alone."""
    scored = [(0, 1.0), (1, 0.0), (2, 1.0)], [(0, 0.0), (1, 1.0)]
    without = batch_of(*scored)
    with_some = batch_of([*scored[0], (3, None), (4, None)], [(8, None), *scored[1]], [(0, None), (1, None)])
    assert with_some.num_rollouts == without.num_rollouts + 5
    (row, weights), (other_row, others) = (
        learned(loop_of(settings, algorithm, kl_coef=0.1), batch) for batch in (without, with_some)
    )
    assert other_row["loss"] == pytest.approx(row["loss"], rel=1e-5)
    assert other_row["kl"] == pytest.approx(row["kl"], rel=1e-5) and row["kl"] > 1e-4
    for name, weight in weights.items():
        torch.testing.assert_close(others[name], weight, rtol=1e-5, atol=1e-7)


def test_a_group_without_its_greedy_baseline_changes_no_gradient(settings):
    """Not even by the KL, or by being counted among the rollouts of the step."""
    there, gone = [(0, 1.0), (1, 0.0), (2, 1.0)], [(0, 0.0), (3, 1.0)]
    (row, weights), (other_row, others) = (
        learned(loop_of(settings, REMAX, kl_coef=0.1), batch_of(*groups), greedy_rewards=torch.tensor(baselines))
        for groups, baselines in (([there], [0.5] * 3), ([there, gone], [0.5] * 3 + [torch.nan] * 2))
    )
    assert other_row["loss"] == pytest.approx(row["loss"], rel=1e-5)
    for name, weight in weights.items():
        torch.testing.assert_close(others[name], weight, rtol=1e-5, atol=1e-7)


def test_a_minibatch_without_rows_does_not_set_the_schedule_back(settings):
    """Step 5 of two minibatches each is update 10: in a warm-up of 20 the eleventh twentieth of the rate."""
    loop = loop_of(settings, GRPO, minibatches=2, steps=50)
    loop.config = replace(loop.config, optim=OptimConfig(learning_rate=1.0, warmup_steps=20))
    row, _ = learned(loop, batch_of([(0, 1.0), (1, 0.0)]))
    assert row["learning_rate"] == pytest.approx(11 / 20)


def test_groups_that_are_gone_change_no_minibatch(settings):
    """Of four groups every second one is lost: what is left makes two optimizer steps, as two groups by themselves."""
    batch = batch_of([(0, 1.0), (1, 0.0)], [], [(2, 0.0), (3, 1.0)], [])
    assert batch.group_ids.tolist() == [0, 0, 2, 2]
    alone = replace(batch, group_ids=torch.tensor([0, 0, 1, 1]))
    (row, weights), (other_row, others) = (
        learned(loop_of(settings, GRPO, minibatches=2), each) for each in (alone, batch)
    )
    assert row["ratio_max"] > 1 and other_row == row  # the second step has moved off the anchor
    for name, weight in weights.items():
        assert torch.equal(others[name], weight), name


def test_the_largest_of_a_step_is_the_largest_of_its_updates(settings):
    """The sampler is compared with the policy before any of them, so it is as far off in two minibatches as in one."""
    batch = batch_of([(0, 1.0), (1, 0.0)], [(2, 0.0), (3, 1.0)])
    batch.sampler_logprobs[2, batch.mask[2]] = -9.0  # the second group alone is far off
    (once, _), (twice, _) = (learned(loop_of(settings, GRPO, minibatches=count), batch) for count in (1, 2))
    assert twice["sampler_drift_max"] == pytest.approx(once["sampler_drift_max"], abs=1e-4)


@pytest.mark.parametrize(("flagged", "succeeded"), [("keep", [True, True, False]), ("penalise", [True, False, False])])
def test_what_the_audit_makes_a_failure_is_no_success_to_imitate(settings, flagged, succeeded):
    loop = loop_of(settings, GRPO, audit=AuditConfig(flagged=flagged))
    rollouts = [replace(rollout(0, 0, 1.0), flags=flags) for flags in ((), ("knows a test",), ())]
    rollouts.insert(1, replace(rollout(0, 0, None), status="error"))  # of which nothing trains
    outcomes = torch.tensor([PASSED, PASSED, PASSED + 1])
    assert loop._succeeded([Group(None, tuple(rollouts))], outcomes).tolist() == succeeded


def test_a_step_that_failed_as_a_whole_is_not_made_of_kept_rollouts(settings):
    """A sampler or a judge that is dead would otherwise leave a run to train on what it has, step after step."""
    task, config = Task(id="t", prompt=""), AuditConfig()
    lost = Group(task, (replace(rollout(0, 0, None), turns=(), status="error", error="no judge"),) * 2)
    loop = loop_of(settings, GRPO, rollouts_kept=0, replay=100)
    loop.audit = Audit(config, None, 0)
    loop.replay = Replay(100, TaskSet("made", (task,), {}, {}))
    loop.replay.add([Group(task, (rollout(0, 0, 1.0), rollout(0, 1, 0.0)))])
    loop.sampler = SimpleNamespace(
        probe=lambda step: {}, sample=lambda step, cursor: Sampled([lost], [lost], cursor + 1)
    )
    with pytest.raises(RunError, match="step 1: every rollout failed; the first says: no judge"):
        loop.step(0, None)


def test_a_step_without_any_score_changes_nothing(settings):
    loop = loop_of(settings, GRPO, kl_coef=0.1)
    before = copy.deepcopy(loop.policy.model.state_dict())
    row, after = learned(loop, batch_of([(0, None), (1, None)]))
    assert row == {"signal_groups": 0.0}
    assert all(torch.equal(before[name], weight) for name, weight in after.items())


def test_a_step_of_which_nothing_is_kept_changes_nothing(settings):
    """Every group passes as a whole, where the choice of groups wants some to fail: not even the KL trains on them."""
    loop = loop_of(settings, with_options(PRIME, {"accuracy_high": 0.8}), kl_coef=0.1)
    row, _ = learned(loop, batch_of([(0, 1.0), (1, 1.0)], [(0, 1.0), (1, 1.0)]))
    assert row == {"signal_groups": 0.0}


def test_a_step_without_any_cost_leaves_the_price_as_it_is(settings):
    """The first cost there is sets the price: 1 exp(0.1 * (3 - 1)), of the two rollouts that have one."""
    config = RLConfig(**settings, cost=CostConfig(limit=1.0))
    price = CostMultiplier(config, CPU)
    loop = loop_of(settings, SAFE_RLHF, {"cost": price}, kl_coef=0.1)
    batch = batch_of([(0, 1.0), (1, 0.0), (2, 1.0)])
    row, _ = learned(loop, batch, costs=torch.full((3,), torch.nan))
    assert row == {"signal_groups": 1.0} and price.notes() == {"multiplier": 1.0}
    row, _ = learned(loop, batch, costs=torch.tensor([2.0, torch.nan, 4.0]))
    assert row["cost"] == 3.0 and row["multiplier"] == pytest.approx(1.2214, abs=1e-4)


@pytest.mark.parametrize("algorithm", ["safe_rlhf", "gdpo"])
def test_parts_that_are_gone_after_the_first_step_stop_nothing(settings, workshop, algorithm):
    config = RLConfig(
        **{**settings, "reward": f"{workshop}/my.py:fading"}, algorithm=algorithm, steps=3, sampling=SHORT
    )
    rows = train_rows(train(config))
    assert ["loss" in row for row in rows] == [True, False, False]


def test_a_part_that_no_score_of_a_step_has_leaves_the_step_out(settings):
    """A judge that failed all through a step must not leave the format reward to train on its own."""
    batch, seen = batch_of([(0, 1.0), (1, 0.0)]), ("form", "judge")
    form, judge = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    row, _ = learned(loop_of(settings, GDPO), batch, **score_tensors({"form": form}, seen, 2))
    assert "loss" not in row
    row, _ = learned(loop_of(settings, GDPO), batch, **score_tensors({"form": form, "judge": 3 * judge}, seen, 2))
    assert "loss" in row


def test_a_choice_of_rollouts_that_cannot_be_made_says_why(settings):
    own = replace(GRPO, name="own", keep=max_variance)
    with pytest.raises(ConfigError, match=r"'own', of which rollouts it keeps: max_variance asks for count"):
        learned(loop_of(settings, own), batch_of([(0, 1.0), (1, 0.0)]))


def by_quality(rewards, group_ids, part_quality):
    return part_quality - part_quality.mean()


def test_a_rollout_without_a_part_that_is_read_changes_no_gradient(settings):
    own = replace(DR_GRPO, name="own", advantage=by_quality)
    scored = [(0, 1.0), (1, 0.0), (2, 1.0)]
    (row, weights), (other_row, others) = (
        learned(loop_of(settings, own), batch_of(members), part_quality=torch.tensor(quality))
        for members, quality in ((scored, [1.0, 0.0, 5.0]), ([*scored, (3, 1.0)], [1.0, 0.0, 5.0, torch.nan]))
    )
    assert other_row["loss"] == pytest.approx(row["loss"], rel=1e-5)
    for name, weight in weights.items():
        torch.testing.assert_close(others[name], weight, rtol=1e-5, atol=1e-7)


def test_a_discount_of_the_rows_own_holds_until_one_is_set(settings):
    """Two tokens and a reward of 1 at the end: the first is worth gamma, the second 1."""
    batch = batch_of([(0, 1.0)])
    known = {"token_rewards": terminal_rewards(batch), "values": torch.zeros(batch.mask.shape)}

    def found(advantage, **critic):
        own = replace(GRPO, name="own", advantage=advantage)
        advantages, _ = advantages_of(own, batch, known, RLConfig(**settings, critic=CriticConfig(**critic)))
        return advantages[batch.mask].tolist()

    assert found(gae) == [1.0, 1.0]
    assert found(partial(gae, gamma=0.5)) == [0.5, 1.0]
    assert found(partial(gae, gamma=0.5), gamma=0.25) == [0.25, 1.0]
    assert found(gae, gae_lambda=0.0) == [0.0, 1.0]

    def asking(token_rewards, gamma, gae_lambda):
        return token_rewards * (gamma + gae_lambda)

    assert found(asking) == [0.0, 2.0]


def test_a_horizon_of_the_rows_own_is_the_one_that_divides(settings):
    """Of 64 tokens, where the budget is 8."""
    own = replace(DR_GRPO, name="own", reduction=partial(fixed_length, horizon=64))
    batch = batch_of([(0, 1.0), (1, 0.0)])
    (plain, _), (row, _) = (learned(loop_of(settings, each, importance="none"), batch) for each in (DR_GRPO, own))
    assert row["loss"] * 64 == pytest.approx(plain["loss"] * 8, rel=1e-5) and plain["loss"] != 0


def test_a_reduction_gets_what_it_asks_for_by_name(settings):
    """Centred rewards of plus and minus a half on 2 and 5 tokens, each of weight a tenth: 0.1 (-0.5 * 2 + 0.5 * 5)."""

    def a_tenth(group_ids, mask):
        assert len(group_ids) == 2
        return 0.1 * mask.float()

    own = replace(DR_GRPO, name="own", reduction=a_tenth)
    row, _ = learned(loop_of(settings, own, importance="none"), batch_of([(0, 1.0), (1, 0.0)]))
    assert row["loss"] == pytest.approx(0.15, rel=1e-5)


SPANNED = """
from verigrad import Score


def spanned(task, answer, verdict):
    return Score(0.0, spans=((0, len(answer.text), 1.0),) if answer.text else ())
"""


def test_spans_of_a_reward_that_is_only_measured_train_nothing(settings, workshop):
    """The reward model, new, scores everything 0: there is nothing to learn but the spans, which are not its."""
    (workshop / "spanned.py").write_text(SPANNED)
    new = new_scalar_model(settings["model"], workshop / "new-reward-model")
    told = {**settings, "reward": f"{workshop}/spanned.py:spanned"}
    for model, learns in (("", True), (new, False)):
        config = RLConfig(**{**told, "run": f"{told['run']}-{learns}"}, steps=1, sampling=SHORT, reward_model=model)
        assert ["loss" in row for row in train_rows(train(config))] == [learns]


def train_rows(folder):
    rows = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["kind"] == "train"]


def test_missing_scores_and_failed_rewards_are_counted(settings, workshop):
    def first(reward):
        run = f"{settings['run']}-{reward}"
        config = {**settings, "run": run, "reward": f"{workshop}/my.py:{reward}"}
        return train_rows(train(RLConfig(**config, steps=1, sampling=SHORT)))[0]

    plain, missing, nan = map(first, ("ascii_share", "sometimes_missing", "sometimes_nan"))
    assert (plain["unscored"], plain["groups_skipped"], plain["infra_errors"]) == (0, 0, 0)
    assert 0 < missing["unscored"] < 18 and missing["infra_errors"] == 0
    assert 0 < nan["infra_errors"] < 18 and nan["unscored"] == 0 and 0 < nan["reward"] < 1
    with pytest.raises(RunError, match=r"every rollout failed.*'never_a_number' gave the value nan \(task say@1/"):
        first("never_a_number")


def test_groups_without_any_score_are_counted(settings, workshop):
    (workshop / "none.py").write_text("def none(task, answer, verdict):\n    return None\n")
    config = RLConfig(**{**settings, "reward": f"{workshop}/none.py:none"}, steps=2, sampling=SHORT, kl_coef=0.1)
    for row in train_rows(train(config)):
        assert (row["groups_skipped"], row["unscored"], "loss" in row) == (3, 18, False)


def test_a_reward_model_that_gives_nan_stops_the_run(settings):
    model = scalar_model(settings)
    with torch.no_grad():
        model.score.weight[0, 0] = torch.nan
    for what, proxies in (("reward_model", Proxies(reward=model)), ("cost.model", Proxies(cost=model))):
        loop = loop_of(settings, SAFE_RLHF)
        loop.proxies = proxies
        with pytest.raises(RunError, match=rf"{what} scored 3 of 3 rollouts NaN"):
            learned(loop, batch_of([(0, 1.0), (1, 0.0), (2, 1.0)]))


def new_scalar_model(language_model, folder):
    """A reward model that has learned nothing: its head is zero."""
    save_model(*load_scalar(language_model, device="cpu"), folder)
    return str(folder)


def scalar_model(settings, seed=3):
    model, _ = load_scalar(settings["model"], device="cpu")
    with torch.no_grad():
        model.score.weight.normal_(generator=torch.Generator().manual_seed(seed))
    return model


def slow_score(model, rollout):
    (turn,) = rollout.turns
    with torch.no_grad():
        states = model.model(torch.tensor([turn.prompt_ids + turn.completion_ids])).last_hidden_state
        return float(model.score(states[0, -1]))


def test_a_reward_model_and_a_cost_model_are_apart(settings):
    """Rewards are the one's scores, costs the other's, each of the whole answer; the price follows the costs."""
    models = scalar_model(settings, 3), scalar_model(settings, 4)
    members = [(0, 1.0), (1, 0.0), (2, 1.0)]
    config = RLConfig(**settings, cost=CostConfig(limit=0.25))
    loop = loop_of(settings, SAFE_RLHF, {"cost": CostMultiplier(config, CPU)})
    loop.proxies = Proxies(*models)
    # The reward function's cost is not read, not even where it is missing.
    row, _ = learned(loop, batch_of(members), costs=torch.tensor([9.0, torch.nan, 9.0]))
    rewards, costs = ([slow_score(model, rollout(0, *told)) for told in members] for model in models)
    assert row["proxy_reward"] == pytest.approx(sum(rewards) / 3, rel=1e-4)
    assert row["cost"] == pytest.approx(sum(costs) / 3, rel=1e-4)
    assert row["multiplier"] == pytest.approx(math.exp(0.1 * (sum(costs) / 3 - 0.25)), rel=1e-4)


def test_a_cost_model_is_for_algorithms_that_read_costs(settings, workshop):
    with pytest.raises(ConfigError, match="reads no costs"):
        train(RLConfig(**settings, cost=CostConfig(model=settings["model"])))
    config = RLConfig(**settings, algorithm="safe_rlhf", steps=1, sampling=SHORT)
    with pytest.raises(ConfigError, match="is no reward model"):
        train(replace(config, cost=CostConfig(model=settings["model"])))
    new = new_scalar_model(settings["model"], workshop / "new-cost-model")
    (row,) = train_rows(train(replace(config, cost=CostConfig(model=new))))
    assert row["cost"] == 0.0 and row["multiplier"] == 1.0  # a new head scores 0


def by_power(rewards, group_ids, part_power, *, power=1.0):
    """The part named `power` times the option of that name."""
    return part_power * power


def test_a_part_is_not_taken_for_an_option_of_its_name(settings):
    own = Algorithm(name="own", paper="", advantage=by_power, objective=GRPO.objective, reduction=GRPO.reduction)
    known = score_tensors({"power": torch.tensor([3.0, 5.0])}, (), 2)
    assert set(known) == {"part_power", "part_rewards"}
    batch = batch_of([(0, 1.0), (1, 0.0)])
    advantages, _ = advantages_of(own, batch, known, RLConfig(**settings))
    assert advantages.tolist() == [3.0, 5.0]
