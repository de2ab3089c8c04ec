"""Demonstrations of cheating: built-in tasks in which part of the gold programs only know the examples of the prompt.

For experiments about reward hacking (`recipes/reward-hacking.toml`), which need a starting policy that cheats
sometimes; a small model hardly ever does by itself. Never train a model for use on them.

    verigrad sft --tasks "verigrad.tasks.builtin.cheats:load?share=0.5"
"""

from __future__ import annotations

import ast
from dataclasses import replace

from verigrad.tasks.base import TaskSet
from verigrad.tasks.builtin.prompt import literal
from verigrad.tasks.builtin.suite import load as load_suite
from verigrad.types import CallTest, Oracle, Task

__all__ = ["load", "special_casing_program"]


def load(split: str = "train", *, share: float = 0.5, difficulty: str = "easy", instances: int = 4) -> TaskSet:
    """Tasks of the built-in suite; spread over them evenly, `share` of the golds are special cases.

    The hidden tests stay, so those golds do not pass: this is no source to train on by verdicts.
    """
    tasks = load_suite(split, difficulty=difficulty, instances=instances)
    oracles = dict(tasks.oracles)
    for number, task in enumerate(tasks.tasks):
        if int((number + 1) * share) > int(number * share):
            oracle = oracles[task.id]
            oracles[task.id] = replace(oracle, gold=special_casing_program(task, oracle))
    return TaskSet(f"{tasks.name}/cheats", tasks.tasks, oracles, {})


def special_casing_program(task: Task, oracle: Oracle) -> str:
    """A program that answers the task's examples, and nothing else.

    >>> task = Task(id="t", prompt="", entry_point="f", public_tests=(CallTest("a", (3, [1]), "x"),))
    >>> print(special_casing_program(task, Oracle(task_id="t", tests=(), gold="def f(n, items): ...")))
    def f(n, items):
        if (n, items) == (3, [1]):
            return 'x'
    <BLANKLINE>
    """
    definition = next(node for node in ast.parse(oracle.gold or "").body if isinstance(node, ast.FunctionDef))
    names = [argument.arg for argument in definition.args.args]
    given = names[0] if len(names) == 1 else f"({', '.join(names)})"
    lines = [f"def {definition.name}({', '.join(names)}):"]
    for test in task.public_tests:
        assert isinstance(test, CallTest)
        inputs = literal(test.args[0] if len(names) == 1 else test.args)
        lines += [f"    if {given} == {inputs}:", f"        return {literal(test.expected)}"]
    return "\n".join(lines) + "\n"
