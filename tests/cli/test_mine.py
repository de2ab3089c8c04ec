"""`verigrad mine` and `verigrad convert` on small files, and the examples of docs/preferences.md."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from verigrad.cli.main import main
from verigrad.preferences.records import read_records
from verigrad.types import Message

DOCS = (Path(__file__).parents[2] / "docs" / "preferences.md").read_text()


def row(task, text, passed, **more):
    status = "passed" if passed == 4 else "failed"
    results = [{"name": str(number), "status": "passed" if number < passed else "failed"} for number in range(4)]
    fields = {"task_id": task, "prompt": f"Write {task}.", "completion": text, "program": text, "status": status}
    return {**fields, "passed": passed, "total": 4, "results": results, "stop_reason": "stop", "tokens": 3, **more}


SAMPLES = [
    row("a", "a = 1", 4),
    row("a", "a = 2", 1),
    row("a", "a = 3", 0),
    row("a", "a  =  1  # again", 4),
    row("b", "b = 1", 4),
    row("b", "", 0, status="error"),
    row("c", "c = 1", 2),
    row("c", " ", 0),
]


@pytest.fixture
def samples(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("out.jsonl").write_text("".join(json.dumps(sample) + "\n" for sample in SAMPLES))
    return Path("out.jsonl")


def test_pairs_are_written_and_what_gave_none_is_explained(samples, capsys):
    assert main(["mine", "out.jsonl", "--out", "new/pairs.jsonl"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "3 tasks, 6 answers; left out: 1 infrastructure failure, 1 empty answer",
        "pass_fail: 2 pairs from 1 task; 5 characters chosen, 5 rejected on average",
        "2 tasks without any:",
        "     1  every answer passes",
        "     1  no answer passes",
        "wrote new/pairs.jsonl",
    ]
    pairs = read_records(Path("new/pairs.jsonl"))
    assert sorted((pair.chosen, pair.rejected, pair.margin) for pair in pairs) == [
        ("a = 1", "a = 2", 0.75),
        ("a = 1", "a = 3", 1.0),
    ]
    assert pairs[0].prompt == (Message("user", "Write a."),)
    assert pairs[0].meta["task_id"] == "a"


def test_several_files_are_taken_together(samples):
    for number, sample in enumerate(SAMPLES[:2]):
        Path(f"step-{number}.jsonl").write_text(json.dumps(sample) + "\n")
    assert main(["mine", "step-0.jsonl", "step-1.jsonl", "--out", "pairs.jsonl"]) == 0
    assert len(read_records(Path("pairs.jsonl"))) == 1


def test_options_of_miners_and_limits(samples, capsys):
    words = ["mine", "out.jsonl", "--out", "pairs.jsonl"]
    assert main([*words, "--max-per-task", "1"]) == 0
    assert len(read_records(Path("pairs.jsonl"))) == 1
    assert main([*words, "--miner", "acecoder", "--set", "gap=0.7"]) == 0
    assert len(read_records(Path("pairs.jsonl"))) == 1
    assert main([*words, "--miner", "acecoder", "--set", "gap=0.75"]) == 1
    assert main([*words, "--miner", "acecoder", "--set", "gap=0.75", "--set", "inclusive=True"]) == 0
    assert main([*words, "--miner", "best_of_n"]) == 0
    assert [record.completion for record in read_records(Path("pairs.jsonl"))] == ["a = 1", "b = 1"]
    assert "best_of_n: 2 answers from 2 tasks\n" in capsys.readouterr().out


def test_nothing_found_leaves_the_old_file_and_says_so(samples, capsys):
    Path("pairs.jsonl").write_text("as it was")
    assert main(["mine", "out.jsonl", "--miner", "efficiency", "--out", "pairs.jsonl"]) == 1
    printed = capsys.readouterr().out
    assert "efficiency: no record from 0 tasks\n" in printed
    assert "     2  one distinct correct program\n     1  no answer passes\nnothing to write\n" in printed
    assert Path("pairs.jsonl").read_text() == "as it was"


def test_prompts_come_from_the_task_source_where_rows_lack_them(samples, capsys):
    rows = [{**row("HumanEval/2", text, passed)} for text, passed in (("x = 1", 4), ("x = 2", 0))]
    Path("bare.jsonl").write_text("".join(json.dumps({**sample, "prompt": None}) + "\n" for sample in rows))
    assert main(["mine", "bare.jsonl", "--out", "pairs.jsonl"]) == 1
    assert "bare.jsonl:1: prompt is missing; name the task source (--tasks)" in capsys.readouterr().err
    assert main(["mine", "bare.jsonl", "--tasks", "humaneval", "--out", "pairs.jsonl"]) == 0
    (pair,) = read_records(Path("pairs.jsonl"))
    assert "truncate_number" in pair.prompt[0].content


def test_a_miner_of_ones_own(samples):
    Path("my.py").write_text(
        "from verigrad.preferences.records import Rated\n"
        "def first(answers, *, mark='', max_records=0, seed=0):\n"
        "    found = answers[:1]\n"
        "    return [Rated(prompt=a.prompt, completion=a.text + mark, desirable=True) for a in found]\n"
    )
    assert main(["mine", "out.jsonl", "--miner", "my.py:first", "--set", "mark=#Mine", "--out", "found.jsonl"]) == 0
    assert read_records(Path("found.jsonl"))[0].completion == "a = 1#Mine"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["mine", "absent.jsonl", "--out", "x"], "cannot read absent.jsonl"),
        (["mine", "out.jsonl", "--out", "x", "--miner", "pass_fial"], "did you mean 'pass_fail'"),
        (["mine", "out.jsonl", "--out", "x", "--max-per-task", "-1"], "wanted 0 (all) or more"),
        (
            ["mine", "out.jsonl", "--out", "x", "--set", "length=2"],
            "did you mean 'length_ratio'?); it has: length_ratio=0",
        ),
        (["mine", "out.jsonl", "--out", "x", "--set", "length_ratio=long"], "wanted float, such as 0.0"),
        (
            ["mine", "out.jsonl", "--out", "x", "--miner", "acecoder", "--set", "inclusive=1"],
            "wanted bool, such as false",
        ),
        (["mine", "verdicts.jsonl", "--out", "x"], "verdicts.jsonl:1: completion is missing"),
        (["convert", "out.jsonl", "x"], "of no known format"),
        (["convert", "out.jsonl", "x", "--to", "trll"], "did you mean 'trl'"),
        (["convert", "out.jsonl", "x", "--from", "hh"], "out.jsonl:1 (hh): chosen is not a text that begins with"),
    ],
)
def test_errors_say_how_to_go_on(samples, words, says, capsys):
    verdict = {key: value for key, value in SAMPLES[0].items() if key != "completion"}
    Path("verdicts.jsonl").write_text(json.dumps(verdict))
    assert main(words) == 1
    assert says in capsys.readouterr().err
    assert not Path("x").exists()


def test_convert_tells_what_it_read_and_wrote(samples, capsys):
    main(["mine", "out.jsonl", "--out", "pairs.jsonl"])
    capsys.readouterr()
    assert main(["convert", "pairs.jsonl", "pairs-hh.jsonl", "--to", "hh"]) == 0
    assert capsys.readouterr().out == "read 2 pairs (verigrad)\nwrote 2 rows (hh) to pairs-hh.jsonl\n"
    assert main(["convert", "pairs-hh.jsonl", "back.jsonl"]) == 0
    assert capsys.readouterr().out == "read 2 pairs (hh)\nwrote 2 rows (verigrad) to back.jsonl\n"
    ours, back = read_records(Path("pairs.jsonl")), read_records(Path("back.jsonl"))
    assert [(pair.prompt, pair.chosen) for pair in back] == [(pair.prompt, pair.chosen) for pair in ours]


def test_convert_can_leave_out_what_is_malformed(samples, capsys):
    rows = [{"prompt": "p", "chosen": "a", "rejected": "b"}, *({"prompt": "p", "chosen": "a", "rejected": "a"},) * 4]
    Path("in.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in rows))
    assert main(["convert", "in.jsonl", "x.jsonl"]) == 1
    assert "in.jsonl:2 (trl): chosen and rejected are the same text" in capsys.readouterr().err
    assert main(["convert", "in.jsonl", "x.jsonl", "--skip-malformed", "--to", "kto"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[:2] == ["read 1 pair (trl)", "left out 4 malformed rows, such as:"]
    assert [line.split(" (")[0] for line in printed[2:5]] == ["  in.jsonl:2", "  in.jsonl:3", "  in.jsonl:4"]
    assert printed[5:] == ["wrote 2 rows (kto) to x.jsonl"]


def test_convert_refuses_to_write_nothing(samples, capsys):
    Path("in.jsonl").write_text(json.dumps({"prompt": "p", "completion": "a", "label": True}))
    assert main(["convert", "in.jsonl", "x.jsonl", "--to", "trl"]) == 1
    assert "nothing to write" in capsys.readouterr().out
    assert not Path("x.jsonl").exists()


@pytest.mark.parametrize("command", ["mine", "convert"])
def test_help_imports_nothing_heavy(command):
    found = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "verigrad.cli.main", command, "--help"],
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0 and f"usage: verigrad {command}" in found.stdout
    imported = {line.rpartition("|")[2].strip() for line in found.stderr.splitlines()}
    assert not imported & {"torch", "transformers", "rich", "datasets"}


# -------------------------------------------------------------------------------------------------- docs


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL))
def test_python_blocks_of_the_docs_run(block, tmp_path):
    found = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


def test_records_and_commands_of_the_docs_work(samples):
    (records,) = re.findall(r"```json\n(.*?)```", DOCS, re.DOTALL)
    Path("records.jsonl").write_text(records)
    assert len(read_records(Path("records.jsonl"))) == 3
    commands = [line for block in re.findall(r"```sh\n(.*?)```", DOCS, re.DOTALL) for line in block.splitlines()]
    assert len(commands) == 6
    for command in commands:
        program, *words = shlex.split(command)
        assert program == "verigrad"
        if words[0] != "eval":  # which wrote out.jsonl
            assert main(words) == 0
