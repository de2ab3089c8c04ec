"""What composing rewards does to a policy, on a tiny model whose tokens are pieces of programs (docs/rewards.md).

    python benchmarks/composition.py                     both parts, three seeds, a table each
    python benchmarks/composition.py --part goals --seeds 0
    python benchmarks/composition.py --keep FOLDER       also keeps what is measured, and every run's metrics

`goals`: three functions of a list, each with a fast and a slow right body among wrong ones, and pieces that clutter
or document. Trained by tests alone, by tests gated with lint, quality and efficiency, by their plain sum, and by lint
alone. `credit`: three predicates that take two right pieces out of twenty-two, in order, and whose best constant meets
six tests in ten. Trained by all tests or nothing, by the share of tests passed, by the share above that of the best
constant, and by the last annealed into the first. What is measured comes from the programs of the last five steps.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))  # the tiny model

from programs import program_model

from verigrad.evaluation.sources import load_source
from verigrad.rewards.base import Answer
from verigrad.rewards.efficiency import relative_cost
from verigrad.rewards.lint import lint
from verigrad.rewards.quality import quality
from verigrad.sandbox.costs import CostMeter
from verigrad.sandbox.process import ProcessSandbox
from verigrad.tasks.base import TaskSet
from verigrad.training.config import OptimConfig, RLConfig, SamplingConfig
from verigrad.training.rl import train

LAST = 5

GOALS = {
    "largest": ("    return max(xs)\n", "    return [x for x in xs if all(x >= y for y in xs)][0]\n"),
    "total": ("    return sum(xs)\n", "    return sum([sum(xs[i:i + 1]) for i, x in enumerate(xs)])\n"),
    "distinct": ("    return len(set(xs))\n", "    return len([x for i, x in enumerate(xs) if x not in xs[:i]])\n"),
}
BESIDE = (
    '    """Answer the question about these numbers."""\n',
    "    import os\n",
    "    unused = xs\n",
    "    l = 0\n",
    "\n",
    "    return 0\n",
    "    return xs\n",
)
GOAL_TASKS = f"""
from verigrad import CallTest, Oracle, Task
from verigrad.tasks.base import TaskSet

GOALS = {GOALS!r}
LISTS = ([3, 1, 2, 3], [7, 7, 7], [-4, 9, 0, 9, 5, -4], [5], list(range(12)) + [3, 3])


def load():
    tasks, oracles = [], {{}}
    for word, (body, _) in GOALS.items():
        names = {{}}
        exec("def f(xs):\\n" + body, names)
        tests = tuple(CallTest(str(n), (xs,), names["f"](xs)) for n, xs in enumerate(LISTS))
        id_ = f"goals@1/{{word}}"
        tasks.append(Task(id=id_, prompt=word, entry_point="f", stub="def f(xs):\\n"))
        oracles[id_] = Oracle(task_id=id_, tests=tests, gold="def f(xs):\\n" + body)
    return TaskSet("goals@1", tuple(tasks), oracles, {{}})
"""
GOAL_REWARDS = {
    "tests": "all_pass",
    "tests gated with lint and quality": "gated(all_pass, {lint: 0.15, quality: 0.15})",
    "tests gated with lint, quality and efficiency": "gated(all_pass, {lint: 0.1, quality: 0.1, efficiency: 0.3})",
    "sum of tests, lint and quality": "weighted_sum({all_pass: 0.4, lint: 0.3, quality: 0.3})",
    "lint alone": "weighted_sum({lint: 1.0})",
}

CREDIT = {"six": (3, 2), "ten": (5, 2), "fifteen": (3, 5)}
GUARDS = tuple(f"    if n % {k}:\n        return False\n" for k in (3, 4, 5, 7, 9))
ENDS = tuple(f"    return n % {k} == 0\n" for k in (2, 3, 4, 5, 7, 9))
OTHERS = (
    *("    return False\n", "    return True\n", "    return n\n", "    return n > 6\n", "    return n < 9\n", "\n"),
    *("    n = n + 1\n", "    n = -n\n", "    n = n // 2\n", "    return None\n", "    # done\n"),
)
CREDIT_TASKS = f"""
from verigrad import CallTest, Oracle, Task
from verigrad.tasks.base import TaskSet

CREDIT = {CREDIT!r}


def load():
    tasks, oracles = [], {{}}
    for word, (first, second) in CREDIT.items():
        both = first * second
        yes = [both, 2 * both, 3 * both, 4 * both]
        no = [first, 3 * first if 3 * first % both else 7 * first, second, 1, both + 1, 2 * both - 1]
        tests = tuple(CallTest(str(n), (n,), n % both == 0) for n in yes + no)
        body = f"    if n % {{first}}:\\n        return False\\n    return n % {{second}} == 0\\n"
        id_ = f"credit@1/{{word}}"
        tasks.append(Task(id=id_, prompt=word, entry_point="f", stub="def f(n):\\n"))
        oracles[id_] = Oracle(task_id=id_, tests=tests, gold="def f(n):\\n" + body)
    return TaskSet("credit@1", tuple(tasks), oracles, {{}})
"""
CREDIT_REWARDS = {
    "all tests or nothing": "all_pass",
    "share of tests": "fraction",
    "share above the best constant": "corrected",
    "that, annealed into all tests": "annealed(corrected, all_pass, until=0.5)",
}

IMPORTS = """
from verigrad.rewards.combine import annealed, gated, weighted_sum
from verigrad.rewards.efficiency import efficiency
from verigrad.rewards.lint import lint
from verigrad.rewards.quality import quality
from verigrad.rewards.tests import all_pass, corrected, fraction

"""


def learned(
    folder: Path, tasks: str, reward: str, pieces: Sequence[str], words: Iterable[str], seed: int, settings: Any
) -> list[Mapping[str, Any]]:
    """Train a fresh model; the rows of its rollouts in the last steps."""
    folder.mkdir(parents=True)
    model, tokenizer = program_model(pieces, [*words], seed=seed)
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    (folder / "my.py").write_text(f"{IMPORTS}\nreward = {reward}\n\n{tasks}")
    run = train(
        RLConfig(
            run=str(folder / "run"),
            model=str(folder / "model"),
            tasks=f"{folder}/my.py:load",
            reward=f"{folder}/my.py:reward",
            seed=seed,
            dtype="float32",
            device="cpu",
            threads=1,
            tasks_per_step=3,
            slots=96,
            max_length=64,
            optim=OptimConfig(learning_rate=5e-3, warmup_steps=1),
            **settings,
        )
    )
    files = sorted((run / "rollouts").glob("step-*.jsonl"))[-LAST:]
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


async def goals_reached(rows: Sequence[Mapping[str, Any]], tasks: TaskSet) -> dict[str, float]:
    """How good the programs of these rows are, by every goal, whichever of them was trained on."""
    passed = [row for row in rows if row["status"] == "passed"]
    cost: dict[tuple[str, str], float | None] = {}
    tidy: dict[tuple[str, str], tuple[float, float]] = {}
    by_id = {task.id: task for task in tasks.tasks}
    async with ProcessSandbox() as sandbox:
        meter = CostMeter(sandbox)
        for key in {(row["task_id"], row["program"]) for row in rows if row["program"]}:
            task, answer = by_id[key[0]], Answer(key[1], key[1])
            tidy[key] = (await lint(task, answer, None)).value, quality(task, answer, None).value
        for key in {(row["task_id"], row["program"]) for row in passed}:
            cost[key] = relative_cost(await meter.costs(key[1], tasks.oracle(by_id[key[0]]), "f"))
    keys = [(row["task_id"], row["program"]) for row in rows if row["program"]]
    known = [value for row in passed if (value := cost[row["task_id"], row["program"]]) is not None]
    return {
        "passed": len(passed) / len(rows),
        "lint": statistics.fmean(tidy[key][0] for key in keys),
        "quality": statistics.fmean(tidy[key][1] for key in keys),
        "cost": statistics.fmean(known) if known else float("nan"),
        "lines": statistics.fmean(len([line for line in key[1].splitlines() if line.strip()]) for key in keys),
    }


def credit_given(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Share of programs that pass, share of tests passed, share of programs that are a constant."""
    constant = sum((row["program"] or "").splitlines()[-1].strip() == "return False" for row in rows if row["program"])
    return {
        "passed": sum(row["status"] == "passed" for row in rows) / len(rows),
        "tests passed": statistics.fmean(row["passed"] / row["total"] if row["total"] else 0.0 for row in rows),
        "end in a constant": constant / len(rows),
    }


def run_part(part: str, seeds: Sequence[int], steps: int, keep: Path | None) -> None:
    rewards = GOAL_REWARDS if part == "goals" else CREDIT_REWARDS
    found: dict[str, list[dict[str, float]]] = {name: [] for name in rewards}
    with tempfile.TemporaryDirectory() as scratch:
        for (number, (name, reward)), seed in itertools.product(enumerate(rewards.items()), seeds):
            folder = Path(scratch) / f"{part}-{number}-{seed}"
            if part == "goals":
                pieces = [body for pair in GOALS.values() for body in pair] + list(BESIDE)
                settings = {"steps": steps, "group_size": 16, "sampling": SamplingConfig(max_tokens=3)}
                rows = learned(folder, GOAL_TASKS, reward, pieces, GOALS, seed, settings)
                measured = asyncio.run(goals_reached(rows, load_source(f"{folder}/my.py:load")))
            else:
                pieces = [*GUARDS, *ENDS, *OTHERS]
                settings = {"steps": steps, "group_size": 32, "sampling": SamplingConfig(max_tokens=2)}
                measured = credit_given(learned(folder, CREDIT_TASKS, reward, pieces, CREDIT, seed, settings))
            found[name].append(measured)
            line = json.dumps({"part": part, "reward": name, "seed": seed, **measured})
            print(line, flush=True)
            if keep:
                shutil.copy(folder / "run" / "metrics.jsonl", keep / f"{folder.name}.jsonl")
                with (keep / f"{part}.jsonl").open("a") as file:
                    file.write(f"{line}\n")
    print(table(found))


def table(found: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Mean over seeds, the least and the greatest in brackets."""
    columns = list(next(iter(found.values()))[0])
    lines = [f"| trained by | {' | '.join(columns)} |", "| --- |" + " --- |" * len(columns)]
    for name, runs in found.items():
        cells = []
        for column in columns:
            values = [run[column] for run in runs]
            cells.append(f"{statistics.fmean(values):.2f} [{min(values):.2f}, {max(values):.2f}]")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=("goals", "credit", "both"), default="both")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    if options.keep:
        options.keep.mkdir(parents=True)
    for part in ("goals", "credit") if options.part == "both" else (options.part,):
        run_part(part, options.seeds, options.steps, options.keep)


if __name__ == "__main__":
    main()
