"""The recipes of both tracks: every stage's words are understood, and the tiny one runs to its end in miniature."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from verigrad.cli.train import recipe_path
from verigrad.evaluation.twins.config import CompareConfig
from verigrad.settings import load_config
from verigrad.training.config import TinyConfig
from verigrad.training.loops import LOOPS
from verigrad.training.pipeline import read_pipeline

SMALL = {"texts": 80, "annealed": 40, "demonstrations": 40, "hidden": 32, "layers": 2, "heads": 2, "feed_forward": 48}
SMALL |= {"batch": 16, "anneal_steps": 3, "noise_steps": 2, "rl_steps": 2, "rl_tasks": 2, "group": 2}
SMALL |= {"rl_steps_same_compute": 3, "held_out": 4, "samples": 2, "threads": 1, "canvas": 56}


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


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_tiny_track_runs_from_nothing_to_the_page_and_goes_on(tmp_path):
    words = [word for key, value in SMALL.items() for word in (f"--{key}", str(value))]
    command = [sys.executable, "-m", "verigrad", "pipeline", "diffusion-tiny", "--run", str(tmp_path / "run"), *words]
    subprocess.run(command, check=True, env=os.environ)
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
