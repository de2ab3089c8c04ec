"""The recipes of both tracks: every stage's words are understood, and the tiny one runs to its end in miniature."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from verigrad.cli.train import recipe_path
from verigrad.evaluation.twins.config import CompareConfig
from verigrad.models.gguf import default_model_dir
from verigrad.settings import load_config
from verigrad.training.config import TinyConfig
from verigrad.training.loops import LOOPS
from verigrad.training.pipeline import read_pipeline

SMALL = {"texts": 80, "annealed": 40, "demonstrations": 40, "hidden": 32, "layers": 2, "heads": 2, "feed_forward": 48}
SMALL |= {"batch": 16, "anneal_steps": 3, "noise_steps": 2, "rl_steps": 2, "rl_tasks": 2, "group": 2}
SMALL |= {"rl_steps_same_compute": 3, "held_out": 4, "samples": 2, "threads": 1, "canvas": 56}
# For 135 million weights on a CPU: a step or two of each stage.
LEAST = {"texts": 16, "annealed": 8, "demonstrations": 8, "depth": 1, "canvas": 48, "batch": 8, "budget": 2048}
LEAST |= {"anneal_steps": 1, "noise_steps": 1, "answer_epochs": 1, "rl_steps": 1, "rl_tasks": 1, "group": 2, "slots": 8}
LEAST |= {"rl_steps_same_compute": 1, "held_out": 2, "samples": 1, "dtype": "float32", "threads": 1}


@pytest.mark.parametrize("name", ["diffusion-tiny", "diffusion-smollm2"])
def test_every_stage_has_settings_that_its_command_takes(name):
    stages = read_pipeline(recipe_path(name), {"run": "runs/x", "seed": "3"}).stages
    configs = {"tiny": TinyConfig, "compare": CompareConfig, **{key: loop.settings for key, loop in LOOPS.items()}}
    runs = set()
    for stage in stages:
        command, *words = stage.command
        config = load_config(configs[command], None, words)
        assert config.seed == 3 and stage.makes.parent == Path(config.run)
        model = getattr(config, "model", "")
        assert not model.startswith("runs/x") or str(Path(model).parent) in runs, "a model of a stage still to come"
        runs.add(config.run)
    control, adapted = (
        load_config(configs[c], None, w) for c, *w in (_named(stages, n) for n in ("control", "adapted"))
    )
    assert (control.model, control.text, control.epochs, control.batch_size) == (
        *(adapted.model, adapted.text, adapted.epochs, adapted.batch_size),
    )
    assert control.fim == 0.5


def _named(stages, name):
    (found,) = [stage.command for stage in stages if stage.name == name]
    return found


def run_of(name, folder, values):
    """Runs a pipeline; the words of its command."""
    words = [word for key, value in values.items() for word in (f"--{key}", str(value))]
    command = [sys.executable, "-m", "verigrad", "pipeline", name, "--run", str(folder), *words]
    subprocess.run(command, check=True, env=os.environ)
    return command


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_tiny_track_runs_from_nothing_to_the_page_and_goes_on(tmp_path):
    command = run_of("diffusion-tiny", tmp_path / "run", SMALL)
    record = json.loads((tmp_path / "run" / "pipeline.json").read_text())["stages"]
    assert len(record) == 13
    summary = json.loads((tmp_path / "run" / "compare" / "summary.json").read_text())
    assert set(summary["parts"]) == {
        *("temperature", "steps", "infilling", "repair", "output", "order", "likelihood"),
    }
    assert summary["num_tasks"] == 4
    assert {name.partition("/")[0] for name in summary["parts"]["order"]} == {"diffusion", "before"}
    assert "The causal model wins" in (tmp_path / "run" / "compare" / "compare.html").read_text()
    done = subprocess.run(command, check=True, env=os.environ, capture_output=True, text=True)
    assert done.stdout.count("done before") == 13


def small_model(folder):
    """The default model's tokenizer, and weights of its kind that are few and random; returns its path."""
    tokenizer = AutoTokenizer.from_pretrained(default_model_dir())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
        ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
        model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), tie_word_embeddings=True, **sizes, **ids))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("model", ["small", "smollm2-135m-instruct"])
def test_the_track_of_the_default_model_runs_through_every_stage(tmp_path, model):
    """With a step or two of each stage, on few weights and on its own; what they give says nothing."""
    run = tmp_path / "run"
    run_of("diffusion-smollm2", run, {**LEAST, "model": small_model(tmp_path / model) if model == "small" else model})
    record = json.loads((run / "pipeline.json").read_text())["stages"]
    stages = read_pipeline(recipe_path("diffusion-smollm2"), {"run": str(run), "seed": "0"}).stages
    assert {*record} == {stage.name for stage in stages} and all(stage.makes.exists() for stage in stages)
    for name, before in (("trace", "tuned"), ("grpo", "control-tuned")):
        start, end = (load_file(run / folder / "model" / "model.safetensors") for folder in (before, name))
        assert {key for key, tensor in start.items() if not torch.equal(tensor, end[key])} <= {"model.norm.weight"}
    summary = json.loads((run / "compare" / "summary.json").read_text())
    assert summary["num_tasks"] == 2 and len(summary["parts"]) == 7
