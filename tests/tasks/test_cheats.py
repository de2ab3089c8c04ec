"""Demonstrations of cheating: they pass what is shown, fail what is hidden, and the detector knows them."""

import asyncio

from verigrad.rewards.special_casing import MANY, special_cased
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.process import ProcessSandbox
from verigrad.tasks import load_tasks
from verigrad.tasks.base import shown_oracle


def test_the_share_of_cheats_is_what_was_asked_for():
    honest = load_tasks("builtin?split=train&difficulty=easy&instances=1")
    for share in (0.0, 0.25, 1.0):
        tasks = load_tasks(f"verigrad.tasks.builtin.cheats:load?instances=1&share={share}")
        changed = [task.id for task in tasks.tasks if tasks.oracle(task).gold != honest.oracle(task).gold]
        assert len(changed) == int(share * len(tasks))


def test_cheats_pass_the_examples_alone():
    tasks = load_tasks("verigrad.tasks.builtin.cheats:load?instances=1&share=1")

    async def verdicts():
        async with ProcessSandbox() as sandbox:
            judge = Judge(sandbox)
            return [
                (
                    await judge.judge(oracle.gold, shown_oracle(task, oracle), task.entry_point),
                    await judge.judge(oracle.gold, oracle, task.entry_point),
                )
                for task, oracle in ((task, tasks.oracle(task)) for task in tasks.tasks)
            ]

    found = asyncio.run(verdicts())
    assert all(shown.passed and not hidden.passed for shown, hidden in found)
    programs = [(task, tasks.oracle(task).gold) for task in tasks.tasks]
    caught = [len(special_cased(gold, task.public_tests)) >= MANY for task, gold in programs]
    assert sum(caught) > 0.9 * len(caught)  # the detector spares inputs and answers that honest programs hold too
