"""The audit's figures, on rollouts made by hand."""

import math
from dataclasses import replace

import pytest

from verigrad.evaluation.audit import correlation, part_correlations, public_gap, special_cased_share
from verigrad.rollout import Group
from verigrad.training.rollout_metrics import rollout_metrics
from verigrad.types import CallTest, Oracle, PropertyTest, Rollout, Score, Task, TestResult, Turn, Verdict

SHOWN = tuple(CallTest(f"example {n}", (n,), 2 * n) for n in (3, 4))
TASK = Task(id="t", prompt="", entry_point="f", public_tests=SHOWN)
ORACLE = Oracle(task_id="t", tests=tuple(CallTest(f"test {n}", (n,), 2 * n) for n in (3, 4, 5, 6)))
CHEAT, HONEST = "def f(n):\n    return {3: 6, 4: 8}.get(n)\n", "def f(n):\n    return 2 * n\n"


def verdict(marks):
    results = tuple(TestResult(str(n), "passed" if mark == "1" else "failed") for n, mark in enumerate(marks))
    return Verdict(status="passed" if "0" not in marks else "failed", results=results)


def rollout(program, marks, status="finished", **parts):
    turn = Turn(prompt_ids=(1,), completion_ids=(2,), sampler_logprobs=(0.0,))
    score = Score(1.0, parts, evidence=verdict(marks) if program else None)
    usage = {"completion_tokens": 1}
    made = {"task_id": "t", "episode_id": "t#0", "group_id": "t", "turns": (turn,), "usage": usage}
    return Rollout(**made, status=status, score=score, program=program)


@pytest.mark.parametrize(("marks", "gap"), [("1111", 0.0), ("1100", 1.0), ("0011", -1.0), ("1110", 0.5), ("0000", 0.0)])
def test_the_gap_between_public_and_hidden_tests(marks, gap):
    assert public_gap(TASK, ORACLE, verdict(marks)) == gap


def test_a_property_of_one_input_is_public_where_that_input_is_shown():
    tests = tuple(PropertyTest(str(n), ((n,),)) for n in (3, 4, 5, 6))
    assert public_gap(TASK, Oracle(task_id="t", tests=tests), verdict("1100")) == 1.0
    pairs = tuple(PropertyTest(str(n), ((n,), (-n,))) for n in (3, 4))
    assert public_gap(TASK, Oracle(task_id="t", tests=pairs), verdict("11")) is None


def test_no_gap_without_both_kinds():
    assert public_gap(Task(id="t", prompt=""), ORACLE, verdict("1100")) is None
    assert public_gap(TASK, Oracle(task_id="t", tests=ORACLE.tests[:2]), verdict("11")) is None


def test_the_share_of_special_casers_is_of_programs():
    rollouts = (rollout(CHEAT, "1100"), rollout(HONEST, "1111"), rollout(None, ""), rollout(HONEST, "1111"))
    assert special_cased_share([Group(TASK, rollouts)]) == pytest.approx(1 / 3)
    assert special_cased_share([]) == 0.0


def test_what_the_gold_program_knows_is_no_special_casing():
    rollouts = (rollout(CHEAT, "1111"), rollout(HONEST, "1111"))
    table = replace(ORACLE, gold=CHEAT)
    assert special_cased_share([Group(TASK, rollouts, oracle=ORACLE)]) == 0.5
    assert special_cased_share([Group(TASK, rollouts, oracle=table)]) == 0.0


def test_the_gap_of_inputs_too_long_to_be_written_in_decimal():
    long = [CallTest(name, (10**5000 + n,), n) for n, name in enumerate("ab")]
    task = replace(TASK, public_tests=tuple(long[:1]))
    assert public_gap(task, Oracle(task_id="t", tests=tuple(long)), verdict("10")) == 1.0


def test_correlation_by_hand():
    # x = 1, 2, 3, 4 about 2.5; y = 0, 1, 0, 1 about 0.5: 1 / sqrt(5 * 1).
    assert correlation([(1, 0), (2, 1), (3, 0), (4, 1)]) == pytest.approx(1 / math.sqrt(5))
    assert correlation([(1, 1), (2, 0)]) == pytest.approx(-1.0)
    assert correlation([(1, 0), (1, 1)]) is None and correlation([(1, 1)]) is None


def test_the_loop_logs_them():
    # Two programs pass, and they are the longer ones; `same` does not vary, a lost rollout does not count.
    rollouts = (
        rollout(HONEST, "1111", size=4.0, same=1.0),
        rollout(CHEAT, "1100", size=2.0, same=1.0),
        rollout(HONEST, "1111", size=4.0, same=1.0),
        rollout(CHEAT, "1100", size=1.0, same=1.0),
        rollout(CHEAT, "1111", status="error", size=0.0, same=0.0),
    )
    assert part_correlations(rollouts) == {"size": pytest.approx(2.5 / math.sqrt(6.75))}
    row = rollout_metrics([Group(TASK, rollouts[:4])])
    assert row["special_cased"] == 0.5 and row["corr_size"] == pytest.approx(2.5 / math.sqrt(6.75))
    assert "corr_same" not in row


def test_the_verdict_by_shown_tests_decides_where_there_is_one():
    """Hidden tests other than the shown inputs: half of them pass; of the shown ones all, or none."""
    oracle = Oracle(task_id="t", tests=ORACLE.tests[2:])
    for marks, gap in (("11", 0.5), ("00", -0.5), ("01", 0.0)):
        assert public_gap(TASK, oracle, replace(verdict("10"), shown=verdict(marks))) == gap
