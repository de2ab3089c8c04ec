"""The estimate of a dry run against what runs took (docs/results.md), and its parts against counts by hand."""

import json
import re
from dataclasses import replace

import pytest
from tiny import tiny_diffusion, tiny_model, tiny_tokenizer

from verigrad.cli.train import recipe_path
from verigrad.models.checkpoint import save_model
from verigrad.settings import load_config
from verigrad.tasks import load_tasks
from verigrad.training import estimate as module
from verigrad.training.config import (
    AuditConfig,
    CostConfig,
    DiffusionConfig,
    LoraConfig,
    OptimConfig,
    PreferenceConfig,
    ProcessConfig,
    ReportConfig,
    RewardModelConfig,
    RLConfig,
    SamplingConfig,
    SFTConfig,
)
from verigrad.training.estimate import Shape, Work, estimate, memory, model_shape, work

GIB = 2**30
SMOL = Shape(vocabulary=49152, hidden=576, layers=30, heads=9, kv_heads=3, head_dim=64, inner=1536, gates=2, tied=True)


def recipe(kind, name, **changes):
    return replace(load_config(kind, recipe_path(name)), **changes)


STEP = {"tasks_per_step": 4, "slots": 32, "sampling": SamplingConfig(max_tokens=96)}
PEAKS = {  # docs/results.md
    "quickstart": (lambda: recipe(RLConfig, "quickstart"), 5.7),
    "mastery": (lambda: recipe(SFTConfig, "mastery"), 6.1),
    "step, bf16": (lambda: RLConfig(**STEP), 4.7),
    "step, fp32": (lambda: RLConfig(**STEP, dtype="float32"), 6.5),
}


@pytest.mark.parametrize("run", PEAKS)
def test_memory_is_within_half_of_what_was_measured(run):
    config, measured = PEAKS[run]
    assert 1 / 1.5 < sum(memory(config(), SMOL).values()) / GIB / measured < 1.5


def test_time_of_the_quickstart_is_within_half_of_what_was_measured():
    """17 min 48 s on 2 cores from nothing, of which a minute is set-up and judging goes on beside."""
    config = recipe(RLConfig, "quickstart")
    assert 1 / 1.5 < module._seconds("bfloat16", SMOL, work(config)) / 60 / 16.8 < 1.5


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "gpt_neox"])
def test_sizes_come_from_the_config(family, tmp_path):
    """All matrices of the model, which lack only norms and biases of all its weights."""
    model, _ = tiny_model(family)
    model.save_pretrained(tmp_path)
    found = model_shape(str(tmp_path))
    assert found.vocabulary == 259
    assert found.parameters == sum(p.numel() for p in model.parameters() if p.ndim == 2)


def test_no_model_no_estimate():
    assert model_shape("/nowhere") is None
    assert "is not on this machine yet" in estimate(RLConfig(model="/nowhere"))


@pytest.mark.parametrize("text", ['{"model_type": "gpt2", "n_head": 2}', "[]", "{"])
def test_a_config_of_another_kind_gives_no_estimate(text, tmp_path):
    (tmp_path / "config.json").write_text(text)
    told = estimate(RLConfig(model=str(tmp_path)))
    assert told.startswith(f"no estimate: {tmp_path}/config.json does not tell the sizes of a decoder: ")


def test_adapters_are_counted():
    """Rank 2, one layer of width 8, 2 heads of 4, 1 key/value head, 16 inside: q and o (8 + 8), k and v (8 + 4), three
    matrices (8 + 16); twice the sum."""
    shape = Shape(10, hidden=8, layers=1, heads=2, kv_heads=1, head_dim=4, inner=16, gates=2, tied=True)
    assert shape.adapters(2) == 2 * (2 * 16 + 2 * 12 + 3 * 24)


def test_what_costs_memory_and_what_saves_it():
    plain = RLConfig(**STEP)
    sizes = memory(plain, SMOL)
    assert memory(replace(plain, lora=LoraConfig(rank=8)), SMOL)["gradients and optimizer"] < 0.1 * GIB
    assert memory(replace(plain, gradient_checkpointing=True), SMOL)["activations"] < sizes["activations"] / 5
    assert memory(replace(plain, token_budget=768), SMOL)["activations"] == sizes["activations"] / 2
    copy = 4 * SMOL.parameters
    assert sizes["other models"] == 0
    masked = memory(plain, replace(SMOL, diffusion=True))  # sampled from as it is: old and new weights in float32
    assert masked["sampler"] - sizes["sampler"] == 2 * (4 - 2) * SMOL.parameters
    assert memory(replace(plain, kl_coef=0.1), SMOL)["other models"] == copy
    assert memory(replace(plain, kl_coef=0.1, lora=LoraConfig(rank=8)), SMOL)["other models"] == 0
    assert memory(replace(plain, algorithm="ppo"), SMOL)["other models"] == 4 * copy
    costly = replace(plain, algorithm="safe_rlhf", cost=CostConfig(model="c"), reward_model="r")
    assert memory(costly, SMOL)["other models"] == 2 * copy
    rounds = PreferenceConfig(tasks="builtin", rounds=2, reference="start")
    assert memory(rounds, SMOL)["other models"] == copy
    for less in ({"rounds": 1}, {"reference": "round"}, {"loss": "simpo"}, {"lora": LoraConfig(rank=8)}):
        assert "other models" not in memory(replace(rounds, **less), SMOL)
    assert not {"sampler", "head"} & memory(RewardModelConfig(data="x.jsonl"), SMOL).keys()


def test_the_quickstarts_completions():
    """60 steps of 8 x 8; splits of 305, 85 and 219 tasks before and after, and three validations.

    The first instance of each of the 61 families of the first split is in the last one too, and sampled once.
    """
    config = recipe(RLConfig, "quickstart")
    validation = len(load_tasks(config.report.validation))
    planned = work(config)
    assert planned.completions == 3840
    assert planned.evaluations == 2 * (305 + 85 + 219 - 61) + 3 * validation
    assert planned.trained == 3840 * 64 + 480 * 128
    assert planned.sampled == planned.trained + planned.evaluations * (64 + 128)
    assert planned.scored == 0


STEPS = {"steps": 3, "tasks_per_step": 2, "group_size": 4, "sampling": SamplingConfig(max_tokens=10)}
ONCE = 3 * 2 * (128 + 4 * 10)  # positions of all groups: a prompt each, run once, and four answers
GREEDY = 3 * 2 * (128 + 10)


@pytest.mark.parametrize(
    ("changes", "sampled", "trained", "scored"),
    [
        ({}, ONCE, ONCE, 0),
        ({"passes": 2}, ONCE, 2 * ONCE, ONCE),  # the anchor of the ratio
        ({"kl_coef": 0.1, "passes": 2}, ONCE, 2 * ONCE, 3 * ONCE),  # the reference in each pass
        ({"algorithm": "ppo"}, ONCE, 2 * ONCE, ONCE),
        ({"algorithm": "ppo", "kl_coef": 0.1}, ONCE, 2 * ONCE, 3 * ONCE),  # policy and reference, once each
        ({"algorithm": "remax"}, ONCE + GREEDY, ONCE, 0),
        ({"algorithm": "prime"}, ONCE, 2 * ONCE, 2 * ONCE),
        # What has learned judges again.
        ({"algorithm": "prime", "process": ProcessConfig(update="before")}, ONCE, 2 * ONCE, 3 * ONCE),
        ({"algorithm": "ppo_ewma"}, ONCE, ONCE, ONCE),
        ({"resample": 2}, 3 * ONCE, ONCE, 0),
        ({"reward_model": "r", "replay": 5}, ONCE, 2 * ONCE, 2 * ONCE),
        ({"gold_coef": 0.5, "minibatches": 2}, ONCE, ONCE + 2 * GREEDY, ONCE),
        ({"audit": AuditConfig(probe_every=2, probe_tasks=3, probe_samples=5)}, ONCE + 2 * 3 * (128 + 50), ONCE, 0),
    ],
)
def test_what_algorithms_pass_over(changes, sampled, trained, scored):
    planned = work(RLConfig(report=ReportConfig(), **{**STEPS, **changes}))
    assert (planned.sampled, planned.trained, planned.scored) == (sampled, trained, scored)


def test_a_file_of_demonstrations_is_counted(tmp_path):
    """Seven rows in batches of 4 for 3 epochs are 6 steps: validations after 2, 4, 6."""
    rows = "".join(json.dumps({"prompt": "p" * 100, "completion": "c" * 50}) + "\n" for _ in range(7))
    (tmp_path / "data.jsonl").write_text(rows + "\n")
    (tmp_path / "my.py").write_text(
        "from verigrad import AnswerTest, Oracle, Task\nfrom verigrad.tasks.base import TaskSet\n"
        "def load():\n"
        "    tasks = tuple(Task(id=f't@1/{n}', prompt='p', language='text') for n in range(5))\n"
        "    oracles = {task.id: Oracle(task_id=task.id, tests=(AnswerTest('a', 0),)) for task in tasks}\n"
        "    return TaskSet('t', tasks, oracles, {})\n"
    )
    report = ReportConfig(validation=f"{tmp_path}/my.py:load", validate_every=2, validation_samples=3, max_tokens=10)
    config = SFTConfig(data=f"{tmp_path}/data.jsonl", epochs=3, batch_size=4, optim=OptimConfig(), report=report)
    planned = work(config)
    assert planned.evaluations == 3 * 5 * 3
    assert planned.trained == 3 * ((len(rows) + 1) // 3)
    pairs = work(PreferenceConfig(data=f"{tmp_path}/data.jsonl", epochs=2))
    assert (pairs.scored, pairs.trained) == (planned.trained // 3, 2 * planned.trained // 3)


def test_a_machine_at_half_the_speed_takes_twice_as_long(monkeypatch):
    def minutes(rate):
        monkeypatch.setattr(module, "_products_per_second", lambda dtype, threads: rate)
        config = RLConfig(threads=2, dtype="float32")
        return float(re.search(r"up to (\d+) minutes", module._time_line(config, SMOL, Work(10**7, 10**6, 0)))[1])

    assert minutes(445e9 / 20) == pytest.approx(2 * minutes(445e9 / 10), rel=0.02)


def test_the_rate_of_products_is_that_of_products():
    """More than a plain loop could do, less than any processor."""
    assert 1e8 < module._products_per_second("float32", 1) < 1e14


def test_seconds_by_hand():
    """1000 positions sampled, 10 scored and 100 trained by 1e9 weights in float32."""
    shape = Shape(0, hidden=1, layers=1, heads=0, kv_heads=0, head_dim=0, inner=10**9 // 3, gates=2, tied=True)
    expected = 2e9 * (1000 / 160e9 + 310 / 245e9)
    assert module._seconds("float32", shape, Work(1000, 100, 10)) == pytest.approx(expected, rel=1e-6)


def test_disk_of_the_quickstart():
    """Two checkpoints and one being written, of 12 bytes a weight, and the model of 4."""
    config = recipe(RLConfig, "quickstart")
    found = module._disk(config, SMOL, work(config))
    assert found["checkpoints"] == 3 * 12 * SMOL.parameters
    assert found["model"] == 4 * SMOL.parameters
    assert found["rollouts"] < 0.05 * GIB


def test_no_time_is_made_up_for_masked_diffusion_models(tmp_path):
    """Neither for one that is to become one nor for a checkpoint that is; the rest is told as of others."""
    (tmp_path / "texts.jsonl").write_text('{"text": "abc"}\n')
    tiny_model("llama")[0].save_pretrained(tmp_path / "causal")
    save_model(tiny_diffusion()[0], tiny_tokenizer(), tmp_path / "diffusion")
    adapt = DiffusionConfig(text=str(tmp_path / "texts.jsonl"), model=str(tmp_path / "causal"), device="cpu")
    improve = RLConfig(model=str(tmp_path / "diffusion"), tasks="builtin-easy@1?split=train", steps=2, device="cpu")
    for config in (adapt, improve):
        *others, line = estimate(config).splitlines()
        assert line.startswith("time: ") and "no estimate for masked-diffusion models" in line
        assert not re.search("minutes|positions", line)
        assert others[1].startswith("memory: about ") and others[2].startswith("disk: about ")
        assert others[2].endswith(f"below {config.run}")  # a tiny model's parts are all 0.0 GiB, and none is named


def test_a_source_that_is_not_there_is_said(workshop):
    config = RLConfig(model=str(workshop / "model"), device="cpu", report=ReportConfig(splits={"x": "mbpp:nowhere"}))
    lines = estimate(config).splitlines()
    assert lines[1].startswith("memory: about ") and lines[2].startswith("no estimate of disk and time: ")
