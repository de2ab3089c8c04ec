"""From the rows of a comparison to its figures: `summary.json`, which the page shows."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

from verigrad.evaluation.compare import results_by_task
from verigrad.evaluation.pass_at_k import summarize
from verigrad.evaluation.sweeps.statistics import summarize_seeds
from verigrad.evaluation.twins.bench import Row
from verigrad.evaluation.twins.config import CompareConfig
from verigrad.evaluation.twins.order import KS
from verigrad.evaluation.twins.versus import Versus, adjusted, versus_rates, versus_values
from verigrad.tasks.base import TaskSet

__all__ = ["MARGIN", "summarize_rows"]

MARGIN = 0.02
"""Points of pass@1 that fewer steps may cost and still count as no worse."""

_Results = dict[str, list[bool]]


def summarize_rows(rows: Sequence[Row], config: CompareConfig, tasks: TaskSet) -> dict[str, Any]:
    """Figures of every part that has rows, and the list of measures with who wins."""
    by_part: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_part[row["part"]].append(row)
    parts: dict[str, Callable[[Sequence[Row], CompareConfig], Any]] = {
        "temperature": _temperature,
        "steps": _steps,
        "infilling": _rates,
        "repair": _rates,
        "output": _rates,
        "order": _order,
        "likelihood": _likelihood,
    }
    return {
        "diffusion": list(config.diffusion),
        "causal": list(config.causal),
        "tasks": tasks.name,
        "num_tasks": len(tasks),
        "pairs": len(config.diffusion),
        "slots": config.slots,
        "samples": config.samples,
        "max_tokens": config.max_tokens,
        "order": config.denoise.order,
        "dtype": config.dtype,
        "parts": {name: make(by_part[name], config) for name, make in parts.items() if by_part[name]},
        "measures": [asdict(own) for own in adjusted(_measures(by_part, config))],
    }


def _key(row: Row) -> tuple[str, str, str]:
    return row["role"], row["arm"], str(row["setting"])


def _grouped(rows: Iterable[Row], record: str) -> dict[tuple[str, str, str], list[list[Row]]]:
    """(role, arm, setting) -> for each pair the rows of one record."""
    found: dict[tuple[str, str, str], dict[int, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row["record"] == record:
            found[_key(row)][row["pair"]].append(row)
    return {key: [own[pair] for pair in sorted(own)] for key, own in found.items()}


def _results(pairs: Sequence[Sequence[Row]]) -> list[_Results]:
    return [results_by_task(own) for own in pairs]


def _pooled(pairs: Sequence[_Results]) -> _Results:
    pooled: _Results = defaultdict(list)
    for own in pairs:
        for task, passed in own.items():
            pooled[task] += passed
    return dict(pooled)


def _rate(pairs: Sequence[Sequence[Row]]) -> dict[str, Any]:
    """pass@1 with pairs pooled, and of each pair."""
    results = _results(pairs)
    found = summarize(_pooled(results))
    return {
        "pass@1": found.value,
        "low": found.low,
        "high": found.high,
        "of_pairs": [summarize(own).value for own in results],
    }


def _rates(rows: Sequence[Row], config: CompareConfig) -> dict[str, Any]:
    """`role/arm/setting` -> pass@1, tokens and passes of an answer, and exact matches where they were looked for."""
    found = {}
    for key, pairs in _grouped(rows, "sample").items():
        every = [row for own in pairs for row in own]
        entry = {**_rate(pairs), "answers": len(every), "passes": fmean(row["passes"] for row in every)}
        if "exact" in every[0]:
            entry["exact"] = fmean(row["exact"] for row in every)
        found["/".join(key)] = entry
    return found


def _temperature(rows: Sequence[Row], config: CompareConfig) -> dict[str, Any]:
    """`role/temperature` -> for each k the mean over pairs of pass@k, with its least and greatest."""
    found = {}
    for (role, _, heat), pairs in _grouped(rows, "sample").items():
        results = _results(pairs)
        values = {k: [summarize(own, k, resamples=100).value for own in results] for k in config.ks}
        found[f"{role}/{heat}"] = {
            f"pass@{k}": {"value": fmean(own), "least": min(own), "greatest": max(own)} for k, own in values.items()
        }
    return found


def _steps(rows: Sequence[Row], config: CompareConfig) -> dict[str, Any]:
    """`role/setting` -> pass@1, forward passes and time of an answer, and the change against the most steps."""
    samples, timing = _grouped(rows, "sample"), _grouped(rows, "timing")
    most = next((key for key in samples if key[0] == "diffusion"), None)
    full = _results(samples[most]) if most else []
    found = {}
    for key, pairs in samples.items():
        role, _, setting = key
        times = [row for own in timing[key] for row in own]
        answers = sum(row["completions"] for row in times)
        entry = {
            **_rate(pairs),
            "tokens_per_pass": sum(row["tokens"] for row in times) / max(1, sum(row["passes"] for row in times)),
            **{f"{name}_per_answer": sum(row[name] for row in times) / answers for name in ("passes", "tokens")},
            **{f"{name}_per_answer": sum(row[name] for row in times) / answers for name in ("seconds", "cpu_seconds")},
        }
        if role == "diffusion":
            change = summarize_seeds(full, _results(pairs))
            lows = [end for end in (change.gain.low, change.low) if end is not None]
            entry["change"] = {"value": change.gain.value, "low": min(lows)}
            entry["not_worse"] = key == most or min(lows) > -MARGIN
        found[f"{role}/{setting}"] = entry
    return found


def _order(rows: Sequence[Row], config: CompareConfig) -> dict[str, Any]:
    """`role/temperature` -> AR-ness and tokens, mean over answers of all pairs."""
    found = {}
    for (role, _, heat), pairs in _grouped(rows, "order").items():
        every = [row for own in pairs for row in own]
        names = [f"{kind}@{k}" for kind in ("local", "global") for k in KS]
        found[f"{role}/{heat}"] = {name: fmean(row[name] for row in every) for name in names}
        found[f"{role}/{heat}"]["tokens"] = fmean(row["tokens"] for row in every)
    return found


def _likelihood(rows: Sequence[Row], config: CompareConfig) -> dict[str, Any]:
    """`role/estimator` -> mean over answers of bits per byte, with its standard error over tasks (and draws)."""
    found = {}
    for (role, _, _), pairs in _grouped(rows, "likelihood").items():
        every = [row for own in pairs for row in own]
        for name in ("chain_rule", "elbo", "elbo_given_length"):
            if known := [row for row in every if f"{name}_bits_per_byte" in row]:
                found[f"{role}/{name}"] = _bits(known, name)
        values = _by_task(every, "masked_ce")
        found[f"{role}/masked_ce"] = {"value": fmean(values), "standard_error": _error(values)}
    return found


def _bits(rows: Sequence[Row], name: str) -> dict[str, float | None]:
    values = _by_task(rows, f"{name}_bits_per_byte")
    found: dict[str, float | None] = {"value": fmean(values), "standard_error": _error(values)}
    if f"{name}_standard_error" in rows[0]:  # nats, over the draws of each answer
        bits = [row[f"{name}_standard_error"] / math.log(2) / row["bytes"] for row in rows]
        found["of_draws"] = math.sqrt(sum(own * own for own in bits)) / len(bits)
    return found


def _by_task(rows: Sequence[Row], name: str) -> list[float]:
    """Mean over pairs for each task: pairs of models score the same answers, which are no more answers for that."""
    found: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        found[row["task_id"]].append(row[name])
    return [fmean(own) for own in found.values()]


def _error(values: Sequence[float]) -> float | None:
    """Standard error of the mean; None of a single value, which tells nothing of it."""
    if len(values) < 2:
        return None
    mean = fmean(values)
    return float((sum((own - mean) ** 2 for own in values) / (len(values) - 1) / len(values)) ** 0.5)


def _measures(by_part: Mapping[str, Sequence[Row]], config: CompareConfig) -> list[Versus]:
    """What both kinds of model were measured on."""
    every = {part: _grouped(rows, "sample") for part, rows in by_part.items()}
    most = f"{max((round(f * config.max_tokens) for f in config.fractions), default=0)} steps"
    wanted = [("pass@1, greedy", "steps", f"greedy/{most}", "greedy/KV cache")]
    wanted += [
        (f"pass@1 at temperature {heat:g}", "temperature", f"samples/{heat}", f"samples/{heat}")
        for heat in config.temperatures
    ]
    for size in ("one line", "several lines"):
        for length in ("oracle", "average", "fixed"):
            name = f"gap of {size}, length {length}"
            both = f"{size}, {length}"
            wanted.append((f"{name}, against fill-in-the-middle", "infilling", f"canvas/{both}", f"fim/{both}"))
            if length == "oracle":
                wanted.append((f"{name}, against prefix only", "infilling", f"canvas/{both}", f"prefix/{both}"))
        wanted.append(
            (
                f"gap of {size}, length told to diffusion alone",
                "infilling",
                f"canvas/{size}, oracle",
                f"fim/{size}, free",
            )
        )
    wanted += [
        ("repair by answering", "repair", "answer/greedy", "answer/greedy"),
        ("repair by refinement, against answering", "repair", f"refine/round {config.rounds}", "answer/greedy"),
        ("output prediction", "output", "answer/greedy", "answer/greedy"),
    ]
    found = []
    for measure, part, one, other in wanted:
        own = every.get(part, {})
        sides = [own.get((role, *_parted(text))) for role, text in (("diffusion", one), ("causal", other))]
        if sides[0] and sides[1]:
            found.append(versus_rates(measure, _results(sides[0]), _results(sides[1])))
    return found + _likelihood_measures(by_part.get("likelihood", []))


def _parted(text: str) -> tuple[str, str]:
    arm, _, setting = text.partition("/")
    return arm, setting


def _likelihood_measures(rows: Sequence[Row]) -> list[Versus]:
    by_role = {role: pairs for (role, _, _), pairs in _grouped(rows, "likelihood").items()}
    if by_role.keys() != {"diffusion", "causal"}:
        return []
    found = []
    for measure, unit, one, other in (
        ("gold answers, chain rule from left to right", "bits per byte", *["chain_rule_bits_per_byte"] * 2),
        (
            "gold answers, bound (ELBO) against chain rule",
            "bits per byte",
            "elbo_bits_per_byte",
            "chain_rule_bits_per_byte",
        ),
    ):
        sides = [
            [{row["task_id"]: row[name] for row in own if name in row} for own in by_role[role]]
            for role, name in (("diffusion", one), ("causal", other))
        ]
        if all(all(side) for side in sides):  # a bound given the length is none that a chain rule is held against
            found.append(versus_values(measure, unit, *sides, more_is_better=False))
    return found
