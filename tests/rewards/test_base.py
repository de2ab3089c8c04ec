"""What a reward is given, and what becomes of what it gives."""

import asyncio

import pytest
from tiny import tiny_tokenizer

from verigrad.agents.single_turn import SingleTurn
from verigrad.engines.base import SamplingParams
from verigrad.engines.scripted import ScriptedEngine
from verigrad.errors import MissingExtra, RewardError
from verigrad.rewards.base import Answer, score_answer
from verigrad.rewards.combine import weighted_sum
from verigrad.rewards.tests import corrected
from verigrad.rollout import collect
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.process import ProcessSandbox
from verigrad.types import CallTest, Oracle, Score, Task, Verdict

TASK, ANSWER, VERDICT = (
    Task(id="t", prompt="p", entry_point="f"),
    Answer("", None),
    Verdict(status="failed", results=()),
)
ORACLE = Oracle(task_id="t", tests=tuple(CallTest(str(n), (n,), n > 4) for n in range(6)), gold="the gold")


def score(reward):
    return asyncio.run(score_answer(reward, TASK, ANSWER, VERDICT, reference="the gold", oracle=ORACLE))


def test_a_reward_is_given_what_it_asks_for():
    assert score(lambda task, answer, verdict: 1).value == 1.0
    assert score(lambda task, answer, verdict, reference: len(reference)).value == 8.0
    assert score(lambda task, answer, verdict, *, oracle: len(oracle.tests)).value == 6.0
    assert score(lambda task, answer, verdict, oracle, reference: oracle.gold == reference).value == 1.0


def test_evidence_is_the_verdict_unless_it_says_otherwise():
    assert score(lambda *_: None).evidence is VERDICT and score(lambda *_: None).value is None
    assert score(lambda *_: Score(0.5, {"a": 1.0})) == Score(0.5, {"a": 1.0}, evidence=VERDICT)
    assert score(lambda *_: Score(0.5, evidence="mine")).evidence == "mine"


def raising(error):
    def reward(task, answer, verdict):
        raise error

    return reward


def test_failures_are_never_scores():
    with pytest.raises(RewardError, match="'reward' raised ZeroDivisionError: by hand"):
        score(raising(ZeroDivisionError("by hand")))
    with pytest.raises(RewardError, match="returned str; wanted a number, None or a Score"):
        score(lambda *_: "1.0")
    with pytest.raises(MissingExtra):  # for every rollout alike: the run has to stop
        score(raising(MissingExtra("ruff", "quality")))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (float("nan"), "value nan"),
        (float("inf"), "value inf"),
        (Score(float("nan")), "value nan"),
        (Score("1"), "value '1'"),
        (Score(1.0, {"lint": 1.0, "speed": float("-inf")}), "part 'speed' -inf"),
        (Score(None, {"lint": None}), "part 'lint' None"),
        (Score(1.0, spans=((0, 4, 1.0), (4, 9, float("nan")))), "reward of the span 4 to 9 nan"),
    ],
    ids=str,
)
def test_what_no_mean_survives_is_a_failure_of_the_reward(given, words):
    def broken(task, answer, verdict):
        return given

    with pytest.raises(RewardError, match=rf"^reward 'broken' gave the {words} \(task t\); wanted a finite"):
        score(broken)
    with pytest.raises(RewardError, match=r"^reward 'broken' gave"):  # inside a combination it is found as well
        score(weighted_sum({broken: 1.0}))


async def collected(text):
    sandbox = ProcessSandbox(workers=1)
    try:
        (group,) = await collect(
            [TASK],
            [ORACLE],
            agent=SingleTurn(None, SamplingParams(max_tokens=99)),
            engine=ScriptedEngine(lambda request: text, tiny_tokenizer()),
            judge=Judge(sandbox),
            reward=corrected,
            group_size=1,
            seed=0,
        )
    finally:
        await sandbox.close()
    return group.rollouts[0]


def test_rollouts_are_scored_with_the_oracle_at_hand():
    # False is right 5 times of 6, so five passed tests are worth nothing; the parts say why.
    rollout = asyncio.run(collected("```python\ndef f(n):\n    return False\n```"))
    assert rollout.score.value == 0.0 and rollout.score.parts == {"tests": 5 / 6, "best_constant": 5 / 6}
    assert asyncio.run(collected("```python\ndef f(n):\n    return n > 4\n```")).score.value == 1.0
