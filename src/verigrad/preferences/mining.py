"""Preferences mined from judged answers: pure functions from the answers to one task to records.

    groups = from_rows(rows)                                # rows of `verigrad eval --samples`, or of rollouts/*.jsonl
    records = [record for task in groups for record in mine(task, pass_fail, max_per_task=4, seed=0)]

A miner is `(answers, *, max_records, seed, ...) -> list of records`; `MINERS` names them. Answers whose programs differ
only in layout and comments count once, and a program that both passed and failed is left out: it proves nothing.
"""

from __future__ import annotations

import ast
import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from random import Random
from typing import Any, Protocol, TypeVar

import numpy as np

from verigrad.errors import DataError
from verigrad.preferences.records import Pair, Prompt, Rated, Record
from verigrad.rewards.efficiency import relative_cost
from verigrad.rollout import Group, verdict_of
from verigrad.seeds import derive_seed
from verigrad.types import Message, Rollout

__all__ = [
    "MINERS",
    "Miner",
    "Scored",
    "TaskAnswers",
    "acecoder",
    "best_of_n",
    "distinct",
    "efficiency",
    "from_groups",
    "from_rows",
    "mine",
    "miner_options",
    "mutual_ranking",
    "mutual_scores",
    "normalised",
    "pair_of",
    "pass_fail",
    "why_none",
]

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One answer and what its judging said.

    Attributes:
        prompt: the conversation it answers.
        text: the answer as the policy gave it.
        program: the source that was judged, where one was found in it.
        fraction: share of tests passed.
        passed: every test passed.
        outcomes: test by test, in the task's order; empty where nothing ran.
        cost: what running it takes, as a multiple of the reference's count, where efficiency was measured.
        cpu_ms: what running it takes, in CPU milliseconds, where measured.
        tokens: length of the answer; 0 where unknown.
        finished: it ended by itself. One that was cut off is never preferred: it would teach not to stop.
    """

    prompt: Prompt
    text: str
    program: str | None
    fraction: float
    passed: bool
    outcomes: tuple[bool, ...] = ()
    cost: float | None = None
    cpu_ms: float | None = None
    tokens: int = 0
    finished: bool = True

    @property
    def shown(self) -> str:
        """What is compared: the program, or the whole answer where there is none."""
        return self.text if self.program is None else self.program


@dataclass(frozen=True)
class TaskAnswers:
    """All answers to one task that can be compared; `left_out` says why others cannot, one reason an answer."""

    task_id: str
    answers: tuple[Scored, ...]
    left_out: tuple[str, ...] = ()


class Miner(Protocol):
    """What a function must be to serve as a miner; a limit of 0 means none."""

    def __call__(self, answers: Sequence[Scored], *, max_records: int = 0, seed: int = 0) -> Sequence[Record]: ...


def miner_options(miner: Callable[..., Any]) -> dict[str, Any]:
    """The options a miner has, with their defaults.

    >>> miner_options(pass_fail)
    {'length_ratio': 0.0}
    """
    parameters = inspect.signature(miner).parameters.values()
    return {p.name: p.default for p in parameters if p.name not in ("answers", "max_records", "seed")}


# --------------------------------------------------------------------------------------------- builders

_INFRASTRUCTURE = "infrastructure failure"
_SEVERAL_TURNS = "several turns"
_EMPTY = "empty answer"


def from_groups(groups: Iterable[Group]) -> list[TaskAnswers]:
    """Answers of scored rollouts; those of several turns are left out: they are answers to more than the task."""
    found = []
    for group in groups:
        prompt = (Message("user", group.task.prompt),)
        flaws = [_rollout_flaw(rollout) for rollout in group.rollouts]
        kept = [rollout for rollout, flaw in zip(group.rollouts, flaws, strict=True) if not flaw]
        answers = tuple(_of_rollout(rollout, prompt) for rollout in kept)
        found.append(TaskAnswers(group.task.id, answers, tuple(flaw for flaw in flaws if flaw)))
    return found


def _rollout_flaw(rollout: Rollout) -> str:
    if rollout.status == "error":
        return _INFRASTRUCTURE
    if len(rollout.turns) != 1:
        return _SEVERAL_TURNS
    return "" if rollout.turns[0].text.strip() else _EMPTY


def _of_rollout(rollout: Rollout, prompt: Prompt) -> Scored:
    (turn,) = rollout.turns
    verdict = verdict_of(rollout)
    return Scored(
        prompt=prompt,
        text=turn.text,
        program=rollout.program,
        fraction=verdict.fraction if verdict else 0.0,
        passed=verdict is not None and verdict.passed,
        outcomes=tuple(result.status == "passed" for result in verdict.results) if verdict else (),
        cost=relative_cost(verdict.costs) if verdict and verdict.costs else None,
        cpu_ms=verdict.cpu_ms if verdict else None,
        tokens=len(turn.completion_ids),
        finished=rollout.status == "finished",
    )


def from_rows(
    rows: Iterable[Mapping[str, Any]],
    *,
    prompts: Mapping[str, str] | None = None,
    places: Sequence[str] | None = None,
) -> list[TaskAnswers]:
    """Answers of sample rows (`evaluation.benchmark.sample_rows`), by task, and by prompt where a task has several.

    Rows of several turns are left out, as by `from_groups`.

    Args:
        rows: with `task_id completion status passed total`, and where known `prompt turns program results tokens
            stop_reason cost cpu_ms`.
        prompts: by task id, for rows without their own.
        places: of the rows, for messages (`file:line`).

    Raises:
        DataError: a row lacks a field, or has no prompt; names the row and the field.
    """
    rows = list(rows)
    places = places or [f"row {number}" for number in range(1, len(rows) + 1)]
    answers: dict[tuple[str, str], list[Scored]] = {}
    left_out: dict[tuple[str, str], list[str]] = {}
    for place, row in zip(places, rows, strict=True):
        task_id = _field(row, "task_id", str, place)
        key = (task_id, _row_prompt(row, task_id, prompts or {}, place))
        usable, flaws = answers.setdefault(key, []), left_out.setdefault(key, [])
        if flaw := _row_flaw(row, place):
            flaws.append(flaw)
        else:
            usable.append(_of_row(row, (Message("user", key[1]),), place))
    return [TaskAnswers(key[0], tuple(found), tuple(left_out[key])) for key, found in answers.items()]


def _row_prompt(row: Mapping[str, Any], task_id: str, prompts: Mapping[str, str], place: str) -> str:
    prompt = row.get("prompt") or prompts.get(task_id)
    if not isinstance(prompt, str):
        raise DataError(f"{place}: prompt is missing; name the task source (--tasks) that has {task_id!r}")
    return prompt


def _row_flaw(row: Mapping[str, Any], place: str) -> str:
    if row.get("status") == "error":
        return _INFRASTRUCTURE
    if _field({"turns": 1, **row}, "turns", int, place) > 1:
        return _SEVERAL_TURNS
    return "" if _field(row, "completion", str, place).strip() else _EMPTY


def _of_row(row: Mapping[str, Any], prompt: Prompt, place: str) -> Scored:
    total = _field(row, "total", int, place)
    results = _field({"results": [], **row}, "results", (list, tuple), place)
    return Scored(
        prompt=prompt,
        text=row["completion"],
        program=None if row.get("program") is None else _field(row, "program", str, place),
        fraction=_field(row, "passed", int, place) / total if total else 0.0,
        passed=_field(row, "status", str, place) == "passed",
        outcomes=tuple(isinstance(result, dict) and result.get("status") == "passed" for result in results),
        cost=_optional_number(row, "cost", place),
        cpu_ms=_optional_number(row, "cpu_ms", place),
        tokens=_field({"tokens": 0, **row}, "tokens", int, place),
        finished=row.get("stop_reason", "stop") == "stop",
    )


def _optional_number(row: Mapping[str, Any], name: str, place: str) -> float | None:
    return None if row.get(name) is None else float(_field(row, name, (int, float), place))


def _field(row: Mapping[str, Any], name: str, kind: type | tuple[type, ...], place: str) -> Any:
    value = row.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        got = f"is {value!r}"[:80] if name in row else f"is missing (the row has {', '.join(map(repr, row))})"
        raise DataError(f"{place}: {name} {got}; wanted rows as `verigrad eval --samples` writes them")
    return value


# -------------------------------------------------------------------------------------- distinct answers

_LONGEST_PARSED = 20_000


def normalised(program: str) -> str:
    """A form that programs share which differ only in layout and comments: of the syntax tree, else of the words.

    >>> normalised("f(1,2)  # two") == normalised("f(1, 2)") != normalised("f(1, 3)")
    True
    """
    try:
        if len(program) <= _LONGEST_PARSED:
            with warnings.catch_warnings(action="ignore"):  # such as invalid escapes in the text
                return ast.dump(ast.parse(program))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        pass
    return " ".join(program.split())


def distinct(answers: Iterable[Scored]) -> list[Scored]:
    """The first answer with each program, an uncut one before a cut one; none whose program both passed and failed."""
    found: dict[str, list[Scored]] = {}
    for answer in answers:
        found.setdefault(normalised(answer.shown), []).append(answer)
    steady = [alike for alike in found.values() if len({answer.passed for answer in alike}) == 1]
    return [next((answer for answer in alike if answer.finished), alike[0]) for alike in steady]


# ----------------------------------------------------------------------------------------------- miners


def acecoder(
    answers: Sequence[Scored],
    *,
    gap: float = 0.4,
    chosen_above: float = 0.8,
    rejected_above: float = 0.0,
    inclusive: bool = False,
    max_records: int = 0,
    seed: int = 0,
) -> list[Pair]:
    """Pairs of answers that pass clearly different shares of the tests, the worse one not hopeless.

    s_i > s_j + gap,  s_i > chosen_above,  s_j > rejected_above

    Zeng et al. 2025, "AceCoder", arXiv:2502.01718. A share of 0 is often a mere syntax or packaging error.
    `inclusive` reads the first two as >=, as the released code does. Layout variants are dropped here, not there.
    """
    slack = -1e-9 if inclusive else 1e-9  # in floats 0.7 - 0.3 is not 0.4
    found = [
        pair_of(better, worse, margin=better.fraction - worse.fraction)
        for better, worse in _ordered(answers)
        if better.finished
        and better.fraction - worse.fraction - gap > slack
        and better.fraction - chosen_above > slack
        and worse.fraction > rejected_above
    ]
    return _at_most(found, max_records, seed)


def pass_fail(
    answers: Sequence[Scored], *, length_ratio: float = 0.0, max_records: int = 0, seed: int = 0
) -> list[Pair]:
    """Every correct answer with wrong ones; each correct one comes once before any comes twice.

    Zhang et al. 2024, "PLUM", arXiv:2406.06887: pairs from the policy's own answers, by tests.

    Args:
        length_ratio: the longer of a pair is at most this many times the shorter; 0 for any. DPO drifts towards the
            length that chosen answers happen to have.
    """
    random = Random(seed)
    found = distinct(answers)
    passing = [answer for answer in found if answer.passed and answer.finished]
    failing = [answer for answer in found if not answer.passed]
    random.shuffle(passing)
    random.shuffle(failing)
    pairs = [
        pair_of(good, bad, margin=max(0.0, good.fraction - bad.fraction))
        for turn in range(len(failing))
        for good, bad in zip(passing, cycle(failing[turn:] + failing[:turn]), strict=False)
        if _alike_in_length(good, bad, length_ratio)
    ]
    return pairs[:max_records] if max_records else pairs


def mutual_scores(
    passes: Sequence[Sequence[bool]], *, damping: float = 0.85, iterations: int = 10
) -> tuple[list[float], list[float]]:
    """How far programs and tests confirm each other: what many trusted tests pass is trusted, and the other way round.

    c_i <- (1 - d) c_i + d sum_j t_j passes[i][j],   t_j <- (1 - d) t_j + d sum_i c_i passes[i][j],   at once, from 1

    Zhang et al. 2024, "CodeDPO", arXiv:2410.05605. Its scores grow without bound; ours are divided by the
    largest of all after each round, which changes no order.

    Args:
        passes: row by program, column by test.
        damping: d.

    Returns:
        scores of programs and of tests, in [0, 1].

    Raises:
        ValueError: programs have different numbers of tests.

    >>> programs, tests = mutual_scores([[True, True], [True, False]], damping=1.0, iterations=1)
    >>> programs, tests
    ([1.0, 0.5], [1.0, 0.5])
    """
    if len({len(row) for row in passes}) > 1:
        raise ValueError(
            f"rows of {sorted({len(row) for row in passes})} tests; wanted the same tests for every program"
        )
    links = np.array(passes, dtype=float) if passes else np.ones((0, 0))
    programs, tests = np.ones(links.shape[0]), np.ones(links.shape[1])
    for _ in range(iterations):
        programs, tests = (
            (1 - damping) * programs + damping * links @ tests,
            (1 - damping) * tests + damping * links.T @ programs,
        )
        largest = max(programs.max(initial=0.0), tests.max(initial=0.0))
        if largest > 0:
            programs, tests = programs / largest, tests / largest
    return programs.tolist(), tests.tolist()


def mutual_ranking(
    answers: Sequence[Scored],
    *,
    damping: float = 0.85,
    iterations: int = 10,
    gap: float = 0.0,
    max_records: int = 0,
    seed: int = 0,
) -> list[Pair]:
    """Best with worst, second best with second worst, and so on, by `mutual_scores`; for tests that nobody vouches for.

    Zhang et al. 2024, "CodeDPO", arXiv:2410.05605. Scores are taken as shares of the best program's; a pair's margin is
    their difference, which must exceed `gap`. `seed` is not needed: nothing is drawn.

    Raises:
        DataError: answers to one task were judged by different numbers of tests.
    """
    found = distinct(answers)
    sizes = {len(answer.outcomes) for answer in found if answer.outcomes}
    if len(sizes) > 1:
        raise DataError(f"answers to one task have {sorted(sizes)} test results; wanted the same tests for all")
    size = max(sizes, default=0)
    programs, _ = mutual_scores(
        [answer.outcomes or (False,) * size for answer in found], damping=damping, iterations=iterations
    )
    best = max(programs, default=0.0) or 1.0
    ranked = sorted(zip(programs, found, strict=True), key=lambda item: -item[0])
    pairs = []
    for (high, better), (low, worse) in zip(ranked, reversed(ranked), strict=True):
        margin = (high - low) / best
        if margin > max(gap, 1e-9) and better.finished:
            pairs.append(pair_of(better, worse, margin=margin))
    return pairs[:max_records] if max_records else pairs


def efficiency(
    answers: Sequence[Scored], *, cost_ratio: float = 1.5, max_records: int = 0, seed: int = 0
) -> list[Pair]:
    """Pairs of correct answers of which one costs more than `cost_ratio` times the other; the cheaper is chosen.

    Zhang et al. 2024, "CodeDPO", arXiv:2410.05605. Costs are multiples of the reference's count where every correct
    answer has one, else CPU milliseconds, whose noise the ratio has to exceed. `meta` has both costs; the margin stays
    unknown, for a time is no reward.
    """
    correct = [answer for answer in distinct(answers) if answer.passed]
    costs = [(cost, answer) for cost, answer in zip(_costs(correct), correct, strict=True) if cost is not None]
    found = [
        pair_of(fast, slow, margin=None, chosen_cost=low, rejected_cost=high)
        for low, fast in costs
        for high, slow in costs
        if fast.finished and 0 < low * cost_ratio < high
    ]
    return _at_most(found, max_records, seed)


def best_of_n(
    answers: Sequence[Scored], *, only_best: bool = False, max_records: int = 0, seed: int = 0
) -> list[Rated]:
    """Correct answers as demonstrations: all distinct ones, or the one that costs least, the shortest among equals.

    Yuan et al. 2023, "Scaling Relationship on Learning Mathematical Reasoning" (rejection sampling fine-tuning, RFT),
    arXiv:2308.01825.
    """
    correct = [answer for answer in distinct(answers) if answer.passed and answer.finished]
    if only_best:
        by_cost = sorted(
            zip(_costs(correct), correct, strict=True),
            key=lambda costed: (costed[0] is None, costed[0] or 0.0, _length(costed[1])),
        )
        correct = [answer for _, answer in by_cost[:1]]
    found = [
        Rated(prompt=answer.prompt, completion=answer.text, desirable=True, meta={"fraction": answer.fraction})
        for answer in correct
    ]
    return _at_most(found, max_records, seed)


MINERS: dict[str, Miner] = {
    "acecoder": acecoder,
    "best_of_n": best_of_n,
    "efficiency": efficiency,
    "mutual_ranking": mutual_ranking,
    "pass_fail": pass_fail,
}


def mine(
    task: TaskAnswers, miner: Callable[..., Sequence[Record]], *, max_per_task: int = 0, seed: int = 0
) -> list[Record]:
    """A miner's records of one task, the task's id in their `meta`; draws depend on the seed and the task alone."""
    own_seed = derive_seed(seed, "mine", task.task_id)
    found = miner(task.answers, max_records=max_per_task, seed=own_seed)
    return [replace(record, meta={"task_id": task.task_id, **record.meta}) for record in found]


def why_none(task: TaskAnswers, miner: str = "") -> str:
    """Why the miner of this name found nothing in a task, as far as the answers say."""
    if not task.answers:
        return "no usable answer: " + ", ".join(sorted(set(task.left_out)))
    answers = distinct(task.answers)
    return _WHY.get(miner, _why_by_tests)(answers) if answers else "every program both passed and failed"


def _why_by_tests(answers: Sequence[Scored]) -> str:
    correct = [answer for answer in answers if answer.passed]
    if not any(answer.finished for answer in correct):
        return _why_not_one(answers)
    if len(correct) == len(answers):
        return "every answer passes"
    return "some answers pass and some fail, but no two meet the rule"


def _why_by_score(answers: Sequence[Scored]) -> str:
    return "one distinct program" if len(answers) == 1 else "all programs score alike"


def _why_by_cost(answers: Sequence[Scored]) -> str:
    correct = [answer for answer in answers if answer.passed]
    if len(correct) < 2:
        return "one distinct correct program" if correct else "no answer passes"
    measured = sum(cost is not None for cost in _costs(correct))
    return "costs differ too little" if measured > 1 else "no cost was measured"


def _why_not_one(answers: Sequence[Scored]) -> str:
    return "every correct answer was cut off" if any(answer.passed for answer in answers) else "no answer passes"


_WHY = {"best_of_n": _why_not_one, "efficiency": _why_by_cost, "mutual_ranking": _why_by_score}


# -------------------------------------------------------------------------------------------------- parts


def _ordered(answers: Sequence[Scored]) -> list[tuple[Scored, Scored]]:
    """Every two distinct answers of which the first passes more tests."""
    found = distinct(answers)
    return [(one, other) for one in found for other in found if one.fraction > other.fraction]


def pair_of(better: Scored, worse: Scored, *, margin: float | None = None, **meta: Any) -> Pair:
    """The pair of two answers; its `meta` has the shares of tests they pass, and of either whether it was cut off."""
    meta = {"chosen_fraction": better.fraction, "rejected_fraction": worse.fraction, **meta}
    meta |= {f"{side}_cut_off": True for side, it in (("chosen", better), ("rejected", worse)) if not it.finished}
    return Pair(prompt=better.prompt, chosen=better.text, rejected=worse.text, margin=margin, meta=meta)


def _costs(correct: Sequence[Scored]) -> list[float | None]:
    """What the correct answers to one task take, all in one unit: see `efficiency`."""
    counted = all(answer.cost is not None for answer in correct)
    return [answer.cost if counted else answer.cpu_ms for answer in correct]


def _length(answer: Scored) -> int:
    return answer.tokens or len(answer.text)


def _alike_in_length(one: Scored, other: Scored, ratio: float) -> bool:
    if not ratio:
        return True
    sizes = (one.tokens, other.tokens) if one.tokens and other.tokens else (len(one.text), len(other.text))
    return max(sizes) <= ratio * min(sizes)


def _at_most(found: list[_T], limit: int, seed: int) -> list[_T]:
    """So many of them, drawn by the seed and left in their order; all where the limit is 0."""
    if not limit or len(found) <= limit:
        return found
    return [found[index] for index in sorted(Random(seed).sample(range(len(found)), limit))]
