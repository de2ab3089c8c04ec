"""Judging goes on beside generation: what has ended is judged while others still decode."""

import asyncio

from tiny import tiny_tokenizer

from verigrad import CallTest, Oracle, Task
from verigrad.agents.single_turn import SingleTurn
from verigrad.engines.base import SamplingParams
from verigrad.engines.scripted import ScriptedEngine
from verigrad.rollout import collect
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.process import ProcessSandbox

TASKS = [Task(id=f"t@1/{name}", prompt=name, entry_point="double") for name in ("slow", "quick")]
ORACLES = [Oracle(task_id=task.id, tests=(CallTest("two", (2,), 4),)) for task in TASKS]
PROGRAM = "```python\ndef double(n):\n    return n + n\n```"


class Holding(ScriptedEngine):
    """Holds back the answers to one prompt until it is let go."""

    def __init__(self, answers, tokenizer):
        super().__init__(answers, tokenizer)
        self.go = asyncio.Event()

    async def sample(self, request):
        if b"slow" in bytes(id_ for id_ in request.prompt_ids if id_ < 256):
            await self.go.wait()
        return await super().sample(request)


def test_what_has_ended_is_judged_and_scored_while_another_decodes():
    """The slow completion ends only when both quick ones have their scores; judging after sampling would never end."""
    scored = []

    async def play():
        engine = Holding(lambda request: PROGRAM, tiny_tokenizer())

        def reward(task, answer, verdict):
            scored.append((task.prompt, verdict.status))
            if scored.count(("quick", "passed")) == 2:
                engine.go.set()
            return float(verdict.passed)

        agent = SingleTurn(tiny_tokenizer(), SamplingParams(max_tokens=100))
        async with ProcessSandbox(workers=1) as sandbox:
            work = collect(
                *(TASKS, ORACLES), agent=agent, engine=engine, judge=Judge(sandbox), reward=reward, group_size=2, seed=0
            )
            return await asyncio.wait_for(work, timeout=60)

    groups = asyncio.run(play())
    assert scored == [("quick", "passed")] * 2 + [("slow", "passed")] * 2
    assert [group.task.prompt for group in groups] == ["slow", "quick"]
    assert [rollout.score.value for group in groups for rollout in group.rollouts] == [1.0] * 4
