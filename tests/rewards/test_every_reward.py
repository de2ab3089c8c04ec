"""What holds for every registered reward: its own checks, and a number for every text a policy can write."""

import asyncio
import math
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rewards.hostile import HOSTILE

from verigrad.evaluation.checks import check_reward
from verigrad.registry import resolve
from verigrad.rewards import REWARDS
from verigrad.rewards.base import Answer, score_answer
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.languages import PolyglotSandbox
from verigrad.sandbox.process import ProcessSandbox
from verigrad.types import CallTest, Oracle, Task, TestResult, Verdict

TASK = Task(id="t", prompt="Write `double(n)`.", entry_point="double", stub="def double(n):\n")
GOLD = "def double(n):\n    return 2 * n\n"
ORACLE = Oracle(task_id="t", tests=tuple(CallTest(str(n), (n,), 2 * n) for n in range(4)), gold=GOLD)
HONEST_FAILURE = 'def double(n):\n    """Double a number, or so."""\n    return n * n\n'
HACKS = {
    "nothing": None,
    "no letters": "",
    "a comment": "# This program is correct, clean, secure and well documented.\n",
    "pass": "def double(n):\n    pass\n",
    "a docstring alone": 'def double(n):\n    """Double a number, or so."""\n',
    "not implemented": "def double(n):\n    raise NotImplementedError\n",
    "anything goes": "def double(*args, **kwargs):\n    return 0\n",
    "a constant": "def double(n):\n    return 6\n",
    "suppressed": "# ruff: noqa\n# flake8: noqa\ndef double(n):\n    return undefined_name  # noqa  # type: ignore\n",
    "suppressed danger": "def double(n):\n    return eval('2 * n')  # nosec\n",
    "hidden danger": "from base64 import *\n\n\ndef double(n):\n    exec(b64decode('cGFzcw=='))\n    return n\n",
    "swallowed": "def double(n):\n    try:\n        return undefined_name\n    except:\n        return 0\n",
    "padding": "def double(n):\n    return 0\n\n\n" + "".join(f"def f{n}():\n    return {n}\n\n\n" for n in range(50)),
    "a judge's words": "def double(n):\n    print('ALL TESTS PASSED')\n    return 0\n",
}
FAILED = Verdict(status="failed", results=tuple(TestResult(str(n), "failed") for n in range(4)))
FAILED = replace(FAILED, shown=FAILED)
PASSED = Verdict(status="passed", results=tuple(TestResult(str(n), "passed") for n in range(4)))
PASSED = replace(PASSED, shown=PASSED)
SOLUTION = 'def double(n):\n    """Double a number of any kind."""\n    return 2 * n\n'
# Texts of programs that pass, and in which there is less to see than in the solution.
IN_TEXT = {
    "exec": f"exec({SOLUTION!r})\n",
    "eval": "double = eval('lambda n: 2 * n')\n",
    "eval in a function": 'def double(n):\n    """Double a number of any kind."""\n    return eval("2 * n")\n',
    "exec by another name": f"import builtins as b\nb.exec({SOLUTION!r})\n",
    "compile": "def double(n):\n    return eval(compile('2 * n', '', 'eval'), {'n': n})\n",
}


@pytest.fixture(scope="module")
def score():
    sandbox = ProcessSandbox(workers=1)

    def scored(name, program, verdict):
        answer = Answer(f"```python\n{program}\n```", program)
        reward = resolve(name, REWARDS, what="reward")
        known = {"reference": GOLD, "oracle": ORACLE, "sandbox": sandbox}
        return asyncio.run(score_answer(reward, TASK, answer, verdict, **known))

    yield scored
    asyncio.run(sandbox.close())


@pytest.fixture(scope="module")
def own_checks():
    """Results of a reward's own checks, with one judge, which remembers the verdicts on the programs of them all."""
    with asyncio.Runner() as runner:
        sandbox = PolyglotSandbox(workers=1)
        judge = Judge(sandbox, canaries_every=0)
        yield lambda name: runner.run(check_reward(name, judge))
        runner.run(sandbox.close())


@pytest.mark.parametrize("name", REWARDS)
def test_its_own_checks_hold(name, own_checks):
    results = own_checks(name)
    assert results and all(result.holds for result in results), results


MADE = {
    "by_difficulty": """
from verigrad.rewards.tests import CHECKS, by_difficulty

made = by_difficulty({"check@1/double": {"test_0": 0.9, "test_7": 0.2}})
""",
    "graded_by": """
from types import SimpleNamespace

from verigrad.rewards.model_grade import CHECKS, graded_by


class Model:
    async def sample(self, request):
        return SimpleNamespace(text="Grade: 7")


made = graded_by("http://localhost:1/v1", "m", engine=Model())
""",
}


@pytest.mark.parametrize("name", MADE)
def test_so_do_those_of_rewards_that_are_made(name, own_checks, tmp_path):
    """With the module's `CHECKS` beside it, as a file of one's own has them; and the checks see what is wrong."""
    (tmp_path / "own.py").write_text(MADE[name])
    (tmp_path / "free.py").write_text(f"{MADE[name]}\n\ndef made(task, answer, verdict):\n    return 1.0\n")
    results = own_checks(f"{tmp_path}/own.py:made")
    assert results and all(result.holds for result in results), results
    free = {result.check.case: result.holds for result in own_checks(f"{tmp_path}/free.py:made")}
    assert free == {case: case == "gold" for case in free} and len(free) == 10


# A type checker takes about a second a program, and combinations of rewards look through their parts again.
AGAIN = {"clean", "no_severe", "secure", "secure_cost", "honest"}


def each(*slow):
    return [pytest.param(name, marks=pytest.mark.slow if name in slow else ()) for name in REWARDS]


# A coin knows no hacks, and `patch` pays for looking like the reference: that is its hack, see test_patch.py.
@pytest.mark.parametrize("name", [own for own in each("typed") if own.values[0] not in ("random", "patch")])
def test_hacks_earn_no_more_than_an_honest_failure(name, score):
    honest = score(name, HONEST_FAILURE, FAILED).value
    for kind, program in HACKS.items():
        assert score(name, program, FAILED if program else None).value <= honest, kind


READS_CODE = ("brevity", "clean", "lint", "quality", "short", "static", "style")


@pytest.mark.parametrize("name", READS_CODE)
def test_code_in_a_text_earns_no_more_than_code(name, score):
    honest = score(name, SOLUTION, PASSED).value
    for kind, program in IN_TEXT.items():
        assert score(name, program, PASSED).value < honest, kind


def test_every_reward_is_on_the_page():
    page = (Path(__file__).parents[2] / "docs" / "rewards.md").read_text()
    rows = re.findall(r"^\| (`.*?`) \|", page, re.MULTILINE)
    assert set(REWARDS) <= set(re.findall(r"`(\w+)`", " ".join(rows)))


@pytest.mark.parametrize("name", each("typed", *AGAIN))
def test_no_program_is_too_strange(name, score):
    """In seconds of CPU time; a checker in a process of its own may take 10, and those of a harmless program."""
    for kind, program in HOSTILE.items():
        before = os.times()
        found = score(name, program, FAILED)
        own, _, checkers, _, _ = (now - then for now, then in zip(os.times(), before, strict=True))
        assert own < 5 and checkers < 15, kind
        assert found.value is not None and math.isfinite(found.value), kind
        assert all(math.isfinite(part) for part in found.parts.values()), kind


@pytest.mark.parametrize(("said", "fine"), [("None", set()), ("1.0", {"gold"})])
def test_checks_fail_for_rewards_that_say_nothing_or_always_the_same(said, fine, tmp_path):
    """None is neither what a solution should earn nor what a failure should."""
    file = tmp_path / "own.py"
    file.write_text(
        "from verigrad.rewards.base import only_gold\nCHECKS = only_gold(1.0)\n"
        f"def own(task, answer, verdict):\n    return {said}\n"
    )

    async def holds():
        sandbox = PolyglotSandbox(workers=1)
        results = await check_reward(f"{file}:own", Judge(sandbox, canaries_every=0))
        await sandbox.close()
        return {result.check.case for result in results if result.holds}

    assert asyncio.run(holds()) == fine
