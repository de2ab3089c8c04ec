"""The report's section on a reward model that was trained against: curves, warning, and when there is none."""

import json
import re

import numpy as np
import pytest
from evaluation.made_up import make_proxy_run, make_run
from evaluation.test_report import Outline

from verigrad.evaluation.reports.report import write_report

FALLING = [0.2 + 0.01 * min(s, 30 - s) for s in range(1, 31)]
WARNING = "Warning: the score rises, the programs get worse"


def page(folder):
    source = write_report(folder).read_text(encoding="utf-8")
    return source, " ".join(Outline(source).text.split())


def test_a_falling_pass_rate_under_a_rising_score_is_warned_about(tmp_path):
    """Passes rise to 35 % at step 15 and fall to 20 % at step 30; the score is 0.1 a step."""
    source, text = page(make_proxy_run(tmp_path / "run", FALLING))
    assert WARNING in text
    # The last half is steps 16 to 30; its quarters of three steps have their middles at 17 and 29.
    assert "From step 16 to the last, step 30" in text
    assert "(from about 1.7 to 2.9)" in text and "(from about 33.0 % to 21.0 %)" in text
    assert "<title>reward model's score, step 30: 3</title>" in source.replace("&#x27;", "'")
    assert "<title>programs that pass, step 15: 35 %</title>" in source


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_rising_runs_are_not(tmp_path, noise):
    rng = np.random.default_rng(0)
    gold = [0.2 + 0.01 * s + noise * rng.normal() for s in range(30)]
    _, text = page(make_proxy_run(tmp_path / "run", gold))
    assert "Warning" not in text and "No sign of over-optimisation" in text
    assert "Reward model against tests" in text and "Gold: programs that pass all tests" in text


def test_without_a_kl_it_is_said_that_there_is_none(tmp_path):
    source, text = page(make_proxy_run(tmp_path / "run", FALLING))
    assert "logged no KL from the reference" in text and "√KL" not in text
    assert source.count(">Over the run<") == 1


def test_a_kl_of_other_steps_than_the_scores_draws_no_curve(tmp_path):
    """A KL that is no number at every step that has a score: the page is written, and says that there is none."""
    _, text = page(make_proxy_run(tmp_path / "run", FALLING, kl=[float("nan")] * 30))
    assert "logged no KL from the reference" in text
    run = make_proxy_run(tmp_path / "other", FALLING)
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 31, "kind": "train", "kl": 0.1, "completion_tokens": 50}) + "\n")
    source, text = page(run)
    assert "logged no KL from the reference" in text and source.count(">Over the run<") == 1


def test_the_distance_is_the_root_of_the_kl_of_a_completion(tmp_path):
    """KL per token 0.02, 0.08, 0.18, ... times 50 tokens is 1, 4, 9: distances 1, 2, 3; a k1 below 0 counts as 0."""
    kl = [0.02 * s * s for s in range(1, 31)]
    kl[3] = -0.001
    source, text = page(make_proxy_run(tmp_path / "run", FALLING, kl=kl))
    assert "logged no KL" not in text
    label = re.escape("√KL from the reference (KL in nats per completion)")
    found = re.findall(rf"programs that pass, {label} ([\d.]+): ([\d.]+) %", source)
    assert [(float(x), float(y)) for x, y in found[:4]] == [(0, 24), (1, 21), (2, 22), (3, 23)]
    assert len(found) == 30 and WARNING in text


def test_a_small_distance_has_ticks_between_whole_numbers(tmp_path):
    kl = [0.0002 * s / 30 for s in range(1, 31)]  # at most 0.01 nats a completion, a distance of 0.1
    source, _ = page(make_proxy_run(tmp_path / "run", FALLING, kl=kl))
    assert re.search(r'class="mid">0\.06</text>', source)


def test_a_short_run_is_too_short_to_tell(tmp_path):
    _, text = page(make_proxy_run(tmp_path / "run", FALLING[-8:]))
    assert "Too few steps to tell over-optimisation from noise: 8, wanted at least 10." in text
    assert "Warning" not in text


def test_a_run_in_which_nothing_passes_is_not_called_sound(tmp_path):
    source, text = page(make_proxy_run(tmp_path / "run", [0.0] * 30))
    assert "No program passed its tests in any step" in text and "No sign" not in text
    assert "-100 %" not in source and "-50 %" not in source  # no room below nothing on the axis


def test_other_runs_have_no_such_section(tmp_path):
    _, text = page(make_run(tmp_path / "run"))
    assert "Reward model against tests" not in text and "over-optimisation" not in text
