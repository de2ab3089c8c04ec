"""Made-up preferences, a reporter that stops a run, and what a run logged: for the tests of training loops."""

import contextlib
import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from verigrad.preferences.records import Pair
from verigrad.training.config import ReportConfig
from verigrad.training.reporter import Silent
from verigrad.types import Message

__all__ = [
    "check_a_stopped_run_goes_on",
    "check_the_best_is_kept",
    "check_the_page_explains",
    "check_the_page_explains_the_summary",
    "pairs",
    "train_metrics",
    "train_until",
]

CLOCK = {"seconds", "seconds_sampling", "tokens_per_second"}


def pairs(count=12):
    """Chosen answers are of one letter, rejected ones of another; lengths differ either way."""
    return [
        Pair(
            prompt=(Message("user", f"Say {n}."),),
            chosen="a" * (3 + n % 4) + str(n),
            rejected="b" * (3 + (n + 2) % 4) + str(n),
        )
        for n in range(count)
    ]


def train_metrics(folder):
    check_the_page_explains_the_summary(folder)
    rows = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    check_the_page_explains(rows)
    rows = [row for row in rows if row["kind"] == "train"]
    return [{key: value for key, value in row.items() if key not in CLOCK} for row in rows]


def summary(folder):
    return json.loads((Path(folder) / "summary.json").read_text())


def check_the_page_explains(rows):
    """Every key of a run's metrics stands in docs/metrics.md."""
    page = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text()
    known = {"step", "kind", *re.findall(r"`(\w[\w.@]*)`", page)}
    families = ("part_", "corr_", "masked_ce_")  # `part_NAME`, `corr_NAME`, and shares that were masked
    unknown = {key for row in rows for key in row if key not in known and not key.startswith(families)}
    assert not unknown, f"docs/metrics.md does not explain {sorted(unknown)}"


def check_the_page_explains_the_summary(folder):
    """Every key of a run's `summary.json`, of its splits and its set-up stands in that section of docs/metrics.md."""
    if not (Path(folder) / "summary.json").exists():  # of a run that was stopped
        return
    page = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text()
    known = set(re.findall(r"`([\w@]+)`", page.partition("\n## `summary.json`\n")[2]))
    found = summary(folder)
    tables = [found, found.get("setup", {}), *found.get("splits", {}).values()]
    tables += [side for split in found.get("splits", {}).values() for side in split.values() if isinstance(side, dict)]
    unknown = {key for table in tables for key in table} - known
    assert not unknown, f"docs/metrics.md does not explain {sorted(unknown)} of summary.json"


class Stopping(Silent):
    """Raises after so many steps, as a kill would."""

    def __init__(self, after):
        self.left = after

    def step(self, row):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


class _Reached(Exception):
    pass


class _Until(Silent):
    """Raises once the mean reward of the last three steps is above a bar."""

    def __init__(self, bar):
        self.bar, self.seen = bar, []

    def step(self, row):
        self.seen.append(row["reward"])
        if sum(self.seen[-3:]) / 3 > self.bar and len(self.seen) > 3:
            raise _Reached


def train_until(train, config, bar):
    """Mean rewards of the first three steps and of the last, which is that where the bar was passed, if it was."""
    until = _Until(bar)
    with contextlib.suppress(_Reached):
        train(config, reporter=until)
    return sum(until.seen[:3]) / 3, sum(until.seen[-3:]) / 3


def check_a_stopped_run_goes_on(train, config_type, settings):
    """Stopped after three steps and resumed, a run logs the same rows and ends at the same weights: bit for bit on the
    CPU, up to the order in which sums are taken on a GPU, which adds to one place from many threads.
    """
    whole = train(config_type(**{**settings, "run": settings["run"] + "-whole"}))
    config = config_type(**settings)
    with pytest.raises(KeyboardInterrupt):
        train(config, reporter=Stopping(3))
    resumed = train(config, resume=True)
    one, other = (load_file(folder / "model" / "model.safetensors") for folder in (whole, resumed))
    assert one.keys() == other.keys() and summary(whole).keys() == summary(resumed).keys()
    if settings["device"] == "cpu":
        assert train_metrics(resumed) == train_metrics(whole)
        assert all(torch.equal(one[name], other[name]) for name in one)
        return
    for row, expected in zip(train_metrics(resumed), train_metrics(whole), strict=True):
        assert row == pytest.approx(expected, rel=1e-3, abs=1e-3)
    for name in one:  # AdamW makes a whole step of a gradient that is nothing but rounding, so not every weight agrees
        assert float(((one[name] - other[name]).abs() > 1e-3).float().mean()) < 0.01, name


def check_the_best_is_kept(train, config_type, settings, validation):
    """No validation answer ever passes, so the first stays the best, and the run ends as it was then."""
    report = ReportConfig(validation=validation, validate_every=1, max_tokens=4, keep_best=True)
    folder = train(config_type(**{**settings, "report": report, "keep_checkpoints": 1, "checkpoint_every": 0}))
    saved = load_file(folder / "model" / "model.safetensors")
    first, *_, last = sorted((folder / "checkpoints").iterdir())
    told = summary(folder)
    check_the_page_explains_the_summary(folder)
    assert first.name == "step-000001" and told["best_step"] == 1
    if "tokens" in told:  # of the whole run, not of what was done when it was best
        assert told["tokens"] == sum(row["completion_tokens_total"] for row in train_metrics(folder))
    best, final = (load_file(checkpoint / "policy.safetensors") for checkpoint in (first, last))
    assert all(torch.equal(weight, best[name]) for name, weight in saved.items())
    assert not all(torch.equal(weight, final[name]) for name, weight in saved.items())
