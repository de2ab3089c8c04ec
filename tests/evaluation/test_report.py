"""The report of a made-up run: its numbers, its markup, and what hostile or missing parts do to it."""

import itertools
import json
import re
from html.parser import HTMLParser
from typing import get_args

import pytest
from evaluation.made_up import HOSTILE, lines, make_run, sample

from verigrad.errors import RunError
from verigrad.evaluation.reports.charts import nice_ticks, percent
from verigrad.evaluation.reports.page import STATUSES
from verigrad.evaluation.reports.report import write_report
from verigrad.evaluation.reports.run_folder import read_run
from verigrad.types import ProgramStatus


class Outline(HTMLParser):
    """Checks that tags nest, and collects tags, attributes and text."""

    VOID = ("meta", "br", "img", "link", "input", "hr")

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.text = [], set(), [], ""
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data + " "


@pytest.fixture
def report(tmp_path):
    source = write_report(make_run(tmp_path / "demo")).read_text(encoding="utf-8")
    return source, Outline(source)


def test_it_is_written_into_the_run_folder_or_where_one_wants_it(tmp_path):
    run = make_run(tmp_path / "demo")
    assert write_report(run) == run / "report.html"
    assert write_report(run, tmp_path / "other.html").read_text() == (run / "report.html").read_text()


def test_headline_numbers_are_those_of_the_samples(report):
    """3/8 and 6/8; task changes are 1/2, 1/2, 0, 1/2, so the difference is 37.5 points."""
    _, outline = report
    text = " ".join(outline.text.split())
    assert "37.5 % → 75.0 %" in text
    assert "+37.5 percentage points" in text
    assert "4 tasks, 8 samples" in text
    assert "Tasks solved more often: 3; less often: 0; as often: 1." in text


def test_the_gain_is_split_as_worked_out_by_hand(report):
    """Parse 5/8 to 7/8, pass if parsed 3/5 to 6/7: parsing 1/4 (3/5 + 6/7) / 2 = 0.182, solving 3/4 9/35 = 0.193."""
    _, outline = report
    text = " ".join(outline.text.split())
    assert percent(1 / 4 * (3 / 5 + 6 / 7) / 2) == "18.2 %" and percent(3 / 4 * 9 / 35) == "19.3 %"
    assert "held-out +37.5 +18.2 +19.3 62.5 % → 87.5 % 60.0 % → 85.7 %" in text


def test_breakdown_and_causes(report):
    """Easy tasks: 2 of 4 to 4 of 4. Hard ones: 1 of 4 to 2 of 4. Two of eight samples had no code, then one."""
    source, outline = report
    text = " ".join(outline.text.split())
    assert re.search(r"easy 2 tasks .*50\.0 % → 100\.0 %", text)
    assert re.search(r"hard 2 tasks .*25\.0 % → 50\.0 %", text)
    assert "no_code: 2 of 8 samples (25.0 %)" in source and "no_code: 1 of 8 samples (12.5 %)" in source
    widths = [float(width) for width in re.findall(r'<rect class="s-[a-z_]+" x="[\d.]+%" width="([\d.]+)%"', source)]
    assert sum(widths) == pytest.approx(200.0, abs=0.01)


def test_the_share_of_failures_that_is_extraction_or_syntax(report):
    """Before, two samples without code and one syntax error among five failures; after, one without code of two."""
    _, outline = report
    text = " ".join(outline.text.split())
    assert "Failures of extraction or syntax: before 3 of 5 (60.0 %), after 1 of 2 (50.0 %)." in text


def test_curves_carry_their_values(report):
    source, outline = report
    assert "<title>Training reward, step 4: 0.4</title>" in source
    assert "<title>Validation pass@1, step 0: 37.5 %</title>" in source
    # No code and syntax errors are 0.3 of the rollouts, failures 0.75 of them.
    assert "<title>both, as a share of failures, step 2: 40 %</title>" in source
    assert "<title>grad_norm, step 1: 0.125</title>" in source
    assert "KL to the reference" not in outline.text
    for word in ("mean reward", "nats per token", "tokens per second", "step"):
        assert word in outline.text


def test_points_of_a_curve_lie_where_their_values_say(report):
    """Rewards 0, 0.1, ... 0.4 are equally spaced, in x and, upwards, in y."""
    source, _ = report
    found = re.findall(r'cx="([\d.]+)" cy="([\d.]+)" r="6"><title>Training reward', source)
    xs, ys = ([float(pair[i]) for pair in found] for i in (0, 1))
    assert len(xs) == 5
    assert [b - a for a, b in itertools.pairwise(xs)] == pytest.approx([xs[1] - xs[0]] * 4, abs=0.11)
    assert [a - b for a, b in itertools.pairwise(ys)] == pytest.approx([ys[0] - ys[1]] * 4, abs=0.11)
    assert xs[1] > xs[0] and ys[1] < ys[0]


def test_samples_are_shown_side_by_side(report):
    _, outline = report
    text = " ".join(outline.text.split())
    assert "Failed before, passes after held-out, 3 of 8 samples" in text
    assert "Fails before and after held-out, 2 of 8 samples" in text
    assert "return 1 < 2" in text and "got <1>" in text
    assert "Solve a1" in text and "No program was found in the answer." in text


def test_hostile_text_stays_text_and_nothing_is_fetched(report):
    source, outline = report
    assert HOSTILE in outline.text
    assert not outline.tags & {"script", "img", "iframe", "link", "object", "embed", "a", "image", "use"}
    assert not [a for a in outline.attributes if a[1] in ("src", "href", "srcset", "action") or a[1].startswith("on")]
    assert not [value for _, _, value in outline.attributes if "//" in value]
    style = re.search(r"<style>(.*?)</style>", source, re.S).group(1)
    assert "url(" not in style and "@import" not in style and "//" not in style
    assert "default-src 'none'" in source


def test_config_cost_and_caveats_are_there(report):
    _, outline = report
    text = " ".join(outline.text.split())
    assert 'algorithm = "<mine>"' in text and "tiny · <mine> · 5 steps · 1 min 15 s" in text
    assert "seed 3 model tiny time 1 min 15 s tokens 1,234 peak memory 512 MB" in text
    assert "One run with seed 3" in text


def test_a_run_without_evaluations_still_has_curves(tmp_path):
    run = make_run(tmp_path / "demo")
    for file in (run / "evaluations").iterdir():
        file.unlink()
    (run / "summary.json").unlink()
    outline = Outline(write_report(run).read_text())
    assert "Training reward" in outline.text and "There are no evaluations." in outline.text
    assert "There is no summary.json." in outline.text and "Sample programs" not in outline.text


def test_a_summary_alone_still_has_a_headline(tmp_path):
    side = {"pass@1": 0.125, "low": 0.05, "high": 0.25}
    split = {
        "before": side,
        "after": side | {"pass@1": 0.15},
        "difference": {"value": 0.025, "low": -0.01, "high": 0.06},
    }
    (tmp_path / "summary.json").write_text(
        json.dumps({"splits": {"mbpp": split | {"num_tasks": 20, "num_samples": 20}}})
    )
    text = " ".join(Outline(write_report(tmp_path).read_text()).text.split())
    assert "12.5 % → 15.0 %" in text and "−1.0 to +6.0; the interval includes no change" in text


def test_one_side_only(tmp_path):
    run = make_run(tmp_path / "demo")
    (run / "evaluations" / "held-out-after.jsonl").unlink()
    text = " ".join(Outline(write_report(run).read_text()).text.split())
    assert "37.5 % → –" in text and "Split held-out has no evaluation after training." in text
    assert "Where the gain comes from" not in text and "Sample programs" in text


def test_cut_off_lines_repeated_steps_and_nan_are_survived(tmp_path):
    run = make_run(tmp_path / "demo")
    with (run / "metrics.jsonl").open("a") as file:
        file.write(
            '{"step": 3, "kind": "train", "reward": 9.5}\n{"step": 5, "kind": "train", "reward": NaN}\n{"step": 6, "k'
        )
    folder = read_run(run)
    assert folder.curve("reward") == [(0, 0.0), (1, 0.1), (2, 0.2), (3, 9.5), (4, 0.4)]
    text = Outline(write_report(run).read_text()).text
    assert "metrics.jsonl: 1 unreadable line(s) left out" in text


def test_values_that_rounding_alone_tells_apart_are_drawn(tmp_path):
    """-0.1 - 0.2 is the float below -0.3: no axis can have ticks between them."""
    losses = [(1, -0.3), (2, -0.1 - 0.2)]
    lines(tmp_path / "metrics.jsonl", [{"step": step, "kind": "train", "loss": loss} for step, loss in losses])
    source = write_report(tmp_path).read_text()
    heights = {float(y) for y in re.findall(r'class="dot c1" cx="[^"]*" cy="([^"]*)"', source)}
    assert len(heights) == 1


def test_any_text_that_json_holds_can_be_in_a_report(tmp_path):
    """A task id with a digit that is no decimal, and a completion cut within a surrogate pair."""
    run = make_run(tmp_path / "demo")
    odd = sample("area/10²", 0, "failed", completion="half of it: \ud83d")
    for side in ("before", "after"):
        lines(run / "evaluations" / f"odd-{side}.jsonl", [sample("area/9²", 0, "failed"), odd])
    text = Outline(write_report(run).read_text()).text
    assert text.index("area/9²") < text.index("area/10²") and "half of it: ?" in text


def test_unjudged_samples_are_counted_and_left_out(tmp_path):
    run = make_run(tmp_path / "demo")
    with (run / "evaluations" / "held-out-after.jsonl").open("a") as file:
        file.write(json.dumps(sample("a1", 2, "error")) + "\n")
    text = " ".join(Outline(write_report(run).read_text()).text.split())
    assert "37.5 % → 75.0 %" in text and "1 sample(s) could not be judged" in text


def test_each_side_tells_its_own_tasks(tmp_path):
    """The difference is over the tasks of both sides, the rates are over their own."""
    run = make_run(tmp_path / "demo")
    lines(run / "evaluations" / "odd-before.jsonl", [sample(f"a{i}", 0, "failed") for i in range(3)])
    lines(run / "evaluations" / "odd-after.jsonl", [sample(f"a{i}", 0, "passed") for i in range(5)])
    text = write_report(run).read_text()
    assert re.search(r"odd, before: 0\.0 %, [^<]*, 3 tasks<", text)
    assert re.search(r"odd, after: 100\.0 %, [^<]*, 5 tasks<", text)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="no run folder at"):
        write_report(tmp_path / "nowhere")
    with pytest.raises(RunError, match="is it a run folder"):
        write_report(tmp_path)


def test_every_status_of_a_verdict_has_a_colour():
    assert set(get_args(ProgramStatus)) | {"no_code", "error"} == set(STATUSES)


@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 1), (0.37, 0.41), (-5, 12), (1e-6, 4e-6), (7, 7), (0, 12345), (1, 1 + 2e-9), (-0.1 - 0.2, -0.3)],
)
def test_ticks_are_even_and_cover_the_range(low, high):
    ticks = nice_ticks(low, high)
    steps = [b - a for a, b in itertools.pairwise(ticks)]
    assert ticks[0] <= low and ticks[-1] >= high and 3 <= len(ticks) <= 8
    assert steps == pytest.approx([steps[0]] * len(steps)) and steps[0] > 0
