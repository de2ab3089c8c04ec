"""The tasks for `equivalent`: every reference is in the subset, and a table of the tests' answers is refuted."""

import pytest

from verigrad.sandbox.proofs.equivalence import compare_programs, parameter_sorts
from verigrad.tasks import load_tasks

TASKS = load_tasks("provable")


@pytest.mark.parametrize("task", TASKS.tasks, ids=lambda task: task.id)
def test_the_reference_is_proved_and_a_table_refuted(task):
    oracle = TASKS.oracle(task)
    sorts = parameter_sorts([test.args for test in oracle.tests])
    assert compare_programs(oracle.gold, oracle.gold, task.entry_point, sorts).status == "proved"
    names = [f"x{n}" for n in range(len(sorts))]
    table = f"def {task.entry_point}({', '.join(names)}):\n"
    for test in oracle.tests:
        known = " and ".join(f"{name} == {value}" for name, value in zip(names, test.args, strict=True))
        table += f"    if {known}:\n        return {test.expected}\n"
    table += f"    return {oracle.tests[0].expected}\n"
    assert compare_programs(table, oracle.gold, task.entry_point, sorts).status == "refuted"
