"""The figures and the page of a comparison that never took place, and the page in a real browser."""

from pathlib import Path
from statistics import fmean

import pytest
from evaluation.made_up_twins import STEPS, TASKS, make_page, make_rows, make_summary, place

from verigrad.evaluation.twins.page import compare_page, verdict_lines

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]


def test_figures_by_hand():
    rows = make_rows()
    parts = make_summary(rows)["parts"]

    def rate(**wanted):
        own = [r for r in rows if r["record"] == "sample" and all(r[key] == value for key, value in wanted.items())]
        return fmean(r["status"] == "passed" for r in own)

    steps = parts["steps"]
    assert steps["diffusion/8 steps"]["pass@1"] == rate(part="steps", setting="8 steps")
    assert steps["diffusion/4 steps"]["tokens_per_pass"] == 2.0
    assert steps["diffusion/2 steps"]["seconds_per_answer"] == pytest.approx(0.02)
    change = rate(part="steps", setting="2 steps") - rate(part="steps", setting="8 steps")
    assert steps["diffusion/2 steps"]["change"]["value"] == pytest.approx(change)
    assert steps["diffusion/8 steps"]["not_worse"]
    assert "change" not in steps["causal/KV cache"]
    infilling = parts["infilling"]["diffusion/canvas/one line, oracle"]
    assert infilling["exact"] == 1.0 and infilling["of_pairs"] == [
        rate(part="infilling", pair=pair, arm="canvas", setting="one line, oracle") for pair in (0, 1)
    ]
    assert parts["order"]["before/1.0"]["global@2"] == 0.75
    elbo = parts["likelihood"]["diffusion/elbo"]
    assert elbo["value"] == pytest.approx(0.7) and elbo["standard_error"] == pytest.approx(0.0, abs=1e-9)
    assert elbo["of_draws"] == pytest.approx(0.3 / 0.6931472 / 20 / 32**0.5)  # 32 answers, 20 bytes each


def test_standard_errors_are_over_tasks_however_many_pairs_score_them():
    """Tasks at 1 and 3 under both pairs: sqrt(((1 - 2)^2 + (3 - 2)^2) / 1 / 2) = 1, not that of four answers."""
    rows = [
        {
            **place("likelihood", pair, "causal", "gold", ""),
            "record": "likelihood",
            "task_id": task,
            "masked_ce": value,
            "chain_rule_bits_per_byte": value,
        }
        for pair in (0, 1)
        for task, value in ((TASKS[0], 1.0), (TASKS[1], 3.0))
    ]
    found = make_summary(rows)["parts"]["likelihood"]
    assert found["causal/chain_rule"] == found["causal/masked_ce"] == {"value": 2.0, "standard_error": 1.0}
    alone = make_summary(rows[:1])["parts"]["likelihood"]
    assert alone["causal/chain_rule"] == {"value": 1.0, "standard_error": None}  # NaN is no JSON


def test_every_measure_that_has_both_sides_is_compared_once():
    measures = [own["measure"] for own in make_summary(make_rows())["measures"]]
    assert len(measures) == len(set(measures)) == 1 + 4 + 6 + 2 + 3 + 2  # no `free` lengths in these rows
    few = [row for row in make_rows() if row["part"] == "output" and row["role"] == "causal"]
    assert make_summary(few)["measures"] == []


def test_a_bound_that_is_given_the_length_is_told_and_wins_nothing():
    rows = [{key.replace("elbo", "elbo_given_length"): value for key, value in row.items()} for row in make_rows()]
    summary = make_summary(rows)
    likelihood = summary["parts"]["likelihood"]
    assert likelihood["diffusion/elbo_given_length"]["value"] == pytest.approx(0.7)
    assert "diffusion/elbo" not in likelihood
    assert [own["measure"] for own in summary["measures"] if own["measure"].startswith("gold answers")] == [
        "gold answers, chain rule from left to right"
    ]
    assert "bound (ELBO), masks drawn, the length given" in compare_page(summary, [])


def test_prefix_only_loses_and_is_said_to_lose():
    lines = verdict_lines(make_summary(make_rows()))
    assert any("against prefix only" in line for line in lines["diffusion"])
    assert not any("prefix only" in line for line in lines["causal"])


def test_time_has_no_interval_and_wins_nothing():
    summary = make_summary(make_rows())
    lines, measures = verdict_lines(summary), [own["measure"] for own in summary["measures"]]
    told = [line.partition(": diffusion ")[0] for own in lines.values() for line in own]
    assert sorted(told) == sorted(measures)
    wins, _, time = make_page().partition("Who wins")[2].partition("Time of an answer")
    assert wins and " ms" not in wins and "diffusion, 8 steps: 80.0 ms; causal with a KV cache" in time


def test_what_models_wrote_is_escaped():
    html = make_page()
    assert "return &lt;n&gt;" in html and "<n>" not in html and "add &lt;1&gt;" in html


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    file = tmp_path_factory.mktemp("twins") / "compare.html"
    file.write_text(make_page(), encoding="utf-8")
    return file.as_uri()


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}")
@pytest.mark.parametrize("width", [1280, 400])
def test_the_player_plays_in_a_browser(address, width):
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_context(offline=True, viewport={"width": width, "height": 900}).new_page()
        said, asked = [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        box = page.locator(".player").first
        last = len(set(STEPS))
        assert box.locator("output").inner_text() == f"step {last} of {last}, 8 tokens"
        box.locator("input").fill("3")
        assert box.locator("output").inner_text() == f"step 3 of {last}, 4 tokens"  # steps 0, 1, and 2 twice
        assert box.locator(".hidden").count() == 4 and box.locator(".now").count() == 2
        box.locator("input").fill("0")
        box.locator("button").click()
        sync_api.expect(box.locator("input")).to_have_value(str(last), timeout=30_000)
        assert box.locator(".hidden").count() == 0
        assert (said, asked) == ([], [address])
        browser.close()
