"""Pipelines of several seeds: one stage against the others, by figures worked by hand; what cannot be pooled."""

import json
from pathlib import Path

import pytest
from evaluation.made_up_sweep import answers, lines
from evaluation.test_report import Outline
from evaluation.test_sweep_report import cells, first

from verigrad.cli.main import main
from verigrad.errors import RunError
from verigrad.evaluation.reports.stages import read_pipelines
from verigrad.evaluation.reports.stages_report import write_stages_report

# Of ten tasks, by seed: sft solves 2, 3, 4; the policy 6, 8, 7; the control 2, 3, 4 as well, the same ones.
SOLVED = {"sft": (0, [2, 3, 4]), "policy": (None, [6, 8, 7]), "control": (None, [2, 3, 4])}


def make_pipelines(folder, solved=None, *, gold=None, **more):
    """Three finished pipelines: stage -> solved before (None: as the first stage after) and after, by seed."""
    paths = []
    for seed in range(3):
        path = folder / f"p-{seed}"
        stages = {"samples": {"command": ["eval", "--seed", str(seed)], "makes": "samples.jsonl", "seconds": 1.0}}
        for name, (before, after) in (solved or SOLVED).items():
            start = SOLVED["sft"][1][seed] if before is None else before
            for side, count in (("before", start), ("after", after[seed])):
                lines(path / name / "evaluations" / f"unseen-{side}.jsonl", answers(first(count)))
            proxy = [{"step": s, "kind": "train", "pass_rate": g, "proxy_reward": 0.1 * s + seed}
                     for s, g in enumerate(gold or [0.2] * 12)]  # fmt: skip
            lines(path / name / "metrics.jsonl", proxy if name == "policy" else [])
            told = {"run": f"{path}/{name}", "seed": seed, "words": more.get(name, [])}
            settings = "".join(f"{key} = {json.dumps(value)}\n" for key, value in told.items())
            (path / name / "config.toml").write_text(settings)
            (path / name / "summary.json").write_text("{}")
            command = ["rl", "--run", f"{path}/{name}", "--seed", str(seed), *more.get(name, [])]
            stages[name] = {"command": command, "makes": f"{name}/summary.json", "seconds": 1.0}
        record = {"values": {"run": str(path), "seed": str(seed)}, "stages": stages}
        (path / "pipeline.json").write_text(json.dumps(record))
        paths.append(path)
    return paths


def test_the_policy_against_start_demonstrations_and_control(tmp_path):
    """Differences by seed: 4, 5 and 3 tasks of ten; the control ends where sft did, so it is the same."""
    paths = make_pipelines(tmp_path)
    text = write_stages_report(paths, tmp_path / "out")
    rows = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert [(row["stage"], row["against"]) for row in rows] == [
        ("policy", "its start"), ("policy", "sft"), ("policy", "control")]  # fmt: skip
    for row in rows:
        assert row["difference"] == pytest.approx(0.4) and row["seed_differences"] == pytest.approx([0.4, 0.5, 0.3])
        assert row["pass@1"] == pytest.approx(0.7) and row["against_pass@1"] == pytest.approx(0.3)
        # t(2) spreads the seeds' standard error of 5.8 points by 4.3 at 95 %: wider than over tasks alone.
        assert row["interval"][0] < row["tasks_interval"][0] < 0.4 < row["tasks_interval"][1] < row["interval"][1]
    assert cells(text, "| sft | 0.0 % |")[:4] == ["sft", "0.0 %", "30.0 %", "+30.0"]
    assert cells(text, "| control | 30.0 % | 70.0 % |")[3] == "+40.0"
    assert "+40.0, +50.0, +30.0" in text


def test_a_pair_by_seed_takes_out_what_the_seeds_share(tmp_path):
    """sft differs by seed, the policy solves exactly one task more each time: no spread between seeds is left."""
    solved = {**SOLVED, "policy": (None, [3, 4, 5])}
    write_stages_report(make_pipelines(tmp_path, solved), tmp_path / "out")
    row = json.loads((tmp_path / "out" / "results.jsonl").read_text().splitlines()[1])
    assert row["seed_differences"] == pytest.approx([0.1] * 3) and row["interval"] == pytest.approx(
        row["tasks_interval"]
    )


def test_the_page_shows_differences_and_over_optimisation_of_all_seeds(tmp_path):
    falling = [0.4 - 0.02 * s for s in range(12)]
    write_stages_report(make_pipelines(tmp_path, gold=falling), tmp_path / "out")
    source = (tmp_path / "out" / "stages.html").read_text()
    outline = Outline(source)
    text = " ".join(outline.text.split())
    assert "policy − sft: +40.0 points" in text and "policy − control: +40.0 points" in text
    for seed in range(3):
        assert f"seed {seed}, step 11: {1.1 + seed:.3g}" in text and f"seed {seed}, step 11: 18 %" in text
    assert text.count("over-optimised from step 0 on") == 3
    assert not outline.tags & {"script", "img", "link", "iframe"} and "default-src 'none'" in source


def test_the_command_chooses_a_stage_and_says_where_it_wrote(tmp_path, capsys):
    paths = [str(path) for path in make_pipelines(tmp_path)]
    assert main(["stages", *paths, "--stage", "control", "--out", str(tmp_path / "out")]) == 0
    assert "control against the others" in capsys.readouterr().out
    assert main(["stages", *paths, "--stage", "polcy", "--out", str(tmp_path / "out")]) == 1
    assert "did you mean" in capsys.readouterr().err


def test_what_cannot_be_pooled_is_refused(tmp_path):
    paths = make_pipelines(tmp_path)
    with pytest.raises(RunError, match="different seeds, got seeds 0, 0"):
        read_pipelines([paths[0], paths[0]])
    other = make_pipelines(tmp_path / "other", policy=["--steps", "3"])
    with pytest.raises(RunError, match="two kinds: stage 'policy' differs"):
        read_pipelines([paths[0], other[1]])
    record = json.loads((paths[1] / "pipeline.json").read_text())
    del record["stages"]["control"]["seconds"]
    (paths[1] / "pipeline.json").write_text(json.dumps(record))
    with pytest.raises(RunError, match="not finished: stage 'control' is not done"):
        read_pipelines(paths)
    with pytest.raises(RunError, match="no pipeline at"):
        read_pipelines([tmp_path])


def test_settings_that_are_the_same_may_have_been_named_in_other_words(tmp_path):
    """A recipe that has come to name its default model runs the same stages; `steps` is another matter."""
    paths = make_pipelines(tmp_path)
    record = json.loads((paths[1] / "pipeline.json").read_text())
    record["stages"]["policy"]["command"] += ["--model", "the-default"]
    (paths[1] / "pipeline.json").write_text(json.dumps(record))
    assert read_pipelines(paths).seeds == ["0", "1", "2"]
    config = paths[1] / "policy" / "config.toml"
    config.write_text(config.read_text() + "steps = 3\n")
    with pytest.raises(RunError, match="two kinds: stage 'policy' differs"):
        read_pipelines(paths)


def test_folders_may_have_names_that_are_in_every_word(tmp_path, monkeypatch):
    """Folders a and b: neither the a of `--tasks` nor that of a file `data/a.jsonl` is the pipeline's own."""
    monkeypatch.chdir(tmp_path)
    for run, seed in (("a", "0"), ("b", "1")):
        command = ["sft", "--tasks", "builtin-easy@1", "--run", f"{run}/sft", f"--model={run}/start", "--seed", seed]
        command += ["--data", "data/a.jsonl", "--report.splits.mine", f"{run}/my.py:load"]
        lines(tmp_path / run / "sft" / "summary.json", [{"steps": 1}])
        stages = {"sft": {"command": command, "makes": "sft/summary.json", "seconds": 1.0}}
        record = {"values": {"run": run, "seed": seed}, "stages": stages}
        (tmp_path / run / "pipeline.json").write_text(json.dumps(record))
    assert read_pipelines([Path("a"), Path("b")]).seeds == ["0", "1"]
