"""The reward for efficiency through sampling, judging and measuring; its figures by hand."""

import asyncio
import math

import pytest
from tiny import tiny_tokenizer

from verigrad.agents.single_turn import SingleTurn
from verigrad.engines.base import SamplingParams
from verigrad.engines.scripted import ScriptedEngine
from verigrad.registry import resolve
from verigrad.rewards import REWARDS
from verigrad.rewards.base import wanted_by
from verigrad.rewards.combine import gated
from verigrad.rewards.efficiency import cost_gain, efficiency, growth_exponent, relative_cost
from verigrad.rewards.tests import all_pass
from verigrad.rollout import collect, verdict_of
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.process import ProcessSandbox
from verigrad.types import CallTest, CostPoint, Costs, Oracle, Task

GOLD = "def f(xs):\n    return sum(xs)\n"
SLOW = "def f(xs):\n    return sum(xs[i] for x in xs for i in [xs.index(x)])\n"
WRONG = "def f(xs):\n    return 0\n"
TASK = Task(id="t", prompt="Add them.", entry_point="f")
ORACLE = Oracle(task_id="t", tests=(CallTest("a", (list(range(30)),), 435), CallTest("b", ([],), 0)), gold=GOLD)


def test_correct_programs_are_measured_in_the_loop():
    programs = [f"```python\n{program}```" for program in (GOLD, SLOW, WRONG)]

    async def scored():
        tokenizer = tiny_tokenizer()
        async with ProcessSandbox() as sandbox:
            (group,) = await collect(
                [TASK],
                [ORACLE],
                agent=SingleTurn(tokenizer, SamplingParams(max_tokens=200)),
                engine=ScriptedEngine({TASK.prompt: programs}, tokenizer),
                judge=Judge(sandbox),
                reward=resolve("efficient", REWARDS, what="reward"),
                group_size=3,
                seed=0,
            )
        return group.rollouts

    gold, slow, wrong = asyncio.run(scored())
    assert (gold.score.value, slow.score.value, wrong.score.value) == (pytest.approx(1.15), 1.0, 0.0)
    assert verdict_of(wrong).costs is None and len(verdict_of(slow).costs.points) == 3
    assert slow.score.parts["efficiency.growth"] > 1.5 > gold.score.parts["efficiency.growth"]


def test_only_rewards_that_ask_are_given_costs():
    asking = {name for name in REWARDS if "costs" in wanted_by(resolve(name, REWARDS, what="reward"))}
    assert asking == {"efficiency", "efficient"}
    assert "costs" in wanted_by(gated(gated(all_pass, {efficiency: 0.1}), {all_pass: 0.1}))


def points(*ratios):
    return tuple(CostPoint(4**n, cost=round(100 * 2**-ratio), reference=100) for n, ratio in enumerate(ratios))


@pytest.mark.parametrize(
    ("ratios", "value"),
    [((0, 0, 0), 0.5), ((1, 1, 1), 0.75), ((-1, -1, -1), 0.25), ((2, 0, 0), 0.5), ((2, 1, 0), 0.75), ((5, 5, 5), 1.0)],
)
def test_values_by_hand(ratios, value):
    costs = Costs(points(*ratios))
    found = efficiency(None, None, None, costs=costs)
    assert found.value == pytest.approx(value)
    assert relative_cost(costs) == pytest.approx(2 ** -cost_gain(costs.points))


def test_growth_is_the_slope_of_logarithms():
    """Costs 7 n ** 1.5, to the nearest unit; a cost that was only bounded says nothing of growth."""
    curve = [CostPoint(n, round(7 * n**1.5), 1) for n in (16, 64, 256)]
    assert growth_exponent(curve) == pytest.approx(1.5, abs=1e-3)
    assert growth_exponent([*curve, CostPoint(1024, 3, 1, capped=True)]) == growth_exponent(curve)
    assert growth_exponent(curve[:1]) is None and growth_exponent([curve[0], curve[0]]) is None
    assert math.isclose(growth_exponent(curve[:2]), math.log(curve[1].cost / curve[0].cost) / math.log(4))
