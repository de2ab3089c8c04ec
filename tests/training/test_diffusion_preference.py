"""Preferences with a masked-diffusion model: policy and reference look through the same masks (VRPO)."""

import math
from pathlib import Path

import pytest
import torch
from loops import check_a_stopped_run_goes_on, pairs, train_metrics
from tiny import END, tiny_diffusion, tiny_tokenizer

from verigrad.engines.base import Request, SamplingParams, generate
from verigrad.engines.diffusion import DenoiseEngine
from verigrad.errors import ConfigError
from verigrad.models.checkpoint import save_model
from verigrad.preferences.records import write_records
from verigrad.training import preference
from verigrad.training.config import OptimConfig, PreferenceConfig, SamplingConfig, ScoringConfig
from verigrad.training.preference import train
from verigrad.types import Row


@pytest.fixture
def settings(tmp_path):
    model, _ = tiny_diffusion()
    save_model(model, tiny_tokenizer(), tmp_path / "diffusion")
    write_records(tmp_path / "pairs.jsonl", pairs())
    return {
        "run": str(tmp_path / "run"),
        "model": str(tmp_path / "diffusion"),
        "data": str(tmp_path / "pairs.jsonl"),
        "dtype": "float32",
        "device": "cpu",
        "batch_size": 6,
        "max_length": 128,
        "threads": 1,
        "sampling": SamplingConfig(max_tokens=10),
        "optim": OptimConfig(learning_rate=3e-3, warmup_steps=1),
    }


@pytest.mark.parametrize("estimator", [None, "left_to_right", "mean_field"])
def test_preferred_answers_become_likelier(settings, estimator):
    config = PreferenceConfig(**settings, epochs=5, diffusion=ScoringConfig(estimator=estimator))
    rows = train_metrics(train(config))
    assert rows[-1]["accuracy"] == 1.0 and rows[-1]["margin"] > 0.5


@pytest.mark.parametrize("token_budget", [40, 4096])
def test_shared_masks_make_the_first_difference_nothing(settings, token_budget):
    """Before the first update policy and reference agree on every pair, however they are cut into passes."""
    rows = train_metrics(train(PreferenceConfig(**settings, token_budget=token_budget)))
    assert rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-6) and abs(rows[0]["margin"]) < 1e-5
    assert rows[0]["grad_norm"] > 0.01


@pytest.mark.parametrize(("attention", "block_length", "places"), [("full", 0, 21), ("block", 8, 24)])
def test_an_answer_is_scored_on_the_canvas_the_sampler_gives_it(attention, block_length, places):
    """5 places of a prompt and 16 of an answer, and with blocks those up to the end of the third."""
    model, spec = tiny_diffusion(attention, block_length=block_length)
    engine = DenoiseEngine(model, tiny_tokenizer())
    (asked,) = generate(engine, [Request(prompt_ids=(1,) * 5, params=SamplingParams(max_tokens=16, temperature=1.0))])
    ids = (1,) * 5 + (60,) * 13 + (END,)
    row = Row(ids, (False,) * 5 + (True,) * 14, (0.0,) * 19, (1.0,) * 19, {}, 5)
    on_canvas = preference._on_canvas(row, spec, 16)
    assert len(on_canvas.ids) == len(on_canvas.mask) == places and on_canvas.tail_length == places - 19
    assert on_canvas.ids[19:] == (END,) * (places - 19) and not any(on_canvas.mask[19:])
    assert places == 5 + len(asked.ids) + len(asked.tail.ids if asked.tail else ())


@pytest.mark.parametrize("estimator", ["elbo", "left_to_right"])
@pytest.mark.parametrize(("attention", "block_length"), [("full", 0), ("block", 8), ("prefix", 0)])
def test_no_pass_is_larger_than_the_budget_and_cutting_changes_nothing(
    settings, monkeypatch, attention, block_length, estimator
):
    """Without a reference the loss is not linear in the log-probs, so that what is cut up has to come together."""
    model, _ = tiny_diffusion(attention, block_length=block_length)
    save_model(model, tiny_tokenizer(), Path(settings["model"]))
    sizes, gradients = [], []
    score_pack, clip = preference.score_pack, preference.clip_gradients

    def noting(model, pack, batch, **options):
        sizes.append(pack.num_tokens)
        return score_pack(model, pack, batch, **options)

    def keeping(parameters, most):
        parameters = list(parameters)
        gradients.append(torch.cat([p.grad.flatten().clone() for p in parameters]))
        return clip(parameters, most)

    monkeypatch.setattr(preference, "score_pack", noting)
    monkeypatch.setattr(preference, "clip_gradients", keeping)
    few = {**settings, "loss": "simpo", "diffusion": ScoringConfig(estimator=estimator)}
    view = 64 if attention == "block" else 32  # a prompt, an answer and a block's rest, at most
    for budget in (1 << 20, 3 * view):
        sizes.clear()
        train(PreferenceConfig(**{**few, "run": f"{few['run']}-{budget}"}, epochs=1, token_budget=budget))
    assert len(sizes) > 2 and max(sizes) <= 3 * view
    whole, _, cut, _ = gradients  # two steps each
    assert float(whole.norm()) > 1e-3 and torch.allclose(whole, cut, atol=1e-5 * float(whole.norm()), rtol=1e-3)


def test_a_stopped_run_goes_on_to_the_same_weights(settings):
    check_a_stopped_run_goes_on(train, PreferenceConfig, {**settings, "epochs": 3, "checkpoint_every": 2})


def test_online_pairs_are_sampled_by_denoising(settings, tmp_path):
    """The miner finds pairs in what the model wrote on its canvas; their masks are the reference's."""
    (tmp_path / "my.py").write_text(
        "from verigrad import AnswerTest, Oracle, Task\n"
        "from verigrad.preferences.records import Pair\n"
        "from verigrad.tasks.base import TaskSet\n\n\n"
        "def load():\n"
        "    task = Task(id='say@1/1', prompt='Say 1.', language='text')\n"
        "    oracle = Oracle(task_id=task.id, tests=(AnswerTest('a', 1),), gold='1')\n"
        "    return TaskSet('say@1', (task,), {task.id: oracle}, {})\n\n\n"
        "def longest(answers, *, max_records=0, seed=0):\n"
        "    ordered = sorted(answers, key=lambda answer: len(answer.text))\n"
        "    return [Pair(prompt=ordered[0].prompt, chosen=ordered[-1].text + 'x', rejected=ordered[0].text + 'y')]\n"
    )
    mined = {key: value for key, value in settings.items() if key != "data"}
    config = PreferenceConfig(
        **mined, tasks=f"{tmp_path}/my.py:load", miner=f"{tmp_path}/my.py:longest", tasks_per_round=1, group_size=4
    )
    (row,) = train_metrics(train(config))
    assert row["records"] == 1 and row["loss"] == pytest.approx(math.log(2), abs=1e-6)


def test_what_does_not_go_together_is_refused(settings, workshop):
    with pytest.raises(ConfigError, match="go by the states a sampler visited"):
        train(PreferenceConfig(**settings, diffusion=ScoringConfig(estimator="trace")))
    with pytest.raises(ConfigError, match="weighs tokens"):
        train(PreferenceConfig(**settings, loss="weighted_dpo", token_weights="diff"))
    causal = {**settings, "model": str(workshop / "model")}
    with pytest.raises(ConfigError, match="is a causal one"):
        train(PreferenceConfig(**causal, diffusion=ScoringConfig(estimator="elbo")))
