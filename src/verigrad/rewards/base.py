"""What a reward sees and gives.

A reward is a function `(task, answer, verdict) -> float | None | Score`, or an async one. It is pure where it
can be: everything learned by running the program is in the verdict. `None` leaves the rollout out.

Your own lives in a file and is named `--reward my.py:fn`. Beside it, `CHECKS` lists what must hold, and
`verigrad check reward my.py:fn` runs them; a file of several rewards may give each its own, `CHECKS = {"fn": [...]}`.
A reward with a parameter `reference` is also given the task's gold program, or None where the source has none; one
with a parameter `oracle` the hidden tests themselves (a reward is trusted: the policy never sees what it reads); one
with a parameter `sandbox` the judge's sandbox, to run programs on inputs of its own. Where one has a parameter `costs`,
what passes is measured (`sandbox/costs.py`), and it is given that. One with a parameter `progress` is told the share of
the run's steps that are done: 0 in the first step, below 1 in the last, and 1 where nothing is trained.

    CHECKS = [Check("gold", at_least=1.0), Check("empty", at_most=0.0)]
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from verigrad.errors import MissingExtra, RewardError
from verigrad.sandbox.base import Sandbox
from verigrad.types import Oracle, Score, StopReason, Task, Verdict

__all__ = [
    "PASSING",
    "Answer",
    "Case",
    "Check",
    "Reward",
    "RewardResult",
    "call_reward",
    "only_gold",
    "score_answer",
    "wanted_by",
]


@dataclass(frozen=True)
class Answer:
    """What the policy said.

    Attributes:
        text: the completion (of a dialogue, the last one), behind what a curriculum began it with.
        program: source found in it, ready to run; None where there is none.
        stop_reason: why generation ended.
        tokens: length of the completion.
        seed: unique to this rollout; the only source of randomness a reward may use.
    """

    text: str
    program: str | None
    stop_reason: StopReason = "stop"
    tokens: int = 0
    seed: int = 0


RewardResult = float | None | Score
Reward = Callable[..., RewardResult | Awaitable[RewardResult]]
"""`(task, answer, verdict)`, and `reference`, `oracle`, `sandbox`, `progress` by name if it asks; `verdict` is None
where nothing ran."""


Case = Literal[
    "gold",
    "annotated",
    "insecure",
    "memorised",
    "repeated",
    "empty",
    "wrong",
    "constant",
    "stub",
    "syntax_error",
    "early_exit",
    "infinite_loop",
    "memory_hog",
    "always_equal",
]
PASSING: tuple[Case, ...] = ("gold", "annotated", "insecure", "memorised", "repeated")


@dataclass(frozen=True)
class Check:
    """What a reward must give to a known answer on a small known task.

    Attributes:
        case: those in `PASSING` pass its tests: with annotations, with something insecure in them, with a table of the
            tests, with a comment that goes round in circles. Of the others `empty` has no program, and `stub` does
            nothing.
        at_least, at_most: bounds of the value; where there are any, None is outside of them.
        may_abstain: None holds too.
    """

    case: Case
    at_least: float = float("-inf")
    at_most: float = float("inf")
    may_abstain: bool = False


def only_gold(at_least: float, at_most: float = float("inf")) -> list[Check]:
    """Checks of a reward that gives the gold program so much, and nothing to any of the others."""
    failing = [case for case in get_args(Case) if case not in PASSING]
    return [Check("gold", at_least, at_most), *(Check(case, at_most=0.0) for case in failing)]


async def score_answer(
    reward: Reward,
    task: Task,
    answer: Answer,
    verdict: Verdict | None,
    *,
    reference: str | None = None,
    oracle: Oracle | None = None,
    sandbox: Sandbox | None = None,
    progress: float = 1.0,
) -> Score:
    """Call a reward and return a `Score`, whatever form its result has.

    Raises:
        MissingExtra: the reward needs a package that is not installed.
        RewardError: the reward raised, or returned something that is no reward, NaN and infinity among it; the
            rollout is then an infrastructure error, never a zero.
    """
    name = _name(reward)
    try:
        result = await call_reward(
            reward, task, answer, verdict, reference=reference, oracle=oracle, sandbox=sandbox, progress=progress
        )
    except (MissingExtra, _NoNumber):  # no rollout of this run can be scored; it says itself what is wrong
        raise
    except Exception as error:  # a user's function: any failure is the reward's, not the policy's
        raise RewardError(f"reward {name!r} raised {type(error).__name__}: {error} (task {task.id})") from error
    return result if result.evidence is not None else replace(result, evidence=verdict)


def wanted_by(reward: Reward) -> frozenset[str]:
    """Names of what a reward asks for beside task, answer and verdict; of a combination, what its components do."""
    return frozenset(inspect.signature(reward).parameters) | getattr(reward, "wanted", frozenset())


async def call_reward(
    reward: Reward,
    task: Task,
    answer: Answer,
    verdict: Verdict | None,
    *,
    reference: str | None = None,
    oracle: Oracle | None = None,
    sandbox: Sandbox | None = None,
    progress: float = 1.0,
) -> Score:
    """The reward's result as a `Score`, given what it asks for and awaited where it must be.

    Raises:
        TypeError: the result is no number, None or `Score`; and whatever the reward raises.
        RewardError: its value, or one of its parts, is not a finite number.
    """
    offered = {
        "reference": reference,
        "oracle": oracle,
        "sandbox": sandbox,
        "progress": progress,
        "costs": verdict.costs if verdict is not None else None,
    }
    wanted = inspect.signature(reward).parameters
    result = reward(task, answer, verdict, **{name: value for name, value in offered.items() if name in wanted})
    if inspect.isawaitable(result):
        result = await result
    if isinstance(result, Score):
        return _checked(result, reward, task)
    if result is None or isinstance(result, int | float):
        return _checked(Score(None if result is None else float(result)), reward, task)
    raise TypeError(f"returned {type(result).__name__}; wanted a number, None or a Score")


class _NoNumber(RewardError):
    """A reward gave something that no statistic survives."""


def _checked(score: Score, reward: Reward, task: Task) -> Score:
    """The score, whose numbers are all finite: one NaN would make every advantage of its group NaN."""
    told = [] if score.value is None else [("value", score.value)]
    told += [(f"part {name!r}", part) for name, part in score.parts.items()]
    told += [(f"reward of the span {start} to {end}", own) for start, end, own in score.spans]
    for what, number in told:
        if not _finite(number):
            raise _NoNumber(
                f"reward {_name(reward)!r} gave the {what} {number!r} (task {task.id}); wanted a finite number, or "
                "the value None to leave the rollout out"
            )
    return score


def _finite(number: object) -> bool:
    try:
        return math.isfinite(number)  # type: ignore[arg-type]  # a user's function gave it
    except TypeError:
        return False


def _name(reward: Reward) -> str:
    return str(getattr(reward, "__name__", repr(reward)))
