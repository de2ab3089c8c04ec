"""A made-up sweep folder with known figures: settings x seeds, learning curves, a grid, a failed run."""

import json
import random


def lines(file, rows):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def answers(passed, *, samples=1):
    """Rows of an evaluation: whether each task passed, in order."""
    return [
        {"task_id": f"t{task}", "sample": sample, "status": "passed" if ok else "failed"}
        for task, ok in enumerate(passed)
        for sample in range(samples)
    ]


def make_trained(folder, splits, rewards, validation):
    """A finished run folder: split -> (before, after) as lists of bools."""
    for split, sides in splits.items():
        for side, passed in zip(("before", "after"), sides, strict=True):
            lines(folder / "evaluations" / f"{split}-{side}.jsonl", answers(passed))
    train = [{"step": s + 1, "kind": "train", "reward": r, "loss": 0.1 * r} for s, r in enumerate(rewards)]
    tests = [{"step": s, "kind": "validation", "pass@1": v} for s, v in validation]
    lines(folder / "metrics.jsonl", [*train, *tests])
    (folder / "config.toml").write_text('algorithm = "x"\n')
    (folder / "summary.json").write_text("{}")


def row(run, kind, settings, label, seed, status="finished", **more):
    return {
        "run": run,
        "kind": kind,
        "label": label,
        "settings": settings,
        "chosen": {},
        "seed": seed,
        "status": status,
        "error": None,
        "attempts": 1,
        **more,
    }


def make_sweep(folder, results, *, curves=None):
    """A sweep: algorithm -> seed -> split -> (before, after). A missing seed of {0, 1, 2} failed."""
    rng = random.Random(0)
    rows = []
    for algorithm in results:
        for value in ("1e-5", "3e-5"):
            rows.append(
                row(f"algorithm-{algorithm}/grid/learning_rate-{value}", "grid", {"algorithm": algorithm},
                    f"algorithm {algorithm}", 0, chosen={"optim.learning_rate": value},
                    validation=0.5 if value == "3e-5" else 0.25)
            )  # fmt: skip
    for seed in range(3):
        for algorithm, seeds in results.items():
            run = f"algorithm-{algorithm}/seed-{seed}"
            common = {"chosen": {"optim.learning_rate": "3e-5"}}
            if seed not in seeds:
                failed = {"status": "failed", "error": "out of <memory> | disk"}
                rows.append(
                    row(run, "run", {"algorithm": algorithm}, f"algorithm {algorithm}", seed, **common, **failed)
                )
                continue
            steps = range(1, 31)
            rewards = curves or [0.3 + 0.4 * s / 30 + rng.gauss(0, 0.05) for s in steps]
            validation = [(s, 0.2 + s / 100 + rng.gauss(0, 0.02)) for s in (10, 20, 30)]
            make_trained(folder / run, seeds[seed], rewards, validation)
            splits = {
                split: {
                    side: {"pass@1": sum(passed) / len(passed)}
                    for side, passed in zip(("before", "after"), sides, strict=True)
                }
                for split, sides in seeds[seed].items()
            }
            figures = {"splits": splits, "seconds": 100.0 + 10 * seed, "peak_memory_mb": 1000.0 + seed}
            rows.append(row(run, "run", {"algorithm": algorithm}, f"algorithm {algorithm}", seed, **common, **figures))
    lines(folder / "results.jsonl", rows)
    (folder / "sweep.toml").write_text(
        'command = "rl"\nseeds = [0, 1, 2]\ngrid_seed = 0\ngrid_steps = 0.5\n\n'
        f"[vary]\nalgorithm = {json.dumps(list(results))}\n\n"
        '[grid]\n"optim.learning_rate" = ["1e-5", "3e-5"]\n'
    )
    return folder


def drawn(names, *, tasks=120, seeds=3):
    """Results of settings of rising quality, drawn at random: for looking at the page."""
    rng = random.Random(1)
    difficulty = [rng.random() for _ in range(tasks)]

    def passes(skill):
        return [rng.random() < 1 / (1 + (d / (1 - d)) ** 2 / skill) for d in difficulty]

    return {
        name: {
            seed: {split: (passes(0.2), passes(0.3 + 0.25 * i + 0.1 * seed)) for split in ("unseen", "mbpp_test")}
            for seed in range(seeds if i else seeds - 1)
        }
        for i, name in enumerate(names)
    }
