"""The page of a reward model: the figures of made-up scores, its examples, and what missing parts do to it."""

import json
import re

import pytest
from evaluation.made_up import HOSTILE, make_reward_model_run, make_run
from evaluation.test_report import Outline

from verigrad.evaluation.held_out_figures import Bin
from verigrad.evaluation.reports.report import write_report
from verigrad.evaluation.reports.run_folder import read_run
from verigrad.evaluation.reports.score_charts import histogram, reliability_chart, scatter


def page(folder):
    source = write_report(folder).read_text(encoding="utf-8")
    outline = Outline(source)
    return source, outline, " ".join(outline.text.split())


@pytest.fixture
def report(tmp_path):
    return page(make_reward_model_run(tmp_path / "demo"))


def rewrite(folder, change):
    rows = [json.loads(line) for line in (folder / "held_out.jsonl").read_text().splitlines()]
    (folder / "held_out.jsonl").write_text("".join(json.dumps(change(row)) + "\n" for row in rows))


def test_the_page_fits_the_kind_of_run(tmp_path):
    model, policy = make_reward_model_run(tmp_path / "model"), make_run(tmp_path / "policy")
    assert read_run(model).of_reward_model and not read_run(policy).of_reward_model
    assert "Does it put answers in the right order?" in page(model)[2] and "Before and after" not in page(model)[2]
    assert "Before and after" in page(policy)[2] and "Calibration" not in page(policy)[2]
    for part in ("held_out.jsonl", "summary.json"):  # a run that is not done is of the same kind
        (model / part).unlink()
    assert read_run(model).of_reward_model


def test_order_is_that_of_the_scores(report):
    """Worked out in test_held_out.py: 3 of 5 pairs, 7 of 20 and 2 of 5 comparisons, 4 of 5 labels."""
    _, _, text = report
    assert re.search(r"Pair accuracy: the better answer scores higher 5 pairs, 4 prompts .*?60\.0 %", text)
    assert re.search(r"AUC: a passing answer above a failing one 9 answers, 4 prompts .*?35\.0 %", text)
    assert re.search(r"5 pairs of a passing and a failing answer, 4 prompts .*?40\.0 %", text)
    assert re.search(r"The labels: the better answer passes more tests 5 pairs.*?80\.0 %", text)
    assert "reward model · tiny · bradley_terry · 45 records · 25 steps · 1 min 15 s" in text


def test_reliability_has_a_count_for_each_bin(report):
    source, _, text = report
    assert "expected calibration error 41.8 %" in text
    assert "stated count mean came true 95 % 60 to 70 % 1 62.2 % 0.0 % 0 to 79 %" in text
    assert "70 to 80 % 2 73.1 % 100.0 %" in text
    assert "stated 73.1 %, came true 100.0 % of 2 (95 % interval 34.2 % to 100.0 %)" in source


def test_scores_and_lengths_of_both_kinds(report):
    source, _, text = report
    assert "passing (4)" in text and "failing (5)" in text
    assert "passing -1 -0.25 0.25 0.875 2" in text  # quartiles of -1 0 0.5 2
    assert source.count('class="spot s-passed"') == 4 and source.count('class="spot s-failed"') == 5
    assert "<title>passing: tokens 40, score -1</title>" in source
    assert "score and tokens, passing answers only −0.80" in text
    assert "the longer answer of a pair has the higher score 40.0 %" in text
    assert "right order where the better answer is the shorter 66.7 %" in text


def test_the_most_confidently_wrong_come_first(report):
    """f is 2 behind g, a is 0.5 behind c; s(2) = 88.1 %."""
    _, _, text = report
    section = text[text.index("Most confidently wrong") :]
    assert section.index("made-up@1/p3 88.1 % sure") < section.index("made-up@1/p1 62.2 % sure")
    assert "Labelled better score -1, 40 tokens, passes 100 % of its tests return 3 < 4" in section
    assert "Labelled worse score 1, 10 tokens, passes 25 % of its tests" in section


def test_hostile_text_stays_text_and_nothing_is_fetched(report):
    source, outline, _ = report
    assert HOSTILE in outline.text
    assert not outline.tags & {"script", "img", "iframe", "link", "object", "embed", "a", "image", "use"}
    assert not [value for _, _, value in outline.attributes if "//" in value]
    assert "default-src 'none'" in source


def test_training_curves_end_with_the_last_figure(report):
    source, _, text = report
    assert "<title>Loss, step 25: 0.45</title>" in source
    assert "<title>Held-out pair accuracy, step 20: 60 %</title>" in source
    assert "<title>Held-out pair accuracy, step 25: 60 %</title>" in source  # of summary.json
    assert "<title>Held-out AUC, wanted against unwanted, step 25" not in source
    assert "Further metrics" in text and "There are no evaluations." not in text


def test_without_verdicts_the_page_says_so(tmp_path):
    folder = make_reward_model_run(tmp_path / "demo")
    rewrite(folder, lambda row: {**row, "fractions": None})
    _, _, text = page(folder)
    assert "Scores of wanted and unwanted answers" in text and "passing" not in text.split("Training")[0]
    assert "go by the labels" in text and "The labels:" not in text


def test_rows_of_older_runs_are_shown_as_far_as_they_go(tmp_path):
    folder = make_reward_model_run(tmp_path / "demo")
    rewrite(folder, lambda row: {key: row[key] for key in ("record", "scores", "margin")})
    _, _, text = page(folder)
    assert "60.0 %" in text and "Calibration" in text
    assert "Length bias Measured" not in text and "does not hold the texts" in text


def test_a_run_without_rows_shows_its_summary(tmp_path):
    folder = make_reward_model_run(tmp_path / "demo")
    (folder / "held_out.jsonl").unlink()
    _, _, text = page(folder)
    assert "pair accuracy 0.6" in text and "There is no held_out.jsonl" in text and "Loss" in text


def test_scores_that_are_no_numbers_are_left_out_and_counted(tmp_path):
    folder = make_reward_model_run(tmp_path / "demo")
    with (folder / "held_out.jsonl").open("a") as file:
        file.write('{"record": 9, "prompt_id": "p9", "scores": [NaN, 1.0]}\n{"record": 10, "sco')
    _, _, text = page(folder)
    assert "1 row(s) without finite scores left out" in text and "1 unreadable line(s)" in text
    assert "5 pairs, 4 prompts" in text


def test_a_model_that_is_right_about_everything_has_no_mistakes(tmp_path):
    folder = make_reward_model_run(tmp_path / "demo")
    rewrite(folder, lambda row: {**row, "scores": sorted(row["scores"], reverse=True)})
    _, _, text = page(folder)
    assert "None: it is right about every record." in text


# ----------------------------------------------------------------------------------------------- charts


def test_bars_are_as_high_as_their_shares():
    """Two of four values in the first bin of the first group and all of the second in the last: half as high."""
    source = histogram([("a", "s-passed", [0.0, 0.1, 0.9, 1.0]), ("b", "s-failed", [1.0])], x_label="score")
    Outline(source)
    heights = [float(height) for height in re.findall(r'class="bar [\w-]+".*? height="([\d.]+)"', source)]
    titles = re.findall(r"<title>(\w), score [^:]*: (\d) of (\d)", source)
    assert titles == [("a", "2", "4"), ("a", "2", "4"), ("b", "1", "1")]
    assert heights == pytest.approx([heights[2] / 2, heights[2] / 2, heights[2]], abs=0.1)


@pytest.mark.parametrize("values", [[0.5], [0.5] * 40, [0.1 + 0.2, 0.3], [-3.0, 3.0], [1e-4 * i for i in range(900)]])
def test_every_value_is_in_a_bar(values):
    source = histogram([("a", "s-passed", values)], x_label="score")
    assert sum(int(count) for count in re.findall(r": (\d+) of \d+ \(", source)) == len(values)


def test_an_honest_bin_lies_on_the_line():
    bins = [Bin(0.2, 0.3, 40, 0.25, 0.25, (0.1, 0.4)), Bin(0.7, 0.8, 10, 0.75, 0.75, (0.5, 0.9))]
    source = reliability_chart(bins, y_label="share")
    (low, high) = ((float(x), float(y)) for x, y in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', source))
    ideal = re.search(r'class="ideal" points="([\d.]+),([\d.]+) ([\d.]+),([\d.]+)"', source)
    x0, y0, x1, y1 = map(float, ideal.groups())
    for x, y in (low, high):
        assert (y - y0) / (y1 - y0) == pytest.approx((x - x0) / (x1 - x0), abs=0.01)
    counts = re.findall(r'class="count".*? height="([\d.]+)"/><text [^>]*>(\d+)</text>', source)
    assert [number for _, number in counts] == ["40", "10"]
    assert float(counts[0][0]) == pytest.approx(4 * float(counts[1][0]), abs=0.3)


def test_very_many_dots_are_thinned_out():
    source = scatter([("a", "s-passed", [(float(i), 0.0) for i in range(1000)])], x_label="x", y_label="y")
    assert 300 <= source.count("<circle") <= 400
