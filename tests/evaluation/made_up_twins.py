"""Rows of a comparison that never took place: two pairs, 16 tasks, every part."""

from random import Random

from verigrad.evaluation.twins.config import CompareConfig
from verigrad.evaluation.twins.order import KS
from verigrad.evaluation.twins.page import compare_page
from verigrad.evaluation.twins.steps import settings
from verigrad.evaluation.twins.summary import summarize_rows
from verigrad.tasks.base import TaskSet
from verigrad.types import Task

__all__ = ["CONFIG", "make_page", "make_rows", "make_summary"]

CONFIG = CompareConfig(diffusion=("d0", "d1"), causal=("c0", "c1"), max_tokens=8, samples=4, ks=(1, 4))
TASKS = [f"made@1/{number}" for number in range(16)]
TOKENS = ["def", " f", "(n", "):", "\n", "    ", "return <n>", " + 1"]
STEPS = [1, 0, 2, 2, 5, 3, 7, 4]


def place(part, pair, role, arm, setting):
    return {"part": part, "pair": pair, "role": role, "arm": arm, "setting": setting}


def sample(random, part, pair, role, arm, setting, chance, **facts):
    """One answer to each task, right with a chance, and how long they took."""
    where = place(part, pair, role, arm, setting)
    passes = facts.pop("passes", 8)
    numbers = range(4 if part == "temperature" else 1)
    rows = [
        {
            **where,
            "record": "sample",
            "task_id": task,
            "sample": number,
            "status": "passed" if random.random() < chance else "failed",
            "tokens": 8,
            "passes": passes,
            "completion": "",
            **facts,
        }
        for task in TASKS
        for number in numbers
    ]
    total = {"completions": len(rows), "tokens": 8 * len(rows), "passes": passes * len(rows)}
    return [*rows, {**where, "record": "timing", **total, "seconds": 0.01 * passes * len(rows), "cpu_seconds": 1.0}]


def make_rows(seed=0):
    """Rows of all parts."""
    random, rows = Random(seed), []
    for pair in (0, 1):
        for role in ("diffusion", "causal"):
            rows += [
                row
                for heat in CONFIG.temperatures
                for row in sample(random, "temperature", pair, role, "samples", heat, 0.6 - 0.3 * heat / 2)
            ]
            rows += sample(random, "repair", pair, role, "answer", "greedy", 0.4)
            rows += sample(random, "output", pair, role, "answer", "greedy", 0.3)
            rows += [
                {
                    **place("likelihood", pair, role, "gold", ""),
                    "record": "likelihood",
                    "task_id": task,
                    "bytes": 20,
                    "masked_ce": 0.1 + random.random() / 9,
                    "chain_rule_bits_per_byte": 0.5 + random.random() / 9,
                    **({"elbo_bits_per_byte": 0.7, "elbo_standard_error": 0.3} if role == "diffusion" else {}),
                }
                for task in TASKS
            ]
        for number, name in enumerate(settings(CONFIG)):
            passes = (8, 4, 2, 1, 5, 4, 3)[number]
            rows += sample(random, "steps", pair, "diffusion", "greedy", name, 0.5, passes=passes)
        rows += sample(random, "steps", pair, "causal", "greedy", "KV cache", 0.7, passes=8)
        for size in ("one line", "several lines"):
            for length in ("oracle", "average", "fixed"):
                both = f"{size}, {length}"
                rows += sample(random, "infilling", pair, "diffusion", "canvas", both, 0.6, exact=True)
                rows += sample(random, "infilling", pair, "causal", "fim", both, 0.6, exact=False)
                rows += sample(random, "infilling", pair, "causal", "prefix", both, 0.0, exact=False)
        for number in range(1, CONFIG.rounds + 1):
            rows += sample(random, "repair", pair, "diffusion", "refine", f"round {number}", 0.1 * number)
        for role in ("diffusion", "before"):
            for heat in CONFIG.order_temperatures:
                rows += [
                    {
                        **place("order", pair, role, "order", heat),
                        "record": "order",
                        "task_id": task,
                        "tokens": 8,
                        **{f"local@{k}": 0.5 / k for k in KS},
                        **{f"global@{k}": 1 - 0.5 / k for k in KS},
                    }
                    for task in TASKS
                ]
        rows.append(
            {
                **place("playback", pair, "diffusion", "playback", "one token a step"),
                "record": "playback",
                "task_id": TASKS[0],
                "status": "passed",
                "prompt": "f(n): add <1>.",
                "tokens": TOKENS,
                "steps": STEPS,
                "logprobs": [-0.1] * 8,
            }
        )
    return rows


def make_summary(rows):
    """Their figures."""
    tasks = TaskSet("made@1", tuple(Task(id=name, prompt="") for name in TASKS), {}, {})
    return summarize_rows(rows, CONFIG, tasks)


def make_page(seed=0):
    """The page of them."""
    rows = make_rows(seed)
    return compare_page(make_summary(rows), [row for row in rows if row["record"] == "playback"])
