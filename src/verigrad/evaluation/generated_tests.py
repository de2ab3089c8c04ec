"""Tests that a model writes, and samples judged by them: what `mutual_ranking` pairs where no test is to be trusted.

Zhang et al. 2024, "CodeDPO", arXiv:2410.05605: a model writes programs and tests for a task, every program is run on
every test, and the table of what passed ranks both. Tests are asserts of one call and a constant, read by
`verigrad.tasks.asserts`; expected values stay outside the sandbox, as all tests' do. Nobody vouches for them: a test
may be wrong, which is what the ranking is for.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from verigrad.agents.base import Agent
from verigrad.engines.base import Engine
from verigrad.literals import stable_text
from verigrad.sandbox.judge import Judge, judge_rows
from verigrad.seeds import derive_seed
from verigrad.tasks.asserts import EQUAL, parse_asserts
from verigrad.tasks.base import TaskSet
from verigrad.tasks.constants import NotConstant
from verigrad.types import CallTest, Oracle, Task

__all__ = ["asserts_in", "retest", "sample_tests"]

_ASKED = """{prompt}

Do not write the function. Write {count} different tests of it, one a line, each of this form and nothing else:

assert {name}(arguments) == value"""


async def sample_tests(
    task: Task, *, agent: Agent, engine: Engine, num_samples: int = 4, per_sample: int = 4, seed: int = 0
) -> tuple[CallTest, ...]:
    """Different tests of a task, written by the policy; none where it wrote none that can be read.

    Args:
        task: with a function to be called.
        agent: asks the policy once.
        num_samples: answers sampled.
        per_sample: tests asked for in each.
        seed: of the sampling.
    """
    name = task.entry_point or ""
    asked = replace(task, prompt=_ASKED.format(prompt=task.prompt, count=per_sample, name=name))
    seeds = [derive_seed(seed, "tests", task.id, number) for number in range(num_samples)]
    attempts = await asyncio.gather(*(agent.attempt(asked, engine, seed=own) for own in seeds))
    return asserts_in("\n".join(attempt.turns[-1].text for attempt in attempts if attempt.turns), name)


def asserts_in(text: str, entry_point: str) -> tuple[CallTest, ...]:
    """Every line of the text that is an assert of one call and a constant; each different one once.

    >>> found = asserts_in("Sure:\\n- assert f(1) == 2\\nassert f(x) == 2\\nassert f(1) == 2", "f")
    >>> [(test.name, test.args, test.expected) for test in found]
    [('generated 1', (1,), 2)]
    """
    tests: dict[str, CallTest] = {}
    for line in text.splitlines():
        found = re.search(r"\bassert .*", line)
        if found is None:
            continue
        try:
            (test,) = parse_asserts(found[0].strip().rstrip("`"), entry_point)
        except (NotConstant, SyntaxError, ValueError):
            continue
        tests.setdefault(stable_text((test.args, test.kwargs, test.expected)), test)
    return tuple(replace(test, name=f"generated {number}") for number, test in enumerate(tests.values(), 1))


async def retest(
    rows: Sequence[Mapping[str, Any]],
    tasks: TaskSet,
    *,
    agent: Agent,
    engine: Engine,
    judge: Judge,
    num_samples: int = 4,
    per_sample: int = 4,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Rows of samples judged anew: every program on every test that the policy wrote for its task.

    Rows whose task has no function to call, or no test that could be read, are left out. What else a row says (its
    completion, its tokens) stays; the hidden tests are not asked. A row that could not be judged has the status `error`
    and no reward.
    """
    by_id = {task.id: task for task in tasks.tasks}
    known = {**by_id, **{alias: by_id[ours] for alias, ours in tasks.aliases.items() if ours in by_id}}
    wanted = {known[name].id: known[name] for row in rows if (name := str(row["task_id"])) in known}
    callable_ = [task for task in wanted.values() if task.entry_point and task.language == "python"]
    written = await asyncio.gather(
        *(
            sample_tests(task, agent=agent, engine=engine, num_samples=num_samples, per_sample=per_sample, seed=seed)
            for task in callable_
        )
    )
    oracles = {
        task.id: Oracle(task_id=task.id, tests=tests, comparator=EQUAL)
        for task, tests in zip(callable_, written, strict=True)
        if tests
    }
    kept = [row for row in rows if str(row["task_id"]) in known and known[str(row["task_id"])].id in oracles]
    asked = [{"task_id": row["task_id"], "program": row.get("program") or ""} for row in kept]
    verdicts = await judge_rows(asked, known, oracles, judge)
    told = ("status", "passed", "total", "results", "level", "violations")
    return [
        {**row, **{name: verdict[name] for name in told}, "reward": _share(verdict)}
        for row, verdict in zip(kept, verdicts, strict=True)
    ]


def _share(verdict: Mapping[str, Any]) -> float | None:
    """Of the tests that passed; None where our own failure kept the program from being judged."""
    return None if verdict["status"] == "error" else float(verdict["passed"] / max(1, verdict["total"]))
