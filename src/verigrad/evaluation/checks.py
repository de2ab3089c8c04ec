"""Proof that tasks and rewards are what they claim, without a model.

A task is sound where its gold program passes, where the empty program, constants (of a text: other answers) and
wrong programs fail, and where judging twice gives one answer. Where no wrong programs are known, gold programs with one
change are tried and those that pass all the same counted; where all pass and there is no constant to fail, nothing
shows that the tests look. Tests that are drawn must be the same for the same seed, and hold the gold program for two
seeds. A reward is sound where its own `CHECKS` hold on a small known task.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from verigrad.errors import ConfigError, TaskError
from verigrad.evaluation.constants import constant_programs, guesses, printing, returning
from verigrad.evaluation.fresh import FreshTests
from verigrad.evaluation.mutants import mutants
from verigrad.registry import load_attribute, resolve
from verigrad.rewards import REWARDS
from verigrad.rewards.base import Answer, Check, Reward, score_answer, wanted_by
from verigrad.sandbox.base import Call, Stdin
from verigrad.sandbox.costs import CostMeter
from verigrad.sandbox.judge import Judge
from verigrad.tasks.base import TaskSet, shown_oracle
from verigrad.tasks.builtin import wrong_programs
from verigrad.types import (
    CallTest,
    InvariantTest,
    Limits,
    Oracle,
    PropertyTest,
    SuiteTest,
    Task,
    TheoremTest,
    Verdict,
)

__all__ = ["RewardCheck", "TaskCheck", "check_reward", "check_tasks"]


@dataclass(frozen=True)
class TaskCheck:
    """What was found about one task; sound where `complaints` is empty.

    Attributes:
        programs: judged to know.
        mutants: of them the gold program with one thing changed, or where arguments are to be found, some guessed.
        survivors: mutants that pass all the same, which is no complaint: the change may do no harm.
    """

    task_id: str
    complaints: tuple[str, ...]
    programs: int
    mutants: int = 0
    survivors: int = 0


@dataclass(frozen=True)
class RewardCheck:
    """One of a reward's checks: the value it gave and whether that is within its bounds."""

    check: Check
    value: float | None
    holds: bool


async def check_tasks(
    taskset: TaskSet, judge: Judge, *, on_task: Callable[[TaskCheck], None] | None = None, at_once: int = 8
) -> list[TaskCheck]:
    """Check every task of a source; results in task order."""
    gate = asyncio.Semaphore(at_once)

    async def one(task: Task) -> TaskCheck:
        async with gate:
            check = await _check_task(task, taskset.oracle(task), judge)
        if on_task is not None:
            on_task(check)
        return check

    return list(await asyncio.gather(*(one(task) for task in taskset.tasks)))


async def _check_task(task: Task, oracle: Oracle, judge: Judge) -> TaskCheck:
    if not oracle.tests:
        return TaskCheck(task.id, ("has no tests",), 0)
    try:
        complaints, judged = await _check_gold(task, oracle, judge)
        if oracle.repository is not None:
            complaints += await _check_unchanged(oracle, judge)
            return TaskCheck(task.id, tuple(complaints), judged + 1)
        bad = [("the empty program", "")]
        bad += [(f"the constant program {text}", source) for text, source in constant_programs(task, oracle)]
        bad += [(f"the constant program {text}", source) for text, source in await _gold_answers(task, oracle, judge)]
        if any(isinstance(test, InvariantTest) for test in oracle.tests):
            bad += [("an invariant that says nothing", "True"), ("an invariant that nothing meets", "False")]
        bad += [pair for prover in _provers(oracle) for pair in _WRONG_PROOFS[prover]]
        if task.tag("source") == "builtin":
            bad += [(f"wrong program {n}", source) for n, source in enumerate(wrong_programs(task), 1)]
        through = [name for name, source in bad if (await judge.judge(source, oracle, task.entry_point)).passed]
        complaints += [f"{name} passes" for name in through]
        changed = await _judge_mutants(task, oracle, judge)
        if len(bad) == 1 and changed and all(changed):
            complaints.append(f"all of {len(changed)} changed answers pass, so nothing shows that the tests look")
    except TaskError as error:
        return TaskCheck(task.id, (str(error).removeprefix(f"{task.id}: "),), 0)
    return TaskCheck(task.id, tuple(complaints), len(bad) + judged + len(changed), len(changed), sum(changed))


_WRONG_PROOFS = {
    "coq": [
        ("a proof that does nothing", "intros."),
        ("a proof of True", "intros. exact I."),
        ("a proof that repeats a premise", "intros. assumption."),
    ],
    "lean": [
        ("a proof that does nothing", "intros"),
        ("a proof of True", "intros\nexact True.intro"),
        ("a proof that repeats a premise", "intros\nassumption"),
    ],
}
"""By prover: proofs of nothing that is worth to be asked. What follows from premises that contradict each other the
judge refuses itself."""


def _provers(oracle: Oracle) -> dict[str, None]:
    return dict.fromkeys(test.prover for test in oracle.tests if isinstance(test, TheoremTest))


async def _judge_mutants(task: Task, oracle: Oracle, judge: Judge) -> list[bool]:
    """Whether each mutant of the gold program passes; none for tasks that bring wrong programs of their own."""
    if oracle.gold is None or task.tag("source") == "builtin":
        return []
    changed = guesses(oracle) if task.language == "text" else mutants(oracle.gold, language=task.language)
    return [(await judge.judge(source, oracle, task.entry_point)).passed for source in changed]


async def _check_gold(task: Task, oracle: Oracle, judge: Judge) -> tuple[list[str], int]:
    """Complaints about the gold program, and how many were judged to know."""
    if oracle.gold is None:
        return ["has no gold program, so nothing shows that it can be solved"], 0
    complaints = []
    # Two seeds shuffle the tests differently, and neither verdict comes from the cache of the other.
    first, second = [await judge.judge(oracle.gold, oracle, task.entry_point, seed=seed) for seed in (0, 1)]
    if not first.passed:
        complaints.append(f"gold does not pass: {_describe(first)}")
    if first.status != second.status:
        complaints.append(f"gold is not deterministic: {first.status}, then {second.status}")
    if oracle.generator is None:
        return complaints, 2
    once, twice = [await FreshTests(judge.sandbox).draw([task], [oracle], seed=1) for _ in range(2)]
    if pickle.dumps(once) != pickle.dumps(twice):  # not compared: NaN is not equal to itself
        complaints.append("the generator draws other tests for the same seed")
    fresh = await judge.judge(oracle.gold, once[0], task.entry_point)
    if not fresh.passed:
        complaints.append(f"gold does not pass tests drawn anew: {_describe(fresh)}")
    return complaints, 3


async def _check_unchanged(oracle: Oracle, judge: Judge) -> list[str]:
    """What the repository as it is passes and may not, or fails and should not."""
    verdict = await judge.judge("", oracle, None)
    status = {result.name: result.status for result in verdict.results}
    complaints = ["the repository passes unchanged"] if verdict.passed else []
    for test in oracle.tests:
        if isinstance(test, SuiteTest) and (status[test.name] == "passed") != (test.group == "pass_to_pass"):
            does = "passes" if test.group == "fail_to_pass" else "fails"
            complaints.append(f"{test.name} is {test.group}, but the unchanged repository {does} it")
    return complaints


async def _gold_answers(task: Task, oracle: Oracle, judge: Judge) -> list[tuple[str, str]]:
    """Programs that give one of the gold program's answers to all inputs of properties, which expect no value."""
    inputs = [item for test in oracle.tests if isinstance(test, PropertyTest) for item in test.inputs]
    if not inputs or oracle.gold is None:
        return []
    name = task.entry_point
    asked = [Call(str(name), item) if isinstance(item, tuple) else Stdin(item) for item in inputs]
    box = judge.sandbox.for_language(oracle.language, oracle.packages)
    execution = await box.run(oracle.gold, asked, oracle.limits)
    values = [outcome.value for outcome in execution.outcomes if outcome.status == "returned"]
    if name is None:
        return printing(task.language, values)
    return returning(task.language, name, values, prototype=oracle.prototype)


def _describe(verdict: Verdict) -> str:
    failing = next((result for result in verdict.results if result.status != "passed"), None)
    detail = f"; {failing.name}: {failing.status} {failing.detail}" if failing else ""
    return f"{verdict.status} ({verdict.num_passed} of {len(verdict.results)} tests) {verdict.error}{detail}".strip()


_TASK = Task(
    id="check@1/double",
    prompt="Write `double(n)` that returns n times 2.",
    entry_point="double",
    public_tests=tuple(CallTest(f"example_{n}", (n,), 2 * n) for n in (4, 6)),
)
_ORACLE = Oracle(
    task_id=_TASK.id,
    tests=tuple(CallTest(f"test_{n}", (n,), 2 * n) for n in (0, 1, 2, 7, -3)),
    gold="def double(n):\n    return 2 * n\n",
    limits=Limits(cpu_s=0.3, wall_s=4, memory_mb=256),
)
_CASES = {
    "gold": _ORACLE.gold,
    "annotated": "def double(n: int) -> int:\n    return 2 * n\n",
    "insecure": "def double(n):\n    return eval('2 * n')\n",
    "memorised": "def double(n):\n    return {0: 0, 1: 2, 2: 4, 7: 14, -3: -6, 4: 8, 6: 12}[n]\n",
    "repeated": "def double(n):\n" + "    # two times n is n and n\n" * 30 + "    return 2 * n\n",
    "empty": None,
    "wrong": "def double(n):\n    return n * n\n",
    "constant": "def double(n):\n    return 2\n",
    "stub": "def double(n):\n    pass\n",
    "syntax_error": "def double(n)\n    return 2 * n\n",
    "early_exit": "import os\nos._exit(0)\n",
    "infinite_loop": "def double(n):\n    while True:\n        pass\n",
    "memory_hog": "def double(n):\n    return len(bytearray(10**11)) and 2 * n\n",
    "always_equal": (
        "class Equal(int):\n    def __eq__(self, other):\n        return True\n    __hash__ = int.__hash__\n\n"
        "def double(n):\n    return Equal(1)\n"
    ),
}


async def check_reward(name: str, judge: Judge) -> list[RewardCheck]:
    """Run a reward's own `CHECKS`, found in the module that defines it: a list, or a dict of lists by function.

    Raises:
        ConfigError: the reward is unknown, or there is no `CHECKS` beside it.
        RewardError: the reward raised on one of the cases.
    """
    reward: Reward = resolve(name, REWARDS, what="reward")
    source, _, function = str(REWARDS.get(name, name)).rpartition(":")
    try:
        checks: Sequence[Check] | Mapping[str, Sequence[Check]] = load_attribute(f"{source}:CHECKS")
    except ConfigError as error:
        raise ConfigError(
            f"reward {name!r} has no CHECKS beside it in {source}; add, for example, "
            "CHECKS = [Check('gold', at_least=1.0), Check('empty', at_most=0.0)] (from verigrad.rewards.base)"
        ) from error
    if isinstance(checks, Mapping):
        if function not in checks:
            raise ConfigError(f"CHECKS in {source} has none for {function!r}; it has some for {sorted(checks)}")
        checks = checks[function]
    return [await _check_case(reward, check, judge) for check in checks]


async def _check_case(reward: Reward, check: Check, judge: Judge) -> RewardCheck:
    program = _CASES[check.case]
    verdict = await judge.judge(program, _ORACLE, _TASK.entry_point) if program is not None else None
    shown = shown_oracle(_TASK, _ORACLE)
    if verdict is not None and program is not None and shown is not None:
        verdict = replace(verdict, shown=await judge.judge(program, shown, _TASK.entry_point))
    if verdict is not None and program is not None and verdict.passed and "costs" in wanted_by(reward):
        verdict = replace(verdict, costs=await CostMeter(judge.sandbox).costs(program, _ORACLE, _TASK.entry_point))
    text = f"```python\n{program}```" if program is not None else "I cannot help with that."
    answer = Answer(text, program, tokens=len(text) // 4)
    score = await score_answer(
        reward, _TASK, answer, verdict, reference=_ORACLE.gold, oracle=_ORACLE, sandbox=judge.sandbox
    )
    bounded = check.at_least > float("-inf") or check.at_most < float("inf")
    if score.value is None:
        return RewardCheck(check, None, check.may_abstain or not bounded)
    holds = check.at_least <= score.value <= check.at_most
    return RewardCheck(check, score.value, holds)
