"""The soak of `benchmarks/soak.py`, short: every verdict right, nothing left."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import verigrad
from verigrad.sandbox.base import LEVELS

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "soak.py"


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS[1:])
def test_a_short_soak(box_at, level):
    box_at(level)
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--programs", "1500", "--minutes", "4", "--level", level, "--json"],
        env={"PYTHONPATH": str(Path(verigrad.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
        timeout=290,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    records = {record["name"]: record for record in map(json.loads, done.stdout.splitlines())}
    assert records["soak.wrong_verdicts"]["programs"] == 1500
    assert records["soak.wrong_verdicts"]["level"] == level
