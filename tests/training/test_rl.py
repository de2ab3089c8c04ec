"""The loop learns, repeats bit for bit, survives being killed, and does not depend on how it is computed."""

import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from devices import DEVICES
from loops import check_the_best_is_kept, check_the_page_explains_the_summary
from safetensors.torch import load_file
from tiny import tiny_model
from transformers import AutoModelForCausalLM

from verigrad.algorithms.penalties import kl_k3
from verigrad.algorithms.presets import DR_GRPO, GRPO, GSPO
from verigrad.cli.main import main
from verigrad.errors import CanaryError, CheckpointError, ConfigError, RunError
from verigrad.evaluation.sources import load_source
from verigrad.models.lora import add_lora
from verigrad.sandbox.base import LEVELS
from verigrad.seeds import derive_seed
from verigrad.tasks.builtin import fresh_oracle
from verigrad.training import policy, rl, sampling
from verigrad.training.batching import make_batch
from verigrad.training.companions import ProcessModel
from verigrad.training.config import (
    CriticConfig,
    LoraConfig,
    OptimConfig,
    ProcessConfig,
    ReportConfig,
    RLConfig,
    SamplingConfig,
)
from verigrad.training.optim import make_optimizer
from verigrad.training.policy import update_policy
from verigrad.training.rl import train
from verigrad.training.run import Learner
from verigrad.types import Rollout, Score, Task, Turn

FAST = OptimConfig(learning_rate=5e-3, warmup_steps=1)
SHORT = SamplingConfig(max_tokens=8)
CLOCK = {"seconds", "seconds_sampling", "tokens_per_second"}


def metrics(folder):
    rows = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in CLOCK} for row in rows]


def rewards(folder):
    return [row["reward"] for row in metrics(folder) if row["kind"] == "train"]


def final_weights(folder):
    return load_file(Path(folder) / "model" / "model.safetensors")


# Every algorithm learns in test_presets_learn.py; here with masks and lengths that vary.
@pytest.mark.parametrize(
    "algorithm", ["grpo", *(pytest.param(name, marks=pytest.mark.slow) for name in ("dr_grpo", "rloo"))]
)
def test_it_learns(settings, algorithm):
    config = RLConfig(**settings, steps=25, algorithm=algorithm, optim=FAST, sampling=SHORT)
    seen = rewards(train(config))
    assert sum(seen[:3]) / 3 < 0.75
    assert sum(seen[-3:]) / 3 > 0.95


def test_a_reward_is_told_how_far_the_run_is(settings, tmp_path):
    (tmp_path / "told.py").write_text("def told(task, answer, verdict, *, progress):\n    return progress\n")
    config = RLConfig(**{**settings, "reward": f"{tmp_path}/told.py:told"}, steps=4, optim=FAST, sampling=SHORT)
    assert rewards(train(config)) == [0.0, 0.25, 0.5, 0.75]


UPSIDE_DOWN = """
from dataclasses import replace

from verigrad.algorithms.presets import GRPO


def worse(rewards, group_ids):
    return -GRPO.advantage(rewards, group_ids)


UPSIDE_DOWN = replace(GRPO, name="upside_down", advantage=worse)
"""


def test_an_algorithm_of_ones_own_is_trained_with(settings, workshop):
    """One that rewards the worse of a group unlearns what `grpo` learns."""
    (workshop / "own.py").write_text(UPSIDE_DOWN)
    algorithm = f"{workshop}/own.py:UPSIDE_DOWN"
    seen = rewards(train(RLConfig(**settings, steps=12, algorithm=algorithm, optim=FAST, sampling=SHORT)))
    assert sum(seen[-3:]) / 3 < sum(seen[:3]) / 3 - 0.15


def test_every_validation_keeps_its_samples(settings, workshop):
    report = ReportConfig(validation=f"{workshop}/my.py:held_out", validate_every=1, max_tokens=8)
    folder = train(RLConfig(**settings, steps=2, optim=FAST, sampling=SHORT, report=report))
    logged = {row["step"]: row["pass@1"] for row in metrics(folder) if row["kind"] == "validation"}
    assert list(logged) == [1, 2]
    for step, value in logged.items():
        file = folder / "evaluations" / "validation" / f"step-{step:06d}.jsonl"
        passed = [json.loads(line)["status"] == "passed" for line in file.read_text().splitlines()]
        assert len(passed) == 3 and sum(passed) / 3 == pytest.approx(value)


def test_the_best_validated_weights_are_kept(settings, workshop):
    short = {**settings, "steps": 3, "optim": FAST, "sampling": SHORT}
    check_the_best_is_kept(train, RLConfig, short, f"{workshop}/my.py:held_out")


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_it_learns_on_a_gpu(settings, dtype):
    config = RLConfig(**{**settings, "device": "cuda", "dtype": dtype}, steps=25, optim=FAST, sampling=SHORT)
    assert sum(rewards(train(config))[-3:]) / 3 > 0.95


def test_the_same_seed_twice_is_the_same_run(settings, workshop):
    config = RLConfig(**settings, steps=3, optim=FAST, sampling=SHORT)
    first, second = train(config), train(replace(config, run=str(workshop / "again")))
    assert metrics(first) == metrics(second)
    other = train(replace(config, run=str(workshop / "other"), seed=1))
    assert metrics(first) != metrics(other)
    for name, weight in final_weights(first).items():
        assert torch.equal(weight, final_weights(second)[name]), name


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "change",
    [
        {"share_prompts": False},
        {"token_budget": 40},
        {"gradient_checkpointing": True},
        {"slots": 2},
    ],
    ids=lambda change: next(iter(change)),
)
def test_how_it_is_computed_changes_nothing(settings, workshop, change, device):
    slow = OptimConfig(learning_rate=1e-3)
    config = RLConfig(**{**settings, "device": device}, steps=3, optim=slow, sampling=SHORT)
    plain = metrics(train(config))
    changed = metrics(train(replace(config, run=str(workshop / "changed"), **change)))
    for before, after in zip(plain, changed, strict=True):
        for key in ("reward", "loss", "grad_norm", "entropy", "completion_tokens_total"):
            assert after[key] == pytest.approx(before[key], rel=2e-3, abs=1e-5), key


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"sampling": replace(SHORT, temperature=0.6)},
        {"sampling": replace(SHORT, top_p=0.8, top_k=20)},
        {"sampling": replace(SHORT, top_p=0.8), "minibatches": 3, "passes": 2},
        {"lora": LoraConfig(rank=4)},
    ],
    ids=["plain", "cold", "truncated", "in minibatches", "lora"],
)
def test_sampler_and_trainer_agree_in_every_step(settings, change, device):
    """The same tokens under the same weights, in float32, from step to step: both have the weights as they are now."""
    config = RLConfig(**{**settings, "device": device, "steps": 4, "optim": FAST, "sampling": SHORT, **change})
    drifts = [row["sampler_drift_max"] for row in metrics(train(config))]
    assert len(drifts) == 4 and max(drifts) < 1e-4


def words(settings, *extra):
    return [
        "rl",
        *(word for key, value in settings.items() for word in ("--" + key.replace("_", "-"), str(value))),
        *extra,
    ]


def test_a_killed_run_resumes_to_the_same_weights(settings, workshop):
    """SIGKILL in the middle, then --resume: metrics and weights of the run that was never interrupted."""
    more = ["--steps", "8", "--sampling.max-tokens", "8", "--optim.learning-rate", "1e-3"]
    whole = workshop / "whole"
    assert main(words({**settings, "run": whole}, *more)) == 0
    run = Path(settings["run"])
    command = [sys.executable, "-m", "verigrad.cli.main", *words(settings, *more)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (run / "metrics.jsonl").exists() or len((run / "metrics.jsonl").read_text().splitlines()) < 5:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (run / "summary.json").exists()
    assert main(words(settings, *more, "--resume")) == 0
    assert metrics(run) == metrics(whole)
    for name, weight in final_weights(whole).items():
        assert torch.equal(weight, final_weights(run)[name]), name


def test_resuming_with_changed_settings_is_refused(settings):
    config = RLConfig(**settings, steps=2, sampling=SHORT)
    train(config)
    with pytest.raises(RunError, match=r"group_size: 6 -> 4"):
        train(replace(config, group_size=4), resume=True)
    with pytest.raises(RunError, match="already holds a run"):
        train(config)


def test_a_checkpoint_without_notes_that_this_version_wants_is_refused(settings):
    config = RLConfig(**settings, steps=1, sampling=SHORT)
    checkpoint = train(config) / "checkpoints" / "step-000001"
    state = json.loads((checkpoint / "state.json").read_text())
    del state["notes"]["audit"]
    (checkpoint / "state.json").write_text(json.dumps(state))
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    manifest["state.json"] = hashlib.sha256((checkpoint / "state.json").read_bytes()).hexdigest()
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match=r"step-000001 has no notes of the audit: another version .* --run"):
        train(config, resume=True)


def test_adapters_train_and_are_saved_merged(settings):
    config = RLConfig(
        **settings, steps=25, lora=LoraConfig(rank=8), optim=replace(FAST, learning_rate=2e-2), sampling=SHORT
    )
    folder = train(config)
    assert sum(rewards(folder)[-3:]) / 3 > sum(rewards(folder)[:3]) / 3 + 0.1
    saved = AutoModelForCausalLM.from_pretrained(folder / "model")
    start = AutoModelForCausalLM.from_pretrained(settings["model"])
    assert saved.state_dict().keys() == start.state_dict().keys()
    moved = {name for name, weight in saved.state_dict().items() if not torch.equal(weight, start.state_dict()[name])}
    assert moved == {name for name in start.state_dict() if "_proj." in name}  # every linear layer but the head


def test_a_reward_that_fails_stops_the_run_with_its_words(settings, workshop):
    config = RLConfig(**{**settings, "reward": f"{workshop}/my.py:broken"}, steps=1, sampling=SHORT)
    with pytest.raises(RunError, match=r"every rollout failed.*judge unreachable"):
        train(config)


def test_every_completion_of_a_step_is_written_down(settings, workshop):
    """With those of groups that make way for others, here of a first round and one more: the step's tokens add up."""
    (workshop / "same.py").write_text("def same(task, answer, verdict):\n    return 1.0\n")
    same = {**settings, "reward": f"{workshop}/same.py:same"}
    folder = train(RLConfig(**same, steps=1, resample=1, sampling=SHORT))
    written = [json.loads(line) for line in (folder / "rollouts" / "step-000001.jsonl").read_text().splitlines()]
    assert len(written) == 2 * 3 * 6
    assert sum(row["tokens"] for row in written) == metrics(folder)[0]["completion_tokens_total"]


def test_training_and_reported_tasks_must_be_disjoint(settings):
    report = ReportConfig(splits={"same": settings["tasks"]})
    with pytest.raises(ConfigError, match="both training and same"):
        train(RLConfig(**settings, steps=1, report=report))


def test_fresh_tests_are_of_one_step_and_come_again_after_a_restart(settings, workshop, monkeypatch):
    seen = []

    def spy(chosen, oracles, **options):
        seen.append(list(zip(chosen, oracles, strict=True)))
        return collect(chosen, oracles, **options)

    collect = sampling.collect
    monkeypatch.setattr(sampling, "collect", spy)
    source = "builtin?families=count_vowels&instances=2"
    config = RLConfig(
        **{
            **settings,
            "tasks": source,
            "tasks_per_step": 2,
            "group_size": 2,
            "max_length": 1024,
            "checkpoint_every": 1,
        },
        steps=2,
        sampling=SHORT,
        fresh_tests=True,
        seed=5,
    )
    train(config)
    tasks = load_source(source)
    for step, judged in enumerate(seen):
        for task, oracle in judged:
            assert oracle == fresh_oracle(task, tasks.oracle(task), derive_seed(5, "tests", step))
    (first, second) = ({task.id: oracle for task, oracle in judged} for judged in seen)
    assert first.keys() == second.keys() and all(first[name] != second[name] for name in first)
    again = replace(config, run=str(workshop / "again"))
    train(replace(again, steps=1))
    resumed = workshop / "again" / "config.toml"
    resumed.write_text(resumed.read_text().replace("steps = 1\n", "steps = 2\n"))
    train(again, resume=True)
    assert seen[2:] == seen[:2]


def test_fresh_tests_need_something_to_draw_from(settings):
    with pytest.raises(ConfigError, match="has a generator"):
        train(RLConfig(**settings, steps=1, fresh_tests=True))


def test_a_judge_that_drifts_stops_the_run_and_a_sound_one_goes_on(settings, workshop, monkeypatch):
    source = {"tasks": "builtin?families=count_vowels&instances=2", "reward": "tests", "max_length": 1024}
    small = {"tasks_per_step": 2, "group_size": 2, "checkpoint_every": 1}
    config = RLConfig(**{**settings, **source, **small}, steps=3, sampling=SHORT)
    collected = []

    def breaking(chosen, oracles, *, judge, agent, **options):
        judge._canaries_every, judge._until_canaries = 1, 0  # a tiny model writes next to no programs
        if len(collected) == 1:
            patch.setattr("verigrad.sandbox.results.equal", lambda *anything: True)
        collected.append(chosen)
        return collect(chosen, oracles, judge=judge, agent=Answering(agent), **options)

    class Answering:
        """The same turns, and a program for an answer."""

        def __init__(self, inner):
            self.inner, self.name = inner, inner.name

        async def attempt(self, task, engine, *, seed):
            attempt = await self.inner.attempt(task, engine, seed=seed)
            return replace(attempt, text=f"```python\ndef {task.entry_point}(text):\n    return {seed}\n```")

    collect = sampling.collect
    with monkeypatch.context() as patch:
        patch.setattr(sampling, "collect", breaking)
        with pytest.raises(CanaryError, match="no verdict can be trusted"):
            train(config)
    assert len(metrics(config.run)) == 1  # the step before; nothing of the one that could not be trusted
    train(config, resume=True)
    assert len(metrics(config.run)) == 3


def test_before_and_after_draw_alike(settings, workshop):
    """Of weights that hardly move the answers are the same, also at temperature 1: differences are paired by draws."""
    report = ReportConfig(splits={"held_out": f"{workshop}/my.py:held_out"}, samples=3, temperature=1.0)
    still = OptimConfig(learning_rate=1e-12)
    folder = train(RLConfig(**settings, steps=1, sampling=SHORT, optim=still, report=report))
    before, after = (
        [
            json.loads(line)["completion"]
            for line in (folder / f"evaluations/held_out-{when}.jsonl").read_text().splitlines()
        ]
        for when in ("before", "after")
    )
    assert before == after and len(set(before)) == 9


OVERLAPPING = """
from dataclasses import replace

from verigrad.tasks.base import TaskSet


def wide():
    return numbers(7, 10)


def stricter():
    taskset = numbers(6, 9)
    other = {id_: replace(oracle, gold="none") for id_, oracle in taskset.oracles.items()}
    return TaskSet(taskset.name, taskset.tasks, other, {})
"""


def test_a_task_of_several_splits_is_sampled_once(settings, workshop):
    """At temperature 1, where splits draw apart: only the very same task, judged by the same oracle, is shared."""
    (workshop / "my.py").write_text((workshop / "my.py").read_text() + OVERLAPPING)
    splits = {name: f"{workshop}/my.py:{name}" for name in ("held_out", "wide", "stricter")}
    report = ReportConfig(splits=splits, samples=2, temperature=1.0)
    folder = train(RLConfig(**settings, steps=1, sampling=SHORT, report=report))
    for when in ("before", "after"):
        held_out, wide, stricter = (
            [json.loads(line) for line in (folder / f"evaluations/{name}-{when}.jsonl").read_text().splitlines()]
            for name in splits
        )
        assert [row["task_id"] for row in wide] == [f"say@1/{n}" for n in (7, 7, 8, 8, 9, 9)]
        assert wide[:4] == held_out[2:]
        assert all(here["completion"] != there["completion"] for here, there in zip(held_out, stricter, strict=True))


def test_reports_before_and_after(settings, workshop):
    source = f"{workshop}/my.py:held_out"
    report = ReportConfig(splits={"held_out": source}, samples=2, temperature=1.0)
    folder = train(RLConfig(**settings, steps=2, sampling=SHORT, report=report))
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["splits"]["held_out"]["num_tasks"] == 3
    assert summary["setup"]["sandbox_level"] in LEVELS
    check_the_page_explains_the_summary(folder)
    for when in ("before", "after"):
        rows = (folder / "evaluations" / f"held_out-{when}.jsonl").read_text().splitlines()
        assert [json.loads(row)["task_id"] for row in rows] == [f"say@1/{n}" for n in (6, 6, 7, 7, 8, 8)]
    assert (folder / "report.html").exists()


def test_every_epoch_visits_every_task_once():
    tasks = [Task(id=str(n), prompt="") for n in range(10)]
    seen = [task.id for step in range(5) for task in sampling.scheduled_tasks(tasks, 4 * step, 4, seed=3)]
    assert sorted(seen[:10]) == sorted(seen[10:]) == sorted(task.id for task in tasks)
    assert seen[:10] != seen[10:]


def made_up(group_rewards):
    """Groups of rollouts with random ids and these rewards."""
    generator = torch.Generator().manual_seed(0)

    def rollout(number, value):
        ids = tuple(
            torch.randint(0, 250, (int(torch.randint(2, 7, (1,), generator=generator)),), generator=generator).tolist()
        )
        turn = Turn(prompt_ids=(5, 6, 7, number), completion_ids=ids, sampler_logprobs=(-1.0,) * len(ids))
        return Rollout(
            task_id="t", episode_id="e", group_id=str(number), turns=(turn,), status="finished", score=Score(value)
        )

    return [[rollout(number, value) for value in values] for number, values in enumerate(group_rewards)]


@pytest.mark.parametrize("algorithm", [GRPO, DR_GRPO], ids=lambda row: row.name)
def test_skipping_groups_without_signal_changes_no_gradient(settings, algorithm):
    """With a vanishing KL weight every row is run, without one only those that learn: the same step."""
    batch = make_batch(made_up([[1.0, 0.0, 1.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]))
    results = []
    for kl_coef in (0.0, 1e-12):
        model, _ = tiny_model("llama")
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        config = RLConfig(**settings, kl_coef=kl_coef, importance="none", sampling=SHORT)
        advantages = algorithm.advantage(batch.rewards, batch.group_ids)
        learner = Learner(model, optimizer)
        update_policy(learner, batch, advantages, config, algorithm, step=5, reference=model, dtype=torch.float32)
        results.append(model.state_dict())
    for name, weight in results[0].items():
        torch.testing.assert_close(weight, results[1][name], rtol=1e-4, atol=1e-7)


def in_two_turns(values):
    """A group of rollouts whose second turn rewrites history, so that each has two rows."""

    def rollout(number, value):
        first = Turn(prompt_ids=(5, 6, number), completion_ids=(40 + number, 41, 42), sampler_logprobs=(-5.5,) * 3)
        second = Turn(prompt_ids=(9, 8, number), completion_ids=(50, 51 + number), sampler_logprobs=(-5.5,) * 2)
        return Rollout(
            task_id="t", episode_id="e", group_id="t", turns=(first, second), status="finished", score=Score(value)
        )

    return [[rollout(number, value) for number, value in enumerate(values)]]


def test_objectives_over_whole_rollouts_are_the_same_however_packs_cut_them(settings):
    """GSPO's ratio is the rollout's, over both of its rows: one pack for all against a pack a row."""
    batch = make_batch(in_two_turns([1.0, 0.0, 0.5]))
    assert batch.num_rows == 6 and batch.num_rollouts == 3
    anchor = torch.where(batch.mask, -5.6, 0.0)  # away from the policy's own, so that the ratio says something
    results = []
    for budget in (4096, 4):
        model, _ = tiny_model("llama")
        learner = Learner(model, torch.optim.SGD(model.parameters(), lr=1.0))
        config = RLConfig(**settings, token_budget=budget, clip_high=1e9, clip_low=1e9, sampling=SHORT)
        advantages = GSPO.advantage(batch.rewards, batch.group_ids)
        row = update_policy(
            *(learner, batch, advantages, config, GSPO),
            step=5,
            reference=model,
            dtype=torch.float32,
            old_logprobs=anchor,
        )
        results.append((row, model.state_dict()))
    (whole, weights), (cut, others) = results
    for key in ("loss", "grad_norm"):
        assert cut[key] == pytest.approx(whole[key], rel=1e-4)
    for name, weight in weights.items():
        torch.testing.assert_close(weight, others[name], rtol=1e-4, atol=1e-6)


def test_a_process_model_learns_from_whole_rollouts(settings):
    """Its loss is the cross-entropy of sums over both rows of a rollout, and packs do not change the update."""
    batch = make_batch(in_two_turns([1.0, 0.0, 1.0]))
    results = []
    for budget in (4096, 4):
        config = RLConfig(**settings, token_budget=budget, critic=CriticConfig(learning_rate=1e-2))
        model = ProcessModel(config, SimpleNamespace(device="cpu", dtype=torch.float32))
        told = {"succeeded": batch.rewards > 0}
        model.learn(batch, {**told, **model.signals(batch, told, step=10)}, step=10)
        known = {**told, **model.signals(batch, told, step=11)}
        sums = known["process_rewards"].sum(dim=1).view(3, 2).sum(dim=1)
        expected = (math.log1p(math.exp(-sums[0])) + math.log1p(math.exp(sums[1])) + math.log1p(math.exp(-sums[2]))) / 3
        found = model.learn(batch, known, step=11)
        assert found["process_loss"] == pytest.approx(expected, rel=1e-5)
        assert found["process_loss"] < math.log(2)
        results.append((found, model.learner.model.state_dict()))
    (whole, weights), (cut, others) = results
    assert cut["process_grad_norm"] == pytest.approx(whole["process_grad_norm"], rel=1e-3)
    for name, weight in weights.items():
        torch.testing.assert_close(weight, others[name], rtol=1e-3, atol=1e-4)


def test_a_process_model_may_learn_before_it_judges(settings):
    """Of two failures and a success it then says so at once: the outcomes are of the tests, whatever the rewards."""
    batch = make_batch(in_two_turns([-3.0, 7.5, -3.0]))  # as after an over-long penalty, or of a ladder
    known = {"succeeded": torch.tensor([False, True, False])}
    found = {}
    for update in ("after", "before"):
        critic = CriticConfig(learning_rate=1e-2)
        config = RLConfig(**settings, critic=critic, process=ProcessConfig(beta=1.0, update=update))
        model = ProcessModel(config, SimpleNamespace(device="cpu", dtype=torch.float32))
        signals = model.signals(batch, known, step=10)
        rewards = signals["process_rewards"].sum(dim=1).view(3, 2).sum(dim=1)
        found[update] = rewards.tolist(), model.learn(batch, {**known, **signals}, step=10)["process_loss"]
    (judged_first, one_loss), (learned_first, other_loss) = found["after"], found["before"]
    assert judged_first == [0.0, 0.0, 0.0] and one_loss == other_loss == pytest.approx(math.log(2), rel=1e-5)
    assert learned_first[1] > 0 > max(learned_first[0], learned_first[2])


@pytest.mark.parametrize("change", [{"overlong": 0.9}, {"reward": "ladder"}, {"reward": "adaptive"}], ids=str)
def test_a_process_model_takes_any_reward(settings, change):
    """Rewards outside [0, 1] are the policy's business: over-long answers at -1, the ladder's -0.3 and less."""
    run = metrics(train(RLConfig(**{**settings, **change}, algorithm="prime", steps=2, sampling=SHORT)))
    assert all(row["process_loss"] < 0.8 for row in run)


def slow_logprobs(model, groups):
    """Of every sampled token in turn, by a plain forward pass for each rollout; on the CPU."""
    found = []
    for rollout in (rollout for group in groups for rollout in group):
        (turn,) = rollout.turns
        with torch.no_grad():
            logits = model(torch.tensor([turn.prompt_ids + turn.completion_ids], device=model.device)).logits[0].cpu()
        predictors = logits[len(turn.prompt_ids) - 1 : -1].log_softmax(-1)
        found += [float(row[token]) for row, token in zip(predictors, turn.completion_ids, strict=True)]
    return torch.tensor(found)


@pytest.mark.parametrize("device", DEVICES)
def test_with_adapters_the_reference_stays_the_starting_model(settings, monkeypatch, device):
    """KL is the mean over tokens of exp(ref - new) - 1 - (ref - new), however far the adapters have moved."""
    groups = made_up([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    starting, _ = tiny_model("llama")
    model = add_lora(tiny_model("llama")[0].to(device), rank=4, alpha=8.0)
    config = RLConfig(**settings, steps=4, kl_coef=0.1, optim=replace(FAST, learning_rate=2e-2), sampling=SHORT)
    learner = Learner(model, make_optimizer(model, config.optim))
    used = []

    def seen_kl_k3(logprobs, ref_logprobs, mask):
        used.append(ref_logprobs[mask])
        return kl_k3(logprobs, ref_logprobs, mask)

    monkeypatch.setattr(policy, "kl_k3", seen_kl_k3)
    ref, kls = slow_logprobs(starting, groups), []
    for step in range(config.steps):
        new = slow_logprobs(model, groups)
        reference = rl._reference(model, config)
        batch, dtype = make_batch(groups), torch.float32
        advantages = GRPO.advantage(batch.rewards, batch.group_ids)
        found = update_policy(learner, batch, advantages, config, GRPO, step=step, reference=reference, dtype=dtype)
        torch.testing.assert_close(used[-1], ref, rtol=0, atol=1e-5)
        k3 = [math.exp(r - n) - 1 - (r - n) for r, n in zip(ref.tolist(), new.tolist(), strict=True)]
        assert found["kl"] == pytest.approx(sum(k3) / len(k3), rel=1e-3, abs=1e-6)
        kls.append(found["kl"])
    assert kls[0] < 1e-6 and kls[-1] > 1e-3
    assert (new - ref).abs().max() > 0.05  # far enough apart to be told apart


def test_parts_of_scores_are_logged(settings, workshop):
    rows = metrics(train(RLConfig(**{**settings, "reward": f"{workshop}/my.py:in_parts"}, steps=1, sampling=SHORT)))
    assert rows[0]["part_constant"] == 1.0
    assert rows[0]["part_ascii"] == pytest.approx(rows[0]["reward"])


def test_infrastructure_failures_leave_the_batch_and_none_keeps_its_row():
    groups = made_up([[1.0, 0.0]])
    failed = replace(groups[0][0], status="error", turns=(), score=Score(None))
    unscored = replace(groups[0][1], score=Score(None))
    batch = make_batch([[groups[0][0], groups[0][1], failed, unscored]])
    assert batch.num_rollouts == 3
    assert torch.isnan(batch.rewards).tolist() == [False, False, True]
    assert make_batch([[failed]]) is None
