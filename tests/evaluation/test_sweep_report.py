"""Table and page of a made-up sweep: the numbers, the markup, what is failed or missing."""

import itertools
import re

import pytest
from evaluation.made_up_sweep import make_sweep
from evaluation.test_report import Outline

from verigrad.errors import RunError
from verigrad.evaluation.reports.charts import GainRow, gain_chart
from verigrad.evaluation.sweeps.folder import read_sweep
from verigrad.evaluation.sweeps.report import write_sweep_report

# Ten tasks. Algorithm x gains 5, 6 and 7 of them; <y> gains 1 and 1, its third seed failed.
NONE, HALF = [False] * 10, [True] * 5 + [False] * 5


def first(count):
    return [i < count for i in range(10)]


RESULTS = {
    "x": {seed: {"unseen": (NONE, first(5 + seed))} for seed in range(3)},
    "<y>": {seed: {"unseen": (NONE, first(1))} for seed in range(2)},
}


@pytest.fixture
def sweep(tmp_path):
    return make_sweep(tmp_path / "demo", RESULTS, curves=[0.5, 0.6])


def cells(markdown, start):
    (line,) = [line for line in markdown.splitlines() if line.startswith(start)]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_has_the_figures_worked_by_hand(sweep):
    """x: 0 to 60 %, sd 10 points, seeds 50, 60, 70; y: 10 %, no spread, so both intervals are alike.

    Six tasks are better under x and none worse: of 64 ways to give signs two are as far from 0."""
    table, page = write_sweep_report(sweep)
    assert (table, page) == (sweep / "table.md", sweep / "sweep.html")
    text = table.read_text()
    row = cells(text, "| x |")
    assert row[:6] == ["x", "3e-5", "3 of 3", "0.0 %", "60.0 %", "+60.0"]
    assert row[7] == "10.0" and row[9:] == ["1,002 MB", "110"]
    row = cells(text, "| <y> |")
    assert row[2] == "2 of 3" and row[5] == "+10.0" and row[6] == row[8] and row[7] == "0.0"
    assert "1 comparison of pass@1 after training, 0 of them ties" in text
    assert cells(text, "| algorithm x | algorithm <y> |")[2:4] == ["first", "+50.0"]
    assert "| algorithm-<y>/seed-2 | failed | – |" in text
    assert "## Failed\n\n- algorithm-<y>/seed-2: out of <memory> | disk\n" in text
    assert "| algorithm x | learning_rate 3e-5 | 50.0 % | chosen |" in text
    assert "with seed 0 and 50 % of the steps" in text and "Not finished: 1 of 10 runs" in text


def test_values_stand_below_the_setting_they_are_of(sweep):
    """Rows may name the settings in another order than the design does."""
    design, rows = sweep / "sweep.toml", sweep / "results.jsonl"
    design.write_text(design.read_text().replace("[vary]\n", '[vary]\nkl_coef = ["0.1"]\n'))
    rows.write_text(rows.read_text().replace('"}, "chosen"', '", "kl_coef": "0.1"}, "chosen"'))
    text = write_sweep_report(sweep)[0].read_text()
    assert cells(text, "| kl_coef |")[:2] == ["kl_coef", "algorithm"]
    assert [cells(text, f"| 0.1 | {name} |")[:2] for name in ("x", "<y>")] == [["0.1", "x"], ["0.1", "<y>"]]


def test_the_page_says_the_same_and_needs_nothing_else(sweep):
    source = write_sweep_report(sweep)[1].read_text()
    outline = Outline(source)
    text = " ".join(outline.text.split())
    assert "verigrad rl · 2 settings · 3 seeds · 5 of 6 runs finished" in text
    assert "algorithm x: +60.0 points" in text and "algorithm <y>" in text
    assert "Failed algorithm-<y>/seed-2: out of <memory> | disk" in text
    assert not outline.tags & {"script", "img", "link", "iframe"}
    assert not [value for _, name, value in outline.attributes if name in ("src", "href")]
    assert "default-src 'none'" in source
    for heading in ("Gains", "Which settings differ", "Learning curves", "Chosen on the validation set", "How"):
        assert heading in text


def test_curves_are_means_over_seeds_with_their_range(tmp_path):
    sweep = make_sweep(tmp_path / "demo", RESULTS, curves=[0.5, 0.6])
    (sweep / "algorithm-x" / "seed-1" / "metrics.jsonl").write_text(
        '{"step": 1, "kind": "train", "reward": 0.8}\n{"step": 3, "kind": "train", "reward": 9}\n'
    )
    source = write_sweep_report(sweep)[1].read_text()
    assert "algorithm x, step 1: 0.6<" in source  # the mean of 0.5, 0.8, 0.5
    assert "algorithm x, step 2:" not in source  # one seed lacks it
    assert "algorithm &lt;y&gt;, step 2: 0.6<" in source
    assert 'class="band c1"' in source and 'class="band c2"' in source


def test_a_sweep_that_has_just_begun_has_a_page(tmp_path):
    sweep = make_sweep(tmp_path / "demo", {"x": {}})
    table, page = write_sweep_report(sweep)
    assert "Not finished: 3 of 5 runs" in table.read_text()
    text = " ".join(Outline(page.read_text()).text.split())
    assert "0 of 3 runs finished" in text and "Learning curves" not in text
    assert read_sweep(sweep).splits == []


def test_settings_and_seeds_without_a_common_task_are_left_out_and_named(tmp_path):
    """The tasks of y's seeds are not x's, those of z's second seed not its first's: no pair is left to compare."""
    sides = {"unseen": (NONE, first(1))}
    sweep = make_sweep(tmp_path / "demo", {name: {0: sides, 1: sides} for name in "xyz"})
    for name, seeds in (("y", (0, 1)), ("z", (1,))):
        for seed, side in itertools.product(seeds, ("before", "after")):
            file = sweep / f"algorithm-{name}" / f"seed-{seed}" / "evaluations" / f"unseen-{side}.jsonl"
            file.write_text(file.read_text().replace('"task_id": "t', '"task_id": "other'))
    table, page = write_sweep_report(sweep)
    text = table.read_text()
    assert cells(text, "| y |")[5] == "+10.0" and cells(text, "| z |")[5] == "–"
    for said in (text, " ".join(Outline(page.read_text()).text.split())):
        assert "Split unseen: algorithm z has no figures, since its seeds share no judged task." in said
        assert "Split unseen: 1 pair(s) of settings share no judged task and are not compared." in said
        assert "Which settings differ" not in said and "comparison of pass@1" not in said


def test_figures_tell_over_how_many_tasks_they_are(tmp_path):
    """The first setting has all ten tasks, the second lost one."""
    sides = {"unseen": (NONE, first(5))}
    sweep = make_sweep(tmp_path / "demo", {"x": {0: sides}, "y": {0: sides}})
    file = sweep / "algorithm-y" / "seed-0" / "evaluations" / "unseen-after.jsonl"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:9]))
    table, page = write_sweep_report(sweep)
    assert "Gains are in percentage points, over 9 to 10 tasks." in table.read_text()
    assert "unseen 9 to 10 tasks" in " ".join(Outline(page.read_text()).text.split())


def test_reward_models_have_their_held_out_figures(tmp_path):
    sweep = make_sweep(tmp_path / "demo", {"x": {}})
    rows = (sweep / "results.jsonl").read_text().replace('"status": "failed"', '"held_out": {"auc": 0.75}, "x": 1')
    (sweep / "results.jsonl").write_text(rows.replace('"x": 1', '"status": "finished"'))
    for seed in range(3):
        (sweep / f"algorithm-x/seed-{seed}").mkdir(parents=True)
        (sweep / f"algorithm-x/seed-{seed}" / "summary.json").write_text('{"steps": 1}')
    assert "| algorithm x | 0.75 (sd 0) |" in write_sweep_report(sweep)[0].read_text()


def test_a_folder_without_a_sweep_is_refused(tmp_path):
    with pytest.raises(RunError, match="no sweep at"):
        write_sweep_report(tmp_path)


def test_gains_lie_where_they_should():
    """An axis from -20 to +60: no gain is at a quarter, 15 at 43.75 %; an interval that leaves the plot is cut off."""
    rows = [
        GainRow("a", 0.15, (0.1, 0.2), (-9.0, 9.0), (0.12, 0.18)),
        GainRow("b", 0.1, (-0.02, 0.32)),
    ]
    source = gain_chart(rows)
    Outline(source)
    assert re.findall(r">([+−][\d.]+)</text>", source) == ["−20.0", "+0.0", "+20.0", "+40.0", "+60.0"]
    assert set(re.findall(r'class="zero" x1="([\d.]+)%"', source)) == {"25.00"}
    assert re.findall(r'<circle cx="([\d.]+)%" cy="15"', source) == ["43.75", "37.50"]
    assert re.findall(r'class="single" cx="([\d.]+)%"', source) == ["40.00", "47.50"]
    assert re.findall(r'class="inner" x1="([\d.]+)%" x2="([\d.]+)%"', source) == [
        ("37.50", "50.00"),
        ("22.50", "65.00"),
    ]
    assert 'class="outer" x1="0.00%" x2="100.00%"' in source
