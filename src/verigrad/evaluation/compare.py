"""Before against after: paired differences over the same tasks, and where a gain comes from.

Rows are those of `evaluations/<split>-<before|after>.jsonl`: mappings with at least `task_id` and `status`; a sample
passed if its status is `passed`. Rows with status `error` (our failure, not the program's) are left out of every rate.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from verigrad.evaluation.pass_at_k import Estimate, blocks, bootstrap_means, mean_interval, summarize, task_rates

__all__ = [
    "UNPARSED",
    "Difference",
    "GainBreakdown",
    "McNemar",
    "difference_of",
    "gain_breakdown",
    "mcnemar",
    "paired_difference",
    "results_by_task",
    "sign_flip_p",
    "summarize_split",
]

_Row = Mapping[str, Any]
_Results = Mapping[str, Sequence[bool]]
_Floats = NDArray[np.float64]

UNPARSED = ("no_code", "syntax_error", "no_entry_point")
"""A sample that gave no program that parses: extraction and syntax, as against solving the task."""


@dataclass(frozen=True)
class Difference:
    """after - before, over the same tasks.

    Attributes:
        value: mean over tasks of the difference of their pass@k.
        low: lower end of the 95 % interval.
        high: upper end.
        share_not_better: share of resamples in which after is not above before; small where the gain is
            sure, much like a one-sided p-value where tasks are many and not all alike.
        num_tasks: tasks present on both sides.
    """

    value: float
    low: float
    high: float
    share_not_better: float
    num_tasks: int


@dataclass(frozen=True)
class McNemar:
    """Single samples of the same tasks: how many changed sides.

    Attributes:
        only_before: tasks solved before and not after.
        only_after: tasks solved after and not before.
        p_value: two-sided, exact: the chance of a split at least this uneven if both were equally good.
    """

    only_before: int
    only_after: int
    p_value: float


@dataclass(frozen=True)
class GainBreakdown:
    """pass@1 = parse rate x pass rate among samples that parse; the gain is split between the two.

    Attributes:
        gain: pass@1 after - before; equals `from_parsing + from_solving`.
        from_parsing: part due to more samples with a program that parses.
        from_solving: part due to more of those being right.
        parse_before: share of samples with a program that parses.
        parse_after: the same, after.
        pass_given_parse_before: share of those that pass.
        pass_given_parse_after: the same, after.
    """

    gain: float
    from_parsing: float
    from_solving: float
    parse_before: float
    parse_after: float
    pass_given_parse_before: float
    pass_given_parse_after: float


def results_by_task(rows: Iterable[_Row]) -> dict[str, list[bool]]:
    """Whether each sample passed, by task in order of appearance; rows with status `error` are left out.

    >>> results_by_task([{"task_id": "a", "status": "passed"}, {"task_id": "a", "status": "error"}])
    {'a': [True]}
    """
    results: dict[str, list[bool]] = {}
    for row in rows:
        if row["status"] != "error":
            results.setdefault(row["task_id"], []).append(row["status"] == "passed")
    return results


def paired_difference(
    before: _Results, after: _Results, k: int = 1, *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Difference:
    """Mean difference of pass@k over tasks, with a paired bootstrap: tasks are resampled, each with both its sides.

    Args:
        before: task id -> whether each sample passed.
        after: the same tasks; the number of samples may differ.
        k: samples one may try.
        confidence: of the interval.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ValueError: the two sides do not have the same tasks, or have none.

    >>> paired_difference({"a": [False], "b": [True]}, {"a": [True], "b": [True]}).value
    0.5
    """
    if not before or set(before) != set(after):
        odd = sorted(set(before) ^ set(after))
        raise ValueError(f"a paired difference needs the same tasks, at least one, on both sides; unpaired: {odd[:5]}")
    changes = task_rates({task: after[task] for task in before}, k) - task_rates(before, k)
    return difference_of(changes, confidence=confidence, resamples=resamples, seed=seed)[0]


def difference_of(
    changes: _Floats, *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> tuple[Difference, _Floats]:
    """The mean of tasks' changes, each in [-1, 1], with its interval; and the resampled means behind it."""
    means = bootstrap_means(changes, resamples=resamples, seed=seed)
    low, high = mean_interval(changes, means, bounds=(-1.0, 1.0), confidence=confidence)
    return Difference(float(changes.mean()), low, high, float((means <= 0).mean()), len(changes)), means


def sign_flip_p(changes: _Floats, *, resamples: int = 10_000, seed: int = 0) -> float:
    """Two-sided p-value of tasks' changes: the chance of a mean at least this far from 0 if each had either sign.

    Fisher's randomisation test (1935, "The Design of Experiments", section 21): if neither side is better, swapping the
    two sides of a task changes nothing. It holds for any number of tasks, where the bootstrap is too sure of few. Exact
    where there are at most `resamples` ways to give signs, of one sample a task then McNemar's; else by as many draws.

    >>> sign_flip_p(np.array([1.0, 1.0, 0.0, 1.0]))
    0.25
    """
    own = np.round(changes, 12)
    own = own[own != 0]
    least = abs(own.sum()) - 1e-9
    if 2 ** len(own) <= resamples:
        every = np.array(list(itertools.product((1.0, -1.0), repeat=len(own)))).reshape(2 ** len(own), len(own))
        return float((abs(every @ own) >= least).mean())
    rng = np.random.default_rng(seed)
    draws = (rng.choice((1.0, -1.0), (size, len(own))) @ own for size in blocks(resamples))
    as_far = sum(int((abs(sums) >= least).sum()) for sums in draws)
    return (as_far + 1) / (resamples + 1)


def mcnemar(before: _Results, after: _Results) -> McNemar:
    """Exact McNemar test where every task has one sample on each side.

    McNemar 1947, "Note on the sampling error of the difference between correlated proportions or percentages";
    exact form: under no difference the tasks that changed sides are fair coin flips.

    Raises:
        ValueError: the tasks differ, or one has another number of samples than one.

    >>> mcnemar({"a": [False], "b": [False]}, {"a": [True], "b": [True]})
    McNemar(only_before=0, only_after=2, p_value=0.5)
    """
    if set(before) != set(after) or any(len(own) != 1 for side in (before, after) for own in side.values()):
        raise ValueError("McNemar's test needs the same tasks on both sides and one sample of each")
    only_before = sum(before[task][0] and not after[task][0] for task in before)
    only_after = sum(after[task][0] and not before[task][0] for task in before)
    changed = only_before + only_after
    tail = sum(math.comb(changed, i) for i in range(min(only_before, only_after) + 1))
    return McNemar(only_before, only_after, min(1.0, 2 * tail / 2**changed))


def summarize_split(before_rows: Iterable[_Row], after_rows: Iterable[_Row], *, seed: int = 0) -> dict[str, Any]:
    """One split's entry in `summary.json`: pass@1 before and after with intervals, and their difference.

    A side without rows is left out. The difference is over the tasks that both sides have; `unpaired_tasks` counts the
    rest.

    Returns:
        `{"before": {"pass@1", "low", "high", "num_tasks", "num_samples"}, "after": {...}, "difference": {"value",
        "low", "high", "share_not_better"}, "num_tasks", "num_samples", "unpaired_tasks"}`; each side counts its own,
        below them `num_tasks` are those of the difference (or of the only side), `num_samples` the larger side's.
    """
    sides = {"before": results_by_task(before_rows), "after": results_by_task(after_rows)}
    sides = {name: results for name, results in sides.items() if results}
    split: dict[str, Any] = {name: _side(summarize(results, seed=seed)) for name, results in sides.items()}
    tasks = set.intersection(*(set(results) for results in sides.values())) if sides else set()
    if len(sides) == 2 and tasks:
        before, after = ({t: own for t, own in results.items() if t in tasks} for results in sides.values())
        difference = paired_difference(before, after, seed=seed)
        split["difference"] = {
            "value": difference.value,
            "low": difference.low,
            "high": difference.high,
            "share_not_better": difference.share_not_better,
        }
    split["num_tasks"] = len(tasks)
    split["num_samples"] = max((split[name]["num_samples"] for name in sides), default=0)
    split["unpaired_tasks"] = len(set().union(*sides.values())) - len(tasks)
    return split


def _side(estimate: Estimate) -> dict[str, Any]:
    return {
        "pass@1": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "num_tasks": estimate.num_tasks,
        "num_samples": estimate.num_samples,
    }


def gain_breakdown(before_rows: Iterable[_Row], after_rows: Iterable[_Row]) -> GainBreakdown:
    """How much of the rise in pass@1 comes from fewer answers without a program that parses.

    With parse rate p and pass rate among parsed q, pass@1 = p q, and exactly

        p1 q1 - p0 q0 = (p1 - p0) (q0 + q1) / 2  +  (p0 + p1) / 2 (q1 - q0)

    The first part is parsing's, the second solving's (the Shapley values of the two changes: the mean over both orders
    of making them). Every task weighs the same, as in pass@1; those with a scored row on one side only are left out, as
    in `paired_difference`. Where a side has no sample that parses, its q is unknown and taken to be the other side's,
    which gives the whole gain to parsing.

    Raises:
        ValueError: no task has a scored row on both sides.
    """
    before, after = _statuses_by_task(before_rows), _statuses_by_task(after_rows)
    both = [task for task in before if task in after]
    if not both:
        raise ValueError("a gain needs a task with scored samples on both sides; there is none")
    (p0, q0), (p1, q1) = (_parse_and_pass([side[task] for task in both]) for side in (before, after))
    q0, q1 = (q1 if q0 is None else q0) or 0.0, (q0 if q1 is None else q1) or 0.0
    return GainBreakdown(
        gain=p1 * q1 - p0 * q0,
        from_parsing=(p1 - p0) * (q0 + q1) / 2,
        from_solving=(p0 + p1) / 2 * (q1 - q0),
        parse_before=p0,
        parse_after=p1,
        pass_given_parse_before=q0,
        pass_given_parse_after=q1,
    )


def _statuses_by_task(rows: Iterable[_Row]) -> dict[str, list[str]]:
    statuses: dict[str, list[str]] = {}
    for row in rows:
        if row["status"] != "error":
            statuses.setdefault(row["task_id"], []).append(row["status"])
    return statuses


def _parse_and_pass(statuses: Sequence[Sequence[str]]) -> tuple[float, float | None]:
    """Parse rate, and pass rate among parsed samples (None where none parses), every task weighing the same."""
    parsed = _mean_over_tasks([[status not in UNPARSED for status in own] for own in statuses])
    passed = _mean_over_tasks([[status == "passed" for status in own] for own in statuses])
    return parsed, passed / parsed if parsed else None


def _mean_over_tasks(flags: list[list[bool]]) -> float:
    return sum(sum(own) / len(own) for own in flags) / len(flags)
