"""Methods made for code in the whole loop: their state survives a kill, and their pieces do what they say."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from loops import check_a_stopped_run_goes_on, train_metrics

from verigrad.algorithms.presets import GRPO, PRESETS, RLTF
from verigrad.errors import ConfigError
from verigrad.models.base import Batch
from verigrad.training.advantages import advantages_of
from verigrad.training.batching import rows_batch
from verigrad.training.companions import OutcomeCritic
from verigrad.training.config import CriticConfig, OptimConfig, RLConfig, SamplingConfig, SFTConfig
from verigrad.training.rl import train
from verigrad.training.sft import train as fine_tune
from verigrad.types import Row

CODING = '''
from verigrad import CallTest, Oracle, Task
from verigrad.tasks.base import TaskSet

GOLD = """def f(n):
    if n > {k}:
        return 1
    return 0
"""


def load():
    ids = {k: f"step@1/{k}" for k in range(4)}
    tasks = tuple(Task(id=id_, prompt=f"n > {k}?", entry_point="f") for k, id_ in ids.items())
    oracles = {
        id_: Oracle(
            task_id=id_,
            tests=tuple(CallTest(str(n), (n,), int(n > k)) for n in (k, k + 1)),
            gold=GOLD.format(k=k),
        )
        for k, id_ in ids.items()
    }
    return TaskSet("step@1", tasks, oracles, {})


def bare():
    tasks = load()
    oracles = {id_: Oracle(task_id=id_, tests=oracle.tests) for id_, oracle in tasks.oracles.items()}
    return TaskSet("step@1", tasks.tasks, oracles, {})


def always(task, answer, verdict):
    """Every answer is worth the same: nothing to learn from it."""
    return 1.0
'''


@pytest.fixture
def coding(settings, workshop):
    (workshop / "coding.py").write_text(CODING)
    return {
        **{key: value for key, value in settings.items() if key != "reward"},
        "tasks": f"{workshop}/coding.py:load",
        "max_length": 256,
        "tasks_per_step": 2,
        "group_size": 3,
        "steps": 6,
        "sampling": SamplingConfig(max_tokens=12),
        "optim": OptimConfig(learning_rate=1e-3, warmup_steps=0),
    }


@pytest.mark.parametrize(
    "name", ["coderl", *(pytest.param(name, marks=pytest.mark.slow) for name in ("rltf", "stepcoder"))]
)
def test_a_stopped_run_goes_on(coding, name):
    """The buffer, the curriculum and the critics are those of the run that was never stopped."""
    replay = {"replay": 12} if name == "rltf" else {}
    check_a_stopped_run_goes_on(train, RLConfig, {**coding, "algorithm": name, **replay})


def test_kept_rollouts_are_trained_on_again(coding, monkeypatch):
    """From the second step on there are twice as many groups in the update, and in no figure of fresh rollouts."""
    seen = []

    def watch(rewards, group_ids):
        seen.append(len(set(group_ids.tolist())))
        return torch.zeros_like(rewards)

    monkeypatch.setitem(PRESETS, "watched", replace(GRPO, name="watched", advantage=watch))
    rows = train_metrics(train(RLConfig(**coding, algorithm="watched", replay=9)))
    assert seen == [2, 4, 4, 4, 4, 4]
    assert all(row["completion_tokens_total"] <= 6 * 12 for row in rows)


def test_gold_programs_give_the_gradient_of_fine_tuning(coding, workshop):
    """With rewards that say nothing, what is left is `gold_coef` times supervised fine-tuning on the same tasks."""
    optim = OptimConfig(learning_rate=1e-4, warmup_steps=0, max_grad_norm=1e9)
    one = {**coding, "steps": 1, "optim": optim, "tasks_per_step": 4}
    rl = train_metrics(train(RLConfig(**one, reward=f"{workshop}/coding.py:always", gold_coef=3.0)))
    shared = ("model", "tasks", "dtype", "device", "max_length", "threads")
    sft = fine_tune(
        SFTConfig(
            **{key: coding[key] for key in shared},
            run=coding["run"] + "-sft",
            batch_size=4,
            epochs=1,
            optim=optim,
        )
    )
    (expected,) = train_metrics(sft)
    assert rl[0]["gold_loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert rl[0]["grad_norm"] == pytest.approx(3 * expected["grad_norm"], rel=1e-4)


def test_the_curriculum_begins_answers(coding):
    """What is given is no part of what is sampled, and a part of the program that is judged."""
    folder = train(RLConfig(**coding, algorithm="stepcoder"))
    rows = train_metrics(folder)
    assert rows[0]["curriculum_given"] == 3 / 4  # `return 0`, the last cut, has three lines before it
    first = [json.loads(line) for line in (Path(folder) / "rollouts" / "step-000001.jsonl").read_text().splitlines()]
    assert all("def f" not in row["completion"] for row in first)
    programs = [row["program"] for row in first if row["program"]]
    assert programs and all(program.startswith("def f(n):\n    if n >") for program in programs)


def test_weights_and_bonuses_by_token():
    mask = torch.tensor([[False, True, True], [False, True, False]])
    batch = Batch(
        views=(),
        mask=mask,
        sampler_logprobs=torch.zeros(2, 3),
        temperature=torch.ones(2, 3),
        kept={},
        prompt_lengths=torch.tensor([1, 1]),
        rollout_index=torch.tensor([0, 1]),
        group_ids=torch.tensor([0, 0]),
        rewards=torch.tensor([3.0, float("nan")]),
    )
    known = {
        "greedy_rewards": torch.tensor([1.0, 1.0]),
        "token_weights": torch.tensor([[0.0, 1.0, 0.5], [0.0, 1.0, 0.0]]),
        "token_bonus": torch.tensor([[0.0, -0.3, 0.0], [0.0, -0.3, 0.0]]),
    }
    advantages, _ = advantages_of(RLTF, batch, known, RLConfig())
    # (3 - 1) times the weight, plus the bonus; nothing for a rollout without a score.
    torch.testing.assert_close(advantages, torch.tensor([[0.0, 1.7, 1.0], [0.0, 0.0, 0.0]]))


def test_the_critic_of_outcomes_may_learn_alone_first(coding):
    """The policy's update, imitation and all, begins with the third step; the critic's with the first."""
    critic = CriticConfig(warmup_steps=2)
    rows = train_metrics(train(RLConfig(**{**coding, "steps": 3}, algorithm="coderl", critic=critic)))
    assert ["grad_norm" in row for row in rows] == ["gold_loss" in row for row in rows] == [False, False, True]
    assert all("outcome_loss" in row for row in rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"algorithm": "coderl"}, "reads gold programs"),
        ({"algorithm": "stepcoder"}, "reads gold programs"),
        ({"algorithm": "stepcoder", "replay": 10}, "replay and curriculum"),
    ],
)
def test_what_does_not_go_together_is_refused(coding, workshop, change, message):
    with pytest.raises(ConfigError, match=message):
        train(RLConfig(**{**coding, "tasks": f"{workshop}/coding.py:bare", **change}))


def test_the_critics_weights_leave_out_what_was_left_out_already(coding):
    """An untrained critic gives every token a quarter, also on top of weights that are there."""
    batch = rows_batch([Row((1, 2, 3), (False, True, True), (0.0,) * 3, (1.0,) * 3, {}, 1)], [0], [0], [1.0])
    critic = OutcomeCritic(RLConfig(**coding), SimpleNamespace(device="cpu", dtype=torch.float32))
    known = {"outcomes": torch.tensor([3]), "token_weights": torch.tensor([[0.0, 1.0, 0.0]])}
    torch.testing.assert_close(critic.signals(batch, known, 0)["token_weights"], torch.tensor([[0.0, 0.25, 0.0]]))
