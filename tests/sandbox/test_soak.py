"""The soak of `benchmarks/soak.py`, short: every verdict right, nothing left."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from scripts import FOLDER, benchmark

import verigrad
from verigrad.sandbox.base import LEVELS

SCRIPT = FOLDER / "soak.py"


def test_a_share_of_values():
    soak = benchmark("soak")
    values = [float(n) for n in range(1000, 0, -1)]
    assert soak.quantile(values, 0.999) == 999  # of a thousand, one is greater
    assert soak.quantile(values, 1.0) == 1000
    assert soak.quantile(values[:500], 0.999) == 1000  # of 500 none may be
    assert soak.quantile([3.0, 1.0, 2.0], 0.5) == 2
    assert soak.quantile([], 0.5) == 0


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
