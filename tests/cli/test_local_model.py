"""`sample`, `eval` and `inspect` with a model and a run that are here."""

import json
import signal
import subprocess
import sys

import pytest
import torch
from evaluation.made_up import lines, make_run, sample
from tiny import END, tiny_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from verigrad.cli.main import main

TASKS = """
from verigrad import AnswerTest, Oracle, Task
from verigrad.tasks.base import TaskSet


def load():
    tasks = tuple(Task(id=f"say@1/{n}", prompt=f"Say {n}.", language="text") for n in range(4))
    oracles = {task.id: Oracle(task_id=task.id, tests=(AnswerTest("a", 0),)) for task in tasks}
    return TaskSet("say@1", tasks, oracles, {})
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model that says 0, 1 or nothing more with probabilities a half, a quarter and a quarter, whatever it reads;
    tasks whose answer is 0."""
    folder = tmp_path_factory.mktemp("coin")
    model, tokenizer = tiny_model("gpt_neox")
    with torch.no_grad():
        norm, head = model.gpt_neox.final_layer_norm, model.get_output_embeddings().weight
        norm.weight.zero_()
        norm.bias.zero_()[0] = 1.0
        head.zero_()[:, 0] = -100.0
        for id_, share in ((ord("0"), 0.5), (ord("1"), 0.25), (END, 0.25)):
            head[id_, 0] = torch.tensor(share).log()
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    (folder / "my.py").write_text(TASKS)
    return folder


def on_the_model(folder, command, *words):
    return main([command, *words, "--model", str(folder / "model"), "--device", "cpu", "--dtype", "float32"])


@pytest.mark.parametrize("prompt", ["Hello", "x" * 2100])
def test_sample_answers_a_prompt(tmp_path, capsys, prompt):
    """Greedily, with what transformers' own decoding of the chat prompt gives; any prompt that there is room for."""
    model, tokenizer = tiny_model("llama", seed=3, max_position_embeddings=4096)
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    assert on_the_model(tmp_path, "sample", prompt, "--max-tokens", "12") == 0
    model, tokenizer = (kind.from_pretrained(tmp_path / "model") for kind in (AutoModelForCausalLM, AutoTokenizer))
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    said = model.generate(**ids, max_new_tokens=12, do_sample=False)[0, ids["input_ids"].shape[1] :]
    assert capsys.readouterr().out.rstrip("\n") == tokenizer.decode(said, skip_special_tokens=True).rstrip("\n")


def test_eval_says_what_did_not_fit(folder, capsys):
    """A chat prompt of these tasks has more than 20 ids, and the model room for all of them."""
    words = ["--tasks", f"{folder}/my.py:load", "--max-tokens", "4"]
    assert on_the_model(folder, "eval", *words, "--max-length", "20") == 0
    assert "4 of 4 samples had no room" in capsys.readouterr().out
    assert on_the_model(folder, "eval", *words) == 0
    assert "no room" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["2", "say@1/2"])
def test_sample_answers_a_task_and_judges_it(folder, capsys, name):
    words = ["--task", f"{folder}/my.py:load#{name}", "--max-tokens", "1"]
    assert on_the_model(folder, "sample", *words) == 0
    assert capsys.readouterr().out.split("\n\n") == ["Say 2.", "--- passed (1 of 1 tests), 1 tokens\n0", ""]


def test_sample_names_a_task_that_is_not_there(folder, capsys):
    assert on_the_model(folder, "sample", "--task", f"{folder}/my.py:load#9") == 1
    assert "no task '9'; it has 4 tasks, the first is say@1/0" in capsys.readouterr().err


def passes(file):
    """By task, how many of its samples passed."""
    found = {}
    for row in map(json.loads, file.read_text().splitlines()):
        found[row["task_id"]] = found.get(row["task_id"], 0) + (row["status"] == "passed")
    return found


def test_eval_counts_what_passes_and_compares(folder, tmp_path, capsys):
    """pass@1 is the share of samples, pass@5 of five that of tasks with any; the difference is that of the shares."""
    means = []
    for seed, more in (("0", []), ("1", ["--against", f"{tmp_path}/0.jsonl"])):
        words = ["--tasks", f"{folder}/my.py:load", "--k", "1,5", "--temperature", "1", "--max-tokens", "2"]
        words += ["--seed", seed, "--samples", f"{tmp_path}/{seed}.jsonl", *more]
        assert on_the_model(folder, "eval", *words) == 0
        printed = capsys.readouterr().out
        found = passes(tmp_path / f"{seed}.jsonl")
        means.append(sum(found.values()) / 20)
        assert len(found) == 4 and 0 < means[-1] < 1
        assert f"pass@1 {means[-1]:.1%}  [" in printed and "over 4 tasks, 20 samples" in printed
        assert f"pass@5 {sum(map(bool, found.values())) / 4:.1%}  [" in printed
    assert f"\npass@1 against {tmp_path}/0.jsonl: {means[1] - means[0]:+.1%} [" in printed


def test_inspect_shows_a_run_and_the_rollouts_of_a_step(tmp_path, capsys):
    folder = make_run(tmp_path / "run")
    splits = {"held-out": {"before": {"pass@1": 0.375}, "after": {"pass@1": 0.75}, "num_tasks": 4}}
    splits["held-out"]["difference"] = {"value": 0.375, "low": 0.1, "high": 0.6}
    (folder / "summary.json").write_text(json.dumps({"splits": splits}))
    rows = [sample("a1", 0, "passed", reward=1.0), sample("b1", 1, "failed", reward=0.25)]
    rows = [{**row, "task_id": row["prompt"].removeprefix("Solve ")} for row in rows]
    lines(folder / "rollouts" / "step-000003.jsonl", rows)
    assert main(["inspect", str(folder)]) == 0
    printed = " ".join(capsys.readouterr().out.split())  # lines are as wide as the folder's name lets them
    assert "5 steps" in printed and "validation after step 4: 37.5% [25.0%, 50.0%]" in printed
    assert "held-out: pass@1 37.5% -> 75.0%, +37.5% [+10.0%, +60.0%] over 4 tasks" in printed
    assert main(["inspect", str(folder), "--step", "3"]) == 0
    printed = capsys.readouterr().out
    assert "a1 #0: passed, reward 1.0, 9 tokens" in printed and "return 1 < 2" in printed
    assert "ok t0" in printed and "failed t0 got <1>" in printed
    assert "2 of 2 rollouts of step 3 shown" in printed
    assert main(["inspect", str(folder), "--step", "3", "--status", "failed"]) == 0
    printed = capsys.readouterr().out
    assert "1 of 1 rollouts of step 3 shown" in printed and "passed, reward" not in printed
    assert main(["inspect", str(folder), "--step", "4"]) == 1
    assert "no rollouts of step 4 were kept; kept are those of: 3" in capsys.readouterr().err


KILLED = """
import os, signal, sys
from verigrad.append_log import AppendLog
from verigrad.cli.main import main

append, lines = AppendLog.append, []


def counted(self, row):
    append(self, row)
    lines.append(row)
    if len(lines) == 8:
        os.kill(os.getpid(), signal.SIGKILL)


AppendLog.append = counted
main(sys.argv[1:])
"""


def test_an_evaluation_that_was_killed_goes_on(folder, tmp_path, capsys):
    """What had ended is not drawn again, and the file is that of an evaluation nobody disturbed."""
    words = ["--tasks", f"{folder}/my.py:load", "--num-samples", "5", "--temperature", "1", "--max-tokens", "1"]
    model = ["--model", str(folder / "model"), "--device", "cpu", "--dtype", "float32"]
    command = [sys.executable, "-c", KILLED, "eval", *words, *model, "--samples", f"{tmp_path}/killed.jsonl"]
    assert subprocess.run(command, capture_output=True).returncode == -signal.SIGKILL
    partial = tmp_path / "killed.jsonl.partial"
    began, *rows = map(json.loads, partial.read_text().splitlines())
    assert began["event"] == "began" and len(rows) == 7 and not (tmp_path / "killed.jsonl").exists()

    assert on_the_model(folder, "eval", *words, "--seed", "1", "--samples", f"{tmp_path}/killed.jsonl") == 1
    assert "another evaluation that has not ended (seed 0, here 1)" in capsys.readouterr().err

    mended = TASKS.replace('AnswerTest("a", 0)', 'AnswerTest("a", 1)')
    (folder / "my.py").write_text(mended)
    command[1:3] = ["-m", "verigrad"]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 1 and "content of the tasks" in refused.stderr  # same prompts, other hidden tests
    (folder / "my.py").write_text(TASKS)

    marked = [{**row, "completion": "kept"} for row in rows]
    partial.write_text("".join(json.dumps(row) + "\n" for row in [began, *marked]) + '{"task_id": "torn')
    assert on_the_model(folder, "eval", *words, "--samples", f"{tmp_path}/killed.jsonl") == 0
    assert "going on: 7 samples" in capsys.readouterr().err and not partial.exists()
    assert on_the_model(folder, "eval", *words, "--samples", f"{tmp_path}/whole.jsonl") == 0
    ended, whole = (
        [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        for name in ("killed.jsonl", "whole.jsonl")
    )
    kept = {(row["task_id"], row["sample"]) for row in rows}
    assert len(ended) == 20 and kept == {(r["task_id"], r["sample"]) for r in ended if r["completion"] == "kept"}
    for row, other in zip(ended, whole, strict=True):
        leave = {"cpu_ms", "completion"} if row["completion"] == "kept" else {"cpu_ms"}
        assert {k: v for k, v in row.items() if k not in leave} == {k: v for k, v in other.items() if k not in leave}
