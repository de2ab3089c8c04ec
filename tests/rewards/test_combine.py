"""Rewards made of rewards."""

import asyncio
from functools import partial

import pytest

from verigrad.cli.main import main
from verigrad.errors import RewardError
from verigrad.rewards.base import Answer, score_answer
from verigrad.rewards.combine import annealed, gated, rescaled, separate, vetoed, weighted_sum
from verigrad.rewards.tests import power
from verigrad.types import Oracle, Score, Task, TestResult, Verdict

TASK = Task(id="t", prompt="", entry_point="f")
HALF = Verdict(status="failed", results=(TestResult("a", "passed"), TestResult("b", "failed")))


def made(name, value, **parts):
    def reward(task, answer, verdict):
        return Score(value, parts) if parts else value

    reward.__name__ = name
    return reward


async def slow(task, answer, verdict, *, reference, oracle):
    await asyncio.sleep(0)
    return float(len(reference) + len(oracle.tests))


def score(reward, program="x", progress=1.0):
    oracle = Oracle(task_id="t", tests=(), gold="four")
    return asyncio.run(
        score_answer(reward, TASK, Answer("", program), HALF, reference="four", oracle=oracle, progress=progress)
    )


@pytest.mark.parametrize(
    ("correct", "quality", "floor", "value"),
    [
        (1, 1.0, 0.0, 1.3),
        (1, 0.5, 0.0, 1.15),
        (1, 0.0, -1.0, 1.0),
        (0, 1.0, 0.0, 0.0),
        (0, 1.0, -1.0, -1.0),
        (0.5, 1.0, -1.0, 0.5 * 1.3 - 0.5),
    ],
)
def test_gated(correct, quality, floor, value):
    # Two components of the same value, weights 0.2 and 0.1.
    components = {made("one", quality): 0.2, made("two", quality): 0.1}
    assert score(gated(made("right", correct), components, floor=floor)).value == pytest.approx(value)


def test_weighted_sum_and_what_it_pays_for():
    assert score(weighted_sum({made("a", 0.5): 2.0, made("b", 1.0): -0.25})).value == 0.75


@pytest.mark.parametrize(("safety", "earned", "value"), [(0.6, 1.0, 1.0), (0.5, 1.0, -0.5), (0.5, -1.0, -1.0)])
def test_a_veto_never_raises_a_reward(safety, earned, value):
    assert score(vetoed(made("r", earned), made("safe", safety), below=0.6, value=-0.5)).value == value


def test_screening_leaves_out_what_a_veto_punishes():
    assert score(vetoed(made("r", 1.0), made("safe", 0.5), below=0.6, value=None)).value is None
    assert score(vetoed(made("r", 1.0), made("safe", 0.7), below=0.6, value=None)).value == 1.0


@pytest.mark.parametrize(("value", "scaled"), [(-3, 0.0), (-1, 0.0), (0, 0.25), (3, 1.0), (9, 1.0)])
def test_rescaled(value, scaled):
    assert score(rescaled(made("r", value), low=-1, high=3)).value == scaled


@pytest.mark.parametrize(("progress", "value"), [(0.0, 4.0), (0.125, 3.5), (0.25, 3.0), (0.5, 2.0), (0.9, 2.0)])
def test_annealed_goes_from_one_to_the_other(progress, value):
    found = score(annealed(made("easy", 4.0), made("hard", 2.0), until=0.5), progress=progress)
    assert found.value == value
    assert found.parts == {"easy": 4.0, "hard": 2.0, "progress": progress}


def test_annealed_is_the_last_where_nothing_is_trained_and_inside_others():
    mixed = annealed(made("easy", 4.0), made("hard", 1.0))
    assert score(mixed).value == 1.0
    assert score(gated(rescaled(mixed, low=0, high=4), {made("tidy", 1.0): 0.0}), progress=0.5).value == 2.5 / 4


@pytest.mark.parametrize("until", [0.0, -1.0, 1.5])
def test_annealed_refuses_a_share_that_is_none(until):
    with pytest.raises(ValueError, match="wanted a share"):
        annealed(made("easy", 4.0), made("hard", 2.0), until=until)


def test_every_component_is_logged_apart():
    inner = gated(made("right", 1.0, tests=0.5), {made("tidy", 0.5, lines=3.0): 0.2})
    found = score(weighted_sum({inner: 1.0, slow: 0.5}))
    assert found.parts == {
        "right_and_tidy": 1.1,
        "right_and_tidy.right": 1.0,
        "right_and_tidy.right.tests": 0.5,
        "right_and_tidy.tidy": 0.5,
        "right_and_tidy.tidy.lines": 3.0,
        "slow": 4.0,
    }
    assert found.value == pytest.approx(1.1 + 2.0) and found.evidence is HALF


def test_separate_has_the_components_alone():
    found = score(separate(made("right", 1.0, tests=0.5), made("tidy", 0.25, lines=3.0)))
    assert found.value == 1.0 and found.parts == {"right": 1.0, "tidy": 0.25}


def test_none_of_any_component_leaves_the_rollout_out():
    found = score(gated(made("right", 1.0), {made("judge", None): 0.2}))
    assert found.value is None and found.parts == {"right": 1.0}


def test_a_partial_has_the_name_of_its_function():
    found = score(gated(partial(power, exponent=3), {made("tidy", 1.0): 0.2}))
    assert found.parts["power"] == 0.125 and found.value == pytest.approx(0.125 * 1.2)


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: gated(made("a", 1), {made("a", 1): 0.1}), "each of another name"),
        (lambda: gated(made("a", 1), {}, floor=1.0), "wanted below 1"),
        (lambda: gated(made("a", 1), {made("b", 1): 0.5, made("c", 1): -1.0}), "wanted below 0,"),
        (lambda: weighted_sum({}), "at least one"),
        (lambda: rescaled(made("a", 1), low=1, high=1), "low < high"),
    ],
)
def test_what_makes_no_sense_is_refused(build, says):
    with pytest.raises(ValueError, match=says):
        build()


def test_a_gate_outside_of_0_to_1_is_an_error_not_a_score():
    with pytest.raises(RewardError, match=r"'ladder' gave -0\.3"):
        score(gated(made("ladder", -0.3), {made("tidy", 1.0): 0.1}))


def test_one_of_your_own_in_three_lines(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(
        "from verigrad.rewards.combine import gated\n"
        "from verigrad.rewards.quality import quality\n"
        "from verigrad.rewards.tests import CHECKS, all_pass\n"
        "tidy = gated(all_pass, {quality: 0.2})\n"
    )
    assert main(["check", "reward", f"{tmp_path}/mine.py:tidy"]) == 0
    assert "ok   gold           1.15" in capsys.readouterr().out


def test_checks_by_name_that_lack_the_function_are_an_error(tmp_path, capsys):
    (tmp_path / "mine.py").write_text("CHECKS = {'other': []}\ndef tidy(task, answer, verdict):\n    return 1.0\n")
    assert main(["check", "reward", f"{tmp_path}/mine.py:tidy"]) != 0
    assert "has none for 'tidy'" in capsys.readouterr().err
