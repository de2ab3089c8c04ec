"""Rewards from hidden tests, each a pure function of the verdict (and of the tests, where it asks for the oracle)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from verigrad.literals import stable_text
from verigrad.rewards.base import Answer, Check, Reward
from verigrad.sandbox.answers import output_is_right
from verigrad.sandbox.compare import equal
from verigrad.types import AnswerTest, CallTest, Oracle, Score, StdioTest, Task, Test, Verdict

__all__ = [
    "CHECKS",
    "all_pass",
    "best_constant",
    "by_difficulty",
    "corrected",
    "fraction",
    "power",
    "subtasks",
    "weighted",
]

CHECKS = [
    Check("gold", at_least=1.0),
    Check("empty", at_most=0.0),
    Check("wrong", at_most=0.999),
    Check("constant", at_most=0.999),
    Check("stub", at_most=0.0),
    Check("syntax_error", at_most=0.0),
    Check("early_exit", at_most=0.0),
    Check("infinite_loop", at_most=0.0),
    Check("memory_hog", at_most=0.0),
    Check("always_equal", at_most=0.0),
]

_ALMOST = 0.99
"""The most that a program may have which did not pass as a whole."""


def all_pass(task: Task, answer: Answer, verdict: Verdict | None) -> Score:
    """1 where every hidden test passes, else 0: the default.

    Partial credit lets a policy collect reward for constants and special cases. Main hack: weak tests.
    """
    passed = verdict is not None and verdict.passed
    return _score(float(passed), verdict)


def fraction(task: Task, answer: Answer, verdict: Verdict | None) -> Score:
    """Share of hidden tests passed; 1 only where the verdict as a whole is `passed`.

    Main hack: a constant program earns the share of tests it happens to meet; prefer `all_pass`, or `corrected`.
    """
    return _score(_share(verdict), verdict)


def power(task: Task, answer: Answer, verdict: Verdict | None, *, exponent: float = 2.0) -> Score:
    """The share of hidden tests passed, to a power: partial credit that falls off fast, in [0, 1].

    Main hack: as of `fraction`, but the half of the tests that a constant meets is worth a quarter.
    """
    return _score(_share(verdict) ** exponent, verdict)


def corrected(task: Task, answer: Answer, verdict: Verdict | None, *, oracle: Oracle | None) -> Score:
    """max(0, (p - b) / (1 - b)), p the share of tests passed and b that which the best constant passes; in [0, 1].

    Main hack: a program with two cases meets more tests than any constant, and is paid for the difference.

    Raises:
        ValueError: called without the oracle.
    """
    share, base = _share(verdict), best_constant(_known(oracle, task))
    beyond = max(0.0, share - base) / max(1e-9, 1.0 - base)
    score = _score(_capped(beyond, verdict), verdict)
    return Score(score.value, {**score.parts, "best_constant": base}, evidence=verdict)


def weighted(task: Task, answer: Answer, verdict: Verdict | None, *, oracle: Oracle | None) -> Score:
    """Share of tests passed where each distinct expected value counts once, in [0, 1].

    A test whose expected value k tests share weighs 1 / k: on a task with 90 times False and 10 times True, either
    constant earns a half. See `by_difficulty` for weights from measured pass rates. Main hack: where every test
    expects another value it is `fraction`.

    Raises:
        ValueError: called without the oracle.
    """
    keys = [_wanted(test) for test in _known(oracle, task).tests]
    counts = Counter(keys)
    return _score(_weighted_share(verdict, [1.0 / counts[key] for key in keys]), verdict)


def by_difficulty(pass_rates: Mapping[str, Mapping[str, float]], *, least: float = 0.05) -> Reward:
    """A reward that weighs each test by 1 / its pass rate: what few programs pass is worth more.

    Args:
        pass_rates: task id -> test name -> share of programs that passed it, as measured before the run. Tests and
            tasks that are missing count as if everyone passed them.
        least: rates below are taken for this, so that a test nobody passes does not outweigh all others.

    Returns:
        a reward in [0, 1]. Main hack: as of `fraction`, where cheap programs meet hard tests.
    """

    def difficulty_weighted(task: Task, answer: Answer, verdict: Verdict | None) -> Score:
        rates = pass_rates.get(task.id, {})
        names = [result.name for result in verdict.results] if verdict is not None else []
        return _score(_weighted_share(verdict, [1.0 / max(least, rates.get(name, 1.0)) for name in names]), verdict)

    return difficulty_weighted


def subtasks(
    task: Task, answer: Answer, verdict: Verdict | None, *, points: Mapping[str, float] | None = None
) -> Score:
    """Points of the subtasks passed in full, as a share of all: the minimum over the tests of each, in [0, 1].

    As the International Olympiad in Informatics scores. A test belongs to the subtask before the last `/` of its name
    (`sub1/3`); those without one make up a subtask of their own, so that an ordinary task is all-pass.

    Args:
        points: by subtask; those not named, and all of them where this is None, have 1.

    Main hack: a subtask of few or special tests (n = 1, one answer) is met by a special case.
    """
    passed: dict[str, bool] = defaultdict(lambda: True)
    for result in verdict.results if verdict is not None else ():
        passed[result.name.rpartition("/")[0]] &= result.status == "passed"
    worth = {name: (points or {}).get(name, 1.0) for name in passed}
    total = sum(worth.values())
    share = sum(worth[name] for name, fine in passed.items() if fine) / total if total else 0.0
    return _score(_capped(share, verdict), verdict)


def best_constant(oracle: Oracle) -> float:
    """The largest share of tests that a program passes which answers always the same, in [0, 1].

    The task source's own figure where it gives one, else tried with the 16 most common expected values (with `any_of`,
    accepted values). Scripts and properties count as failed: nothing is known of what they expect.

    >>> tests = tuple(CallTest(str(n), (n,), n % 2 == 0) for n in (1, 2, 3, 5))
    >>> best_constant(Oracle(task_id="t", tests=tests))
    0.75
    """
    if oracle.constant_pass_rate is not None:
        return oracle.constant_pass_rate
    if not oracle.tests:
        return 0.0
    calls = [test for test in oracle.tests if isinstance(test, CallTest)]
    texts = Counter(_wanted(test) for test in oracle.tests if isinstance(test, AnswerTest))
    return max([*texts.values(), _most_printed(oracle), _most_met(calls, oracle)]) / len(oracle.tests)


def _most_printed(oracle: Oracle) -> int:
    """How many tests the best of the 16 most common outputs meets."""
    tests = [test for test in oracle.tests if isinstance(test, StdioTest)]
    exact = oracle.output.spaces == "exact"  # by which a text without its line's end is another
    texts = (text for test in tests for text in (test.stdout, *test.alternatives))
    counts = Counter(text if exact else text.rstrip() for text in texts)
    constants = [text for text, _ in counts.most_common(16)]
    return max((sum(output_is_right(text, t, oracle.output) for t in tests) for text in constants), default=0)


def _most_met(calls: Sequence[CallTest], oracle: Oracle) -> int:
    found: dict[str, Any] = {}
    counts: Counter[str] = Counter()
    for test in calls:
        accepted = test.expected if (test.comparator or oracle.comparator).mode == "any_of" else [test.expected]
        for value in accepted:
            found.setdefault(stable_text(value), value)
            counts[stable_text(value)] += 1
    constants = [found[text] for text, _ in counts.most_common(16)]
    met = (sum(equal(c, test.expected, test.comparator or oracle.comparator) for test in calls) for c in constants)
    return max(met, default=0)


def _wanted(test: Test) -> str:
    """What a test expects, as a text that is equal where the expectation is."""
    if isinstance(test, StdioTest):
        return test.stdout.rstrip()
    return stable_text(test.expected) if isinstance(test, CallTest | AnswerTest) else test.name


def _known(oracle: Oracle | None, task: Task) -> Oracle:
    if oracle is None:
        raise ValueError(f"this reward looks at the hidden tests of task {task.id!r}: pass it their oracle")
    return oracle


def _weighted_share(verdict: Verdict | None, weights: Sequence[float]) -> float:
    if verdict is None or not verdict.results:
        return 0.0
    results = zip(verdict.results, weights, strict=True)
    return _capped(sum(weight for r, weight in results if r.status == "passed") / sum(weights), verdict)


def _share(verdict: Verdict | None) -> float:
    return _capped(verdict.fraction, verdict) if verdict is not None else 0.0


def _capped(share: float, verdict: Verdict | None) -> float:
    """1 where the verdict as a whole is `passed`, and only there."""
    return 1.0 if verdict is not None and verdict.passed else min(share, _ALMOST)


def _score(value: float, verdict: Verdict | None) -> Score:
    return Score(value, {"tests": verdict.fraction if verdict is not None else 0.0}, evidence=verdict)
