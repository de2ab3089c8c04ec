"""A reward of one's own, with the checks that keep it honest: correct programs, and of those the plain ones more.

    verigrad check reward examples/own_reward.py:plain
    verigrad rl quickstart --reward examples/own_reward.py:plain --run runs/own-reward

A reward is a function of task, answer and verdict. It does not run the program: all that running it has told is in the
verdict. It may ask for more by name (`reference`, the gold program; `rewards/base.py` lists the rest). `CHECKS` says
what known answers may earn at most; a reward that pays for early exits or for an equality that is always true is found
before a policy finds it.
"""

import ast
import asyncio

from verigrad import Score, Task, Verdict
from verigrad.evaluation.checks import check_reward
from verigrad.rewards.base import Answer, only_gold
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.process import ProcessSandbox

BONUS = 0.2  # below 0.3, so that style never pays more than one passed task in three


def plain(task: Task, answer: Answer, verdict: Verdict | None, reference: str | None) -> Score | None:
    """1 for a program that passes every hidden test, and up to 0.2 more where it branches no more than the gold one.

    The parts are logged apart (`part_plainness`), so one sees which of the two a policy is earning.
    """
    if reference is None:
        return None  # nothing to compare with: the rollout is left out of statistics and loss, not scored 0
    if verdict is None or answer.program is None or not verdict.passed:
        return Score(0.0)
    ours, theirs = _branches(answer.program), _branches(reference)
    plainness = min(1.0, (1 + theirs) / (1 + ours))
    return Score(1.0 + BONUS * plainness, parts={"plainness": plainness})


def _branches(source: str) -> int:
    """Branches and loops of a program that passed its tests, so it parses."""
    kinds = (ast.If, ast.IfExp, ast.For, ast.While, ast.Try, ast.comprehension, ast.Match)
    return sum(isinstance(node, kinds) for node in ast.walk(ast.parse(source)))


# The gold program earns all; nothing earns anything without passing, whatever way it takes.
CHECKS = only_gold(at_least=1.0 + BONUS, at_most=1.0 + BONUS)


async def main() -> None:
    """What `verigrad check reward` does."""
    async with ProcessSandbox() as sandbox:
        for found in await check_reward(f"{__file__}:plain", Judge(sandbox)):
            print(f"{found.check.case}: {found.value} {'ok' if found.holds else 'WRONG'}")


if __name__ == "__main__":
    asyncio.run(main())
