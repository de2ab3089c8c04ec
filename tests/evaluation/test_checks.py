"""What `check tasks` tries on theorems: proofs of nothing, which must fail. The prover itself is played."""

import asyncio

import pytest

from verigrad.evaluation.checks import check_tasks
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.process import ProcessSandbox
from verigrad.tasks.base import TaskSet
from verigrad.types import Oracle, Task, TheoremTest


@pytest.mark.parametrize("prover", ["coq", "lean"])
@pytest.mark.parametrize(
    ("accepted", "complaints"),
    [
        (("gold",), ()),
        (("gold", "exact I.", "exact True.intro"), ("a proof of True passes",)),
        (("gold", "assumption"), ("a proof that repeats a premise passes",)),
        ((), ("gold does not pass: failed (0 of 1 tests) ; t: failed refused",)),
    ],
)
def test_proofs_of_nothing_are_tried(monkeypatch, prover, accepted, complaints):
    """A prover that takes the scripts in which one of these stands; every other it refuses."""

    async def plays(test, script, commands):
        assert test.prover == prover
        return "" if any(text in script for text in accepted) else "refused"

    monkeypatch.setattr(f"verigrad.sandbox.text.why_no_{prover}_proof", plays)
    test = TheoremTest("t", "statement", prover=prover)
    oracle = Oracle(task_id="t", tests=(test,), gold="gold", language="text")
    tasks = TaskSet("t", (Task(id="t", prompt="", language="text"),), {"t": oracle}, {})

    async def checked():
        async with ProcessSandbox(workers=1) as sandbox:
            return await check_tasks(tasks, Judge(sandbox, canaries_every=0))

    (check,) = asyncio.run(checked())
    assert check.complaints == complaints
