"""Canaries: a broken judge is found out at the start and in the middle, and an honest one costs nothing but time."""

import asyncio
import shutil
from dataclasses import replace

import pytest

from verigrad.agents.base import Attempt
from verigrad.errors import CanaryError, SandboxError
from verigrad.rewards.tests import all_pass
from verigrad.rollout import collect
from verigrad.sandbox.base import Execution, Outcome, Stdin
from verigrad.sandbox.canaries import CANARIES, canaries_for, check_canaries
from verigrad.sandbox.checker import Ruling
from verigrad.sandbox.judge import Judge, judge_rows
from verigrad.sandbox.languages import LANGUAGES, PolyglotSandbox
from verigrad.types import CallTest, Oracle, Task, Turn, Verdict

ORACLE = Oracle(task_id="double@1/0", tests=(CallTest("f(3)", (3,), 6),))
TASK = Task(id="double@1/0", prompt="", entry_point="f")
DOUBLE = "def f(x):\n    return 2 * x\n"


class Broken:
    """A sandbox that works until told how to go wrong."""

    def __init__(self, inner):
        self.inner, self.level, self.wrong, self.programs = inner, inner.level, None, 0

    def for_language(self, language, packages=()):
        return self

    async def run(self, program, inputs, limits, *, trace_lines=False):
        self.programs += 1
        if self.wrong is None:
            return await self.inner.run(program, inputs, limits, trace_lines=trace_lines)
        return self.wrong(inputs)

    async def close(self):
        pass


def always(status, value=None):
    def run(inputs):
        values = [str(value) if isinstance(item, Stdin) else value for item in inputs]
        return Execution("ran", tuple(Outcome(status, value) for value in values))

    return run


def not_loaded(status):
    return lambda inputs: Execution(status, ())


WRONG = {
    "a time-out for everything": always("timeout"),
    "crashes": not_loaded("crashed"),
    "nothing is Python": not_loaded("syntax_error"),
    "the same value for everything": always("returned", [2, 11.0]),
    "true for everything": always("returned", True),
    "no value at all": always("not_plain"),
}


def run(judge, program=DOUBLE):
    return asyncio.run(judge.judge(program, ORACLE, "f"))


@pytest.mark.parametrize("name", WRONG)
def test_a_broken_sandbox_is_found_out_at_the_start(box, name):
    broken = Broken(box)
    broken.wrong = WRONG[name]
    judge = Judge(broken)
    for _ in range(2):  # and stays found out
        with pytest.raises(CanaryError, match=r"known program .* was judged .* wanted"):
            run(judge)


@pytest.mark.parametrize("name", WRONG)
def test_and_in_the_middle(box, name):
    broken = Broken(box)
    judge = Judge(broken, canaries_every=5)
    for number in range(5):
        assert run(judge, DOUBLE + f"# {number}\n").passed
    broken.wrong = WRONG[name]
    with pytest.raises(CanaryError):
        run(judge)
    broken.wrong = None
    assert run(judge).passed


@pytest.mark.parametrize("answer", [True, False])
def test_a_comparator_that_always_says_the_same_is_found_out(box, monkeypatch, answer):
    judge = Judge(box, canaries_every=2)
    assert run(judge).passed
    assert run(judge).passed
    monkeypatch.setattr("verigrad.sandbox.results.equal", lambda *anything: answer)
    with pytest.raises(CanaryError, match=r"was judged '(passed|failed)'"):
        run(judge)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("verigrad.sandbox.results.output_is_right", lambda *anything: True),
        ("verigrad.sandbox.checker._ruling", lambda outcome: Ruling(True)),
    ],
)
def test_so_are_output_and_checker(box, monkeypatch, place, value):
    monkeypatch.setattr(place, value)
    with pytest.raises(CanaryError):
        run(Judge(box))


def test_they_are_judged_once_for_many_programs_and_never_from_memory(box):
    counted = Broken(box)
    judge = Judge(counted, canaries_every=3, reruns=0)
    counts = []
    for _ in range(7):
        run(judge)
        counts.append(counted.programs)
    properties = sum(canary.oracle.checker is not None for canary in CANARIES)
    whole = counts[0] - 1
    assert whole >= len(CANARIES) + properties
    assert counts == [whole + 1] * 3 + [2 * whole + 1] * 3 + [3 * whole + 1]  # the program itself is remembered


def test_none_where_none_are_asked_for(box):
    broken = Broken(box)
    broken.wrong = always("returned", 6)
    assert run(Judge(broken, canaries_every=0)).passed


def test_one_slip_is_forgiven_and_two_are_not():
    statuses = {canary.program: canary.status for canary in CANARIES}
    slips = []

    async def judge(program, oracle, entry_point, limit=1):
        if program == CANARIES[0].program and len(slips) < limit:
            slips.append(program)
            return Verdict(status="timeout", results=())
        return Verdict(status=statuses[program], results=())

    asyncio.run(check_canaries(judge))
    assert len(slips) == 1
    slips.clear()
    with pytest.raises(CanaryError, match="a right function"):
        asyncio.run(check_canaries(lambda *asked: judge(*asked, limit=2)))


def test_a_failure_of_the_sandbox_is_no_drift(box):
    class Dead(Broken):
        async def run(self, program, inputs, limits, *, trace_lines=False):
            raise SandboxError("gone")

    with pytest.raises(SandboxError, match="gone") as caught:
        run(Judge(Dead(box)))
    assert not isinstance(caught.value, CanaryError)


def test_a_drift_is_no_row_and_no_rollout(box):
    class Agent:
        name = "coder"

        async def attempt(self, task, engine, *, seed):
            return Attempt(
                (Turn(prompt_ids=(), completion_ids=(), sampler_logprobs=()),), f"```python\n{DOUBLE}```", "finished"
            )

    broken = Broken(box)
    broken.wrong = always("timeout")
    with pytest.raises(CanaryError):
        asyncio.run(
            judge_rows([{"task_id": TASK.id, "program": DOUBLE}], {TASK.id: TASK}, {TASK.id: ORACLE}, Judge(broken))
        )
    with pytest.raises(CanaryError):
        asyncio.run(
            collect(
                [TASK],
                [ORACLE],
                agent=Agent(),
                engine=None,
                judge=Judge(broken),
                reward=all_pass,
                group_size=2,
                seed=0,
            )
        )


class BrokenElsewhere(Broken):
    """A sandbox that works for plain Python and answers the same to all that runs elsewhere."""

    def __init__(self, inner, wrong):
        super().__init__(inner)
        self.other, self.asked = Broken(inner), []
        self.other.wrong = wrong

    def for_language(self, language, packages=()):
        self.asked.append((language, tuple(packages)))
        return self if (language, tuple(packages)) == ("python", ()) else self.other


@pytest.mark.parametrize(
    "ground", [{"language": "c"}, {"language": "cpp"}, {"language": "javascript"}, {"packages": ("zlib",)}]
)
def test_a_sandbox_for_something_else_is_found_out_when_it_is_first_used(box, ground):
    judge = Judge(broken := BrokenElsewhere(box, WRONG["true for everything"]))
    assert run(judge).passed  # plain Python alone is in use, and works
    elsewhere = replace(ORACLE, prototype="int f(int x)", **ground)
    for _ in range(2):  # and stays found out
        with pytest.raises(CanaryError):
            asyncio.run(judge.judge(DOUBLE, elsewhere, "f"))
    assert {language for language, _ in broken.asked} == {"python", ground.get("language", "python")}
    assert run(judge).passed


class Asked(Broken):
    """A sandbox that counts programs by their packages, and goes wrong for those with some."""

    def __init__(self, inner):
        super().__init__(inner)
        self.counts, self.wrong_packages, self.now = {}, (), ()

    def for_language(self, language, packages=()):
        return Ground(self, tuple(packages))


class Ground:
    def __init__(self, box, packages):
        self.box, self.packages, self.level = box, packages, box.level

    async def run(self, program, inputs, limits, *, trace_lines=False):
        self.box.counts[self.packages] = self.box.counts.get(self.packages, 0) + 1
        if self.packages in self.box.wrong_packages:
            return always("timeout")(inputs)
        return await self.box.inner.run(program, inputs, limits, trace_lines=trace_lines)


def test_only_what_is_in_use_is_judged_again(box):
    """Rounds of three verdicts, with packages in the first one only."""
    judge = Judge(asked := Asked(box), canaries_every=3, reruns=0)
    packed = replace(ORACLE, packages=("zlib",))

    def judged(oracle):
        before = dict(asked.counts)
        assert asyncio.run(judge.judge(DOUBLE, oracle, "f")).passed
        return {key for key, count in asked.counts.items() if count - before.get(key, 0) >= len(CANARIES)}

    plain, with_packages = {()}, {("zlib",)}
    uses = [ORACLE, packed, ORACLE, ORACLE, ORACLE, ORACLE, ORACLE, packed]
    assert [judged(oracle) for oracle in uses] == [
        plain,
        with_packages,
        set(),
        plain,
        set(),
        set(),
        plain,
        with_packages,
    ]


def test_verdicts_side_by_side_end_a_round_too(box):
    """While one waits for the canaries of its packages, another ends the round."""
    judge = Judge(asked := Asked(box), canaries_every=2, reruns=0)
    packed = replace(ORACLE, packages=("zlib",))
    assert run(judge).passed

    async def both():
        return await asyncio.gather(judge.judge(DOUBLE, packed, "f"), judge.judge(DOUBLE, ORACLE, "f"))

    assert all(verdict.passed for verdict in asyncio.run(both()))
    before = asked.counts[()]
    for _ in range(2):
        assert run(judge).passed
    assert asked.counts[()] - before >= len(CANARIES)


def test_a_failure_elsewhere_leaves_the_round_as_it_is(box):
    judge = Judge(asked := Asked(box), canaries_every=100, reruns=0)
    assert run(judge).passed
    asked.wrong_packages = {("zlib",)}
    for _ in range(2):
        with pytest.raises(CanaryError):
            asyncio.run(judge.judge(DOUBLE, replace(ORACLE, packages=("zlib",)), "f"))
        before = asked.counts[()]
        assert run(judge, DOUBLE + "#\n").passed
        assert asked.counts[()] - before <= 1  # the program, if it was not remembered


@pytest.mark.parametrize(
    "language", [pytest.param(name, marks=pytest.mark.slow if name == "cpp" else ()) for name in LANGUAGES]
)
def test_known_programs_in_other_languages_get_their_verdicts(language):
    if any(shutil.which(tool) is None for tool in LANGUAGES[language].tools):
        pytest.skip(f"{LANGUAGES[language].package} is not installed")

    async def main():
        async with PolyglotSandbox(workers=2) as polyglot:
            judge = Judge(polyglot, canaries_every=0)
            known = [(canary.program, canary.oracle, canary.entry_point) for canary in canaries_for(language)]
            return [(await judge.judge(*one)).status for one in known]

    assert asyncio.run(main()) == ["passed", "failed", "syntax_error", "timeout", "crashed"]


def test_no_canary_where_no_program_runs():
    assert canaries_for("text") == ()
    assert [canary.program for canary in canaries_for("python", ("json",))] == [canary.program for canary in CANARIES]
