"""`verigrad eval` and `verigrad judge`: what is wrong is said before the work, and figures survive a full disk."""

import json

import pytest

from verigrad.cli import evaluate as command
from verigrad.cli.main import main

SOURCE = """
from verigrad import AnswerTest, Oracle, Task
from verigrad.tasks.base import TaskSet


def load():
    ids = [f"say@1/{n}" for n in range(3)]
    tasks = tuple(Task(id=id_, prompt="Say it.", language="text") for id_ in ids)
    oracles = {id_: Oracle(task_id=id_, tests=(AnswerTest("a", n),), gold=str(n)) for n, id_ in enumerate(ids)}
    return TaskSet("say@1", tasks, oracles, {})
"""


def row(task, status, **more):
    return {"task_id": f"say@1/{task}", "status": status, **more}


@pytest.fixture
def source(tmp_path):
    (tmp_path / "my.py").write_text(SOURCE)
    return f"{tmp_path}/my.py:load"


@pytest.fixture
def answered(monkeypatch):
    """Takes rows that the model is to have earned; no model is loaded."""

    def answers(rows):
        async def evaluated(*_):
            return rows

        monkeypatch.setattr(command, "_evaluate", evaluated)

    return answers


def write(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--k", "x"], "--k is 'x'; wanted one or more whole numbers"),
        (["--k", "1,0"], "--k is '1,0'"),
        (["--k", "5", "--num-samples", "3", "--temperature", "1"], "pass@5 needs as many samples of every task, got 3"),
        (["--k", "2", "--model", "gold"], "one gold program a task"),
        (["--samples", "{}/my.py/below.jsonl"], "cannot write"),
        (["--samples", "{}"], "Is a directory"),
        (["--against", "{}/other.jsonl"], "holds no judged sample of these tasks: it has 'humaneval@1/0'"),
        (["--against", "{}/malformed.jsonl"], "malformed.jsonl:1: no task_id or no status"),
        (["--against", "{}/absent.jsonl"], "cannot read"),
    ],
)
def test_wrong_words_are_refused_before_a_model_is_loaded(words, says, source, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "_evaluate", None)
    write(tmp_path / "other.jsonl", [{"task_id": "humaneval@1/0", "status": "passed"}])
    write(tmp_path / "malformed.jsonl", [{"task": 1}])
    assert main(["eval", "--tasks", source, *(word.format(tmp_path) for word in words)]) == 1
    assert says in capsys.readouterr().err


def test_figures_are_printed_though_the_disk_is_full(source, capsys):
    assert main(["eval", "--tasks", source, "--model", "gold", "--samples", "/dev/full"]) == 1
    printed = capsys.readouterr()
    assert "pass@1 100.0%" in printed.out and "passed 3" in printed.out
    assert "cannot write /dev/full" in printed.err and "No space left" in printed.err


def test_a_task_without_a_gold_program_is_no_failure_of_gold(tmp_path, capsys):
    for name, gold in (("some", "str(n) if n else None"), ("none", "None")):
        (tmp_path / f"{name}.py").write_text(SOURCE.replace("gold=str(n)", f"gold={gold}"))
    assert main(["eval", "--tasks", f"{tmp_path}/some.py:load", "--model", "gold"]) == 0
    left, rate, *_ = capsys.readouterr().out.splitlines()
    assert left == "1 of 3 tasks have no gold program and are left out"
    assert rate.startswith("pass@1 100.0%") and rate.endswith("over 2 tasks, 2 samples")
    assert main(["eval", "--tasks", f"{tmp_path}/none.py:load", "--model", "gold"]) == 1
    assert "no task of say@1 has a gold program" in capsys.readouterr().err


def test_judge_checks_its_output_first_and_prints_first(source, tmp_path, monkeypatch, capsys):
    words = ["judge", "--tasks", source, "--input", "-", "--output"]
    assert main([*words, "/dev/full"]) == 1
    printed = capsys.readouterr()
    assert "3 of 3 passed" in printed.out and "cannot write /dev/full" in printed.err
    monkeypatch.setattr("verigrad.cli.judge._judge", None)
    assert main([*words, f"{tmp_path}/my.py/below.jsonl"]) == 1
    assert "cannot write" in capsys.readouterr().err


def test_tasks_that_lost_samples_to_our_failures_are_left_out_and_counted(source, answered, tmp_path, capsys):
    """pass@1: tasks 0 (1/2) and 1 (1/1); pass@2: task 0 alone, which has two samples and one right, so 1."""
    rows = [row(0, "passed"), row(0, "failed"), row(1, "passed"), row(1, "error", error="sandbox gone")]
    rows += [row(2, "error", error="sandbox gone"), row(2, "error", error="")]
    answered(rows)
    words = ["eval", "--tasks", source, "--k", "1,2,3", "--temperature", "1", "--samples", f"{tmp_path}/out.jsonl"]
    assert main(words) == 0
    one, two, three, statuses, first, wrote = capsys.readouterr().out.splitlines()
    assert one.startswith("pass@1 75.0%") and one.endswith(
        "over 2 tasks, 3 samples; 1 of 3 tasks left out: fewer than 1 samples could be judged"
    )
    assert two.startswith("pass@2 100.0%") and "over 1 tasks, 2 samples; 2 of 3 tasks left out" in two
    assert three == "pass@3 unknown; 3 of 3 tasks left out: fewer than 3 samples could be judged"
    assert "error 3" in statuses and first == "the first error: sandbox gone" and wrote.startswith("wrote ")
    assert [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()] == rows


def test_a_comparison_is_over_the_tasks_that_both_sides_have(source, answered, tmp_path, capsys):
    """Task 0 fell from 1 to 0, task 1 rose from 0 to 1 and task 2 is new: no change over two tasks."""
    earlier = write(tmp_path / "earlier.jsonl", [row(0, "passed"), row(1, "failed"), row(9, "passed")])
    answered([row(0, "failed"), row(1, "passed"), row(2, "passed")])
    assert main(["eval", "--tasks", source, "--against", earlier]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("pass@1 against")]
    assert "+0.0%" in line and line.endswith("over 2 tasks; 2 that only one side has are left out")


def test_what_was_judged_outlives_failures_of_ours_and_smaller_evaluations(source, monkeypatch, tmp_path, capsys):
    """One of three samples is lost: the same command draws that one alone, and a smaller one takes nothing away."""
    there = []

    async def evaluated(tasks, options, num_samples, kept):
        there.append([row["task_id"] for row in kept.rows])
        lost = {"say@1/1"} if len(there) == 1 else set()
        rows = [{"task_id": t.id, "sample": 0, "status": "error" if t.id in lost else "passed", "error": ""}
                for t in tasks.tasks]  # fmt: skip
        for row in rows:
            if row["task_id"] not in there[-1]:
                kept.add(row)
        return rows

    monkeypatch.setattr(command, "_evaluate", evaluated)
    file, partial = tmp_path / "out.jsonl", tmp_path / "out.jsonl.partial"
    words = ["eval", "--tasks", source, "--samples", str(file)]
    assert main(words) == 0
    assert "samples lost to failures of ours: 1;" in capsys.readouterr().err and partial.exists()
    assert main([*words, "--limit", "1"]) == 0
    assert "it has 1 samples that were not asked for here" in capsys.readouterr().err and partial.exists()
    assert main(words) == 0
    assert there == [[], ["say@1/0", "say@1/2"], ["say@1/0", "say@1/2"]]
    assert [json.loads(line)["status"] for line in file.read_text().splitlines()] == ["passed"] * 3
    assert not partial.exists()


def test_nothing_judged_is_a_failure_that_says_why(source, answered, capsys):
    answered([row(n, "error", error="engine gone") for n in range(3)])
    assert main(["eval", "--tasks", source]) == 1
    assert "the first error: engine gone" in capsys.readouterr().out


def test_retest_names_a_row_that_is_no_sample(source, tmp_path, capsys):
    samples = write(tmp_path / "samples.jsonl", [{"task_id": "say@1/0", "completion": "1"}, {"prompt": "Say it."}])
    words = ["retest", samples, "--tasks", source, "--out", f"{tmp_path}/out.jsonl", "--model", f"{tmp_path}/no-model"]
    assert main(words) == 1
    assert "samples.jsonl:2: task_id is missing" in capsys.readouterr().err
