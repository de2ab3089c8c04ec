"""Rewards made of rewards; each component is logged apart.

    from verigrad.rewards.combine import gated
    from verigrad.rewards.quality import quality
    from verigrad.rewards.tests import all_pass

    tidy = gated(all_pass, {quality: 0.2})       # in my.py; then --reward my.py:tidy

A component is any reward: a function, an async one, `functools.partial` of one, or another combination. Its value is
logged under its name, its own parts as `name.part`; `spans` are not kept. Where a component says None the rollout is
left out.

Weights are constants of the run but for `annealed`, which goes by the share of the steps that are done, so that a
resumed run gives the same value. Other state (running scales) has no place in here. To have each component normalised
over its group before they are added, give them by `separate` to the algorithm `gdpo`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from verigrad.rewards.base import Answer, Reward, call_reward, wanted_by
from verigrad.sandbox.base import Sandbox
from verigrad.types import Oracle, Score, Task, Verdict

__all__ = ["annealed", "gated", "rescaled", "separate", "vetoed", "weighted_sum"]


def gated(correct: Reward, components: Mapping[Reward, float], *, floor: float = 0.0) -> Reward:
    """c * (1 + sum of w_i q_i) + (1 - c) * floor: other goals count only as far as the program is correct.

    With `all_pass` in front and components in [0, 1], every correct program earns 1 or more (less where weights are
    negative), every other `floor`. With partial credit a nearly correct program may overtake: keep the sum of weights
    below 0.5, or gate by all tests.

    Args:
        correct: c, in [0, 1].
        components: reward q_i -> its weight w_i.
        floor: what an incorrect program earns; below what a correct one earns at least.

    Raises:
        ValueError: two components of one name, a floor that is no less than what a correct program may earn; when
            called, a c outside [0, 1].
    """
    least = 1.0 + sum(min(0.0, weight) for weight in components.values())
    if not floor < least:
        raise ValueError(f"floor={floor}: wanted below {least:g}, which is what a correct program earns at least")
    weights = {_name(reward): weight for reward, weight in components.items()}

    def value(scores: Mapping[str, float]) -> float:
        c = scores[_name(correct)]
        if not 0.0 <= c <= 1.0:
            raise ValueError(f"the gate {_name(correct)!r} gave {c}, wanted a value in [0, 1]; see `rescaled`")
        return c * (1.0 + sum(weight * scores[name] for name, weight in weights.items())) + (1.0 - c) * floor

    return _Combined([correct, *components], value)


def weighted_sum(components: Mapping[Reward, float]) -> Reward:
    """The sum of w_i q_i. A component that is cheap to earn is earned first, correct or not: prefer `gated`.

    Raises:
        ValueError: no components, or two of one name.
    """
    weights = {_name(reward): weight for reward, weight in components.items()}
    return _Combined(list(components), lambda scores: sum(weight * scores[name] for name, weight in weights.items()))


def vetoed(reward: Reward, by: Reward, *, below: float, value: float | None = 0.0) -> Reward:
    """The reward, but `value` at most where `by` gives less than `below`.

    Args:
        value: at most what an honest failure earns, so that nothing is gained by what is vetoed. None leaves the
            rollout out (screening): neither learned from nor warned of.

    Raises:
        ValueError: both have one name.
    """

    def decide(scores: Mapping[str, float]) -> float | None:
        earned = scores[_name(reward)]
        if scores[_name(by)] >= below:
            return earned
        return min(value, earned) if value is not None else None

    return _Combined([reward, by], decide)


def rescaled(reward: Reward, *, low: float, high: float) -> Reward:
    """The reward's values from `low` to `high` as 0 to 1, those beyond cut off: for components of different scales.

    Raises:
        ValueError: `low` is not below `high`.
    """
    if not low < high:
        raise ValueError(f"low={low}, high={high}: wanted low < high")
    name = _name(reward)
    return _Combined([reward], lambda scores: min(1.0, max(0.0, (scores[name] - low) / (high - low))), name=name)


def annealed(first: Reward, last: Reward, *, until: float = 1.0) -> Reward:
    """(1 - w) * first + w * last, w growing from 0 to 1 over the share `until` of a run's steps: partial credit, say,
    taken back once the policy has found what passes.

    Where nothing is trained (evaluations, `verigrad check reward`) it is `last`.

    Raises:
        ValueError: both have one name, or `until` is not in (0, 1].
    """
    if not 0.0 < until <= 1.0:
        raise ValueError(f"until={until}: wanted a share of the steps, above 0 and at most 1")

    def value(scores: Mapping[str, float]) -> float:
        w = min(1.0, scores["progress"] / until)
        return (1.0 - w) * scores[_name(first)] + w * scores[_name(last)]

    return _Combined([first, last, _progress], value)


def separate(main: Reward, *others: Reward) -> Reward:
    """The value of `main`, and as parts the values of all components and nothing else.

    For algorithms that train on the parts (`gdpo`): inner parts, many of which count something bad, are left out.

    Raises:
        ValueError: two components of one name.
    """
    return _Combined([main, *others], lambda scores: scores[_name(main)], inner_parts=False)


def _progress(task: Task, answer: Answer, verdict: Verdict | None, *, progress: float) -> float:
    return progress


_progress.__name__ = "progress"


class _Combined:
    """Calls every component and puts their values together."""

    def __init__(
        self,
        rewards: Sequence[Reward],
        value: Callable[[Mapping[str, float]], float | None],
        *,
        name: str | None = None,
        inner_parts: bool = True,
    ) -> None:
        names = [_name(reward) for reward in rewards]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"components: wanted at least one, each of another name, got {names}")
        self.__name__ = name or "_and_".join(names)
        self._rewards = dict(zip(names, rewards, strict=True))
        self._value = value
        self._inner_parts = inner_parts
        self.wanted: frozenset[str] = frozenset().union(*map(wanted_by, rewards))

    async def __call__(
        self,
        task: Task,
        answer: Answer,
        verdict: Verdict | None,
        *,
        reference: str | None = None,
        oracle: Oracle | None = None,
        sandbox: Sandbox | None = None,
        progress: float = 1.0,
    ) -> Score:
        calls = (
            call_reward(
                reward, task, answer, verdict, reference=reference, oracle=oracle, sandbox=sandbox, progress=progress
            )
            for reward in self._rewards.values()
        )
        scores = dict(zip(self._rewards, await asyncio.gather(*calls), strict=True))
        inner = {f"{name}.{part}": number for name, score in scores.items() for part, number in score.parts.items()}
        known = {name: score.value for name, score in scores.items() if score.value is not None}
        value = self._value(known) if len(known) == len(scores) else None
        return Score(value, (inner if self._inner_parts else {}) | known, evidence=verdict)


def _name(reward: Reward) -> str:
    return _name(reward.func) if isinstance(reward, partial) else str(getattr(reward, "__name__", repr(reward)))
